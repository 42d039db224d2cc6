//! A check of a deployment as a chart: what was recorded, and what the guard made of it.

use jiff::{SignedDuration, Timestamp};

use super::finding::{Action, Finding};
use super::recorded::Series;
use crate::chart::{Band, Chart, Line, LineKind, Mark, MarkKind, limits};
use crate::judge::Judgement;
use crate::policy::{Against, Check, Measure};
use crate::rehearsal::Report;

/// Shown of the time before the deployment, at least and at most.
const BEFORE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(10), SignedDuration::from_hours(1));
/// Shown of the time after something was done.
const AFTER: SignedDuration = SignedDuration::from_mins(10);
/// Controls that are drawn.
const MOST_CONTROLS: usize = 3;

/// The chart of `check`.
pub(super) fn chart(check: &Check, finding: &Finding, report: &Report, series: &Series) -> Chart {
    let (from, to) = stretch(finding);
    let judged = report.judged.get(&check.name).map_or(&[][..], Vec::as_slice);
    let mut lines = vec![Line {
        name: finding.service.clone(),
        kind: LineKind::Main,
        points: points(check, series, judged),
    }];
    let controls =
        series.iter().filter(|((name, control), _)| *name == check.name && control.is_some());
    lines.extend(controls.take(MOST_CONTROLS).map(|((_, control), points)| Line {
        name: control.clone().unwrap_or_default(),
        kind: LineKind::Control,
        points: points.iter().map(|(at, value)| (*at, *value)).collect(),
    }));
    let reference = report
        .watch
        .checks
        .get(&check.name)
        .and_then(|state| state.baselines.get(&Against::Before)?.reference());
    Chart {
        title: check.name.clone(),
        unit: check.unit(),
        from,
        to,
        lines,
        limits: limits(check),
        normal: check.normal,
        baseline: reference.map(|reference| Band {
            label: "before".to_owned(),
            low: reference.value,
            high: reference.value,
        }),
        marks: marks(check, finding, judged),
    }
}

/// From a while before the deployment to a while after what was done about it.
fn stretch(finding: &Finding) -> (Timestamp, Timestamp) {
    let watched = finding.ended_at.duration_since(finding.at);
    let before = (watched / 4).clamp(BEFORE.0, BEFORE.1);
    let after =
        if finding.action == Action::Rollback { (watched / 2).max(AFTER) } else { AFTER / 10 };
    let from = finding.at.checked_sub(before).unwrap_or(finding.at);
    (from, finding.ended_at.checked_add(after).unwrap_or(finding.ended_at))
}

/// The samples; of a status what was made of them, because its limits count failures.
fn points(check: &Check, series: &Series, judged: &[Judgement]) -> Vec<(Timestamp, Option<f64>)> {
    match &check.measure {
        Measure::Status { .. } => judged.iter().map(|one| (one.at, one.value)).collect(),
        Measure::Ratio { .. } | Measure::Latency { .. } | Measure::Gauge { .. } => series
            .get(&(check.name.clone(), None))
            .into_iter()
            .flatten()
            .map(|(at, value)| (*at, *value))
            .collect(),
    }
}

fn marks(check: &Check, finding: &Finding, judged: &[Judgement]) -> Vec<Mark> {
    let mark = |at: Option<Timestamp>, label: &str, kind| {
        at.map(|at| Mark { at, label: label.to_owned(), kind })
    };
    let breach = judged.iter().find(|one| one.verdict == crate::model::Verdict::Breach);
    let act = match finding.action {
        Action::Rollback => mark(finding.acted_at, "would roll back", MarkKind::WouldAct),
        Action::Ask | Action::Notify | Action::None => None,
    };
    let own = finding.check.as_ref() == Some(&check.name);
    [
        mark(Some(finding.at), "deployed", MarkKind::Deployed),
        mark(finding.bad_from, "bad from", MarkKind::BadFrom),
        mark(
            breach.map(|one| one.at).filter(|_| !own || act.is_none()),
            "breach",
            MarkKind::Breach,
        ),
        mark(
            finding
                .first_breach_at
                .filter(|at| own && act.is_some() && finding.acted_at != Some(*at)),
            "breach",
            MarkKind::Breach,
        ),
        mark(finding.asked_at, "would ask", MarkKind::WouldAct),
        act,
    ]
    .into_iter()
    .flatten()
    .collect()
}
