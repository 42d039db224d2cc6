//! A deployment: what changed, who says so, and what they said about it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{GitHubOrigin, Service};

/// One change of a service from a revision to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The announcer's id, or the platform's where nobody announced it.
    pub id: String,
    pub service: Service,
    /// ECS's `ecs-svc/...`; `None` until the platform has shown the deployment.
    pub platform_id: Option<String>,
    /// What it puts in place; `None` until the platform has shown it.
    pub revision: Option<Revision>,
    /// What was in place before it; `None` for a service's first deployment.
    pub source: Option<Revision>,
    /// When the roll-out began. Baselines end here.
    pub started_at: Timestamp,
    /// Baselines end here: earlier than `started_at` when this deployment
    /// supersedes one that was never found good, so that its guilt is not washed.
    pub baseline_end: Timestamp,
    /// Whether the unfinished deployments that a rollback would undo beside this
    /// one may be undone; `Yes` where there are none.
    pub undoes: RollbackSafe,
    #[serde(default)]
    pub inherited: Inherited,
    pub facts: Facts,
}

/// What the deployments before it leave to a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inherited {
    /// When an earlier deployment of the service was found to do harm: what was measured then
    /// is no normal.
    pub spoiled: Vec<Span>,
    /// The one that was announced as not safe to roll back, and would be with this one.
    pub unsafe_one: Option<Unsafe>,
    /// By check whose past can't be asked for, of each series whether it was up right before,
    /// where this one was in service already when it was first seen: nobody looked while it
    /// came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub just_before: BTreeMap<String, BTreeMap<String, bool>>,
}

/// A deployment that was announced as not safe to roll back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsafe {
    pub version: String,
    /// The name of the token that announced it.
    pub by: Option<String>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: Timestamp,
    /// `None`: it goes on.
    pub until: Option<Timestamp>,
}

impl Span {
    /// How much of `from` to `until` lies in it.
    pub fn shares(&self, from: Timestamp, until: Timestamp) -> SignedDuration {
        let (from, until) = (from.max(self.from), self.until.map_or(until, |own| own.min(until)));
        until.duration_since(from).max(SignedDuration::ZERO)
    }
}

/// What people and pipelines say about a deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    pub version: Option<String>,
    pub commit: Option<String>,
    pub author: Option<String>,
    pub url: Option<String>,
    pub rollback_safe: RollbackSafe,
    /// Who said so: the name of the token that announced it.
    pub announced_by: Option<String>,
    /// Usable in queries as `${labels.NAME}`.
    pub labels: BTreeMap<String, String>,
    /// What announced it at GitHub, if that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github: Option<GitHubOrigin>,
    /// What comes with it for the database, as far as the announcer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
}

/// What an announcer says that is there for the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The script that undoes its migration, as people find it. Never run by the guard.
    pub rollback_script: Option<String>,
}

/// May this deployment be undone by putting the old code back?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RollbackSafe {
    /// The announcer says so.
    Yes,
    /// An irreversible change came with it (a migration): people decide.
    No,
    /// Nobody said; the policy's `unannounced` decides.
    #[default]
    Unknown,
}

/// Reads what announcers write: `true`, `false` or `"unknown"`.
///
/// # Errors
/// It is something else.
pub fn rollback_safe<'de, D: Deserializer<'de>>(from: D) -> Result<RollbackSafe, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Bool(bool),
        Word(String),
    }
    match Said::deserialize(from) {
        Ok(Said::Bool(true)) => Ok(RollbackSafe::Yes),
        Ok(Said::Bool(false)) => Ok(RollbackSafe::No),
        Ok(Said::Word(word)) if word == "unknown" => Ok(RollbackSafe::Unknown),
        _ => Err(serde::de::Error::custom("give true, false or \"unknown\"")),
    }
}

impl RollbackSafe {
    /// Of two that would be undone together: no is worse than unknown, unknown
    /// worse than yes.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

/// What a deployment puts in place, as the platform names it; see [`Revision::same_as`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// ECS: ARN of the task definition. Kubernetes: the ReplicaSet. Render: the commit.
    /// Stored under the name that it had when there was only ECS.
    #[serde(rename = "task_definition")]
    pub name: String,
    /// What people call it, where that is not the name's last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// ARN of ECS's service revision, where the API offers one.
    pub service_revision: Option<String>,
    /// Images with their resolved digests, sorted; empty where unknown.
    pub digests: Vec<String>,
    /// What the platform puts on each of its running copies, and whoever measures them on
    /// their series. Kubernetes: the labels of the pod template, bounded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Revision {
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: None,
            service_revision: None,
            digests: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    /// The value of the label that series carry as `name`: Prometheus writes `_` for whatever
    /// its names can't have.
    pub fn label(&self, name: &str) -> Option<&str> {
        let as_series = |key: &str| {
            let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
            key.chars().map(plain).eq(name.chars())
        };
        self.labels.iter().find(|(key, _)| as_series(key)).map(|(_, value)| value.as_str())
    }

    /// Whether both put the same thing in place: the same digests under the same
    /// name, as far as digests are known.
    pub fn same_as(&self, other: &Revision) -> bool {
        self.name == other.name
            && (self.digests.is_empty()
                || other.digests.is_empty()
                || self.digests == other.digests)
    }

    /// Whether it was registered before `other` in the same family.
    pub fn is_before(&self, other: &Revision) -> bool {
        let parts = |revision: &Revision| -> Option<(String, u64)> {
            let (family, number) = revision.name.rsplit_once(':')?;
            Some((family.to_owned(), number.parse().ok()?))
        };
        parts(self)
            .zip(parts(other))
            .is_some_and(|((family, number), (others, judged))| family == others && number < judged)
    }

    /// Whether both run the same images, whatever tags and task definitions name
    /// them. Unknown digests are the same as none.
    pub fn same_images(&self, other: &Revision) -> bool {
        let images = |revision: &Revision| -> BTreeSet<(String, String)> {
            let parted = revision.digests.iter().filter_map(|one| one.split_once('@'));
            parted.map(|(image, digest)| (repository(image).into(), digest.into())).collect()
        };
        !self.digests.is_empty() && images(self) == images(other)
    }

    /// Whether placing this revision's task definition after `judged` would start other
    /// images than it ran: it is the same one, or a tag means another digest now.
    /// False where its digests are not known.
    pub fn needs_pin(&self, judged: &Revision) -> bool {
        let same = self.name == judged.name && !self.same_as(judged);
        same || !self.moved_tags(judged).is_empty()
    }

    /// This revision's images, as (image, digest), whose tag means another digest in `now`.
    pub fn moved_tags<'a>(&'a self, now: &Revision) -> Vec<(&'a str, &'a str)> {
        let parted = self.digests.iter().filter_map(|one| one.split_once('@'));
        parted
            .filter(|(image, digest)| {
                let mut now = now.digests.iter().filter_map(|one| one.split_once('@'));
                let same_image = |(name, _): &(&str, &str)| name == image;
                now.clone().any(|one| same_image(&one)) && !now.any(|one| one == (*image, *digest))
            })
            .collect()
    }

    /// As people say it: the title, or the name without its path (`family:revision`).
    pub fn short(&self) -> &str {
        self.title.as_deref().unwrap_or_else(|| self.last_part())
    }

    /// The name without its path: what a query or a command is given.
    pub fn last_part(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// An image's name without tag or digest: a colon before the last slash is a port.
pub fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

/// A deployment as a hook announces it, checked and with its service resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    pub id: String,
    pub service: Service,
    /// What the announcer says is being deployed: a revision's name, or the last part of
    /// one (`family:revision`).
    #[serde(rename = "task_definition")]
    pub revision: Option<String>,
    /// The platform's id of the deployment, where the announcer knows it.
    pub platform_id: Option<String>,
    /// When the announcer says it began.
    pub at: Timestamp,
    pub facts: Facts,
}

impl Announcement {
    /// Whether the announcement names exactly this deployment of the platform.
    /// `None`: it says nothing that could tell.
    pub fn names(&self, platform_id: &str, revision: &Revision) -> Option<bool> {
        if let Some(id) = &self.platform_id {
            return Some(id == platform_id);
        }
        self.revision.as_deref().map(|named| {
            if named.starts_with("arn:") {
                named == revision.name
            } else {
                named == revision.last_part() || is_short_of(named, &revision.name)
            }
        })
    }
}

/// Whether `named` is the beginning of the commit `name`, as people shorten it.
fn is_short_of(named: &str, name: &str) -> bool {
    const SHORTEST: usize = 7;
    let is_commit = name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit && named.len() >= SHORTEST && name.starts_with(&named.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_told_from_another_by_its_digests_when_both_are_known() {
        let mut one = Revision::named("arn:aws:ecs:x:1:task-definition/api:1");
        let mut two = one.clone();
        assert!(one.same_as(&two));
        one.digests = vec!["sha256:a".into()];
        assert!(one.same_as(&two), "an unknown digest proves no difference");
        two.digests = vec!["sha256:b".into()];
        assert!(!one.same_as(&two));
        assert_eq!(one.short(), "api:1");
    }

    #[test]
    fn a_label_is_found_by_the_name_that_its_series_have() {
        let pairs = [("version", "green"), ("app.kubernetes.io/version", "1.1")];
        let labels = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let green = Revision { labels, ..Revision::named("green") };
        assert_eq!(green.label("version"), Some("green"));
        assert_eq!(green.label("app_kubernetes_io_version"), Some("1.1"));
        assert_eq!(green.label("app"), None);
    }

    #[test]
    fn images_are_the_same_by_repository_and_digest_whatever_their_tag() {
        let of = |digests: &[&str]| Revision {
            digests: digests.iter().map(|one| (*one).to_owned()).collect(),
            ..Revision::named("x")
        };
        let tagged = of(&["host:5000/api:latest@sha256:a"]);
        assert!(tagged.same_images(&of(&["host:5000/api@sha256:a"])));
        assert!(!tagged.same_images(&of(&["host:5000/api@sha256:b"])));
        assert!(!tagged.same_images(&of(&["host:5000/other@sha256:a"])));
        assert!(!of(&[]).same_images(&of(&[])), "nothing known is no proof");

        assert!(tagged.needs_pin(&of(&["host:5000/api:latest@sha256:b"])));
        assert!(!tagged.needs_pin(&tagged));
        assert!(!tagged.needs_pin(&of(&[])), "nothing known moved");
    }
}
