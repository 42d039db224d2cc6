//! Scheduled jobs: their next run may be a day away.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::world::{Guard, at, counts, policy, sighting};
use crate::model::{Measurement, Outcome, RollOut, Route, Severity};
use crate::policy::{Bound, Check, Heartbeat, Limit, Measure, Policy, Side, Stated, Unit};
use crate::watch::{Event, Sampled, Tick};

fn nightly() -> Policy {
    let mut policy = policy();
    let bound = Bound { side: Side::AtLeast, value: 1.0, unit: Unit::Failures };
    let job = Heartbeat {
        job: "nightly".into(),
        schedule: "0 3 * * *".into(),
        time_zone: "UTC".into(),
        late: SignedDuration::from_mins(10),
        misses: 1,
    };
    let check = Check {
        name: "nightly".into(),
        measure: Measure::Status { of: Stated::Heartbeat(Box::new(job)) },
        breach: BTreeMap::from([(Severity::Sev1, Limit { bound, hold: None })]),
        normal: None,
        ..policy.checks[0].clone()
    };
    policy.checks.push(check);
    policy
}

/// Ten seconds pass: `bad` errors of 100, and a job that ran last well or not.
fn reads(guard: &mut Guard, bad: f64, is_well: bool) {
    guard.clock += 10;
    let job = BTreeMap::from([("{}".to_owned(), f64::from(u8::from(is_well)))]);
    let readings = BTreeMap::from([
        ("errors".to_owned(), counts(bad)),
        ("nightly".to_owned(), Ok(Measurement::Gauge { values: job })),
    ]);
    let latest = Tick { readings, ..Tick::at(at(guard.clock)) };
    let _ = guard.take(Event::Sampled(Box::new(Sampled::of(latest))));
}

#[test]
fn a_rollback_for_a_job_has_recovered_when_all_that_can_be_seen_now_is_well() {
    let mut guard = Guard::settled(nightly());
    while !guard.wants_rollback() {
        assert!(guard.clock < 600, "{:?}", guard.said());
        reads(&mut guard, 0.0, false);
    }
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    let back = guard.clock;
    // The job's next run is a day away: it stays as it was.
    while guard.watch.is_open() {
        assert!(guard.clock < back + 600, "{:?}", guard.said());
        reads(&mut guard, 0.0, false);
    }
    assert_eq!(guard.watch.outcome(), Some(Outcome::RolledBack));
    let said = format!("{:?}", guard.notices);
    assert!(said.contains("nightly: the next run tells"), "{said}");
}
