use super::*;
use crate::model::{Mode, RollOut, Route};
use crate::watch::tests::world::{Guard, at, policy, sighting};
use crate::watch::{Command, Press};

/// Takes the watch on, and says what spans the steps made, one list for all.
struct Told {
    guard: Guard,
    spans: Vec<Span>,
}

impl Told {
    fn of(guard: Guard) -> Self {
        Self { guard, spans: Vec::new() }
    }

    fn step(&mut self, take: impl FnOnce(&mut Guard)) {
        let before = self.guard.watch.clone();
        take(&mut self.guard);
        let now = at(self.guard.clock);
        self.spans.extend(spans(Some(&before), &self.guard.watch, now));
    }

    fn names(&self) -> Vec<&str> {
        self.spans.iter().map(|span| span.name.trim_start_matches("deployguard.")).collect()
    }

    fn named(&self, name: &str) -> &Span {
        let own = |span: &&Span| span.name == format!("deployguard.{name}");
        self.spans.iter().find(own).unwrap_or_else(|| panic!("no {name} in {:?}", self.names()))
    }

    fn text(&self, name: &str, key: &str) -> String {
        let found = self.named(name).attributes.iter().find(|one| one.key.as_str() == key);
        found.map(|one| one.value.to_string()).unwrap_or_default()
    }
}

#[test]
fn a_bad_deployment_is_one_trace_from_the_tick_to_the_recovery() {
    let mut told = Told::of(Guard::settled(policy()));
    for _ in 0..3 {
        told.step(|guard| guard.reads(40.0));
    }
    told.step(|guard| guard.accepts(Route::UpdateService));
    told.step(|guard| guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::InProgress)));
    told.step(|guard| guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed)));
    while told.guard.watch.is_open() {
        told.step(|guard| guard.reads(0.0));
    }
    let watch = told.guard.watch.id.clone();
    assert!(told.spans.iter().all(|span| span.trace == ids::of_watch(&watch)));
    let root = told.named("watch");
    assert_eq!((root.id, root.parent), (ids::root(&watch), None));
    assert_eq!(root.from, at(0));
    assert_eq!(told.text("watch", "deployguard.outcome"), "rolled_back");
    assert_eq!(told.text("watch", "deployment.status"), "failed");
    assert_eq!(told.text("watch", "deployment.environment.name"), "production");
    let decision = told.named("decide");
    assert_eq!(told.text("decide", "deployguard.decision"), "roll_back");
    let ticks = told.spans.iter().filter(|span| span.name == "deployguard.tick");
    let breach = ticks.clone().find(|tick| Some(tick.id) == decision.parent).unwrap();
    assert_eq!(breach.parent, Some(root.id));
    assert_eq!(breach.failed.as_deref(), Some("in breach: errors"));
    assert_eq!(told.text("watch", "error.type"), "rolled_back");
    assert!(!told.text("decide", "deployguard.decision.because").is_empty(), "the guard says why");
    assert_eq!(breach.until, decision.until);
    for child in ["settle", "recover"] {
        assert_eq!(told.named(child).parent, Some(decision.id), "{child}");
        assert_eq!(told.named(child).failed, None, "{child}");
    }
    assert_eq!(told.named("settle").until, told.named("recover").from);
    let all = told.names();
    let once = ["decide", "settle", "recover", "watch"];
    assert!(once.iter().all(|name| all.iter().filter(|one| one == &name).count() == 1), "{all:?}");
}

#[test]
fn a_day_of_health_is_a_span_for_its_first_tick_and_one_for_the_whole() {
    let mut told = Told::of(Guard::settled(policy()));
    while told.guard.watch.is_open() {
        told.step(|guard| guard.reads(0.0));
    }
    assert_eq!(told.names(), ["tick", "watch"]);
    assert_eq!(told.text("tick", "deployguard.verdicts.changed"), r#"["errors: none -> healthy"]"#);
    assert_eq!(told.text("watch", "deployment.status"), "succeeded");
    assert_eq!(told.named("watch").failed, None);
}

#[test]
fn what_would_have_been_done_is_told_as_such_and_once() {
    let policy = crate::policy::Policy { mode: Mode::Observe, ..policy() };
    let mut told = Told::of(Guard::settled(policy));
    for _ in 0..9 {
        told.step(|guard| guard.reads(40.0));
    }
    let decisions = told.names().iter().filter(|name| **name == "decide").count();
    assert_eq!(decisions, 1, "{:?}", told.names());
    assert_eq!(told.text("decide", "deployguard.decision"), "roll_back");
    assert_eq!(told.text("decide", "deployguard.decision.would"), "true");
}

#[test]
fn a_rollback_that_is_given_up_fails_the_span_that_it_was_in() {
    let mut told = Told::of(Guard::settled(policy()));
    for _ in 0..3 {
        told.step(|guard| guard.reads(40.0));
    }
    told.step(|guard| guard.accepts(Route::UpdateService));
    told.step(|guard| guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Failed)));
    let settle = told.named("settle");
    let why = settle.failed.as_deref().unwrap();
    assert!(why.starts_with("the platform could not place the target"), "{why}");
    assert!(!told.names().contains(&"recover"));
}

/// What `dana` has done is told, and neither that she did it nor what she wrote.
#[test]
fn people_and_what_they_write_are_not_told() {
    let press = |command| Press::new(command, "dana", Some("exam week".to_owned()));
    let mut asked = Told::of(Guard::settled(policy()));
    asked.step(|guard| guard.take_press(press(Command::Rollback)).unwrap());
    assert_eq!(asked.text("decide", "deployguard.decision.by"), "person");
    let mut cancelled = Told::of(Guard::settled(policy()));
    cancelled.step(|guard| guard.take_press(press(Command::Cancel)).unwrap());
    assert_eq!(cancelled.text("watch", "deployguard.outcome"), "cancelled");
    for told in [asked, cancelled] {
        let all = format!("{:?}", told.spans);
        assert!(!all.contains("dana") && !all.contains("exam week"), "{all}");
    }
}
