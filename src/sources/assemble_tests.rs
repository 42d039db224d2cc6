//! What odd answers come to, shape by shape.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::Ask;
use crate::model::Histogram;

type Answer = Result<Vec<Track>, Unusable>;

fn tick() -> Ticks {
    Ticks::once(Timestamp::from_second(1000).unwrap(), SignedDuration::from_secs(60))
}

/// A series with a value at the tick.
fn series(labels: &[(&str, &str)], value: f64) -> Track {
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Track { labels, samples: vec![(1_000_000, value)] }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where an answer stands")]
fn some(values: &[f64]) -> Answer {
    let numbered = values.iter().enumerate();
    Ok(numbered.map(|(i, v)| series(&[("pod", &i.to_string())], *v)).collect())
}

fn measured(question: &Question, answers: &[Answer]) -> Measured {
    let fetched: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(tracks) => Fetched { tracks: tracks.clone(), failed: Vec::new() },
            Err(why) => Fetched::failed(tick(), why.clone()),
        })
        .collect();
    assemble(question, tick(), &fetched.iter().collect::<Vec<_>>())
}

fn reading(shape: Shape, answers: &[Answer]) -> Reading {
    let asks = answers.iter().map(|_| Ask::Query("q".to_owned())).collect();
    let mut readings = measured(&Question::plain(shape, asks), answers).readings;
    assert_eq!(readings.len(), 1);
    readings.remove(0)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where a reading stands")]
fn counts(bad: f64, total: f64) -> Reading {
    Ok(Measurement::counts(bad, total))
}

#[test]
fn counts_are_summed_over_their_series() {
    use Shape::{BadOfTotal, GoodOfTotal};
    let cases = [
        (BadOfTotal, some(&[1.0, 2.0]), some(&[10.0, 20.0]), counts(3.0, 30.0)),
        (BadOfTotal, some(&[]), some(&[30.0]), counts(0.0, 30.0)),
        (BadOfTotal, some(&[-0.0]), some(&[-0.0]), counts(0.0, 0.0)),
        (BadOfTotal, some(&[30.5]), some(&[30.0]), counts(30.0, 30.0)),
        (BadOfTotal, some(&[1.0]), some(&[]), Err(Unusable::Empty)),
        (BadOfTotal, some(&[]), some(&[]), Err(Unusable::Empty)),
        (GoodOfTotal, some(&[9.0]), some(&[10.0]), counts(1.0, 10.0)),
        (GoodOfTotal, some(&[10.5]), some(&[10.0]), counts(0.0, 10.0)),
        (GoodOfTotal, some(&[]), some(&[10.0]), Err(Unusable::Empty)),
        (GoodOfTotal, some(&[1.0]), some(&[]), Err(Unusable::Empty)),
    ];
    for (shape, part, total, expected) in cases {
        assert_eq!(reading(shape, &[part.clone(), total.clone()]), expected, "{part:?}");
    }
}

#[test]
fn a_count_never_keeps_a_negative_zero() {
    let Ok(Measurement::Counts(Split { all: Counts { bad, total }, .. })) =
        reading(Shape::BadOfTotal, &[some(&[-0.0]), some(&[-0.0, -0.0])])
    else {
        panic!("counts")
    };
    assert!(bad.is_sign_positive() && total.is_sign_positive());
}

#[test]
fn one_impossible_series_spoils_its_count() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let spoiled = reading(Shape::BadOfTotal, &[some(&[1.0, odd]), some(&[10.0])]);
        assert!(matches!(spoiled, Err(Unusable::NotFinite(_))), "{odd}: {spoiled:?}");
        let spoiled = reading(Shape::GoodOfTotal, &[some(&[1.0]), some(&[odd, 10.0])]);
        assert!(matches!(spoiled, Err(Unusable::NotFinite(_))), "{odd}: {spoiled:?}");
    }
    let beyond = reading(Shape::BadOfTotal, &[some(&[]), some(&[f64::MAX, f64::MAX])]);
    assert!(matches!(beyond, Err(Unusable::NotFinite(_))));
}

#[test]
fn a_gauge_keeps_every_finite_series_by_a_short_name() {
    let answer = Ok(vec![
        series(&[("__name__", "mem"), ("pod", "a"), ("zone", "1")], 5.0),
        series(&[("__name__", "mem"), ("pod", "b\"c")], -0.0),
        series(&[("__name__", "mem"), ("pod", "d")], f64::NAN),
        series(&[("__name__", "mem"), ("pod", "e")], f64::INFINITY),
        series(&[("__name__", "mem")], 7.0),
        series(&[("__name__", "swap")], 8.0),
    ]);
    let Ok(Measurement::Gauge { values }) = reading(Shape::Gauge, &[answer]) else {
        panic!("a gauge")
    };
    let expected =
        [("swap", 8.0), ("value", 7.0), (r#"{pod="a",zone="1"}"#, 5.0), (r#"{pod="b\"c"}"#, 0.0)];
    assert_eq!(values, expected.map(|(n, v)| (n.to_owned(), v)).into());
}

#[test]
fn a_gauge_without_a_finite_series_says_so() {
    assert_eq!(reading(Shape::Gauge, &[some(&[])]), Err(Unusable::Empty));
    let made = reading(Shape::Gauge, &[some(&[f64::NAN])]);
    assert_eq!(made, Err(Unusable::NotFinite(r#"NaN for {pod="0"}"#.into())));
}

#[test]
fn the_first_error_among_the_answers_is_the_readings() {
    let (first, second) = (Unusable::Unreachable("a".into()), Unusable::WrongType);
    let made = reading(Shape::BadOfTotal, &[Err(first.clone()), Err(second.clone())]);
    assert_eq!(made, Err(first));
    assert_eq!(reading(Shape::Histogram, &[Err(second.clone())]), Err(second));
}

#[test]
fn a_question_with_the_wrong_number_of_queries_is_refused() {
    let made = reading(Shape::BadOfTotal, &[some(&[1.0])]);
    assert_eq!(made, Err(Unusable::Refused("the check needs 2 queries and has 1".into())));
}

fn told_apart(shape: Shape, rule: &ArmRule, answers: &[Answer]) -> Measurement {
    let asks = answers.iter().map(|_| Ask::Query("q".to_owned())).collect();
    let labels = [rule.label.clone()].into();
    let question = Question { arms: Some(rule.clone()), labels, ..Question::plain(shape, asks) };
    measured(&question, answers).readings.remove(0).unwrap()
}

fn version_2() -> ArmRule {
    ArmRule { label: "version".into(), newer: Newer::Is("2".into()) }
}

#[test]
fn the_revisions_are_told_apart_and_all_of_them_counted() {
    let bad = Ok(vec![series(&[("version", "2")], 3.0)]);
    let total = Ok(vec![
        series(&[("version", "1")], 100.0),
        series(&[("version", "2")], 10.0),
        series(&[("version", "")], 5.0),
        series(&[], 7.0),
    ]);
    let Measurement::Counts(split) =
        told_apart(Shape::BadOfTotal, &version_2(), &[bad.clone(), total.clone()])
    else {
        panic!("counts")
    };
    assert_eq!(split.all, Counts { bad: 3.0, total: 122.0 });
    let arms = split.arms.unwrap();
    assert_eq!(arms.new, Counts { bad: 3.0, total: 10.0 });
    assert_eq!(arms.old, Counts { bad: 0.0, total: 100.0 });

    let before = Newer::NotAmong(["2".to_owned()].into());
    let rule = ArmRule { label: "version".into(), newer: before };
    let Measurement::Counts(split) = told_apart(Shape::BadOfTotal, &rule, &[bad, total]) else {
        panic!("counts")
    };
    assert_eq!(split.arms.unwrap().new.total.to_string(), "100");
}

#[test]
fn what_carries_no_label_is_not_divided() {
    let plain = || Ok(vec![series(&[], 3.0)]);
    let by_version = || Ok(vec![series(&[("version", "2")], 10.0)]);
    for (bad, total) in [(plain(), plain()), (plain(), by_version())] {
        let Measurement::Counts(split) = told_apart(Shape::BadOfTotal, &version_2(), &[bad, total])
        else {
            panic!("counts")
        };
        assert_eq!(split.arms, None);
    }
}

fn bucket(version: &str, le: &str, count: f64) -> Track {
    series(&[("version", version), ("le", le)], count)
}

#[test]
fn buckets_that_share_no_bound_are_unusable_and_say_so() {
    let of = |instance: &str, le: &str, count| series(&[("pod", instance), ("le", le)], count);
    let mixed = |le: &'static str| {
        Ok(vec![
            of("a", "0.1", 5.0),
            of("a", "0.5", 8.0),
            of("a", "+Inf", 10.0),
            of("b", le, 5.0),
            of("b", "+Inf", 10.0),
        ])
    };
    let Err(Unusable::NotFinite(words)) = reading(Shape::Histogram, &[mixed("0.2")]) else {
        panic!("no measurement")
    };
    assert!(words.contains("share no bound"), "{words}");
    let Ok(Measurement::Histogram(split)) = reading(Shape::Histogram, &[mixed("0.5")]) else {
        panic!("a histogram of what both have")
    };
    let whole = Histogram { bounds: vec![0.5], within: vec![13.0], total: 20.0 };
    assert_eq!(split.all, whole, "what one of them does not count is not small");
}

#[test]
fn a_histogram_is_added_up_by_bucket_and_by_revision() {
    let buckets = Ok(vec![
        bucket("1", "+Inf", 10.0),
        bucket("1", "0.5", 8.0),
        bucket("1", "0.1", 5.0),
        bucket("2", "0.1", 1.0),
        bucket("2", "0.50", 1.0),
        bucket("2", "0.9", 2.0),
        bucket("2", "+Inf", 4.0),
    ]);
    let made = told_apart(Shape::Histogram, &version_2(), std::slice::from_ref(&buckets));
    let Measurement::Histogram(split) = made else { panic!("a histogram") };
    let of = |bounds: &[f64], within: &[f64], total| Histogram {
        bounds: bounds.to_vec(),
        within: within.to_vec(),
        total,
    };
    let arms = split.arms.unwrap();
    assert_eq!(arms.old, of(&[0.1, 0.5], &[5.0, 8.0], 10.0));
    assert_eq!(arms.new, of(&[0.1, 0.5, 0.9], &[1.0, 1.0, 2.0], 4.0));
    assert_eq!(split.all, of(&[0.1, 0.5], &[6.0, 9.0], 14.0), "the buckets that both have");
}

#[test]
fn a_histogram_without_all_requests_or_a_bound_says_so() {
    assert_eq!(reading(Shape::Histogram, &[some(&[])]), Err(Unusable::Empty));
    for odd in [
        vec![bucket("1", "0.1", 1.0)],
        vec![bucket("1", "fast", 1.0), bucket("1", "+Inf", 1.0)],
        vec![series(&[], 1.0)],
        vec![bucket("1", "+Inf", f64::NAN)],
    ] {
        let made = reading(Shape::Histogram, &[Ok(odd.clone())]);
        assert!(matches!(made, Err(Unusable::NotFinite(_))), "{odd:?}: {made:?}");
    }
}

#[test]
fn values_of_a_label_are_given_back_all_or_visibly_too_many() {
    let mut question = Question::plain(Shape::Gauge, vec![Ask::Query("q".into())]);
    question.labels = ["pod".to_owned(), "zone".to_owned()].into();
    let seen = measured(&question, &[some(&[1.0, 2.0])]).seen;
    assert_eq!(seen["pod"], ["0".to_owned(), "1".to_owned()].into());
    assert_eq!(seen["zone"], BTreeSet::new());
    let seen = measured(&question, &[some(&vec![1.0; Measured::MOST_VALUES + 9])]).seen;
    assert_eq!(seen["pod"].len(), Measured::MOST_VALUES + 1, "too many, and told to be");
}

#[test]
fn a_failure_is_told_of_its_own_ticks_alone() {
    let ticks = Ticks { count: 3, ..tick() };
    let samples = (0..3).map(|i| (ticks.at_ms(i), 1.0)).collect();
    let tracks = vec![Track { labels: BTreeMap::new(), samples }];
    let fetched = Fetched { tracks, failed: vec![(1..2, Unusable::WrongType)] };
    let question = Question::plain(Shape::Gauge, vec![Ask::Query("q".into())]);
    let readings = assemble(&question, ticks, &[&fetched]).readings;
    let failed: Vec<_> = readings.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false]);
}
