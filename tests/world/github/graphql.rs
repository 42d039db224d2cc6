//! The one mutation: `revertPullRequest`. GraphQL answers 200 to what it refuses.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::api::answer;
use super::{Known, PULL, Shared};
use crate::world::server::Wire;

fn refused(kind: &str, text: &str) -> Response {
    let errors = json!([{ "type": kind, "path": ["revertPullRequest"], "message": text }]);
    answer(200, &json!({ "data": { "revertPullRequest": Value::Null }, "errors": errors }))
}

pub async fn mutate(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let take = |known: &mut Known| {
        let input = &body["variables"]["input"];
        let query = body["query"].as_str().unwrap_or_default();
        if !query.contains("revertPullRequest(input: $input)") {
            return refused("undefinedField", "no such mutation here");
        }
        let fields = ["pullRequestId", "title", "body", "draft", "clientMutationId"];
        let unknown = |input: &Value| {
            input
                .as_object()
                .is_none_or(|all| all.keys().any(|key| !fields.contains(&key.as_str())))
        };
        if unknown(input) {
            return refused("argumentNotAccepted", "an argument of another input");
        }
        if input["pullRequestId"] != json!(format!("PR_{PULL}")) {
            return refused("NOT_FOUND", "Could not resolve to a node with the global id");
        }
        if let Some(why) = &known.conflict {
            return refused("UNPROCESSABLE", why);
        }
        let number = known.id();
        known.issues.push(json!({
            "number": number, "title": input["title"], "body": input["body"],
            "pull_request": { "merged_at": Value::Null },
        }));
        let url = format!("https://github.example/acme/shopflow/pull/{number}");
        let made = json!({ "number": number, "url": url });
        answer(200, &json!({ "data": { "revertPullRequest": { "revertPullRequest": made } } }))
    };
    shared.pass("POST graphql", &wire, &headers, None, take).await
}
