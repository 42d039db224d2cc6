//! An alarm as the file has it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::Node;
use marked_yaml::types::MarkedMappingNode;

use super::super::text::clean;
use super::super::tree::{begin, each, place, under, word};
use super::{Asked, MetricStat, math, template};
use crate::policy::Side;

/// A metric alarm.
#[derive(Debug, Clone)]
pub(super) struct Alarm {
    pub name: String,
    pub line: usize,
    pub column: usize,
    /// As it stands in the file, line by line.
    pub was: Vec<String>,
    pub description: String,
    /// What it does when it rings, as ARNs.
    pub actions: Vec<String>,
    pub actions_enabled: bool,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`, where the file says.
    pub state: Option<String>,
    pub missing: String,
    /// N, and M of them.
    pub periods: u32,
    pub points: u32,
    pub unit: Option<String>,
    comparison: String,
    threshold: Option<String>,
    band: bool,
    own: Option<(MetricStat, Option<SignedDuration>)>,
    queries: Vec<Query>,
    /// Keys of alarms that are not on metrics.
    other: Option<&'static str>,
}

/// One of the metrics and expressions of an alarm on metric math.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub id: String,
    pub stat: Option<(MetricStat, Option<SignedDuration>)>,
    pub expression: Option<String>,
    pub returned: bool,
    pub foreign: bool,
}

impl Alarm {
    /// `None` for what has no place in the file.
    pub fn read(node: &MarkedMappingNode) -> Option<Self> {
        let top = place(node, "AlarmName").or(begin(node))?;
        let text = |key: &str| node.get(key).map(template::text);
        let queries: Vec<Query> = each(node, "Metrics").map(query).collect();
        let own = text("MetricName").map(|_| (stat(node, node), period(node)));
        let number = |key: &str| word(node, key).and_then(|text| text.parse::<u32>().ok());
        let periods = number("EvaluationPeriods").unwrap_or(1).max(1);
        let mut alarm = Self {
            name: text("AlarmName").unwrap_or_default(),
            line: top.line(),
            column: top.column(),
            was: Vec::new(),
            description: text("AlarmDescription").unwrap_or_default(),
            actions: list(node, "AlarmActions"),
            actions_enabled: word(node, "ActionsEnabled") != Some("false"),
            state: word(node, "StateValue").map(str::to_owned),
            missing: text("TreatMissingData").unwrap_or_else(|| "missing".to_owned()),
            periods,
            points: number("DatapointsToAlarm").unwrap_or(periods).clamp(1, periods),
            unit: text("Unit"),
            comparison: text("ComparisonOperator").unwrap_or_default(),
            threshold: text("Threshold"),
            band: node.get("ThresholdMetricId").is_some(),
            own,
            queries,
            other: ["EvaluationCriteria", "QueryResultsToEvaluate"]
                .into_iter()
                .find(|key| node.get(*key).is_some()),
        };
        alarm.was = alarm.told();
        Some(alarm)
    }

    /// With the name of the template's resource, if it has none of its own.
    pub fn or_named(mut self, resource: &str) -> Self {
        if self.name.is_empty() || self.name.contains("${") {
            resource.clone_into(&mut self.name);
        }
        self
    }

    /// The alarm in a line or two.
    fn told(&self) -> Vec<String> {
        let sign = match self.comparison.as_str() {
            "GreaterThanThreshold" => ">",
            "GreaterThanOrEqualToThreshold" => ">=",
            "LessThanThreshold" => "<",
            "LessThanOrEqualToThreshold" => "<=",
            other => other,
        };
        let limit = self.threshold.as_deref().unwrap_or("a band");
        let times = format!("{} of {}", self.points, self.periods);
        let every = |period: Option<SignedDuration>| {
            period.map(|period| format!(" of {period:#}")).unwrap_or_default()
        };
        let mut lines: Vec<String> = (self.own.iter())
            .map(|(stat, period)| {
                let MetricStat { namespace, metric, stat, .. } = stat;
                let every = every(*period);
                format!("{stat} of {namespace} {metric} {sign} {limit} in {times} periods{every}")
            })
            .collect();
        for query in &self.queries {
            let asked = match (&query.stat, &query.expression) {
                (Some((stat, period)), _) => {
                    format!("{} of {} {}{}", stat.stat, stat.namespace, stat.metric, every(*period))
                }
                (None, Some(text)) => text.clone(),
                (None, None) => "nothing".to_owned(),
            };
            let rings = if query.returned {
                format!(" {sign} {limit} in {times} periods")
            } else {
                String::new()
            };
            lines.push(format!("{} = {}{rings}", query.id, clean(&asked)));
        }
        if !self.description.is_empty() {
            lines.push(format!("\"{}\"", self.description));
        }
        lines
    }

    /// Whether it says anything of a service's health.
    pub fn is_about_health(&self) -> Result<(), String> {
        let scales =
            |arn: &String| arn.contains(":autoscaling:") || arn.contains("application-autoscaling");
        if self.name.starts_with("TargetTracking-")
            || (!self.actions.is_empty() && self.actions.iter().all(scales))
        {
            return Err("it drives auto scaling: it rings under load that is normal".to_owned());
        }
        match self.other {
            Some(key) => Err(format!("it is no alarm on metrics (`{key}`)")),
            None => Ok(()),
        }
    }

    /// How long it takes to ring, at least.
    pub fn held(&self, period: SignedDuration) -> SignedDuration {
        period.saturating_mul(i32::try_from(self.points).unwrap_or(i32::MAX))
    }

    pub fn side(&self) -> Result<Side, String> {
        match self.comparison.as_str() {
            _ if self.band => Err(banded()),
            "GreaterThanThreshold" => Ok(Side::Above),
            "GreaterThanOrEqualToThreshold" => Ok(Side::AtLeast),
            "LessThanThreshold" => Ok(Side::Below),
            "LessThanOrEqualToThreshold" => Ok(Side::AtMost),
            other if other.contains("Lower") || other.contains("Upper") => Err(banded()),
            "" => Err("it has no `ComparisonOperator`".to_owned()),
            other => Err(format!("`{other}` is no comparison of an alarm")),
        }
    }

    pub fn threshold(&self) -> Result<f64, String> {
        let text = self.threshold.as_deref().ok_or("it has no `Threshold`")?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| {
            format!("its threshold is `{text}`: a value of the template that a check can't look up")
        })
    }

    /// What it asks for, and the period.
    pub fn asked(&self) -> Result<(Asked, SignedDuration), String> {
        let timed = |period: Option<SignedDuration>| {
            period.ok_or_else(|| "its period is not given as a number".to_owned())
        };
        if let Some((stat, period)) = &self.own {
            known(stat)?;
            return Ok((Asked::Stat(stat.clone()), timed(*period)?));
        }
        let (asked, period) = math::asked(&self.queries)?;
        match &asked {
            Asked::Stat(stat) => known(stat)?,
            Asked::Math { metrics, .. } => metrics.values().try_for_each(known)?,
        }
        Ok((asked, timed(period)?))
    }
}

fn banded() -> String {
    "it rings outside of a band that CloudWatch learned (anomaly detection): a check compares with \
     before by `baseline: { against: [before, last-week], worse_by: 2x }`, beside a limit"
        .to_owned()
}

/// Whether a check can ask for this statistic.
fn known(stat: &MetricStat) -> Result<(), String> {
    let MetricStat { stat, namespace, .. } = stat;
    let plain = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"].contains(&stat.as_str());
    let percent = stat.strip_prefix('p').and_then(|rest| rest.parse::<f64>().ok());
    if namespace.is_empty() {
        return Err("its metric has no namespace".to_owned());
    }
    if plain || percent.is_some_and(|percent| percent > 0.0 && percent <= 100.0) {
        return Ok(());
    }
    if stat.is_empty() {
        return Err("it has no statistic".to_owned());
    }
    Err(format!(
        "a check knows no statistic `{stat}`: a percentile such as p95 says nearly the same"
    ))
}

/// A metric of `named`, whose statistic is in `node`.
fn stat(named: &MarkedMappingNode, node: &MarkedMappingNode) -> MetricStat {
    let text = |from: &MarkedMappingNode, key: &str| from.get(key).map(template::text);
    let statistics = ["Stat", "Statistic", "ExtendedStatistic"];
    let dimensions = each(named, "Dimensions")
        .filter_map(|pair| Some((text(pair, "Name")?, text(pair, "Value")?)))
        .collect::<BTreeMap<_, _>>();
    MetricStat {
        namespace: text(named, "Namespace").unwrap_or_default(),
        metric: text(named, "MetricName").unwrap_or_default(),
        dimensions,
        stat: statistics.iter().find_map(|key| text(node, key)).unwrap_or_default(),
    }
}

fn period(node: &MarkedMappingNode) -> Option<SignedDuration> {
    let seconds = word(node, "Period")?.parse::<i64>().ok().filter(|seconds| *seconds > 0)?;
    Some(SignedDuration::from_secs(seconds))
}

fn query(node: &MarkedMappingNode) -> Query {
    let asked = under(node, "MetricStat");
    let stat = asked.and_then(|asked| {
        Some((stat(under(asked, "Metric")?, asked), period(asked).or(period(node))))
    });
    Query {
        id: word(node, "Id").unwrap_or_default().to_owned(),
        stat,
        expression: node.get("Expression").map(template::text),
        // `true` where nothing is said.
        returned: word(node, "ReturnData") != Some("false"),
        foreign: node.get("AccountId").is_some(),
    }
}

fn list(node: &MarkedMappingNode, key: &str) -> Vec<String> {
    match node.get(key) {
        None => Vec::new(),
        Some(Node::Sequence(items)) => items.iter().map(template::text).collect(),
        Some(one) => vec![template::text(one)],
    }
}
