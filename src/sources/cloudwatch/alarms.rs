//! Alarms as series: 0 in ALARM, 1 in OK. An alarm without enough data says nothing.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::describe_alarms::DescribeAlarmsOutput;
use aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use jiff::{SignedDuration, Timestamp};

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

/// How long after the grace an alarm that went off in it is left out.
const SETTLING: SignedDuration = SignedDuration::from_mins(10);

/// The answer to one ask. States are known of now alone: of earlier ticks there is nothing
/// new. Where an alarm is not there at all, that is refused, unless another one has gone
/// off.
pub(super) fn told(ask: &AlarmsAsk, ticks: Ticks, states: &Result<States, Fault>) -> Fetched {
    let states = match states {
        Ok(states) => states,
        Err(fault) => return Fetched::failed(ticks, unusable(fault)),
    };
    let last = ticks.count.saturating_sub(1);
    let now = ticks.at_ms(last);
    let known = ask.names.iter().filter_map(|name| Some((name, *states.get(name)?)));
    let tracks: Vec<Track> = known
        .filter_map(|(name, state)| {
            let mut labels = BTreeMap::from([(ALARM.to_owned(), name.clone())]);
            let samples = match told_by(ask, state, now) {
                Told::Up => vec![(now, 1.0)],
                Told::Down => vec![(now, 0.0)],
                Told::Before => {
                    labels.insert(ALARM_BEFORE.to_owned(), name.clone());
                    Vec::new()
                }
                Told::Nothing => return None,
            };
            Some(Track { labels, samples })
        })
        .collect();
    let gone = |name: &&String| !states.contains_key(*name);
    let unknown: Vec<&str> = ask.names.iter().filter(gone).map(String::as_str).collect();
    let is_down = |track: &Track| track.samples.iter().any(|(_, up)| *up <= 0.0);
    if !unknown.is_empty() && !tracks.iter().any(is_down) {
        let names = unknown.join(", ");
        let why = format!("there is no alarm named {names} in this account and region");
        return Fetched::failed(ticks, Unusable::Refused(why));
    }
    let failed = if last > 0 { vec![(0..last, Unusable::NothingNew)] } else { Vec::new() };
    Fetched { tracks, failed }
}

/// What an alarm says about a deployment.
enum Told {
    Up,
    Down,
    /// It has been in ALARM since before.
    Before,
    Nothing,
}

fn told_by(ask: &AlarmsAsk, state: State, now_ms: i64) -> Told {
    let went_off_before = |time: Option<Timestamp>| {
        time.zip(state.since).is_some_and(|(time, went_off)| went_off < time)
    };
    let settles = ask.clear.and_then(|clear| clear.checked_add(SETTLING).ok());
    let is_settling = settles.is_some_and(|until| now_ms < until.as_millisecond());
    match state.value {
        Value::Ok => Told::Up,
        Value::Unknown => Told::Nothing,
        Value::Alarm if went_off_before(ask.since) => Told::Before,
        Value::Alarm if went_off_before(ask.clear) && is_settling => Told::Nothing,
        Value::Alarm => Told::Down,
    }
}
