//! Amazon STS: the query protocol, whose requests are forms and whose answers are XML.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::model::Settings;

/// How long a role's credentials are good.
const VALID: SignedDuration = SignedDuration::from_hours(1);
/// What its access keys begin with; a user's begin with `AKIA`.
const TEMPORARY: &str = "ASIA";

/// Who may take which role on, and who has.
#[derive(Debug, Default)]
pub(super) struct Sts {
    /// The one role of the account; `None`: everybody may do everything as they are.
    trust: Option<Trust>,
    /// Access keys, with the role's session in an ARN.
    issued: BTreeSet<String>,
}

#[derive(Debug)]
struct Trust {
    role: String,
    external_id: String,
}

/// An error's code and message.
type Refused = (&'static str, String);

impl Sts {
    /// From now on nothing is done but for this role.
    pub fn trust(&mut self, role: &str, external_id: &str) {
        self.trust = Some(Trust { role: role.to_owned(), external_id: external_id.to_owned() });
    }

    /// Whether calls with this access key are answered.
    pub fn admits(&self, access_key: &str) -> bool {
        self.trust.is_none() || self.issued.contains(access_key)
    }

    pub fn call(
        &mut self,
        (operation, body): (&str, &Value),
        access_key: &str,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Value, Refused> {
        match operation {
            "AssumeRole" => self.assume(body, settings, now),
            "GetCallerIdentity" => Ok(self.identity(access_key, settings)),
            other => Err(("InvalidAction", format!("Could not find operation {other}"))),
        }
    }

    fn assume(
        &mut self,
        body: &Value,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Value, Refused> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let role = text("RoleArn");
        let trusted = self
            .trust
            .as_ref()
            .is_some_and(|one| one.role == role && one.external_id == text("ExternalId"));
        if !trusted {
            let user = format!("arn:aws:iam::{}:user/deployguard", settings.account);
            let words = format!(
                "User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}"
            );
            return Err(("AccessDenied", words));
        }
        let key = format!("{TEMPORARY}{:016}", self.issued.len());
        self.issued.insert(key.clone());
        let until = now.checked_add(VALID).unwrap_or(now);
        Ok(json!({
            "Credentials": {
                "AccessKeyId": key,
                "SecretAccessKey": "a-secret-for-a-while",
                "SessionToken": "a-session",
                "Expiration": until.as_second(),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": format!("AROAEXAMPLE:{}", text("RoleSessionName")),
                "Arn": session(role, text("RoleSessionName")),
            },
        }))
    }

    fn identity(&self, access_key: &str, settings: &Settings) -> Value {
        let account = &settings.account;
        let role = self.trust.as_ref().filter(|_| self.issued.contains(access_key));
        let arn = role.map_or_else(
            || format!("arn:aws:iam::{account}:user/deployguard"),
            |trust| session(&trust.role, "deployguard"),
        );
        json!({ "UserId": "AIDAEXAMPLE", "Account": account, "Arn": arn })
    }
}

/// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
fn session(role: &str, session: &str) -> String {
    let role = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    format!("{role}/{session}")
}

/// Whether a request is one of the query protocol.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// A form as operation and parameters; `None`: it names no operation of STS.
pub(super) fn read(body: &[u8]) -> Option<(String, Value)> {
    let text = std::str::from_utf8(body).ok()?;
    let url = reqwest::Url::parse(&format!("http://sts/?{text}")).ok()?;
    let mut given: Map<String, Value> =
        url.query_pairs().map(|(name, value)| (name.into(), json!(value))).collect();
    let operation = given.remove("Action")?.as_str()?.to_owned();
    (given.remove("Version")? == "2011-06-15").then_some((operation, Value::Object(given)))
}

/// The access key that a request is signed with.
pub(super) fn access_key(headers: &HeaderMap) -> &str {
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = signed.and_then(|text| text.split_once("Credential="));
    key.and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
}

const REQUEST: &str = "00000000-0000-4000-8000-000000000000";
const SPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An answer as XML.
pub(super) fn response(operation: &str, answer: &Value) -> Response {
    let text = format!(
        "<{operation}Response xmlns=\"{SPACE}\"><{operation}Result>{}</{operation}Result>\
         <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata>\
         </{operation}Response>",
        xml(answer)
    );
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/xml")], text).into_response()
}

/// An error of the query protocol as XML.
pub(super) fn failed(status: StatusCode, answer: &Value) -> Response {
    let word = |name: &str| escaped(answer[name].as_str().unwrap_or_default());
    let text = format!(
        "<ErrorResponse xmlns=\"{SPACE}\"><Error><Type>Sender</Type><Code>{}</Code>\
         <Message>{}</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>",
        word("__type"),
        word("message")
    );
    (status, [(header::CONTENT_TYPE, "text/xml")], text).into_response()
}

fn xml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let tag = |(name, inner): (&String, &Value)| format!("<{name}>{}</{name}>", xml(inner));
            members.iter().map(tag).collect::<Vec<_>>().concat()
        }
        // The only numbers of STS are times.
        Value::Number(number) => {
            let at = Timestamp::from_second(number.as_i64().unwrap_or_default());
            at.map(|at| at.to_string()).unwrap_or_default()
        }
        other => escaped(other.as_str().unwrap_or_default()),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
