//! What the daemon can see of the platform, and what it can't, for people.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::guard::is_about;
use super::handle::Look;
use super::run::Engine;
use super::status::Status;
use crate::model::{Recipient, ServiceKey};
use crate::policy::{Glob, WebText};
use crate::policy_repo::Loaded;
use crate::sources::{Prober, Web};
use crate::watch::{Stage, Watch};

/// How long an announced deployment that can't be looked for is waited for.
const BLIND_PATIENCE: SignedDuration = SignedDuration::from_hours(24);

impl Engine {
    /// When a watch must be woken. One that waits for its roll-out does not give up while
    /// nobody can see whether it is there.
    pub(super) fn wakes_at(&self, watch: &Watch) -> Option<Timestamp> {
        wakes_at(watch, &self.parts.status)
    }

    /// Takes down how a round of looks went.
    pub(super) fn note_looks(&self, looks: &[Look], now: Timestamp) {
        let mut failed: BTreeMap<String, Option<String>> = BTreeMap::new();
        self.parts.status.set(|health| {
            health.looked_at = Some(now);
            for (key, look) in looks {
                let place = place(key);
                self.parts.metrics.looked(look.is_ok());
                match look {
                    Ok(_) => {
                        health.platform.remove(&place);
                        failed.insert(place, None);
                    }
                    Err(error) => {
                        health.platform.insert(place.clone(), error.to_string());
                        failed.entry(place).or_insert_with(|| Some(error.to_string()));
                    }
                }
            }
            for (place, failed) in failed {
                health.looked(&place, failed, now);
            }
        });
    }
}

fn wakes_at(watch: &Watch, status: &Status) -> Option<Timestamp> {
    let at = watch.next_wake()?;
    let waits = matches!(watch.stage, Stage::Announced { .. });
    if waits && status.is_blind(&place(&watch.deployment.service.key)) {
        return at.checked_add(BLIND_PATIENCE).ok();
    }
    Some(at)
}

/// "default/shop-production".
pub(super) fn place(key: &ServiceKey) -> String {
    format!("{}/{}", key.target, key.cluster)
}

/// The policies in whose clusters nobody looks for deployments, in words. `clusters`: as
/// the settings name them for each target; where they name none, the policies' own are
/// looked at.
pub(super) fn unseen(
    loaded: &Loaded,
    clusters: &BTreeMap<String, Option<Vec<String>>>,
) -> Vec<String> {
    let policies = loaded.set.iter().map(|written| &written.policy);
    let told = policies.filter_map(|policy| {
        let matches = &policy.matches;
        let targets: Vec<_> =
            clusters.iter().filter(|(target, _)| is_about(matches, target)).collect();
        if targets.is_empty() {
            let pattern = matches.target.as_deref().unwrap_or_default();
            return Some(format!(
                "policy {}: no target of the settings is called `{pattern}`: it guards nothing",
                policy.name
            ));
        }
        let glob = Glob::parse(&matches.cluster).ok()?;
        let sees = |named: &Option<Vec<String>>| {
            named.as_ref().is_none_or(|named| named.iter().any(|cluster| glob.matches(cluster)))
        };
        let unseen = !targets.iter().any(|(_, named)| sees(named));
        unseen.then(|| {
            format!(
                "policy {}: the cluster `{}` is not in discover.ecs.clusters: only announced \
                 deployments are guarded there",
                policy.name, matches.cluster
            )
        })
    });
    told.collect()
}

/// The policies that ask Prometheus where the settings name none, in words. `has`: by
/// target, whether they name one.
pub(super) fn unasked(loaded: &Loaded, has: &BTreeMap<String, bool>) -> Vec<String> {
    let policies = loaded.set.iter().map(|written| &written.policy);
    let told = policies.filter_map(|policy| {
        let lacks = |(target, has): (&String, &bool)| is_about(&policy.matches, target) && !*has;
        let asks: Vec<&str> = policy
            .checks
            .iter()
            .filter(|check| check.is_of_prometheus())
            .map(|check| check.name.as_str())
            .collect();
        (!asks.is_empty() && has.iter().any(lacks)).then(|| {
            let (name, asks) = (&policy.name, asks.join(", "));
            format!("policy {name}: {asks} ask Prometheus, and the settings name none")
        })
    });
    told.collect()
}

/// What policies ask of the web and the settings don't allow, in words. A host that is known
/// only with a deployment is not told.
pub(super) fn kept_in(loaded: &Loaded, outbound: Option<&Web>) -> Vec<String> {
    let allows = |url: &str| match outbound {
        Some(web) => web.allows(url),
        None => Err("the settings have no `outbound.allow`".to_owned()),
    };
    let policies = loaded.set.iter().map(|written| &written.policy);
    let told = policies.flat_map(|policy| {
        policy.checks.iter().filter_map(|check| {
            let mut urls = check.sent_out().into_iter().filter_map(WebText::known_host);
            let why = urls.find_map(|url| allows(&url).err())?;
            Some(format!("policy {}: {} is not asked: {why}", policy.name, check.name))
        })
    });
    told.collect()
}

/// Commands that policies name and the settings don't have, in words.
pub(super) fn not_run(loaded: &Loaded, prober: Option<&Prober>) -> Vec<String> {
    let runs = |name: &str| prober.map_or(Ok(()), |one| one.runs(name));
    let policies = loaded.set.iter().map(|written| &written.policy);
    let told = policies.flat_map(|policy| {
        policy.checks.iter().filter_map(|check| {
            let why = runs(check.probe()?.command()?).err()?;
            Some(format!("policy {}: {} is not run: {why}", policy.name, check.name))
        })
    });
    told.collect()
}

/// Whom policies call and the settings don't know, in words.
pub(super) fn unknown(loaded: &Loaded, knows: impl Fn(&Recipient) -> bool) -> Vec<String> {
    let told = loaded.set.iter().filter_map(|written| {
        let mut nobody = written.policy.notify.called();
        nobody.retain(|who| !knows(who));
        let names: Vec<String> = nobody.iter().map(|who| format!("`{who}`")).collect();
        (!names.is_empty()).then(|| {
            let (policy, names) = (&written.policy.name, names.join(", "));
            format!("policy {policy} calls {names}, and the settings name nobody so: nobody hears")
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::world::{Guard, at, policy};

    #[test]
    fn what_was_announced_is_waited_for_while_nobody_can_see_whether_it_is_there() {
        let (mut guard, status) = (Guard::over(policy()), Status::default());
        guard.watch.stage = Stage::Announced { until: at(600) };
        assert_eq!(wakes_at(&guard.watch, &status), Some(at(600)));
        let refused = || Some("AccessDenied".to_owned());
        status.set(|health| health.looked("default/prod", refused(), at(0)));
        assert_eq!(wakes_at(&guard.watch, &status), Some(at(600) + BLIND_PATIENCE));
        status.set(|health| health.looked("default/prod", None, at(700)));
        assert_eq!(wakes_at(&guard.watch, &status), Some(at(600)), "seen again, and not there");
        guard.watch.stage = Stage::Starting;
        status.set(|health| health.looked("default/prod", refused(), at(800)));
        assert_eq!(wakes_at(&guard.watch, &status), guard.watch.next_wake());
    }
}
