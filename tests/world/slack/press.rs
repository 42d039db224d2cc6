//! A person presses a button: the payload as Slack builds it, of the recorded message's own
//! blocks, signed as Slack signs it.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::api::{APP, TEAM};
use super::{Message, Slack};
use crate::world::{lock, now};

/// What the stand-in signs with.
pub const SIGNING_SECRET: &str = "signing-secret-of-the-stand-in";

/// A person of the workspace.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub id: &'static str,
    pub name: &'static str,
}

/// On call: a member of the group S0ONCALL.
pub const DANA: Person = Person { id: "U0DANA0001", name: "dana" };
/// In the workspace, and in no group.
pub const EVE: Person = Person { id: "U0EVE00001", name: "eve" };

/// A request that Slack sends.
#[derive(Debug, Clone)]
pub struct Request {
    pub body: String,
    pub timestamp: String,
    pub signature: String,
}

impl Request {
    /// Signs a payload as of `age` seconds ago.
    pub fn signed(payload: &Value, age: i64, secret: &str) -> Self {
        let mut url = reqwest::Url::parse("form:/").expect("an address");
        url.query_pairs_mut().append_pair("payload", &payload.to_string());
        let body = url.query().unwrap_or_default().to_owned();
        let timestamp = (now().as_second() - age).to_string();
        let signature = sign(secret, &timestamp, &body);
        Self { body, timestamp, signature }
    }

    /// Sends it to the daemon at `url`, and answers the status.
    pub async fn send(&self, url: &str) -> anyhow::Result<u16> {
        let client = crate::world::http::client_builder().build()?;
        let answer = client
            .post(format!("{url}/slack/interactivity"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", &self.timestamp)
            .header("x-slack-signature", &self.signature)
            .body(self.body.clone())
            .send()
            .await?;
        Ok(answer.status().as_u16())
    }
}

/// HMAC-SHA256 over `v0:TIMESTAMP:BODY`, by the book (RFC 2104).
fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let mut key = [0_u8; 64];
    key[..secret.len()].copy_from_slice(secret.as_bytes());
    let pad = |with: u8| key.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(format!("v0:{timestamp}:{body}"))
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().fold("v0=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

impl Slack {
    /// The payload of a press of the button `deployguard.{command}` in a message that shows
    /// it. `choice`: which of a select's options, from the first.
    pub fn press(
        &self,
        message: &Message,
        command: &str,
        choice: usize,
        who: Person,
    ) -> anyhow::Result<Value> {
        let wanted = format!("deployguard.{command}");
        let blocks = message.blocks.as_array().context("blocks")?;
        let shown = blocks.iter().filter(|block| block["type"] == "actions").find_map(|block| {
            let mut elements = block["elements"].as_array()?.iter();
            Some((block, elements.find(|element| element["action_id"] == wanted.as_str())?))
        });
        let Some((block, element)) = shown else {
            bail!("no {wanted} to press in:\n{}", message.rendered());
        };
        let mut record = lock(&self.shared.record);
        record.presses += 1;
        let number = record.presses;
        let mut action = json!({
            "type": element["type"], "action_id": wanted, "block_id": block["block_id"],
            "action_ts": format!("{}.{number:06}", now().as_second()),
        });
        if element["type"] == "static_select" {
            let option = &element["options"][choice];
            anyhow::ensure!(option.is_object(), "no such choice in {element}");
            action["selected_option"] = option.clone();
        } else {
            action["value"] = element["value"].clone();
            action["text"] = element["text"].clone();
        }
        Ok(json!({
            "type": "block_actions",
            "api_app_id": APP,
            "team": { "id": TEAM, "domain": "shopflow" },
            "user": { "id": who.id, "username": who.name, "name": who.name, "team_id": TEAM },
            "channel": { "id": message.channel, "name": "deployments" },
            "container": {
                "type": "message", "message_ts": message.ts, "channel_id": message.channel,
                "is_ephemeral": false,
            },
            "message": { "type": "message", "ts": message.ts, "text": message.text,
                "blocks": message.blocks },
            "response_url": format!("{}/actions/{number}", self.server.url()),
            "trigger_id": format!("{number}.1.x"),
            "actions": [action],
        }))
    }

    /// What people were told alone, in order.
    pub fn told(&self) -> Vec<String> {
        lock(&self.shared.record).told.clone()
    }
}
