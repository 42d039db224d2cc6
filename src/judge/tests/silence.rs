//! Silence and its second proof: the tasks are gone.

use super::*;
use crate::judge::Blame;

/// Nothing of four tasks is left since `second`.
fn gone(second: i64) -> Shortage {
    Shortage { since: at(second), until: at(second), running: 0, desired: 4 }
}

/// A check that was measured for a minute, and whose tasks are gone since.
fn orphaned(check: Check) -> Play {
    let mut play = Play::of(check);
    play.sees_often(4, &counts(0.0, 100.0));
    play.shortage = Some(gone(60));
    play
}

#[test]
fn silence_without_tasks_is_guilt_and_says_both() {
    for silent in [Ok(Measurement::counts(0.0, 0.0)), Err(Unusable::Empty)] {
        let mut play = orphaned(error_rate());
        assert_eq!(play.breaches_at(40, &silent), Some(13), "three minutes: {silent:?}");
        let last = play.state.last.clone().unwrap();
        assert_eq!((last.blame, last.severity), (Some(Blame::Deployment), Some(Severity::Sev1)));
        let words = "no requests measured since 22:14:20 UTC and 0 of 4 tasks running since";
        assert!(last.reason.starts_with(words), "{}", last.reason);
        assert_eq!(play.sees(counts(0.0, 100.0)).verdict, Verdict::Healthy, "heard again");
    }
}

#[test]
fn a_scrape_that_brings_nothing_new_is_silent_as_well() {
    let mut play = orphaned(error_rate());
    assert_eq!(play.breaches_at(40, &Err(Unusable::NothingNew)), Some(13));
    play.shortage = None;
    let after = play.sees(Err(Unusable::NothingNew));
    assert_eq!(after.verdict, Verdict::NoData, "no proof, no guilt: {}", after.reason);
}

#[test]
fn silence_with_tasks_is_no_guilt() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(4, &counts(0.0, 100.0));
    assert_eq!(play.breaches_at(60, &Err(Unusable::Empty)), None);
    assert_eq!(play.breaches_at(60, &counts(0.0, 0.0)), None);
}

#[test]
fn tasks_must_be_gone_for_as_long_as_the_silence() {
    let mut play = orphaned(error_rate());
    play.shortage = Some(gone(60 + 300));
    assert_eq!(play.breaches_at(60, &counts(0.0, 0.0)), Some(32), "three minutes after six");
}

#[test]
fn a_source_that_cannot_be_asked_is_not_silence() {
    for unusable in [
        Unusable::Unreachable("down".into()),
        Unusable::Refused("no".into()),
        Unusable::NotFinite("NaN".into()),
        Unusable::WrongType,
    ] {
        assert_eq!(orphaned(error_rate()).breaches_at(60, &Err(unusable)), None);
    }
}

#[test]
fn what_was_never_measured_is_not_missed() {
    let mut play = Play::of(error_rate());
    play.shortage = Some(gone(0));
    assert_eq!(play.breaches_at(60, &Err(Unusable::Empty)), None);
    let mut play = Play::of(error_rate()).after(quiet);
    play.shortage = Some(gone(0));
    assert_eq!(play.breaches_at(60, &Err(Unusable::Empty)), Some(13), "it was before");
}

#[test]
fn silence_in_the_grace_and_before_a_gap_does_not_count() {
    let mut play = orphaned(error_rate());
    for _ in 0..40 {
        assert_ne!(play.looks(Err(Unusable::Empty), false).verdict, Verdict::Breach);
    }
    play.sees_often(10, &Err(Unusable::Empty));
    play.state.interrupted();
    assert_eq!(play.breaches_at(40, &Err(Unusable::Empty)), Some(13));
}

#[test]
fn a_gauge_is_never_silent() {
    let mut play = Play::of(cpu());
    play.sees_often(4, &gauge(&[("a", 0.4)]));
    play.shortage = Some(gone(60));
    assert_eq!(play.breaches_at(60, &Err(Unusable::Empty)), None);
}

#[test]
fn tasks_that_are_gone_where_a_dependency_broke_first_are_not_its_doing() {
    let mut play = orphaned(error_rate()).beside("db", Role::Dependency, quiet);
    play.shortage = None;
    play.control_sees("db", counts(60.0, 100.0));
    play.sees_often(8, &counts(0.0, 100.0));
    play.shortage = Some(gone(play.next));
    assert!(play.breaches_at(40, &Err(Unusable::Empty)).is_some());
    let blame = play.state.last.clone().unwrap().blame.unwrap();
    assert!(matches!(blame, Blame::Dependency { .. }), "{blame:?}");
}

#[test]
fn where_a_peer_falls_silent_too_hosts_are_gone_and_nobody_is_to_blame() {
    let mut play = orphaned(error_rate()).beside("search", Role::Peer, quiet);
    play.control_sees("search", counts(0.0, 100.0));
    play.sees_often(2, &counts(0.0, 100.0));
    play.control_sees("search", counts(0.0, 0.0));
    assert!(play.breaches_at(40, &Err(Unusable::Empty)).is_some());
    let blame = play.state.last.clone().unwrap().blame.unwrap();
    assert!(matches!(blame, Blame::Shared { .. }), "{blame:?}");
}

#[test]
fn too_few_events_before_are_not_missed() {
    // One event in fifteen seconds: twelve in three minutes, twenty in five.
    let mut play = Play::of(error_rate()).after(|_| counts(0.0, 1.0));
    play.shortage = Some(gone(0));
    assert_eq!(play.breaches_at(60, &Err(Unusable::Empty)), Some(21));
}

#[test]
fn a_silence_must_be_longer_than_pauses_that_were_no_fault() {
    let mut play = orphaned(error_rate());
    play.shortage = None;
    play.sees_often(11, &Err(Unusable::NothingNew));
    play.sees(counts(0.0, 100.0));
    play.shortage = Some(gone(play.next));
    assert_eq!(
        play.breaches_at(80, &Err(Unusable::Empty)),
        Some(37),
        "three pauses of three minutes"
    );
}
