//! What is asked of Slack about presses, and told.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url, redirect};
use serde_json::{Value, json};

/// The most that one call may take: whoever pressed waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const LIMIT: usize = 1024 * 1024;
/// The longest words that somebody is told.
const WORDS: usize = 2000;
/// The longest name of an error that is repeated, and the longest that Slack is waited for.
const NAME: usize = 60;
const WAIT: Duration = Duration::from_mins(10);

pub(super) struct Wire {
    client: Client,
    api_url: String,
    token: String,
}

/// Why a method has not done what it was asked for.
pub(super) struct Refusal {
    pub words: String,
    /// Slack's name for it; empty: it gave none.
    pub code: String,
    /// How long Slack wants not to be asked.
    pub wait: Option<Duration>,
}

impl Wire {
    pub(super) fn new(api_url: &str, token: &str) -> Result<Self, String> {
        let client = Client::builder().timeout(PATIENCE).redirect(redirect::Policy::none()).build();
        let client = client.map_err(|error| error.to_string())?;
        let api_url = api_url.trim_end_matches('/').to_owned();
        Ok(Self { client, api_url, token: token.to_owned() })
    }

    /// The workspace of the token.
    pub(super) async fn team(&self) -> Result<String, String> {
        let answer = self.call("auth.test", &[]).await?;
        let team = answer["team_id"].as_str().filter(|team| !team.is_empty());
        team.map(str::to_owned).ok_or_else(|| "auth.test names no team".to_owned())
    }

    /// The members of a user group.
    pub(super) async fn members(&self, group: &str) -> Result<BTreeSet<String>, String> {
        let answer = self.call("usergroups.users.list", &[("usergroup", group)]).await?;
        let users = answer["users"].as_array().ok_or("usergroups.users.list names no users")?;
        Ok(users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect())
    }

    /// Tells whoever pressed, and nobody else.
    pub(super) async fn tell(&self, url: Url, words: &str) -> Result<(), String> {
        let words: String = words.chars().take(WORDS).collect();
        let text = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = json!({ "response_type": "ephemeral", "replace_original": false, "text": text });
        let sent = self.client.post(url).json(&body).send().await.map_err(|error| lost(&error))?;
        if sent.status().is_success() { Ok(()) } else { Err(format!("HTTP {}", sent.status())) }
    }

    async fn call(&self, method: &str, arguments: &[(&str, &str)]) -> Result<Value, String> {
        self.ask(method, arguments).await.map_err(|refusal| refusal.words)
    }

    /// The answer of a method.
    pub(super) async fn ask(
        &self,
        method: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Value, Refusal> {
        let because = |why: &str, wait| {
            let words = format!("{method}: {why}");
            Refusal { words, code: String::new(), wait }
        };
        let url = format!("{}/{method}", self.api_url);
        let asked = self.client.post(url).bearer_auth(&self.token).form(arguments);
        let sent = asked.send().await.map_err(|error| because(&lost(&error), None))?;
        let (status, wait) = (sent.status(), wait(&sent));
        let bytes = whole(sent).await.map_err(|why| because(&why, wait))?;
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|_| because(&format!("HTTP {status}, and the answer is not Slack's"), wait))?;
        if answer["ok"] == json!(true) {
            return Ok(answer);
        }
        let code: String =
            answer["error"].as_str().unwrap_or_default().chars().take(NAME).collect();
        let why = if code.is_empty() { "refused" } else { &code };
        Err(Refusal { code: code.clone(), ..because(why, wait) })
    }
}

/// How long Slack wants not to be asked again.
fn wait(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(WAIT))
}

/// The body, up to the limit.
async fn whole(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + piece.len() > LIMIT {
            return Err("the answer is too large".to_owned());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Of an error only what it was: it may name the request, and addresses are secrets here.
pub(super) fn lost(error: &reqwest::Error) -> String {
    let why = if error.is_timeout() { "no answer in time" } else { "it is not reached" };
    why.to_owned()
}
