//! A watch told from its journal: what was measured, decided and done, with the times.
//! Charts and the report are made of it, so the same journal gives the same of both.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Actor, Event, Illegal, Press, RunStep, Sampled, Stage, Tick, Watch};
use crate::judge::{Blame, Judgement, value_of};
use crate::model::{Acted, Counts, Incident, Measurement, Outcome, Reading, Severity, Unusable};

/// A journal, folded.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// As the last event left it.
    pub watch: Watch,
    /// When that was.
    pub until: Timestamp,
    /// Where the fold ended before the journal did, and why: another version kept it.
    pub broke_off: Option<String>,
    /// By check, in order of time.
    pub samples: BTreeMap<String, Vec<Heard>>,
    /// By check and control, in order of time.
    pub controls: BTreeMap<String, BTreeMap<String, Points>>,
    /// By number, as each was last.
    pub incidents: BTreeMap<u32, Incident>,
    pub deeds: Vec<(Timestamp, Deed)>,
}

/// Times and values. `None`: asked and not known.
pub type Points = Vec<(Timestamp, Option<f64>)>;

/// One sample of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub at: Timestamp,
    /// `None`: asked and not known.
    pub value: Option<f64>,
    /// Events of this sample alone; only of a ratio.
    pub counts: Option<Counts>,
    /// What the check said then; `None` of a tick that was measured too late to be acted on.
    pub said: Option<Judgement>,
}

/// A turn of the watch that people ask about later.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    Opened {
        incident: u32,
        severity: Severity,
    },
    Worse {
        severity: Severity,
    },
    Resolved {
        incident: u32,
    },
    Asked {
        because: String,
    },
    /// A rollback was decided, or found under way.
    RollBack {
        by: Actor,
        because: String,
        target: String,
    },
    /// The platform took it.
    Accepted {
        route: &'static str,
    },
    InPlace {
        target: String,
    },
    Withdrawn,
    Failed {
        because: String,
    },
    Pressed(Press),
    Ended(Outcome),
}

/// Folds a journal from its `opened` on, up to and with the events of `until`.
pub fn tell(journal: &[(Timestamp, Event)], until: Option<Timestamp>) -> Result<Story, Illegal> {
    let Some(((opened_at, opened), rest)) = journal.split_first() else {
        return Err(Illegal::because("the journal is empty"));
    };
    let (watch, _) = Watch::open(opened, *opened_at)?;
    let mut story = Story {
        watch,
        until: *opened_at,
        broke_off: None,
        samples: BTreeMap::new(),
        controls: BTreeMap::new(),
        incidents: BTreeMap::new(),
        deeds: Vec::new(),
    };
    for (now, event) in rest {
        if until.is_some_and(|until| *now > until) {
            break;
        }
        let before = Look::at(&story.watch);
        if let Err(why) = story.watch.handle(event, *now) {
            story.broke_off = Some(format!("at {}: {why}", super::words::full(*now)));
            break;
        }
        story.until = *now;
        story.take(event, *now, &before);
    }
    Ok(story)
}

/// What a turn is told by.
struct Look {
    incident: Option<(u32, Severity, bool)>,
    asked_at: Option<Timestamp>,
    /// Of a rollback under way whether its target is in place.
    rollback: Option<bool>,
    accepted: bool,
    spent: bool,
}

impl Look {
    fn at(watch: &Watch) -> Self {
        let run = running(watch);
        Self {
            incident: watch
                .incident
                .as_ref()
                .map(|one| (one.number, one.severity, one.resolved_at.is_none())),
            asked_at: watch.pending.as_ref().map(|pending| pending.asked_at),
            rollback: run.map(|run| matches!(run.step, RunStep::Recovering { .. })),
            accepted: watch.rollback_accepted,
            spent: watch.rollback_spent.is_some(),
        }
    }
}

fn running(watch: &Watch) -> Option<&super::RollbackRun> {
    match &watch.stage {
        Stage::RollingBack(run) => Some(run),
        Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => None,
    }
}

impl Story {
    fn take(&mut self, event: &Event, now: Timestamp, before: &Look) {
        if let Event::Sampled(sampled) = event {
            self.listen(sampled);
        }
        if let Event::Pressed(press) = event {
            self.deeds.push((now, Deed::Pressed(press.clone())));
        }
        let after = Look::at(&self.watch);
        let mut deeds = self.incident_turns(before, &after);
        if let Some(pending) =
            self.watch.pending.as_ref().filter(|_| after.asked_at != before.asked_at)
        {
            deeds.push(Deed::Asked { because: pending.because.clone() });
        }
        deeds.extend(self.rollback_turns(event, before, &after));
        if let Some(outcome) = self.watch.outcome() {
            deeds.push(Deed::Ended(outcome));
        }
        self.deeds.extend(deeds.into_iter().map(|deed| (now, deed)));
    }

    fn incident_turns(&mut self, before: &Look, after: &Look) -> Vec<Deed> {
        let Some(incident) = &self.watch.incident else { return Vec::new() };
        self.incidents.insert(incident.number, incident.clone());
        let Some((number, severity, open)) = after.incident else { return Vec::new() };
        let mut deeds = Vec::new();
        match before.incident.filter(|(known, _, _)| *known == number) {
            None => deeds.push(Deed::Opened { incident: number, severity }),
            Some((_, known, _)) if severity < known => deeds.push(Deed::Worse { severity }),
            Some(_) => {}
        }
        let was_open = before.incident.is_none_or(|(known, _, open)| known != number || open);
        if was_open && !open {
            deeds.push(Deed::Resolved { incident: number });
        }
        deeds
    }

    fn rollback_turns(&self, event: &Event, before: &Look, after: &Look) -> Vec<Deed> {
        let mut deeds = Vec::new();
        let run = running(&self.watch);
        if let Some(run) = run.filter(|_| before.rollback.is_none()) {
            deeds.push(Deed::RollBack {
                by: run.by.clone(),
                because: run.because.clone(),
                target: run.plan.target.short().to_owned(),
            });
        }
        if let Event::Acted(Ok(Acted { route, .. })) = event
            && after.accepted
            && !before.accepted
        {
            deeds.push(Deed::Accepted { route: route.as_str() });
        }
        if let Some(run) =
            run.filter(|_| after.rollback == Some(true) && before.rollback != Some(true))
        {
            deeds.push(Deed::InPlace { target: run.plan.target.short().to_owned() });
        }
        if let Some(because) = self.watch.rollback_spent.clone().filter(|_| !before.spent) {
            deeds.push(Deed::Failed { because });
        } else if before.rollback.is_some() && after.rollback.is_none() && self.watch.is_open() {
            deeds.push(Deed::Withdrawn);
        }
        deeds
    }

    fn listen(&mut self, sampled: &Sampled) {
        for tick in &sampled.earlier {
            self.hear(tick, false);
        }
        self.hear(&sampled.latest, true);
    }

    /// Takes down what a tick measured; of the `latest` what was made of it too.
    fn hear(&mut self, tick: &Tick, latest: bool) {
        // What fits another deployment better is known of all the checks together.
        let breaches = self.watch.breaches();
        let another = breaches.filter(|found| matches!(found.blame, Blame::Another { .. }));
        for check in &self.watch.pinned.policy.checks {
            let Some(reading) = tick.readings.get(&check.name) else { continue };
            // The source measures less often than it is asked: no gap.
            if matches!(reading, Err(Unusable::NothingNew)) {
                continue;
            }
            let kept = self.samples.entry(check.name.clone()).or_default();
            let last = self.watch.checks.get(&check.name).and_then(|state| state.last.as_ref());
            let mut said = last.filter(|_| latest).cloned();
            if let Some(found) = another.as_ref().filter(|one| one.checks.contains(&check.name)) {
                said = said.map(|said| Judgement { blame: Some(found.blame.clone()), ..said });
            }
            // A tick that the watch did not take, because it had a later one.
            let at = said.as_ref().map_or(tick.at, |said| said.at);
            if kept.last().is_some_and(|known| known.at >= at) {
                continue;
            }
            let read = |reading: &Reading| value_of(check, reading.as_ref().ok()?);
            let value = match &said {
                Some(said) => said.value.filter(|value| value.is_finite()),
                None => read(reading),
            };
            let counts = match reading {
                Ok(Measurement::Counts(split)) if !check.overlaps() => Some(split.all),
                Ok(_) | Err(_) => None,
            };
            kept.push(Heard { at, value, counts, said });
            for (name, reading) in tick.controls.get(&check.name).into_iter().flatten() {
                let points = self.controls.entry(check.name.clone()).or_default();
                points.entry(name.clone()).or_default().push((at, read(reading)));
            }
        }
    }

    /// When a deed of this kind was first done, at or after `from`.
    pub fn first(&self, from: Timestamp, is: impl Fn(&Deed) -> bool) -> Option<Timestamp> {
        self.deeds.iter().find(|(at, deed)| *at >= from && is(deed)).map(|(at, _)| *at)
    }
}
