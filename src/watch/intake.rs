//! Which watch an announcement or a look at the platform belongs to.
//!
//! Hooks are hints and may come before, after or never; the platform is the
//! truth. Both paths meet here, in two pure functions, so that one deployment is
//! one watch whichever way and however often it is heard of.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Event, RollbackRun, RunStep, Stage, Watch};
use crate::model::{
    Announcement, Deployment, Facts, Inherited, LedgerEntry, Outcome, PlatformDeployment, Revision,
    RollbackSafe, Service, ServiceKey, Sighting, Span, Standing, Unsafe, WatchId,
};

/// What the guard last saw of a service; survives a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub service: ServiceKey,
    /// The platform's id of the deployment in place.
    pub platform_id: String,
    pub revision: Revision,
    /// What it leaves behind for its successor.
    pub poison: Option<Poison>,
    /// When a deployment of the service was found to do harm, oldest first; of one that does
    /// so still without an end.
    #[serde(default)]
    pub spoiled: Vec<Span>,
}

/// How long it is kept when a deployment did harm, and how often at most: no baseline reaches
/// further back than a week and some hours.
const SPOILED_KEPT: SignedDuration = SignedDuration::from_hours(8 * 24);
const MOST_SPOILED: usize = 32;

impl Seen {
    /// The same with `span`, which takes the place of what was known of its deployment.
    #[must_use]
    pub fn spoiled_by(mut self, span: Option<Span>, now: Timestamp) -> Self {
        if let Some(span) = span {
            self.spoiled.retain(|known| known.from != span.from);
            self.spoiled.push(span);
        }
        let young =
            |span: &Span| span.until.is_none_or(|until| now.duration_since(until) <= SPOILED_KEPT);
        self.spoiled.retain(young);
        let many = self.spoiled.len().saturating_sub(MOST_SPOILED);
        self.spoiled.drain(..many);
        self
    }
}

/// One step of taking a look in, to be carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Presume the running revision good: the guard sees the service for the
    /// first time.
    Adopt(Box<LedgerEntry>),
    /// Bring an event to a watch.
    Deliver(WatchId, Box<Event>),
    /// Begin a watch.
    Open(Box<Deployment>, Option<Box<Announcement>>),
}

/// How far a hook and the platform's own sighting may lie apart and still be
/// taken for the same deployment, where neither names the other.
pub const JOIN_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// How long a build may take for its announcement to be kept waiting.
const LONGEST_BUILD: SignedDuration = SignedDuration::from_hours(3);

/// What a look at a service leads to. `open`: the open watches of the service.
/// `seen`: what was seen before, `None` at the first look.
pub fn on_sighting(
    sighting: &Sighting,
    seen: Option<&Seen>,
    open: &[&Watch],
    service: &Service,
) -> Vec<Step> {
    let mut steps = of_primary(sighting, seen, open, service);
    if let Some(watch) = still_builds(sighting, open)
        && !steps.iter().any(|step| matches!(step, Step::Deliver(to, _) if *to == watch.id))
    {
        let event = Event::Sighted(Box::new(sighting.clone()));
        steps.push(Step::Deliver(watch.id.clone(), Box::new(event)));
    }
    steps
}

/// The announced watch whose deployment builds still, where it would soon wait no longer.
fn still_builds<'a>(sighting: &Sighting, open: &[&'a Watch]) -> Option<&'a Watch> {
    let coming = sighting.coming.as_deref()?;
    let since = |at: Timestamp| sighting.at.duration_since(at);
    announced_for(coming, open).filter(|watch| {
        let Stage::Announced { until } = watch.stage else { return false };
        since(coming.created_at) <= LONGEST_BUILD && -since(until) < JOIN_WITHIN / 2
    })
}

/// What comes of what is in place.
fn of_primary(
    sighting: &Sighting,
    seen: Option<&Seen>,
    open: &[&Watch],
    service: &Service,
) -> Vec<Step> {
    let primary = &sighting.primary;
    let bound = open.iter().find(|watch| watch.platform_id().is_some());
    if let Some(watch) = bound.filter(|watch| watch.platform_id() == Some(primary.id.as_str())) {
        return deliver_if_new(watch, sighting);
    }
    if let Some(watch) = bound
        && is_return(watch, sighting)
    {
        return deliver_if_new(watch, sighting);
    }
    match seen {
        None if sighting.is_stable() => vec![Step::Adopt(Box::new(LedgerEntry {
            service: service.key.clone(),
            revision: primary.revision.clone(),
            standing: Standing::Presumed,
            at: sighting.at,
            watch: None,
        }))],
        Some(seen) if seen.platform_id == primary.id => Vec::new(),
        // ECS is undoing a deployment that nobody watched: no deployment of its own.
        Some(_) if sighting.native_rollback.is_some() => Vec::new(),
        None | Some(_) => {
            let mut steps = Vec::new();
            if let Some(watch) = bound {
                let definition = primary.revision.short();
                let version = announced_for(primary, open)
                    .and_then(|announced| announced.deployment.facts.version.as_deref());
                let by = match version {
                    Some(version) => format!("{version} ({definition}, {})", primary.id),
                    None => format!("{definition} ({})", primary.id),
                };
                let older = watch.deployment.revision.as_ref();
                let older = older.is_some_and(|judged| primary.revision.is_before(judged));
                let event = Event::Superseded { by, older };
                steps.push(Step::Deliver(watch.id.clone(), Box::new(event)));
            }
            let begun = begin(sighting, seen, open, service);
            let opened = match &begun {
                Step::Open(deployment, _) => Some(WatchId::of(&service.key, &deployment.id)),
                Step::Deliver(..) | Step::Adopt(_) => None,
            };
            steps.push(begun);
            // A watch that begins late begins with all that can be seen.
            steps.extend(
                opened.map(|id| {
                    Step::Deliver(id, Box::new(Event::Sighted(Box::new(sighting.clone()))))
                }),
            );
            steps
        }
    }
}

fn deliver_if_new(watch: &Watch, sighting: &Sighting) -> Vec<Step> {
    let known = watch.sighting.as_ref().is_some_and(|known| known.shows_the_same_as(sighting));
    if known && !watch.tasks.asks_again(sighting.at) {
        return Vec::new();
    }
    let event = Event::Sighted(Box::new(sighting.clone()));
    vec![Step::Deliver(watch.id.clone(), Box::new(event))]
}

/// Whether the sighting shows the judged deployment being undone: by our own
/// rollback, by the platform's, or by somebody who put the former revision back.
/// That is never a deployment to be judged.
fn is_return(watch: &Watch, sighting: &Sighting) -> bool {
    let in_place = &sighting.primary.revision;
    if let Stage::RollingBack(run) = &watch.stage {
        // The judged revision coming back, or ECS undoing the rollback, is for this
        // watch to tell people of.
        return in_place.name == run.plan.target.name
            || in_place.name == run.plan.judged_revision.name
            || run.plan.is_target(in_place)
            || may_be_pinned(run, in_place)
            || sighting.native_rollback.is_some();
    }
    // A task set that was there before the judged one gets the requests again.
    let stood_before = sighting.primary.created_at < watch.deployment.started_at;
    if sighting.native_rollback.is_some() || stood_before {
        return true;
    }
    let deployment = &watch.deployment;
    let (Some(judged), Some(source)) = (&deployment.revision, &deployment.source) else {
        return false;
    };
    if source.name != in_place.name {
        return false;
    }
    // Of one definition on both sides, the images tell which one is back.
    let same_definition = judged.name == source.name;
    let images_are_back = source.same_images(in_place) && !judged.same_images(in_place);
    !same_definition || (images_are_back && !judged.digests.is_empty())
}

/// Whether it may be the revision that was registered for this rollback: the answer to
/// the call, which names it, is still to come, and its images are not known yet.
fn may_be_pinned(run: &RollbackRun, in_place: &Revision) -> bool {
    let family =
        |revision: &Revision| revision.name.rsplit_once(':').map(|(family, _)| family.to_owned());
    matches!(run.step, RunStep::Acting { .. })
        && run.plan.pins()
        && in_place.digests.is_empty()
        && family(in_place) == family(&run.plan.target)
}

/// A watch begins: the announced one that fits, or a new one.
fn begin(sighting: &Sighting, seen: Option<&Seen>, open: &[&Watch], service: &Service) -> Step {
    let primary = &sighting.primary;
    let source = sighting.source.clone().or_else(|| seen.map(|seen| seen.revision.clone()));
    let poison = seen.and_then(|seen| seen.poison.as_ref());
    let baseline_end =
        poison.map_or(primary.created_at, |poison| poison.clean_until.min(primary.created_at));
    let undoes = poison.map_or(RollbackSafe::Yes, |poison| poison.safe);
    let spoiled = seen.into_iter().flat_map(|seen| &seen.spoiled);
    // With this deployment ends what the one before it did.
    let ended = |span: &Span| Span { until: span.until.or(Some(sighting.at)), ..*span };
    let inherited = Inherited {
        spoiled: spoiled.map(ended).collect(),
        unsafe_one: poison.and_then(|poison| poison.unsafe_one.clone()),
        just_before: just_before(sighting, open),
    };
    if let Some(watch) = announced_for(primary, open) {
        let sighting = Box::new(sighting.clone());
        let event = Event::Bound { sighting, source, baseline_end, undoes, inherited };
        return Step::Deliver(watch.id.clone(), Box::new(event));
    }
    let rollback_safe = RollbackSafe::Unknown.worst(undoes);
    let deployment = Deployment {
        id: primary.id.clone(),
        service: service.clone(),
        platform_id: Some(primary.id.clone()),
        revision: Some(primary.revision.clone()),
        source,
        started_at: primary.created_at,
        baseline_end,
        undoes,
        inherited,
        facts: Facts { rollback_safe, ..Facts::default() },
    };
    Step::Open(Box::new(deployment), None)
}

/// What the watch over what was in place saw last. What comes into service under the guard's
/// eyes is looked at itself meanwhile.
fn just_before(sighting: &Sighting, open: &[&Watch]) -> BTreeMap<String, BTreeMap<String, bool>> {
    let bound = open.iter().find(|watch| watch.platform_id().is_some());
    let bound = bound.filter(|_| sighting.primary.running > 0);
    bound.map(|watch| watch.just_before(sighting.at)).unwrap_or_default()
}

/// The one announced watch that the deployment fits: named exactly, or the only
/// one that names nothing.
fn announced_for<'a>(of: &PlatformDeployment, open: &[&'a Watch]) -> Option<&'a Watch> {
    let waiting: Vec<&Watch> = open
        .iter()
        .copied()
        .filter(|watch| matches!(watch.stage, Stage::Announced { .. }))
        .collect();
    let fits = |watch: &Watch| watch.announcement_names(&of.id, &of.revision);
    let named = waiting.iter().find(|watch| fits(watch) == Some(true));
    let mut unnamed = waiting.iter().filter(|watch| {
        let apart = watch.deployment.started_at.duration_since(of.created_at).abs();
        fits(watch).is_none() && apart <= JOIN_WITHIN
    });
    named.copied().or_else(|| match (unnamed.next(), unnamed.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    })
}

/// What an announcement leads to. `open`: the open watches of the service.
pub fn on_announcement(announcement: &Announcement, open: &[&Watch]) -> Step {
    let joined =
        open.iter().find(|watch| match (watch.platform_id(), &watch.deployment.revision) {
            (Some(id), Some(revision)) => {
                if let Some(named) = announcement.names(id, revision) {
                    named
                } else {
                    let apart = watch.deployment.started_at.duration_since(announcement.at).abs();
                    watch.deployment.facts.announced_by.is_none() && apart <= JOIN_WITHIN
                }
            }
            _ => false,
        });
    if let Some(watch) = joined {
        let event = Event::Announced(Box::new(announcement.clone()));
        return Step::Deliver(watch.id.clone(), Box::new(event));
    }
    let revision = announcement.revision.as_deref().map(Revision::named);
    let deployment = Deployment {
        id: announcement.id.clone(),
        service: announcement.service.clone(),
        platform_id: None,
        revision,
        source: None,
        started_at: announcement.at,
        baseline_end: announcement.at,
        undoes: RollbackSafe::Yes,
        inherited: Inherited::default(),
        facts: announcement.facts.clone(),
    };
    Step::Open(Box::new(deployment), Some(Box::new(announcement.clone())))
}

/// What a deployment leaves behind for the one after it, as long as it was not
/// found good: its guilt is not washed by deploying over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poison {
    /// The service was clean up to here.
    pub clean_until: Timestamp,
    /// Whether all that a rollback past it would undo may be undone.
    pub safe: RollbackSafe,
    /// Which of it may not.
    #[serde(default)]
    pub unsafe_one: Option<Unsafe>,
}

impl Watch {
    /// Whether the watch's announcement names that deployment.
    fn announcement_names(&self, platform_id: &str, revision: &Revision) -> Option<bool> {
        self.announcement.as_ref()?.names(platform_id, revision)
    }

    /// What the next deployment of the service inherits from this one.
    pub fn poison(&self) -> Option<Poison> {
        let clean = match &self.stage {
            Stage::Announced { .. } => true,
            Stage::Starting | Stage::RollingBack(_) => false,
            Stage::Watching => self.is_provisionally_good(),
            Stage::Ended { outcome, .. } => match outcome {
                Outcome::Passed | Outcome::RolledBack => true,
                Outcome::Superseded => self.is_provisionally_good(),
                Outcome::RollbackFailed
                | Outcome::Breached
                | Outcome::Cancelled
                | Outcome::Inconclusive => false,
            },
        };
        (!clean).then_some(Poison {
            clean_until: self.deployment.baseline_end,
            safe: self.deployment.facts.rollback_safe,
            unsafe_one: self.unsafe_one(),
        })
    }

    /// What was announced as not safe to roll back: this one, or one that would be undone
    /// with it.
    pub(super) fn unsafe_one(&self) -> Option<Unsafe> {
        let Deployment { facts, inherited, .. } = &self.deployment;
        if self.is_announced_unsafe() {
            return Some(Unsafe { version: self.version(), by: facts.announced_by.clone() });
        }
        inherited.unsafe_one.clone()
    }

    /// Whether its own announcement says that it is not safe to roll back.
    pub(super) fn is_announced_unsafe(&self) -> bool {
        let Deployment { facts, undoes, .. } = &self.deployment;
        let announced = self.announcement.as_ref();
        announced.is_some_and(|one| one.facts.rollback_safe == RollbackSafe::No)
            || (facts.rollback_safe == RollbackSafe::No && *undoes != RollbackSafe::No)
    }

    /// When this deployment did harm: from its roll-out to the recovery, or to the end of the
    /// watch. `None`: it was not found to, or the harm was not its doing.
    pub fn harm_done(&self) -> Option<Span> {
        let incident = self.incident.as_ref().filter(|incident| incident.excused.is_none())?;
        let ended = match &self.stage {
            Stage::Ended { at, .. } => Some(*at),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
                None
            }
        };
        let until = incident.resolved_at.or(ended);
        Some(Span { from: self.deployment.started_at, until })
    }

    fn is_provisionally_good(&self) -> bool {
        let phases = &self.policy().phases;
        let good_after =
            phases.iter().position(|phase| phase.name == self.policy().rollback.known_good_after);
        !self.has_open_incident()
            && good_after.is_some_and(|index| self.phase > index)
            && self.thinly_covered().is_empty()
    }
}
