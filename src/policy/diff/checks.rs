//! What a change does to the checks.

use std::cmp::Ordering;

use super::Effect;
use super::sides::{Told, optional};
use crate::model::{Metric, MetricOf, Severity};
use crate::policy::{
    Against, BaselineRule, Bound, Check, Counted, Gauged, Health, Heartbeat, JsonValue, LeakRule,
    Limit, LogCount, Measure, Part, Probe, Scrape, Stated, Step, WebText,
};

/// Tells which checks came, went and changed.
pub(super) fn changed(old: &[Check], new: &[Check], told: &mut Told) {
    for check in new {
        match old.iter().find(|old| old.name == check.name) {
            Some(old) => compared(old, check, told),
            None => told.say(format!("added {}", whole(check)), Effect::Stricter),
        }
    }
    for gone in old.iter().filter(|old| new.iter().all(|new| new.name != old.name)) {
        told.say(format!("removed {}", whole(gone)), Effect::Looser);
    }
}

/// A check in a line: `check error rate: SEV2 > 1%, SEV1 > 10%`.
pub(super) fn whole(check: &Check) -> String {
    let limits = check.breach.iter().map(|(severity, limit)| format!("{severity} {limit}"));
    let baseline = check
        .baseline
        .iter()
        .map(|rule| format!("{} at {}x its baseline", rule.severity, rule.worse_by));
    let limits: Vec<String> = limits.chain(baseline).collect();
    format!("check {}: {}", check.name, limits.join(", "))
}

fn compared(old: &Check, new: &Check, told: &mut Told) {
    let Check { name, measure, normal, breach, baseline, min_traffic, window, leak, .. } = old;
    let Check { from, optional: aside, .. } = old;
    measured(name, measure, &new.measure, told);
    told.neutral(&format!("{name}: source"), source(from.as_deref()), source(new.from.as_deref()));
    for severity in [Severity::Sev1, Severity::Sev2, Severity::Sev3] {
        limit(name, severity, breach.get(&severity), new.breach.get(&severity), told);
    }
    normals(name, normal.as_ref(), new.normal.as_ref(), told);
    baselines(name, baseline.as_ref(), new.baseline.as_ref(), told);
    let less = min_traffic.total_cmp(&new.min_traffic);
    told.changed(&format!("{name}: min_traffic"), min_traffic, new.min_traffic, less);
    let shown = |window: Option<_>| optional(window, "the phase's interval");
    told.neutral(&format!("{name}: window"), shown(*window), shown(new.window));
    leaks(name, new, leak.as_ref(), told);
    told.changed(&format!("{name}: optional"), aside, new.optional, aside.cmp(&new.optional));
}

/// Where its series come from.
fn source(from: Option<&Scrape>) -> String {
    let Some(Scrape { pages, every, each_address }) = from else { return "prometheus".to_owned() };
    let urls: Vec<&str> = pages.iter().map(|page| page.url.as_str()).collect();
    let each = if *each_address { ", each address" } else { "" };
    format!("pages {} every {every:#}{each}", urls.join(", "))
}

fn leaks(name: &str, new: &Check, old: Option<&LeakRule>, told: &mut Told) {
    let shown = |rule: Option<&LeakRule>| match rule {
        None => "none".to_owned(),
        Some(LeakRule { wall, within, severity }) => {
            format!("{severity} at {} within {within:#}", new.unit().show(*wall))
        }
    };
    let more = match (old, new.leak.as_ref()) {
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, None) => Ordering::Equal,
        (Some(old), Some(new)) => {
            together(new.within.cmp(&old.within), old.severity.cmp(&new.severity))
        }
    };
    told.changed(&format!("{name}: leak"), shown(old), shown(new.leak.as_ref()), more);
}

fn measured(name: &str, old: &Measure, new: &Measure, told: &mut Told) {
    match (old, new) {
        (
            Measure::Latency { quantile, counter },
            Measure::Latency { quantile: after, counter: counted },
        ) => {
            told.changed(&format!("{name}: quantile"), quantile, after, after.total_cmp(quantile));
            told.neutral(&format!("{name}: counter"), counter, counted);
        }
        (
            Measure::Ratio { part, of, total },
            Measure::Ratio { part: after, of: counted, total: all },
        ) => {
            told.neutral(&format!("{name}: counts"), side(*part), side(*after));
            told.neutral(&format!("{name}: {}", side(*after)), count(of), count(counted));
            told.neutral(&format!("{name}: total"), count(total), count(all));
        }
        (Measure::Gauge { of, unit: _ }, Measure::Gauge { of: after, unit: _ }) => {
            told.neutral(&format!("{name}: {}", gauged(after).0), gauged(of).1, gauged(after).1);
        }
        (Measure::Status { of }, Measure::Status { of: after }) => {
            told.neutral(&format!("{name}: {}", stated(after).0), stated(of).1, stated(after).1);
        }
        (
            Measure::Ratio { .. }
            | Measure::Latency { .. }
            | Measure::Gauge { .. }
            | Measure::Status { .. },
            _,
        ) => {
            let what = format!("{name}: measures {} instead of {}", kind(new), kind(old));
            told.say(what, Effect::Other);
        }
    }
}

fn kind(measure: &Measure) -> &'static str {
    match measure {
        Measure::Ratio { .. } => "a ratio",
        Measure::Latency { .. } => "a latency",
        Measure::Gauge { .. } => "a value",
        Measure::Status { .. } => "a status",
    }
}

fn side(part: Part) -> &'static str {
    match part {
        Part::Bad => "bad",
        Part::Good => "good",
    }
}

fn count(counted: &Counted) -> String {
    match counted {
        Counted::Counter(text) | Counted::Query(text) => text.clone(),
        Counted::Metric(metric) => metric_in_words(metric),
        Counted::Json(value) => json(value),
    }
}

/// The key that it stands under, and what stands there.
fn gauged(gauged: &Gauged) -> (&'static str, String) {
    match gauged {
        Gauged::Query(query) => ("query", query.clone()),
        Gauged::Tasks(gauge) => ("tasks", gauge.to_string()),
        Gauged::Json(value) => ("json", json(value)),
        Gauged::Logs(LogCount { group, pattern }) => ("logs", format!("`{pattern}` in {group}")),
        Gauged::Metric(watched) => {
            let beside = watched.beside.iter().map(|beside| format!(", beside {}", beside.metric));
            ("cloudwatch", metric_in_words(&watched.metric) + &beside.collect::<String>())
        }
    }
}

fn stated(stated: &Stated) -> (&'static str, String) {
    match stated {
        Stated::Query(query) => ("status", query.clone()),
        Stated::Alarms(names) => ("alarm", names.join(", ")),
        Stated::Probe(one) => ("probe", probe(one)),
        Stated::Heartbeat(beat) => {
            let Heartbeat { job, schedule, time_zone, late, misses } = &**beat;
            let words = format!("{job} at {schedule} {time_zone}, late {late:#}, misses {misses}");
            ("heartbeat", words)
        }
        Stated::Http(health) => {
            let Health { web, expect, depends_on, version } = &**health;
            let list = |name: &str, all: Vec<String>| {
                if all.is_empty() { String::new() } else { format!(", {name} {}", all.join(" ")) }
            };
            let expect = list("expect", expect.iter().map(u16::to_string).collect());
            let theirs = list("depends_on", depends_on.iter().cloned().collect());
            let version = list("version", version.iter().cloned().collect());
            ("http", request(web) + &expect + &theirs + &version)
        }
    }
}

fn probe(probe: &Probe) -> String {
    let steps = probe.steps().iter().map(|Step { web, expect }| {
        let codes = expect.status.iter().map(|(first, last)| format!(", expects {first}-{last}"));
        let body = expect.body_contains.iter().map(|wanted| format!(", contains `{wanted}`"));
        let json = expect.json.iter().map(|(path, wanted)| format!(", {path} is `{wanted}`"));
        request(web) + &codes.chain(body).chain(json).collect::<String>()
    });
    let command = probe.command().map(|name| format!("command {name}"));
    let what: Vec<String> = command.into_iter().chain(steps).collect();
    let new_only = if probe.new_only { ", new revision alone" } else { "" };
    format!("{}, every {:#}{new_only}", what.join("; "), probe.every)
}

fn json(value: &JsonValue) -> String {
    let JsonValue { web, path, count } = value;
    format!("{}, {}{path}", request(web), if *count { "number of " } else { "" })
}

/// Secrets stand in it by their names alone.
fn request(web: &WebText) -> String {
    let WebText { url, headers, body, timeout } = web;
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let body = body.iter().map(|body| format!("body {body}"));
    let more = [format!("timeout {timeout:#}")];
    let all: Vec<String> =
        [url.clone()].into_iter().chain(headers).chain(body).chain(more).collect();
    all.join(", ")
}

fn metric_in_words(metric: &Metric) -> String {
    let Metric { of, period, delay, unit } = metric;
    let of = match of {
        MetricOf::Statistic(stat) => stat.to_string(),
        MetricOf::Math { expression, metrics } => {
            let metrics = metrics.iter().map(|(name, stat)| format!("{name} = {stat}"));
            format!("{expression} with {}", metrics.collect::<Vec<_>>().join(", "))
        }
    };
    format!("{of}, every {period:#}, {delay:#} late, in {unit}")
}

fn limit(
    name: &str,
    severity: Severity,
    old: Option<&Limit>,
    new: Option<&Limit>,
    told: &mut Told,
) {
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => told.say(format!("{name}: {severity} {new} added"), Effect::Stricter),
        (Some(old), None) => told.say(format!("{name}: {severity} {old} removed"), Effect::Looser),
        (Some(old), Some(new)) => {
            let Limit { bound, hold } = old;
            let sooner = hold.unwrap_or_default().cmp(&new.hold.unwrap_or_default());
            let more = together(extent(bound, &new.bound), sooner);
            told.changed(&format!("{name}: {severity}"), old, new, more);
        }
    }
}

/// A wider normal range is looser, and so is one where there was none: inside it
/// no baseline counts.
fn normals(name: &str, old: Option<&Bound>, new: Option<&Bound>, told: &mut Told) {
    let shown = |bound: Option<&Bound>| bound.map_or_else(|| "none".to_owned(), Bound::to_string);
    let wider = match (old, new) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(old), Some(new)) => extent(old, new),
    };
    told.changed(&format!("{name}: normal"), shown(old), shown(new), wider.reverse());
}

fn baselines(name: &str, old: Option<&BaselineRule>, new: Option<&BaselineRule>, told: &mut Told) {
    let (old, new) = match (old, new) {
        (None, None) => return,
        (None, Some(new)) => {
            let what = format!("{name}: baseline added, {} at {}x", new.severity, new.worse_by);
            return told.say(what, Effect::Stricter);
        }
        (Some(_), None) => return told.say(format!("{name}: baseline removed"), Effect::Looser),
        (Some(old), Some(new)) => (old, new),
    };
    let BaselineRule { against, worse_by, severity } = old;
    let less = worse_by.total_cmp(&new.worse_by);
    let times = |factor: f64| format!("{factor}x");
    told.changed(&format!("{name}: worse_by"), times(*worse_by), times(new.worse_by), less);
    let worse = severity.cmp(&new.severity);
    told.changed(&format!("{name}: baseline is"), severity, new.severity, worse);
    // A breach must hold against every baseline: more of them are looser.
    let fewer = against.len().cmp(&new.against.len());
    told.changed(&format!("{name}: against"), stretches(against), stretches(&new.against), fewer);
}

fn stretches(against: &[Against]) -> String {
    let names = against.iter().map(|against| match against {
        Against::Before => "before",
        Against::SameHour => "same-hour",
        Against::LastWeek => "last-week",
        Against::OldRevision => "old-revision",
        Against::Peers => "peers",
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Whether `new` holds more values than `old`. `Equal` where they look in
/// opposite directions or speak of other units: neither holds the other.
fn extent(old: &Bound, new: &Bound) -> Ordering {
    let Bound { side, value, unit } = old;
    if *unit != new.unit || old.is_upper() != new.is_upper() {
        return Ordering::Equal;
    }
    let higher = new.value.total_cmp(value);
    let more = if old.is_upper() { higher.reverse() } else { higher };
    let closed = |bound: &Bound| bound.contains(bound.value);
    if *side == new.side { more } else { more.then(closed(new).cmp(&closed(old))) }
}

/// Two differences as one: `Equal` where they go against each other.
fn together(one: Ordering, other: Ordering) -> Ordering {
    if one == other.reverse() { Ordering::Equal } else { one.then(other) }
}
