//! Notifiers: they deliver finished words, and say whether another try may help.

pub mod elsewhere;
pub mod email;
pub mod github;
mod http;
pub mod pagerduty;
pub mod slack;
pub mod webhook;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Notice, Signal};
pub use words::TEST;

/// Said where whoever is asked has been asked too often.
pub const LIMITED: &str = "it limits the rate";
/// How long to wait for people to mend a token, a password or a scope.
const MENDING: Duration = Duration::from_mins(5);
/// The longest wait that is accepted from a service, so that no answer parks a message for
/// ever.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A notice with its address.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    pub notice: Notice,
    pub channel: String,
    /// Ids of the people and groups that a page mentions.
    pub mentions: Vec<String>,
    /// The deployment's message, once it has been delivered.
    pub thread: Option<Thread>,
    /// True when an earlier try may have been delivered: look for it first.
    pub maybe_sent: bool,
    /// True when a reply waits no longer for the deployment's message to go under.
    pub alone: bool,
}

/// The files of a letter, made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What stands over them, one line.
    pub comment: String,
    pub files: Vec<Enclosure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enclosure {
    /// What its name begins with; need not be fit for one.
    pub stem: String,
    pub extension: &'static str,
    pub title: String,
    /// What a picture shows, for those who cannot see it.
    pub alt: Option<String>,
    /// `image/png`.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// A message that replies go under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The channel id as the service answered it.
    pub channel: String,
    /// The message's id.
    pub ts: String,
}

/// Why a letter was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliverError {
    /// Another try may help, not before `retry_after` where the service said so.
    #[error("{reason}")]
    Transient { reason: String, retry_after: Option<Duration> },
    /// The same letter will be refused again.
    #[error("{0}")]
    Permanent(String),
}

/// What a probe came to that was answered, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    Well(String),
    /// Something answers, and perhaps not what is told.
    Oddly(String),
}

/// One way to reach people.
#[expect(async_fn_in_trait, reason = "used with concrete types inside this crate only")]
pub trait Notifier {
    /// Delivers one letter. Bounded in time. Returns the message it made or edited.
    async fn deliver(&self, letter: &Letter) -> Result<Thread, DeliverError>;
}

/// A signal on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Unique for ever: what a repeated call is recognised by.
    pub key: String,
    /// When it was said.
    pub at: Timestamp,
    /// When this try is made: what is signed says so.
    pub now: Timestamp,
    pub signal: Signal,
}
