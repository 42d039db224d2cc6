//! Many deployments, a few at a time, in their order.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::runtime::Handle;

use super::calendar::Calendar;
use super::deployments::Past;
use super::finding::{Finding, Source};
use super::finished::Finished;
use super::pages::Pages;
use super::recorded::{Recorded, is_there};
use super::rivals::{Among, Trails};
use super::setup::{Keys, Setup, build};
use crate::rehearsal::{Readings, Report, Scene, rehearse};
use crate::sources::Prometheus;

/// With what, and how many at a time.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    pub setup: &'a Setup,
    pub source: &'a Prometheus,
    pub runtime: &'a Handle,
    pub pages: &'a Pages,
    pub jobs: usize,
}

/// Why a backtest broke off. What was found before is kept.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    #[error("{0}")]
    Source(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Comes back from a job: for which deployment, and whether it may be kept.
type Answer = (usize, Result<(Finding, bool), Gone>);

/// Judges `all`, or those of them that are not `finished`, and hands each finding to
/// `each` in their order. Blocks; must not be called on a thread of the runtime.
///
/// # Errors
/// [`Gone`]: not all of them were judged.
pub fn backtest(
    bench: Bench<'_>,
    all: &[Past],
    finished: Option<Finished>,
    each: &mut dyn FnMut(Finding) -> io::Result<()>,
) -> Result<(), Gone> {
    let calendar = &Calendar::of(bench.setup, all);
    let source = bench.source.name();
    let keep = |finished| {
        let keys = Keys::of(bench.setup, calendar, all.len(), source, &build()?);
        Ok::<_, io::Error>(Kept { finished, keys })
    };
    let mut kept = finished.map(keep).transpose()?;
    let mut wanted = Vec::new();
    for place in 0..all.len() {
        let known = kept.as_ref().map(|kept| kept.get(place)).transpose()?.flatten();
        if !known.is_some_and(|finding| bench.pages.have(&finding)) {
            wanted.push(place);
        }
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    if !wanted.is_empty() {
        bench.runtime.block_on(is_there(bench.source, bench.setup.now)).map_err(Gone::Source)?;
    }
    let jobs = bench.jobs.clamp(1, wanted.len().max(1));
    let trails = &Trails::default();
    thread::scope(|scope| {
        let (sender, answers) = sync_channel::<Answer>(jobs);
        for _ in 0..jobs {
            let (sender, wanted, next, stop) = (sender.clone(), &wanted, &next, &stop);
            let desk = Desk { bench, calendar, trails };
            scope.spawn(move || desk.work(wanted, next, stop, &sender));
        }
        drop(sender);
        let mut order =
            Order { ready: BTreeMap::new(), next: 0, count: all.len(), wanted: &wanted };
        let mut broken = order.give(kept.as_ref(), each).err().map(Gone::Io);
        // Even after a failure all are taken in, so that no job waits for ever.
        for (place, answer) in answers {
            let taken = answer.and_then(|(finding, keep)| {
                if let Some(kept) = kept.as_mut().filter(|_| keep) {
                    kept.finished.add(kept.keys.get(place), &finding)?;
                }
                order.ready.insert(place, finding);
                if broken.is_none() { Ok(order.give(kept.as_ref(), each)?) } else { Ok(()) }
            });
            if let Err(why) = taken {
                stop.store(true, Ordering::Relaxed);
                broken.get_or_insert(why);
            }
        }
        broken.map_or(Ok(()), Err)
    })
}

/// What was found by an earlier run, and by which names.
struct Kept<'a> {
    finished: Finished,
    keys: Keys<'a>,
}

impl Kept<'_> {
    fn get(&self, place: usize) -> io::Result<Option<Finding>> {
        self.finished.get(&self.keys.get(place))
    }
}

/// Findings that wait for those before them.
struct Order<'a> {
    ready: BTreeMap<usize, Finding>,
    next: usize,
    count: usize,
    /// Places that are judged now, in order; the others are kept.
    wanted: &'a [usize],
}

impl Order<'_> {
    fn give(
        &mut self,
        kept: Option<&Kept<'_>>,
        each: &mut dyn FnMut(Finding) -> io::Result<()>,
    ) -> io::Result<()> {
        while self.next < self.count {
            let finding = if self.wanted.binary_search(&self.next).is_ok() {
                self.ready.remove(&self.next)
            } else {
                kept.map(|kept| kept.get(self.next)).transpose()?.flatten()
            };
            let Some(finding) = finding else { return Ok(()) };
            self.next += 1;
            each(finding)?;
        }
        Ok(())
    }
}

/// What each job works with.
struct Desk<'a> {
    bench: Bench<'a>,
    calendar: &'a Calendar<'a>,
    trails: &'a Trails,
}

impl Desk<'_> {
    fn work(
        &self,
        wanted: &[usize],
        next: &AtomicUsize,
        stop: &AtomicBool,
        sender: &SyncSender<Answer>,
    ) {
        while !stop.load(Ordering::Relaxed) {
            let Some(place) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            if sender.send((*place, self.judge(*place))).is_err() {
                return;
            }
        }
    }

    /// One deployment, and whether its finding is worth keeping: one that rests on what
    /// could not be had, or isn't over, is not.
    fn judge(&self, place: usize) -> Result<(Finding, bool), Gone> {
        let Self { bench, calendar, trails } = *self;
        let past = calendar.past(place);
        let mut alone = Recorded::of(bench, bench.pages.are_wanted());
        let scene = scene(bench, calendar, place);
        let mut report = live(&scene, &mut alone)?;
        let beside = calendar.beside(past);
        // Where a rollback cut it off, others would still have seen it.
        let is_whole = alone.why.is_none() && !report.watch.is_open();
        if is_whole && !beside.is_empty() {
            trails.keep(place, Arc::new(std::mem::take(&mut report.trail)));
        }
        let breach = report.first_breach.as_ref().map(|breach| breach.judgement.at);
        let Some(from) = breach.filter(|_| !beside.is_empty()) else {
            return self.found(past, &report, &alone);
        };
        drop(alone);
        let mut among = Among::new(bench, calendar, trails, beside, from);
        let report = live(&scene, &mut among)?;
        match among.gone {
            Some(why) => Err(why),
            None => self.found(past, &report, &among.recorded),
        }
    }

    fn found(
        &self,
        past: &Past,
        report: &Report,
        recorded: &Recorded<'_>,
    ) -> Result<(Finding, bool), Gone> {
        let Bench { setup, source, runtime, pages, .. } = self.bench;
        let lost = recorded.why.as_deref().map(|why| (recorded.lost, why));
        if lost.is_some() {
            runtime.block_on(is_there(source, setup.now)).map_err(Gone::Source)?;
        }
        let now = setup.now;
        let source = Source { lost, nothing_bad: recorded.nothing_bad(), now };
        let finding = Finding::of(past, report, source);
        if let Some(series) = &recorded.series {
            pages.draw(setup, &finding, report, series)?;
        }
        let over = !report.watch.is_open() || finding.action == super::Action::Rollback;
        Ok((finding, lost.is_none() && over))
    }
}

/// The scene of one deployment.
pub(super) fn scene(bench: Bench<'_>, calendar: &Calendar<'_>, place: usize) -> Scene {
    let mut scene = bench.setup.scene(calendar, calendar.past(place));
    scene.keeps_judgements = bench.pages.are_wanted();
    scene
}

/// Lives a scene through on `readings`.
pub(super) fn live(scene: &Scene, readings: &mut dyn Readings) -> Result<Report, Gone> {
    let illegal = |why| Gone::Io(io::Error::other(format!("{}: {why}", scene.deployment.id)));
    rehearse(scene, readings).map_err(illegal)
}
