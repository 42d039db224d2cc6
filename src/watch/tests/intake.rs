//! One deployment is one watch, by whichever path it is heard of.

use super::world::{Guard, at, key, pinned, policy, revision, service, sighting};
use crate::model::{
    Announcement, Deployment, Facts, Mode, PlatformDeployment, RollOut, RollbackSafe, Route,
    Sighting, Standing, Unsafe,
};
use crate::watch::{
    Ceiling, Event, IntakeStep, Poison, Seen, Watch, candidates, on_announcement, on_sighting,
};

fn seen(platform_id: &str, number: u32) -> Seen {
    let revision = revision(number);
    Seen {
        service: key(),
        platform_id: platform_id.into(),
        revision,
        poison: None,
        spoiled: Vec::new(),
    }
}

fn new_primary() -> Sighting {
    sighting(5, "ecs-svc/2", 2, RollOut::InProgress)
}

fn announcement(id: &str, task_definition: Option<&str>) -> Announcement {
    Announcement {
        id: id.into(),
        service: service(),
        revision: task_definition.map(ToOwned::to_owned),
        platform_id: None,
        at: at(0),
        facts: Facts { announced_by: Some("ci".into()), ..Facts::default() },
    }
}

fn announced(id: &str, task_definition: Option<&str>) -> Watch {
    let IntakeStep::Open(deployment, by) = on_announcement(&announcement(id, task_definition), &[])
    else {
        panic!("an announcement without a watch opens one");
    };
    open(*deployment, by)
}

fn open(deployment: Deployment, announcement: Option<Box<Announcement>>) -> Watch {
    let event = Event::Opened {
        repository: None,
        query_offset: None,
        others: Vec::new(),
        deployment: Box::new(deployment),
        pinned: Box::new(pinned(policy())),
        ceiling: Ceiling { mode: Mode::Auto, because: None },
        announcement,
    };
    Watch::open(&event, at(0)).unwrap().0
}

#[test]
fn the_running_revision_is_presumed_good_at_install() {
    let stable = sighting(5, "ecs-svc/1", 1, RollOut::Completed);
    let steps = on_sighting(&stable, None, &[], &service());
    assert!(matches!(&steps[..], [IntakeStep::Adopt(e)] if e.standing == Standing::Presumed));
}

#[test]
fn a_new_primary_is_a_deployment_and_the_same_one_again_is_not() {
    let steps = on_sighting(&new_primary(), Some(&seen("ecs-svc/1", 1)), &[], &service());
    let [IntakeStep::Open(deployment, None), IntakeStep::Deliver(_, seen_too)] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert!(matches!(**seen_too, Event::Sighted(_)));
    assert!(deployment.source.as_ref().unwrap().same_as(&revision(1)));
    assert!(on_sighting(&new_primary(), Some(&seen("ecs-svc/2", 2)), &[], &service()).is_empty());
}

#[test]
fn a_hook_that_comes_first_is_bound_to_the_deployment_that_it_names() {
    let wrong = announced("one", Some("api:7"));
    let right = announced("two", Some("api:2"));
    let steps =
        on_sighting(&new_primary(), Some(&seen("ecs-svc/1", 1)), &[&wrong, &right], &service());
    let [IntakeStep::Deliver(id, event)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(*id, right.id);
    assert!(matches!(**event, Event::Bound { .. }));
}

#[test]
fn a_hook_that_names_nothing_is_bound_only_when_it_is_the_only_one() {
    let (one, two) = (announced("one", None), announced("two", None));
    let before = seen("ecs-svc/1", 1);
    let alone = on_sighting(&new_primary(), Some(&before), &[&one], &service());
    assert!(matches!(&alone[..], [IntakeStep::Deliver(id, _)] if *id == one.id));
    let both = on_sighting(&new_primary(), Some(&before), &[&one, &two], &service());
    assert!(matches!(&both[..], [IntakeStep::Open(..), _]), "{both:?}");
}

#[test]
fn a_hook_that_comes_late_joins_the_watch_that_the_platform_began() {
    let guard = Guard::over(policy());
    let named = on_announcement(&announcement("gha-1", Some("api:2")), &[&guard.watch]);
    assert!(matches!(named, IntakeStep::Deliver(id, _) if id == guard.watch.id));
    let other = on_announcement(&announcement("gha-1", Some("api:9")), &[&guard.watch]);
    assert!(matches!(other, IntakeStep::Open(..)));
    let unnamed = on_announcement(&announcement("gha-1", None), &[&guard.watch]);
    assert!(matches!(unnamed, IntakeStep::Deliver(..)));
}

#[test]
fn a_hook_that_never_appears_ends_inconclusive_and_says_so() {
    let mut watch = announced("gha-1", None);
    let until = watch.next_wake().unwrap();
    assert_eq!(until, at(600));
    watch.handle(&Event::Woke, until).unwrap();
    assert!(watch.status_line().contains("never appeared"), "{}", watch.status_line());
}

#[test]
fn our_own_rollback_is_no_deployment_even_before_its_answer_is_known() {
    let mut guard = Guard::settled(policy());
    guard.breaks(40.0);
    let back = sighting(60, "ecs-svc/3", 1, RollOut::InProgress);
    let steps = on_sighting(&back, Some(&seen("ecs-svc/2", 2)), &[&guard.watch], &service());
    assert!(matches!(&steps[..], [IntakeStep::Deliver(_, e)] if matches!(**e, Event::Sighted(_))));
    guard.accepts(Route::UpdateService);
    let steps = on_sighting(&back, Some(&seen("ecs-svc/2", 2)), &[&guard.watch], &service());
    assert!(matches!(&steps[..], [IntakeStep::Deliver(..)]));
}

#[test]
fn a_return_to_the_former_revision_is_no_deployment() {
    let guard = Guard::settled(policy());
    let back = sighting(60, "ecs-svc/3", 1, RollOut::InProgress);
    let steps = on_sighting(&back, Some(&seen("ecs-svc/2", 2)), &[&guard.watch], &service());
    assert!(matches!(&steps[..], [IntakeStep::Deliver(_, e)] if matches!(**e, Event::Sighted(_))));
}

#[test]
fn a_newer_deployment_supersedes_and_inherits_what_was_never_clean() {
    let mut guard = Guard::with(policy(), RollbackSafe::No);
    guard.settle();
    let poison = guard.watch.poison();
    let unsafe_one = Some(Unsafe { version: "api:2".into(), by: None });
    let expected = Poison { clean_until: at(0), safe: RollbackSafe::No, unsafe_one };
    assert_eq!(poison, Some(expected));
    let mut newer = sighting(500, "ecs-svc/4", 4, RollOut::InProgress);
    newer.primary.created_at = at(490);
    let before = Seen { poison, ..seen("ecs-svc/2", 2) };
    let steps = on_sighting(&newer, Some(&before), &[&guard.watch], &service());
    let [IntakeStep::Deliver(_, event), IntakeStep::Open(deployment, _), IntakeStep::Deliver(..)] =
        &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert!(matches!(**event, Event::Superseded { .. }));
    assert_eq!(deployment.baseline_end, at(0), "guilt is not washed by deploying over it");
    assert_eq!(deployment.facts.rollback_safe, RollbackSafe::No);
}

#[test]
fn an_older_revision_that_somebody_puts_in_place_is_told_as_a_rollback_by_hand() {
    let by_hand = |number, id: &str| {
        let mut guard = Guard::over(policy());
        guard.watch.deployment.revision = Some(revision(5));
        guard.watch.deployment.source = Some(revision(4));
        let mut other = sighting(500, id, number, RollOut::InProgress);
        other.primary.created_at = at(490);
        let steps = on_sighting(&other, Some(&seen("ecs-svc/2", 5)), &[&guard.watch], &service());
        let IntakeStep::Deliver(_, event) = &steps[0] else { panic!("{steps:?}") };
        guard.take((**event).clone()).unwrap();
        (guard.said(), guard.watch.status_line())
    };
    let (said, status) = by_hand(3, "ecs-svc/6");
    assert!(
        said[0].starts_with("Somebody has rolled api api:5 in production back to api:3"),
        "{said:?}"
    );
    assert!(status.contains("somebody rolled back"), "{status}");
    let (said, status) = by_hand(6, "ecs-svc/6");
    assert_eq!((said.len(), status.as_str()), (0, "superseded by api:6 (ecs-svc/6)"));
}

#[test]
fn a_target_is_known_good_and_young_and_never_bad_or_the_judged_one() {
    let entry = |number, standing, second| crate::model::LedgerEntry {
        service: key(),
        revision: revision(number),
        standing,
        at: at(second),
        watch: None,
    };
    let day = 86400;
    let ledger = [
        entry(1, Standing::Good, 0),
        entry(2, Standing::Good, 5 * day),
        entry(3, Standing::Bad, 8 * day),
        entry(4, Standing::Presumed, 9 * day),
        entry(5, Standing::Good, 9 * day),
    ];
    let rule = policy().rollback;
    let targets = |judged, source: u32| -> Vec<String> {
        let source = revision(source);
        candidates(&rule, &ledger, &revision(judged), Some(&source), at(10 * day))
            .into_iter()
            .map(|candidate| candidate.revision.short().to_owned())
            .collect()
    };
    assert_eq!(targets(5, 2), ["api:2", "api:4"]);
    assert_eq!(targets(5, 3), ["api:2", "api:4"], "the source was found bad");
    assert_eq!(targets(5, 9), ["api:2", "api:4", "api:9"], "never watched: last");
    assert_eq!(targets(9, 2), ["api:2", "api:5", "api:4"], "of known-good ones, the source first");
}

#[test]
fn what_was_bad_without_digests_is_every_image_of_it_that_no_later_watch_saw_well() {
    let of = |number, digest: &str| crate::model::Revision {
        digests: (!digest.is_empty()).then(|| format!("api:latest@{digest}")).into_iter().collect(),
        ..revision(number)
    };
    let (bad, good) = (Standing::Bad, Standing::Good);
    let (provisional, presumed) = (Standing::Provisional, Standing::Presumed);
    // What was bad, what stands otherwise and since when: whether that may be a target.
    // The bad one was found at 100 s.
    let cases = [
        ("", ("fix", good, 200), true),
        ("", ("fix", provisional, 200), true),
        ("", ("fix", presumed, 200), false),
        ("", ("fix", good, 50), false),
        ("", ("fix", good, 100), false),
        ("", ("", good, 200), false),
        ("bug", ("", good, 200), false),
        ("bug", ("fix", presumed, 50), true),
        ("bug", ("bug", good, 200), false),
    ];
    let (rule, judged) = (policy().rollback, revision(2));
    for (found_bad, (digest, standing, second), may) in cases {
        let entry = |revision, standing, second| crate::model::LedgerEntry {
            service: key(),
            revision,
            standing,
            at: at(second),
            watch: None,
        };
        let target = of(1, digest);
        let ledger = [entry(of(1, found_bad), bad, 100), entry(target.clone(), standing, second)];
        // Known to the ledger, or what was in place before: the same holds.
        let found = candidates(&rule, &ledger, &judged, Some(&target), at(300));
        let found: Vec<_> = found.into_iter().map(|candidate| candidate.revision).collect();
        let expected = if may { vec![target] } else { Vec::new() };
        assert_eq!(found, expected, "bad {found_bad:?}, then {digest:?} {standing:?} at {second}");
    }
    // What was in place before and never watched proves nothing.
    let ledger = [crate::model::LedgerEntry {
        service: key(),
        revision: of(1, ""),
        standing: bad,
        at: at(100),
        watch: None,
    }];
    let found = candidates(&rule, &ledger, &judged, Some(&of(1, "fix")), at(300));
    assert_eq!(found, []);
}

#[test]
fn what_supersedes_is_called_by_the_version_that_was_announced() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(5, "ecs-svc/2", 2, RollOut::Completed));
    let mut fix = announced("fix", Some("api:3"));
    fix.deployment.facts.version = Some("v1.5.1".into());
    let primary = sighting(600, "ecs-svc/3", 3, RollOut::InProgress);
    let steps =
        on_sighting(&primary, Some(&seen("ecs-svc/2", 2)), &[&guard.watch, &fix], &service());
    let by = steps.iter().find_map(|step| match step {
        IntakeStep::Deliver(_, event) => match &**event {
            Event::Superseded { by, .. } => Some(by.clone()),
            _ => None,
        },
        IntakeStep::Adopt(_) | IntakeStep::Open(..) => None,
    });
    assert_eq!(by.as_deref(), Some("v1.5.1 (api:3, ecs-svc/3)"));
}

#[test]
fn an_announcement_waits_as_long_as_its_deployment_builds_and_what_is_live_stays_watched() {
    let live = Guard::over(policy()).watch;
    let mut waiting = announced("ci-7", None);
    let look = |second: i64, builds: bool| {
        let coming = sighting(second, "dep-9", 9, RollOut::InProgress).primary;
        let coming = PlatformDeployment { created_at: at(20), running: 0, ..coming };
        let coming = builds.then(|| Box::new(coming));
        Sighting { coming, ..sighting(second, "ecs-svc/2", 2, RollOut::Completed) }
    };
    let known = seen("ecs-svc/2", 2);
    let holds = |waiting: &Watch, look: &Sighting| {
        let steps = on_sighting(look, Some(&known), &[&live, waiting], &service());
        let ends = |step: &IntakeStep| matches!(step, IntakeStep::Deliver(_, event) if matches!(**event, Event::Superseded { .. }));
        assert!(!steps.iter().any(|step| matches!(step, IntakeStep::Open(..)) || ends(step)));
        steps.iter().any(|step| matches!(step, IntakeStep::Deliver(to, _) if *to == waiting.id))
    };
    assert!(!holds(&waiting, &look(200, true)), "it waits long enough still");
    assert!(!holds(&waiting, &look(540, false)), "nothing builds");
    for second in [540, 1_000, 1_500] {
        assert!(holds(&waiting, &look(second, true)), "{second}");
        waiting.handle(&Event::Sighted(Box::new(look(second, true))), at(second)).unwrap();
    }
    waiting.handle(&Event::Woke, at(1_600)).unwrap();
    assert!(waiting.is_open());
    assert!(!holds(&waiting, &look(3 * 3_600 + 21, true)), "not for ever");
    waiting.handle(&Event::Woke, at(2_101)).unwrap();
    assert!(!waiting.is_open());
}
