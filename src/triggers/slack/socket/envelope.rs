//! What Slack says over Socket Mode, read. Pure.

use std::fmt;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// One message of Slack's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// The connection is in use from now on.
    Hello,
    /// Something was pressed; `payload` as over HTTP.
    Interactive { id: String, payload: String },
    /// Of another kind, and none of ours; it wants its acknowledgement all the same.
    Other { id: String, kind: String },
    /// The connection ends soon.
    Leave(Leave),
}

/// Why Slack ends a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leave {
    /// As it does every few hours: another one is to take its place.
    Refresh,
    /// Socket Mode was turned off.
    Disabled,
    /// The app has more connections than Slack allows.
    TooMany,
    Other(String),
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh => f.write_str("Slack wants it replaced"),
            Self::Disabled => f.write_str("link_disabled: Socket Mode is turned off for the app"),
            Self::TooMany => {
                f.write_str("too_many_websockets: others hold every connection of the app")
            }
            Self::Other(reason) => write!(f, "Slack ends it: {reason}"),
        }
    }
}

/// The longest id, and the longest name of a kind or reason that is told, in characters.
const ID: usize = 200;
const NAME: usize = 60;

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(rename = "type")]
    kind: String,
    envelope_id: Option<String>,
    reason: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// Reads a message.
///
/// # Errors
/// It is none of Slack's, in words that repeat nothing of it.
pub fn read(text: &str) -> Result<Envelope, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no message of Socket Mode, at line {line} column {column}")
    })?;
    let kind = named(&written.kind);
    let id = written.envelope_id.filter(|id| !id.is_empty() && id.chars().count() <= ID);
    match (kind.as_str(), id, written.payload) {
        ("hello", _, _) => Ok(Envelope::Hello),
        ("disconnect", _, _) => {
            Ok(Envelope::Leave(match written.reason.as_deref().unwrap_or_default() {
                "warning" | "refresh_requested" => Leave::Refresh,
                "link_disabled" => Leave::Disabled,
                "too_many_websockets" => Leave::TooMany,
                other => Leave::Other(named(other)),
            }))
        }
        ("interactive", Some(id), Some(payload)) => {
            Ok(Envelope::Interactive { id, payload: payload.get().to_owned() })
        }
        (_, Some(id), _) => Ok(Envelope::Other { id, kind }),
        (_, None, _) => Err(format!("a message `{kind}` without an envelope_id")),
    }
}

/// What tells Slack that an envelope has come.
pub fn acknowledgement(id: &str) -> String {
    json!({ "envelope_id": id }).to_string()
}

fn named(text: &str) -> String {
    let fits = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    text.chars().filter(fits).take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_what_it_is_and_nothing_else_is_one() {
        let leave = |reason| Ok(Envelope::Leave(reason));
        let other =
            |kind: &str| Ok(Envelope::Other { id: "e-1".to_owned(), kind: kind.to_owned() });
        let press = Envelope::Interactive {
            id: "e-1".to_owned(),
            payload: r#"{ "type": "block_actions" }"#.to_owned(),
        };
        for (text, is) in [
            (
                r#"{"type":"hello","num_connections":1,"connection_info":{"app_id":"A1"}}"#,
                Ok(Envelope::Hello),
            ),
            (
                r#"{"type":"interactive","envelope_id":"e-1","payload":{ "type": "block_actions" },"accepts_response_payload":true}"#,
                Ok(press.clone()),
            ),
            (
                r#"{"retry_attempt":1,"retry_reason":"timeout","type":"interactive","envelope_id":"e-1","payload":{ "type": "block_actions" }}"#,
                Ok(press),
            ),
            (r#"{"type":"interactive","envelope_id":"e-1"}"#, other("interactive")),
            (r#"{"type":"interactive","envelope_id":"e-1","payload":null}"#, other("interactive")),
            (r#"{"type":"events_api","envelope_id":"e-1","payload":{}}"#, other("events_api")),
            (
                r#"{"type":"slash_commands","envelope_id":"e-1","payload":{}}"#,
                other("slash_commands"),
            ),
            (r#"{"type":"new\nkind","envelope_id":"e-1"}"#, other("newkind")),
            (
                r#"{"type":"disconnect","reason":"warning","debug_info":{"host":"applink"}}"#,
                leave(Leave::Refresh),
            ),
            (r#"{"type":"disconnect","reason":"refresh_requested"}"#, leave(Leave::Refresh)),
            (r#"{"type":"disconnect","reason":"link_disabled"}"#, leave(Leave::Disabled)),
            (r#"{"type":"disconnect","reason":"too_many_websockets"}"#, leave(Leave::TooMany)),
            (
                r#"{"type":"disconnect","reason":"of its own"}"#,
                leave(Leave::Other("ofitsown".to_owned())),
            ),
            (r#"{"type":"disconnect"}"#, leave(Leave::Other(String::new()))),
        ] {
            assert_eq!(read(text), is, "{text}");
        }
        for (text, why) in [
            (r#"{"type":"interactive","payload":{}}"#, "`interactive` without an envelope_id"),
            (r#"{"type":"interactive","envelope_id":"","payload":{}}"#, "without an envelope_id"),
            (r#"{"type":"interactive","envelope_id":7,"payload":{}}"#, "no message"),
            (r#"{"envelope_id":"e-1"}"#, "no message"),
            ("Ping from applink", "no message"),
            ("[]", "no message"),
            ("", "no message"),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        let long = format!(r#"{{"type":"events_api","envelope_id":"{}"}}"#, "e".repeat(ID + 1));
        assert!(read(&long).is_err());
    }

    #[test]
    fn an_acknowledgement_names_its_envelope() {
        assert_eq!(acknowledgement("e\"1"), r#"{"envelope_id":"e\"1"}"#);
    }
}
