//! The edge: Slack's Web API over HTTP.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::press::DANA;
use super::socket::APP_TOKEN;
use super::{
    CHANNEL, CHANNEL_NAME, Message, Record, Shared, SlackCall, SlackFault, TOKEN, files, limits,
};
use crate::world::server::Wire;
use crate::world::{lock, now};

pub const TEAM: &str = "T0SHOPFLOW1";
const USER: &str = "U0GUARD0001";
const BOT: &str = "B0GUARD0001";
/// What the bot may do.
const SCOPES: &str =
    "chat:write,channels:history,channels:read,files:write,usergroups:read,users:read";
pub const APP: &str = "A0GUARD0001";

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/{method}", any(answer))
        .route("/upload/v1/{id}", post(files::bring))
        .route("/actions/{number}", any(tell))
        .with_state(shared)
}

/// A `response_url`: what whoever pressed is told.
async fn tell(State(shared): State<Arc<Shared>>, Json(said): Json<Value>) -> StatusCode {
    if said["response_type"] != "ephemeral" || said["replace_original"] != false {
        lock(&shared.record).violations.push(format!("an answer for all to see: {said}"));
    }
    lock(&shared.record).told.push(text(&said, "text"));
    StatusCode::OK
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(method): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arguments = match arguments(query, &headers, &body) {
        Ok(arguments) => arguments,
        Err(error) => return refused(error).into_response(),
    };
    let call = SlackCall { method: method.clone(), arguments, at: now() };
    let arguments = call.arguments.clone();
    lock(&shared.record).calls.push(call);
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let of_app = method == "apps.connections.open";
    match token.map(|value| value.strip_prefix("Bearer ").unwrap_or_default()) {
        None => return refused("not_authed").into_response(),
        Some(TOKEN) if !of_app => {}
        Some(APP_TOKEN) if of_app => {}
        Some(TOKEN | APP_TOKEN) => return refused("not_allowed_token_type").into_response(),
        Some(_) => return refused("invalid_auth").into_response(),
    }
    match shared.faults.take(&method) {
        None => {
            let answer = Json(shared.perform(&method, &arguments));
            ([("x-oauth-scopes", SCOPES)], answer).into_response()
        }
        Some(SlackFault::TooManyRequests(seconds)) => {
            let headers = [("retry-after", seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers, refused("ratelimited")).into_response()
        }
        Some(SlackFault::ServerError) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(SlackFault::Error(error)) => refused(error).into_response(),
        Some(SlackFault::Hang(pause)) => {
            tokio::time::sleep(pause).await;
            wire.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(SlackFault::PostedButNoAnswer) => {
            let answer = shared.perform(&method, &arguments);
            wire.cut();
            Json(answer).into_response()
        }
    }
}

fn refused(error: &str) -> Json<Value> {
    Json(json!({ "ok": false, "error": error }))
}

/// The arguments from the query, a form or a JSON body, whichever the caller used.
fn arguments(
    query: HashMap<String, String>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, &'static str> {
    let texts = |pairs: HashMap<String, String>| {
        pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>()
    };
    let mut arguments = texts(query);
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/json") {
        let Ok(Value::Object(given)) = serde_json::from_slice(body) else {
            return Err("invalid_json");
        };
        arguments.extend(given);
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        let text = std::str::from_utf8(body).map_err(|_| "invalid_form_data")?;
        let uri = format!("/?{text}").parse().map_err(|_| "invalid_form_data")?;
        let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| "invalid_form_data")?;
        arguments.extend(texts(pairs));
    }
    for structured in ["blocks", "metadata", "files"] {
        if let Some(Value::String(text)) = arguments.get(structured) {
            let value = serde_json::from_str(text).map_err(|_| "invalid_json")?;
            arguments.insert(structured.into(), value);
        }
    }
    Ok(Value::Object(arguments))
}

impl Shared {
    fn perform(&self, method: &str, arguments: &Value) -> Value {
        let outcome = match method {
            "auth.test" => Ok(json!({
                "url": "https://shopflow.slack.com/", "team": "ShopFlow", "team_id": TEAM,
                "user": "deployguard", "user_id": USER, "bot_id": BOT,
                "is_enterprise_install": false,
            })),
            "apps.connections.open" => Ok(self.sockets.open(&self.link)),
            "chat.postMessage" => self.post(arguments),
            "chat.update" => self.update(arguments),
            "chat.delete" => self.delete(arguments),
            "files.getUploadURLExternal" => self.upload_place(arguments),
            "files.completeUploadExternal" => self.complete(arguments),
            "usergroups.list" => Ok(json!({ "usergroups": [
                { "id": "S0ONCALL", "team_id": TEAM, "handle": "oncall", "is_usergroup": true },
            ] })),
            "usergroups.users.list" => match text(arguments, "usergroup").as_str() {
                "S0ONCALL" => Ok(json!({ "users": [DANA.id] })),
                _ => Err("no_such_subteam"),
            },
            "conversations.history" => self.history(arguments),
            "conversations.replies" => self.replies(arguments),
            "conversations.info" => channel(arguments).map(|id| json!({ "channel": info(id) })),
            "users.info" => Ok(json!({ "user": {
                "id": text(arguments, "user"), "team_id": TEAM, "name": "person",
                "deleted": false, "real_name": "A Person", "is_bot": false,
                "profile": { "real_name": "A Person", "display_name": "person" },
            } })),
            _ => Err("unknown_method"),
        };
        match outcome {
            Ok(mut answer) => {
                answer["ok"] = json!(true);
                answer
            }
            Err(error) => json!({ "ok": false, "error": error }),
        }
    }

    fn post(&self, arguments: &Value) -> Result<Value, &'static str> {
        let channel = channel(arguments)?;
        self.check(arguments)?;
        let mut record = lock(&self.record);
        let thread_ts = arguments["thread_ts"].as_str().map(str::to_owned);
        if let Some(top) = &thread_ts
            && !record.messages.iter().any(|m| m.ts == *top && m.thread_ts.is_none())
        {
            return Err("thread_not_found");
        }
        let message = Message {
            channel: channel.to_owned(),
            ts: record.next_ts(),
            thread_ts,
            text: text(arguments, "text"),
            blocks: arguments.get("blocks").cloned().unwrap_or_else(|| json!([])),
            metadata: arguments["metadata"].clone(),
            files: Vec::new(),
            former: Vec::new(),
        };
        record.messages.push(message.clone());
        drop(record);
        self.tell("posted", &message);
        Ok(json!({ "channel": channel, "ts": message.ts, "message": shown(&message, false) }))
    }

    fn delete(&self, arguments: &Value) -> Result<Value, &'static str> {
        let (channel, ts) = (channel(arguments)?, text(arguments, "ts"));
        let mut record = lock(&self.record);
        let place = record.messages.iter().position(|message| message.ts == ts);
        record.messages.remove(place.ok_or("message_not_found")?);
        Ok(json!({ "channel": channel, "ts": ts }))
    }

    fn update(&self, arguments: &Value) -> Result<Value, &'static str> {
        let channel = channel(arguments)?;
        self.check(arguments)?;
        let mut record = lock(&self.record);
        let ts = text(arguments, "ts");
        let message = record.messages.iter_mut().find(|message| message.ts == ts);
        let message = message.ok_or("message_not_found")?;
        message.former.push(message.rendered());
        message.text = text(arguments, "text");
        for (member, kept) in [("blocks", &mut message.blocks), ("metadata", &mut message.metadata)]
        {
            if let Some(given) = arguments.get(member).filter(|given| !given.is_null()) {
                kept.clone_from(given);
            }
        }
        let message = message.clone();
        drop(record);
        self.tell("edited", &message);
        let shown = shown(&message, false);
        Ok(json!({ "channel": channel, "ts": ts, "text": message.text, "message": shown }))
    }

    /// Refuses what Slack would refuse, and remembers why.
    fn check(&self, arguments: &Value) -> Result<(), &'static str> {
        let broken = limits::broken(arguments);
        let refusal = broken.first().map(|(error, _)| *error);
        let texts = broken.into_iter().map(|(_, why)| why);
        lock(&self.record).violations.extend(texts);
        refusal.map_or(Ok(()), Err)
    }

    fn history(&self, arguments: &Value) -> Result<Value, &'static str> {
        let channel = channel(arguments)?;
        let record = lock(&self.record);
        let tops = record.in_window(channel, arguments).filter(|m| m.thread_ts.is_none());
        let mut messages: Vec<_> = tops.collect();
        messages.reverse();
        Ok(paged(&record, &messages, arguments))
    }

    fn replies(&self, arguments: &Value) -> Result<Value, &'static str> {
        let channel = channel(arguments)?;
        let top = text(arguments, "ts");
        let record = lock(&self.record);
        if !record.messages.iter().any(|message| message.ts == top) {
            return Err("thread_not_found");
        }
        let thread = record.messages.iter().filter(|message| message.channel == channel);
        let thread = thread.filter(|m| m.ts == top || m.thread_ts.as_ref() == Some(&top));
        Ok(paged(&record, &thread.collect::<Vec<_>>(), arguments))
    }
}

impl Record {
    fn in_window<'a>(
        &'a self,
        channel: &'a str,
        arguments: &Value,
    ) -> impl Iterator<Item = &'a Message> {
        let oldest = text(arguments, "oldest");
        let latest = text(arguments, "latest");
        let inclusive = matches!(&arguments["inclusive"], Value::Bool(true))
            || text(arguments, "inclusive") == "true";
        // Identifiers are of one length, so that they compare as text.
        let within = move |ts: &str| {
            let after = oldest.is_empty() || ts > oldest.as_str() || inclusive && ts == oldest;
            let before = latest.is_empty() || ts < latest.as_str() || inclusive && ts == latest;
            after && before
        };
        self.messages.iter().filter(move |m| m.channel == channel && within(&m.ts))
    }
}

fn paged(record: &Record, messages: &[&Message], arguments: &Value) -> Value {
    let number = |name: &str| match &arguments[name] {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let limit = number("limit").unwrap_or(100).clamp(1, 999);
    let start = number("cursor").unwrap_or(0);
    let metadata = matches!(&arguments["include_all_metadata"], Value::Bool(true))
        || text(arguments, "include_all_metadata") == "true";
    let page = messages.iter().skip(start).take(limit);
    let page = page.map(|message| {
        let mut shown = shown(message, metadata);
        let replies = record.messages.iter();
        let replies = replies.filter(|reply| reply.thread_ts.as_ref() == Some(&message.ts)).count();
        if replies > 0 {
            shown["thread_ts"] = json!(message.ts);
            shown["reply_count"] = json!(replies);
        }
        shown
    });
    let page: Vec<Value> = page.collect();
    let more = start + limit < messages.len();
    let cursor = if more { (start + limit).to_string() } else { String::new() };
    json!({
        "messages": page,
        "has_more": more,
        "pin_count": 0,
        "response_metadata": { "next_cursor": cursor },
    })
}

fn shown(message: &Message, metadata: bool) -> Value {
    let mut shown = json!({
        "type": "message", "user": USER, "bot_id": BOT, "app_id": APP, "team": TEAM,
        "ts": message.ts, "text": message.text, "blocks": message.blocks,
        "bot_profile": { "id": BOT, "app_id": APP, "name": "deployguard", "team_id": TEAM,
            "deleted": false, "updated": 1_700_000_000 },
    });
    if !message.files.is_empty() {
        shown["files"] = message.files.iter().map(files::shown).collect();
    }
    if let Some(top) = &message.thread_ts {
        shown["thread_ts"] = json!(top);
        shown["parent_user_id"] = json!(USER);
    }
    if !message.former.is_empty() {
        shown["edited"] = json!({ "user": BOT, "ts": message.ts });
    }
    if metadata && !message.metadata.is_null() {
        shown["metadata"] = message.metadata.clone();
    }
    shown
}

fn info(id: &str) -> Value {
    json!({
        "id": id, "name": CHANNEL_NAME, "name_normalized": CHANNEL_NAME, "is_channel": true,
        "is_group": false, "is_im": false, "is_mpim": false, "is_private": false,
        "is_archived": false, "is_general": false, "is_shared": false, "is_member": true,
        "created": 1_700_000_000, "creator": USER,
    })
}

pub fn channel(arguments: &Value) -> Result<&'static str, &'static str> {
    let asked = text(arguments, "channel");
    let name = asked.strip_prefix('#').unwrap_or(&asked);
    if name == CHANNEL || name == CHANNEL_NAME { Ok(CHANNEL) } else { Err("channel_not_found") }
}

pub fn text(arguments: &Value, name: &str) -> String {
    arguments[name].as_str().unwrap_or_default().to_owned()
}
