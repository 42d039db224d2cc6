//! The deploys of a group's services as deployments of the group. Pure.
//!
//! A push makes one deploy of each service: those of one commit that begin together are one
//! deployment, named by the first of them. A commit that is deployed again is another
//! deployment with the same revision.
//!
//! What only builds, or failed before anything of it was live, is not in place: what it was
//! to replace goes on being shown, and so being watched.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::wire::{Deploy, Status, short};
use crate::model::{Controller, PlatformDeployment, Revision, RollOut, ServiceKey, Sighting};

/// How long after the first one a deploy of the same commit belongs to the same deployment.
/// Until then a deployment that some services take no part in is not shown: which ones it is
/// made of, and so its name, must not change once it is known.
const JOIN: SignedDuration = SignedDuration::from_secs(60);
/// The same for rollbacks, which may be tried again for one of the services.
const JOIN_ROLLBACK: SignedDuration = SignedDuration::from_mins(10);
/// How long after its newest deploy a rollback that leaves services alone is taken for whole,
/// where it restores what the group ran before: calls of one rollback follow each other
/// within seconds.
const WHOLE: SignedDuration = SignedDuration::from_secs(30);
/// How long one that was overtaken by another services' is waited for, and shown before it.
const OVERTAKEN: SignedDuration = SignedDuration::from_mins(8);

/// One service of a group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) name: String,
    /// Newest first.
    pub(super) deploys: Vec<Deploy>,
}

impl Member {
    /// What it runs, or is about to: its newest deploy that did not fail.
    pub(super) fn heading(&self) -> Option<&Deploy> {
        self.deploys.iter().find(|deploy| !matches!(deploy.status(), Status::Never(_)))
    }

    /// What was live, or on its way, before `at`.
    fn before(&self, at: Timestamp) -> Option<&Deploy> {
        let stood = |deploy: &&Deploy| {
            deploy.created_at < at && !matches!(deploy.status(), Status::Never(_))
        };
        self.deploys.iter().find(stood)
    }
}

/// One deployment of the group: for each service that takes part (by its place in the group)
/// its deploy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wave<'a> {
    pub(super) id: &'a str,
    pub(super) begun: Timestamp,
    pub(super) parts: BTreeMap<usize, &'a Deploy>,
    content: String,
    rolls_back: bool,
    /// Until when other deploys join it.
    open_until: Timestamp,
}

impl<'a> Wave<'a> {
    fn begin(place: usize, deploy: &'a Deploy) -> Self {
        Self {
            id: &deploy.id,
            begun: deploy.created_at,
            parts: BTreeMap::from([(place, deploy)]),
            content: deploy.content(),
            rolls_back: deploy.rolls_back(),
            open_until: later(
                deploy.created_at,
                if deploy.rolls_back() { JOIN_ROLLBACK } else { JOIN },
            ),
        }
    }

    /// Until when deploys of the same commit join it.
    pub(super) fn open_until(&self) -> Timestamp {
        self.open_until
    }

    /// Services of a group may go back to different commits.
    fn takes(&self, place: usize, deploy: &Deploy) -> bool {
        self.rolls_back == deploy.rolls_back()
            && (self.rolls_back || self.content == deploy.content())
            && !self.parts.contains_key(&place)
            && deploy.created_at <= self.open_until
    }

    fn is_gathered(&self, members: &[Member], now: Timestamp) -> bool {
        self.parts.len() == members.len() || now > self.open_until
    }

    /// Whether it is in place: something of it has been live. A rollback builds nothing, and
    /// how it fails is told.
    fn has_come(&self) -> bool {
        self.rolls_back || self.parts.values().any(|deploy| deploy.has_been_live())
    }

    /// Whether nothing of it is live yet, and something is on its way.
    fn is_to_come(&self, members: &[Member]) -> bool {
        let coming = |(place, deploy): (&usize, &&Deploy)| {
            deploy.status() == Status::Coming && members[*place].heading() == Some(*deploy)
        };
        !self.has_come() && self.parts.iter().any(coming)
    }

    fn revision(&self, members: &[Member]) -> Revision {
        composed(members, |place, member| {
            self.parts.get(&place).copied().or_else(|| member.before(self.begun))
        })
    }

    /// Whether a rollback of some services is all of it: the group is back at what it ran
    /// before. Who still runs what another was taken back from may be next.
    fn restores(&self, members: &[Member], earlier: &[Wave]) -> bool {
        let stood = |place: &usize| members[*place].before(self.begun).map(Deploy::content);
        let left: BTreeSet<String> = self.parts.keys().filter_map(stood).collect();
        let others = (0..members.len()).filter(|place| !self.parts.contains_key(place));
        let mut standing = others.filter_map(|place| stood(&place));
        !standing.any(|content| left.contains(&content)) && {
            let name = self.revision(members).name;
            earlier.iter().any(|wave| wave.revision(members).name == name)
        }
    }
}

fn later(than: Timestamp, by: SignedDuration) -> Timestamp {
    than.checked_add(by).unwrap_or(than)
}

/// All that the history shows, oldest first.
pub(super) fn waves(members: &[Member]) -> Vec<Wave<'_>> {
    let mut all: Vec<(usize, &Deploy)> = Vec::new();
    for (place, member) in members.iter().enumerate() {
        all.extend(member.deploys.iter().map(|deploy| (place, deploy)));
    }
    all.sort_by(|(one, a), (other, b)| {
        (a.created_at, one, &a.id).cmp(&(b.created_at, other, &b.id))
    });
    let mut waves: Vec<Wave> = Vec::new();
    for (place, deploy) in all {
        // Not only the newest one: deploys of two pushes may come mixed. Those of one service
        // come in order.
        let open = (0..waves.len()).rev().take(members.len());
        let mut open = open.take_while(|at| !waves[*at].parts.contains_key(&place));
        let at = open.find(|at| waves[*at].takes(place, deploy)).unwrap_or(waves.len());
        match waves.get_mut(at) {
            Some(wave) => drop(wave.parts.insert(place, deploy)),
            None => waves.push(Wave::begin(place, deploy)),
        }
        let (wave, earlier) = (&waves[at], &waves[..at]);
        if wave.rolls_back && wave.parts.len() < members.len() {
            let is_whole = wave.restores(members, earlier);
            waves[at].open_until = if is_whole {
                later(deploy.created_at, WHOLE)
            } else {
                later(waves[at].begun, JOIN_ROLLBACK)
            };
        }
    }
    waves
}

/// One look at a group; `None`: nothing was ever deployed there.
pub(super) fn sighting(key: &ServiceKey, members: &[Member], now: Timestamp) -> Option<Sighting> {
    let waves = waves(members);
    let shown = newest_come(&waves, members, now).or_else(|| waves.last())?;
    let primary = deployment(shown, members);
    let at = waves.iter().position(|wave| wave.id == shown.id)?;
    let before = waves[..at].iter().rev().find(|wave| wave.has_come());
    // What is replaced serves until the roll-out is over.
    let others = match primary.roll_out {
        RollOut::Completed => Vec::new(),
        RollOut::InProgress | RollOut::Failed => {
            before.map(|wave| still_there(wave, members)).into_iter().collect()
        }
    };
    let mut coming = waves[at..].iter().rev().flat_map(|wave| wave.parts.values());
    let coming = coming.find(|deploy| deploy.status() == Status::Coming);
    let mut builds = waves[at + 1..].iter().rev();
    let builds = builds.find(|wave| wave.is_gathered(members, now) && wave.is_to_come(members));
    Some(Sighting {
        service: key.clone(),
        at: now,
        controller: Controller::Render,
        coming: builds.map(|wave| Box::new(deployment(wave, members))),
        in_flight: coming.map(|deploy| deploy.id.clone()),
        native_rollback: None,
        source: before.map(|_| composed(members, |_, member| member.before(shown.begun))),
        primary,
        others,
    })
}

/// The newest deployment that is more than a build. One that overtook another, of other
/// services, which is still on its way, is shown after it: each is judged.
fn newest_come<'w, 'a>(
    waves: &'w [Wave<'a>],
    members: &[Member],
    now: Timestamp,
) -> Option<&'w Wave<'a>> {
    let come = |wave: &Wave| wave.is_gathered(members, now) && wave.has_come();
    let at = waves.iter().rposition(come)?;
    let awaited = |wave: &&Wave| wave.is_to_come(members) && now <= later(wave.begun, OVERTAKEN);
    let overtaken = waves[..at].iter().find(awaited);
    overtaken.filter(|_| !waves[at].rolls_back).or(Some(&waves[at]))
}

fn deployment(wave: &Wave, members: &[Member]) -> PlatformDeployment {
    let running = wave.parts.values().filter(|deploy| deploy.has_been_live()).count();
    let failed: Vec<String> = wave
        .parts
        .iter()
        .filter_map(|(place, deploy)| match deploy.status() {
            Status::Never(why) => Some((*place, why)),
            Status::Coming | Status::Live | Status::Was => None,
        })
        .map(|(place, why)| failure(&members[place], why))
        .collect();
    let roll_out = match (failed.is_empty(), running == wave.parts.len()) {
        (false, _) => RollOut::Failed,
        (true, true) => RollOut::Completed,
        (true, false) => RollOut::InProgress,
    };
    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
    PlatformDeployment {
        id: wave.id.to_owned(),
        revision: wave.revision(members),
        created_at: wave.begun,
        roll_out,
        reason: (!failed.is_empty()).then(|| failed.join("; ")),
        weight: None,
        desired: count(wave.parts.len()),
        running: count(running),
        failed: count(failed.len()),
    }
}

fn failure(member: &Member, why: &str) -> String {
    let kept = member.heading().filter(|deploy| deploy.status() == Status::Live);
    let kept = kept.map(|deploy| format!(", and Render keeps {} live", short(&deploy.content())));
    format!("{}: {why}{}", member.name, kept.unwrap_or_default())
}

/// What is left of a deployment while the next one comes.
fn still_there(wave: &Wave, members: &[Member]) -> PlatformDeployment {
    let live = wave.parts.values().filter(|deploy| deploy.status() == Status::Live).count();
    PlatformDeployment {
        running: u32::try_from(live).unwrap_or(u32::MAX),
        roll_out: RollOut::Completed,
        reason: None,
        failed: 0,
        ..deployment(wave, members)
    }
}

/// What all members run together: one name where they run the same, otherwise each its own.
fn composed<'a>(
    members: &'a [Member],
    of: impl Fn(usize, &'a Member) -> Option<&'a Deploy>,
) -> Revision {
    let parts: Vec<(&str, &Deploy)> = members
        .iter()
        .enumerate()
        .filter_map(|(place, member)| Some((member.name.as_str(), of(place, member)?)))
        .collect();
    let contents: BTreeSet<String> = parts.iter().map(|(_, deploy)| deploy.content()).collect();
    let mut contents = contents.into_iter();
    if let (Some(only), None) = (contents.next(), contents.next()) {
        let title = parts.first().map(|(_, deploy)| deploy.title());
        return Revision { title, ..Revision::named(&only) };
    }
    let each = |content: &dyn Fn(&Deploy) -> String, between: &str, join: &str| {
        let parts = parts.iter().map(|(name, one)| format!("{name}{between}{}", content(one)));
        parts.collect::<Vec<_>>().join(join)
    };
    let short = |deploy: &Deploy| short(&deploy.content()).to_owned();
    let title = Some(each(&short, " ", ", "));
    Revision { title, ..Revision::named(&each(&Deploy::content, "=", ",")) }
}

/// What each member runs in a revision, in the order of the group; the error names what is
/// missing from it.
pub(super) fn contents(revision: &Revision, members: &[Member]) -> Result<Vec<String>, String> {
    let parts: Option<BTreeMap<&str, &str>> =
        revision.name.split(',').map(|part| part.split_once('=')).collect();
    let Some(parts) = parts else { return Ok(vec![revision.name.clone(); members.len()]) };
    let each = members.iter().map(|member| {
        let part = parts.get(member.name.as_str()).map(|part| (*part).to_owned());
        part.ok_or_else(|| format!("{} does not say what {} ran", revision.short(), member.name))
    });
    each.collect()
}

#[cfg(test)]
#[path = "wave_tests.rs"]
pub(super) mod tests;
