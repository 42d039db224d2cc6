//! The other deployments of the time, as one that is judged must know them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::calendar::Calendar;
use super::recorded::Recorded;
use super::run::{Bench, Gone, live, scene};
use crate::judge::Rival;
use crate::model::{Measured, Service};
use crate::rehearsal::{Asked, Deed, Readings, Report, Trail};

/// Trails that are kept for others; one of a day is some hundred kilobytes.
const MOST_TRAILS: usize = 64;

/// From a rollback on; by then the evidence is complete.
const SEEN_ON: SignedDuration = SignedDuration::from_mins(30);

/// Trails of deployments lived through alone, the latest ones.
#[derive(Default)]
pub(super) struct Trails {
    kept: Mutex<VecDeque<(usize, Arc<Trail>)>>,
}

impl Trails {
    pub fn keep(&self, place: usize, trail: Arc<Trail>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_TRAILS {
            kept.pop_front();
        }
        kept.push_back((place, trail));
    }

    fn get(&self, place: usize) -> Option<Arc<Trail>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == place).map(|(_, trail)| Arc::clone(trail))
    }
}

/// What was recorded, and the rivals beside it.
pub(super) struct Among<'a> {
    pub recorded: Recorded<'a>,
    bench: Bench<'a>,
    calendar: &'a Calendar<'a>,
    trails: &'a Trails,
    /// Before this time nothing is in breach, and nobody asks for rivals.
    from: Timestamp,
    beside: Vec<usize>,
    known: BTreeMap<usize, Arc<Trail>>,
    /// Why a rival could not be lived through.
    pub gone: Option<Gone>,
}

impl<'a> Among<'a> {
    pub fn new(
        bench: Bench<'a>,
        calendar: &'a Calendar<'a>,
        trails: &'a Trails,
        beside: Vec<usize>,
        from: Timestamp,
    ) -> Self {
        let (recorded, known) = (Recorded::of(bench, bench.pages.are_wanted()), BTreeMap::new());
        Self { recorded, bench, calendar, trails, from, beside, known, gone: None }
    }

    /// How a rival looked, from those kept, or lived through for the purpose.
    fn trail(&mut self, place: usize) -> Option<Arc<Trail>> {
        if let Some(trail) = self.known.get(&place) {
            return Some(Arc::clone(trail));
        }
        let trail = match self.trails.get(place) {
            Some(trail) => trail,
            None => self.live(place)?,
        };
        self.known.insert(place, Arc::clone(&trail));
        Some(trail)
    }

    fn live(&mut self, place: usize) -> Option<Arc<Trail>> {
        let mut recorded = Recorded::of(self.bench, false);
        let mut report = match self.report(place, &mut recorded) {
            Ok(report) => report,
            Err(why) => {
                self.gone.get_or_insert(why);
                return None;
            }
        };
        let trail = Arc::new(std::mem::take(&mut report.trail));
        match recorded.why {
            // What rests on it is worth no more than it is itself.
            Some(why) => {
                self.recorded.lost += recorded.lost;
                self.recorded.why.get_or_insert(why);
            }
            None => self.trails.keep(place, Arc::clone(&trail)),
        }
        Some(trail)
    }

    /// Where it is rolled back, what was recorded shows no recovery: it stays what it was
    /// a while later.
    fn report(&self, place: usize, recorded: &mut Recorded<'_>) -> Result<Report, Gone> {
        let mut scene = scene(self.bench, self.calendar, place);
        let report = live(&scene, recorded)?;
        let Some(undone) = report.acts.iter().find(|act| act.deed == Deed::RollBack) else {
            return Ok(report);
        };
        scene.ends_with_rollback = false;
        scene.platform.back_after = SEEN_ON * 2;
        let end = undone.at.checked_add(SEEN_ON).unwrap_or(undone.at);
        scene.until = Some(end.min(self.bench.setup.now));
        live(&scene, recorded)
    }
}

impl Readings for Among<'_> {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        self.recorded.measure(asked)
    }

    fn others(&mut self, now: Timestamp) -> Vec<(Service, Rival)> {
        if now < self.from || self.gone.is_some() {
            return Vec::new();
        }
        let mut others = Vec::new();
        for place in self.beside.clone() {
            let past = self.calendar.past(place);
            let replaced = self.calendar.next(past).is_some_and(|next| next.at <= now);
            if past.at >= now || replaced {
                continue;
            }
            if let Some(rival) = self.trail(place).and_then(|trail| trail.before(now)) {
                others.push((self.bench.setup.service(past), rival));
            }
        }
        others
    }
}
