//! Statuses of a commit.

use serde_json::{Value, json};

use super::api::Session;
use super::description;
use crate::model::{Mark, MarkState};
use crate::notify::DeliverError;

/// Statuses that are looked through for one of ours.
const PAGE: &str = "100";

fn state(state: MarkState) -> &'static str {
    match state {
        MarkState::Watched => "pending",
        MarkState::Passed => "success",
        MarkState::Failed => "failure",
        MarkState::Undecided | MarkState::Superseded => "error",
    }
}

/// Writes it. `maybe_sent`: looks first whether it stands there.
pub(super) async fn write(
    session: &Session<'_>,
    sha: &str,
    mark: &Mark,
    link: Option<String>,
    maybe_sent: bool,
) -> Result<(), DeliverError> {
    let mut body = json!({
        "state": state(mark.state),
        "context": mark.place.context(),
        "description": description(&mark.words),
    });
    if let Some(link) = link {
        body["target_url"] = json!(link);
    }
    if maybe_sent {
        let all = session.get(&["commits", sha, "statuses"], &[("per_page", PAGE)]).await?;
        if newest(&all, &mark.place.context()).is_some_and(|one| says(one, &body)) {
            return Ok(());
        }
    }
    session.post(&["statuses", sha], &body).await.map(drop)
}

fn newest<'a>(all: &'a Value, context: &str) -> Option<&'a Value> {
    let ours = all.as_array()?.iter().filter(|one| one["context"] == context);
    ours.max_by_key(|one| one["id"].as_u64())
}

fn says(one: &Value, body: &Value) -> bool {
    ["state", "description"].iter().all(|key| one[*key] == body[*key])
}
