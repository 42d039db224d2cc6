//! Requests to GitHub's REST API and its GraphQL endpoint, bounded in time and in what is read
//! of an answer.

use std::sync::Mutex as Lock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Url};
use serde_json::Value;
use tokio::time::Instant;

use super::fault::{Answer, judge};
use super::token::Credentials;
use crate::notify::{DeliverError, LIMITED};

const TIME_OUT: Duration = Duration::from_secs(10);
/// Between two requests that write.
const PACE: Duration = Duration::from_secs(1);
/// What is read of an answer, in bytes: a page of issues carries their texts.
const ANSWER: usize = 8 * 1024 * 1024;
/// The version of the API that this is written for.
const VERSION: &str = "2022-11-28";

#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    root: Url,
    graphql: Url,
    pub(super) credentials: Credentials,
    time_out: Duration,
    pace: Duration,
    times: Lock<Times>,
}

/// How the reason begins where nothing came back.
pub(super) const UNANSWERED: &str = "no answer of";

/// An error with its causes: the outermost says only that it was sent.
fn in_full(error: &reqwest::Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    said.join(": ").chars().take(300).collect()
}

#[derive(Debug, Default)]
struct Times {
    /// When something was last written.
    wrote: Option<Instant>,
    /// Nothing is asked before this.
    limited: Option<Instant>,
}

/// The API as one repository's, with a token for it.
pub(super) struct Session<'a> {
    api: &'a Api,
    pub(super) repository: String,
    token: String,
}

impl Api {
    pub(super) fn connect(url: &str, credentials: Credentials) -> Result<Self, String> {
        let agent = concat!("deployguard/", env!("CARGO_PKG_VERSION"));
        let http = Client::builder().redirect(Policy::none()).user_agent(agent).build();
        let root = url.trim_end_matches('/');
        // On Enterprise Server they stand beside each other.
        let graphql = match root.strip_suffix("/v3") {
            Some(beside) => format!("{beside}/graphql"),
            None => format!("{root}/graphql"),
        };
        let parse = |text: &str| Url::parse(text).map_err(|why| format!("{text}: {why}"));
        Ok(Self {
            http: http.map_err(|why| why.to_string())?,
            root: parse(root)?,
            graphql: parse(&graphql)?,
            credentials,
            time_out: TIME_OUT,
            pace: PACE,
            times: Lock::default(),
        })
    }

    pub(super) fn with_time_out(self, time_out: Duration) -> Self {
        Self { time_out, ..self }
    }

    pub(super) fn with_pace(self, pace: Duration) -> Self {
        Self { pace, ..self }
    }

    pub(super) async fn session(
        &self,
        repository: &str,
        now: Timestamp,
    ) -> Result<Session<'_>, DeliverError> {
        let token = self.token(repository, now).await?;
        Ok(Session { api: self, repository: repository.to_owned(), token })
    }

    /// The address of a path below the root, each part of it one segment.
    pub(super) fn at(&self, path: &[&str]) -> Result<Url, DeliverError> {
        let mut url = self.root.clone();
        let wrong = || DeliverError::Permanent("github.api_url can't be asked".to_owned());
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Asks once.
    ///
    /// # Errors
    /// What the answer means, or that there was none.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        token: &str,
        body: Option<&Value>,
    ) -> Result<Answer, DeliverError> {
        self.wait(&method).await?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static(VERSION));
        let request = self.http.request(method.clone(), url).headers(headers);
        let mut request = request.bearer_auth(token).timeout(self.time_out);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unanswered = |error: reqwest::Error| DeliverError::Transient {
            reason: if error.is_timeout() {
                format!("{UNANSWERED} {}: time-out after {:?}", self.root, self.time_out)
            } else {
                format!("{UNANSWERED} {}: {}", self.root, in_full(&error.without_url()))
            },
            retry_after: None,
        };
        let mut response = request.send().await.map_err(unanswered)?;
        let mut answer = Answer::of(response.status(), response.headers());
        while answer.body.len() < ANSWER
            && let Some(piece) = response.chunk().await.map_err(unanswered)?
        {
            answer.body.extend_from_slice(&piece);
        }
        let mut times = self.times();
        if method != Method::GET {
            times.wrote = Some(tokio::time::Instant::now());
        }
        if let Some(wait) = answer.limited() {
            times.limited = tokio::time::Instant::now().checked_add(wait);
        }
        Ok(answer)
    }

    /// Until the next request may be made.
    ///
    /// # Errors
    /// Not for long: GitHub limits the rate.
    async fn wait(&self, method: &Method) -> Result<(), DeliverError> {
        let (limited, wrote) = {
            let times = self.times();
            (times.limited, times.wrote)
        };
        let now = tokio::time::Instant::now();
        if let Some(left) = limited.and_then(|until| until.checked_duration_since(now))
            && !left.is_zero()
        {
            let reason = LIMITED.to_owned();
            return Err(DeliverError::Transient { reason, retry_after: Some(left) });
        }
        if *method != Method::GET
            && let Some(wrote) = wrote
        {
            tokio::time::sleep_until(wrote + self.pace).await;
        }
        Ok(())
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Session<'_> {
    /// `path`: below `/repos/OWNER/NAME`.
    fn url(&self, path: &[&str]) -> Result<Url, DeliverError> {
        let (owner, name) = self.repository.split_once('/').unwrap_or_default();
        self.api.at(&[&["repos", owner, name], path].concat())
    }

    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, DeliverError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        judge(&self.api.ask(Method::GET, url, &self.token, None).await?)
    }

    pub(super) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, DeliverError> {
        judge(&self.raw_post(path, body).await?)
    }

    /// Posts, and leaves what the answer means to the caller.
    pub(super) async fn raw_post(
        &self,
        path: &[&str],
        body: &Value,
    ) -> Result<Answer, DeliverError> {
        self.api.ask(Method::POST, self.url(path)?, &self.token, Some(body)).await
    }

    pub(super) async fn graphql(&self, body: &Value) -> Result<Value, DeliverError> {
        let url = self.api.graphql.clone();
        judge(&self.api.ask(Method::POST, url, &self.token, Some(body)).await?)
    }

    /// What a mark of ours is made with, so that nobody else can make it.
    pub(super) fn key(&self) -> &str {
        self.api.credentials.key()
    }
}
