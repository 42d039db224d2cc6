//! The clock of a rehearsal: what comes next, and what the watch wants then.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::act::{Deed, Mark};
use super::feed::{Feed, Readings};
use super::report::{Breach, Report};
use super::scene::Scene;
use super::trail::Trail;
use crate::judge::Judgement;
use crate::model::{Inspection, RollbackPlan, Sighting, Verdict};
use crate::watch::{
    BaselineAsk, BaselineMeasured, Event, Illegal, Pinned, Press, Said, Sampled, Tick, Want, Watch,
    candidates, rivals,
};

/// Moments that a rehearsal may have: a day of samples each second is less.
const MOST_MOMENTS: u32 = 200_000;
/// Wants that are answered at one moment.
const MOST_ANSWERS: u32 = 64;

/// Lives a deployment through, to its watch's end or the scene's.
///
/// # Errors
/// [`Illegal`]: the scene makes no watch.
pub fn rehearse(scene: &Scene, readings: &mut dyn Readings) -> Result<Report, Illegal> {
    let now = scene.deployment.started_at;
    let event = Event::Opened {
        repository: None,
        query_offset: None,
        deployment: Box::new(scene.deployment.clone()),
        pinned: Box::new(without_tasks(&scene.pinned)),
        ceiling: scene.ceiling.clone(),
        announcement: None,
        others: scene.others.clone(),
    };
    let (watch, said) = Watch::open(&event, now)?;
    let mark = Mark::of(&watch);
    let report = Report {
        watch,
        said: said.notices,
        ledger: said.ledger,
        acts: Vec::new(),
        judged: BTreeMap::new(),
        first_breach: None,
        first_excused: None,
        acted_on: None,
        refused: Vec::new(),
        trail: Trail::default(),
        samples: 0,
    };
    let (feed, cues, judged_at) = (Feed::default(), Vec::new(), BTreeMap::new());
    let mut drive = Drive { scene, readings, feed, cues, mark, judged_at, report };
    drive.prepare();
    drive.run(now);
    Ok(drive.report)
}

/// In a rehearsal nobody runs whose tasks could be looked at.
fn without_tasks(pinned: &Pinned) -> Pinned {
    let mut pinned = pinned.clone();
    pinned.policy.checks.retain(|check| !check.is_of_tasks());
    pinned
}

/// Something that happens from the outside.
#[derive(Debug, Clone)]
enum Cue {
    Sight(Box<Sighting>),
    Press(Press),
    Supersede(String),
}

struct Drive<'a> {
    scene: &'a Scene,
    readings: &'a mut dyn Readings,
    feed: Feed,
    /// By time, latest first.
    cues: Vec<(Timestamp, Cue)>,
    mark: Mark,
    /// By check, as of when it was judged last.
    judged_at: BTreeMap<String, Timestamp>,
    report: Report,
}

impl Drive<'_> {
    fn prepare(&mut self) {
        let looks = self.scene.platform.roll_out(&self.scene.deployment);
        let looks = looks.into_iter().map(|(at, look)| (at, Cue::Sight(Box::new(look))));
        let presses = self.scene.presses.iter().map(|(at, press)| (*at, Cue::Press(press.clone())));
        let newer = self.scene.superseded.iter().map(|(at, by)| (*at, Cue::Supersede(by.clone())));
        let cues: Vec<_> = looks.chain(presses).chain(newer).collect();
        self.cue(cues);
    }

    fn cue(&mut self, more: Vec<(Timestamp, Cue)>) {
        self.cues.extend(more.into_iter().rev());
        // Stable: what was cued first of one moment stays the last.
        self.cues.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    fn run(&mut self, start: Timestamp) {
        let mut now = start;
        for _ in 0..MOST_MOMENTS {
            while self.cues.last().is_some_and(|(at, _)| *at <= now) {
                if let Some((_, cue)) = self.cues.pop() {
                    self.happens(cue, now);
                }
            }
            if self.watch().next_wake().is_some_and(|wake| wake <= now) {
                self.take(&Event::Woke, now);
            }
            self.answer(now);
            let open = self.report.watch.is_open();
            self.report.trail.note(now, self.report.watch.rival().filter(|_| open));
            if !self.watch().is_open() || self.is_cut() {
                return;
            }
            let Some(next) = self.next(now) else { return };
            if self.scene.until.is_some_and(|until| next > until) {
                return;
            }
            now = next;
        }
    }

    /// When something is to be done next: later than `now`, and while the guard is there.
    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let watch = self.watch();
        let nothing_else = now.checked_add(SignedDuration::from_millis(1)).ok()?;
        let due = [
            self.cues.last().map(|(at, _)| *at),
            watch.next_wake(),
            watch.tick_due_at(),
            watch.rollback_not_before(now),
        ];
        due.into_iter().flatten().map(|at| self.scene.present_at(at.max(nothing_else))).min()
    }

    fn is_cut(&self) -> bool {
        let rolls = || self.report.acts.iter().any(|act| act.deed == Deed::RollBack);
        self.scene.ends_with_action && self.report.action().is_some()
            || self.scene.ends_with_rollback && rolls()
    }

    fn watch(&self) -> &Watch {
        &self.report.watch
    }

    fn happens(&mut self, cue: Cue, now: Timestamp) {
        match cue {
            Cue::Sight(sighting) => self.take(&Event::Sighted(sighting), now),
            Cue::Press(press) => {
                let (by, command) = (press.by.clone(), press.command);
                if let Some(why) = self.take_or(&Event::Pressed(press), now) {
                    self.report.refused.push((now, format!("{command:?} by {by}: {why}")));
                }
            }
            Cue::Supersede(by) => self.take(&Event::Superseded { by, older: false }, now),
        }
    }

    /// Answers what is wanted now, until nothing new is.
    fn answer(&mut self, now: Timestamp) {
        let mut done: Vec<Want> = Vec::new();
        for _ in 0..MOST_ANSWERS {
            if self.is_cut() {
                return;
            }
            let wants = self.watch().wants(now);
            let due = |want: &Want| match want {
                Want::RollBack { not_before, .. } => *not_before <= now,
                Want::Sample { .. }
                | Want::Baseline(_)
                | Want::Inspect
                | Want::ReadLog(_)
                | Want::Shift(_)
                | Want::LeaveMaintenance(_) => true,
            };
            let Some(want) = wants.into_iter().find(|want| due(want) && !done.contains(want))
            else {
                return;
            };
            match &want {
                Want::Sample { tick, interval } => self.sample(*tick, *interval, now),
                Want::Baseline(ask) => self.baseline(ask.clone(), now),
                Want::Inspect => self.inspect(now),
                // No task runs here that could have logged anything, and nothing routes by
                // weight.
                Want::ReadLog(_) | Want::Shift(_) | Want::LeaveMaintenance(_) => {}
                Want::RollBack { plan, .. } => self.roll_back(plan, now),
            }
            done.push(want);
        }
    }

    fn sample(&mut self, tick: Timestamp, interval: SignedDuration, now: Timestamp) {
        let (watch, unsettled) = (&self.report.watch, self.scene.unsettled(now));
        let (mut earlier, born) =
            self.feed.sample(watch, self.readings, (tick, interval), &unsettled);
        let latest = earlier.pop().unwrap_or_else(|| Tick::at(tick));
        let others = self.readings.others(now);
        let rivals = rivals(watch, others.iter().map(|(of, rival)| (of, rival.clone())));
        let sampled =
            Sampled { interval: Some(interval), earlier, born, rivals, ..Sampled::of(latest) };
        self.report.samples = self.report.samples.saturating_add(1);
        self.take(&Event::Sampled(Box::new(sampled)), now);
    }

    fn baseline(&mut self, ask: BaselineAsk, now: Timestamp) {
        let (samples, known) = Feed::baseline(&self.report.watch, self.readings, &ask, now);
        let measured = BaselineMeasured::of(self.report.watch.policy(), ask, &samples, known);
        self.take(&Event::BaselineMeasured(Box::new(measured)), now);
    }

    /// The first candidate, as the ledger and the policy have it.
    fn inspect(&mut self, now: Timestamp) {
        let deployment = &self.report.watch.deployment;
        let Some(judged) = &deployment.revision else { return };
        let rule = &self.report.watch.policy().rollback;
        let source = deployment.source.as_ref();
        let found = candidates(rule, &self.scene.ledger, judged, source, now);
        let target = match (&self.scene.platform.obstacle, found.into_iter().next()) {
            (Some(why), _) => Err(why.clone()),
            (None, Some(target)) => Ok((target.revision, target.because)),
            (None, None) => Err("no known-good revision, and nothing was in place before".into()),
        };
        self.take(&Event::Inspected { target, inspection: Inspection::default() }, now);
    }

    fn roll_back(&mut self, plan: &RollbackPlan, now: Timestamp) {
        let (answer, looks) = self.scene.platform.roll_back(&plan.service, &plan.target, now);
        if answer.is_ok() {
            // What was to be seen of the judged deployment is not in place any more.
            self.cues.retain(|(_, cue)| !matches!(cue, Cue::Sight(_)));
        }
        self.take(&Event::Acted(answer), now);
        let looks = looks.into_iter().map(|(at, look)| (at, Cue::Sight(Box::new(look))));
        self.cue(looks.collect());
    }

    fn take(&mut self, event: &Event, now: Timestamp) {
        if let Some(why) = self.take_or(event, now) {
            // What comes after the end, as a look may, changes nothing.
            self.report.refused.push((now, why));
        }
    }

    /// Brings an event to the watch; why not, where it is not taken.
    fn take_or(&mut self, event: &Event, now: Timestamp) -> Option<String> {
        let said = match self.report.watch.handle(event, now) {
            Ok(said) => said,
            Err(illegal) => return Some(illegal.to_string()),
        };
        if let Event::Sampled(_) = event {
            self.judged();
        }
        self.acted(&said, now);
        self.report.said.extend(said.notices);
        self.report.ledger.extend(said.ledger);
        None
    }

    /// Notes what the latest sample came to.
    fn judged(&mut self) {
        for (name, state) in &self.report.watch.checks {
            let Some(last) = &state.last else { continue };
            // A check that has news less often than the others was not judged again.
            if self.judged_at.insert(name.clone(), last.at) == Some(last.at) {
                continue;
            }
            if let Some(breach) = Breach::of(&self.report.watch, name, last) {
                let first = match &breach.excused {
                    None => &mut self.report.first_breach,
                    Some(_) => &mut self.report.first_excused,
                };
                first.get_or_insert(breach);
            }
            if self.scene.keeps_judgements {
                let kept = self.report.judged.entry(name.clone()).or_default();
                kept.push(last.clone());
            }
        }
    }

    fn acted(&mut self, said: &Said, now: Timestamp) {
        let mark = Mark::of(&self.report.watch);
        if let Some(act) = mark.act(&self.mark, &self.report.watch, said, now) {
            if act.deed.is_action() && self.report.acted_on.is_none() {
                self.report.acted_on = self.report.breach_at_end();
            }
            self.report.acts.push(act);
        }
        self.mark = mark;
    }
}

/// Whether a judgement is a breach that is the deployment's own doing. The judge does
/// not know of rivals; the watch does, and excuses the whole incident.
pub(super) fn is_ours(watch: &Watch, judgement: &Judgement) -> bool {
    let excused = watch.has_open_incident()
        && watch.incident.as_ref().is_some_and(|incident| incident.excused.is_some());
    judgement.verdict == Verdict::Breach
        && judgement.blame.as_ref().is_none_or(crate::judge::Blame::is_ours)
        && !excused
}
