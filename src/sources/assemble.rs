//! From the answers to a question's queries to one measurement.

use std::collections::BTreeMap;

use crate::model::{
    Answer, Histogram, Measurement, Question, Reading, SeriesValue, Shape, Unusable,
};

/// Puts the answers to a question's queries together, in the order of
/// `question.queries`. The first answer that is an error is the reading's.
///
/// What the shapes make of odd answers:
///
/// - **Counts** (`BadOfTotal`, `GoodOfTotal`, and the second query of
///   `Quantile`): several series are added up. One series that is NaN, infinite
///   or negative spoils the whole count ([`Unusable::NotFinite`]); negative zero
///   is zero. The part is clamped to the total: sources extrapolate, and may put
///   one a little above the other.
/// - `BadOfTotal`: no `bad` series beside `total` is zero, because error series
///   exist only once there was an error. No `total` is [`Unusable::Empty`].
/// - `GoodOfTotal`: no `good` series is [`Unusable::Empty`], and so is no `total`.
/// - `Quantile`: a count of zero, or none, is "no requests", whatever the
///   quantile says (Prometheus answers NaN then). Otherwise the worst series
///   counts, series with NaN (a route without requests) aside; an infinite or
///   negative one, or nothing but NaN, is [`Unusable::NotFinite`].
/// - `Gauge`: every finite series is kept, by a short name made of its labels;
///   NaN and infinite ones are dropped. If none is finite: [`Unusable::NotFinite`].
pub fn assemble(question: &Question, answers: &[Answer]) -> Reading {
    let mut usable = Vec::with_capacity(answers.len());
    for answer in answers {
        usable.push(answer.as_ref().map_err(Clone::clone)?.as_slice());
    }
    match (question.shape, usable.as_slice()) {
        (Shape::BadOfTotal, [bad, total]) => bad_of_total(bad, total),
        (Shape::GoodOfTotal, [good, total]) => good_of_total(good, total),
        (Shape::Histogram, [buckets]) => histogram(buckets),
        (Shape::Gauge, [series]) => gauge(series),
        (shape, given) => {
            let wanted = match shape {
                Shape::BadOfTotal | Shape::GoodOfTotal => 2,
                Shape::Histogram | Shape::Gauge => 1,
            };
            Err(Unusable::Refused(format!(
                "the check needs {wanted} queries and has {}",
                given.len()
            )))
        }
    }
}

fn bad_of_total(bad: &[SeriesValue], total: &[SeriesValue]) -> Reading {
    if total.is_empty() {
        return Err(Unusable::Empty);
    }
    let total = count(total)?;
    let bad = count(bad)?.min(total);
    Ok(Measurement::counts(bad, total))
}

fn good_of_total(good: &[SeriesValue], total: &[SeriesValue]) -> Reading {
    if good.is_empty() || total.is_empty() {
        return Err(Unusable::Empty);
    }
    let total = count(total)?;
    let good = count(good)?.min(total);
    Ok(Measurement::counts(total - good, total))
}

fn histogram(series: &[SeriesValue]) -> Reading {
    if series.is_empty() {
        return Err(Unusable::Empty);
    }
    let mut buckets = Vec::with_capacity(series.len());
    let mut total = None;
    for one in series {
        let text = one.labels.get("le").map_or("", String::as_str);
        let bound: f64 = text
            .parse()
            .map_err(|_| Unusable::NotFinite(format!("a bucket without a bound (le={text:?})")))?;
        let within = count(std::slice::from_ref(one))?;
        if bound == f64::INFINITY {
            total = Some(total.unwrap_or(0.0) + within);
        } else if bound.is_finite() {
            buckets.push((bound, within));
        }
    }
    let Some(total) = total else {
        return Err(Unusable::NotFinite("buckets without le=\"+Inf\"".into()));
    };
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = 0.0_f64;
    let (bounds, within) = buckets
        .into_iter()
        .map(|(bound, within)| {
            below = below.max(within).min(total);
            (bound, below)
        })
        .unzip();
    Ok(Measurement::Histogram(Histogram { bounds, within, total }.into()))
}

/// The sum of the series, each a count; zero for no series.
fn count(series: &[SeriesValue]) -> Result<f64, Unusable> {
    let mut sum = 0.0;
    for one in series {
        if !one.value.is_finite() {
            return Err(Unusable::NotFinite(format!("{} for {}", one.value, short_name(one))));
        }
        if one.value < 0.0 {
            let name = short_name(one);
            return Err(Unusable::NotFinite(format!(
                "a negative count ({}) for {name}",
                one.value
            )));
        }
        sum += one.value;
    }
    if sum.is_infinite() {
        Err(Unusable::NotFinite("a sum beyond counting".into()))
    } else {
        Ok(sum)
    }
}

fn gauge(series: &[SeriesValue]) -> Reading {
    let Some(first) = series.first() else { return Err(Unusable::Empty) };
    let mut values = BTreeMap::new();
    for one in series.iter().filter(|one| one.value.is_finite()) {
        // Only series that differ in nothing but the metric's name collide.
        let short = short_name(one);
        let name = if values.contains_key(&short) { full_name(one) } else { short };
        values.insert(name, one.value + 0.0);
    }
    if values.is_empty() {
        return Err(Unusable::NotFinite(format!("{} for {}", first.value, short_name(first))));
    }
    Ok(Measurement::Gauge { values })
}

/// `{a="b",c="d"}` without the metric's name, or `value` for a series without labels.
fn short_name(series: &SeriesValue) -> String {
    let labels: Vec<_> = series
        .labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if labels.is_empty() { "value".into() } else { format!("{{{}}}", labels.join(",")) }
}

/// As [`short_name`], with the metric's name in front.
fn full_name(series: &SeriesValue) -> String {
    let metric = series.labels.get("__name__").map_or("", String::as_str);
    let short = short_name(series);
    format!("{metric}{}", if short == "value" { "" } else { &short })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ask, Counts, Split};

    fn series(labels: &[(&str, &str)], value: f64) -> SeriesValue {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        SeriesValue { labels, value }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands where an answer stands")]
    fn some(values: &[f64]) -> Answer {
        let numbered = values.iter().enumerate();
        Ok(numbered.map(|(i, v)| series(&[("pod", &i.to_string())], *v)).collect())
    }

    fn reading(shape: Shape, answers: &[Answer]) -> Reading {
        let asks = answers.iter().map(|_| Ask::Query("q".to_owned())).collect();
        assemble(&Question { shape, asks, arms: None }, answers)
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
        let expected = [
            ("swap", 8.0),
            ("value", 7.0),
            (r#"{pod="a",zone="1"}"#, 5.0),
            (r#"{pod="b\"c"}"#, 0.0),
        ];
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
}
