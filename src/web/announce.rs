//! An announcement on its way to the engine, whoever sent it: where the service is, whether
//! the environment is the policy's, and what it lacks.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Face;
use super::auth::Caller;
use super::hook::Sought;
use super::problem::Problem;
use crate::engine::{Announced, clock};
use crate::model::{Announcement, Facts, Service, WatchId};
use crate::watch::Watch;

/// How far the announcer's clock may run ahead.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);
/// Of a name at the platform, in bytes: what ECS and Kubernetes take, and what fits into an
/// index of the store several times.
const LONGEST_SERVICE: usize = 255;

/// What somebody announces, with its texts checked.
pub(super) struct Offered {
    pub id: String,
    /// The name that it goes by.
    pub service: String,
    /// What the platform and a policy call it.
    pub named: String,
    pub environment: String,
    pub target: Option<String>,
    pub cluster: Option<String>,
    pub revision: Option<String>,
    pub platform_id: Option<String>,
    /// `None`: now.
    pub at: Option<Timestamp>,
    pub facts: Facts,
    /// Of what was said: the same id with another one is a conflict.
    pub digest: String,
}

/// What became of it.
pub(super) enum Answered {
    Guarded(Watched),
    Unguarded(Unguarded),
}

/// It is watched.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Watched {
    /// True.
    guarded: bool,
    watch: WatchId,
    /// The announcer's id of it.
    deployment: String,
    /// Where the watch is found.
    url: String,
    /// What the announcement lacks.
    warnings: Vec<Lacking>,
}

/// Nothing is watched, because no policy guards it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Unguarded {
    /// False.
    guarded: bool,
    /// Why, and which policy comes nearest.
    detail: String,
    /// Names that may have been meant.
    nearest: Vec<String>,
}

/// A label that was not announced, and what goes blind without it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lacking {
    label: String,
    checks: Vec<String>,
    detail: String,
}

impl Offered {
    pub(super) fn sought(&self) -> Sought<'_> {
        Sought {
            service: &self.named,
            environment: &self.environment,
            target: self.target.as_deref(),
            cluster: self.cluster.as_deref(),
        }
    }
}

impl Answered {
    /// As whoever announced it is told.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Guarded(guarded) => json!(guarded),
            Self::Unguarded(unguarded) => json!(unguarded),
        }
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Guarded(_) => StatusCode::ACCEPTED,
            Self::Unguarded(_) => StatusCode::OK,
        };
        (status, Json(self.json())).into_response()
    }
}

impl Face {
    /// Takes an announcement in. `caller`: whose token it came with; `None`: it is not by a
    /// token that it may speak of the service.
    pub(super) async fn announced(
        &self,
        offered: Offered,
        caller: Option<&Caller>,
    ) -> Result<Answered, Problem> {
        let may = |service: &str| {
            caller.map_or(Ok(()), |caller| caller.may_speak_of(service, &offered.environment))
        };
        may(&offered.service)?;
        let now = clock::now();
        let at = offered.at.unwrap_or(now);
        if at.duration_since(now) > CLOCK_SKEW {
            let detail = format!("{at} lies in the future; it is {now} here");
            return Err(Problem::field("at", detail));
        }
        let Some(key) = self.seek(&offered.sought()).await? else {
            self.knows_what_is_guarded()?;
            return self.unknown(&offered).await;
        };
        // The name that is announced and the service that is meant may differ.
        may(&key.service)?;
        if key.service.len() > LONGEST_SERVICE {
            let detail = format!("a service's name is at most {LONGEST_SERVICE} bytes long");
            return Err(Problem::field("service", detail));
        }
        if let Some(expected) = self.environment_of(&key)
            && expected != offered.environment
        {
            let said = &offered.environment;
            let detail = format!("`{said}`, but the policy of {key} says `{expected}`");
            return Err(Problem::field("environment", detail));
        }
        let why = self.unguarded_words(&offered.sought());
        let deployment = offered.id.clone();
        let announcement = Announcement {
            id: offered.id,
            service: Service { name: offered.service, environment: offered.environment, key },
            revision: offered.revision,
            platform_id: offered.platform_id,
            at,
            facts: offered.facts,
        };
        match self.engine.announce(announcement, offered.digest).await? {
            Announced::Watched(watch) => {
                let url = format!("http://{}/api/v1/watches/{watch}", self.address);
                let warnings = self.warnings(&watch).await;
                let guarded = Watched { guarded: true, watch, deployment, url, warnings };
                Ok(Answered::Guarded(guarded))
            }
            Announced::Unguarded { nearest } => {
                self.knows_what_is_guarded()?;
                Ok(Answered::Unguarded(Unguarded { guarded: false, detail: why, nearest }))
            }
        }
    }

    /// Nothing is known of the service: what comes nearest to it.
    async fn unknown(&self, offered: &Offered) -> Result<Answered, Problem> {
        let known = self.known_services().await?;
        let names = known.iter().map(|key| key.service.as_str());
        let nearest = crate::policy::nearest(&offered.service, names);
        let guarded = self.guarded_names();
        let guarded = crate::policy::nearest(&offered.service, guarded.iter().map(String::as_str));
        let nearest: BTreeSet<&str> = nearest.into_iter().chain(guarded).collect();
        self.metrics.announced(&Ok(Announced::Unguarded { nearest: Vec::new() }));
        let detail = self.unguarded_words(&offered.sought());
        let nearest = nearest.into_iter().map(str::to_owned).collect();
        Ok(Answered::Unguarded(Unguarded { guarded: false, detail, nearest }))
    }

    /// What the announcement lacks. It is kept by now, so that this can't be told is no
    /// reason to refuse it.
    async fn warnings(&self, id: &WatchId) -> Vec<Lacking> {
        let watch = match self.store.watch::<Watch>(id).await {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(watch = %id, %error, "what the announcement lacks can't be told");
                None
            }
        };
        let lacking = watch.map(|watch| watch.unlabelled()).unwrap_or_default();
        let lacking = lacking.into_iter().map(|one| {
            let detail = one.to_string();
            Lacking { label: one.label, checks: one.checks, detail }
        });
        lacking.collect()
    }
}
