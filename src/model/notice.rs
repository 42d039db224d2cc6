//! What is said to people, as facts and finished words; how it looks is the notifier's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{GitHubNote, Offer, Recipient, Signal, Verdict, WatchId};

/// One message to people, kept in the outbox until it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub watch: WatchId,
    /// Unique for ever: what a repeated delivery is recognised by.
    pub key: String,
    /// When it is said; not delivered before.
    pub at: Timestamp,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The deployment's one message, edited in place. A newer card replaces an
    /// undelivered older one.
    Card(Card),
    /// A new message in the deployment's thread.
    Reply(Reply),
    /// Pictures of checks, and the incident's report, in the deployment's thread. Only what
    /// is to be shown: it is made of the journal up to the notice's time when it is
    /// delivered.
    Files { charts: Vec<String>, report: bool },
    /// A turn of the incident, for those who are told elsewhere.
    Signal { to: Vec<Recipient>, signal: Box<Signal> },
    /// What is written at GitHub.
    GitHub(Box<GitHubNote>),
}

/// How a message should strike the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Quiet,
    Good,
    Warn,
    Bad,
}

/// The state of a deployment at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub tone: Tone,
    /// "shopflow-api v1.5.0 in production".
    pub title: String,
    /// Where it stands, one line: "watching, short-term phase until 11:30 UTC".
    pub status: String,
    /// Version and time, label and value: the first line of the box.
    #[serde(default)]
    pub head: Vec<(String, String)>,
    /// "by dana · commit 4f1c2aa · shopflow-api:42 (was :41)".
    pub about: Vec<String>,
    /// Link to the pipeline or release, if announced.
    pub url: Option<String>,
    /// The open incident in ShopFlow's six fields; empty without one.
    #[serde(default)]
    pub incident: Vec<(String, String)>,
    /// What is measured, in order.
    #[serde(default)]
    pub tiles: Vec<Tile>,
    /// What is well or not.
    #[serde(default)]
    pub health: Vec<Health>,
    /// "policy shopflow-production (policies/shopflow.yaml at 4f1c2aa), mode auto".
    pub footer: String,
    /// What can be done about it now.
    #[serde(default)]
    pub offers: Vec<Offer>,
}

/// One measured thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tile {
    pub name: String,
    pub verdict: Verdict,
    /// "0.05%", or why there is no value.
    pub value: String,
    /// Against what it was before; `None` where that is not known.
    pub trend: Option<Trend>,
    /// "+40%, before 0.04%", "normal", "stable".
    pub note: String,
    /// "limit > 10%"; without a breach all of them: "normal < 0.1% · SEV1 > 10%".
    pub limits: String,
}

/// Which way a value has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    Up,
    Down,
    Flat,
}

/// Whether something is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub name: String,
    /// `None`: it is not known.
    pub well: Option<bool>,
    /// Why it is not, or not known.
    pub why: Option<String>,
}

/// A new message in the thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub tone: Tone,
    /// The first line, also the text of the notification.
    pub headline: String,
    /// Label and value, in order: the incident template's six, or others.
    pub fields: Vec<(String, String)>,
    /// Evidence and further lines.
    pub lines: Vec<String>,
    /// Text as a program wrote it, line by line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
    /// Shown in the channel too, not only in the thread (SEV1).
    pub broadcast: bool,
    /// Pages: the people named in the policy are mentioned.
    pub page: bool,
    /// Slack ids that are mentioned beside them: whose turn it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// What can be done about it now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}
