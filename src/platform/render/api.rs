//! Requests of Render's API, bounded in time and size, and what a failed one means.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wire::{Deploy, Listed, Service};
use crate::model::ActFailure;
use crate::platform::LookError;

const TIME_OUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Items of one page: the most that Render gives.
pub(super) const PAGE: usize = 100;
/// Pages of services: more is refused, never cut off silently.
const PAGES: usize = 20;
/// The longest text of Render's that is passed on, in characters.
const LONGEST: usize = 300;

/// Render's API with one key.
pub(super) struct Api {
    http: Client,
    /// Without a slash at the end.
    url: String,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// The call, the status, and what to do about it.
    pub(super) words: String,
    /// Whether other calls would fail the same way now.
    pub(super) everywhere: bool,
}

/// What a failed call says about its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Turned away at the door: no effect, and a later try may succeed.
    Throttled,
    /// No answer, half of one, 5xx: nobody knows whether it had an effect.
    Unknown,
    /// Render said no, and will say so again.
    Refused,
}

impl From<Fault> for LookError {
    fn from(fault: Fault) -> Self {
        match (fault.kind, fault.everywhere) {
            (Kind::Refused, _) => Self::Permanent(fault.words),
            (Kind::Throttled | Kind::Unknown, true) => Self::Everywhere(fault.words),
            (Kind::Throttled | Kind::Unknown, false) => Self::Transient(fault.words),
        }
    }
}

impl From<Fault> for ActFailure {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            Kind::Refused => Self::Permanent(fault.words),
            Kind::Throttled | Kind::Unknown => Self::Transient(fault.words),
        }
    }
}

impl Api {
    /// Nothing is sent.
    ///
    /// # Errors
    /// The key has characters that no header has.
    pub(super) fn new(url: &str, key: &str) -> Result<Self, String> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| "the API key has characters that no key has".to_owned())?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let http = Client::builder()
            // A redirect would carry the key elsewhere.
            .redirect(Policy::none())
            .timeout(TIME_OUT)
            .default_headers(headers)
            .user_agent(concat!("deployguard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned() })
    }

    /// All services that the key can see, of one workspace if it is given.
    pub(super) async fn services(&self, owner: Option<&str>) -> Result<Vec<Service>, Fault> {
        let what = "GET /services";
        let (mut services, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(owner.map(|owner| ("ownerId", owner.to_owned())));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page: Vec<Listed<Service>> = self.get(what, "/services", &query).await?;
            let (full, last) = (page.len() >= PAGE, page.last().and_then(|one| one.cursor.clone()));
            services.extend(page.into_iter().map(|one| one.item));
            match last {
                Some(last) if full => cursor = Some(last),
                Some(_) | None => return Ok(services),
            }
        }
        let words = format!("{what}: more than {} services: give `owner`", PAGES * PAGE);
        Err(Fault { kind: Kind::Refused, words, everywhere: true })
    }

    /// One service as it is now.
    pub(super) async fn service(&self, id: &str) -> Result<Service, Fault> {
        self.get(&format!("GET /services/{id}"), &format!("/services/{id}"), &[]).await
    }

    /// The newest deploys of a service, newest first, at most a page of them.
    pub(super) async fn deploys(&self, id: &str, most: usize) -> Result<Vec<Deploy>, Fault> {
        let path = format!("/services/{id}/deploys");
        let query = [("limit", most.min(PAGE).to_string())];
        let page: Vec<Listed<Deploy>> = self.get(&format!("GET {path}"), &path, &query).await?;
        Ok(page.into_iter().map(|one| one.item).collect())
    }

    /// Deploys the build of an earlier deploy again. Called once.
    pub(super) async fn roll_back(&self, id: &str, deploy: &str) -> Result<Deploy, Fault> {
        let path = format!("/services/{id}/rollback");
        let body = serde_json::json!({ "deployId": deploy });
        self.send(Method::POST, &format!("POST {path}"), &path, &body).await
    }

    /// Turns automatic deploys off; answers the service as it is then.
    pub(super) async fn stop_auto_deploy(&self, id: &str) -> Result<Service, Fault> {
        let path = format!("/services/{id}");
        let body = serde_json::json!({ "autoDeploy": "no" });
        self.send(Method::PATCH, &format!("PATCH {path}"), &path, &body).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Fault> {
        let request = self.http.get(format!("{}{path}", self.url)).query(query);
        read(what, request.send().await).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        what: &str,
        path: &str,
        body: &Value,
    ) -> Result<T, Fault> {
        let request = self.http.request(method, format!("{}{path}", self.url)).json(body);
        read(what, request.send().await).await
    }
}

async fn read<T: DeserializeOwned>(
    what: &str,
    sent: reqwest::Result<Response>,
) -> Result<T, Fault> {
    let unknown = |why: String, everywhere: bool| Fault {
        kind: Kind::Unknown,
        words: format!("{what}: {why}"),
        everywhere,
    };
    let mut response = sent.map_err(|error| unknown(why(error), true))?;
    let (status, reset) = (response.status(), wait(response.headers()));
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| unknown(why(error), false))? {
        if body.len() + piece.len() > MOST_BYTES {
            return Err(unknown("it answers more than 4 MiB".to_owned(), false));
        }
        body.extend_from_slice(&piece);
    }
    if !status.is_success() {
        return Err(refused(what, status, reset, &body));
    }
    serde_json::from_slice(&body).map_err(|error| unknown(format!("unreadable: {error}"), false))
}

/// What an answer that is no success means.
fn refused(what: &str, status: StatusCode, reset: Option<u64>, body: &[u8]) -> Fault {
    let said: Option<Value> = serde_json::from_slice(body).ok();
    let said = said.as_ref().and_then(|said| said["message"].as_str()).unwrap_or_default();
    let said: String = said.chars().filter(|char| !char.is_control()).take(LONGEST).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let of = |kind, mend: &str, everywhere| {
        let mend = if mend.is_empty() { String::new() } else { format!("; {mend}") };
        Fault { kind, words: format!("{what}: HTTP {}{said}{mend}", status.as_u16()), everywhere }
    };
    match status.as_u16() {
        401 => of(Kind::Refused, "give a key that is valid: see render.api_key", true),
        403 => of(Kind::Refused, "the key's user may not do this: see their role in Render", false),
        404 => of(Kind::Refused, "it is gone, or in a workspace that the key can't see", false),
        429 => {
            let again = reset.map(|seconds| format!("it takes more in {seconds} s"));
            of(Kind::Throttled, &again.unwrap_or_default(), true)
        }
        408 | 500..=599 => of(Kind::Unknown, "", false),
        _ => of(Kind::Refused, "", false),
    }
}

/// In how many seconds there may be more requests, as the answer says.
fn wait(headers: &HeaderMap) -> Option<u64> {
    let of = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    of("ratelimit-reset").or_else(|| of("retry-after"))
}

/// The causes in words.
fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIME_OUT.as_secs());
    }
    let error = error.without_url();
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    format!("no answer: {}", last.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_people_must_mend() {
        let of = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refused("GET /services", status, Some(7), body.as_bytes())
        };
        let limited = of(429, r#"{"id":"x","message":"rate limit exceeded"}"#);
        assert_eq!(
            limited.words,
            "GET /services: HTTP 429: rate limit exceeded; it takes more in 7 s"
        );
        assert!(limited.everywhere && limited.kind == Kind::Throttled);
        assert!(matches!(LookError::from(limited), LookError::Everywhere(_)));
        for status in [408, 500, 502, 503] {
            assert!(matches!(ActFailure::from(of(status, "")), ActFailure::Transient(_)));
        }
        for (status, mend) in [(401, "render.api_key"), (403, "role"), (404, "gone"), (400, "400")]
        {
            let fault = of(status, "<html>");
            assert!(fault.words.contains(mend), "{}", fault.words);
            assert!(matches!(ActFailure::from(fault), ActFailure::Permanent(_)));
        }
    }
}
