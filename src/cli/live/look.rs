//! One check of one service, asked for real.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::Asked;
use super::cause::{self, Cause};
use super::services::vars;
use super::{health, pages, unasked};
use crate::model::{Ask, Measurement, Question, Reading, Shape, Ticks, Unusable};
use crate::policy::{Bound, Check, Measure, Part, Policy, Unit};
use crate::sources::{Fetched, Track, assemble};
use crate::watch::{lacking, variables};

/// The stretch that is asked about.
const STRETCH: SignedDuration = SignedDuration::from_mins(15);
/// A counter falls when its process restarts; what falls at this share of its samples,
/// and so often, is none.
const FALLS: f64 = 0.2;
const FEW_FALLS: usize = 3;

/// How a check's queries are answered; ordered, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    /// It can only be asked about a deployment.
    Skipped,
    /// It is answered, and the answer is probably not what is meant.
    Doubt,
    Empty,
    Refused,
    /// Refused by the way there: whoever is asked may be well.
    Unreached,
}

/// What was found of one check of one service.
pub(super) struct Finding {
    pub check: String,
    pub status: Status,
    /// What it measures now.
    pub said: String,
    pub notes: Vec<Note>,
}

/// A query, and what may be wrong with it.
pub(super) struct Note {
    pub query: String,
    pub mend: String,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Doubt => "doubt",
            Self::Empty => "empty",
            Self::Refused | Self::Unreached => "refused",
        }
    }
}

impl Finding {
    pub(super) fn of(check: &Check) -> Self {
        let (name, said) = (check.name.clone(), String::new());
        Self { check: name, status: Status::Ok, said, notes: Vec::new() }
    }

    pub(super) fn note(&mut self, status: Status, ask: &Ask, mend: impl Into<String>) {
        self.status = self.status.max(status);
        self.notes.push(Note { query: ask.to_string(), mend: mend.into() });
    }
}

/// Asks what the daemon would.
pub(super) async fn at(
    asked: &Asked<'_>,
    policy: &Policy,
    check: &Check,
    service: &str,
) -> Finding {
    let mut finding = Finding::of(check);
    let why = unasked::why(asked, check).or_else(|| of_a_deployment(check, &asked.labels));
    if let Some(why) = why {
        finding.status = Status::Skipped;
        finding.said = why;
        return finding;
    }
    let (question, ticks) = question(asked, policy, check, service);
    let mut answers = Vec::new();
    for ask in &question.asks {
        if let Some(why) = unasked::no_source(asked, ask) {
            finding.note(Status::Refused, ask, why);
            return finding;
        }
        answers.push(asked.sources.fetch(ask, ticks).await);
    }
    for (place, (ask, answer)) in question.asks.iter().zip(&answers).enumerate() {
        // No bad event has been seen: that is as it should be.
        let may_be_empty = place == 0 && question.shape == Shape::BadOfTotal;
        if let Err(why) = answered(asked, &mut finding, ask, answer, may_be_empty).await {
            finding.note(Status::Unreached, ask, format!("not reached: {why}"));
            return finding;
        }
        health::looked(asked, &mut finding, ask, answer).await;
        if ask.is_counter() && !answer.tracks.is_empty() {
            counted(&mut finding, policy, ask, &answer.tracks);
        }
        if question.shape == Shape::Histogram && !answer.tracks.is_empty() {
            bounded(&mut finding, check, ask, &answer.tracks);
        }
    }
    let answers: Vec<&Fetched> = answers.iter().collect();
    measured(&mut finding, check, &question, ticks, &answers);
    finding
}

/// What is asked about a service, and as of when.
pub(super) fn question(
    asked: &Asked<'_>,
    policy: &Policy,
    check: &Check,
    service: &str,
) -> (Question, Ticks) {
    let interval = policy.phases.first().map_or(STRETCH, |phase| phase.interval);
    let window = check.window(interval);
    let count = usize::try_from(STRETCH.as_millis() / window.as_millis().max(1)).unwrap_or(1);
    let ticks = Ticks::ending_at(asked.now, window, count.clamp(1, 15));
    let ticks = match (check.follows_periods(), check.has_past()) {
        (true, _) => check.past(asked.now, window, ticks.count, asked.now),
        (false, true) => ticks,
        (false, false) => Ticks::once(asked.now, window),
    };
    let ticks = if check.is_of_pages() { Ticks::once(asked.now, pages::STRETCH) } else { ticks };
    (policy.question(check, &vars(asked, policy, service), window, None, None), ticks)
}

/// What the check asks for that is known only where something is deployed, in words.
pub(super) fn of_a_deployment(check: &Check, labels: &BTreeMap<String, String>) -> Option<String> {
    let variables = variables(check);
    if let Some(name) = variables.iter().find(|name| ["version", "revision"].contains(*name)) {
        return Some(format!("asks for `${{{name}}}`, which only a deployment has"));
    }
    let lacking: Vec<String> =
        lacking(check, labels).iter().map(|name| format!("--label {name}=...")).collect();
    let given = lacking.join(" ");
    (!lacking.is_empty()).then(|| format!("asks for labels that a deployment announces: {given}"))
}

/// Whether there is an answer at all.
async fn answered(
    asked: &Asked<'_>,
    finding: &mut Finding,
    ask: &Ask,
    answer: &Fetched,
    may_be_empty: bool,
) -> Result<(), Unusable> {
    match answer.failed.first() {
        Some((_, why @ Unusable::Unreachable(_))) => return Err(why.clone()),
        Some((_, why)) => {
            finding.note(Status::Refused, ask, why.to_string());
            return Ok(());
        }
        None if !answer.tracks.is_empty() => return Ok(()),
        None => {}
    }
    if let Ask::Json(asked) = ask {
        let words = format!("the answer has nothing at `{}`", asked.path);
        finding.note(Status::Empty, ask, words);
        return Ok(());
    }
    if let Ask::Scraped(_) = ask {
        let words = "no series of the page is like that: are the metric's name and labels right?";
        if !may_be_empty {
            finding.note(Status::Empty, ask, words);
        }
        return Ok(());
    }
    let Some(query) = ask.promql() else {
        let mend =
            "CloudWatch has no data point of it: are namespace, name and all dimensions right?";
        if !may_be_empty {
            finding.note(Status::Empty, ask, mend);
        }
        return Ok(());
    };
    let cause = cause::of(asked, query).await?;
    let status = match (&cause, may_be_empty) {
        (Cause::Values(_) | Cause::Around(_), true) => return Ok(()),
        (Cause::Metric(_), true) => Status::Doubt,
        (Cause::Label(_), true) | (_, false) => Status::Empty,
    };
    let mut words = cause.words().to_owned();
    if status == Status::Doubt {
        words.push_str("; right only if it begins with the first bad event");
    }
    finding.note(status, ask, words);
    Ok(())
}

/// Whether what is called a counter is one, and has the labels that the policy names.
fn counted(finding: &mut Finding, policy: &Policy, ask: &Ask, tracks: &[Track]) {
    let falls = |track: &&Track| {
        let steps = track.samples.len().saturating_sub(1);
        let falls = track.samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
        #[expect(clippy::cast_precision_loss, reason = "a few hundred samples")]
        let often = falls as f64 >= FALLS * steps as f64;
        falls >= FEW_FALLS && often
    };
    if let Some(track) = tracks.iter().find(falls) {
        let name = track.full_name();
        let words = format!("{name} falls again and again: is it a gauge? A counter only rises");
        finding.note(Status::Doubt, ask, words);
    }
    let named = [("version", &policy.labels.version), ("instance", &policy.labels.instance)];
    for (what, label) in named {
        let Some(label) = label else { continue };
        let lacking = tracks.iter().filter(|track| !track.labels.contains_key(label)).count();
        if lacking == 0 {
            continue;
        }
        let labels: BTreeSet<&str> =
            tracks.iter().flat_map(|track| track.labels.keys()).map(String::as_str).collect();
        let labels: Vec<String> = labels
            .into_iter()
            .filter(|label| *label != "__name__")
            .map(|label| format!("`{label}`"))
            .collect();
        let of = if lacking == tracks.len() {
            "no series has".to_owned()
        } else {
            format!("{lacking} of {} series lack", tracks.len())
        };
        let words = format!(
            "`labels.{what}` is `{label}`, and {of} it: old and new tasks are not told apart by \
             it; there are {}",
            labels.join(", ")
        );
        finding.note(Status::Doubt, ask, words);
    }
}

/// Whether the buckets can show what the limits ask for.
fn bounded(finding: &mut Finding, check: &Check, ask: &Ask, tracks: &[Track]) {
    let bounds: Vec<&String> = tracks.iter().filter_map(|track| track.labels.get("le")).collect();
    if bounds.is_empty() {
        let words = "the series have no label `le`: is it a summary, or added up without `le`?";
        finding.note(Status::Empty, ask, words);
        return;
    }
    let bounds = bounds.iter().filter_map(|bound| bound.parse::<f64>().ok());
    let (finite, infinite): (Vec<f64>, Vec<f64>) = bounds.partition(|bound| bound.is_finite());
    if infinite.is_empty() {
        finding.note(Status::Empty, ask, "there is no bucket `le=\"+Inf\"`, which has them all");
    }
    let Some(last) = finite.into_iter().reduce(f64::max) else { return };
    let limits = check.breach.values().map(|limit| limit.bound);
    let beyond = |bound: &Bound| bound.is_upper() && bound.value >= last;
    let beyond: Vec<String> = limits.filter(beyond).map(|bound| format!("`{bound}`")).collect();
    if !beyond.is_empty() {
        let words = format!(
            "the histogram's last bound is {}: {} can never be seen; lower the limit, or add \
             a bucket above it",
            Unit::Seconds.show(last),
            beyond.join(" and ")
        );
        finding.note(Status::Doubt, ask, words);
    }
}

/// What the answers come to.
fn measured(
    finding: &mut Finding,
    check: &Check,
    question: &Question,
    ticks: Ticks,
    answers: &[&Fetched],
) {
    let readings = assemble(question, ticks, answers).readings;
    let latest = readings.iter().rev().find_map(|reading| reading.as_ref().ok());
    let failed = readings.iter().rev().find_map(|reading: &Reading| reading.as_ref().err());
    let Some(last) = question.asks.last() else { return };
    match (latest, failed) {
        (Some(latest), _) => {
            finding.said = format!(
                "{}; {}",
                in_words(check, latest, ticks.step),
                limits(check).as_deref().unwrap_or("no limits of its own")
            );
            if let Some(why) = odd(check, latest) {
                finding.note(Status::Doubt, last, why);
            }
        }
        // It has been said which query it is.
        (None, _) if finding.status >= Status::Empty => {}
        (None, Some(why @ Unusable::NotFinite(_))) => {
            finding.note(Status::Doubt, last, format!("{why}: is something divided by zero?"));
        }
        (None, Some(why)) => {
            let words = format!("{why} in the last {STRETCH:#}: is it still scraped?");
            finding.note(Status::Empty, last, words);
        }
        (None, None) => {}
    }
}

fn in_words(check: &Check, measurement: &Measurement, window: SignedDuration) -> String {
    match measurement {
        Measurement::Counts(split) => {
            let share = split.all.share().unwrap_or(0.0);
            let share = match &check.measure {
                Measure::Ratio { part: Part::Good, .. } => 1.0 - share,
                Measure::Ratio { part: Part::Bad, .. }
                | Measure::Latency { .. }
                | Measure::Gauge { .. }
                | Measure::Status { .. } => share,
            };
            let total = split.all.total;
            format!("{} of {total:.0} events in {window:#}", check.show(share))
        }
        Measurement::Histogram(split) => {
            let quantile = match &check.measure {
                Measure::Latency { quantile, .. } => split.all.quantile(*quantile),
                Measure::Ratio { .. } | Measure::Gauge { .. } | Measure::Status { .. } => None,
            };
            let shown = quantile.map_or("unknown".to_owned(), |value| check.show(value));
            format!("{shown} of {:.0} events in {window:#}", split.all.total)
        }
        Measurement::Gauge { values } => {
            let values_of = values.values().copied();
            let worst = if check.higher_is_worse() {
                values_of.reduce(f64::max)
            } else {
                values_of.reduce(f64::min)
            };
            let shown = match &check.measure {
                Measure::Status { .. } => {
                    let down = values.values().filter(|value| **value == 0.0).count();
                    format!("{down} down")
                }
                Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {
                    check.show(worst.unwrap_or_default())
                }
            };
            let of = if values.len() == 1 {
                "1 series".into()
            } else {
                format!("{} series", values.len())
            };
            format!("{shown} in {of}")
        }
    }
}

/// What is normal and what is a breach, as a policy writes it.
fn limits(check: &Check) -> Option<String> {
    let normal = check.normal.iter().map(|normal| format!("normal {normal}"));
    let breach = check.breach.iter().map(|(severity, limit)| format!("{severity} {limit}"));
    let all: Vec<String> = normal.chain(breach).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Shares that are compared with what looks like percent: no such check ever fires.
fn without_percent(check: &Check, values: &BTreeMap<String, f64>) -> Option<String> {
    let share = |value: &f64| *value > 0.0 && *value <= 1.0;
    let all = values.values().all(|value| *value == 0.0 || share(value));
    let seen = values.values().copied().filter(share).reduce(f64::max)?;
    let normal = check.normal.iter().map(|normal| (normal.value, normal.to_string()));
    let breach = check.breach.values().map(|limit| (limit.bound.value, limit.to_string()));
    let (_, limit) = normal.chain(breach).find(|(value, _)| *value > 1.0 && *value <= 100.0)?;
    // Whole numbers are counts, and few of them are no share.
    if !all || seen.total_cmp(&1.0).is_eq() {
        return None;
    }
    let number = limit.split(" for ").next().unwrap_or_default();
    Some(format!(
        "it answers {}, and its limit is `{limit}` without a unit: if it is a share, write \
         `{number}%`, or it never fires",
        Unit::Number.show(seen)
    ))
}

fn is_status(value: f64) -> bool {
    [0.0_f64, 1.0].iter().any(|known| known.total_cmp(&value.abs()).is_eq())
}

/// What makes a value look like something else than it is taken for.
fn odd(check: &Check, measurement: &Measurement) -> Option<String> {
    let Measurement::Gauge { values } = measurement else { return None };
    let largest = values.values().copied().fold(0.0, f64::max);
    match (&check.measure, check.unit()) {
        (Measure::Status { .. }, _) if values.values().any(|one| !is_status(*one)) => {
            Some("a status is 1 (up) or 0 (down), and this is neither".to_owned())
        }
        (_, Unit::Ratio) if largest > 1.5 => Some(format!(
            "it answers {largest}: a share is from 0 to 1; is it in percent? Then divide by 100"
        )),
        (Measure::Gauge { .. }, Unit::Number) => without_percent(check, values),
        (
            Measure::Status { .. }
            | Measure::Gauge { .. }
            | Measure::Ratio { .. }
            | Measure::Latency { .. },
            _,
        ) => None,
    }
}
