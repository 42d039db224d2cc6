//! `cloudwatch:` and `alarm:`, from what is written to what is asked.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::amount::Stretch;
use super::desk::Desk;
use super::scalar::At;
use super::{expression, units};
use crate::model::{Metric, MetricOf, MetricStat, MetricUnit};
use crate::policy::cloudwatch::dimensions::{self, Finding};
use crate::policy::cloudwatch::units::MetricWord;
use crate::policy::diagnostic::{Mistake, Weight};
use crate::policy::{Beside, Proof, UNSAID, Unit, Watched, plain};

/// The period of a metric that names none: what AWS's own services report by.
const PERIOD: SignedDuration = SignedDuration::from_mins(1);
/// How long after its end a period is taken for complete, where a metric says nothing else.
const DELAY: SignedDuration = SignedDuration::from_mins(2);
const LONGEST_DELAY: SignedDuration = SignedDuration::from_mins(15);
/// Periods of metrics with a high resolution, in seconds.
const HIGH_RESOLUTION: [i64; 5] = [1, 5, 10, 20, 30];
const LONGEST_PERIOD: SignedDuration = SignedDuration::from_hours(1);
/// What CloudWatch allows.
const MOST_DIMENSIONS: usize = 30;
const MOST_ALARMS: usize = 100;
/// Counts of a load balancer are there only where they are not zero, and this one beside
/// them wherever requests were made.
const REQUESTS: &str = "RequestCount";

/// A metric that CloudWatch keeps: a `metric` with its `stat`, or an `expression` over several `metrics`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ namespace: AWS/ECS, metric: CPUUtilization, dimensions: {...}, stat: Average }`"
)]
pub(super) struct CloudWatchText {
    /// The namespace, such as `AWS/ApplicationELB`. Required, or `expression`.
    pub namespace: Option<At<String>>,
    /// The metric's name, such as `RequestCount`. Required, or `expression`.
    pub metric: Option<At<String>>,
    /// All of the metric's dimensions, with their values; variables may stand in these. Default: none.
    pub dimensions: BTreeMap<String, At<String>>,
    /// `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile such as `p95`; of a count it is `Sum`, of a latency its `quantile`. Required of a value.
    pub stat: Option<At<Statistic>>,
    /// Metric math over `metrics`, by their names: `100 * errors / requests`. Required, or `metric`.
    pub expression: Option<At<String>>,
    /// The metrics of an `expression`, by names that begin with a small letter. Required with `expression`.
    pub metrics: BTreeMap<String, StatText>,
    /// How long the stretch is that one data point speaks of: whole minutes up to 1h, or 1s, 5s, 10s, 20s, 30s where the metric has them. Default: 1m.
    pub period: Option<At<Stretch>>,
    /// How long after its end a period is complete, 15m at most; what is incomplete is not judged. Default: 2m.
    pub delay: Option<At<Stretch>>,
    /// The unit that CloudWatch keeps it in, where limits are written in another or it is not known. Default: what is known of the metric.
    pub unit: Option<At<MetricWord>>,
    /// Another metric of the same namespace and dimensions: where its sum is above zero, a missing value is a zero. Default: `RequestCount` for the counts of `AWS/ApplicationELB`.
    pub beside: Option<At<String>>,
}

/// One metric of an expression.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ namespace: ..., metric: ..., dimensions: {...}, stat: Sum }`"
)]
pub(super) struct StatText {
    /// The namespace, such as `AWS/ApplicationELB`. Required.
    pub namespace: Option<At<String>>,
    /// The metric's name, such as `RequestCount`. Required.
    pub metric: Option<At<String>>,
    /// All of the metric's dimensions, with their values; variables may stand in these. Default: none.
    pub dimensions: BTreeMap<String, At<String>>,
    /// `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile such as `p95`. Required.
    pub stat: Option<At<Statistic>>,
}

/// Alarms that are there already.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ names: [ALARM] }`")]
pub(super) struct AlarmText {
    /// Their names, no ARNs and no patterns; variables may stand in them. Required.
    #[schemars(length(min = 1, max = 100))]
    pub names: Option<Vec<At<String>>>,
}

/// A statistic that CloudWatch keeps.
#[derive(Debug, Clone)]
pub(super) struct Statistic(pub String);

/// What a metric is read for.
#[derive(Debug, Clone, Copy)]
pub(super) enum For {
    /// The events of each period.
    Count,
    /// A quantile (0-1) of latencies.
    Latency { quantile: f64, least: u32 },
    /// A value whose limits are in this unit.
    Value(Unit),
}

impl For {
    /// The statistic that it is always read by; `None`: the one that is written.
    pub fn stat(self) -> Option<String> {
        match self {
            Self::Count => Some("Sum".to_owned()),
            Self::Latency { quantile, .. } => Some(format!("p{}", significant(quantile * 100.0))),
            Self::Value(_) => None,
        }
    }
}

/// Reads what stands at `path`; `None`: the report says why not.
pub(super) fn metric(
    path: &[&str],
    text: &CloudWatchText,
    what: For,
    desk: &mut Desk,
) -> Option<Watched> {
    let before = desk.report.count();
    let of = match (&text.expression, &text.metric) {
        (Some(expression), _) => expression::math(path, text, expression, desk),
        (None, _) => single(path, text, what, desk).map(MetricOf::Statistic),
    };
    let (period, delay) = (period(text, desk), delay(text, desk));
    let unit = units::unit(path, text, what, desk);
    let metric = Metric { of: of?, period: period?, delay: delay?, unit: unit? };
    if desk.report.count() > before {
        return None;
    }
    let beside = beside(text, what, &metric, desk);
    Some(Watched { metric, beside })
}

/// Reads the names of `alarm:`.
pub(super) fn alarms(name: &str, text: &AlarmText, desk: &mut Desk) -> Option<Vec<String>> {
    let path = ["checks", name, "alarm", "names"];
    let names = text.names.as_deref().unwrap_or_default();
    if names.is_empty() || names.len() > MOST_ALARMS {
        let mistake = Mistake::new(format!("`{name}` needs 1 to {MOST_ALARMS} alarms"));
        desk.missing(&path, mistake.mend("write `alarm: { names: [ALARM] }`"));
        return None;
    }
    let good = names.iter().all(|alarm| named(alarm, 255, desk) && is_name(alarm, desk));
    good.then(|| names.iter().map(|alarm| alarm.value.clone()).collect())
}

/// Whether it may be an alarm's name.
fn is_name(alarm: &At<String>, desk: &mut Desk) -> bool {
    let what = if alarm.value.starts_with("arn:") {
        "is an ARN"
    } else if alarm.value.contains('*') {
        "is a pattern"
    } else {
        return true;
    };
    let mistake = Mistake::new(format!("`{}` {what}", alarm.value));
    desk.at(alarm.marker, mistake.mend("write the alarm's name; `${service}` may stand in it"));
    false
}

fn single(path: &[&str], text: &CloudWatchText, what: For, desk: &mut Desk) -> Option<MetricStat> {
    if !text.metrics.is_empty() {
        let key = [path, &["metrics"]].concat();
        desk.at(desk.key(&key), Mistake::new("`metrics` belong to an `expression`"));
    }
    let CloudWatchText { namespace, metric, dimensions, stat: statistic, .. } = text;
    let of = StatText {
        namespace: namespace.clone(),
        metric: metric.clone(),
        dimensions: dimensions.clone(),
        stat: statistic.clone(),
    };
    let given = what.stat();
    if let (Some(given), Some(statistic)) = (&given, &text.stat)
        && statistic.value.0 != *given
    {
        let what = Mistake::new(format!("here the `stat` is always `{given}`"));
        desk.at(statistic.marker, what.mend("remove it"));
    }
    stat(path, &of, given, desk)
}

/// A percentile without what binary fractions add to it.
fn significant(percent: f64) -> String {
    let text = format!("{percent:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn stat(
    path: &[&str],
    text: &StatText,
    given: Option<String>,
    desk: &mut Desk,
) -> Option<MetricStat> {
    let statistic = given.or_else(|| text.stat.as_ref().map(|stat| stat.value.0.clone()));
    for (key, there) in [
        ("namespace", text.namespace.is_some()),
        ("metric", text.metric.is_some()),
        ("stat", statistic.is_some()),
    ] {
        if !there {
            let mistake = Mistake::new(format!("the metric has no `{key}`"));
            desk.missing(&[path, &[key]].concat(), mistake);
        }
    }
    let (namespace, metric) = (text.namespace.as_ref()?, text.metric.as_ref()?);
    let mut good = named(namespace, 255, desk) & named(metric, 255, desk);
    if text.dimensions.len() > MOST_DIMENSIONS {
        let mistake = Mistake::new(format!("a metric has {MOST_DIMENSIONS} dimensions at most"));
        desk.at(desk.key(&[path, &["dimensions"]].concat()), mistake);
        good = false;
    }
    for value in text.dimensions.values() {
        good &= named(value, 1024, desk);
    }
    good.then_some(())?;
    known_dimensions(path, text, desk)?;
    let value = |(name, value): (&String, &At<String>)| (name.clone(), value.value.clone());
    Some(MetricStat {
        namespace: namespace.value.clone(),
        metric: metric.value.clone(),
        dimensions: text.dimensions.iter().map(value).collect(),
        stat: statistic?,
    })
}

/// What is known of a metric's dimensions; `None`: CloudWatch would have no data for them.
fn known_dimensions(path: &[&str], text: &StatText, desk: &mut Desk) -> Option<()> {
    let (namespace, metric) = (text.namespace.as_ref()?, text.metric.as_ref()?);
    let given: Vec<(&str, &str)> =
        text.dimensions.iter().map(|(name, value)| (name.as_str(), value.value.as_str())).collect();
    let mut good = Some(());
    for finding in dimensions::check(&namespace.value, &metric.value, &given) {
        let key = |name: &str| desk.key(&[path, &["dimensions", name]].concat());
        match finding {
            Finding::Of(name, mistake) => {
                desk.at(key(&name), mistake);
                good = None;
            }
            Finding::Missing(mistake) => {
                desk.missing(&[path, &["dimensions"]].concat(), mistake);
                good = None;
            }
            Finding::Doubtful(name, mistake) => {
                let place = name.map_or(metric.marker, |name| key(&name));
                desk.report.remark(Weight::Warning, place, mistake);
            }
        }
    }
    good
}

/// Whether it is a name that CloudWatch takes, with variables that are known.
fn named(name: &At<String>, longest: usize, desk: &mut Desk) -> bool {
    let text = &name.value;
    let mistake = if text.trim().is_empty() || text.len() > longest || !text.is_ascii() {
        Some(Mistake::new(format!("a name of CloudWatch has 1 to {longest} ASCII characters")))
    } else if text == UNSAID {
        Some(Mistake::new(format!("`{UNSAID}` stands for a name that nobody gave")))
    } else {
        plain::check(text).err()
    };
    let good = mistake.is_none();
    if let Some(mistake) = mistake {
        desk.at(name.marker, mistake);
    }
    good
}

fn period(text: &CloudWatchText, desk: &mut Desk) -> Option<SignedDuration> {
    let Some(At { value: Stretch(period), marker }) = &text.period else { return Some(PERIOD) };
    let seconds = period.as_secs();
    let whole = period.subsec_nanos() == 0 && *period <= LONGEST_PERIOD;
    if whole && seconds > 0 && (seconds % 60 == 0 || HIGH_RESOLUTION.contains(&seconds)) {
        return Some(*period);
    }
    let mistake = Mistake::new(format!("`{period:#}` is no period of CloudWatch"));
    desk.at(
        *marker,
        mistake.mend(
            "write whole minutes up to `1h`, or 1s, 5s, 10s, 20s, 30s where the metric has them",
        ),
    );
    None
}

fn delay(text: &CloudWatchText, desk: &mut Desk) -> Option<SignedDuration> {
    let Some(At { value: Stretch(delay), marker }) = &text.delay else { return Some(DELAY) };
    if *delay <= LONGEST_DELAY {
        return Some(*delay);
    }
    let mistake =
        Mistake::new(format!("a metric that comes {delay:#} late can't guard a deployment"));
    desk.at(*marker, mistake.mend("a `delay` is `15m` at most"));
    None
}

/// The count that is asked for beside a metric: proof that a missing value is a zero, or
/// how many events a percentile is made of.
fn beside(text: &CloudWatchText, what: For, metric: &Metric, desk: &mut Desk) -> Option<Beside> {
    let stat = match &metric.of {
        MetricOf::Statistic(stat) => stat,
        MetricOf::Math { .. } => {
            if let Some(beside) = &text.beside {
                let mistake = Mistake::new("an `expression` has no metric `beside` it");
                desk.at(beside.marker, mistake.mend("write `FILL(errors, 0)` in it"));
            }
            return None;
        }
    };
    let of_alb = stat.namespace == "AWS/ApplicationELB";
    let (name, statistic, proves) = match (what, &text.beside) {
        (For::Count | For::Latency { .. }, Some(beside)) => {
            let mistake = Mistake::new("only a value has a metric `beside` it");
            desk.at(beside.marker, mistake.mend("a ratio has its `total`"));
            return None;
        }
        // One request counts as one response time, and is asked for anyway.
        (For::Latency { least, .. }, None) if of_alb => (REQUESTS, "Sum", Proof::Events { least }),
        (For::Latency { least, .. }, None) => {
            (stat.metric.as_str(), "SampleCount", Proof::Events { least })
        }
        (For::Value(_), Some(beside)) if !named(beside, 255, desk) => return None,
        (For::Value(_), Some(beside)) => (beside.value.as_str(), "Sum", Proof::Zero),
        (For::Value(_), None) if of_alb && stat.stat == "Sum" && stat.metric != REQUESTS => {
            (REQUESTS, "Sum", Proof::Zero)
        }
        (For::Count | For::Value(_), None) => return None,
    };
    let (metric_name, statistic) = (name.to_owned(), statistic.to_owned());
    let stat = MetricStat { metric: metric_name, stat: statistic, ..stat.clone() };
    let of = MetricOf::Statistic(stat);
    Some(Beside { metric: Metric { of, unit: MetricUnit::Base, ..metric.clone() }, proves })
}
