//! The invariants of the design, over random orders of events.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::world::{Guard, policy, revision, sighting};
use crate::model::{
    ActFailure, Acted, Inspection, Mode, RollOut, RollbackSafe, Route, Unusable, Verdict,
};
use crate::policy::Policy;
use crate::watch::{Actor, Ceiling, Command, Event, RunStep, Stage, Want};

/// One thing that may happen next.
#[derive(Debug, Clone)]
enum Happens {
    Reads(u8),
    NoData,
    Waits(u16),
    Sees { id: u8, number: u8, roll_out: u8, native: bool },
    Target(bool),
    Pressed(u8),
    CeilingSet(u8),
    Answers(u8),
    Superseded,
}

fn anything() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => prop_oneof![Just(0_u8), Just(5), Just(40), 0..=100_u8].prop_map(Happens::Reads),
        2 => Just(Happens::NoData),
        2 => (0..2000_u16).prop_map(Happens::Waits),
        4 => (1..5_u8, 1..4_u8, 0..3_u8, any::<bool>()).prop_map(
            |(id, number, roll_out, native)| Happens::Sees { id, number, roll_out, native }
        ),
        1 => any::<bool>().prop_map(Happens::Target),
        2 => (0..4_u8).prop_map(Happens::Pressed),
        1 => (0..3_u8).prop_map(Happens::CeilingSet),
        3 => (0..5_u8).prop_map(Happens::Answers),
        1 => Just(Happens::Superseded),
    ]
}

/// What must hold is held against what has been seen so far.
#[derive(Default)]
struct Seen {
    accepted: bool,
    judged_bad: bool,
    pressed: bool,
}

fn happen(guard: &mut Guard, what: &Happens, seen: &mut Seen) {
    let event = match what {
        Happens::Reads(bad) => return guard.reads(f64::from(*bad)),
        Happens::NoData => return guard.reads_as(Err(Unusable::Empty)),
        Happens::Waits(seconds) => return guard.waits(i64::from(*seconds)),
        Happens::Sees { id, number, roll_out, native } => {
            let roll_out =
                [RollOut::InProgress, RollOut::Completed, RollOut::Failed][usize::from(*roll_out)];
            let id = format!("ecs-svc/{id}");
            let mut seen = sighting(guard.clock, &id, u32::from(*number), roll_out);
            seen.native_rollback = native.then(|| "circuit breaker".to_owned());
            Event::Sighted(Box::new(seen))
        }
        Happens::Target(found) => Event::Inspected {
            target: if *found { Ok((revision(1), "known".into())) } else { Err("none".into()) },
            inspection: Inspection::default(),
        },
        Happens::Pressed(command) => {
            let command = [Command::Ack, Command::Hold, Command::Rollback, Command::Cancel]
                [usize::from(*command)];
            let pressed = guard.presses(command);
            seen.pressed |= pressed.is_ok() && command == Command::Rollback;
            return;
        }
        Happens::CeilingSet(mode) => {
            let mode = [Mode::Observe, Mode::Ask, Mode::Auto][usize::from(*mode)];
            Event::CeilingChanged(Ceiling { mode, because: None })
        }
        Happens::Answers(answer) => {
            let result = match answer {
                0 | 1 => Ok(Acted {
                    deployment: Some("ecs-svc/3".into()),
                    ..Acted::by(Route::UpdateService)
                }),
                2 => Err(ActFailure::Transient("time-out".into())),
                3 => Err(ActFailure::Refused("brakes".into())),
                _ => Err(ActFailure::Permanent("denied".into())),
            };
            let accepted = result.is_ok();
            let taken = guard.take(Event::Acted(result)).is_ok();
            seen.accepted |= accepted && taken;
            return;
        }
        Happens::Superseded => Event::Superseded { by: "api:3".into(), older: false },
    };
    let _ = guard.take(event);
}

fn holds(guard: &Guard, safe: RollbackSafe, seen: &mut Seen) -> Result<(), TestCaseError> {
    let watch = &guard.watch;
    let breached = |state: &crate::judge::CheckState| state.verdict() == Some(Verdict::Breach);
    seen.judged_bad |= watch.checks.values().any(breached);
    let wants: Vec<_> = guard
        .wants()
        .into_iter()
        .filter_map(|want| match want {
            Want::RollBack { plan, attended, .. } => Some((plan, attended)),
            Want::Sample { .. }
            | Want::Baseline { .. }
            | Want::Inspect
            | Want::ReadLog(_)
            | Want::Shift(_)
            | Want::LeaveMaintenance(_) => None,
        })
        .collect();
    prop_assert!(wants.len() <= 1, "one rollback at a time");
    if let Some((plan, attended)) = wants.first() {
        prop_assert!(!seen.accepted, "1: a second rollback of a deployment");
        prop_assert!(seen.judged_bad || seen.pressed, "3: a rollback without a breach or a person");
        prop_assert!(!plan.target.same_as(&plan.judged_revision), "4: the judged one as target");
        prop_assert!(watch.ceiling.mode != Mode::Observe, "observe does nothing");
        if !attended {
            prop_assert!(watch.ceiling.mode == Mode::Auto, "only auto acts by itself");
            prop_assert!(safe == RollbackSafe::Yes, "6: not announced as safe");
        }
    }
    if !watch.is_open() {
        prop_assert!(guard.wants().is_empty() && watch.next_wake().is_none(), "2: acts when over");
    }
    let now = super::world::at(guard.clock);
    if watch.next_wake().is_some_and(|wake| wake <= now) {
        let mut woken = watch.clone();
        // What a wake leads to may want another one, but not without end.
        for _ in 0..4 {
            let _ = woken.handle(&Event::Woke, now);
        }
        let again = woken.next_wake().is_some_and(|wake| wake <= now);
        prop_assert!(!again, "10: wakes for ever in {:?}", watch.stage);
    }
    if let Stage::RollingBack(run) = &watch.stage
        && run.by == Actor::Platform
    {
        prop_assert!(!matches!(run.step, RunStep::Acting { .. }), "5: fights the platform");
    }
    prop_assert_eq!(guard.notice_keys().len(), guard.notices.len(), "8: a message said twice");
    Ok(())
}

fn story(safe: RollbackSafe, mode: Mode, events: &[Happens]) -> Result<(), TestCaseError> {
    let mut guard = Guard::with(Policy { mode, ..policy() }, safe);
    guard.settle();
    let mut seen = Seen::default();
    for event in events {
        happen(&mut guard, event, &mut seen);
        holds(&guard, safe, &mut seen)?;
    }
    prop_assert_eq!(&guard.replayed(), &guard.watch, "7: the journal tells another story");
    let text =
        serde_json::to_string(&guard.watch).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let read = serde_json::from_str(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(&guard.watch, &read, "8: a restart forgets something");
    Ok(())
}

/// `DEPLOYGUARD_SEED` repeats a run; otherwise each run draws its own and prints it.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let number = std::env::var("DEPLOYGUARD_SEED").map_or_else(
        |_| {
            u64::from(std::process::id())
                ^ u64::from(std::time::Instant::now().elapsed().subsec_nanos())
        },
        |text| text.parse().expect("DEPLOYGUARD_SEED is a number"),
    );
    seed[..8].copy_from_slice(&number.to_le_bytes());
    println!("DEPLOYGUARD_SEED={number}");
    seed
}

#[test]
fn the_invariants_hold_in_any_order_of_events() {
    let config = Config { cases: 3000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed());
    let mut runner = TestRunner::new_with_rng(config, rng);
    let safe = prop_oneof![
        3 => Just(RollbackSafe::Yes),
        1 => Just(RollbackSafe::No),
        1 => Just(RollbackSafe::Unknown),
    ];
    let mode = prop_oneof![1 => Just(Mode::Observe), 1 => Just(Mode::Ask), 4 => Just(Mode::Auto)];
    let events = proptest::collection::vec(anything(), 1..60);
    runner.run(&(safe, mode, events), |(safe, mode, events)| story(safe, mode, &events)).unwrap();
}
