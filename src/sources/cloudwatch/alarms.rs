//! Alarms as series: 0 in ALARM, 1 in OK. An alarm without enough data says nothing.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use jiff::Timestamp;

use super::unusable;
use crate::aws::Fault;
use crate::model::{ALARM, ALARM_BEFORE, AlarmsAsk, Ticks, Unusable};
use crate::sources::track::{Fetched, Track};

/// Names in one call.
pub(super) const AT_ONCE: usize = 100;

/// Alarms by name: their state, and since when it is so.
pub(super) type States = HashMap<String, State>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub value: Value,
    pub since: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Ok,
    Alarm,
    /// Too little data, or a state that this version does not know.
    Unknown,
}

pub(super) fn question(client: &Client, names: &[String]) -> DescribeAlarmsFluentBuilder {
    client
        .describe_alarms()
        .set_alarm_names(Some(names.to_vec()))
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .max_records(i32::try_from(AT_ONCE).unwrap_or(i32::MAX))
}

pub(super) fn read(answer: &DescribeAlarmsOutput) -> States {
    let metric = answer.metric_alarms().iter().map(|alarm| {
        let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
        (alarm.alarm_name(), alarm.state_value(), since)
    });
    let composite = answer.composite_alarms().iter().map(|alarm| {
        let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
        (alarm.alarm_name(), alarm.state_value(), since)
    });
    metric
        .chain(composite)
        .filter_map(|(name, value, since)| {
            let value = match value {
                Some(StateValue::Ok) => Value::Ok,
                Some(StateValue::Alarm) => Value::Alarm,
                Some(_) | None => Value::Unknown,
            };
            Some((name?.to_owned(), State { value, since: since.and_then(time) }))
        })
        .collect()
}

fn time(at: &DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// The answer to one ask. States are known of now alone: of earlier ticks there is nothing
/// new.
pub(super) fn told(ask: &AlarmsAsk, ticks: Ticks, states: &Result<States, Fault>) -> Fetched {
    let states = match states {
        Ok(states) => states,
        Err(fault) => return Fetched::failed(ticks, unusable(fault)),
    };
    let unknown: Vec<&str> =
        ask.names.iter().filter(|name| !states.contains_key(*name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        let why =
            format!("there is no alarm named {} in this account and region", unknown.join(", "));
        return Fetched::failed(ticks, Unusable::Refused(why));
    }
    let last = ticks.count.saturating_sub(1);
    let tracks = ask
        .names
        .iter()
        .filter_map(|name| {
            let state = states.get(name)?;
            let before = ask.since.zip(state.since).is_some_and(|(begun, since)| since < begun);
            let up = match state.value {
                Value::Ok => 1.0,
                Value::Alarm => f64::from(u8::from(before)),
                Value::Unknown => return None,
            };
            let mut labels = BTreeMap::from([(ALARM.to_owned(), name.clone())]);
            if before && state.value == Value::Alarm {
                labels.insert(ALARM_BEFORE.to_owned(), name.clone());
            }
            Some(Track { labels, samples: vec![(ticks.at_ms(last), up)] })
        })
        .collect();
    let failed = if last > 0 { vec![(0..last, Unusable::NothingNew)] } else { Vec::new() };
    Fetched { tracks, failed }
}
