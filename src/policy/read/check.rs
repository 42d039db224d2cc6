//! From a check as it is written to what it means.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::Marker;

use super::cloudwatch::{self, For};
use super::desk::Desk;
use super::latency::latency;
use super::leak::leak;
use super::limit::Wall;
use super::raw::{BaselineText, BreachText, CheckText, CountText, RatioText};
use super::scalar::At;
use super::web::JsonText;
use super::{foreign, heartbeat, limits, logs, probe, web};
use crate::model::Severity;
use crate::policy::diagnostic::{Mistake, quoted};
use crate::policy::{
    Against, BaselineRule, Bound, Check, Counted, Gauged, Limit, Measure, Part, Stated, Unit,
};

/// Events in the window below which there is too little traffic to tell.
const MIN_TRAFFIC: f64 = 20.0;

/// How far back a value of a JSON API looks.
const JSON_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// What a check measures, as far as its limits must know.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Ratio,
    Latency,
    Gauge(Unit),
    Status,
}

/// The limits of a check with their places.
#[derive(Debug)]
pub(super) struct Limits {
    pub normal: Option<At<Bound>>,
    /// From the worst severity on.
    pub breach: Vec<(Severity, At<Limit>)>,
    /// Where a leak ends.
    pub wall: Option<At<Wall>>,
}

impl Limits {
    pub fn of(text: &CheckText) -> Self {
        let BreachText { sev1, sev2, sev3 } = &text.breach;
        let breach = [(Severity::Sev1, sev1), (Severity::Sev2, sev2), (Severity::Sev3, sev3)];
        Self {
            normal: text.normal.clone(),
            breach: breach
                .into_iter()
                .filter_map(|(severity, limit)| Some((severity, limit.clone()?)))
                .collect(),
            wall: text.leak.as_ref().and_then(|leak| leak.wall.clone()),
        }
    }

    /// The unit of a check that has none by nature: its first limit's, or else
    /// its wall's.
    pub fn unit(&self) -> Unit {
        let bounds = self.bounds();
        let mut units = bounds.iter().map(|(bound, _)| bound.unit);
        let wall = self.wall.as_ref().map(|wall| wall.value.unit);
        units.find(|unit| *unit != Unit::Failures).or(wall).unwrap_or(Unit::Number)
    }

    /// Whether what is worse lies higher, as [`Check::higher_is_worse`].
    pub fn look_up(&self) -> bool {
        match (self.breach.first(), &self.normal) {
            (Some((_, limit)), _) => limit.value.bound.is_upper(),
            (None, Some(normal)) => !normal.value.is_upper(),
            (None, None) => true,
        }
    }

    /// What is counted has happened: a limit without `for` needs no further samples.
    fn hold_at_once(&mut self) {
        for (_, limit) in &mut self.breach {
            limit.value.hold = limit.value.hold.or(Some(SignedDuration::ZERO));
        }
    }

    /// Every bound, the normal range first.
    pub fn bounds(&self) -> Vec<(Bound, Marker)> {
        let normal = self.normal.iter().map(|normal| (normal.value, normal.marker));
        normal
            .chain(self.breach.iter().map(|(_, limit)| (limit.value.bound, limit.marker)))
            .collect()
    }
}

/// Reads the check named `name`. `None`: the report says why.
pub(super) fn check(name: &str, text: &CheckText, desk: &mut Desk) -> Option<Check> {
    let mut limits = Limits::of(text);
    let measure = measure(name, text, &limits, desk);
    let kind = kind(text, &limits);
    if let Some(kind) = kind {
        foreign::check(name, text, kind, desk);
        if text.tasks.is_some() {
            foreign::tasks(name, text, desk);
            limits.hold_at_once();
        }
        if let Some(Measure::Gauge { of: Gauged::Json(value), .. }) = &measure {
            foreign::json(name, text, value, desk);
        }
        if let Kind::Status = kind {
            limits.normal = None;
        }
        limits::check(kind, &limits, desk);
    }
    can_fail(name, text, kind, &limits, desk);
    let baseline = text.baseline.as_ref().map(|text| baseline(name, text, &limits, desk));
    let leak = text.leak.as_ref().map(|text| leak(name, text, kind, &limits, desk));
    if let Some(window) = &text.window
        && window.value.0 < SignedDuration::from_secs(1)
    {
        desk.at(window.marker, Mistake::new("a window is at least `1s` long"));
    }
    let window = window(text, measure.as_ref());
    Some(Check {
        name: name.to_owned(),
        measure: measure?,
        normal: limits.normal.as_ref().map(|normal| normal.value),
        breach: limits
            .breach
            .iter()
            .map(|(severity, limit)| (*severity, limit.value))
            .collect::<BTreeMap<_, _>>(),
        baseline: match baseline {
            Some(rule) => Some(rule?),
            None => None,
        },
        leak: match leak {
            Some(rule) => Some(rule?),
            None => None,
        },
        min_traffic: min_traffic(text),
        window,
        from: None,
        optional: text.optional.as_ref().is_some_and(|optional| optional.value),
    })
}

/// A number of a JSON API and a count of events grow with their window: it must not change
/// with the phase.
fn window(text: &CheckText, measure: Option<&Measure>) -> Option<SignedDuration> {
    let grows = match measure {
        Some(Measure::Gauge { of: Gauged::Json(value), .. }) => value.web.looks_back(),
        Some(Measure::Gauge { of: Gauged::Logs(_), .. }) => true,
        Some(_) | None => false,
    };
    let own = text.window.as_ref().map(|window| window.value.0);
    own.or(grows.then_some(JSON_WINDOW))
}

fn min_traffic(text: &CheckText) -> f64 {
    text.min_traffic.as_ref().map_or(MIN_TRAFFIC, |traffic| traffic.value.0)
}

/// A check needs something that it can fail by.
fn can_fail(name: &str, text: &CheckText, kind: Option<Kind>, limits: &Limits, desk: &mut Desk) {
    let mend = match kind {
        Some(Kind::Status) if text.probe.is_some() => {
            "give it `breach: { SEV1: 2 failures }`: one failure may be a flake"
        }
        Some(Kind::Status) => "give it `breach: { SEV1: 3 failures }`",
        Some(Kind::Ratio | Kind::Latency | Kind::Gauge(_)) | None => {
            if text.baseline.is_some() || text.leak.is_some() {
                return;
            }
            "give it `breach:` limits or a `baseline:`"
        }
    };
    if limits.breach.is_empty() {
        let mistake = Mistake::new(format!("the check `{name}` can't fail")).mend(mend);
        desk.missing(&["checks", name, "breach"], mistake);
    }
}

fn measure(name: &str, text: &CheckText, limits: &Limits, desk: &mut Desk) -> Option<Measure> {
    let min_traffic = min_traffic(text);
    let kinds = [
        ("ratio", text.ratio.is_some()),
        ("latency", text.latency.is_some()),
        ("query", text.query.is_some()),
        ("cloudwatch", text.cloudwatch.is_some()),
        ("json", text.json.is_some()),
        ("logs", text.logs.is_some()),
        ("status", text.status.is_some()),
        ("alarm", text.alarm.is_some()),
        ("http", text.http.is_some()),
        ("probe", text.probe.is_some()),
        ("heartbeat", text.heartbeat.is_some()),
        ("tasks", text.tasks.is_some()),
    ];
    one_of(&kinds, &["checks", name], desk, "a check measures one thing", || {
        Mistake::new(format!("the check `{name}` measures nothing")).mend(
            "give it `ratio:`, `latency:`, `query:`, `cloudwatch:`, `json:`, `logs:`, `status:`, `alarm:`, `http:`, `probe:`, `heartbeat:` or `tasks:`, or extend a bundle that does",
        )
    })?;
    if let Some(text) = &text.ratio {
        return ratio(name, text, desk);
    }
    if let Some(text) = &text.latency {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        return latency(name, text, min_traffic as u32, desk);
    }
    if let Some(status) = &text.status {
        return Some(Measure::Status { of: Stated::Query(status.value.0.clone()) });
    }
    if let Some(alarms) = &text.alarm {
        let names = cloudwatch::alarms(name, alarms, desk)?;
        return Some(Measure::Status { of: Stated::Alarms(names) });
    }
    if let Some(text) = &text.http {
        let health = Box::new(web::health(name, text, desk)?);
        return Some(Measure::Status { of: Stated::Http(health) });
    }
    if let Some(text) = &text.probe {
        let probe = Box::new(probe::probe(name, text, desk)?);
        return Some(Measure::Status { of: Stated::Probe(probe) });
    }
    if let Some(text) = &text.heartbeat {
        let heartbeat = Box::new(heartbeat::heartbeat(name, text, desk)?);
        return Some(Measure::Status { of: Stated::Heartbeat(heartbeat) });
    }
    if let Some(gauge) = &text.tasks {
        let unit = limits::of_tasks(gauge.value);
        return Some(Measure::Gauge { of: Gauged::Tasks(gauge.value), unit });
    }
    let unit = unit(text, limits);
    if let Some(text) = &text.json {
        let value = Box::new(web::json(&["checks", name, "json"], text, desk)?);
        return Some(Measure::Gauge { of: Gauged::Json(value), unit });
    }
    if let Some(text) = &text.logs {
        let count = logs::logs(name, text, desk)?;
        return Some(Measure::Gauge { of: Gauged::Logs(count), unit });
    }
    if let Some(text) = &text.cloudwatch {
        let path = ["checks", name, "cloudwatch"];
        let watched = cloudwatch::metric(&path, text, For::Value(unit), desk)?;
        return Some(Measure::Gauge { of: Gauged::Metric(Box::new(watched)), unit });
    }
    let query = text.query.as_ref()?.value.0.clone();
    Some(Measure::Gauge { of: Gauged::Query(query), unit })
}

/// What a gauge is in: what is counted is a number, and else its limits say it.
fn unit(text: &CheckText, limits: &Limits) -> Unit {
    let counts = |json: &JsonText| json.count.as_ref().is_some_and(|count| count.value);
    if text.logs.is_some() || text.json.as_ref().is_some_and(counts) {
        return Unit::Number;
    }
    limits.unit()
}

/// What kind of check it is meant to be, whether or not all of it could be read.
fn kind(text: &CheckText, limits: &Limits) -> Option<Kind> {
    let latency = text.latency.as_ref().map(|text| match text.cloudwatch {
        Some(_) => Kind::Gauge(Unit::Seconds),
        None => Kind::Latency,
    });
    let gauge = || Kind::Gauge(unit(text, limits));
    let kinds = [
        text.ratio.as_ref().map(|_| Kind::Ratio),
        latency,
        text.query.as_ref().map(|_| gauge()),
        text.cloudwatch.as_ref().map(|_| gauge()),
        text.json.as_ref().map(|_| gauge()),
        text.logs.as_ref().map(|_| gauge()),
        text.status.as_ref().map(|_| Kind::Status),
        text.http.as_ref().map(|_| Kind::Status),
        text.probe.as_ref().map(|_| Kind::Status),
        text.heartbeat.as_ref().map(|_| Kind::Status),
        text.alarm.as_ref().map(|_| Kind::Status),
        text.tasks.as_ref().map(|gauge| Kind::Gauge(limits::of_tasks(gauge.value))),
    ];
    let mut kinds = kinds.into_iter().flatten();
    kinds.next().filter(|_| kinds.next().is_none())
}

fn ratio(name: &str, text: &RatioText, desk: &mut Desk) -> Option<Measure> {
    let path = ["checks", name, "ratio"];
    let total_path = [path.as_slice(), &["total"]].concat();
    let total = if let Some(total) = &text.total {
        counted(&total_path, total, desk)
    } else {
        let mistake = Mistake::new(format!("the ratio of `{name}` has no `total`"))
            .mend("give it the counter of all events");
        desk.missing(&total_path, mistake);
        None
    };
    let kinds = [("bad", text.bad.is_some()), ("good", text.good.is_some())];
    one_of(&kinds, &path, desk, "a ratio counts one part of its total", || {
        Mistake::new(format!("the ratio of `{name}` has neither `bad` nor `good`"))
    })?;
    let (part, key, of) = match (&text.bad, &text.good) {
        (Some(bad), _) => (Part::Bad, "bad", bad),
        (None, Some(good)) => (Part::Good, "good", good),
        (None, None) => return None,
    };
    let of = counted(&[path.as_slice(), &[key]].concat(), of, desk);
    let (of, total) = (of?, total?);
    together(name, &of, &total, desk)?;
    Some(Measure::Ratio { part, of, total })
}

fn counted(path: &[&str], text: &CountText, desk: &mut Desk) -> Option<Counted> {
    let kinds = [
        ("counter", text.counter.is_some()),
        ("query", text.query.is_some()),
        ("cloudwatch", text.cloudwatch.is_some()),
        ("json", text.json.is_some()),
    ];
    one_of(&kinds, path, desk, "a count comes from one place", || {
        Mistake::new("the count has neither `counter` nor `query` nor `cloudwatch` nor `json`")
    })?;
    if let Some(text) = &text.json {
        let value = web::json(&[path, &["json"]].concat(), text, desk)?;
        return Some(Counted::Json(Box::new(value)));
    }
    match (&text.counter, &text.query, &text.cloudwatch) {
        (Some(counter), _, _) => Some(Counted::Counter(counter.value.0.clone())),
        (None, Some(query), _) => Some(Counted::Query(query.value.0.clone())),
        (None, None, Some(text)) => {
            let path = [path, &["cloudwatch"]].concat();
            let watched = cloudwatch::metric(&path, text, For::Count, desk)?;
            Some(Counted::Metric(Box::new(watched.metric)))
        }
        (None, None, None) => None,
    }
}

/// Both sides of a ratio must count the same stretch of time.
fn together(name: &str, of: &Counted, total: &Counted, desk: &mut Desk) -> Option<()> {
    let mistake = match (of, total) {
        (Counted::Metric(of), Counted::Metric(total))
            if of.period == total.period && of.delay == total.delay =>
        {
            return Some(());
        }
        (Counted::Metric(_), Counted::Metric(_)) => {
            Mistake::new("both sides of a ratio need the same `period` and `delay`")
        }
        (Counted::Counter(_) | Counted::Query(_), Counted::Counter(_) | Counted::Query(_)) => {
            return Some(());
        }
        (Counted::Json(of), Counted::Json(total)) if of.web.has_past() && total.web.has_past() => {
            return Some(());
        }
        (Counted::Json(_), Counted::Json(_)) => {
            Mistake::new("both sides of a ratio count a stretch of time: one has no `${since}`")
                .mend("write `${since}` (or `${since_ms}`) into its `url` or `body`")
        }
        (
            Counted::Metric(_) | Counted::Json(_) | Counted::Counter(_) | Counted::Query(_),
            Counted::Metric(_) | Counted::Json(_) | Counted::Counter(_) | Counted::Query(_),
        ) => Mistake::new("a ratio counts both sides in one source")
            .mend("take both from Prometheus, both from CloudWatch, or both from `json`"),
    };
    desk.at(desk.key(&["checks", name, "ratio"]), mistake);
    None
}

/// Exactly one of `kinds` must be in `section`; `None` when not.
fn one_of(
    kinds: &[(&str, bool)],
    section: &[&str],
    desk: &mut Desk,
    rule: &str,
    none: impl FnOnce() -> Mistake,
) -> Option<()> {
    let there: Vec<&str> =
        kinds.iter().filter(|(_, there)| *there).map(|(kind, _)| *kind).collect();
    match there.as_slice() {
        [_] => Some(()),
        [] => {
            let paths: Vec<_> =
                kinds.iter().map(|(kind, _)| [section, &[*kind]].concat()).collect();
            desk.missing_all(&paths, none());
            None
        }
        [first, .., last] => {
            let other = desk.key(&[section, &[*first]].concat());
            let mistake = Mistake::new(format!("{rule}, and here are {}", quoted(&there)))
                .mend(format!("`{first}` stands in {}", desk.report.place(other)));
            desk.at(desk.key(&[section, &[*last]].concat()), mistake);
            None
        }
    }
}

fn baseline(
    name: &str,
    text: &BaselineText,
    limits: &Limits,
    desk: &mut Desk,
) -> Option<BaselineRule> {
    let path = ["checks", name, "baseline", "worse_by"];
    if text.worse_by.is_none() {
        let mistake = Mistake::new(format!("the baseline of `{name}` has no `worse_by`"))
            .mend("write `worse_by: 2x`");
        desk.missing(&path, mistake);
    }
    let against = match &text.against {
        None => vec![Against::Before],
        Some(list) if list.is_empty() => {
            desk.missing(&path[..3], Mistake::new("the baseline is measured `against` nothing"));
            return None;
        }
        Some(list) => distinct(list, desk),
    };
    let mildest = limits.breach.last().map_or(Severity::Sev3, |(severity, _)| *severity);
    Some(BaselineRule {
        against,
        worse_by: text.worse_by.as_ref()?.value.0,
        severity: text.severity.as_ref().map_or(mildest, |severity| severity.value),
    })
}

/// Each of the list once; the report says what is there twice.
fn distinct(list: &[At<Against>], desk: &mut Desk) -> Vec<Against> {
    let mut found = Vec::new();
    for against in list {
        if found.contains(&against.value) {
            let mistake = Mistake::new("the baseline is measured `against` the same twice");
            desk.at(against.marker, mistake.mend("remove one of the two"));
        } else {
            found.push(against.value);
        }
    }
    found
}
