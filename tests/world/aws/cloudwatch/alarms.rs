//! Alarms. Nothing evaluates them: tests move them, by hand or over the wire.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error::CloudWatchError;
use super::requests::{DeleteAlarms, DescribeAlarmHistory, DescribeAlarms, SetAlarmState, read};

/// Alarms of an answer when the caller does not say, and most of them.
const PAGE: usize = 50;
const MOST: usize = 100;

/// The members that a metric alarm is made of, besides its name.
const METRIC_MEMBERS: [&str; 20] = [
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "Dimensions",
    "EvaluateLowSampleCountPercentile",
    "EvaluationPeriods",
    "ExtendedStatistic",
    "InsufficientDataActions",
    "MetricName",
    "Metrics",
    "Namespace",
    "OKActions",
    "Period",
    "Statistic",
    "Threshold",
    "ThresholdMetricId",
    "TreatMissingData",
    "Unit",
];
const COMPOSITE_MEMBERS: [&str; 6] = [
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmRule",
    "InsufficientDataActions",
    "OKActions",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Metric,
    Composite,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Metric => "MetricAlarm",
            Self::Composite => "CompositeAlarm",
        }
    }
}

struct Alarm {
    kind: Kind,
    configuration: Map<String, Value>,
    configured_at: Timestamp,
    state: String,
    reason: String,
    updated_at: Timestamp,
    transitioned_at: Timestamp,
}

/// Every alarm of the account, by name, and what happened to them.
#[derive(Default)]
pub struct Alarms {
    alarms: BTreeMap<String, Alarm>,
    /// Oldest first.
    history: Vec<Value>,
}

impl Alarms {
    /// `PutMetricAlarm` and `PutCompositeAlarm`. An alarm that is there keeps its state.
    pub fn put(
        &mut self,
        kind: Kind,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, CloudWatchError> {
        let (name, configuration) = configuration(kind, body)?;
        let known = self.alarms.get_mut(&name);
        if known.as_ref().is_some_and(|alarm| alarm.kind != kind) {
            let message = format!("There is an alarm of another type with the name {name}.");
            return Err(CloudWatchError::validation(message));
        }
        let what = if known.is_some() { "updated" } else { "created" };
        if let Some(alarm) = known {
            alarm.configuration = configuration;
            alarm.configured_at = now;
        } else {
            let reason = "Unchecked: Initial alarm creation".into();
            let state = "INSUFFICIENT_DATA".into();
            let (configured_at, updated_at, transitioned_at) = (now, now, now);
            let alarm = Alarm {
                kind,
                configuration,
                configured_at,
                state,
                reason,
                updated_at,
                transitioned_at,
            };
            self.alarms.insert(name.clone(), alarm);
        }
        let summary = format!("Alarm \"{name}\" {what}");
        self.record(
            kind,
            &name,
            "ConfigurationUpdate",
            &summary,
            &json!({ "version": "1.0" }),
            now,
        );
        Ok(json!({}))
    }

    /// `SetAlarmState`.
    pub fn set_state(&mut self, body: &Value, now: Timestamp) -> Result<Value, CloudWatchError> {
        let request: SetAlarmState = read("SetAlarmState", body)?;
        let state = request.state_value;
        if !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&state.as_str()) {
            let message = format!("StateValue is OK, ALARM or INSUFFICIENT_DATA, not {state}");
            return Err(CloudWatchError::validation(message));
        }
        let name = request.alarm_name;
        let alarm = self.alarms.get_mut(&name);
        let alarm = alarm.ok_or_else(|| CloudWatchError::not_found(format!("no alarm {name}")))?;
        alarm.updated_at = now;
        let side =
            |state: &str, reason: &str| json!({ "stateValue": state, "stateReason": reason });
        let old = (alarm.state.clone(), side(&alarm.state, &alarm.reason));
        alarm.reason = request.state_reason;
        if old.0 != state {
            alarm.transitioned_at = now;
            let data = json!({ "version": "1.0", "oldState": old.1,
                "newState": side(&state, &alarm.reason) });
            let summary = format!("Alarm updated from {} to {state}", old.0);
            alarm.state = state;
            let kind = alarm.kind;
            self.record(kind, &name, "StateUpdate", &summary, &data, now);
        }
        Ok(json!({}))
    }

    /// `DeleteAlarms`: all of them, or none.
    pub fn delete(&mut self, body: &Value) -> Result<Value, CloudWatchError> {
        let request: DeleteAlarms = read("DeleteAlarms", body)?;
        if let Some(name) = request.alarm_names.iter().find(|name| !self.alarms.contains_key(*name))
        {
            return Err(CloudWatchError::not_found(format!("no alarm {name}")));
        }
        self.alarms.retain(|name, _| !request.alarm_names.contains(name));
        Ok(json!({}))
    }

    /// `DescribeAlarms`. Names that are not there are left out of the answer, without a word.
    pub fn describe(&self, body: &Value) -> Result<Value, CloudWatchError> {
        let request: DescribeAlarms = read("DescribeAlarms", body)?;
        if request.alarm_names.is_some() && request.alarm_name_prefix.is_some() {
            let message = "AlarmNames and AlarmNamePrefix exclude each other.";
            return Err(CloudWatchError::combination(message));
        }
        if request.alarm_names.as_ref().is_some_and(|names| names.len() > MOST) {
            let message = "The collection AlarmNames must not have a size greater than 100.";
            return Err(CloudWatchError::validation(message));
        }
        let kinds = request.alarm_types.clone().unwrap_or_else(|| vec!["MetricAlarm".into()]);
        let found = self.alarms.iter().filter(|(name, alarm)| {
            kinds.iter().any(|kind| kind == alarm.kind.name()) && fits(&request, name, alarm)
        });
        let found: Vec<_> = found.collect();
        let (page, next) = page(&found, request.max_records, request.next_token.as_deref())?;
        let of = |kind: Kind| {
            let alarms = page.iter().filter(|(_, alarm)| alarm.kind == kind);
            alarms.map(|(name, alarm)| alarm.view(name)).collect::<Vec<_>>()
        };
        let mut answer =
            json!({ "MetricAlarms": of(Kind::Metric), "CompositeAlarms": of(Kind::Composite) });
        if let Some(next) = next {
            answer["NextToken"] = json!(next);
        }
        Ok(answer)
    }

    /// `DescribeAlarmHistory`, newest first unless asked otherwise.
    pub fn describe_history(&self, body: &Value) -> Result<Value, CloudWatchError> {
        let request: DescribeAlarmHistory = read("DescribeAlarmHistory", body)?;
        let kinds = request.alarm_types.clone().unwrap_or_else(|| vec!["MetricAlarm".into()]);
        let is = |item: &Value, member: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| item[member] == json!(wanted))
        };
        let mut found: Vec<&Value> = (self.history.iter())
            .filter(|item| kinds.iter().any(|kind| item["AlarmType"] == json!(kind)))
            .filter(|item| is(item, "AlarmName", &request.alarm_name))
            .filter(|item| is(item, "HistoryItemType", &request.history_item_type))
            .filter(|item| {
                let at = item["Timestamp"].as_f64().unwrap_or_default();
                request.start_date.is_none_or(|start| start <= at)
                    && request.end_date.is_none_or(|end| at <= end)
            })
            .collect();
        if request.scan_by.as_deref() != Some("TimestampAscending") {
            found.reverse();
        }
        let (page, next) = page(&found, request.max_records, request.next_token.as_deref())?;
        let mut answer = json!({ "AlarmHistoryItems": page });
        if let Some(next) = next {
            answer["NextToken"] = json!(next);
        }
        Ok(answer)
    }

    fn record(
        &mut self,
        kind: Kind,
        name: &str,
        what: &str,
        summary: &str,
        data: &Value,
        at: Timestamp,
    ) {
        self.history.push(json!({
            "AlarmName": name,
            "AlarmType": kind.name(),
            "Timestamp": seconds(at),
            "HistoryItemType": what,
            "HistorySummary": summary,
            "HistoryData": data.to_string(),
        }));
    }
}

impl Alarm {
    fn view(&self, name: &str) -> Value {
        let mut view = self.configuration.clone();
        view.insert("AlarmName".into(), json!(name));
        let arn = format!("arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}");
        view.insert("AlarmArn".into(), json!(arn));
        view.insert("StateValue".into(), json!(self.state));
        view.insert("StateReason".into(), json!(self.reason));
        for (member, at) in [
            ("AlarmConfigurationUpdatedTimestamp", self.configured_at),
            ("StateUpdatedTimestamp", self.updated_at),
            ("StateTransitionedTimestamp", self.transitioned_at),
        ] {
            view.insert(member.into(), json!(seconds(at)));
        }
        Value::Object(view)
    }
}

/// Seconds since 1970, to the millisecond.
#[allow(clippy::cast_precision_loss)] // Milliseconds of our time fit.
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn fits(request: &DescribeAlarms, name: &str, alarm: &Alarm) -> bool {
    let actions = ["AlarmActions", "OKActions", "InsufficientDataActions"];
    let mut actions = actions.iter().filter_map(|member| alarm.configuration.get(*member));
    request.alarm_names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
        && request.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
        && request.state_value.as_ref().is_none_or(|state| *state == alarm.state)
        && request.action_prefix.as_ref().is_none_or(|prefix| {
            let is = |action: &Value| action.as_str().is_some_and(|arn| arn.starts_with(prefix));
            actions.any(|list| list.as_array().is_some_and(|list| list.iter().any(is)))
        })
}

/// What an alarm is made of, with CloudWatch's own defaults.
fn configuration(
    kind: Kind,
    body: &Value,
) -> Result<(String, Map<String, Value>), CloudWatchError> {
    let mut members = body.as_object().cloned().unwrap_or_default();
    let name = members.remove("AlarmName");
    let name = name.as_ref().and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| CloudWatchError::missing("AlarmName is required."))?.to_owned();
    let (known, required): (&[&str], &[&str]) = match kind {
        Kind::Metric => (&METRIC_MEMBERS, &["ComparisonOperator", "EvaluationPeriods"]),
        Kind::Composite => (&COMPOSITE_MEMBERS, &["AlarmRule"]),
    };
    if let Some(other) = members.keys().find(|member| !known.contains(&member.as_str())) {
        return Err(CloudWatchError::not_modelled(format!("{other} of an alarm")));
    }
    if let Some(missing) = required.iter().find(|member| !members.contains_key(**member)) {
        return Err(CloudWatchError::missing(format!("{missing} is required.")));
    }
    if kind == Kind::Metric {
        check_metric(&members)?;
        members.entry("Dimensions").or_insert_with(|| json!([]));
        if let Some(threshold) = members.get_mut("Threshold") {
            *threshold = json!(threshold.as_f64());
        }
    }
    members.entry("ActionsEnabled").or_insert(json!(true));
    for list in ["AlarmActions", "OKActions", "InsufficientDataActions"] {
        members.entry(list).or_insert_with(|| json!([]));
    }
    Ok((name, members))
}

/// Of one metric or of metric math; a plain statistic or a percentile; M of N.
fn check_metric(members: &Map<String, Value>) -> Result<(), CloudWatchError> {
    let has = |member: &str| members.contains_key(member);
    let refuse = |message: &str| Err(CloudWatchError::validation(message));
    if has("MetricName") == has("Metrics") {
        return refuse("An alarm is of one MetricName or of Metrics.");
    }
    if has("MetricName") && has("Statistic") == has("ExtendedStatistic") {
        return refuse("An alarm of one metric has either Statistic or ExtendedStatistic.");
    }
    if has("MetricName") && !(has("Namespace") && has("Period")) {
        return refuse("An alarm of one metric has a Namespace and a Period.");
    }
    if has("Threshold") == has("ThresholdMetricId") {
        return refuse("An alarm has either Threshold or ThresholdMetricId.");
    }
    let number = |member: &str| members.get(member).and_then(Value::as_i64);
    if number("DatapointsToAlarm") > number("EvaluationPeriods") {
        return refuse("DatapointsToAlarm must not be greater than EvaluationPeriods.");
    }
    Ok(())
}

/// One page of a list, and what names the next.
fn page<T: Clone>(
    found: &[T],
    most: Option<usize>,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>), CloudWatchError> {
    let most = most.unwrap_or(PAGE);
    if !(1..=MOST).contains(&most) {
        return Err(CloudWatchError::validation("MaxRecords must be from 1 to 100."));
    }
    let from = match token {
        None => 0,
        Some(token) => (token.parse().ok())
            .filter(|from| *from < found.len())
            .ok_or_else(CloudWatchError::next_token)?,
    };
    let until = found.len().min(from + most);
    let next = (until < found.len()).then(|| until.to_string());
    Ok((found[from..until].to_vec(), next))
}
