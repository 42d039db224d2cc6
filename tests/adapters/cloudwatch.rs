//! The CloudWatch source in front of the stand-in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deployguard::model::{
    ALARM_BEFORE, AlarmsAsk, Ask, Fold, Measurement, Metric, MetricAsk, MetricOf, MetricStat,
    MetricUnit, Question, Reading, Shape, Ticks, Unusable,
};
use deployguard::sources::{CloudWatch, Due, Sources, Spent, measure};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::ecs::aws_at;
use crate::world::aws::cloudwatch::metric::{Metric as Kept, Trouble};
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, Fault, NoProcesses};
use crate::world::now;
use crate::world::timeline::Timeline;

const NAMESPACE: &str = "AWS/ApplicationELB";
const GROUP: (&str, &str) = ("TargetGroup", "targetgroup/api/1");

struct Stage {
    aws: Ecs,
    cloudwatch: CloudWatch,
    sources: Sources,
    /// A minute ago or more, on the clock.
    at: Timestamp,
}

impl Stage {
    async fn open() -> Self {
        let runner = Arc::new(NoProcesses);
        let aws = Ecs::start(Settings::default(), runner, Timeline::default()).await;
        let aws = aws.expect("a free port");
        let cloudwatch = CloudWatch::of(&aws_at(aws.url()).await);
        let sources = Sources { cloudwatch: Some(cloudwatch.clone()), ..Sources::default() };
        let minute = now().as_second().div_euclid(300) * 300 - 300;
        let at = Timestamp::from_second(minute).expect("a time");
        Self { aws, cloudwatch, sources, at }
    }

    /// The metric has these values in each of the latest minutes, the newest last.
    fn put<T: AsRef<[f64]>>(&self, name: &str, minutes: &[T]) {
        for (back, values) in minutes.iter().rev().enumerate() {
            let back = i64::try_from(back).expect("few") + 1;
            let at = self.at - SignedDuration::from_mins(back);
            if !values.as_ref().is_empty() {
                self.aws.cloudwatch().put(&kept(name), at, values.as_ref());
            }
        }
    }

    async fn ask(&self, questions: Vec<Question>, minutes: i64) -> Vec<Reading> {
        let ticks = Ticks::once(self.at, SignedDuration::from_mins(minutes));
        let due = questions.into_iter().map(|question| Due { key: (), question, ticks });
        let measured = measure(&self.sources, due.collect()).await;
        measured.into_iter().map(|((), one)| one.readings[0].clone()).collect()
    }

    async fn one(&self, question: Question) -> Reading {
        self.ask(vec![question], 1).await.remove(0)
    }
}

fn kept(name: &str) -> Kept {
    Kept::new(NAMESPACE, name, &[GROUP])
}

fn stat(name: &str, stat: &str) -> MetricStat {
    let dimensions = BTreeMap::from([(GROUP.0.to_owned(), GROUP.1.to_owned())]);
    MetricStat { namespace: NAMESPACE.into(), metric: name.into(), dimensions, stat: stat.into() }
}

fn ask(of: MetricOf, unit: MetricUnit, fold: Fold) -> Ask {
    let (period, delay) = (SignedDuration::from_mins(1), SignedDuration::from_mins(2));
    Ask::Metric(Box::new(MetricAsk { metric: Metric { of, period, delay, unit }, fold }))
}

fn sum(name: &str) -> Ask {
    ask(MetricOf::Statistic(stat(name, "Sum")), MetricUnit::Base, Fold::Each)
}

fn errors() -> Question {
    let asks = vec![sum("HTTPCode_Target_5XX_Count"), sum("RequestCount")];
    Question::plain(Shape::BadOfTotal, asks)
}

fn gauge(name: &str, statistic: &str, unit: MetricUnit, fold: Fold) -> Question {
    let of = MetricOf::Statistic(stat(name, statistic));
    Question::plain(Shape::Gauge, vec![ask(of, unit, fold)])
}

fn math(expression: &str, names: &[&str]) -> Question {
    let metrics = names.iter().map(|name| (name.to_lowercase(), stat(name, "Sum"))).collect();
    let of = MetricOf::Math { expression: expression.into(), metrics };
    Question::plain(Shape::Gauge, vec![ask(of, MetricUnit::Percent, Fold::Highest)])
}

fn value(value: f64) -> Measurement {
    Measurement::Gauge { values: [("value".to_owned(), value)].into() }
}

#[tokio::test]
async fn a_missing_count_of_errors_is_zero_beside_requests_and_no_data_without() {
    let stage = Stage::open().await;
    stage.put("RequestCount", &[&[40.0], &[60.0]]);
    assert_eq!(stage.one(errors()).await, Ok(Measurement::counts(0.0, 60.0)));
    stage.put("HTTPCode_Target_5XX_Count", &[vec![1.0, 2.0], vec![]]);
    let two = stage.ask(vec![errors()], 2).await;
    assert_eq!(two, [Ok(Measurement::counts(3.0, 100.0))], "a stretch of two minutes adds up");

    let quiet = Stage::open().await;
    assert_eq!(quiet.one(errors()).await, Err(Unusable::Empty));
    let counted = gauge("HTTPCode_Target_5XX_Count", "Sum", MetricUnit::Base, Fold::Highest);
    let asks = vec![counted.asks[0].clone(), sum("RequestCount")];
    let question = Question::plain(Shape::GaugeBeside, asks);
    assert_eq!(quiet.one(question.clone()).await, Err(Unusable::Empty));
    assert_eq!(stage.one(question).await, Ok(value(0.0)));
}

#[tokio::test]
async fn values_come_in_base_units_and_of_the_whole_stretch() {
    let stage = Stage::open().await;
    let slow: Vec<f64> = (1..=100).map(|n| f64::from(n) / 100.0).collect();
    stage.put("TargetResponseTime", &vec![slow; 5]);
    stage.put("CPUUtilization", &[&[80.0], &[40.0], &[40.0], &[40.0], &[40.0]]);
    stage.put("Errors", &[&[3.0], &[12.0], &[1.0], &[2.0], &[4.0]]);
    stage.put("All", &[&[100.0]; 5]);
    let questions = vec![
        gauge("TargetResponseTime", "p95", MetricUnit::Base, Fold::Whole),
        gauge("TargetResponseTime", "p95", MetricUnit::Milliseconds, Fold::Whole),
        gauge("CPUUtilization", "Average", MetricUnit::Percent, Fold::Whole),
        gauge("Errors", "Sum", MetricUnit::Base, Fold::Highest),
        gauge("Errors", "Sum", MetricUnit::Base, Fold::Lowest),
        math("100 * errors / all", &["Errors", "All"]),
    ];
    let answers = stage.ask(questions, 5).await;
    let numbers: Vec<f64> = answers
        .iter()
        .map(|answer| match answer {
            Ok(Measurement::Gauge { values }) => values["value"],
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(
        (numbers[0] - 0.95).abs() < 0.02 && (numbers[1] - 0.00095).abs() < 0.00002,
        "{numbers:?}"
    );
    let near = |index: usize, wanted: f64| (numbers[index] - wanted).abs() < 1e-9;
    assert!(near(2, 0.48) && near(3, 12.0) && near(4, 1.0) && near(5, 0.12), "{numbers:?}");
    let calls = stage.aws.calls();
    assert_eq!(calls.len(), 1, "all of them are one call");
    // p95 twice is one metric; the formula shares its sum with the two gauges.
    assert_eq!(stage.cloudwatch.take_spent(), Spent { metrics: 4, calls: 1 });
}

#[tokio::test]
async fn each_trouble_of_a_result_has_its_meaning_and_leaves_the_others_alone() {
    let stage = Stage::open().await;
    for name in ["Good", "Partial", "Internal", "Forbidden"] {
        stage.put(name, &[&[1.0]]);
    }
    let troubles = [
        ("Partial", Trouble::Partial { without_newest: 1 }),
        ("Internal", Trouble::Internal),
        ("Forbidden", Trouble::Forbidden),
    ];
    for (name, trouble) in troubles {
        stage.aws.cloudwatch().set_trouble(&kept(name), Some(trouble));
    }
    let of = |name| gauge(name, "Sum", MetricUnit::Base, Fold::Highest);
    let answers =
        stage.ask(vec![of("Good"), of("Partial"), of("Internal"), of("Forbidden")], 1).await;
    assert_eq!(answers[0], Ok(value(1.0)));
    assert!(
        matches!(&answers[1], Err(Unusable::Unreachable(why)) if why.contains("part")),
        "{answers:?}"
    );
    assert!(matches!(&answers[2], Err(Unusable::Unreachable(_))), "{answers:?}");
    assert!(
        matches!(&answers[3], Err(Unusable::Refused(why)) if why.contains("forbids")),
        "{answers:?}"
    );
}

#[tokio::test]
async fn a_metric_that_cloudwatch_refuses_does_not_take_the_others_with_it() {
    let stage = Stage::open().await;
    stage.put("Good", &[&[1.0]]);
    let good = gauge("Good", "Sum", MetricUnit::Base, Fold::Highest);
    let mut questions = vec![good.clone(); 3];
    questions.insert(1, math("SUM(good", &["Good"]));
    questions.push(gauge("", "Sum", MetricUnit::Base, Fold::Highest));
    let answers = stage.ask(questions, 1).await;
    for place in [0, 2, 3] {
        assert_eq!(answers[place], Ok(value(1.0)), "{answers:?}");
    }
    for place in [1, 4] {
        assert!(matches!(&answers[place], Err(Unusable::Refused(_))), "{answers:?}");
    }
}

#[tokio::test]
async fn what_can_pass_is_no_data_and_what_cannot_is_refused() {
    let stage = Stage::open().await;
    stage.put("Good", &[&[1.0]]);
    let good = || gauge("Good", "Sum", MetricUnit::Base, Fold::Highest);
    for fault in [Fault::Throttle, Fault::Error5xx, Fault::Html(502)] {
        stage.aws.fault("GetMetricData", &fault, 10);
        let answer = stage.one(good()).await;
        assert!(matches!(&answer, Err(Unusable::Unreachable(_))), "{fault:?}: {answer:?}");
        stage.aws.clear_faults();
    }
    stage.aws.fault("GetMetricData", &Fault::Throttle, 1);
    assert_eq!(stage.one(good()).await, Ok(value(1.0)), "one throttled try is made up for");
    stage.aws.fault("GetMetricData", &Fault::Hang(Duration::from_secs(30)), 10);
    let answer = stage.one(good()).await;
    assert!(matches!(&answer, Err(Unusable::Unreachable(_))), "{answer:?}");
    stage.aws.clear_faults();
    let none = Sources::default();
    let ticks = Ticks::once(stage.at, SignedDuration::from_mins(1));
    let due = vec![Due { key: (), question: good(), ticks }];
    let answer = measure(&none, due).await.remove(0).1.readings.remove(0);
    assert!(matches!(&answer, Err(Unusable::Refused(why)) if why.contains("`aws`")), "{answer:?}");
}

#[tokio::test]
async fn an_alarm_counts_only_if_it_went_off_after_the_deployment() {
    let stage = Stage::open().await;
    let begun = stage.at;
    let before = begun - SignedDuration::from_mins(5);
    for (name, state, at) in [
        ("calm", "OK", before),
        ("old", "ALARM", before),
        ("new", "ALARM", begun + SignedDuration::from_secs(30)),
        ("unsure", "INSUFFICIENT_DATA", before),
    ] {
        stage.aws.cloudwatch().put_alarm(&json!({
            "AlarmName": name, "Namespace": NAMESPACE, "MetricName": "RequestCount",
            "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }));
        stage.aws.cloudwatch().set_alarm(name, state, at);
    }
    let alarms = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let ask = Ask::Alarms(AlarmsAsk { names, since: Some(begun), clear: None });
        let mut question = Question::plain(Shape::Gauge, vec![ask]);
        question.labels.insert(ALARM_BEFORE.to_owned());
        Due { key: (), question, ticks: Ticks::once(now(), SignedDuration::from_secs(15)) }
    };
    let measured = measure(&stage.sources, vec![alarms(&["calm", "old", "new", "unsure"])]).await;
    let ((), measured) = &measured[0];
    let Ok(Measurement::Gauge { values }) = &measured.readings[0] else { panic!("{measured:?}") };
    let states: Vec<(&str, f64)> =
        values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(states, [("{alarm=\"calm\"}", 1.0), ("{alarm=\"new\"}", 0.0)]);
    assert_eq!(measured.seen[ALARM_BEFORE], ["old".to_owned()].into());

    let unknown = measure(&stage.sources, vec![alarms(&["calm", "misspelt"])]).await;
    let reading = &unknown[0].1.readings[0];
    assert!(
        matches!(reading, Err(Unusable::Refused(why)) if why.contains("misspelt")),
        "{reading:?}"
    );
}

#[tokio::test]
async fn a_percentile_of_too_few_events_says_nothing() {
    let stage = Stage::open().await;
    stage.put("TargetResponseTime", &[vec![4.0, 4.0]]);
    stage.put("RequestCount", &[vec![1.0, 1.0]]);
    let p95 = gauge("TargetResponseTime", "p95", MetricUnit::Base, Fold::Whole);
    let asks = vec![p95.asks[0].clone(), sum("RequestCount")];
    let of = |least| Question::plain(Shape::GaugeOf { least }, asks.clone());
    assert_eq!(stage.one(of(20)).await, Err(Unusable::TooFew(2)));
    assert_eq!(stage.one(of(2)).await, Ok(value(4.0)));
}

#[tokio::test]
async fn an_empty_label_is_refused_without_a_call_and_what_is_invalid_is_not_asked_again() {
    let stage = Stage::open().await;
    let mut empty = stat("Good", "Sum");
    empty.dimensions.insert("TargetGroup".into(), String::new());
    let of = ask(MetricOf::Statistic(empty), MetricUnit::Base, Fold::Highest);
    let answer = stage.one(Question::plain(Shape::Gauge, vec![of])).await;
    assert!(matches!(&answer, Err(Unusable::Refused(why)) if why.contains("TargetGroup")));
    assert!(stage.aws.calls().is_empty(), "nothing was asked");
    for _ in 0..3 {
        let answer = stage.one(math("SUM(good", &["Good"])).await;
        assert!(matches!(&answer, Err(Unusable::Refused(_))), "{answer:?}");
    }
    assert_eq!(stage.aws.calls().len(), 1, "it is known to be invalid");
}

#[tokio::test]
async fn an_alarm_that_went_off_in_the_grace_waits_and_one_that_is_gone_hides_no_other() {
    let stage = Stage::open().await;
    let begun = now() - SignedDuration::from_mins(4);
    stage.aws.cloudwatch().put_alarm(&json!({
        "AlarmName": "start-up", "Namespace": NAMESPACE, "MetricName": "RequestCount",
        "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }));
    let went_off = begun + SignedDuration::from_mins(1);
    stage.aws.cloudwatch().set_alarm("start-up", "ALARM", went_off);
    let told = async |names: &[&str], clear: Timestamp| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let ask = Ask::Alarms(AlarmsAsk { names, since: Some(begun), clear: Some(clear) });
        let question = Question::plain(Shape::Gauge, vec![ask]);
        let ticks = Ticks::once(now(), SignedDuration::from_secs(15));
        let due = vec![Due { key: (), question, ticks }];
        measure(&stage.sources, due).await.remove(0).1.readings.remove(0)
    };
    let in_grace = begun + SignedDuration::from_mins(2);
    assert_eq!(told(&["start-up"], in_grace).await, Err(Unusable::Empty));
    let before_it = begun + SignedDuration::from_secs(30);
    let gone_too = told(&["start-up", "misspelt"], before_it).await;
    assert!(matches!(gone_too, Ok(Measurement::Gauge { .. })), "{gone_too:?}");
}
