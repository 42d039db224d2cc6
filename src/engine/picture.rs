//! Charts and the report, made of a watch's journal: for messages, and for whoever asks.
//! It is work for a processor, so it is done beside the loop, a few at a time.

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use crate::chart::{self, Band, Chart, Line, LineKind, Mark, MarkKind, Theme, Width};
use crate::model::{Notice, Verdict};
use crate::notify::{Enclosure, Parcel};
use crate::policy::{Against, Check};
use crate::watch::{Actor, Answer, Deed, Event, Story, report, tell};

/// Drawn at once, in this process.
static SEATS: Semaphore = Semaphore::const_new(2);

/// Controls that are drawn.
const MOST_CONTROLS: usize = 3;
/// Up to this a picture begins with the deployment; of a longer watch it shows the incident.
const WHOLE: SignedDuration = SignedDuration::from_hours(3);
/// Shown of the time around an incident, then.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);
const AFTER: SignedDuration = SignedDuration::from_mins(30);
/// Air at the edges, at least and at most.
const AIR: (SignedDuration, SignedDuration) =
    (SignedDuration::from_secs(20), SignedDuration::from_mins(10));

/// Does `work` beside everything else, as soon as there is a seat.
///
/// # Errors
/// It broke off.
pub async fn drawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let seat = SEATS.acquire().await.map_err(|closed| closed.to_string())?;
    let drawing = tokio::task::spawn_blocking(move || {
        // Whoever gave up waiting leaves the seat to the work.
        let _seat = seat;
        work()
    });
    drawing.await.map_err(|broken| broken.to_string())
}

/// The files of a notice, as of its time.
///
/// # Errors
/// The journal is not one, or the drawing is broken: no later try helps.
pub fn parcel(
    journal: &[(Timestamp, Event)],
    notice: &Notice,
    charts: &[String],
    with_report: bool,
) -> Result<Parcel, String> {
    let story = tell(journal, Some(notice.at)).map_err(|why| why.to_string())?;
    let title = story.watch.title();
    let mut files = Vec::new();
    let mut shown = Vec::new();
    if with_report {
        files.push(Enclosure {
            stem: format!("incident-{}", story.watch.id),
            extension: "md",
            title: format!("Incident report: {title}"),
            alt: None,
            kind: "text/markdown; charset=utf-8",
            bytes: report(&story).into_bytes(),
        });
    }
    for check in charts.iter().filter_map(|name| story.watch.policy().check(name)) {
        let chart = chart_of(&story, check);
        let png = chart::png(&chart, Theme::Light, Width::Phone);
        files.push(Enclosure {
            stem: check.name.clone(),
            extension: "png",
            title: format!("{}: {title}", check.name),
            alt: Some(chart::words(&chart)),
            kind: "image/png",
            bytes: png.map_err(|why| why.to_string())?,
        });
        shown.push(check.name.clone());
    }
    let at = story.until.strftime("%H:%M:%S UTC");
    let shown = shown.join(", ");
    let comment = match (with_report, shown.is_empty()) {
        (true, true) => format!("The report of the incident of {title}"),
        (true, false) => format!("The report of the incident of {title}, with {shown} up to {at}"),
        (false, _) => format!("{shown} of {title}, up to {at}"),
    };
    Ok(Parcel { comment, files })
}

/// The report of a watch, as of a time.
///
/// # Errors
/// The journal is not one: no later try helps.
pub fn told(journal: &[(Timestamp, Event)], at: Timestamp) -> Result<String, String> {
    Ok(report(&tell(journal, Some(at)).map_err(|why| why.to_string())?))
}

/// A check of a watch as a chart.
pub fn chart_of(story: &Story, check: &Check) -> Chart {
    let (from, to) = stretch(story);
    let samples = story.samples.get(&check.name).map_or(&[][..], Vec::as_slice);
    let mut lines = vec![Line {
        name: story.watch.version(),
        kind: LineKind::Main,
        points: samples.iter().map(|one| (one.at, one.value)).collect(),
    }];
    let controls = story.controls.get(&check.name).into_iter().flatten();
    lines.extend(controls.take(MOST_CONTROLS).map(|(name, points)| Line {
        name: name.clone(),
        kind: LineKind::Control,
        points: points.clone(),
    }));
    Chart {
        title: format!("{} · {}", check.name, story.watch.deployment.service.name),
        unit: check.unit(),
        from,
        to,
        lines,
        limits: chart::limits(check),
        normal: check.normal,
        baseline: baseline(story, check),
        marks: marks(story, check),
    }
}

/// The past that it is compared with: the stretch just before, or else any.
fn baseline(story: &Story, check: &Check) -> Option<Band> {
    let state = story.watch.checks.get(&check.name)?;
    let before = state.baselines.get(&Against::Before).and_then(|one| one.reference());
    let of_before = before.map(|reference| (Against::Before, reference));
    let (against, reference) = of_before.or_else(|| state.references().next())?;
    let (low, high) = reference.band(check);
    Some(Band { label: against.in_words().to_owned(), low, high })
}

/// From the deployment to the end of what is known; of a long watch what lies around its
/// incident.
fn stretch(story: &Story) -> (Timestamp, Timestamp) {
    let deployed = story.watch.deployment.started_at;
    let incident = story.watch.incident.as_ref();
    let (mut from, mut to) = (deployed.min(story.until), story.until.max(deployed));
    if let Some(incident) = incident.filter(|_| to.duration_since(from) > WHOLE) {
        from = from.max(incident.opened_at.saturating_sub(BEFORE).unwrap_or(from));
        let over = incident.resolved_at.and_then(|at| at.checked_add(AFTER).ok());
        to = over.unwrap_or(to).min(to);
    }
    let whole = to.duration_since(from);
    let air = |part: i32| (whole / part).clamp(AIR.0, AIR.1);
    (from.checked_sub(air(10)).unwrap_or(from), to.checked_add(air(25)).unwrap_or(to))
}

fn marks(story: &Story, check: &Check) -> Vec<Mark> {
    let mark = |at: Timestamp, label: String, kind| Mark { at, label, kind };
    let watch = &story.watch;
    let mut marks =
        vec![mark(watch.deployment.started_at, "deployed".to_owned(), MarkKind::Deployed)];
    let in_service =
        watch.in_service_at.map(|at| mark(at, "in service".to_owned(), MarkKind::InService));
    marks.extend(in_service);
    let mut breaches = story.samples.get(&check.name).into_iter().flatten().filter_map(|one| {
        let said = one.said.as_ref().filter(|said| said.verdict == Verdict::Breach)?;
        Some((one.at, said.severity))
    });
    if let Some((at, severity)) = breaches.next() {
        let label = severity.map_or("breach".to_owned(), |one| format!("{one} breach"));
        marks.push(mark(at, label, MarkKind::Breach));
    }
    let would = watch.decided.iter().find(|one| one.would && one.answer == Answer::RollBack);
    marks.extend(would.map(|one| mark(one.at, "would roll back".to_owned(), MarkKind::WouldAct)));
    let mut by_platform = false;
    for (at, deed) in &story.deeds {
        match deed {
            Deed::RollBack { by, .. } => by_platform = *by == Actor::Platform,
            Deed::InPlace { .. } if by_platform => {
                let who = watch.sighting.as_ref().map_or("the platform", |s| s.controller.as_str());
                marks.push(mark(*at, format!("rolled back by {who}"), MarkKind::RolledBack));
            }
            Deed::InPlace { .. } => {
                marks.push(mark(*at, "rolled back".to_owned(), MarkKind::RolledBack));
            }
            Deed::Resolved { .. } => {
                marks.push(mark(*at, "recovered".to_owned(), MarkKind::Recovered));
            }
            Deed::Opened { .. }
            | Deed::Worse { .. }
            | Deed::Asked { .. }
            | Deed::Accepted { .. }
            | Deed::Withdrawn
            | Deed::Failed { .. }
            | Deed::Pressed(_)
            | Deed::Ended(_) => {}
        }
    }
    marks
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
