//! `/api/v1/gate`: may this be deployed now, and a person's way through all the same.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa::ToSchema;

use super::Face;
use super::body::read_json;
use super::hook::{Sought, check_text};
use super::openapi::texts::{Name, Text};
use super::openapi::{Also, ToDo, ToRead};
use super::problem::Problem;
use crate::engine::{Gatekeeper, clock};
use crate::model::{GateOverride, GateReason, GateRule, Named, OVERRIDE_LASTS, ServiceKey};
use crate::settings::Role;
use crate::watch::GateAnswer;

/// Overrides in one answer.
const OVERRIDES: u32 = 100;

/// What is to be deployed, and where.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// As a policy names it.
    #[param(value_type = Text, example = "shopflow-api")]
    service: String,
    #[param(value_type = Text, example = "production")]
    environment: String,
    /// The settings' name of the account and region, where there are several.
    #[param(value_type = Option<Text>)]
    target: Option<String>,
    #[param(value_type = Option<Text>)]
    cluster: Option<String>,
    #[param(value_type = Option<Text>)]
    version: Option<String>,
    #[param(value_type = Option<Text>)]
    commit: Option<String>,
    /// A task definition (`api:42` or its ARN), or an image's digest.
    #[param(value_type = Option<Text>)]
    revision: Option<String>,
}

/// The same, with who goes through and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Override, example = json!({
    "service": "shopflow-api", "environment": "production", "version": "v1.5.1",
    "reason": "mends the checkout", "by": "dana",
}))]
struct Through {
    #[schema(value_type = Text)]
    service: String,
    #[schema(value_type = Text)]
    environment: String,
    #[schema(value_type = Option<Text>)]
    target: Option<String>,
    #[schema(value_type = Option<Text>)]
    cluster: Option<String>,
    #[schema(value_type = Option<Text>)]
    version: Option<String>,
    #[schema(value_type = Option<Text>)]
    commit: Option<String>,
    #[schema(value_type = Option<Text>)]
    revision: Option<String>,
    /// Kept, and told.
    #[schema(value_type = Name)]
    reason: String,
    /// The person, where the token is many people's.
    #[schema(value_type = Option<Name>)]
    by: Option<String>,
}

/// The gate's answer with what it is about.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GateView {
    pub service: String,
    pub environment: String,
    /// `target/cluster/service`; `None`: no policy says where.
    pub place: Option<String>,
    pub named: Named,
    pub at: Timestamp,
    #[serde(flatten)]
    pub answer: GateAnswer,
}

/// May this be deployed now?
///
/// `yes`; `warn`: it may, and something speaks against it; `no`, with every reason.
#[utoipa::path(
    get,
    path = "/api/v1/gate",
    operation_id = "ask_gate",
    tag = "gate",
    params(Asked),
    responses(
        (status = 200, description = "The answer, whatever it is.", body = GateView),
        Also<400>,
        Also<422>,
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn ask(
    State(face): State<Face>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Json<GateView>, Problem> {
    face.may_read(&headers)?;
    let Query(asked) =
        asked.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
    let place = face.sought(&asked).await?;
    Ok(Json(face.answer(&asked, place.as_ref()).await?))
}

/// Goes through the gate all the same.
///
/// Keeps an override of all that keeps the gate shut, for the next deployment of it within
/// four hours. Where nothing does, nothing is kept.
#[utoipa::path(
    post,
    path = "/api/v1/gate",
    operation_id = "go_through_gate",
    tag = "gate",
    request_body = Through,
    responses(
        (status = 200, description = "The answer as it is then.", body = GateView),
        Also<404>,
        Also<409>,
        ToDo,
    ),
    security(("token" = ["operate"])),
)]
pub async fn go_through(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<GateView>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let (through, _): (Through, _) = read_json(body).await?;
    let Through { service, environment, target, cluster, version, commit, revision, reason, by } =
        through;
    let asked = Asked { service, environment, target, cluster, version, commit, revision };
    for (field, text) in [("reason", Some(&reason)), ("by", by.as_ref())] {
        let Some(text) = text else { continue };
        check_text(field, text)?;
        if text.trim().is_empty() {
            return Err(Problem::field(field, "must not be empty: it is kept and told"));
        }
    }
    let Some(key) = face.sought(&asked).await? else {
        let detail = format!("no policy guards `{}`: there is nothing to override", asked.service);
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    caller.may_speak_of(&key.service, &asked.environment)?;
    let view = face.answer(&asked, Some(&key)).await?;
    let mut reasons: Vec<GateReason> = view.answer.against().cloned().collect();
    if let Some(fixed) = reasons.iter().find(|reason| !reason.rule.may_be_overridden()) {
        return Err(Problem::new(StatusCode::CONFLICT, fixed.words.clone()));
    }
    let prior = view.answer.overridden.clone();
    let who = by.as_ref().unwrap_or(&caller.name);
    // The same once more is the same; another person goes through what the first one did, too.
    let again =
        prior.filter(|prior| !reasons.is_empty() || prior.by != *who || prior.reason != reason);
    for known in again.into_iter().flat_map(|prior| prior.reasons) {
        if reasons.iter().all(|reason| reason.rule != known.rule) {
            reasons.push(known);
        }
    }
    if reasons.is_empty() {
        return Ok(Json(view));
    }
    let over = overriding(&asked, key.clone(), reasons, (by, caller.name), reason)?;
    face.engine.go_through(over).await?;
    Ok(Json(face.answer(&asked, Some(&key)).await?))
}

/// What was gone through.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overrides {
    /// Newest first, at most 100.
    overrides: Vec<GateOverride>,
}

/// Who went through, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/gate/overrides",
    operation_id = "list_overrides",
    tag = "gate",
    responses(
        (status = 200, description = "The newest.", body = Overrides),
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn overrides(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Json<Overrides>, Problem> {
    face.may_read(&headers)?;
    let mut overrides = face.store.gate_overrides(OVERRIDES).await?;
    overrides.reverse();
    Ok(Json(Overrides { overrides }))
}

fn overriding(
    asked: &Asked,
    service: ServiceKey,
    reasons: Vec<GateReason>,
    (by, token): (Option<String>, String),
    reason: String,
) -> Result<GateOverride, Problem> {
    let at = clock::now();
    let until = at.checked_add(OVERRIDE_LASTS);
    let until = until
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(GateOverride {
        id: format!("{:020}-{service}", at.as_nanosecond()),
        environment: asked.environment.clone(),
        service,
        named: asked.named(),
        via: by.as_ref().map(|_| token.clone()),
        by: by.unwrap_or(token),
        reason,
        at,
        until,
        reasons,
        watch: None,
    })
}

impl Asked {
    fn sought(&self) -> Sought<'_> {
        Sought {
            service: &self.service,
            environment: &self.environment,
            target: self.target.as_deref(),
            cluster: self.cluster.as_deref(),
        }
    }

    fn named(&self) -> Named {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Named {
            version: said(&self.version),
            commit: said(&self.commit),
            revision: said(&self.revision),
        }
    }
}

impl Face {
    /// The service that is asked about; `None`: no policy guards it.
    async fn sought(&self, asked: &Asked) -> Result<Option<ServiceKey>, Problem> {
        let texts = [
            ("service", Some(&asked.service)),
            ("environment", Some(&asked.environment)),
            ("target", asked.target.as_ref()),
            ("cluster", asked.cluster.as_ref()),
            ("version", asked.version.as_ref()),
            ("commit", asked.commit.as_ref()),
            ("revision", asked.revision.as_ref()),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                check_text(field, text)?;
            }
        }
        self.knows_what_is_guarded()?;
        self.seek(&asked.sought()).await
    }

    async fn answer(&self, asked: &Asked, key: Option<&ServiceKey>) -> Result<GateView, Problem> {
        let (now, named) = (clock::now(), asked.named());
        let loaded = self.policies.borrow().clone();
        let environment = key.and_then(|key| self.environment_of(key));
        let guarded = key.filter(|_| environment.as_ref() == Some(&asked.environment));
        let answer = if let Some(key) = guarded {
            let keeper = Gatekeeper { store: &self.store, loaded: &loaded, brake: self.brake };
            keeper.ask(key, &named, now).await?
        } else {
            GateAnswer::unguarded(&self.unguarded_words(&asked.sought()))
        };
        let is_guarded = answer.reasons.iter().all(|one| one.rule != GateRule::Unguarded);
        Ok(GateView {
            service: asked.service.clone(),
            environment: asked.environment.clone(),
            place: key.filter(|_| is_guarded).map(ToString::to_string),
            named,
            at: now,
            answer,
        })
    }
}
