use super::*;
use crate::platform::render::wire::Commit;

pub(in crate::platform::render) fn commit(letter: char) -> String {
    letter.to_string().repeat(40)
}

pub(in crate::platform::render) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A deploy of commit `letter` that began at `second`.
pub(in crate::platform::render) fn deploy(
    id: &str,
    letter: char,
    second: i64,
    status: &str,
) -> Deploy {
    Deploy {
        id: id.to_owned(),
        status: status.to_owned(),
        trigger: Some("new_commit".to_owned()),
        commit: Some(Commit {
            id: Some(commit(letter)),
            message: Some(format!("Change {letter}\n\nand why")),
        }),
        image: None,
        created_at: at(second),
        finished_at: None,
    }
}

pub(in crate::platform::render) fn member(name: &str, deploys: &[Deploy]) -> Member {
    let mut deploys = deploys.to_vec();
    deploys.sort_by_key(|deploy| std::cmp::Reverse(deploy.created_at));
    Member { id: format!("srv-{name}"), name: name.to_owned(), deploys }
}

pub(in crate::platform::render) fn key() -> ServiceKey {
    let (target, cluster) = ("render".to_owned(), "taskforge".to_owned());
    ServiceKey { target, cluster, service: "taskforge".to_owned() }
}

fn seen(web: &[Deploy], worker: &[Deploy], second: i64) -> Sighting {
    let members = [member("web", web), member("worker", worker)];
    sighting(&key(), &members, at(second)).unwrap()
}

#[test]
fn a_push_to_both_is_one_deployment_named_by_the_first_of_its_deploys() {
    let web = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-3", 'b', 500, "live")];
    let coming = |status| [deploy("dep-2", 'a', 1, "live"), deploy("dep-4", 'b', 501, status)];
    let look = seen(&web, &coming("update_in_progress"), 520);
    let primary = &look.primary;
    assert_eq!((primary.id.as_str(), primary.created_at), ("dep-3", at(500)));
    assert_eq!(
        (primary.revision.name.clone(), primary.revision.short()),
        (commit('b'), "bbbbbbb Change b")
    );
    assert_eq!((primary.roll_out, primary.running, primary.desired), (RollOut::InProgress, 1, 2));
    assert_eq!(look.in_flight.as_deref(), Some("dep-4"));
    assert_eq!(look.source.as_ref().map(|one| one.name.clone()), Some(commit('a')));
    assert_eq!(look.others.iter().map(|one| one.running).collect::<Vec<_>>(), [1], "the worker's");

    let done = [deploy("dep-2", 'a', 1, "deactivated"), deploy("dep-4", 'b', 501, "live")];
    let look = seen(&web, &done, 600);
    assert_eq!((look.primary.id.as_str(), look.is_stable()), ("dep-3", true));
}

const BUILDING: [&str; 6] = [
    "created",
    "queued",
    "build_in_progress",
    "pre_deploy_in_progress",
    "update_in_progress",
    "something_new",
];
const FAILED: [&str; 4] = ["build_failed", "pre_deploy_failed", "update_failed", "canceled"];

/// The worker's deploy with this status, of a push whose other deploy is live.
fn half(status: &str) -> PlatformDeployment {
    let web = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-3", 'b', 500, "live")];
    let worker = [deploy("dep-2", 'a', 1, "live"), deploy("dep-4", 'b', 501, status)];
    seen(&web, &worker, 600).primary
}

#[test]
fn every_status_of_render_means_something_and_one_that_is_not_known_is_waited_for() {
    for status in BUILDING {
        assert_eq!((half(status).roll_out, half(status).running), (RollOut::InProgress, 1));
    }
    for status in FAILED {
        let primary = half(status);
        assert_eq!((primary.roll_out, primary.running, primary.failed), (RollOut::Failed, 1, 1));
        let reason = primary.reason.unwrap();
        assert!(reason.ends_with("and Render keeps aaaaaaa live"), "{reason}");
    }
    assert_eq!(half("deactivated").roll_out, RollOut::Completed);
}

#[test]
fn what_builds_or_failed_before_it_was_live_is_not_in_place_and_what_is_goes_on_being_shown() {
    let look = |status: &str| {
        let both =
            |ids: [&str; 2]| [deploy(ids[0], 'a', 0, "live"), deploy(ids[1], 'b', 500, status)];
        seen(&both(["dep-1", "dep-3"]), &both(["dep-2", "dep-4"]), 600)
    };
    for status in BUILDING {
        let seen = look(status);
        assert_eq!((seen.primary.id.as_str(), seen.is_stable()), ("dep-1", true), "{status}");
        assert!(seen.in_flight.is_some(), "{status}");
    }
    for status in FAILED {
        let seen = look(status);
        assert_eq!((seen.primary.id.as_str(), seen.is_stable()), ("dep-1", true), "{status}");
        assert_eq!(seen.in_flight, None, "{status}");
    }
    // The first one of all has nothing before it.
    let first = [deploy("dep-1", 'a', 0, "build_in_progress")];
    let look = sighting(&key(), &[member("web", &first)], at(9)).unwrap().primary;
    assert_eq!((look.id.as_str(), look.roll_out), ("dep-1", RollOut::InProgress));
}

#[test]
fn what_was_canceled_by_the_next_push_is_neither_its_source_nor_beside_it() {
    let web = [
        deploy("dep-1", 'a', 0, "live"),
        deploy("dep-2", 'b', 500, "canceled"),
        deploy("dep-3", 'c', 520, "update_in_progress"),
    ];
    let worker = [
        deploy("dep-4", 'a', 0, "deactivated"),
        deploy("dep-5", 'b', 500, "canceled"),
        deploy("dep-6", 'c', 520, "live"),
    ];
    let look = seen(&web, &worker, 600);
    assert_eq!((look.primary.id.as_str(), look.in_flight.as_deref()), ("dep-3", Some("dep-3")));
    assert_eq!(look.source.unwrap().name, commit('a'));
    let others: Vec<_> = look.others.iter().map(|one| (one.id.as_str(), one.running)).collect();
    assert_eq!(others, [("dep-1", 1)]);
}

#[test]
fn a_build_takes_nothing_from_what_is_live_however_long_it_takes_and_is_known_to_come() {
    let look = |status: &str, finished: Option<i64>, second| {
        let coming = Deploy { finished_at: finished.map(at), ..deploy("dep-2", 'b', 500, status) };
        let web = [deploy("dep-1", 'a', 0, "live"), coming];
        sighting(&key(), &[member("web", &web)], at(second)).unwrap()
    };
    for second in [501, 500 + 9 * 60, 500 + 60 * 60] {
        let long = look("build_in_progress", None, second);
        assert_eq!((long.primary.id.as_str(), long.is_stable()), ("dep-1", true), "{second}");
        let coming = long.coming.unwrap();
        assert_eq!((coming.id.as_str(), coming.created_at), ("dep-2", at(500)));
        assert_eq!((coming.revision.name, coming.running), (commit('b'), 0));
    }
    let failed = look("build_failed", Some(500 + 9 * 60), 2000);
    assert_eq!((failed.primary.id.as_str(), failed.coming), ("dep-1", None));
    let live = look("live", Some(500 + 9 * 60), 2000);
    assert_eq!((live.primary.id.as_str(), live.coming), ("dep-2", None));
}

#[test]
fn what_is_to_come_is_told_once_it_is_known_which_services_it_is_of() {
    let old = [deploy("dep-1", 'a', 0, "live")];
    let web = [deploy("dep-1", 'a', 0, "live"), deploy("dep-3", 'b', 500, "build_in_progress")];
    assert_eq!(seen(&web, &old, 560).coming, None, "the worker's may still come");
    let coming = seen(&web, &old, 561).coming.unwrap();
    assert_eq!(coming.revision.name, format!("web={},worker={}", commit('b'), commit('a')));
}

#[test]
fn a_deployment_that_is_overtaken_by_another_services_is_shown_before_it() {
    let look = |status: &str, second| {
        let web = [deploy("dep-1", 'a', 0, "live"), deploy("dep-3", 'b', 500, status)];
        let worker = [deploy("dep-2", 'a', 1, "deactivated"), deploy("dep-4", 'c', 520, "live")];
        seen(&web, &worker, second).primary
    };
    let first = look("build_in_progress", 600);
    assert_eq!((first.id.as_str(), first.roll_out), ("dep-3", RollOut::InProgress));
    let name = format!("web={},worker={}", commit('b'), commit('c'));
    for (status, name) in
        [("live", name), ("build_failed", format!("web={},worker={}", commit('a'), commit('c')))]
    {
        let next = look(status, 700);
        assert_eq!((next.id.as_str(), next.revision.name), ("dep-4", name));
    }
    assert_eq!(look("something_new", 1000).id, "dep-4", "not for ever");
}

#[test]
fn a_deployment_keeps_its_name_so_it_is_shown_once_all_have_come_or_their_time_is_over() {
    let old = [deploy("dep-1", 'a', 0, "live")];
    let web = [deploy("dep-1", 'a', 0, "live"), deploy("dep-3", 'b', 500, "live")];
    assert_eq!(seen(&web, &old, 501).primary.id, "dep-1", "the worker's may still come");
    let alone = seen(&web, &old, 561).primary;
    assert_eq!(alone.revision.name, format!("web={},worker={}", commit('b'), commit('a')));
    assert_eq!(alone.revision.short(), "web bbbbbbb, worker aaaaaaa");
    // A straggler is a deployment of its own.
    let late = [deploy("dep-2", 'a', 1, "live"), deploy("dep-4", 'b', 570, "live")];
    let both = seen(&web, &late, 640).primary;
    assert_eq!((both.id.as_str(), both.revision.name), ("dep-4", commit('b')));
}

#[test]
fn the_same_commit_again_is_another_deployment_of_the_same_revision() {
    let web = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-3", 'a', 30, "live")];
    let worker = [deploy("dep-2", 'a', 1, "deactivated"), deploy("dep-4", 'a', 31, "live")];
    let primary = seen(&web, &worker, 100).primary;
    assert_eq!((primary.id.as_str(), primary.revision.name), ("dep-3", commit('a')));
}

fn back(id: &str, letter: char, second: i64, status: &str) -> Deploy {
    Deploy { trigger: Some("rollback".to_owned()), ..deploy(id, letter, second, status) }
}

#[test]
fn a_rollback_that_one_service_gets_later_is_one_deployment() {
    let web = [
        deploy("dep-1", 'a', 0, "deactivated"),
        deploy("dep-3", 'b', 500, "deactivated"),
        back("dep-5", 'a', 900, "live"),
    ];
    let judged = deploy("dep-4", 'b', 500, "live");
    let half = seen(&web, &[deploy("dep-2", 'a', 0, "deactivated"), judged.clone()], 1000);
    assert_eq!(half.primary.id, "dep-3", "the worker's rollback is tried again");
    let worker = [
        deploy("dep-2", 'a', 0, "deactivated"),
        Deploy { status: "deactivated".into(), ..judged },
        back("dep-6", 'a', 1005, "live"),
    ];
    let whole = seen(&web, &worker, 1010);
    assert_eq!(
        (whole.primary.id.as_str(), whole.primary.revision.name.clone()),
        ("dep-5", commit('a'))
    );
    assert!(whole.is_stable());
}

#[test]
fn services_that_go_back_to_different_commits_are_one_rollback() {
    // The web service ran a and the worker b; c came to both.
    let web = |status: &str| {
        let all = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-3", 'c', 1500, "live")];
        [&all[..], &[back("dep-5", 'a', 2000, status)]].concat()
    };
    let worker = [deploy("dep-2", 'b', 700, "deactivated"), deploy("dep-4", 'c', 1501, "live")];
    for second in [2001, 2040, 2599] {
        assert_eq!(seen(&web("live"), &worker, second).primary.id, "dep-3", "{second}");
    }
    let both = [&worker[..], &[back("dep-6", 'b', 2100, "update_in_progress")]].concat();
    for second in [2101, 2601, 2650, 2701, 9000] {
        let primary = seen(&web("live"), &both, second).primary;
        let name = format!("web={},worker={}", commit('a'), commit('b'));
        assert_eq!((primary.id.as_str(), primary.revision.name), ("dep-5", name), "{second}");
    }
}

#[test]
fn a_rollback_of_one_service_is_shown_soon_where_the_group_ran_that_before() {
    // Only the web service was pushed: a, then c. The worker runs b all the time.
    let web = |extra: &[Deploy]| {
        let all = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-3", 'c', 1500, "live")];
        [&all[..], &[back("dep-5", 'a', 2000, "live")], extra].concat()
    };
    let worker = [deploy("dep-2", 'b', 1, "live")];
    assert_eq!(seen(&web(&[]), &worker, 2030).primary.id, "dep-3", "another may follow");
    let shown = seen(&web(&[]), &worker, 2031);
    let name = format!("web={},worker={}", commit('a'), commit('b'));
    assert_eq!((shown.primary.id.as_str(), shown.primary.revision.name.clone()), ("dep-5", name));
    assert!(shown.is_stable());
    // The same where both ran the same before.
    let same = [deploy("dep-2", 'a', 0, "live")];
    let shown = seen(&web(&[]), &same, 2031).primary;
    assert_eq!((shown.id.as_str(), shown.revision.name), ("dep-5", commit('a')));
    // It is closed then: what another service does later is another deployment.
    let later = [deploy("dep-2", 'b', 1, "deactivated"), back("dep-6", 'd', 2060, "live")];
    assert_eq!(seen(&web(&[]), &later, 2061).primary.id, "dep-5");
    assert_eq!(seen(&web(&[]), &later, 2661).primary.id, "dep-6");
}

#[test]
fn a_rollback_waits_for_a_service_that_still_runs_what_another_was_taken_back_from() {
    // c came to the worker first, and minutes later to the web service: a with c has been.
    let web = [
        deploy("dep-1", 'a', 0, "deactivated"),
        deploy("dep-3", 'c', 1500, "deactivated"),
        back("dep-5", 'a', 2000, "live"),
    ];
    let worker = [deploy("dep-2", 'a', 0, "deactivated"), deploy("dep-4", 'c', 1000, "live")];
    assert_eq!(seen(&web, &worker, 2100).primary.id, "dep-3", "the worker's may be refused still");
    assert_eq!(seen(&web, &worker, 2601).primary.id, "dep-5");
}

#[test]
fn a_service_of_an_image_is_known_by_reference_and_digest() {
    let image = |tag: &str, sha: &str| Deploy {
        commit: None,
        image: Some(crate::platform::render::wire::Image {
            reference: Some(format!("docker.io/acme/api:{tag}")),
            sha: Some(format!("sha256:{sha}")),
        }),
        ..deploy("dep-1", 'a', 0, "live")
    };
    let look = sighting(&key(), &[member("api", &[image("v2", "abc")])], at(1)).unwrap();
    assert_eq!(look.primary.revision.name, "docker.io/acme/api:v2@sha256:abc");
    assert_eq!(look.primary.revision.short(), "api:v2@sha256:abc");
    let none = member("api", &[]);
    assert_eq!(sighting(&key(), &[none], at(1)), None, "nothing was ever deployed");
}

#[test]
fn what_a_revision_says_of_each_service_can_be_read_again() {
    let members = [member("web", &[]), member("worker", &[])];
    assert_eq!(contents(&Revision::named("abc"), &members).unwrap(), ["abc", "abc"]);
    let apart = Revision::named("worker=def,web=abc");
    assert_eq!(contents(&apart, &members).unwrap(), ["abc", "def"]);
    let less = contents(&Revision::named("web=abc"), &members).unwrap_err();
    assert!(less.contains("does not say what worker ran"), "{less}");
}
