//! Reports of incidents of every kind.

use jiff::{SignedDuration, Timestamp};

use super::report;
use crate::model::{ActFailure, Facts, Inspection, Mode, Outcome, RollOut, RollbackSafe, Route};
use crate::policy::Policy;
use crate::watch::tests::world::{Guard, policy, revision, sighting};
use crate::watch::{Command, Event, Press, tell};

fn told(guard: &Guard) -> String {
    report(&tell(&guard.journal, None).unwrap())
}

/// Announced by a pipeline, and settled.
fn announced(policy: Policy, facts: Facts) -> Guard {
    let mut guard = Guard::over(policy);
    let Some((_, Event::Opened { deployment, .. })) = guard.journal.first_mut() else {
        panic!("a journal begins with `opened`");
    };
    deployment.facts = facts.clone();
    guard.watch.deployment.facts = facts;
    guard.settle();
    guard
}

fn facts() -> Facts {
    Facts {
        version: Some("v1.5.0".into()),
        commit: Some("4f1c2aa".into()),
        author: Some("dana".into()),
        url: Some("https://ci.example/run/18231".into()),
        rollback_safe: RollbackSafe::Yes,
        announced_by: Some("ci".into()),
        ..Facts::default()
    }
}

/// Breaks until something is done.
fn burns(guard: &mut Guard, bad: f64) {
    let open = |guard: &Guard| guard.watch.has_open_incident();
    for _ in 0..60 {
        if open(guard) {
            return;
        }
        guard.reads(bad);
    }
    panic!("it never broke: {:?}", guard.said());
}

fn recovers(guard: &mut Guard) {
    guard.clock += 1;
    guard.accepts(Route::UpdateService);
    guard.reads(41.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::InProgress));
    guard.reads(23.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    guard.lives(0.0, 60);
}

fn presses(guard: &mut Guard, command: Command, why: &str) {
    let press = Press::new(command, "kim", Some(why.to_owned()));
    guard.take_press(press).unwrap();
}

#[test]
fn a_sev1_that_was_rolled_back() {
    let mut guard = announced(policy(), facts());
    guard.lives(0.0, 120);
    burns(&mut guard, 40.0);
    recovers(&mut guard);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    insta::assert_snapshot!(told(&guard));
}

#[test]
fn a_sev2_that_people_were_asked_about_held_and_rolled_back() {
    let mut guard = announced(policy(), Facts { rollback_safe: RollbackSafe::Unknown, ..facts() });
    guard.lives(0.0, 120);
    burns(&mut guard, 5.0);
    presses(&mut guard, Command::Ack, "looking");
    guard.lives(5.0, 120);
    presses(&mut guard, Command::Hold, "a fix is being built");
    guard.lives(5.0, 300);
    presses(&mut guard, Command::Rollback, "the fix does not help");
    recovers(&mut guard);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    insta::assert_snapshot!(told(&guard));
}

#[test]
fn a_rollback_that_failed_of_a_deployment_with_a_migration() {
    let mut guard = announced(policy(), facts());
    burns(&mut guard, 40.0);
    let refused = ActFailure::Permanent("AccessDenied: ecs:UpdateService".into());
    guard.take(Event::Acted(Err(refused))).unwrap();
    for _ in 0..400 {
        guard.reads(40.0);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RollbackFailed));
    insta::assert_snapshot!(told(&guard));
}

#[test]
fn what_mode_observe_would_have_done() {
    let policy = Policy { mode: Mode::Observe, ..policy() };
    let mut guard = announced(policy, Facts { rollback_safe: RollbackSafe::No, ..facts() });
    guard.lives(0.0, 120);
    burns(&mut guard, 40.0);
    guard.lives(40.0, 120);
    guard.lives(0.0, 300);
    assert!(!guard.watch.has_open_incident(), "{:?}", guard.said());
    insta::assert_snapshot!(told(&guard));
}

#[test]
fn what_ecs_undid_by_itself() {
    let mut guard = announced(policy(), facts());
    guard.lives(0.0, 60);
    burns(&mut guard, 5.0);
    let mut seen = sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed);
    seen.native_rollback = Some("the circuit breaker opened".into());
    guard.sees(seen);
    guard.lives(0.0, 90);
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    let told = told(&guard);
    assert!(told.contains("the platform, or somebody outside the guard"), "{told}");
    assert!(told.contains("ECS rolled back by itself: the circuit breaker opened"), "{told}");
}

#[test]
fn what_is_not_this_deployments_doing_says_whose_it_is() {
    use crate::judge::Rival;
    let mut guard = announced(policy(), facts());
    let rival = Rival {
        service: "payments".into(),
        deployment: "v9".into(),
        in_service_at: Timestamp::from_second(1_700_000_100).unwrap(),
        ln_e: 90.0,
        rise: 500.0,
        since: Timestamp::from_second(1_700_000_110).ok(),
        needed: true,
    };
    guard.lives(0.0, 60);
    for _ in 0..30 {
        guard.clock += 10;
        let mut sampled = guard.sample(40.0);
        sampled.rivals = vec![rival.clone()];
        let _ = guard.take(Event::Sampled(Box::new(sampled)));
    }
    let incident = guard.watch.incident.as_ref().unwrap();
    assert!(incident.excused.is_some(), "{incident:?}");
    insta::assert_snapshot!(told(&guard));
}

#[test]
fn the_same_journal_is_the_same_report_to_the_byte() {
    let mut guard = announced(policy(), facts());
    burns(&mut guard, 40.0);
    recovers(&mut guard);
    assert_eq!(told(&guard), told(&guard));
    let text = serde_json::to_string(&guard.journal).unwrap();
    let again: Vec<(Timestamp, Event)> = serde_json::from_str(&text).unwrap();
    assert_eq!(report(&tell(&again, None).unwrap()), told(&guard), "as the store gives it back");
}

#[test]
fn a_story_ends_where_it_is_told_to() {
    let mut guard = announced(policy(), facts());
    burns(&mut guard, 40.0);
    let until = guard.journal.last().unwrap().0;
    let then = told(&guard);
    recovers(&mut guard);
    assert_ne!(told(&guard), then);
    assert_eq!(report(&tell(&guard.journal, Some(until)).unwrap()), then);
    let later = until + SignedDuration::from_millis(1);
    assert_eq!(report(&tell(&guard.journal, Some(later)).unwrap()), then);
}

#[test]
fn hostile_names_are_only_shown() {
    let hostile = "v1 | <script>alert(1)</script> `x`\n\n# Owned ![p](http://e/x.png)";
    let mut policy = policy();
    policy.checks[0].name = hostile.into();
    let facts = Facts {
        version: Some(hostile.into()),
        author: Some(hostile.into()),
        url: Some("javascript:alert(1)".into()),
        ..facts()
    };
    let mut guard = announced(policy, facts);
    for _ in 0..6 {
        guard.clock += 10;
        let mut sampled = guard.sample(40.0);
        let reading = sampled.latest.readings.remove("errors").unwrap();
        sampled.latest.readings.insert(hostile.into(), reading);
        let _ = guard.take(Event::Sampled(Box::new(sampled)));
    }
    let told = told(&guard);
    assert!(guard.watch.incident.is_some(), "{told}");
    for bad in ["<script", " `x`", "\n# Owned", "![p](", "](javascript"] {
        let bare = told.match_indices(bad).filter(|(at, _)| !told[..*at].ends_with('\\'));
        assert_eq!(bare.count(), 0, "{bad:?} in\n{told}");
    }
    let rows = told.lines().filter(|line| line.starts_with("| ") && line.contains("Owned"));
    for row in rows {
        let unescaped = row.replace("\\|", "");
        let columns = unescaped.matches('|').count();
        assert!([3, 5, 8].contains(&columns), "{columns} in {row}");
    }
}

#[test]
fn a_watch_without_an_incident_has_a_report_too() {
    let mut guard = announced(policy(), facts());
    guard.lives(0.0, 60);
    let told = told(&guard);
    assert!(told.contains("No incident. watching"), "{told}");
    assert!(told.contains("No check was in breach."), "{told}");
}

#[test]
fn an_inspection_that_finds_no_target_is_told() {
    let mut guard = Guard::over(policy());
    guard.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
    let target = Err("nothing was here before".to_owned());
    guard.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
    let told = told(&guard);
    assert!(told.contains("It could not have been rolled back: nothing was here"), "{told}");
    assert!(!told.contains(revision(1).short()) || told.contains("before it"), "{told}");
}
