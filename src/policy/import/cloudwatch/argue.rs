//! Where an alarm does not mean what it says, in words.

use jiff::SignedDuration;

use super::super::{Argument, Measured, argue};
use super::alarm::Alarm;
use super::{Asked, MetricStat};
use crate::model::Severity;

/// What a service stands on.
const BENEATH: [&str; 12] = [
    "AWS/DAX",
    "AWS/DocDB",
    "AWS/EBS",
    "AWS/EC2",
    "AWS/EFS",
    "AWS/ES",
    "AWS/ElastiCache",
    "AWS/Kafka",
    "AWS/NATGateway",
    "AWS/Neptune",
    "AWS/RDS",
    "AWS/Redshift",
];
/// What of it a deployment uses up.
const USED_UP: [&str; 3] = ["DatabaseConnections", "CurrConnections", "ConnectionCount"];
/// Below it, the targets of a roll-out that go well are not healthy yet.
const WARM: SignedDuration = SignedDuration::from_mins(5);
const LONG: SignedDuration = SignedDuration::from_mins(10);

/// By the words of its name, its description, and whom it tells.
pub(super) fn severity(alarm: &Alarm, arguments: &mut Vec<Argument>) -> Severity {
    if !alarm.actions_enabled || alarm.actions.is_empty() {
        let why = if alarm.actions.is_empty() { "it has no action" } else { "its actions are off" };
        arguments.push(
            Argument::new(format!(
                "{why}: it tells nobody, unless another alarm or a deployment looks at it"
            ))
            .drafted("drafted as SEV3: told, never rolled back"),
        );
        return Severity::Sev3;
    }
    let topics = alarm.actions.iter().map(|arn| arn.rsplit(':').next().unwrap_or_default());
    let topics = topics.collect::<Vec<_>>().join(" ");
    [&alarm.name, &alarm.description, &topics]
        .into_iter()
        .find_map(|text| graded(text))
        .unwrap_or(Severity::Sev2)
}

/// The severity that a text names.
fn graded(text: &str) -> Option<Severity> {
    let lower = text.to_lowercase();
    let has = |known: &[&str]| {
        lower.split(|char: char| !char.is_ascii_alphanumeric()).any(|word| known.contains(&word))
    };
    let first = ["critical", "crit", "emergency", "fatal", "sev1", "p0", "p1"];
    let pages = ["page", "pager", "pagerduty", "oncall", "opsgenie"];
    if has(&["sev2", "p2", "warning", "warn", "major"]) {
        Some(Severity::Sev2)
    } else if has(&first) || has(&pages) {
        Some(Severity::Sev1)
    } else if has(&["sev3", "p3", "p4", "info", "notice", "minor"]) {
        Some(Severity::Sev3)
    } else {
        None
    }
}

/// What it makes of missing data, and its state now.
pub(super) fn data(alarm: &Alarm, measured: &Measured, arguments: &mut Vec<Argument>) {
    let sparse = is_sparse(measured);
    let passes = "left away: without data the verdict is `no_data`, which passes nothing";
    let argument = match alarm.missing.as_str() {
        "breaching" => Some(
            Argument::new(
                "missing data is a breach: a metric that comes late, or a service \
                           without requests, would roll back a good version",
            )
            .drafted("left away: missing data is no guilt; people are told of it"),
        ),
        "notBreaching" if !sparse => Some(
            Argument::new(
                "missing data is fine to it: a version that runs nothing and sends \
                           nothing stays OK",
            )
            .drafted(passes),
        ),
        "ignore" => Some(
            Argument::new(
                "missing data leaves it as it was: what was OK stays OK when the \
                           service is gone",
            )
            .drafted(passes),
        ),
        "missing" if sparse => Some(
            Argument::new(
                "the metric is there only while it is not zero: most of the time the \
                           alarm is in INSUFFICIENT_DATA, not OK",
            )
            .drafted("here a missing value is zero while there are requests, and no data without"),
        ),
        _ => None,
    };
    arguments.extend(argument);
    match alarm.state.as_deref() {
        Some("ALARM") => arguments.push(
            Argument::new(
                "it is in ALARM at this moment: what rings without any deployment says \
                           little about one",
            )
            .drafted("drafted with its limit all the same"),
        ),
        Some("INSUFFICIENT_DATA") if !sparse => arguments.push(
            Argument::new("it has no data at this moment: its metric may be gone")
                .drafted("drafted all the same; `deployguard check --live` asks for it"),
        ),
        Some(_) | None => {}
    }
}

/// What the metric and its statistic hide.
pub(super) fn metric(measured: &Measured, held: SignedDuration, arguments: &mut Vec<Argument>) {
    let Measured::Metric { of, .. } = measured else { return };
    let (period, timed) = (of.period, of.unit.is_some_and(|unit| unit.ends_with("seconds")));
    let Asked::Stat(MetricStat { namespace, metric, stat, .. }) = &of.of else { return };
    match stat.as_str() {
        "Sum" => {
            let kept = if is_sparse(measured) {
                "kept; a `ratio` of it to `RequestCount` says the same at any load"
            } else {
                "kept"
            };
            arguments.push(
                Argument::new(format!(
                    "a number of events in {period:#}, whatever the traffic: the limit means \
                     another share in a quiet night than under full load, and goes with the period"
                ))
                .drafted(kept),
            );
        }
        "Average" if timed => arguments.push(
            Argument::new(
                "a mean hides the slow requests: one of ten at 5s beside nine at 100ms is 590ms",
            )
            .drafted("kept; `latency: { quantile: 0.95 }` sees them"),
        ),
        "Average" if namespace == "AWS/ECS" => arguments.push(
            Argument::new(format!(
                "the mean over all tasks, old and new: one new task with its `{metric}` at 100 % \
                 among nine idle ones is 10 %"
            ))
            .drafted("kept; with `stat: Maximum` the worst task counts"),
        ),
        _ => {}
    }
    if metric == "UnHealthyHostCount" && held < WARM {
        arguments.push(
            Argument::new(
                "new targets are unhealthy until their first health checks have passed: it rings \
                 in every roll-out that takes longer than it holds",
            )
            .drafted(format!("kept; `for {WARM:#}` lets them come up")),
        );
    }
}

/// M of N data points, as a time that the breach must hold.
pub(super) fn hold(
    alarm: &Alarm,
    period: SignedDuration,
    arguments: &mut Vec<Argument>,
) -> Option<SignedDuration> {
    let (points, periods) = (alarm.points, alarm.periods);
    let hold = (points > 1).then(|| alarm.held(period));
    if points < periods {
        let drafted = match hold {
            Some(hold) => format!("drafted as a breach that holds for {hold:#}, without gaps"),
            None => "drafted without `for`; a breach needs three samples that agree".to_owned(),
        };
        arguments.push(
            Argument::new(format!(
                "{points} of {periods}: any {points} of the last {periods} data points, in a row \
                 or not"
            ))
            .drafted(drafted),
        );
    }
    if hold.is_some() {
        arguments.extend(argue::slow(None, hold));
    } else if period >= LONG {
        arguments.push(
            Argument::new(format!("a period of {period:#}: what breaks is told that much later"))
                .drafted("kept; a shorter period sees it sooner"),
        );
    }
    hold
}

/// Whether a deployment can't have broken it.
pub(super) fn is_beneath(measured: &Measured) -> bool {
    let Measured::Metric { of, .. } = measured else { return false };
    let beneath = |stat: &MetricStat| {
        BENEATH.contains(&stat.namespace.as_str()) && !USED_UP.contains(&stat.metric.as_str())
    };
    match &of.of {
        Asked::Stat(stat) => beneath(stat),
        Asked::Math { metrics, .. } => metrics.values().all(beneath),
    }
}

/// Whether the metric is there only while it is not zero.
fn is_sparse(measured: &Measured) -> bool {
    let Measured::Metric { of, .. } = measured else { return false };
    let Asked::Stat(stat) = &of.of else { return false };
    let counts = stat.metric.starts_with("HTTPCode_") || stat.metric.ends_with("ErrorCount");
    stat.namespace == "AWS/ApplicationELB" && stat.stat == "Sum" && counts
}
