//! The policies of a folder, and what each of them pins.

use std::fmt::Write;
use std::sync::Arc;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::diagnostic::{Diagnostic, Remark, nearest};
use super::glob::Glob;
use super::{Measure, Policy};
use crate::model::ServiceKey;

/// deployguard's own name on its platform: no wildcard ever means it.
const OWN_NAME: &str = "deployguard";

/// All policies that were read together. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    policies: Arc<[Written]>,
    overlaps: Arc<[Diagnostic]>,
    remarks: Arc<[Remark]>,
}

/// A policy with the words that it was read from.
#[derive(Debug, Clone)]
pub struct Written {
    pub policy: Arc<Policy>,
    /// Its own file; others may have given values too.
    pub file: String,
    /// Merged with everything it extends, as YAML that reads as the same policy.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal.
    pub digest: String,
    /// Each value with its place, in the order of the text.
    pub origins: Vec<Origin>,
    target: Option<Glob>,
    cluster: Option<Glob>,
    service: Option<Glob>,
}

/// Where a value of a policy came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `checks.error rate.breach.SEV2`.
    pub path: String,
    /// On one line.
    pub value: String,
    /// `<defaults>` and `<bundle ecs-web>` ship with deployguard.
    pub file: String,
    pub line: usize,
}

/// Which policies guard a service.
#[derive(Debug, Clone)]
pub enum Matches<'a> {
    None,
    One(&'a Written),
    /// A mistake of the policies that `check` tells: people are notified, and
    /// nothing else is done. In the order of their files.
    Several(Vec<&'a Written>),
}

impl<'a> Matches<'a> {
    /// The one that counts: of several the first.
    pub fn first(&self) -> Option<&'a Written> {
        match self {
            Self::None => None,
            Self::One(written) => Some(written),
            Self::Several(all) => all.first().copied(),
        }
    }
}

impl PolicySet {
    /// The same, but what is asked at an instant has recovered after two of `window` instead
    /// of after two minutes: for the stories of test builds, which last for seconds.
    #[must_use]
    pub fn with_window(mut self, window: SignedDuration) -> Self {
        let mut policies = self.policies.to_vec();
        for written in &mut policies {
            for check in &mut Arc::make_mut(&mut written.policy).checks {
                if matches!(check.measure, Measure::Status { .. }) {
                    check.window = check.window.or(Some(window));
                }
            }
        }
        self.policies = policies.into();
        self
    }
}

impl Written {
    pub(super) fn new(policy: Policy, file: String, text: String, origins: Vec<Origin>) -> Self {
        let digest = Sha256::digest(&text);
        let glob = |text: &str| Glob::parse(text).ok();
        Self {
            target: policy.matches.target.as_deref().and_then(glob),
            cluster: glob(&policy.matches.cluster),
            service: glob(&policy.matches.service),
            policy: Arc::new(policy),
            file,
            text,
            digest: hexadecimal(&digest),
            origins,
        }
    }

    fn guards(&self, key: &ServiceKey) -> bool {
        let matches = |glob: &Option<Glob>, name: &str| {
            glob.as_ref().is_some_and(|glob| {
                if name == OWN_NAME { glob.names(name) } else { glob.matches(name) }
            })
        };
        // What has its kind in front is guarded by whom names the kind: a Deployment of
        // Kubernetes and what leads to it are one thing to `*`, and would be guarded twice.
        if key.service.contains('/') && !self.policy.matches.service.contains('/') {
            return false;
        }
        let anywhere = self.policy.matches.target.is_none();
        (anywhere || self.target.as_ref().is_some_and(|target| target.matches(&key.target)))
            && matches(&self.cluster, &key.cluster)
            && matches(&self.service, &key.service)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl PolicySet {
    /// Policies that were checked together.
    pub(super) fn new(
        policies: Vec<Written>,
        overlaps: Vec<Diagnostic>,
        remarks: Vec<Remark>,
    ) -> Self {
        Self { policies: policies.into(), overlaps: overlaps.into(), remarks: remarks.into() }
    }

    /// What is no mistake, and should be known; by file and place.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Pairs of policies that guard one service; see [`Matches::Several`].
    pub fn overlaps(&self) -> &[Diagnostic] {
        &self.overlaps
    }

    /// Which policies guard the service at `key`.
    pub fn matching(&self, key: &ServiceKey) -> Matches<'_> {
        let mut found: Vec<&Written> =
            self.policies.iter().filter(|written| written.guards(key)).collect();
        match found.len() {
            0 => Matches::None,
            1 => found.pop().map_or(Matches::None, Matches::One),
            _ => Matches::Several(found),
        }
    }

    /// The policy named `name`.
    pub fn named(&self, name: &str) -> Option<&Written> {
        self.policies.iter().find(|written| written.policy.name == name)
    }

    /// In the order of their files.
    pub fn iter(&self) -> impl Iterator<Item = &Written> {
        self.policies.iter()
    }

    pub fn len(&self) -> usize {
        self.policies.len()
    }

    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Each value of the policy named `name` with its place; empty for a name
    /// that no policy has.
    pub fn provenance(&self, name: &str) -> &[Origin] {
        self.named(name).map_or(&[], |written| &written.origins)
    }

    /// What a service that no policy guards may have been meant to be: the
    /// `cluster/service` patterns nearest to it, at most three.
    pub fn nearest(&self, key: &ServiceKey) -> Vec<String> {
        let patterns: Vec<String> = self
            .policies
            .iter()
            .map(|written| {
                let matches = &written.policy.matches;
                format!("{}/{}", matches.cluster, matches.service)
            })
            .collect();
        let name = format!("{}/{}", key.cluster, key.service);
        let near = nearest(&name, patterns.iter().map(String::as_str));
        near.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, check};

    #[test]
    fn what_has_its_kind_in_front_is_guarded_by_whom_names_the_kind() {
        let guards = |pattern: &str, service: &str| {
            let text = format!(
                "version: 1\npolicy: shop\nenvironment: production\n\
                 match: {{ cluster: shop, service: '{pattern}' }}\n\
                 phases: {{ all: {{ until: 1h, interval: 1m }} }}\n\
                 checks: {{ depth: {{ query: queue_depth, breach: {{ SEV2: '> 10' }} }} }}\n"
            );
            let file = SourceFile { path: "shop.yaml".into(), bytes: text.into() };
            let key = ServiceKey {
                target: "k8s".into(),
                cluster: "shop".into(),
                service: service.into(),
            };
            check(&[file]).unwrap().matching(&key).first().is_some()
        };
        for (pattern, service, is_guarded) in [
            ("*", "api", true),
            ("*", "service/api", false),
            ("service/*", "service/api", true),
            ("service/*", "api", false),
            ("{service/api,worker}", "service/api", true),
            ("ingress/api", "service/api", false),
        ] {
            assert_eq!(guards(pattern, service), is_guarded, "{pattern} {service}");
        }
    }
}
