//! Slack's methods that we call, each once and under a time-out.

use std::fmt;
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use slack_morphism::prelude::*;
use tokio::time::timeout;

use super::fault::Fault;
use crate::notify::Thread;

/// Messages asked for at once, and how many such pages are read at most.
const PAGE: &str = "200";
const PAGES: usize = 5;

/// Why Slack cannot be reached with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("the Slack API's address must begin with https:// or http://, not {0:?}")]
    Address(String),
    #[error("the Slack token is empty or holds characters that no token has")]
    Token,
    #[error("cannot set up TLS for Slack: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot read the system's root certificates: {0}")]
    Roots(#[from] std::io::Error),
}

/// A client without retries of its own: the outbox decides about those.
pub(super) struct Api {
    client: SlackHyperClient,
    token: SlackApiToken,
    time_out: Duration,
    /// Whether the API is spoken to in the clear, as a stand-in is.
    in_the_clear: bool,
}

/// Shows nothing of the token.
impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("time_out", &self.time_out).finish_non_exhaustive()
    }
}

/// Where to look for messages, newest or oldest first as Slack pleases.
pub(super) enum Place<'a> {
    /// The channel itself, from a time on (seconds since 1970).
    Channel { channel: &'a str, since: i64 },
    /// Everything in a thread.
    Thread(&'a Thread),
}

/// Where the bytes of a file go.
#[derive(Deserialize)]
pub(super) struct UploadPlace {
    pub upload_url: String,
    pub file_id: String,
}

#[derive(Deserialize)]
struct Anything {}

#[derive(Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

/// Messages stay untyped: other apps' messages are in there too.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    response_metadata: Value,
}

impl Api {
    pub(super) fn connect(
        api_url: &str,
        token: &str,
        time_out: Duration,
    ) -> Result<Self, ConnectError> {
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ConnectError::Token);
        }
        let in_the_clear = api_url.starts_with("http://");
        let builder = HttpsConnectorBuilder::new();
        let builder = if api_url.starts_with("https://") {
            builder.with_provider_and_native_roots(ring::default_provider())?
        } else if in_the_clear {
            builder.with_tls_config(without_roots()?)
        } else {
            return Err(ConnectError::Address(api_url.to_owned()));
        };
        let connector = builder.https_or_http().enable_all_versions().build();
        let connector = SlackClientHyperConnector::with_connector(connector)
            .with_slack_api_url(api_url.trim_end_matches('/'));
        let client = SlackClient::new(connector);
        Ok(Self { client, token: SlackApiToken::new(token.into()), time_out, in_the_clear })
    }

    pub(super) fn with_time_out(self, time_out: Duration) -> Self {
        Self { time_out, ..self }
    }

    /// `chat.postMessage`, under `thread` if given.
    pub(super) async fn post(
        &self,
        channel: &str,
        content: SlackMessageContent,
        thread: Option<&str>,
        broadcast: bool,
    ) -> Result<Thread, Fault> {
        let request = SlackApiChatPostMessageRequest::new(channel.into(), content)
            .opt_thread_ts(thread.map(Into::into))
            .opt_reply_broadcast((broadcast && thread.is_some()).then_some(true))
            .with_link_names(false)
            .with_unfurl_links(false)
            .with_unfurl_media(false);
        let posted: Posted = self.call("chat.postMessage", &request).await?;
        Ok(Thread { channel: posted.channel, ts: posted.ts })
    }

    /// `chat.update`.
    pub(super) async fn update(
        &self,
        message: &Thread,
        content: SlackMessageContent,
    ) -> Result<Thread, Fault> {
        let (channel, ts) = (message.channel.as_str().into(), message.ts.as_str().into());
        let request = SlackApiChatUpdateRequest::new(channel, content, ts).with_link_names(false);
        let posted: Posted = self.call("chat.update", &request).await?;
        Ok(Thread { channel: posted.channel, ts: posted.ts })
    }

    /// `files.getUploadURLExternal`.
    pub(super) async fn upload_place(
        &self,
        name: &str,
        length: usize,
        alt: Option<&str>,
    ) -> Result<UploadPlace, Fault> {
        let length = length.to_string();
        let params =
            vec![("filename", Some(name)), ("length", Some(length.as_str())), ("alt_txt", alt)];
        let session = self.client.open_session(&self.token);
        let asked = session.http_session_api.http_get("files.getUploadURLExternal", &params, None);
        bounded(self.time_out, asked).await
    }

    /// Brings the bytes of a file to its place, which knows nothing of our token.
    pub(super) async fn bring(&self, place: &str, kind: &str, bytes: &[u8]) -> Result<(), Fault> {
        let odd = || Fault::Unanswered("the place for the file is no address".to_owned());
        let url = reqwest::Url::parse(place).map_err(|_| odd())?;
        if url.scheme() != "https" && !(self.in_the_clear && url.scheme() == "http") {
            return Err(odd());
        }
        let span = tracing::Span::none();
        let context = SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let connector = &self.client.http_api.connector;
        let brought = connector.http_post_uri_binary(url, kind.to_owned(), bytes, context);
        bounded::<Anything>(self.time_out, brought).await.map(drop)
    }

    /// `files.completeUploadExternal`: all of `files` (id and title) in one message.
    pub(super) async fn complete(
        &self,
        files: Vec<(String, String)>,
        thread: &Thread,
        comment: &str,
    ) -> Result<(), Fault> {
        let files = files
            .into_iter()
            .map(|(id, title)| SlackApiFilesComplete::new(id.into()).with_title(title));
        let request = SlackApiFilesCompleteUploadExternalRequest::new(files.collect())
            .with_channel_id(thread.channel.as_str().into())
            .with_thread_ts(thread.ts.as_str().into())
            .with_initial_comment(comment.to_owned());
        self.call::<_, Anything>("files.completeUploadExternal", &request).await.map(drop)
    }

    /// The first message in `place` that `wanted` picks, with what it made of it.
    pub(super) async fn find<T>(
        &self,
        place: &Place<'_>,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let mut cursor = None;
        for _ in 0..PAGES {
            let page = self.page(place, cursor.as_deref()).await?;
            if let Some(found) = page.messages.iter().find_map(&wanted) {
                return Ok(Some(found));
            }
            match page.response_metadata["next_cursor"].as_str() {
                Some(next) if !next.is_empty() => cursor = Some(next.to_owned()),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn page(&self, place: &Place<'_>, cursor: Option<&str>) -> Result<Page, Fault> {
        let (method, channel, ts, oldest) = match place {
            Place::Channel { channel, since } => {
                ("conversations.history", *channel, None, Some(since.to_string()))
            }
            Place::Thread(thread) => {
                let ts = Some(thread.ts.as_str());
                ("conversations.replies", thread.channel.as_str(), ts, None)
            }
        };
        let params = vec![
            ("channel", Some(channel)),
            ("ts", ts),
            ("oldest", oldest.as_deref()),
            ("cursor", cursor),
            ("limit", Some(PAGE)),
            ("include_all_metadata", Some("true")),
        ];
        let session = self.client.open_session(&self.token);
        bounded(self.time_out, session.http_session_api.http_get(method, &params, None)).await
    }

    async fn call<RQ, RS>(&self, method: &str, request: &RQ) -> Result<RS, Fault>
    where
        RQ: serde::Serialize + Send + Sync,
        RS: for<'de> Deserialize<'de> + Send,
    {
        let session = self.client.open_session(&self.token);
        bounded(self.time_out, session.http_session_api.http_post(method, request, None)).await
    }
}

async fn bounded<T>(
    time_out: Duration,
    call: impl Future<Output = ClientResult<T>>,
) -> Result<T, Fault> {
    match timeout(time_out, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Unanswered(format!("time-out after {time_out:?}"))),
    }
}

/// For plain http, which needs no certificates: the machine may have none.
fn without_roots() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}
