//! What a sample is worth: grace, gaps, traffic, silence, recovery.

use super::*;
use crate::judge::Blame;

#[test]
fn readings_in_the_grace_are_shown_but_are_no_evidence() {
    let mut play = Play::of(error_rate()).after(quiet);
    for _ in 0..10 {
        let judgement = play.looks(counts(90.0, 100.0), false);
        assert_eq!(judgement.verdict, Verdict::Elevated);
        assert!(judgement.weight.unwrap().ln_e.abs() < 1e-9);
    }
    assert_eq!((play.state.due, play.state.measured), (0, 0));
    let first = play.sees(counts(0.0, 100.0));
    assert_eq!(first.value, Some(0.0), "the window begins where the grace ends");
}

#[test]
fn coverage_counts_what_the_source_answered() {
    let mut play = Play::of(error_rate());
    let readings = [counts(0.0, 100.0), counts(0.0, 3.0), Err(Unusable::Empty), counts(0.0, 99.0)];
    for reading in readings {
        play.interval = 60;
        play.sees(reading);
    }
    assert_eq!((play.state.due, play.state.answered, play.state.measured), (4, 3, 2));
    assert!((play.state.coverage() - 0.75).abs() < f64::EPSILON);
    play.state.missed(4);
    assert!((play.state.coverage() - 0.375).abs() < f64::EPSILON);
}

#[test]
fn missing_data_is_neither_health_nor_guilt() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(4, &quiet(0));
    for _ in 0..3 {
        let judgement = play.sees(Err(Unusable::Empty));
        assert_eq!((judgement.verdict, judgement.value), (Verdict::NoData, None));
        assert!(!judgement.back_to_normal);
    }
    assert_eq!(play.state.unmeasured_since, Some(at(75)));
    play.sees(quiet(0));
    assert_eq!(play.state.unmeasured_since, None);
}

#[test]
fn low_traffic_says_what_would_have_shown() {
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(400, &counts(0.0, 3.0));
    assert_eq!(judgement.verdict, Verdict::LowTraffic);
    let (shown, rest) = judgement.reason.split_once("; ").unwrap();
    assert_eq!(shown, "12 events, at least 20 are needed");
    assert!(rest.starts_with("a rise to ") && rest.ends_with("% would have shown"), "{rest}");
    let found = judgement.weight.unwrap().detectable.unwrap();
    assert!(found > 0.0025 && found < 0.02, "1200 events: {found}");
}

#[test]
fn too_few_events_detect_nothing_and_say_so() {
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees(counts(0.0, 1.0));
    assert_eq!(judgement.reason, "1 events, at least 20 are needed");
    assert_eq!(judgement.weight.unwrap().detectable, None);
}

#[test]
fn evidence_on_little_traffic_is_a_breach_all_the_same() {
    let mut play = Play::of(error_rate()).after(quiet);
    assert!(play.breaches_at(20, &counts(2.0, 3.0)).is_some(), "12 events in the window");
}

#[test]
fn nothing_new_keeps_what_was_said_while_the_window_has_data() {
    let mut play = Play::of(error_rate()).after(quiet);
    let before = play.sees_often(4, &counts(0.0, 100.0));
    for _ in 0..3 {
        let kept = play.sees(Err(Unusable::NothingNew));
        assert_eq!((kept.verdict, kept.value), (Verdict::Healthy, before.value));
        assert_eq!(kept.weight, before.weight, "no sample, no evidence");
    }
    let judgement = play.sees_often(2, &Err(Unusable::NothingNew));
    assert_eq!(judgement.verdict, Verdict::NoData, "{}", judgement.reason);
}

#[test]
fn nothing_new_keeps_a_breach_and_its_time() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(4, &counts(50.0, 100.0));
    assert_eq!(play.sees(Err(Unusable::NothingNew)).verdict, Verdict::Breach);
    assert_eq!(play.sees(counts(50.0, 100.0)).verdict, Verdict::Breach);
}

#[test]
fn nothing_new_at_first_is_no_data() {
    assert_eq!(Play::of(error_rate()).sees(Err(Unusable::NothingNew)).verdict, Verdict::NoData);
}

#[test]
fn the_new_revision_is_judged_where_it_can_be_told_apart() {
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(8, &arms((50.0, 100.0), (0.0, 900.0)));
    assert_eq!((judgement.verdict, judgement.value), (Verdict::Breach, Some(0.5)));
    assert_eq!(judgement.traffic, Some(400.0));
    let mut play = Play::of(error_rate()).after(quiet);
    let judgement = play.sees_often(8, &arms((0.0, 900.0), (50.0, 100.0)));
    assert_eq!(judgement.verdict, Verdict::Healthy, "the old revision's errors are not its doing");
}

#[test]
fn a_new_revision_that_answers_nothing_is_guilty_by_the_old_ones_traffic() {
    let mut play = Play::of(error_rate()).after(quiet);
    let silent = arms((0.0, 0.0), (0.0, 100.0));
    assert_eq!(play.breaches_at(30, &silent), Some(13), "three minutes");
    let last = play.state.last.as_ref().unwrap();
    assert_eq!(
        (last.blame.clone(), last.severity),
        (Some(Blame::Deployment), Some(Severity::Sev1))
    );
    assert!(last.reason.contains("has answered no request since"), "{}", last.reason);
    let back = play.sees(arms((0.0, 50.0), (0.0, 50.0)));
    assert_ne!(back.verdict, Verdict::Breach);
}

#[test]
fn silence_of_both_revisions_is_no_guilt() {
    let mut play = Play::of(error_rate()).after(quiet);
    assert_eq!(play.breaches_at(40, &arms((0.0, 0.0), (0.0, 0.0))), None);
    assert_eq!(play.breaches_at(40, &arms((0.0, 0.0), (0.0, 5.0))), None, "5 events prove nothing");
}

#[test]
fn silence_is_broken_by_a_gap() {
    let mut play = Play::of(error_rate()).after(quiet);
    let silent = arms((0.0, 0.0), (0.0, 100.0));
    assert_eq!(play.breaches_at(12, &silent), None);
    play.sees(Err(Unusable::Empty));
    assert_eq!(play.breaches_at(12, &silent), None);
}

#[test]
fn recovered_is_back_inside_normal_since_a_time() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.sees_often(6, &counts(50.0, 100.0));
    assert_eq!((play.state.verdict(), play.state.back_since), (Some(Verdict::Breach), None));
    let fine = counts(0.0, 1000.0);
    let back = (1..40).find(|_| play.sees(fine.clone()).back_to_normal).unwrap();
    assert!(back <= 5, "when the window is clean: {back}");
    let since = play.state.back_since;
    assert!(since.is_some());
    play.sees_often(5, &fine);
    assert_eq!(play.state.back_since, since);
    play.sees(counts(50.0, 100.0));
    assert_eq!(play.state.back_since, None);
}

#[test]
fn a_query_counts_once_a_window_though_it_is_asked_more_often() {
    let mut check = error_rate();
    let query = |name: &str| Counted::Query(format!("{name}[${{window}}]"));
    check.measure = Measure::Ratio { part: Part::Bad, of: query("bad"), total: query("all") };
    let mut play = Play::of(check).after(quiet);
    let bad = counts(200.0, 400.0);
    let judgement = play.sees_often(4, &bad);
    assert_eq!(judgement.traffic, Some(400.0), "windows that overlap are not added up");
    assert_eq!(play.breaches_at(20, &bad), Some(5), "the third minute begins at the ninth look");
}

#[test]
fn far_apart_two_samples_agree() {
    let mut play = Play::of(error_rate()).after(quiet);
    play.interval = 300;
    assert_eq!(play.breaches_at(5, &counts(1000.0, 2000.0)), Some(2));
}
