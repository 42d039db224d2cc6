//! What people do: commands to a watch, pause and unpause.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Face;
use super::asked::Path;
use super::auth::Caller;
use super::body::{optional_json, read_json};
use super::hook::{TEXT_LIMIT, check_text};
use super::openapi::texts::{Length, MAY_BE_LEFT_OUT, Pressed, ScopeText, WATCH};
use super::openapi::{Also, ToDo};
use super::problem::Problem;
use super::view::WatchView;
use crate::engine::{Paused, Refused, clock};
use crate::model::{Command, WatchId};
use crate::settings::{Role, Span};
use crate::store::Pause;
use crate::watch::{Press, Watch};

/// The longest key of a press, in bytes.
const LONGEST_KEY: usize = 64;

/// Why, and what was seen.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "reason": "a fix is on the way", "incident": 1 }))]
pub struct Why {
    /// Kept, and told in the thread: the first 1024 characters, as one line.
    pub reason: Option<String>,
    /// Of a hold: how long from now, such as `30m`.
    #[serde(rename = "for")]
    #[schema(value_type = Option<Length>)]
    pub for_: Option<Span>,
    /// What was seen: the incident's number, how often it had come back, and what a rollback
    /// would put in place. What is no longer so is not acted on.
    #[schema(format = Int64, maximum = 4_294_967_295.0)]
    pub incident: Option<u32>,
    #[schema(format = Int64, maximum = 4_294_967_295.0)]
    pub returns: Option<u32>,
    pub target: Option<String>,
    /// Of this one press: what comes again with it is done once.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9-]+$")]
    pub key: Option<String>,
}

/// What to pause or unpause, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "scope": "all", "reason": "maintenance of the database" }))]
struct Scope {
    #[serde(default = "all")]
    #[schema(value_type = ScopeText, default = "all")]
    scope: String,
    reason: Option<String>,
}

fn all() -> String {
    "all".to_owned()
}

/// An end of a pause.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unpaused {
    scope: String,
    /// False.
    paused: bool,
    /// The pauses that are left.
    still_paused: Vec<Pause>,
}

/// Tells a watch what a person decided.
///
/// `ack`: seen, stops escalation only. `hold`: stops the timer, once, for a time that the
/// policy bounds. `resume`: the timer goes on as if nobody had held it. `cancel`: watch no
/// longer. What was seen may be named, and is not acted on where it is so no longer.
#[utoipa::path(
    post,
    path = "/api/v1/watches/{id}/{command}",
    operation_id = "act",
    tag = "acting",
    params(
        ("id" = String, Path, description = WATCH),
        ("command" = Pressed, Path, description = "What to do."),
    ),
    request_body(content = Why, description = MAY_BE_LEFT_OUT),
    responses(
        (status = 200, description = "The watch as it stands then.", body = WatchView),
        Also<404>,
        Also<409>,
        ToDo,
    ),
    security(("token" = ["operate"])),
)]
pub async fn press(
    State(face): State<Face>,
    Path((id, command)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WatchView>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let Some(command) = Command::named(&command) else {
        let detail = format!("`{command}`: known are ack, hold, resume, rollback and cancel");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let why: Why = optional_json(&headers, body).await?;
    pressed(&face, caller, &id, command, why).await.map(Json)
}

/// Does it, where this daemon leads.
pub async fn pressed(
    face: &Face,
    caller: Caller,
    id: &str,
    command: Command,
    why: Why,
) -> Result<WatchView, Problem> {
    let watch = find(face, id).await?;
    let id = watch.id.clone();
    let service = &watch.deployment.service;
    caller.may_speak_of(&service.name, &service.environment)?;
    let key = why.key.map(|key| key_of(command, &key)).transpose()?;
    if key.as_ref().is_some_and(|key| watch.presses.contains(key)) {
        return Ok(WatchView::of(&watch));
    }
    if !watch.is_open() {
        let detail = format!("the watch has ended: {}", watch.status_line());
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let (incident, spell, target) = (why.incident, why.returns, why.target);
    let press = Press::new(command, caller.name, why.reason.as_deref().map(plain));
    let mut press = Press { incident, spell, target, key: key.clone(), ..press };
    match (command, why.for_) {
        (Command::Hold, for_) => press.for_ = for_.map(|Span(for_)| for_),
        (Command::Ack | Command::Resume | Command::Rollback | Command::Cancel, Some(_)) => {
            return Err(Problem::field("for", "only a hold has a time".to_owned()));
        }
        (Command::Ack | Command::Resume | Command::Rollback | Command::Cancel, None) => {}
    }
    let taken = face.engine.press(id.clone(), press).await;
    let watch = find(face, id.as_str()).await?;
    // Two that came at once: the other one may have been taken in between.
    if key.is_none_or(|key| !watch.presses.contains(&key)) {
        taken?;
    }
    Ok(WatchView::of(&watch))
}

/// As the watch keeps it.
fn key_of(command: Command, key: &str) -> Result<String, Problem> {
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if key.is_empty() || key.len() > LONGEST_KEY || !is_plain {
        let detail = format!("1 to {LONGEST_KEY} letters, digits and `-`");
        return Err(Problem::field("key", detail));
    }
    Ok(format!("{}:{key}", command.as_str()))
}

/// Puts the rollback target of a watch back now.
///
/// What was seen may be named; a `target` that is none any more is refused.
#[utoipa::path(
    post,
    path = "/api/v1/watches/{id}/rollback",
    operation_id = "roll_back",
    tag = "acting",
    params(("id" = String, Path, description = WATCH)),
    request_body(content = Why, description = MAY_BE_LEFT_OUT),
    responses(
        (status = 200, description = "The watch as it stands then.", body = WatchView),
        Also<404>,
        Also<409>,
        ToDo,
    ),
    security(("token" = ["operate"])),
)]
pub async fn roll_back(
    face: State<Face>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<WatchView>, Problem> {
    press(face, Path((id, "rollback".to_owned())), headers, body).await
}

/// A watch by its id, or by that of the deployment as it was announced.
pub async fn find(face: &Face, id: &str) -> Result<Watch, Problem> {
    // No id has these, and Postgres takes no NUL in a question.
    if id.chars().any(char::is_control) {
        let detail = "no watch is called that: it has control characters";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    if let Some(watch) = face.store.watch::<Watch>(&WatchId::typed(id)).await? {
        return Ok(watch);
    }
    let announced = match face.store.announcement(id).await? {
        Some((_, watch)) => face.store.watch::<Watch>(&watch).await?,
        None => None,
    };
    if announced.is_none() {
        face.knows_what_is_guarded()?;
    }
    let detail = || format!("no watch is called `{id}`, and no deployment was announced as that");
    announced.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, detail()))
}

/// A reason as it is kept and told: nothing is refused because of how it is written. Line
/// breaks and the like become spaces, and what is too long is cut.
fn plain(reason: &str) -> String {
    let tame = |c: char| if c.is_control() { ' ' } else { c };
    reason.trim().chars().map(tame).take(TEXT_LIMIT).collect()
}

/// Stops everything that is done unattended in a scope.
///
/// A rollback that is decided and not called yet is stopped too. A scope that is paused
/// already stays as it was.
#[utoipa::path(
    post,
    path = "/api/v1/pause",
    operation_id = "pause",
    tag = "pauses",
    request_body = Scope,
    responses(
        (status = 200, description = "The pause as it is in force.", body = Paused),
        ToDo,
    ),
    security(("token" = ["operate"])),
)]
pub async fn pause(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Paused>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let asked = scope(body).await?;
    caller.may_pause(&asked.scope)?;
    let pause =
        Pause { scope: asked.scope, by: caller.name, reason: asked.reason, at: clock::now() };
    Ok(Json(face.engine.pause(pause).await.map_err(of_scope)?))
}

async fn scope(body: Body) -> Result<Scope, Problem> {
    let (asked, _): (Scope, _) = read_json(body).await?;
    check_text("scope", &asked.scope)?;
    Ok(Scope { reason: asked.reason.as_deref().map(plain), ..asked })
}

fn of_scope(refused: Refused) -> Problem {
    match refused {
        Refused::Invalid(why) => Problem::field("scope", why),
        Refused::NotFound(_) | Refused::Conflict(_) | Refused::Unavailable(_) => refused.into(),
    }
}

/// Ends a pause.
#[utoipa::path(
    post,
    path = "/api/v1/unpause",
    operation_id = "unpause",
    tag = "pauses",
    request_body = Scope,
    responses(
        (status = 200, description = "What is still paused.", body = Unpaused),
        Also<404>,
        ToDo,
    ),
    security(("token" = ["operate"])),
)]
pub async fn unpause(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Unpaused>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let asked = scope(body).await?;
    caller.may_pause(&asked.scope)?;
    let Scope { scope, reason } = asked;
    let turn = Pause { scope: scope.clone(), by: caller.name, reason, at: clock::now() };
    let still_paused = face.engine.unpause(turn).await.map_err(of_scope)?;
    Ok(Json(Unpaused { scope, paused: false, still_paused }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_is_not_too_long_and_is_never_refused() {
        assert_eq!(plain(" the database\nmoves\t\0now \n"), "the database moves  now");
        assert_eq!(plain(&"ä".repeat(3000)).chars().count(), TEXT_LIMIT);
    }
}
