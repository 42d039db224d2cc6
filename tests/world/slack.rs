//! A Slack workspace that records what is said in it, and how.

mod api;
pub mod files;
pub mod html;
pub mod limits;
pub mod press;
mod render;
pub mod socket;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::faults::Faults;
use super::server::Server;
use super::timeline::{Side, Timeline};
use super::{lock, now};

use files::File;
pub use render::render;
use socket::Sockets;

/// The token of the bot.
pub const TOKEN: &str = "xoxb-stand-in";
/// The channel that exists.
pub const CHANNEL: &str = "C0DEPLOYS01";
/// The name of the channel that exists.
pub const CHANNEL_NAME: &str = "deployments";

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum SlackFault {
    /// HTTP 429 with `Retry-After` in seconds; nothing is posted.
    TooManyRequests(u64),
    /// HTTP 500; nothing is posted.
    ServerError,
    /// No answer for this long, then the connection is cut; nothing is posted.
    Hang(Duration),
    /// `ok: false` with this error; nothing is posted.
    Error(&'static str),
    /// The message is posted, but the answer never arrives.
    PostedButNoAnswer,
}

/// One call that came in.
#[derive(Debug, Clone)]
pub struct SlackCall {
    /// The method, such as `chat.postMessage`.
    pub method: String,
    /// Its arguments.
    pub arguments: Value,
    /// When it came in.
    pub at: Timestamp,
}

/// A message as it is now.
#[derive(Debug, Clone)]
pub struct Message {
    /// The channel's identifier.
    pub channel: String,
    /// Its identifier within the channel.
    pub ts: String,
    /// The message whose thread it is in, when it is a reply.
    pub thread_ts: Option<String>,
    /// The fallback text.
    pub text: String,
    /// The Block Kit blocks, an array.
    pub blocks: Value,
    /// Its metadata, or null.
    pub metadata: Value,
    /// What was shared with it.
    pub files: Vec<File>,
    /// Its states before this one, oldest first, rendered.
    pub former: Vec<String>,
}

impl Message {
    /// What a person reads.
    pub fn rendered(&self) -> String {
        render(&self.text, &self.blocks)
    }
}

/// A message and what was replied to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The top message's identifier.
    pub ts: String,
    /// The top message as it reads now.
    pub text: String,
    /// How often the top message was edited.
    pub edits: usize,
    /// The replies in order, as they read now; without those that share files.
    pub replies: Vec<String>,
}

/// A running stand-in; it ends when dropped.
pub struct Slack {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    record: Mutex<Record>,
    faults: Faults<SlackFault>,
    timeline: Timeline,
    /// Where it listens.
    address: OnceLock<String>,
    sockets: Sockets,
    /// Where the sockets of Socket Mode are.
    link: String,
}

#[derive(Default)]
struct Record {
    messages: Vec<Message>,
    calls: Vec<SlackCall>,
    violations: Vec<String>,
    files: Vec<File>,
    presses: usize,
    told: Vec<String>,
    last_ts: i64,
}

impl Slack {
    /// Starts it on a free port.
    pub async fn start(timeline: Timeline) -> io::Result<Self> {
        let faults = Faults::default();
        let (record, address) = (Mutex::default(), OnceLock::new());
        let sockets = Sockets::default();
        let link = sockets.listen()?;
        let shared = Arc::new(Shared { record, faults, timeline, address, sockets, link });
        let server = Server::start(api::router(Arc::clone(&shared))).await?;
        shared.address.get_or_init(|| server.url());
        Ok(Self { shared, server })
    }

    /// The base of its methods, as `https://slack.com/api` is Slack's.
    pub fn url(&self) -> String {
        format!("{}/api", self.server.url())
    }

    /// The next `times` calls of `method` meet `fault`.
    pub fn fault(&self, method: &str, fault: &SlackFault, times: usize) {
        self.shared.faults.plan(method, fault, times);
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Every call that came in, oldest first.
    pub fn calls(&self) -> Vec<SlackCall> {
        lock(&self.shared.record).calls.clone()
    }

    /// Every message as it is now, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.shared.record).messages.clone()
    }

    /// Every file that a place was asked for, in that order.
    pub fn files(&self) -> Vec<File> {
        lock(&self.shared.record).files.clone()
    }

    /// Every limit of Slack's that a call broke.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.record).violations.clone()
    }

    /// Every top message with its replies, oldest first.
    pub fn threads(&self) -> Vec<Thread> {
        let record = lock(&self.shared.record);
        let tops = record.messages.iter().filter(|message| message.thread_ts.is_none());
        let thread = |top: &Message| {
            let replies = record.messages.iter();
            let replies = replies.filter(|reply| reply.thread_ts.as_ref() == Some(&top.ts));
            let replies = replies.filter(|reply| reply.files.is_empty());
            Thread {
                ts: top.ts.clone(),
                text: top.rendered(),
                edits: top.former.len(),
                replies: replies.map(Message::rendered).collect(),
            }
        };
        tops.map(thread).collect()
    }
}

impl Record {
    /// A message's identifier: the time in microseconds, never the same twice.
    fn next_ts(&mut self) -> String {
        self.last_ts = now().as_microsecond().max(self.last_ts + 1);
        format!("{}.{:06}", self.last_ts / 1_000_000, self.last_ts % 1_000_000)
    }
}

impl Shared {
    fn tell(&self, what: &str, message: &Message) {
        let place = if message.thread_ts.is_some() { "in the thread" } else { "in the channel" };
        self.timeline.tell(Side::Slack, format!("{what} {place}: {}", message.rendered()));
    }
}
