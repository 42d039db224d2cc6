//! Slack's upload in three steps: a place for a file, its bytes, and the share.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;

use super::api::{channel, text};
use super::{Message, Shared, SlackCall, SlackFault};
use crate::world::server::Wire;
use crate::world::{lock, now};

/// The method that faults of the second step are planned for, and that its calls are
/// recorded under: it has no name of Slack's.
pub const UPLOAD: &str = "upload";

/// A file as it was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its identifier.
    pub id: String,
    /// As it was announced, and as the share has it.
    pub name: String,
    /// Empty until it is shared.
    pub title: String,
    /// What it shows, for who cannot see it.
    pub alt: Option<String>,
    /// The bytes that were announced.
    pub length: usize,
    /// What came; `None` before it did.
    pub bytes: Option<Vec<u8>>,
    /// Whether it was shared, which is done once.
    pub shared: bool,
}

impl Shared {
    /// `files.getUploadURLExternal`.
    pub(super) fn upload_place(&self, arguments: &Value) -> Result<Value, &'static str> {
        let name = text(arguments, "filename");
        let length = match &arguments["length"] {
            Value::String(text) => text.parse().unwrap_or(0),
            number => number.as_u64().and_then(|one| usize::try_from(one).ok()).unwrap_or(0),
        };
        if name.is_empty() || length == 0 {
            return Err("missing_argument");
        }
        let alt = arguments["alt_txt"].as_str().map(str::to_owned);
        let mut record = lock(&self.record);
        if alt.as_ref().is_some_and(|alt| alt.chars().count() > 1000) {
            record.violations.push("alt_txt of more than 1000 characters".to_owned());
            return Err("alt_txt_too_large");
        }
        let id = format!("F{:010}", record.files.len() + 1);
        let url = format!("{}/upload/v1/{id}", self.address.get().map_or("", String::as_str));
        let (title, bytes) = (String::new(), None);
        record.files.push(File { id: id.clone(), name, title, alt, length, bytes, shared: false });
        Ok(json!({ "upload_url": url, "file_id": id }))
    }

    /// `files.completeUploadExternal`.
    pub(super) fn complete(&self, arguments: &Value) -> Result<Value, &'static str> {
        let channel = channel(&json!({ "channel": arguments["channel_id"] }))?;
        let asked = arguments["files"].as_array().filter(|files| !files.is_empty());
        let asked = asked.ok_or("invalid_arguments")?;
        let comment = text(arguments, "initial_comment");
        let mut record = lock(&self.record);
        let thread_ts = arguments["thread_ts"].as_str().map(str::to_owned);
        let is_top = |m: &Message| Some(&m.ts) == thread_ts.as_ref() && m.thread_ts.is_none();
        if thread_ts.is_some() && !record.messages.iter().any(is_top) {
            return Err("thread_not_found");
        }
        let mut shared = Vec::new();
        for one in asked {
            let id = text(one, "id");
            let file = record.files.iter().find(|file| file.id == id);
            let file = file.filter(|file| !file.shared && file.bytes.is_some());
            let mut file = file.cloned().ok_or("file_not_found")?;
            (file.title, file.shared) = (text(one, "title"), true);
            shared.push(file);
        }
        for file in &shared {
            if let Some(known) = record.files.iter_mut().find(|known| known.id == file.id) {
                known.clone_from(file);
            }
        }
        let message = Message {
            channel: channel.to_owned(),
            ts: record.next_ts(),
            thread_ts,
            text: comment,
            blocks: json!([]),
            metadata: Value::Null,
            files: shared.clone(),
            former: Vec::new(),
        };
        record.messages.push(message.clone());
        drop(record);
        let names: Vec<&str> = shared.iter().map(|file| file.name.as_str()).collect();
        self.tell(&format!("shared {}", names.join(" ")), &message);
        let files: Vec<Value> = shared.iter().map(shown).collect();
        Ok(json!({ "files": files }))
    }
}

pub(super) fn shown(file: &File) -> Value {
    json!({
        "id": file.id, "name": file.name, "title": file.title, "size": file.length,
        "alt_txt": file.alt, "mode": "hosted", "is_external": false, "created": 1_700_000_000,
    })
}

/// The second step: no token is asked for, and one that comes is a mistake.
pub(super) async fn bring(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
    let arguments = json!({ "id": id, "content_type": kind, "length": body.len() });
    {
        let mut record = lock(&shared.record);
        record.calls.push(SlackCall { method: UPLOAD.to_owned(), arguments, at: now() });
        if headers.contains_key("authorization") {
            record.violations.push("the token was sent to the place of an upload".to_owned());
        }
    }
    match shared.faults.take(UPLOAD) {
        None => shared.keep(&id, &body),
        Some(SlackFault::TooManyRequests(seconds)) => {
            let headers = [("retry-after", seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers, "too many").into_response()
        }
        Some(SlackFault::ServerError | SlackFault::Error(_)) => {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Some(SlackFault::Hang(pause)) => {
            tokio::time::sleep(pause).await;
            wire.cut();
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
        Some(SlackFault::PostedButNoAnswer) => {
            let answer = shared.keep(&id, &body);
            wire.cut();
            answer
        }
    }
}

impl Shared {
    fn keep(&self, id: &str, body: &Bytes) -> Response {
        let mut record = lock(&self.record);
        let place = record.files.iter_mut().find(|file| file.id == id);
        let Some(file) = place.filter(|file| file.bytes.is_none()) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let (said, came) = (file.length, body.len());
        file.bytes = Some(body.to_vec());
        if said != came {
            record.violations.push(format!("{said} bytes were announced, {came} came"));
        }
        format!("OK - {came}").into_response()
    }
}
