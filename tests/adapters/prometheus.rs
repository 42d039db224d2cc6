//! Asking a real Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use deployguard::model::{
    ArmRule, Arms, Ask, Births, Counts, Measurement, Newer, Question, Reading, Shape, Ticks,
    Unusable,
};
use deployguard::sources::prometheus::{DEFAULT_CONCURRENT, DEFAULT_TIMEOUT};
use deployguard::sources::{Due, Fetched, Prometheus, measure};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::world::{self, now};

const QUARTER: SignedDuration = SignedDuration::from_secs(15);

async fn real() -> (world::prometheus::Prometheus, Prometheus) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_tasks, none) = watch::channel(Vec::new());
    let real = world::prometheus::Prometheus::start(none).await.expect("Debian's prometheus");
    let source = Prometheus::connect(&real.url(), DEFAULT_TIMEOUT, DEFAULT_CONCURRENT);
    (real, source.expect("connected"))
}

fn question(shape: Shape, queries: &[&str]) -> Question {
    Question::plain(shape, queries.iter().map(|query| Ask::Query((*query).to_owned())).collect())
}

fn once(at: Timestamp) -> Ticks {
    Ticks::once(at, QUARTER)
}

fn value(fetched: &Fetched) -> f64 {
    assert_eq!(fetched.failed, []);
    fetched.tracks[0].samples[0].1
}

#[tokio::test]
async fn a_real_prometheus_is_understood_on_good_and_bad_days() {
    let (mut real, source) = real().await;
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
            Ok(Measurement::counts(0.0, 10.0)),
        ),
        (
            Question::plain(Shape::Histogram, vec![Ask::Counter("absent_bucket".into())]),
            Err(Unusable::Empty),
        ),
    ];
    let at = once(now());
    let due = cases.iter().enumerate();
    let due = due
        .map(|(key, (question, _))| Due { key, question: question.clone(), ticks: at })
        .collect();
    for (key, measured) in measure(&source.clone().into(), due).await {
        assert_eq!(measured.readings, [cases[key].1.clone()], "{:?}", cases[key].0);
    }
    let ask = |query: &str| Ask::Query(query.to_owned());
    let refused = source.fetch(&ask("rate(up["), at).await;
    let [(_, Unusable::Refused(words))] = &refused.failed[..] else { panic!("{refused:?}") };
    assert!(words.starts_with("Prometheus refused the query: "), "{words}");
    let time = value(&source.fetch(&ask("time()"), at).await);
    let asked = at.first.as_duration().as_secs_f64();
    assert!((time - asked).abs() < 0.002, "evaluated at the time asked");
    let long = format!("vector(1){}", " + vector(1)".repeat(500));
    assert!((value(&source.fetch(&ask(&long), at).await) - 501.0).abs() < 1e-9);
    real.stop();
    // The first question may still meet a connection that was open before.
    let broken = source.fetch(&ask("up"), at).await;
    assert!(matches!(&broken.failed[..], [(_, Unusable::Unreachable(_))]));
    let broken = source.fetch(&ask("up"), at).await;
    let [(_, Unusable::Unreachable(words))] = &broken.failed[..] else { panic!("{broken:?}") };
    assert!(words.contains("can't be reached"), "{words}");
    real.start_again().await.expect("started again");
    assert_eq!(value(&source.fetch(&ask("1"), at).await).to_string(), "1");
}

#[tokio::test]
async fn a_query_is_evaluated_at_each_tick_to_the_millisecond() {
    let (_real, source) = real().await;
    let first = Timestamp::from_millisecond(1_700_000_000_123).expect("a time");
    let ticks = Ticks { first, step: SignedDuration::from_millis(250), count: 12_000 };
    let fetched = source.fetch(&Ask::Query("time() * 1000".into()), ticks).await;
    assert_eq!(fetched.failed, []);
    assert_eq!(fetched.tracks[0].samples.len(), 12_000, "more than Prometheus gives at once");
    for (index, (time, value)) in fetched.tracks[0].samples.iter().enumerate() {
        assert_eq!(*time, ticks.at_ms(index));
        #[expect(clippy::cast_precision_loss)]
        let expected = *time as f64;
        assert!((value - expected).abs() < 0.5);
    }
    let refused = source.fetch(&Ask::Query("rate(up[".into()), ticks.part(0..2)).await;
    assert!(matches!(&refused.failed[..], [(range, Unusable::Refused(_))] if *range == (0..2)));
}

/// What was scraped each 15 s for ten minutes from `begin` on: an old instance that
/// restarts after six minutes, and a new one that begins after five and fails.
fn history(begin: i64) -> String {
    let mut text = String::from("# TYPE http_requests counter\n");
    let mut write = |instance: &str, version: &str, status: u32, second: i64, value: i64| {
        let labels = format!(
            "job=\"shop\",instance=\"{instance}\",version=\"{version}\",status=\"{status}\""
        );
        let _ = writeln!(text, "http_requests_total{{{labels}}} {value} {}", begin + second);
    };
    for second in (0..=600).step_by(15) {
        // Two a second, and after the restart again from zero.
        let old = if second < 360 { 10_000 + 2 * second } else { 2 * (second - 360) };
        write("old:80", "1", 200, second, old);
    }
    for second in (307..=600).step_by(15) {
        // Thirty requests before the first scrape.
        write("new:80", "2", 200, second, 30 + (second - 307));
    }
    for second in (307..=600).step_by(15) {
        write("new:80", "2", 500, second, 7 + (second - 307) / 15);
    }
    text + "# EOF\n"
}

fn ratio(births: Option<Births>) -> Question {
    let counter = |matchers: &str| Ask::Counter(format!("http_requests_total{matchers}"));
    Question {
        arms: Some(ArmRule { label: "version".into(), newer: Newer::Is("2".into()) }),
        births,
        labels: ["instance".to_owned()].into(),
        ..Question::plain(Shape::BadOfTotal, vec![counter("{status=~\"5..\"}"), counter("")])
    }
}

/// The sum of all stretches: of all series, of the new revision and of the old one.
fn sum(readings: &[Reading]) -> [Counts; 3] {
    let mut sums = [Counts::default(); 3];
    for reading in readings {
        let Ok(Measurement::Counts(split)) = reading else { panic!("{reading:?}") };
        sums[0] += split.all;
        if let Some(Arms { new, old }) = &split.arms {
            sums[1] += *new;
            sums[2] += *old;
        }
    }
    sums
}

#[tokio::test]
async fn what_increase_loses_of_a_restart_and_a_birth_is_counted() {
    let (mut real, source) = real().await;
    let begin = now().as_second() - 1200;
    real.remember(&history(begin)).await.expect("a history");
    let at = |second: i64| Timestamp::from_second(begin + second).expect("a time");
    let births = Some(Births { since: at(290), known: ["old:80".to_owned()].into() });
    let over = |ticks: Ticks, births: Option<Births>| {
        let source = source.clone();
        async move {
            let due = vec![Due { key: (), question: ratio(births), ticks }];
            measure(&source.clone().into(), due).await.remove(0).1
        }
    };
    // The second half: (300, 600], in which the last scrape of the new one is at 592.
    let minutes = Ticks { first: at(360), step: SignedDuration::from_mins(1), count: 5 };
    let measured = over(minutes, births.clone()).await;
    let counts = |bad: u32, total: u32| Counts { bad: bad.into(), total: total.into() };
    // Old: 2 × 45 s before the restart, and 480 after it, of which the first 15 s are zero.
    let old = 2 * 45 + 480;
    let new = (30 + 285) + (7 + 19);
    let expected = [counts(26, new + old), counts(26, new), counts(0, old)];
    assert_eq!(sum(&measured.readings), expected);
    assert_eq!(measured.seen["instance"], ["new:80".to_owned(), "old:80".to_owned()].into());

    let quarters = Ticks { first: at(315), step: QUARTER, count: 20 };
    assert_eq!(sum(&over(quarters, births.clone()).await.readings), expected, "cut otherwise");
    let mut chunks = Vec::new();
    for chunk in quarters.chunks(7) {
        chunks.extend(over(chunk, births.clone()).await.readings);
    }
    assert_eq!(sum(&chunks), expected, "asked for in chunks");
    assert_eq!(sum(&over(minutes, None).await.readings)[1], counts(19, 285 + 19), "nobody knows");

    let increase = Ask::Query("sum(increase(http_requests_total{version=\"2\"}[300s]))".into());
    let guess = value(&source.fetch(&increase, once(at(600))).await);
    assert!((guess - f64::from(new)).abs() > 10.0, "increase guesses {guess}, and it was {new}");

    let before = Ticks::ending_at(at(290), QUARTER, 10);
    let measured = over(before, None).await;
    assert_eq!(sum(&measured.readings), [counts(0, 300), counts(0, 0), counts(0, 300)]);
    assert_eq!(measured.seen["instance"], ["old:80".to_owned()].into());
    let after = over(Ticks::once(at(700), SignedDuration::from_secs(60)), None).await;
    assert_eq!(after.readings, [Err(Unusable::NothingNew)]);
    let later = over(Ticks::once(at(1000), SignedDuration::from_secs(60)), None).await;
    assert_eq!(later.readings, [Err(Unusable::Empty)]);
}
