//! What the daemon can see of the platform, and what it can't, for people.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::handle::Look;
use super::run::Engine;
use crate::model::ServiceKey;
use crate::policy::Glob;
use crate::policy_repo::Loaded;

impl Engine {
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

/// "default/shop-production".
pub(super) fn place(key: &ServiceKey) -> String {
    format!("{}/{}", key.target, key.cluster)
}

/// The policies in whose clusters nobody looks for deployments, in words.
pub(super) fn unseen(loaded: &Loaded, clusters: &[String]) -> Vec<String> {
    let policies = loaded.set.iter().map(|written| &written.policy);
    let unseen = policies.filter(|policy| {
        Glob::parse(&policy.matches.cluster)
            .is_ok_and(|glob| !clusters.iter().any(|cluster| glob.matches(cluster)))
    });
    let told = unseen.map(|policy| {
        format!(
            "policy {}: the cluster `{}` is not in discover.ecs.clusters: only announced \
             deployments are guarded there",
            policy.name, policy.matches.cluster
        )
    });
    told.collect()
}
