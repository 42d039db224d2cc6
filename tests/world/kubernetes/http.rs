//! The API's paths, verbs and answers.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::super::lock;
use super::super::server::Wire;
use super::store::Refused;
use super::{Fault, Inner, Mutation, patch};

/// The most that a body may have.
const MOST: usize = 1 << 20;

pub fn router(inner: Arc<Inner>) -> Router {
    Router::new().fallback(answer).with_state(inner)
}

/// What is asked for: a kind, as a path names it, its namespace, and one object's name.
struct Asked {
    /// `deployments.apps`, `services`.
    resource: String,
    kind: String,
    namespace: String,
    name: Option<String>,
}

impl Asked {
    fn read(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return None,
        };
        let (namespace, kind, name) = match rest {
            ["namespaces", namespace, kind] => (*namespace, *kind, None),
            ["namespaces", namespace, kind, name] => (*namespace, *kind, Some(*name)),
            [kind] => ("", *kind, None),
            _ => return None,
        };
        let dot = if group.is_empty() { "" } else { "." };
        Some(Self {
            resource: format!("{kind}{dot}{group}"),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.map(str::to_owned),
        })
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Some(asked) = Asked::read(parts.uri.path()) else {
        return refused((404, "the server could not find the requested resource".into()));
    };
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let watches = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
    let verb = match (&parts.method, &asked.name) {
        (&Method::GET, _) if watches => "watch",
        (&Method::GET, None) => "list",
        (&Method::GET, Some(_)) => "get",
        (&Method::PATCH, Some(_)) => "patch",
        (&Method::POST, None) => "create",
        _ => return refused((405, "the method is not allowed".into())),
    };
    let body = axum::body::to_bytes(body, MOST).await.unwrap_or_default();
    let call = format!("{verb} {}", asked.resource);
    lock(&inner.calls).push(call.clone());
    let fault = inner.faults.take(&call);
    match &fault {
        Some(Fault::Status(code)) => return refused((*code, "planned".into())),
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::Meanwhile(act)) => act(),
        Some(Fault::Lost) | None => {}
    }
    let forbidden = lock(&inner.forbidden).contains(&call);
    if forbidden {
        return refused((403, format!("{call} is forbidden")));
    }
    let content = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let answer = match verb {
        "watch" => Ok(watch(&inner, &asked)),
        "list" => Ok(Json(list(&inner, &asked)).into_response()),
        "get" => get(&inner, &asked).map(|object| Json(object).into_response()),
        "patch" => change(&inner, &asked, &query, content.unwrap_or_default(), &body)
            .map(|object| Json(object).into_response()),
        _ => Ok(review(&inner, &body)),
    };
    if matches!(fault, Some(Fault::Lost)) {
        wire.cut();
    }
    answer.unwrap_or_else(refused)
}

fn list(inner: &Inner, asked: &Asked) -> Value {
    let store = lock(&inner.store);
    let items = if asked.kind == "namespaces" {
        let named = |name: &String| json!({ "metadata": { "name": name } });
        store.namespaces().iter().map(named).collect()
    } else {
        store.list(&asked.kind, &asked.namespace)
    };
    json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": { "resourceVersion": store.version().to_string() }, "items": items,
    })
}

fn get(inner: &Inner, asked: &Asked) -> Result<Value, Refused> {
    let name = asked.name.as_deref().unwrap_or_default();
    let store = lock(&inner.store);
    let found = store.get(&asked.kind, &asked.namespace, name).cloned();
    found.ok_or_else(|| (404, format!("{} \"{name}\" not found", asked.resource)))
}

fn change(
    inner: &Inner,
    asked: &Asked,
    query: &str,
    kind: &str,
    body: &Bytes,
) -> Result<Value, Refused> {
    let wanted: Value = serde_json::from_slice(body).map_err(|e| (400, e.to_string()))?;
    let by = query.split('&').find_map(|pair| pair.strip_prefix("fieldManager="));
    let by = by.unwrap_or("kubectl-patch").to_owned();
    let mut object = get(inner, asked)?;
    patch::apply(&mut object, kind, &wanted)?;
    let written = lock(&inner.store).write(&asked.kind, &by, object)?;
    let name = asked.name.clone().unwrap_or_default();
    lock(&inner.mutations).push(Mutation {
        by,
        what: format!("{}/{name}", asked.kind),
        patch: wanted,
    });
    inner.wake.notify_one();
    Ok(written)
}

/// Everything that is written from now on, as lines, until the client goes or is cut off.
fn watch(inner: &Inner, asked: &Asked) -> Response {
    let (kind, namespace) = (asked.kind.clone(), asked.namespace.clone());
    let (mut events, mut ended) = (lock(&inner.store).events(), inner.ended.subscribe());
    let (mut lines, read) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = ended.changed() => return,
            };
            let Ok(event) = event else { return };
            if event.kind != kind || event.namespace != namespace {
                continue;
            }
            let line = format!("{}\n", json!({ "type": event.what, "object": event.object }));
            if lines.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    Response::new(Body::from_stream(ReaderStream::new(read)))
}

fn review(inner: &Inner, body: &Bytes) -> Response {
    let mut review: Value = serde_json::from_slice(body).unwrap_or_default();
    let asked = review["spec"]["resourceAttributes"].clone();
    let part = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let dot = if part("group").is_empty() { "" } else { "." };
    let call = format!("{} {}{dot}{}", part("verb"), part("resource"), part("group"));
    let allowed = !lock(&inner.forbidden).contains(&call);
    review["status"] = json!({ "allowed": allowed });
    (StatusCode::CREATED, Json(review)).into_response()
}

fn refused((code, message): Refused) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        422 => "Invalid",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    (status, Json(body)).into_response()
}
