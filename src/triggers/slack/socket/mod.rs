//! Socket Mode: presses over a connection of our own, so that Slack need not reach us.
//!
//! `apps.connections.open` gives an address that holds a ticket, so it is a secret and
//! stands in no error and no log. The handshake is a request of the client that is used
//! everywhere here, with its TLS and its proxy.

mod envelope;
mod line;

use std::time::Duration;

use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Client, StatusCode, Upgraded, Url, redirect};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::wire::{Refusal, Wire, lost};
pub use envelope::{Envelope, Leave, acknowledgement, read as read_envelope};
pub use line::Socket;

/// How long the handshake and Slack's hello may take together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where connections of Socket Mode are had.
pub struct Door {
    wire: Wire,
    client: Client,
    api: Url,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    #[error("{words}")]
    Refused {
        words: String,
        /// Slack's name for it; empty: it gave none.
        code: String,
        /// How long Slack wants not to be asked.
        wait: Option<Duration>,
    },
    #[error("{0}")]
    Left(Leave),
    #[error("{0}")]
    Lost(String),
}

impl Shut {
    /// What people have to do about it; `None`: nothing, it may pass.
    pub fn mend(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. } => match code.as_str() {
                "missing_scope" => Some("give the app-level token the scope connections:write"),
                "not_allowed_token_type" => {
                    Some("see slack.app_token: an app-level token, xapp-..., and no bot's")
                }
                "invalid_auth" | "not_authed" | "token_revoked" | "token_expired"
                | "account_inactive" => Some("see slack.app_token: make a new app-level token"),
                _ => None,
            },
            Self::Left(Leave::Disabled) => Some("turn Socket Mode on in the app's settings"),
            Self::Left(Leave::TooMany) => Some("end what else is connected with this app"),
            Self::Left(Leave::Refresh | Leave::Other(_)) | Self::Lost(_) => None,
        }
    }
}

impl Door {
    /// Nothing is sent.
    ///
    /// # Errors
    /// What of the settings is no use, in words.
    pub fn new(api_url: &str, app_token: &str) -> Result<Self, String> {
        let api = Url::parse(api_url).map_err(|error| format!("slack.api_url: {error}"))?;
        let client = Client::builder()
            .http1_only()
            .connect_timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { wire: Wire::new(api_url, app_token)?, client, api })
    }

    /// Opens a connection, and returns once Slack has said hello.
    ///
    /// # Errors
    /// Slack gives none, or does not keep it.
    pub async fn open(&self) -> Result<Socket, Shut> {
        const METHOD: &str = "apps.connections.open";
        let refused = |Refusal { words, code, wait }| Shut::Refused { words, code, wait };
        let answer = self.wire.ask(METHOD, &[]).await.map_err(refused)?;
        let url = answer["url"].as_str().and_then(|url| address(url, &self.api));
        let url = url.ok_or_else(|| Shut::Lost(format!("{METHOD} names no wss:// address")))?;
        let opening = async {
            let wire = self.shake_hands(url).await.map_err(Shut::Lost)?;
            let mut socket = Socket::new(wire);
            let first = socket.next().await.map_err(Shut::Lost)?;
            match read_envelope(&first).map_err(Shut::Lost)? {
                Envelope::Hello => Ok(socket),
                Envelope::Leave(why) => Err(Shut::Left(why)),
                Envelope::Interactive { .. } | Envelope::Other { .. } => {
                    Err(Shut::Lost("its first message is no hello".to_owned()))
                }
            }
        };
        let silent = || Shut::Lost(format!("no hello within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, opening).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn shake_hands(&self, url: Url) -> Result<Upgraded, String> {
        let key = generate_key();
        let asked = self
            .client
            .get(url)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key);
        let answer = asked.send().await.map_err(|error| lost(&error))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(format!("HTTP {} in place of a WebSocket", answer.status()));
        }
        let accepted = answer.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted
            .is_none_or(|key_of| key_of.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err("the answer is no WebSocket's".to_owned());
        }
        answer.upgrade().await.map_err(|_| "it was cut in its handshake".to_owned())
    }
}

/// The address for the request that opens it. In clear only where the API itself is, which
/// the settings allow on this machine alone.
fn address(text: &str, api: &Url) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let scheme = match url.scheme() {
        "wss" => "https",
        "ws" if api.scheme() == "http" && api.host() == url.host() => "http",
        _ => return None,
    };
    url.set_scheme(scheme).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_travels_in_clear_on_this_machine_only() {
        let (slack, here) = ("https://slack.com/api/", "http://127.0.0.1:8081/api/");
        for (url, api, is) in [
            (
                "wss://wss-primary.slack.com/link/?ticket=1",
                slack,
                Some("https://wss-primary.slack.com/link/?ticket=1"),
            ),
            ("ws://127.0.0.1:9/?ticket=1", here, Some("http://127.0.0.1:9/?ticket=1")),
            ("ws://wss-primary.slack.com/?ticket=1", slack, None),
            ("ws://wss-primary.slack.com/?ticket=1", here, None),
            ("https://slack.com/", slack, None),
            ("link", slack, None),
        ] {
            let found = address(url, &Url::parse(api).unwrap());
            assert_eq!(found.as_ref().map(Url::as_str), is, "{url} by {api}");
        }
    }
}
