//! Beside another deployment of the same time that fits better.

use std::collections::{BTreeMap, BTreeSet};

use super::escalate::{heard, ladder};
use super::world::{Guard, at, counts, policy};
use crate::judge::Rival;
use crate::model::Turn;
use crate::watch::{Event, Sampled, Tick};

fn reads_beside(guard: &mut Guard, bad: f64, rivals: &[Rival]) {
    guard.clock += 10;
    let readings = BTreeMap::from([("errors".to_owned(), counts(bad))]);
    let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
    let (earlier, born) = (Vec::new(), BTreeSet::new());
    let sampled = Sampled { earlier, born, rivals: rivals.to_vec(), ..Sampled::of(latest) };
    guard.take(Event::Sampled(Box::new(sampled))).unwrap();
}

/// Surely changed, and at the same time.
fn fits_better() -> Rival {
    Rival {
        service: "db".into(),
        deployment: "v7".into(),
        in_service_at: at(0),
        ln_e: 200.0,
        rise: 1e6,
        since: Some(at(40)),
        needed: false,
    }
}

#[test]
fn a_deployment_excused_because_another_fits_better_stays_excused_at_the_next_sample() {
    let mut guard = Guard::settled(policy());
    let rivals = [fits_better()];
    for _ in 0..3 {
        assert!(guard.watch.rival().is_some(), "a candidate like any other");
        reads_beside(&mut guard, 40.0, &rivals);
    }
    for _ in 0..10 {
        let excused = guard.watch.incident.as_ref().and_then(|found| found.excused.as_deref());
        assert!(excused.is_some_and(|why| why.contains("db")), "{excused:?}");
        assert!(guard.watch.rival().is_none(), "what is not its doing is nobody's rival");
        assert!(!guard.wants_rollback(), "at {}", guard.clock);
        reads_beside(&mut guard, 40.0, &rivals);
    }
    reads_beside(&mut guard, 40.0, &[]);
    assert!(guard.wants_rollback(), "with the other one gone it is the deployment's doing");
}

#[test]
fn what_lasts_though_it_is_not_its_doing_is_opened_elsewhere_once() {
    let mut guard = Guard::settled(ladder());
    let rivals = [fits_better()];
    for _ in 0..70 {
        reads_beside(&mut guard, 5.0, &rivals);
        guard.waits(0);
    }
    assert!(guard.watch.pending.is_some(), "people are asked by now: {:?}", guard.said());
    assert_eq!(heard(&guard, "webhook:audit"), [Turn::Opened]);
    assert_eq!(heard(&guard, "pagerduty:oncall"), [Turn::Opened]);
}
