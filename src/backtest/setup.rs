//! From a past deployment and its neighbours to the scene that is lived through.

use std::fmt::Write;
use std::time::UNIX_EPOCH;
use std::{env, fs, io};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::calendar::Calendar;
use super::deployments::Past;
use crate::model::{Facts, Mode, RollbackSafe, Service, ServiceKey};
use crate::policy::{Matches, PolicySet, Written};
use crate::rehearsal::{Beside, Platform, Scene};
use crate::watch::settled_beside;

/// How the deployments are judged.
#[derive(Debug, Clone)]
pub struct Setup {
    /// With exactly one policy, which judges all of them.
    pub policies: PolicySet,
    pub written: Written,
    /// The most that the guard may do.
    pub mode: Mode,
    /// From the start of a roll-out to its first task in service.
    pub in_service_after: SignedDuration,
    /// What is recorded ends here.
    pub now: Timestamp,
}

impl Setup {
    /// The service of a deployment. Its cluster is its label `cluster`, or else the one
    /// that the policy names.
    pub(super) fn service(&self, past: &Past) -> Service {
        let matches = &self.written.policy.matches;
        let cluster = past.labels.get("cluster").unwrap_or(&matches.cluster);
        let target = matches.target.clone().unwrap_or_default();
        let key = ServiceKey { target, cluster: cluster.clone(), service: past.service.clone() };
        Service { name: past.service.clone(), environment: past.environment.clone(), key }
    }

    pub(super) fn in_service_at(&self, past: &Past) -> Timestamp {
        past.at.checked_add(self.in_service_after).unwrap_or(past.at)
    }

    /// Why the policy would not have guarded the deployment, though it is judged.
    pub fn mismatch(&self, past: &Past) -> Option<String> {
        let policy = &self.written.policy;
        let service = self.service(past);
        if past.environment != policy.environment {
            return Some(format!(
                "the policy {} is for the environment {}, and {} is of {}",
                policy.name, policy.environment, past.id, past.environment
            ));
        }
        match self.policies.matching(&service.key) {
            Matches::One(_) | Matches::Several(_) => None,
            Matches::None => Some(format!(
                "`match` of the policy {} does not mean the service {} of {}",
                policy.name, past.service, past.id
            )),
        }
    }

    /// The next deployment of the same service takes its place; its baseline ends
    /// where the first deployment began that nobody had found good yet, and what came
    /// with that can't be undone either; services that are settled are its controls.
    pub(super) fn scene(&self, calendar: &Calendar<'_>, past: &Past) -> Scene {
        let unproven = self.unproven(calendar, past);
        let undoes =
            unproven.iter().fold(RollbackSafe::Yes, |worst, one| worst.worst(one.rollback_safe));
        let facts = Facts {
            version: past.labels.get("version").cloned(),
            rollback_safe: past.rollback_safe.worst(undoes),
            labels: past.labels.clone(),
            ..Facts::default()
        };
        let service = self.service(past);
        let (known, unsettled) = calendar.services(past);
        let unsettled = unsettled.iter().collect();
        let others = settled_beside(&service.key, &self.written.policy, known, &unsettled);
        let policy = (*self.written.policy).clone();
        let mut scene = Scene::of(policy, &past.id, service, past.at, facts);
        scene = scene.in_mode(self.mode);
        scene.deployment.undoes = undoes;
        scene.deployment.baseline_end = unproven.last().map_or(past.at, |first| first.at);
        scene.others = others;
        scene.beside = self.beside(calendar, past);
        scene.platform =
            Platform { in_service_after: self.in_service_after, ..Platform::default() };
        scene.superseded = calendar.next(past).map(|next| (next.at, next.id.clone()));
        scene.until = Some(self.now);
        scene.ends_with_rollback = true;
        scene
    }

    /// The deployments before it that nobody had found good yet, latest first. What was
    /// recorded knows of no rollback: what a deployment broke stays broken until the
    /// next one, however the guard would have ended it.
    fn unproven<'a>(&self, calendar: &Calendar<'a>, past: &Past) -> Vec<&'a Past> {
        let policy = &self.written.policy;
        let good_after = policy
            .phases
            .iter()
            .find(|phase| phase.name == policy.rollback.known_good_after)
            .map_or_else(|| policy.horizon(), |phase| phase.until);
        let mut clean = past.at;
        let unproven = calendar.before(past).take_while(|earlier| {
            let soon = clean.duration_since(earlier.at) < good_after;
            clean = earlier.at;
            soon
        });
        unproven.collect()
    }

    fn beside(&self, calendar: &Calendar<'_>, past: &Past) -> Vec<Beside> {
        let cluster = self.service(past).key.cluster;
        let others = calendar.beside(past).into_iter().map(|place| calendar.past(place));
        others
            .filter(|other| self.service(other).key.cluster == cluster)
            .map(|other| Beside {
                service: other.service.clone(),
                started_at: other.at,
                in_service_at: self.in_service_at(other),
                until: calendar.until(other),
            })
            .collect()
    }
}

/// What tells this build from another that is of the same version, and may judge
/// otherwise.
///
/// # Errors
/// The running executable can't be looked at.
pub(super) fn build() -> io::Result<String> {
    let found = fs::metadata(env::current_exe()?)?;
    let modified = found.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} {} {}", env!("CARGO_PKG_VERSION"), found.len(), modified.as_nanos()))
}

/// Names of findings that are the same for everything that they rest on, but what was
/// recorded.
pub(super) struct Keys<'a> {
    calendar: &'a Calendar<'a>,
    /// Of each deployment lived through alone, which leaves its trail.
    alone: Vec<[u8; 32]>,
}

impl<'a> Keys<'a> {
    pub fn of(
        setup: &Setup,
        calendar: &'a Calendar<'a>,
        count: usize,
        source: &str,
        build: &str,
    ) -> Self {
        let alone = |place| {
            let past = calendar.past(place);
            let scene = setup.scene(calendar, past);
            let superseded = scene.superseded.map(|(at, by)| format!("{at} {by}"));
            let parts = [
                build.to_owned(),
                source.to_owned(),
                setup.written.digest.clone(),
                setup.mode.to_string(),
                setup.in_service_after.to_string(),
                serde_json::to_string(past).unwrap_or_default(),
                superseded.unwrap_or_default(),
                scene.deployment.baseline_end.to_string(),
                format!("{:?}", scene.deployment.undoes),
                scene.others.join(","),
                // They unsettle its controls.
                format!("{:?}", scene.beside),
            ];
            Sha256::digest(parts.join("\n")).into()
        };
        Self { calendar, alone: (0..count).map(alone).collect() }
    }

    /// Of a deployment and the trails of those beside it.
    pub fn get(&self, place: usize) -> String {
        let mut digest = Sha256::new();
        let beside = self.calendar.beside(self.calendar.past(place));
        for place in [place].into_iter().chain(beside) {
            digest.update(self.alone[place]);
        }
        digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
