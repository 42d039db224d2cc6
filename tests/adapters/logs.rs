//! Counts of events in CloudWatch Logs, in front of the stand-in.

use std::sync::Arc;

use deployguard::model::{
    Ask, BESIDE, LogsAsk, Measured, Measurement, Question, Reading, Shape, Ticks, Unusable,
};
use deployguard::sources::{Due, Logs, Sources, measure};
use jiff::{SignedDuration, Timestamp};

use crate::ecs::aws_at;
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, Fault, NoProcesses};
use crate::world::timeline::Timeline;

const GROUP: &str = "/ecs/unifocus-prod-api";
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

struct Stage {
    aws: Ecs,
    sources: Sources,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a time")
}

#[expect(clippy::unnecessary_wraps, reason = "beside readings that failed")]
fn value(value: f64) -> Reading {
    Ok(Measurement::Gauge { values: [("value".to_owned(), value)].into() })
}

impl Stage {
    async fn open() -> Self {
        let runner = Arc::new(NoProcesses);
        let aws = Ecs::start(Settings::default(), runner, Timeline::default()).await;
        let aws = aws.expect("a free port");
        let logs = Some(Logs::of(&aws_at(aws.url()).await));
        Self { aws, sources: Sources { logs, ..Sources::default() } }
    }

    fn logs(&self, second: i64, message: &str) {
        self.aws.log_at(GROUP, at(second).as_millisecond(), message);
    }

    async fn over(&self, pattern: &str, ticks: Ticks) -> Measured {
        let (group, pattern) = (GROUP.to_owned(), pattern.to_owned());
        let ask = Ask::Logs(LogsAsk { group, pattern, window: MINUTE * 5 });
        let mut question = Question::plain(Shape::Gauge, vec![ask]);
        question.labels.insert(BESIDE.to_owned());
        measure(&self.sources, vec![Due { key: (), question, ticks }]).await.remove(0).1
    }

    async fn now(&self, pattern: &str) -> Reading {
        self.over(pattern, Ticks::once(at(0), MINUTE)).await.readings.remove(0)
    }

    fn calls(&self) -> usize {
        self.aws.calls().iter().filter(|call| call.operation == "FilterLogEvents").count()
    }
}

#[tokio::test]
async fn what_matches_within_the_window_is_counted_and_a_quiet_log_is_zero() {
    let stage = Stage::open().await;
    stage.logs(-301, "ERROR: long ago");
    stage.logs(-200, "ERROR: no cheese");
    stage.logs(-100, "INFO: all is well");
    stage.logs(-1, "WARN: little cheese");
    stage.logs(1, "ERROR: not yet");
    for (pattern, count) in
        [("ERROR", 1.0), ("?ERROR ?WARN", 2.0), ("cheese -ERROR", 1.0), ("FATAL", 0.0)]
    {
        assert_eq!(stage.now(pattern).await, value(count), "{pattern}");
    }
}

#[tokio::test]
async fn a_stretch_of_the_past_costs_as_many_calls_as_one_sample() {
    let stage = Stage::open().await;
    stage.logs(-590, "ERROR");
    stage.logs(-310, "ERROR");
    stage.logs(-10, "ERROR");
    let ticks = Ticks::ending_at(at(0), MINUTE, 6);
    let measured = stage.over("ERROR", ticks).await;
    let counts = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0].map(value);
    assert_eq!((measured.readings, stage.calls()), (counts.to_vec(), 1));
}

#[tokio::test]
async fn pages_are_read_to_the_end_or_up_to_so_many_events_which_is_said() {
    let stage = Stage::open().await;
    (0..4_500).for_each(|_| stage.logs(-10, "ERROR"));
    assert_eq!(stage.now("ERROR").await, value(4_500.0));
    assert_eq!(stage.calls(), 3);
    (0..10_000).for_each(|_| stage.logs(-10, "ERROR"));
    let mut measured = stage.over("ERROR", Ticks::once(at(0), MINUTE)).await;
    assert_eq!(measured.readings.remove(0), value(10_000.0));
    assert!(measured.seen[BESIDE].first().is_some_and(|words| words.starts_with("at least")));
    assert_eq!(stage.calls(), 3 + 5);
}

#[tokio::test]
async fn after_a_gap_a_flood_hides_no_newer_one() {
    let stage = Stage::open().await;
    (0..12_000).for_each(|_| stage.logs(-590, "ERROR"));
    (0..40).for_each(|_| stage.logs(-10, "ERROR"));
    let measured = stage.over("ERROR", Ticks::ending_at(at(0), MINUTE, 6)).await;
    assert_eq!(measured.readings[5], value(40.0));
    let whole = |reading: &Reading| !matches!(reading, Err(Unusable::Unreachable(_)));
    assert!(!measured.readings[..5].iter().any(whole), "{:?}", measured.readings);
    assert!(measured.seen[BESIDE].is_empty(), "the newest is whole");
    // It goes on until now.
    (0..12_000).for_each(|_| stage.logs(-5, "ERROR"));
    let measured = stage.over("ERROR", Ticks::ending_at(at(0), MINUTE, 6)).await;
    assert_eq!(measured.readings[5], value(10_000.0));
    assert!(measured.seen[BESIDE].first().is_some_and(|words| words.starts_with("at least")));
}

#[tokio::test]
async fn a_group_that_is_not_there_and_a_call_that_is_refused_is_no_data_in_words() {
    let stage = Stage::open().await;
    let Err(Unusable::Refused(why)) = stage.now("ERROR").await else { panic!("no group") };
    assert!(why.contains(GROUP) && why.contains("is its name right"), "{why}");
    stage.logs(-1, "ERROR");
    stage.aws.fault("FilterLogEvents", &Fault::Denied, 1);
    let Err(Unusable::Refused(why)) = stage.now("ERROR").await else { panic!("denied") };
    assert!(why.contains("it needs logs:FilterLogEvents"), "{why}");
    // Tried again by the SDK, and not for ever.
    stage.aws.fault("FilterLogEvents", &Fault::Throttle, 1);
    assert_eq!(stage.now("ERROR").await, value(1.0));
    stage.aws.fault("FilterLogEvents", &Fault::Throttle, 3);
    let throttled = stage.now("ERROR").await;
    assert!(matches!(throttled, Err(Unusable::Unreachable(_))), "{throttled:?}");
    let Err(Unusable::Refused(why)) = stage.now("[columns]").await else { panic!("no pattern") };
    assert!(why.contains("InvalidParameterException"), "{why}");
}
