//! What is said at GitHub while a deployment is watched.

use super::world::{Guard, policy, sighting};
use crate::model::{Body, GitHubNote, MarkState, Revert, RevertWish, RollOut, Route};
use crate::policy::Policy;
use crate::watch::{Command, Event};

const COMMIT: &str = "4f1c2aa";

fn watched(policy: Policy) -> Guard {
    let mut guard = Guard::over(policy);
    guard.watch.github.repository = Some("acme/shopflow".into());
    guard.watch.deployment.facts.commit = Some(COMMIT.into());
    guard.settle();
    guard
}

fn marks(guard: &Guard) -> Vec<(MarkState, String)> {
    let of = |body: &Body| match body {
        Body::GitHub(note) => match &**note {
            GitHubNote::Mark(mark) => Some((mark.state, mark.words.clone())),
            GitHubNote::Revert(_) => None,
        },
        Body::Card(_) | Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } => None,
    };
    guard.notices.iter().filter_map(|notice| of(&notice.body)).collect()
}

fn wishes(guard: &Guard) -> Vec<RevertWish> {
    let of = |body: &Body| match body {
        Body::GitHub(note) => match &**note {
            GitHubNote::Revert(wish) => Some(wish.clone()),
            GitHubNote::Mark(_) => None,
        },
        Body::Card(_) | Body::Reply(_) | Body::Signal { .. } | Body::Files { .. } => None,
    };
    guard.notices.iter().filter_map(|notice| of(&notice.body)).collect()
}

fn is_rolled_back(guard: &mut Guard) {
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::InProgress));
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    while guard.watch.is_open() {
        guard.reads(0.0);
    }
}

#[test]
fn a_good_deployment_is_pending_with_each_phase_and_a_success_only_at_its_end() {
    let mut guard = watched(policy());
    while guard.watch.is_open() {
        guard.reads(0.0);
    }
    let said = marks(&guard);
    let (last, before) = said.split_last().unwrap();
    assert_eq!(last.0, MarkState::Passed, "{said:?}");
    assert!(before.iter().all(|(state, _)| *state == MarkState::Watched), "{said:?}");
    for phase in ["immediate phase until", "short-term phase until"] {
        assert_eq!(before.iter().filter(|(_, words)| words.contains(phase)).count(), 1, "{said:?}");
    }
    assert!(said.len() <= 4, "no mark where nothing has changed: {said:?}");
}

#[test]
fn a_rollback_is_a_failure_with_its_reason_from_the_decision_on() {
    let mut guard = watched(policy());
    is_rolled_back(&mut guard);
    let said = marks(&guard);
    let first = said.iter().position(|(state, _)| *state == MarkState::Failed).unwrap();
    assert!(said[first].1.starts_with("rolling back to api:1: errors "), "{said:?}");
    assert!(said[first..].iter().all(|(state, _)| *state == MarkState::Failed), "{said:?}");
    assert!(said.last().unwrap().1.starts_with("rolled back: errors "), "{said:?}");
    assert_eq!(wishes(&guard), [], "the policy asks for none");
}

#[test]
fn whoever_mends_the_code_is_told_once_where_the_policy_says_so() {
    let mut reverting = policy();
    reverting.notify.github.revert = Revert::Issue;
    let mut guard = watched(reverting.clone());
    is_rolled_back(&mut guard);
    let [wish] = wishes(&guard).try_into().unwrap();
    assert!(wish.title.starts_with("api "), "{}", wish.title);
    assert!(wish.title.contains(" was rolled back: errors "), "{}", wish.title);

    let mut guard = watched(reverting);
    while guard.watch.is_open() {
        guard.reads(0.0);
    }
    assert_eq!(wishes(&guard), [], "nothing was rolled back");
}

#[test]
fn what_was_not_judged_to_the_end_is_no_success_and_no_failure() {
    let mut guard = watched(policy());
    guard.presses(Command::Cancel).unwrap();
    let (state, words) = marks(&guard).pop().unwrap();
    assert_eq!(state, MarkState::Undecided);
    assert!(words.starts_with("not judged: ") && words.contains("dana"), "{words}");

    let mut guard = watched(policy());
    guard.take(Event::Superseded { by: "v2".into(), older: false }).unwrap();
    let (state, words) = marks(&guard).pop().unwrap();
    assert_eq!(state, MarkState::Superseded);
    assert!(words.starts_with("not judged: ") && words.contains("v2"), "{words}");
}

#[test]
fn nothing_is_said_without_a_repository_without_a_commit_or_where_the_policy_forbids_it() {
    let mut silent = policy();
    silent.notify.github.statuses = false;
    assert_eq!(marks(&watched(silent)), []);
    assert_eq!(marks(&Guard::settled(policy())), [], "no repository");
    let mut guard = Guard::over(policy());
    guard.watch.github.repository = Some("acme/shopflow".into());
    guard.settle();
    assert_eq!(marks(&guard), [], "no commit");
}
