//! From a past deployment and its neighbours to the scene that is lived through.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::deployments::Past;
use crate::model::{Facts, Mode, RollbackSafe, Service, ServiceKey};
use crate::policy::{Matches, PolicySet, Written};
use crate::rehearsal::{Platform, Scene};

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

/// A service that was deployed this recently is no control.
const UNSETTLED: SignedDuration = SignedDuration::from_hours(1);

impl Setup {
    /// The service of a deployment. Its cluster is its label `cluster`, or else the one
    /// that the policy names.
    fn service(&self, past: &Past) -> Service {
        let matches = &self.written.policy.matches;
        let cluster = past.labels.get("cluster").unwrap_or(&matches.cluster);
        let target = matches.target.clone().unwrap_or_default();
        let key = ServiceKey { target, cluster: cluster.clone(), service: past.service.clone() };
        Service { name: past.service.clone(), environment: past.environment.clone(), key }
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
    /// where the first deployment began that nobody had found good yet; services that
    /// are not being deployed are its controls.
    pub(super) fn scene(&self, calendar: &Calendar, past: &Past) -> Scene {
        let facts = Facts {
            version: past.labels.get("version").cloned(),
            rollback_safe: RollbackSafe::Yes,
            labels: past.labels.clone(),
            ..Facts::default()
        };
        let policy = (*self.written.policy).clone();
        let mut scene = Scene::of(policy, &past.id, self.service(past), past.at, facts);
        scene = scene.in_mode(self.mode);
        scene.deployment.baseline_end = self.clean_until(calendar, past);
        scene.others = self.controls(calendar, past);
        scene.platform =
            Platform { in_service_after: self.in_service_after, ..Platform::default() };
        scene.superseded = calendar.next(past);
        scene.until = Some(self.now);
        scene.ends_with_rollback = true;
        scene
    }

    /// What was recorded knows of no rollback: what a deployment broke stays broken
    /// until the next one, however the guard would have ended it.
    fn clean_until(&self, calendar: &Calendar, past: &Past) -> Timestamp {
        let policy = &self.written.policy;
        let good_after = policy
            .phases
            .iter()
            .find(|phase| phase.name == policy.rollback.known_good_after)
            .map_or_else(|| policy.horizon(), |phase| phase.until);
        let mut clean = past.at;
        for (at, _) in calendar.before(past).iter().rev() {
            if clean.duration_since(*at) >= good_after {
                break;
            }
            clean = *at;
        }
        clean
    }

    fn controls(&self, calendar: &Calendar, past: &Past) -> Vec<String> {
        let horizon = self.written.policy.horizon();
        let is_near = |at: Timestamp| {
            let apart = at.duration_since(past.at);
            apart > -UNSETTLED && apart < horizon
        };
        calendar
            .services
            .iter()
            .filter(|((environment, name), of_one)| {
                *environment == past.environment
                    && *name != past.service
                    && of_one.guarded
                    && !of_one.deployed.iter().any(|(at, _)| is_near(*at))
            })
            .map(|((_, name), _)| name.clone())
            .collect()
    }

    /// The same for everything that a finding rests on, but what was recorded.
    pub(super) fn key(&self, calendar: &Calendar, past: &Past, source: &str) -> String {
        let scene = self.scene(calendar, past);
        let superseded = scene.superseded.map(|(at, by)| format!("{at} {by}"));
        let parts = [
            env!("CARGO_PKG_VERSION").to_owned(),
            source.to_owned(),
            self.written.digest.clone(),
            self.mode.to_string(),
            self.in_service_after.to_string(),
            serde_json::to_string(past).unwrap_or_default(),
            superseded.unwrap_or_default(),
            scene.deployment.baseline_end.to_string(),
            scene.others.join(","),
        ];
        let digest = Sha256::digest(parts.join("\n"));
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// When each service was deployed.
pub(super) struct Calendar {
    /// By environment and name.
    services: BTreeMap<(String, String), OfOne>,
}

#[derive(Default)]
struct OfOne {
    /// With their ids, oldest first.
    deployed: Vec<(Timestamp, String)>,
    /// Whether the policy means it.
    guarded: bool,
}

impl Calendar {
    pub fn of(setup: &Setup, all: &[Past]) -> Self {
        let mut services: BTreeMap<_, OfOne> = BTreeMap::new();
        for past in all {
            let of_one = services.entry(name(past)).or_default();
            of_one.deployed.push((past.at, past.id.clone()));
            of_one.guarded |= setup.mismatch(past).is_none();
        }
        for of_one in services.values_mut() {
            of_one.deployed.sort();
        }
        Self { services }
    }

    fn of_service(&self, past: &Past) -> &[(Timestamp, String)] {
        self.services.get(&name(past)).map_or(&[], |of_one| &of_one.deployed)
    }

    fn before(&self, past: &Past) -> &[(Timestamp, String)] {
        let all = self.of_service(past);
        &all[..all.partition_point(|(at, _)| *at < past.at)]
    }

    fn next(&self, past: &Past) -> Option<(Timestamp, String)> {
        let all = self.of_service(past);
        all.get(all.partition_point(|(at, _)| *at <= past.at)).cloned()
    }
}

fn name(past: &Past) -> (String, String) {
    (past.environment.clone(), past.service.clone())
}
