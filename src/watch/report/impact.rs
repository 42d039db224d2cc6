//! What an incident did, and when: numbers of the checks that broke, and how long each
//! step took.

use jiff::Timestamp;

use super::markdown::{plain, span, table, time};
use crate::judge::{CheckState, Judgement};
use crate::model::{Counts, Incident, Verdict};
use crate::policy::{Check, Measure};
use crate::watch::explain::chance;
use crate::watch::story::{Deed, Heard, Story};
use crate::watch::words::limits_in_words;

/// Rows of evidence of one check.
const MOST_ROWS: usize = 6;

/// What a check suffered.
pub struct Harm<'a> {
    pub check: &'a Check,
    /// Since when, as far as the evidence says.
    pub since: Timestamp,
    /// When it was found well again for good; `None`: not while it was watched.
    pub back: Option<Timestamp>,
    pub worst: Option<f64>,
    /// Of all events meanwhile; only where they are counted.
    pub counts: Option<Counts>,
}

/// Every check that was in breach, in the policy's order.
pub fn harms(story: &Story) -> Vec<Harm<'_>> {
    let checks = &story.watch.policy().checks;
    checks.iter().filter_map(|check| harm(check, story.samples.get(&check.name)?)).collect()
}

fn harm<'a>(check: &'a Check, samples: &[Heard]) -> Option<Harm<'a>> {
    let breaches = || samples.iter().filter_map(breach);
    let first = breaches().next()?;
    let last = breaches().next_back()?;
    let since = first.weight.and_then(|weight| weight.since).unwrap_or(first.at).min(first.at);
    let back = samples
        .iter()
        .filter_map(|one| one.said.as_ref())
        .find(|said| said.at > last.at && said.back_to_normal)
        .map(|said| said.at);
    let during = || {
        let until = back.unwrap_or(Timestamp::MAX);
        samples.iter().filter(move |one| one.at >= since && one.at < until)
    };
    let worse = match check.measure {
        // Its limits count failures; of its values 0 is down.
        Measure::Status { .. } => f64::min,
        Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => {
            if check.higher_is_worse() { f64::max } else { f64::min }
        }
    };
    let worst = during().filter_map(|one| one.value).reduce(worse);
    let counts = during().filter_map(|one| one.counts).reduce(|mut sum, more| {
        sum += more;
        sum
    });
    Some(Harm { check, since, back, worst, counts })
}

fn breach(one: &Heard) -> Option<&Judgement> {
    one.said.as_ref().filter(|said| said.verdict == Verdict::Breach)
}

pub fn impact(story: &Story, harms: &[Harm<'_>]) -> String {
    let rows: Vec<Vec<String>> = harms.iter().map(|harm| row(story, harm)).collect();
    if rows.is_empty() {
        return "No check was in breach.\n".to_owned();
    }
    let head = ["check", "worst", "limits", "usual", "since (UTC)", "for", "events affected"];
    table(&head, &rows)
}

fn row(story: &Story, harm: &Harm<'_>) -> Vec<String> {
    let Harm { check, since, back, worst, counts, .. } = harm;
    let state = story.watch.checks.get(&check.name);
    let usual = state.into_iter().flat_map(CheckState::references);
    let usual: Vec<String> = usual
        .map(|(against, one)| format!("{}: {}", against.in_words(), check.show(one.value)))
        .collect();
    let lasted = match back {
        Some(back) => span(*since, *back),
        None => format!("{}, not back to normal", span(*since, story.until)),
    };
    vec![
        plain(&check.name),
        worst.map_or("not known".to_owned(), |worst| check.show(worst)),
        plain(&limits_in_words(check)),
        if usual.is_empty() { "not known".to_owned() } else { plain(&usual.join("; ")) },
        time(*since),
        lasted,
        counts.map_or("not counted".to_owned(), |counts| {
            format!("{:.0} of {:.0}", counts.bad, counts.total)
        }),
    ]
}

/// How long each step took.
pub fn times(story: &Story, incident: &Incident, harms: &[Harm<'_>]) -> String {
    let watch = &story.watch;
    let opened = incident.opened_at;
    let onset = harms.iter().filter(|harm| harm.since <= opened).map(|harm| harm.since).min();
    let mut rows = Vec::new();
    let mut row = |what: &str, from: Option<Timestamp>, to: Option<Timestamp>, words: &str| {
        if let (Some(from), Some(to)) = (from, to) {
            rows.push(vec![what.to_owned(), span(from, to), words.to_owned()]);
        }
    };
    let opened = Some(opened);
    row("to detect", onset, opened, "from the first sign of it");
    let in_service = format!("from the first new {} in service", watch.copy());
    row("", watch.in_service_at, opened, &in_service);
    row("", watch.clear_from(), opened, "from the end of the grace");
    let from = incident.opened_at;
    let decided = story.first(from, |deed| matches!(deed, Deed::RollBack { .. }));
    let accepted = story.first(from, |deed| matches!(deed, Deed::Accepted { .. }));
    let in_place = story.first(from, |deed| matches!(deed, Deed::InPlace { .. }));
    let acked = incident.acked.as_ref().filter(|acked| acked.at >= from);
    if let Some(acked) = acked {
        let words = format!("from the breach until {} had it in hand", plain(&acked.by));
        row("to acknowledge", opened, Some(acked.at), &words);
    }
    row("to decide", opened, decided, "from the breach to the rollback's decision");
    row("to act", decided, accepted, "until the platform had accepted it");
    row("", decided, in_place, "until the former revision was in place");
    row("to recover", in_place, incident.resolved_at, "until the numbers had come back");
    row("in all", onset.or(opened), incident.resolved_at, "from the first sign to the end");
    table(&["time", "took", "counted"], &rows)
}

/// What the decision rested on: of each check the samples in breach, the first, and those
/// that said more than any before.
pub fn evidence(harms: &[Harm<'_>], story: &Story) -> String {
    let mut rows = Vec::new();
    for harm in harms {
        let samples = story.samples.get(&harm.check.name).into_iter().flatten();
        let mut strongest = f64::NEG_INFINITY;
        let mut of_check: Vec<&Judgement> = Vec::new();
        for said in samples.filter_map(breach) {
            let weight = said.weight.map_or(f64::NEG_INFINITY, |weight| weight.ln_e);
            if of_check.is_empty() || weight > strongest {
                of_check.push(said);
            }
            strongest = strongest.max(weight);
        }
        if of_check.len() > MOST_ROWS {
            of_check.drain(MOST_ROWS / 2..of_check.len() - MOST_ROWS / 2);
        }
        rows.extend(of_check.into_iter().map(|said| said_row(harm.check, said)));
    }
    let head = ["time (UTC)", "check", "value", "limit", "events", "evidence", "whose doing"];
    table(&head, &rows)
}

fn said_row(check: &Check, said: &Judgement) -> Vec<String> {
    let weight = said.weight.map(|weight| chance(weight.ln_e, weight.needed));
    let blame = said.blame.as_ref().filter(|blame| !blame.is_ours());
    vec![
        time(said.at),
        plain(&check.name),
        said.value.map_or("none".to_owned(), |value| check.show(value)),
        plain(said.limit.as_deref().unwrap_or(&said.reason)),
        said.traffic.map_or("not counted".to_owned(), |events| format!("{events:.0}")),
        weight.unwrap_or_else(|| "a plain limit".to_owned()),
        blame.map_or("this deployment's".to_owned(), |blame| plain(&blame.in_words())),
    ]
}
