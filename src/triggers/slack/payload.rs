//! What Slack says of a press, read. Pure.

use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::model::{About, Command, HoldTime};

/// A button that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    pub command: Command,
    pub about: About,
    /// Of a hold: until when; `None`: as long as the policy allows.
    pub until: Option<Timestamp>,
    pub team: String,
    /// The person's own workspace, where Slack names it.
    pub user_team: Option<String>,
    pub user: String,
    /// "dana (U0123)".
    pub by: String,
    /// Of this one press for ever.
    pub key: String,
    pub response_url: Option<String>,
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    #[error("the payload is not Slack's: {0}")]
    NotSlacks(String),
    /// In order, and none of our buttons.
    #[error("{0}")]
    NotOurs(String),
}

const NAME: usize = 60;

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    team: Option<Id>,
    user: Option<User>,
    message: Option<Message>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
    name: Option<String>,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    ts: String,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "action_id")]
    id: String,
    #[serde(default)]
    block_id: String,
    #[serde(default, rename = "action_ts")]
    ts: String,
    value: Option<String>,
    selected_option: Option<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    value: String,
}

/// Reads the `payload` of an interaction.
///
/// # Errors
/// It is none, or about no button of ours.
pub fn read(text: &str) -> Result<Pressed, Unread> {
    let payload: Payload =
        serde_json::from_str(text).map_err(|error| Unread::NotSlacks(error.to_string()))?;
    if payload.kind != "block_actions" {
        return Err(Unread::NotOurs(format!("a `{}`", payload.kind)));
    }
    let missing = |what: &str| Unread::NotSlacks(format!("no {what}"));
    let (user, message) = (
        payload.user.ok_or_else(|| missing("user"))?,
        payload.message.ok_or_else(|| missing("message"))?,
    );
    let [action] = payload.actions.as_slice() else {
        return Err(Unread::NotSlacks(format!("{} actions", payload.actions.len())));
    };
    let name = action.id.strip_prefix("deployguard.");
    let command = name.and_then(Command::named);
    let command = command.ok_or_else(|| Unread::NotOurs(format!("the action `{}`", action.id)))?;
    let chosen = action.selected_option.as_ref().map(|choice| choice.value.as_str());
    let value = action.value.as_deref().unwrap_or(&action.block_id);
    let about = About::read(value).ok_or_else(|| missing("watch in the button's value"))?;
    let until = match (command, chosen) {
        (Command::Hold, Some(chosen)) => {
            HoldTime::read(chosen).ok_or_else(|| missing("time in the choice"))?
        }
        (Command::Hold, None)
        | (Command::Ack | Command::Resume | Command::Rollback | Command::Cancel, _) => None,
    };
    let parts = [&message.ts, &action.ts, &user.id, &action.id, value, chosen.unwrap_or("")];
    let key = digest(&parts);
    Ok(Pressed {
        command,
        about,
        until,
        team: payload.team.ok_or_else(|| missing("team"))?.id,
        by: in_words(&user),
        user_team: user.team_id,
        user: user.id,
        key,
        response_url: payload.response_url,
    })
}

/// The id tells who it is; the name only helps to read it.
fn in_words(user: &User) -> String {
    let name = user.username.as_ref().or(user.name.as_ref());
    let kept = |char: &char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_' | ' ' | '\'');
    let name: String =
        name.into_iter().flat_map(|name| name.chars()).filter(kept).take(NAME).collect();
    let id: String = user.id.chars().filter(char::is_ascii_alphanumeric).take(NAME).collect();
    match name.trim() {
        "" => id,
        name => format!("{name} ({id})"),
    }
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).fold(String::from("slack-"), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payload() -> Value {
        json!({
            "type": "block_actions",
            "team": { "id": "T0SHOP", "domain": "shop" },
            "user": { "id": "U0DANA", "username": "dana", "name": "dana", "team_id": "T0SHOP" },
            "container": { "type": "message", "message_ts": "1700000000.000100" },
            "message": { "ts": "1700000000.000100", "blocks": [] },
            "response_url": "https://hooks.slack.com/actions/T0SHOP/1/x",
            "actions": [{
                "type": "button", "action_id": "deployguard.rollback", "block_id": "b",
                "action_ts": "1700000060.1", "value": "api-1a2b#1",
            }],
        })
    }

    fn pressed(payload: &Value) -> Result<Pressed, Unread> {
        read(&payload.to_string())
    }

    #[test]
    fn a_press_says_what_of_which_watch_and_who() {
        let read = pressed(&payload()).unwrap();
        assert_eq!(read.command, Command::Rollback);
        assert_eq!(read.about.to_string(), "api-1a2b#1");
        assert_eq!((read.by.as_str(), read.team.as_str()), ("dana (U0DANA)", "T0SHOP"));
    }

    #[test]
    fn a_choice_carries_its_time_and_its_block_the_watch() {
        let mut payload = payload();
        payload["actions"][0] = json!({
            "type": "static_select", "action_id": "deployguard.hold", "block_id": "api-1a2b#2",
            "action_ts": "1700000060.1", "selected_option": { "value": "1700000300" },
        });
        let read = pressed(&payload).unwrap();
        assert_eq!(read.until, Timestamp::from_second(1_700_000_300).ok());
        assert_eq!(read.about.incident, 2);
        payload["actions"][0]["selected_option"]["value"] = json!("soon");
        assert!(matches!(pressed(&payload), Err(Unread::NotSlacks(_))));
    }

    #[test]
    fn each_part_of_a_press_tells_it_from_another() {
        let first = pressed(&payload()).unwrap().key;
        assert_eq!(pressed(&payload()).unwrap().key, first);
        let changes: [(&str, Value); 4] = [
            ("/message/ts", json!("1700000000.000200")),
            ("/actions/0/action_ts", json!("1700000060.2")),
            ("/user/id", json!("U0OTHER")),
            ("/actions/0/value", json!("api-1a2b#2")),
        ];
        for (place, other) in changes {
            let mut payload = payload();
            *payload.pointer_mut(place).unwrap() = other;
            assert_ne!(pressed(&payload).unwrap().key, first, "{place}");
        }
    }

    #[test]
    fn what_is_no_press_of_ours_is_told_from_what_is_not_slacks() {
        for (place, other) in
            [("/type", json!("view_submission")), ("/actions/0/action_id", json!("other.app"))]
        {
            let mut payload = payload();
            *payload.pointer_mut(place).unwrap() = other;
            assert!(matches!(pressed(&payload), Err(Unread::NotOurs(_))), "{place}");
        }
        for (place, other) in [
            ("/user", json!(null)),
            ("/team", json!(null)),
            ("/message", json!(null)),
            ("/actions", json!([])),
            ("/actions/0/value", json!("api")),
        ] {
            let mut payload = payload();
            *payload.pointer_mut(place).unwrap() = other;
            assert!(matches!(pressed(&payload), Err(Unread::NotSlacks(_))), "{place}");
        }
        assert!(matches!(read("{"), Err(Unread::NotSlacks(_))));
    }

    #[test]
    fn a_name_from_outside_stays_a_name_in_the_journal() {
        let mut payload = payload();
        payload["user"]["username"] = json!("da\nna <!channel> *x*");
        assert_eq!(pressed(&payload).unwrap().by, "dana channel x (U0DANA)");
        payload["user"]["username"] = json!("\n");
        assert_eq!(pressed(&payload).unwrap().by, "U0DANA");
    }
}
