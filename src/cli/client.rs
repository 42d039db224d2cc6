//! The way from the command line to a running daemon.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Which daemon, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Server {
    /// The daemon's address
    #[arg(
        long,
        visible_alias = "server",
        env = "DEPLOYGUARD_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// The token; better given as `DEPLOYGUARD_TOKEN`
    #[arg(long, env = "DEPLOYGUARD_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// The daemon could not be asked, so nobody knows what it would have said: exit code 3.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NotAsked(String);

/// What came of asking once, for whoever asks again.
#[derive(Debug)]
pub enum Answer<T> {
    Here(T),
    /// There is none of that name.
    None(String),
    /// Asking again would not help.
    Refused(String),
    /// It may help: nobody answered, or nobody who could.
    Away(String),
}

impl<T> Answer<T> {
    fn map<U>(self, then: impl FnOnce(T) -> Answer<U>) -> Answer<U> {
        match self {
            Self::Here(one) => then(one),
            Self::None(why) => Answer::None(why),
            Self::Refused(why) => Answer::Refused(why),
            Self::Away(why) => Answer::Away(why),
        }
    }
}

impl Server {
    /// A client for many requests.
    ///
    /// # Errors
    /// Where the system's certificates can't be read.
    pub fn client(patience: Duration) -> anyhow::Result<reqwest::Client> {
        Ok(reqwest::Client::builder().timeout(patience).build()?)
    }

    /// Asks once, in whatever runtime this is.
    pub async fn look<T: DeserializeOwned>(
        &self,
        client: &reqwest::Client,
        path: &[&str],
    ) -> Answer<T> {
        let url = match self.address(path) {
            Ok(url) => url,
            Err(why) => return Answer::Refused(format!("{why:#}")),
        };
        let answer = match self.send(client, Method::GET, &url, None).await {
            Ok((status, text)) => said(&url, status, text),
            Err(NotAsked(why)) => Answer::Away(why),
        };
        answer.map(|text| match serde_json::from_str(&text) {
            Ok(one) => Answer::Here(one),
            Err(why) => Answer::Away(not_ours(&url, &why)),
        })
    }

    /// The address of a page, for people: without what only the request needs.
    pub fn page(&self, path: &[&str]) -> String {
        let Ok(mut url) = self.address(path) else { return String::new() };
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return String::new();
        }
        url.to_string()
    }

    pub fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.call(Method::GET, &self.address(path)?, None)
    }

    /// What is no JSON, as it comes.
    pub fn text(&self, path: &[&str]) -> anyhow::Result<String> {
        self.fetch(Method::GET, &self.address(path)?, None)
    }

    /// What a link of such a text points at.
    pub fn linked(&self, path: &[&str], link: &str) -> anyhow::Result<String> {
        self.fetch(Method::GET, &self.address(path)?.join(link)?, None)
    }

    /// The same with a query: `days=7`.
    pub fn ask<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> anyhow::Result<T> {
        let mut url = self.address(path)?;
        url.set_query(Some(query));
        self.call(Method::GET, &url, None)
    }

    /// The same with what people typed: each value is one, whatever is in it.
    pub fn ask_of<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let mut url = self.address(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.call(Method::GET, &url, None)
    }

    pub fn post<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> anyhow::Result<T> {
        self.call(Method::POST, &self.address(path)?, Some(body))
    }

    fn not_reached(&self, why: &reqwest::Error) -> NotAsked {
        let mut cause: &dyn std::error::Error = why;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        NotAsked(format!("no deployguard answers at {}: {cause}", self.url))
    }

    /// What people type is never taken for more than one step of the path.
    fn address(&self, path: &[&str]) -> anyhow::Result<Url> {
        let wrong = || format!("`{}` is no address: give http://HOST:PORT", self.url);
        let mut url = Url::parse(&self.url).with_context(wrong)?;
        url.path_segments_mut().ok().with_context(wrong)?.pop_if_empty().extend(path);
        Ok(url)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let text = self.fetch(method, url, body)?;
        Ok(serde_json::from_str(&text).map_err(|why| NotAsked(not_ours(url, &why)))?)
    }

    async fn send(
        &self,
        client: &reqwest::Client,
        method: Method,
        url: &Url,
        body: Option<&Value>,
    ) -> Result<(StatusCode, String), NotAsked> {
        let mut request = client.request(method, url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|why| self.not_reached(&why))?;
        let status = response.status();
        let text = response.text().await.map_err(|why| self.not_reached(&why))?;
        Ok((status, text))
    }

    fn fetch(&self, method: Method, url: &Url, body: Option<&Value>) -> anyhow::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let client = Self::client(Duration::from_secs(20))?;
            let (status, text) = self.send(&client, method, url, body).await?;
            match said(url, status, text) {
                Answer::Here(text) => Ok(text),
                Answer::None(why) | Answer::Refused(why) => bail!("{why}"),
                // Nothing was decided: it may be asked again.
                Answer::Away(why) => Err(NotAsked(why).into()),
            }
        })
    }
}

fn not_ours(url: &Url, why: &serde_json::Error) -> String {
    format!("{url} answered what is not deployguard's: {why}")
}

/// What a deployguard, or whoever stands before it, means by a response.
fn said(url: &Url, status: StatusCode, text: String) -> Answer<String> {
    if status.is_success() {
        return Answer::Here(text);
    }
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(detail) = problem["detail"].as_str() else {
        return Answer::Away(format!("{url} answered {status} and not as a deployguard does"));
    };
    match status {
        StatusCode::NOT_FOUND => Answer::None(detail.to_owned()),
        StatusCode::UNAUTHORIZED => {
            Answer::Refused(format!("{detail} (--token or DEPLOYGUARD_TOKEN)"))
        }
        // Nobody has refused anything.
        StatusCode::TOO_MANY_REQUESTS => Answer::Away(detail.to_owned()),
        broken if broken.is_server_error() => Answer::Away(detail.to_owned()),
        _ => Answer::Refused(detail.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> &'static str {
        let url = Url::parse("http://d/api").unwrap();
        match said(&url, StatusCode::from_u16(status).unwrap(), body.to_owned()) {
            Answer::Here(_) => "here",
            Answer::None(_) => "none",
            Answer::Refused(_) => "refused",
            Answer::Away(_) => "away",
        }
    }

    #[test]
    fn only_what_a_deployguard_refuses_is_refused() {
        let problem = r#"{"detail":"no"}"#;
        for (status, of_ours, of_others) in [
            (200, "here", "here"),
            (401, "refused", "away"),
            (403, "refused", "away"),
            (404, "none", "away"),
            (409, "refused", "away"),
            (429, "away", "away"),
            (500, "away", "away"),
            (502, "away", "away"),
            (503, "away", "away"),
            (504, "away", "away"),
        ] {
            assert_eq!(kind(status, problem), of_ours, "{status}");
            assert_eq!(kind(status, "<html>not found</html>"), of_others, "{status}");
        }
    }

    #[test]
    fn the_address_of_a_page_has_no_password() {
        let server = Server { url: "https://ci:secret@d/guard/".into(), token: None };
        assert_eq!(server.page(&["api", "a/b"]), "https://d/guard/api/a%2Fb");
    }
}
