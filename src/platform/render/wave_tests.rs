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

#[test]
fn every_status_of_render_means_something_and_one_that_is_not_known_is_waited_for() {
    let look = |status: &str| {
        let web = [deploy("dep-1", 'a', 0, "live"), deploy("dep-2", 'b', 500, status)];
        sighting(&key(), &[member("web", &web)], at(600)).unwrap().primary
    };
    for status in [
        "created",
        "queued",
        "build_in_progress",
        "pre_deploy_in_progress",
        "update_in_progress",
        "something_new",
    ] {
        assert_eq!((look(status).roll_out, look(status).running), (RollOut::InProgress, 0));
    }
    for status in ["build_failed", "pre_deploy_failed", "update_failed", "canceled"] {
        let primary = look(status);
        assert_eq!((primary.roll_out, primary.running, primary.failed), (RollOut::Failed, 0, 1));
        let reason = primary.reason.unwrap();
        assert!(reason.ends_with("and Render keeps aaaaaaa live"), "{reason}");
    }
    assert_eq!(look("deactivated").roll_out, RollOut::Completed);
}

#[test]
fn a_deployment_keeps_its_name_so_it_is_shown_once_all_have_come_or_their_time_is_over() {
    let old = [deploy("dep-1", 'a', 0, "live")];
    let web = [deploy("dep-1", 'a', 0, "live"), deploy("dep-3", 'b', 500, "build_in_progress")];
    assert_eq!(seen(&web, &old, 501).primary.id, "dep-1", "the worker's may still come");
    let alone = seen(&web, &old, 561).primary;
    assert_eq!(alone.revision.name, format!("web={},worker={}", commit('b'), commit('a')));
    assert_eq!(alone.revision.short(), "web bbbbbbb, worker aaaaaaa");
    // A straggler is a deployment of its own.
    let late = [deploy("dep-2", 'a', 1, "live"), deploy("dep-4", 'b', 570, "created")];
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

#[test]
fn a_rollback_that_one_service_gets_later_is_one_deployment() {
    let back = |id, second| Deploy {
        trigger: Some("rollback".to_owned()),
        ..deploy(id, 'a', second, "live")
    };
    let web = [
        deploy("dep-1", 'a', 0, "deactivated"),
        deploy("dep-3", 'b', 500, "deactivated"),
        back("dep-5", 900),
    ];
    let judged = deploy("dep-4", 'b', 500, "live");
    let half = seen(&web, &[deploy("dep-2", 'a', 0, "deactivated"), judged.clone()], 1000);
    assert_eq!(half.primary.id, "dep-3", "the worker's rollback is tried again");
    let worker = [
        deploy("dep-2", 'a', 0, "deactivated"),
        Deploy { status: "deactivated".into(), ..judged },
        back("dep-6", 1005),
    ];
    let whole = seen(&web, &worker, 1010);
    assert_eq!(
        (whole.primary.id.as_str(), whole.primary.revision.name.clone()),
        ("dep-5", commit('a'))
    );
    assert!(whole.is_stable());
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
