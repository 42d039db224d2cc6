//! A signal as a letter: plain text, of one thread per incident. Pure.

use std::time::{Duration, SystemTime};

use jiff::SignedDuration;
use lettre::Message;
use lettre::error::Error;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use sha2::{Digest, Sha256};

use crate::model::Turn;
use crate::notify::slack::text::line;
use crate::notify::{Call, words};

/// The longest subject, in characters.
const SUBJECT: usize = 200;

/// Says that no person wrote it, so that no machine answers (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The letter for a call. Repeated, it is the same to the last byte. `home`: where the
/// daemon is found.
///
/// # Errors
/// It has no sender or nobody to go to.
pub fn letter(
    call: &Call,
    from: &Mailbox,
    to: &[Mailbox],
    home: Option<&str>,
) -> Result<Message, Error> {
    let signal = &call.signal;
    let domain = from.email.domain();
    // No letter has this id: mail clients put together what refers to one, and nobody knows
    // which letter of an incident somebody got first.
    let thread = id(&signal.incident, domain);
    let builder = to.iter().fold(Message::builder().from(from.clone()), |builder, to| {
        MessageBuilder::to(builder, to.clone())
    });
    builder
        .date(date(call))
        .message_id(Some(id(&call.key, domain)))
        .in_reply_to(thread.clone())
        .references(thread)
        .subject(subject(call))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .body(text(call, home))
}

/// `[SEV1] shopflow-api v1.5.0 in production: a person is needed`.
fn subject(call: &Call) -> String {
    let signal = &call.signal;
    let what = words::turn(&signal.turn);
    line(&format!("[{}] {}: {what}", signal.severity, signal.title), SUBJECT)
}

fn text(call: &Call, home: Option<&str>) -> String {
    let signal = &call.signal;
    let facts = &signal.deployment.facts;
    let mut lines = vec![line(&signal.headline, words::LINE), String::new()];
    let fields = words::fields(signal);
    if !fields.is_empty() {
        lines.extend(fields.into_iter().map(|(label, value)| format!("{label}: {value}")));
        lines.push(String::new());
    }
    let evidence = words::evidence(signal);
    if !evidence.is_empty() {
        lines.push("Measured:".to_owned());
        lines.extend(evidence.into_iter().map(|text| format!("- {text}")));
        lines.push(String::new());
    }
    let told = [
        ("Author", facts.author.clone()),
        ("Commit", facts.commit.clone()),
        ("Deployment", Some(signal.deployment.id.clone())),
        ("Service", Some(signal.deployment.service.key.to_string())),
        ("Policy", Some(signal.policy.clone())),
        ("Link", words::link(signal)),
        ("Watch", words::of_watch(signal, home)),
    ];
    for (label, value) in told {
        let Some(value) = value else { continue };
        lines.push(format!("{label}: {}", line(&value, words::LINE)));
    }
    lines.push(String::new());
    lines.push(line(&what_to_do(call), words::LINE));
    lines.join("\r\n") + "\r\n"
}

/// What is left to whoever reads it.
fn what_to_do(call: &Call) -> String {
    let signal = &call.signal;
    let id = words::watch(signal);
    // No watch is called so: `doctor` has made it up.
    if signal.deployment.id == words::TEST {
        return "This is a test: there is nothing to do.".to_owned();
    }
    match &signal.turn {
        Turn::Opened | Turn::Called => format!(
            "Acknowledge in the deployment's thread, or with `deployguard ack {id}`: nobody else \
             is called then."
        ),
        Turn::NeedsHelp => format!(
            "A person has to act: see the deployment's thread, or `deployguard watches {id}`."
        ),
        Turn::Acknowledged { by } => format!(
            "{by} sees to it, and nobody else is called. How it stands: `deployguard watches {id}`."
        ),
        Turn::RolledBack { .. } => format!(
            "The numbers are watched until they are well again: `deployguard watches {id}`."
        ),
        Turn::Resolved => {
            format!("It is over: there is nothing to do. What happened: `deployguard report {id}`.")
        }
        Turn::Closed => format!(
            "It is not resolved, and nobody watches it any more. What happened: \
             `deployguard report {id}`."
        ),
    }
}

/// When it was said: the same however often it is sent.
fn date(call: &Call) -> SystemTime {
    let since = call.at.as_duration().max(SignedDuration::ZERO);
    SystemTime::UNIX_EPOCH + Duration::try_from(since).unwrap_or_default()
}

/// `<DIGEST@DOMAIN>`.
fn id(text: &str, domain: &str) -> String {
    let digest = Sha256::digest(text);
    let head: [u8; 16] = std::array::from_fn(|i| digest[i]);
    format!("<{:032x}@{domain}>", u128::from_be_bytes(head))
}
