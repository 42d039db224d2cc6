//! Asking a real Prometheus.

use std::collections::BTreeMap;

use deployguard::model::{Measurement, Question, Shape, Unusable};
use deployguard::sources::prometheus::{DEFAULT_CONCURRENT, DEFAULT_TIMEOUT};
use deployguard::sources::{Due, Prometheus, measure};
use tokio::sync::watch;

use crate::world::{self, now};

fn question(shape: Shape, queries: &[&str]) -> Question {
    Question { shape, queries: queries.iter().map(|query| (*query).to_owned()).collect() }
}

#[tokio::test]
async fn a_real_prometheus_is_understood_on_good_and_bad_days() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_tasks, none) = watch::channel(Vec::new());
    let mut real = world::prometheus::Prometheus::start(none).await.expect("Debian's prometheus");
    let source = Prometheus::connect(&real.url(), DEFAULT_TIMEOUT, DEFAULT_CONCURRENT);
    let source = source.expect("connected");
    let gauge = |value: f64| {
        Ok(Measurement::Gauge { values: BTreeMap::from([("value".to_owned(), value)]) })
    };
    let nan = || Err(Unusable::NotFinite("NaN for value".into()));
    let cases = [
        (question(Shape::Gauge, &["vector(0.25)"]), gauge(0.25)),
        (question(Shape::Gauge, &["42"]), gauge(42.0)),
        (question(Shape::Gauge, &["vector(0) / 0"]), nan()),
        (question(Shape::Gauge, &["absent_from_here"]), Err(Unusable::Empty)),
        (question(Shape::Gauge, &["\"text\""]), Err(Unusable::WrongType)),
        (question(Shape::Gauge, &["vector(1)[1m:1s]"]), Err(Unusable::WrongType)),
        (
            question(Shape::BadOfTotal, &["absent_from_here", "vector(10)"]),
            Ok(Measurement::Counts { bad: 0.0, good: 10.0, total: 10.0 }),
        ),
        (
            question(Shape::Quantile, &["vector(0) / 0", "vector(0)"]),
            Ok(Measurement::Quantile { seconds: None, count: 0.0 }),
        ),
    ];
    let at = now();
    let due = cases.iter().enumerate();
    let due = due.map(|(key, (question, _))| Due { key, question: question.clone(), at }).collect();
    for (key, reading) in measure(&source, due).await {
        assert_eq!(reading, cases[key].1, "{:?}", cases[key].0);
    }
    let Err(Unusable::Refused(words)) = source.ask("rate(up[", at).await else { panic!() };
    assert!(words.starts_with("Prometheus refused the query: "), "{words}");
    let time = source.ask("time()", at).await.expect("a scalar")[0].value;
    assert!((time - at.as_duration().as_secs_f64()).abs() < 0.002, "evaluated at the time asked");
    let long = format!("vector(1){}", " + vector(1)".repeat(500));
    assert!((source.ask(&long, at).await.expect("posted")[0].value - 501.0).abs() < 1e-9);
    real.stop();
    // The first question may still meet a connection that was open before.
    assert!(matches!(source.ask("up", at).await, Err(Unusable::Unreachable(_))));
    let Err(Unusable::Unreachable(words)) = source.ask("up", at).await else { panic!() };
    assert!(words.contains("can't be reached"), "{words}");
    real.start_again().await.expect("started again");
    assert_eq!(source.ask("1", at).await.expect("back again")[0].value.to_string(), "1");
}
