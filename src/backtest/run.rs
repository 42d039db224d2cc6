//! Many deployments, a few at a time, in their order.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::runtime::Handle;

use super::deployments::Past;
use super::finding::Finding;
use super::finished::Finished;
use super::pages::Pages;
use super::recorded::{Recorded, Series, is_there};
use super::setup::{Calendar, Setup};
use crate::rehearsal::rehearse;
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
    mut finished: Option<Finished>,
    each: &mut dyn FnMut(Finding) -> io::Result<()>,
) -> Result<(), Gone> {
    let calendar = Calendar::of(bench.setup, all);
    let key = |place: usize| bench.setup.key(&calendar, &all[place], bench.source.name());
    let known = |place: usize| {
        let finding = finished.as_ref()?.get(&key(place))?;
        bench.pages.have(finding).then(|| finding.clone())
    };
    let known: BTreeMap<usize, Finding> =
        (0..all.len()).filter_map(|place| Some((place, known(place)?))).collect();
    let wanted: Vec<usize> = (0..all.len()).filter(|place| !known.contains_key(place)).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    if !wanted.is_empty() {
        bench.runtime.block_on(is_there(bench.source, bench.setup.now)).map_err(Gone::Source)?;
    }
    let jobs = bench.jobs.clamp(1, wanted.len().max(1));
    thread::scope(|scope| {
        let (sender, answers) = sync_channel::<Answer>(jobs);
        for _ in 0..jobs {
            let (sender, calendar, wanted, next, stop) =
                (sender.clone(), &calendar, &wanted, &next, &stop);
            scope.spawn(move || work(bench, calendar, all, wanted, next, stop, &sender));
        }
        drop(sender);
        let mut order = Order { ready: known, next: 0 };
        let mut broken = order.give(each).err().map(Gone::Io);
        // Even after a failure all are taken in, so that no job waits for ever.
        for (place, answer) in answers {
            let taken = answer.and_then(|(finding, keep)| {
                if let Some(finished) = finished.as_mut().filter(|_| keep) {
                    finished.add(key(place), &finding)?;
                }
                order.ready.insert(place, finding);
                if broken.is_none() { Ok(order.give(each)?) } else { Ok(()) }
            });
            if let Err(why) = taken {
                stop.store(true, Ordering::Relaxed);
                broken.get_or_insert(why);
            }
        }
        broken.map_or(Ok(()), Err)
    })
}

/// Findings that wait for those before them.
struct Order {
    ready: BTreeMap<usize, Finding>,
    next: usize,
}

impl Order {
    fn give(&mut self, each: &mut dyn FnMut(Finding) -> io::Result<()>) -> io::Result<()> {
        while let Some(finding) = self.ready.remove(&self.next) {
            self.next += 1;
            each(finding)?;
        }
        Ok(())
    }
}

fn work(
    bench: Bench<'_>,
    calendar: &Calendar,
    all: &[Past],
    wanted: &[usize],
    next: &AtomicUsize,
    stop: &AtomicBool,
    sender: &SyncSender<Answer>,
) {
    while !stop.load(Ordering::Relaxed) {
        let Some(place) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
        let answer = judge(bench, calendar, &all[*place]);
        if sender.send((*place, answer)).is_err() {
            return;
        }
    }
}

/// One deployment, and whether its finding is worth keeping: one that rests on what
/// could not be had, or isn't over, is not.
fn judge(bench: Bench<'_>, calendar: &Calendar, past: &Past) -> Result<(Finding, bool), Gone> {
    let mut scene = bench.setup.scene(calendar, past);
    scene.keeps_judgements = bench.pages.are_wanted();
    let series = bench.pages.are_wanted().then(Series::new);
    let mut recorded =
        Recorded { source: bench.source, runtime: bench.runtime, lost: 0, why: None, series };
    let report = rehearse(&scene, &mut recorded)
        .map_err(|illegal| io::Error::other(format!("{}: {illegal}", past.id)))?;
    let lost = recorded.why.as_deref().map(|why| (recorded.lost, why));
    if lost.is_some() {
        bench.runtime.block_on(is_there(bench.source, bench.setup.now)).map_err(Gone::Source)?;
    }
    let finding = Finding::of(past, &report, lost);
    if let Some(series) = &recorded.series {
        bench.pages.draw(bench.setup, &finding, &report, series)?;
    }
    let over = !report.watch.is_open() || finding.action == super::Action::Rollback;
    Ok((finding, lost.is_none() && over))
}
