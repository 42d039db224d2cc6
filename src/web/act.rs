//! What people do: commands to a watch, pause and unpause.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::auth::Caller;
use super::body::{optional_json, read_json};
use super::problem::Problem;
use super::view::WatchView;
use crate::engine::{Paused, Refused, clock};
use crate::model::{Command, WatchId};
use crate::settings::{Role, Span};
use crate::store::Pause;
use crate::watch::{Press, Watch};

/// The longest key of a press, in bytes.
const LONGEST_KEY: usize = 64;

/// What is said of an act beside its name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Why {
    pub reason: Option<String>,
    /// Of a hold: how long from now, such as `30m`.
    #[serde(rename = "for")]
    pub for_: Option<Span>,
    /// What was seen: the incident's number, how often it had come back, and what a rollback
    /// would put in place. What is no longer so is not acted on.
    pub incident: Option<u32>,
    pub returns: Option<u32>,
    pub target: Option<String>,
    /// Of this one press: what comes again with it is done once.
    pub key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    #[serde(default = "all")]
    scope: String,
    reason: Option<String>,
}

fn all() -> String {
    "all".to_owned()
}

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
    let press = Press::new(command, caller.name, why.reason);
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

/// The same for the one command whose address also answers what it would do.
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

pub async fn pause(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Paused>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let (asked, _): (Scope, _) = read_json(body).await?;
    caller.may_pause(&asked.scope)?;
    let pause =
        Pause { scope: asked.scope, by: caller.name, reason: asked.reason, at: clock::now() };
    Ok(Json(face.engine.pause(pause).await.map_err(of_scope)?))
}

fn of_scope(refused: Refused) -> Problem {
    match refused {
        Refused::Invalid(why) => Problem::field("scope", why),
        Refused::NotFound(_) | Refused::Conflict(_) | Refused::Unavailable(_) => refused.into(),
    }
}

pub async fn unpause(
    State(face): State<Face>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let caller = face.caller(&headers, Role::Operate)?;
    let (asked, _): (Scope, _) = read_json(body).await?;
    caller.may_pause(&asked.scope)?;
    let Scope { scope, reason } = asked;
    let turn = Pause { scope: scope.clone(), by: caller.name, reason, at: clock::now() };
    let left = face.engine.unpause(turn).await.map_err(of_scope)?;
    Ok(Json(json!({ "scope": scope, "paused": false, "still_paused": left })))
}
