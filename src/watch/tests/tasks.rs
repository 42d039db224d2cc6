//! What looks at the tasks prove, and what they don't.

use super::world::{Guard, at, policy, service, sighting};
use crate::model::{RollOut, Sighting, Unusable};
use crate::watch::{IntakeStep, on_sighting};

/// A look at the judged deployment with so many of so many tasks.
fn look(second: i64, running: u32, desired: u32) -> Sighting {
    let mut look = sighting(second, "ecs-svc/2", 2, RollOut::Completed);
    (look.primary.running, look.primary.desired) = (running, desired);
    look
}

/// A deployment that answered for a minute, and that nothing is heard of since.
fn silent() -> Guard {
    let mut guard = Guard::settled(policy());
    guard.sees(look(30, 4, 4));
    guard.lives(0.0, 60);
    guard
}

/// Ten minutes of silence, with a look like `at_tick` before each sample.
fn goes_on(guard: &mut Guard, look_at: impl Fn(i64) -> Option<(u32, u32)>) {
    for _ in 0..60 {
        let second = guard.clock + 5;
        if let Some((running, desired)) = look_at(second) {
            sees_if_new(guard, &look(second, running, desired));
        }
        guard.reads_as(Err(Unusable::Empty));
    }
}

/// As intake does it.
fn sees_if_new(guard: &mut Guard, look: &Sighting) {
    for step in on_sighting(look, None, &[&guard.watch.clone()], &service()) {
        if let IntakeStep::Deliver(_, event) = step {
            guard.take(*event).unwrap();
        }
    }
}

fn is_guilty(guard: &Guard) -> bool {
    guard.watch.has_open_incident()
}

#[test]
fn silence_with_its_tasks_gone_is_answered_and_replays_exactly() {
    let mut guard = silent();
    goes_on(&mut guard, |_| Some((0, 4)));
    assert!(is_guilty(&guard));
    let evidence = guard.watch.incident.as_ref().unwrap().evidence.join("; ");
    assert!(evidence.contains("no requests measured since"), "{evidence}");
    assert!(evidence.contains("0 of 4 tasks running"), "{evidence}");
    assert_eq!(guard.replayed(), guard.watch);
}

#[test]
fn silence_with_its_tasks_in_place_is_told_and_no_guilt() {
    let mut guard = silent();
    goes_on(&mut guard, |_| Some((4, 4)));
    assert!(!is_guilty(&guard));
    assert!(guard.said()[0].contains("can't be judged"), "{:?}", guard.said());
}

#[test]
fn a_scale_in_to_nothing_a_slow_scale_out_and_one_task_of_four_prove_nothing() {
    for (running, desired) in [(0, 0), (4, 12), (3, 4)] {
        let mut guard = silent();
        goes_on(&mut guard, |_| Some((running, desired)));
        assert!(!is_guilty(&guard), "{running} of {desired}");
    }
}

#[test]
fn a_scale_in_is_forgotten_when_tasks_are_gone_after_it() {
    let mut guard = silent();
    guard.sees(look(80, 1, 1));
    goes_on(&mut guard, |_| Some((1, 4)));
    assert!(!is_guilty(&guard), "one was in service, and one is");
}

#[test]
fn tasks_that_start_and_die_again_and_again_are_gone() {
    let mut guard = silent();
    goes_on(&mut guard, |second| Some((if second / 10 % 4 == 0 { 4 } else { 0 }, 4)));
    assert!(is_guilty(&guard));
}

#[test]
fn tasks_that_are_back_for_a_minute_are_back() {
    let mut guard = silent();
    goes_on(&mut guard, |second| Some((if second < 250 { 0 } else { 4 }, 4)));
    assert!(!is_guilty(&guard), "gone for less than three minutes");
}

#[test]
fn a_platform_that_is_no_longer_seen_proves_nothing() {
    let mut guard = silent();
    // The look fails from here on; the traffic ends three minutes later.
    guard.sees(look(95, 0, 4));
    guard.lives(0.0, 180);
    goes_on(&mut guard, |_| None);
    assert!(!is_guilty(&guard));
}

#[test]
fn a_look_that_shows_nothing_new_is_taken_in_while_tasks_are_gone_once_a_minute() {
    let mut guard = silent();
    goes_on(&mut guard, |_| Some((4, 4)));
    let before = guard.journal.len();
    (0..30).for_each(|i| sees_if_new(&mut guard, &look(1000 + i * 10, 0, 4)));
    assert_eq!(guard.journal.len() - before, 5, "in five minutes");
    assert_eq!(guard.watch.sighting.as_ref().unwrap().at, at(1240));
}
