//! The deploys of a group's services as deployments of the group. Pure.
//!
//! A push makes one deploy of each service: those of one commit that begin together are one
//! deployment, named by the first of them. A commit that is deployed again is another
//! deployment with the same revision.

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
}

impl Wave<'_> {
    /// Until when deploys of the same commit join it.
    pub(super) fn open_until(&self) -> Timestamp {
        let join = if self.rolls_back { JOIN_ROLLBACK } else { JOIN };
        self.begun.checked_add(join).unwrap_or(self.begun)
    }
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
        let (content, rolls_back) =
            (deploy.content(), deploy.trigger.as_deref() == Some("rollback"));
        let joins = |wave: &&mut Wave| {
            wave.content == content
                && wave.rolls_back == rolls_back
                && !wave.parts.contains_key(&place)
                && deploy.created_at <= wave.open_until()
        };
        // Not only the newest one: deploys of two pushes may come mixed.
        match waves.iter_mut().rev().take(members.len()).find(joins) {
            Some(wave) => drop(wave.parts.insert(place, deploy)),
            None => waves.push(Wave {
                id: &deploy.id,
                begun: deploy.created_at,
                parts: BTreeMap::from([(place, deploy)]),
                content,
                rolls_back,
            }),
        }
    }
    waves
}

/// One look at a group; `None`: nothing was ever deployed there.
pub(super) fn sighting(key: &ServiceKey, members: &[Member], now: Timestamp) -> Option<Sighting> {
    let waves = waves(members);
    let gathered = |wave: &&Wave| wave.parts.len() == members.len() || now > wave.open_until();
    let shown = waves.iter().rev().find(gathered).or_else(|| waves.last())?;
    let primary = deployment(shown, members);
    let before = waves.iter().take_while(|wave| wave.id != shown.id).last();
    // What is replaced serves until the roll-out is over.
    let others = match primary.roll_out {
        RollOut::Completed => Vec::new(),
        RollOut::InProgress | RollOut::Failed => {
            before.map(|wave| still_there(wave, members)).into_iter().collect()
        }
    };
    let coming = shown.parts.values().find(|deploy| deploy.status() == Status::Coming);
    Some(Sighting {
        service: key.clone(),
        at: now,
        controller: Controller::Render,
        in_flight: coming.map(|deploy| deploy.id.clone()),
        native_rollback: None,
        source: before.map(|_| composed(members, |_, member| member.before(shown.begun))),
        primary,
        others,
    })
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
        revision: composed(members, |place, member| {
            wave.parts.get(&place).copied().or_else(|| member.before(wave.begun))
        }),
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
