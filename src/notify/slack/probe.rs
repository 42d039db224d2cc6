//! What a token may do, asked of Slack.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

const TIME_OUT: Duration = Duration::from_secs(10);

/// Slack's methods, called once each; for asking, not for delivering.
pub struct Probe {
    http: reqwest::Client,
    api_url: String,
    token: String,
}

/// Who the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    pub team: String,
    pub user: String,
    /// What it may do; `None`: Slack did not say.
    pub scopes: Option<BTreeSet<String>>,
}

impl Probe {
    /// Nothing is sent.
    ///
    /// # Errors
    /// No client could be made, in words.
    pub fn of(api_url: &str, token: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .timeout(TIME_OUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let api_url = api_url.trim_end_matches('/').to_owned();
        Ok(Self { http, api_url, token: token.to_owned() })
    }

    /// `auth.test`.
    pub async fn bot(&self) -> Result<Bot, String> {
        let (answer, scopes) = self.call("auth.test", &[]).await?;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Ok(Bot { team: text("team"), user: text("user"), scopes })
    }

    /// Whether the bot is in the channel, and the channel's name.
    pub async fn channel(&self, id: &str) -> Result<(bool, String), String> {
        let (answer, _) = self.call("conversations.info", &[("channel", id)]).await?;
        let channel = &answer["channel"];
        let member = channel["is_member"].as_bool().unwrap_or_default();
        Ok((member, channel["name"].as_str().unwrap_or_default().to_owned()))
    }

    /// Whether somebody of this id is there and active.
    pub async fn user(&self, id: &str) -> Result<bool, String> {
        let (answer, _) = self.call("users.info", &[("user", id)]).await?;
        Ok(answer["user"]["deleted"] != json!(true))
    }

    /// The ids of all user groups in use.
    pub async fn groups(&self) -> Result<BTreeSet<String>, String> {
        let (answer, _) = self.call("usergroups.list", &[]).await?;
        let groups = answer["usergroups"].as_array().into_iter().flatten();
        Ok(groups.filter_map(|group| group["id"].as_str().map(str::to_owned)).collect())
    }

    /// How many are in a user group.
    pub async fn members(&self, group: &str) -> Result<usize, String> {
        let (answer, _) = self.call("usergroups.users.list", &[("usergroup", group)]).await?;
        Ok(answer["users"].as_array().map_or(0, Vec::len))
    }

    /// Posts a test message, and deletes it.
    pub async fn post(&self, channel: &str) -> Result<(), String> {
        let text = "deployguard doctor: a test, gone in a moment";
        let arguments = [("channel", channel), ("text", text)];
        let (answer, _) = self.call("chat.postMessage", &arguments).await?;
        let ts = answer["ts"].as_str().unwrap_or_default();
        self.call("chat.delete", &[("channel", channel), ("ts", ts)]).await.map(drop)
    }

    async fn call(
        &self,
        method: &str,
        arguments: &[(&str, &str)],
    ) -> Result<(Value, Option<BTreeSet<String>>), String> {
        let url = format!("{}/{method}", self.api_url);
        let asked = self.http.post(url).bearer_auth(&self.token).form(arguments);
        // Of an error only what it was: it may name the request.
        let sent = asked.send().await.map_err(|error| {
            let why = if error.is_timeout() { "no answer in time" } else { "it is not reached" };
            format!("{method}: {why}")
        })?;
        let header = sent.headers().get("x-oauth-scopes").and_then(|value| value.to_str().ok());
        let scopes = header.map(|text| {
            text.split(',')
                .map(str::trim)
                .filter(|one| !one.is_empty())
                .map(str::to_owned)
                .collect()
        });
        let status = sent.status();
        let answer: Value = sent
            .json()
            .await
            .map_err(|_| format!("{method}: HTTP {status}, and the answer is not Slack's"))?;
        if answer["ok"] == json!(true) {
            return Ok((answer, scopes));
        }
        Err(format!("{method}: {}", answer["error"].as_str().unwrap_or("refused")))
    }
}
