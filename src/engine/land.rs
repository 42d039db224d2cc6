//! Where deployments are looked for: the clusters of the settings, or those that the
//! policies name; and what runs there that nothing guards.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::clock;
use super::guard::{guarded, is_about};
use super::status::Status;
use crate::model::ServiceKey;
use crate::platform::{Host, LookError, Platform};
use crate::policy::Glob;
use crate::policy_repo::Loaded;

/// Full looks between two listings of the clusters' services, and listings of services
/// between two of the account's clusters.
const LIST_EVERY: u32 = 4;
const CLUSTERS_EVERY: u32 = 20;
/// Clusters that are looked at because a pattern matches them: beyond it patterns are
/// too wide to be meant, and the settings have to name them.
const MOST_MATCHED: usize = 100;
/// Unguarded services that are shown.
const MOST_SHOWN: usize = 500;

/// What is known of the place, from listing to listing.
pub(super) struct Land {
    target: String,
    /// As the settings say; `None`: as the policies say.
    named: Option<Vec<String>>,
    status: Arc<Status>,
    round: u32,
    /// The policies' clusters at the latest listing.
    asked: (BTreeSet<String>, Vec<String>),
    /// The account's clusters, as far as patterns need them.
    matched: BTreeSet<String>,
    listed: BTreeSet<ServiceKey>,
}

impl Land {
    pub(super) fn new(target: String, named: Option<Vec<String>>, status: Arc<Status>) -> Self {
        let asked = (BTreeSet::new(), Vec::new());
        let (matched, listed) = (BTreeSet::new(), BTreeSet::new());
        Self { target, named, status, round: 0, asked, matched, listed }
    }

    /// One full look: lists when it is time to, or when the policies name other clusters.
    /// `false`: a listing failed for a reason that holds for the whole account.
    pub(super) async fn survey(&mut self, platform: &Host, loaded: &Loaded) -> bool {
        let asked = match &self.named {
            Some(named) => (named.iter().cloned().collect(), Vec::new()),
            None => wanted_clusters(loaded, &self.target),
        };
        let changed = asked != self.asked;
        self.asked = asked;
        let mut listed = true;
        if changed || self.round.is_multiple_of(LIST_EVERY * CLUSTERS_EVERY) {
            listed &= self.match_clusters(platform).await;
        }
        if changed || self.round.is_multiple_of(LIST_EVERY) {
            listed &= self.list(platform).await;
        }
        self.round = self.round.wrapping_add(1);
        self.show_unguarded(loaded);
        listed
    }

    /// The listed services that a policy guards.
    pub(super) fn guarded(&self, loaded: &Loaded) -> impl Iterator<Item = ServiceKey> {
        self.listed.iter().filter(|key| guarded(loaded, key).is_some()).cloned()
    }

    async fn match_clusters(&mut self, platform: &Host) -> bool {
        let patterns = &self.asked.1;
        if patterns.is_empty() {
            self.matched.clear();
            return true;
        }
        let clusters = platform.clusters().await;
        let listed = !matches!(clusters, Err(LookError::Everywhere(_)));
        let failed = clusters.as_ref().err().map(ToString::to_string);
        let what = format!("the list of clusters of {}", self.target);
        self.status.set(|health| health.looked(&what, failed, clock::now()));
        match clusters {
            Ok(clusters) => {
                let globs: Vec<Glob> =
                    patterns.iter().filter_map(|text| Glob::parse(text).ok()).collect();
                let fits = |name: &String| globs.iter().any(|glob| glob.matches(name));
                let fitting: Vec<String> = clusters.into_iter().filter(fits).collect();
                if fitting.len() > MOST_MATCHED {
                    tracing::warn!(
                        clusters = fitting.len(),
                        "the policies match more than {MOST_MATCHED} clusters: name those to look at in discover.ecs.clusters"
                    );
                }
                self.matched = fitting.into_iter().take(MOST_MATCHED).collect();
            }
            Err(error) => tracing::warn!(%error, "clusters could not be listed"),
        }
        listed
    }

    async fn list(&mut self, platform: &Host) -> bool {
        let mut listed = true;
        let clusters: BTreeSet<String> = self.asked.0.union(&self.matched).cloned().collect();
        self.listed.retain(|key| clusters.contains(&key.cluster));
        for cluster in &clusters {
            let services = platform.services(cluster).await;
            listed &= !matches!(services, Err(LookError::Everywhere(_)));
            let failed = services.as_ref().err().map(ToString::to_string);
            let what = format!("the list of services of {}/{cluster}", self.target);
            self.status.set(|health| health.looked(&what, failed, clock::now()));
            match services {
                Ok(services) => {
                    self.listed.retain(|key| key.cluster != *cluster);
                    self.listed.extend(services);
                }
                Err(error) => tracing::warn!(cluster, %error, "services could not be listed"),
            }
        }
        listed
    }

    fn show_unguarded(&self, loaded: &Loaded) {
        // What has its kind in front leads to something that is listed itself.
        let plain = self.listed.iter().filter(|key| !key.service.contains('/'));
        let unguarded = plain.filter(|key| guarded(loaded, key).is_none());
        let unguarded: Vec<String> = unguarded.take(MOST_SHOWN).map(ToString::to_string).collect();
        let here = format!("{}/", self.target);
        self.status.set(|health| {
            health.unguarded.retain(|shown| !shown.starts_with(&here));
            health.unguarded.extend(unguarded);
            health.unguarded.sort_unstable();
        });
    }
}

/// The clusters that policies of this target name, and the patterns that they give.
pub fn wanted_clusters(loaded: &Loaded, target: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut names, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    for written in loaded.set.iter() {
        let matches = &written.policy.matches;
        if !is_about(matches, target) {
            continue;
        }
        match Glob::parse(&matches.cluster).ok().and_then(|glob| glob.plain()) {
            Some(plain) => names.extend(plain),
            None => drop(patterns.insert(matches.cluster.clone())),
        }
    }
    (names, patterns.into_iter().collect())
}
