//! Statuses of the deployment that announced it. Several services may be deployed by one: it
//! is a success when all of them passed.

use serde_json::{Value, json};

use super::api::Session;
use super::description;
use crate::model::{Mark, MarkState};
use crate::notify::DeliverError;

/// Statuses that are looked through for ours.
const PAGE: &str = "100";

fn state(state: MarkState) -> &'static str {
    match state {
        MarkState::Watched => "in_progress",
        MarkState::Passed => "success",
        MarkState::Failed => "failure",
        MarkState::Undecided => "error",
        MarkState::Superseded => "inactive",
    }
}

/// Writes it, where a deployment announced it and it does not stand there already.
pub(super) async fn write(
    session: &Session<'_>,
    mark: &Mark,
    link: Option<String>,
) -> Result<(), DeliverError> {
    let Some(origin) = &mark.place.origin else { return Ok(()) };
    let Some(id) = origin.deployment.map(|id| id.to_string()) else { return Ok(()) };
    let path = ["deployments", id.as_str(), "statuses"];
    let all = newest_first(&session.get(&path, &[("per_page", PAGE)]).await?);
    let (whole, words) = match origin.services.as_slice() {
        [] | [_] => (mark.state, mark.words.clone()),
        services => (together(mark, services, &all), tagged(mark)),
    };
    let mut body = json!({
        "state": state(whole),
        "description": description(&words),
        // Whoever deploys says what is in place; this is one judgement about it.
        "auto_inactive": false,
    });
    let known =
        all.iter().find_map(|one| one["environment_url"].as_str().filter(|u| !u.is_empty()));
    for (key, value) in [("log_url", link.as_deref()), ("environment_url", known)] {
        if let Some(value) = value {
            body[key] = json!(value);
        }
    }
    let says = |one: &Value| ["state", "description"].iter().all(|key| one[*key] == body[*key]);
    if all.first().is_some_and(says) {
        return Ok(());
    }
    session.post(&path, &body).await.map(drop)
}

fn newest_first(all: &Value) -> Vec<Value> {
    let mut all = all.as_array().cloned().unwrap_or_default();
    all.sort_by_key(|one| std::cmp::Reverse(one["id"].as_u64()));
    all
}

fn tag(state: MarkState) -> &'static str {
    match state {
        MarkState::Watched => "watched",
        MarkState::Passed => "passed",
        MarkState::Failed => "failed",
        MarkState::Undecided => "undecided",
        MarkState::Superseded => "superseded",
    }
}

/// With the service and how it stands by itself, which is read again for the others.
fn tagged(mark: &Mark) -> String {
    format!("{} ({}): {}", mark.place.service, tag(mark.state), mark.words)
}

/// How a service stands by itself, as was written last.
fn stands(service: &str, all: &[Value]) -> Option<MarkState> {
    const STATES: [MarkState; 5] = [
        MarkState::Watched,
        MarkState::Passed,
        MarkState::Failed,
        MarkState::Undecided,
        MarkState::Superseded,
    ];
    all.iter().find_map(|one| {
        let said = one["description"].as_str()?;
        let of = |state: &MarkState| said.starts_with(&format!("{service} ({}): ", tag(*state)));
        STATES.into_iter().find(of)
    })
}

/// The worst of all services; one that nothing is written of is watched.
fn together(mark: &Mark, services: &[String], all: &[Value]) -> MarkState {
    let rank = |state: &MarkState| match state {
        MarkState::Failed => 4,
        MarkState::Undecided => 3,
        MarkState::Watched => 2,
        MarkState::Superseded => 1,
        MarkState::Passed => 0,
    };
    let others = services.iter().filter(|service| **service != mark.place.service);
    let others = others.map(|service| stands(service, all).unwrap_or(MarkState::Watched));
    others.chain([mark.state]).max_by_key(rank).unwrap_or(mark.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CodePlace, GitHubOrigin};

    fn mark(service: &str, state: MarkState) -> Mark {
        let services = vec!["api".to_owned(), "web".to_owned()];
        let origin = GitHubOrigin { repository: "a/b".into(), deployment: Some(1), services };
        let place = CodePlace {
            repository: "a/b".into(),
            commit: None,
            version: None,
            origin: Some(origin),
            service: service.to_owned(),
            environment: "production".into(),
        };
        Mark { place, state, words: "words".into() }
    }

    #[test]
    fn a_deployment_of_several_services_is_a_success_when_the_last_of_them_passed() {
        let services = ["api".to_owned(), "web".to_owned()];
        let mut written: Vec<Value> = Vec::new();
        let mut says = |service: &str, own: MarkState| {
            let mark = mark(service, own);
            let whole = together(&mark, &services, &written);
            written.insert(0, json!({ "description": tagged(&mark) }));
            state(whole)
        };
        assert_eq!(says("api", MarkState::Passed), "in_progress", "nothing is known of web");
        assert_eq!(says("web", MarkState::Watched), "in_progress");
        assert_eq!(says("web", MarkState::Passed), "success");
        assert_eq!(says("api", MarkState::Failed), "failure");
        assert_eq!(says("web", MarkState::Passed), "failure", "the other's failure stays");
    }
}
