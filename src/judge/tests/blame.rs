//! Whose doing a breach is.

use super::*;
use crate::judge::{Blame, OLD_REVISION};

fn blame(play: &Play) -> Option<Blame> {
    play.state.last.as_ref().unwrap().blame.clone()
}

#[test]
fn with_a_quiet_control_it_is_the_deployments_doing() {
    let mut play = Play::of(error_rate()).after(quiet).beside("search", Role::Peer, quiet);
    play.control_sees("search", counts(0.0, 100.0));
    assert_eq!(play.breaches_at(10, &counts(50.0, 100.0)), Some(3), "and it costs no time");
    assert_eq!(blame(&play), Some(Blame::Deployment));
}

#[test]
fn what_was_not_deployed_breaks_as_well() {
    let mut play = Play::of(error_rate()).after(quiet).beside("search", Role::Peer, quiet);
    play.control_sees("search", counts(40.0, 100.0));
    let judgement = play.sees_often(10, &counts(40.0, 100.0));
    assert_eq!(judgement.verdict, Verdict::Breach, "people hear of it all the same");
    assert!(matches!(blame(&play), Some(Blame::Shared { with, .. }) if with == "search"));
    assert!(judgement.reason.contains("not this deployment's doing: search"));
}

#[test]
fn the_old_revision_breaks_as_well() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(10, &arms((40.0, 100.0), (40.0, 100.0)));
    assert!(matches!(blame(&play), Some(Blame::Shared { with, .. }) if with == OLD_REVISION));
}

#[test]
fn a_control_that_broke_and_is_gone_excuses_still() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(10, &arms((40.0, 100.0), (40.0, 100.0)));
    for _ in 0..20 {
        let judgement = play.sees(counts(40.0, 100.0));
        assert_ne!(judgement.blame, Some(Blame::Deployment), "{}", judgement.reason);
    }
}

#[test]
fn a_dependency_that_broke_first_is_named() {
    let needs = |play: Play| play.beside("database", Role::Dependency, quiet);
    let mut play = needs(Play::of(error_rate()).after(quiet));
    play.control_sees("database", counts(60.0, 100.0));
    play.sees_often(3, &quiet(1));
    play.sees_often(20, &counts(60.0, 100.0));
    assert!(
        matches!(blame(&play), Some(Blame::Dependency { service, .. }) if service == "database"),
        "{:?}",
        play.state.last
    );
    let mut play = needs(Play::of(error_rate()).after(quiet));
    play.control_sees("database", counts(0.0, 100.0));
    play.sees_often(6, &counts(60.0, 100.0));
    assert_eq!(blame(&play), Some(Blame::Deployment), "it is well");
    play.control_sees("database", counts(60.0, 100.0));
    play.sees_often(4, &counts(60.0, 100.0));
    let blame = blame(&play);
    assert!(!matches!(blame, Some(Blame::Dependency { .. })), "it broke later: {blame:?}");
}

#[test]
fn what_was_bad_already_is_not_the_deployments_doing() {
    let mut check = error_rate();
    check.breach.values_mut().for_each(|limit| limit.hold = Some(SignedDuration::from_mins(1)));
    let usual = counts(3.0, 100.0);
    let mut play = Play::of(check).after(|_| counts(3.0, 100.0));
    let judgement = play.sees_often(20, &usual);
    assert_eq!(judgement.blame, Some(Blame::Before { since: None }), "{}", judgement.reason);
}

#[test]
fn what_had_begun_before_says_since_when() {
    let mut check = error_rate();
    check.breach.values_mut().for_each(|limit| limit.hold = Some(SignedDuration::from_mins(1)));
    let broken = |i: i64| if i >= 220 { counts(20.0, 100.0) } else { quiet(i) };
    let mut play = Play::of(check).after(broken);
    play.sees_often(20, &counts(20.0, 100.0));
    let Some(Blame::Before { since: Some(since) }) = blame(&play) else {
        panic!("{:?}", play.state.last)
    };
    assert_eq!(since, at(-19 * 15), "its first bad sample");
}

#[test]
fn much_worse_than_it_was_is_the_deployments_doing() {
    let mut play = Play::of(error_rate()).after(|_| counts(3.0, 100.0));
    play.sees_often(20, &counts(30.0, 100.0));
    assert_eq!(blame(&play), Some(Blame::Deployment));
}
