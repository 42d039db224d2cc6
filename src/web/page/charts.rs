//! The large charts of a watch, with what the script needs to tell values at a point.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use tokio::sync::{OnceCell, Semaphore};

use super::card::urgency;
use super::parts;
use crate::chart::{self, Chart, Plot, Width};
use crate::engine::picture::{chart_of, drawn};
use crate::model::Verdict;
use crate::policy::{Check, Measure};
use crate::watch::{Event, Story, markdown, tell};

/// Points that are told by the script; of more the worst of each stretch.
const MOST_POINTS: usize = 400;
/// One at a time for all pages: the pictures of messages go first.
static SEAT: Semaphore = Semaphore::const_new(1);

/// Drawings that are kept, the latest.
const KEPT: usize = 16;

/// Charts that were drawn lately, or are being drawn, by watch.
#[derive(Debug, Default)]
pub struct Drawn(Mutex<BTreeMap<String, Drawing>>);

/// HTML once it is drawn, by the first who asks for it.
type Sheet = Arc<OnceCell<Arc<str>>>;

#[derive(Debug)]
struct Drawing {
    /// The number of events that it is made of.
    version: i64,
    begun_at: Timestamp,
    sheet: Sheet,
}

impl Drawn {
    /// The charts of a watch: what `make` makes, once for each version however many ask.
    ///
    /// # Errors
    /// What `make` says; it is made again for whoever asks next.
    pub async fn once<E, M: Future<Output = Result<Arc<str>, E>>>(
        &self,
        (watch, version): (&str, i64),
        now: Timestamp,
        make: impl FnOnce() -> M,
    ) -> Result<Arc<str>, E> {
        let sheet = self.sheet(watch, version, now);
        sheet.get_or_try_init(make).await.cloned()
    }

    fn sheet(&self, watch: &str, version: i64, now: Timestamp) -> Sheet {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drawing) = kept.get(watch).filter(|known| known.version == version) {
            return drawing.sheet.clone();
        }
        let sheet = Sheet::default();
        let drawing = Drawing { version, begun_at: now, sheet: sheet.clone() };
        kept.insert(watch.to_owned(), drawing);
        while kept.len() > KEPT
            && let Some(oldest) =
                kept.iter().min_by_key(|(_, one)| one.begun_at).map(|(id, _)| id.clone())
        {
            kept.remove(&oldest);
        }
        sheet
    }
}

/// Draws every check of a journal, beside everything else.
///
/// # Errors
/// The journal can't be told, or the work broke off.
pub async fn draw(journal: Vec<(Timestamp, String)>, watch: String) -> Result<Arc<str>, String> {
    let work = move || {
        let read = journal.iter().map(|(at, event)| Ok((*at, serde_json::from_str(event)?)));
        let journal: Vec<(Timestamp, Event)> =
            read.collect::<Result<_, serde_json::Error>>().map_err(|why| {
                format!("the journal was kept by another version of deployguard: {why}")
            })?;
        let story = tell(&journal, None).map_err(|why| why.to_string())?;
        Ok::<_, String>(charts(&story, &watch).into_string().into())
    };
    let _seat = SEAT.acquire().await.map_err(|closed| closed.to_string())?;
    drawn(work).await?
}

/// The checks of a watch, what breached or breaches first.
pub fn charts(story: &Story, watch: &str) -> Markup {
    let checks = &story.watch.policy().checks;
    let mut checks: Vec<&Check> = checks.iter().collect();
    checks.sort_by_key(|check| {
        let said = story.samples.get(&check.name).into_iter().flatten();
        let breached =
            said.filter_map(|one| one.said.as_ref()).any(|one| one.verdict == Verdict::Breach);
        let state = story.watch.checks.get(&check.name).and_then(|state| state.last.as_ref());
        (!breached, urgency(state.map(|last| last.verdict)))
    });
    html! {
        @for check in checks {
            (figure(check, &chart_of(story, check), watch))
        }
    }
}

fn figure(check: &Check, chart: &Chart, watch: &str) -> Markup {
    let name = &check.name;
    let file = format!("/api/v1/watches/{}/chart/{}", markdown::path(watch), markdown::path(name));
    html! {
        figure.chart id=(parts::id("chart", name)) {
            figcaption {
                h3 { (name) }
                p.sr { (chart::words(chart)) }
            }
            div.plot data-plot=(name) data-points=(points(check, chart)) {
                (drawing(chart, Width::Desktop, "dg-wide"))
                (drawing(chart, Width::Phone, "dg-narrow"))
            }
            p.readout data-own {}
            p.files {
                "As a file: " a href={ (file) ".svg" } { "SVG" span.sr { " of " (name) } } ", "
                a href={ (file) ".png" } { "PNG" span.sr { " of " (name) } }
            }
        }
    }
}

fn drawing(chart: &Chart, width: Width, class: &str) -> Markup {
    let (svg, Plot { left, right, top, bottom, from, to, low, high }) =
        chart::plotted(chart, width);
    let frame = [left, right, top, bottom, from, to, low, high].map(|edge| edge.to_string());
    html! {
        // The chart escapes what it writes itself.
        div.(class) data-frame=(frame.join(",")) { (PreEscaped(svg)) }
    }
}

/// Times in unix ms, values in base units and as people write them, as JSON.
fn points(check: &Check, chart: &Chart) -> String {
    let line = chart.lines.first().map_or(&[][..], |line| line.points.as_slice());
    let seen: Vec<_> = line.iter().filter(|(at, _)| (chart.from..=chart.to).contains(at)).collect();
    let each = seen.len().div_ceil(MOST_POINTS).max(1);
    // Of a status the value is whether it is up, and its limits count failures.
    let is_low_bad = matches!(check.measure, Measure::Status { .. }) || !check.higher_is_worse();
    let told = seen.chunks(each).filter_map(|stretch| {
        let known = stretch.iter().filter(|(_, value)| value.is_some_and(f64::is_finite));
        let worst = known.max_by(|one, other| {
            let up = one.1.unwrap_or_default().total_cmp(&other.1.unwrap_or_default());
            if is_low_bad { up.reverse() } else { up }
        });
        let (at, value) = worst.or(stretch.first())?;
        let shown = value.map_or("no data".to_owned(), |value| check.show(value));
        Some(serde_json::json!([at.as_millisecond(), value, shown]))
    });
    serde_json::Value::Array(told.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::Severity;
    use crate::policy::{Bound, Limit, Side};
    use crate::watch::tests::world::{Guard, at, policy};

    fn told(check: &Check, value: impl Fn(i32) -> f64) -> Vec<f64> {
        let guard = Guard::settled(policy());
        let story = tell(&guard.journal, None).unwrap();
        let mut chart = chart_of(&story, check);
        let line = (0..1000).map(|second| (at(i64::from(second)), Some(value(second))));
        chart.lines[0].points = line.collect();
        (chart.from, chart.to) = (at(0), at(2000));
        let told: Vec<(i64, f64, String)> = serde_json::from_str(&points(check, &chart)).unwrap();
        told.into_iter().map(|point| point.1).collect()
    }

    #[test]
    fn of_many_points_the_worst_is_told_by_the_side_on_which_a_check_is_bad() {
        let mut check = policy().checks.remove(0);
        // A spike upwards and one downwards.
        let value = |second| match second {
            500 => 0.9,
            700 => 0.1,
            _ => 0.5,
        };
        let upper = told(&check, value);
        assert!(upper.len() <= MOST_POINTS, "{}", upper.len());
        assert!(upper.contains(&0.9) && !upper.contains(&0.1), "{upper:?}");
        let unit = check.unit();
        let bound = Bound { side: Side::Below, value: 0.2, unit };
        check.breach = BTreeMap::from([(Severity::Sev1, Limit { bound, hold: None })]);
        let lower = told(&check, value);
        assert!(lower.contains(&0.1) && !lower.contains(&0.9), "{lower:?}");
    }

    #[tokio::test]
    async fn who_asks_while_it_is_drawn_waits_for_the_same_drawing() {
        let (drawn, made) = (Drawn::default(), AtomicUsize::new(0));
        let ask = |version| {
            drawn.once(("w", version), at(0), async || {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<Arc<str>, String>("<svg>".into())
            })
        };
        let all = tokio::join!(ask(1), ask(1), ask(1));
        assert_eq!([all.0, all.1, all.2].map(|one| one.unwrap().to_string()), ["<svg>"; 3]);
        assert_eq!(made.load(Ordering::Relaxed), 1);
        ask(2).await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 2);
        let failed = drawn.once(("w", 3), at(0), async || Err("broken".to_owned())).await;
        assert_eq!(failed.unwrap_err(), "broken");
        ask(3).await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 3, "it is tried again");
    }
}
