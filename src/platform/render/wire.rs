//! What Render's API answers, as far as it is read.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;

/// An item of a page.
#[derive(Debug, Clone)]
pub(super) struct Listed<T> {
    /// Where the next page begins.
    pub(super) cursor: Option<String>,
    pub(super) item: T,
}

/// Each kind of item stands under a key of its own.
impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Listed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut entry = serde_json::Map::deserialize(from)?;
        let cursor = entry.remove("cursor");
        let cursor = cursor.and_then(|cursor| cursor.as_str().map(str::to_owned));
        let mut items = entry.into_iter().map(|(_, item)| item).filter(Value::is_object);
        let item = items.next().ok_or_else(|| D::Error::custom("an item without its object"))?;
        let item = serde_json::from_value(item).map_err(D::Error::custom)?;
        Ok(Self { cursor, item })
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    /// `srv-...`
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// `yes` or `no`.
    #[serde(default)]
    pub(super) auto_deploy: String,
    /// `suspended` or `not_suspended`.
    #[serde(default)]
    pub(super) suspended: String,
    #[serde(rename = "serviceDetails", default)]
    details: Value,
}

impl Service {
    pub(super) fn deploys_by_itself(&self) -> bool {
        self.auto_deploy == "yes"
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended == "suspended"
    }

    /// Whether deploys of it can be rolled back: a cron job is no service that runs.
    pub(super) fn runs(&self) -> bool {
        self.kind != "cron_job"
    }

    /// The command that builds it, and the one before each deploy, where it has them.
    pub(super) fn commands(&self) -> Vec<(&'static str, &str)> {
        let specific = &self.details["envSpecificDetails"];
        let of = |key: &str| {
            let found = specific[key].as_str().or_else(|| self.details[key].as_str());
            found.filter(|command| !command.is_empty())
        };
        [("build command", "buildCommand"), ("pre-deploy command", "preDeployCommand")]
            .into_iter()
            .filter_map(|(name, key)| Some((name, of(key)?)))
            .collect()
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deploy {
    /// `dep-...`
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) trigger: Option<String>,
    #[serde(default)]
    pub(super) commit: Option<Commit>,
    #[serde(default)]
    pub(super) image: Option<Image>,
    pub(super) created_at: Timestamp,
    /// When it came live or failed.
    #[serde(default)]
    pub(super) finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Commit {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Image {
    #[serde(rename = "ref", default)]
    pub(super) reference: Option<String>,
    #[serde(default)]
    pub(super) sha: Option<String>,
}

/// How far a deploy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Queued, built, or being put in place. A status that is not known yet is taken for
    /// it: nothing is judged by what nobody can read.
    Coming,
    Live,
    /// It was live, and another is.
    Was,
    /// It never was live; Render keeps what is. Why, in words.
    Never(&'static str),
}

impl Deploy {
    pub(super) fn status(&self) -> Status {
        match self.status.as_str() {
            "live" => Status::Live,
            "deactivated" => Status::Was,
            "build_failed" => Status::Never("its build failed"),
            "pre_deploy_failed" => Status::Never("its pre-deploy command failed"),
            "update_failed" => Status::Never("it did not come up"),
            "canceled" => Status::Never("it was canceled"),
            _ => Status::Coming,
        }
    }

    /// Whether it puts an earlier build back.
    pub(super) fn rolls_back(&self) -> bool {
        self.trigger.as_deref() == Some("rollback")
    }

    /// Whether it has served.
    pub(super) fn has_been_live(&self) -> bool {
        matches!(self.status(), Status::Live | Status::Was)
    }

    /// What it puts in place: the commit, or the image with its digest.
    pub(super) fn content(&self) -> String {
        if let Some(id) = self.commit.as_ref().and_then(|commit| commit.id.as_ref()) {
            return id.clone();
        }
        let image = self.image.as_ref();
        let reference = image.and_then(|image| image.reference.clone());
        match (reference, image.and_then(|image| image.sha.clone())) {
            (Some(reference), Some(sha)) => format!("{reference}@{sha}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => self.id.clone(),
        }
    }

    /// The same as people say it: `4f1c2aa Add the export`.
    pub(super) fn title(&self) -> String {
        const LONGEST: usize = 60;
        let content = self.content();
        let commit = self.commit.as_ref().filter(|commit| commit.id.is_some());
        let Some(commit) = commit else {
            return content.rsplit('/').next().unwrap_or(&content).chars().take(LONGEST).collect();
        };
        let message = commit.message.as_deref().unwrap_or_default();
        let line = message.lines().next().unwrap_or_default().trim();
        let title = format!("{} {line}", short(&content));
        let mut shown: String = title.trim_end().chars().take(LONGEST).collect();
        if shown.len() < title.trim_end().len() {
            shown.push('…');
        }
        shown
    }
}

/// A commit as people say it.
pub(super) fn short(content: &str) -> &str {
    let is_commit = content.len() == 40 && content.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { &content[..7] } else { content }
}
