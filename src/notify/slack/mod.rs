//! Slack: one message a deployment, edited in place, and replies in its thread.
//!
//! A post whose answer was lost is found again by the key that each message
//! carries, in its metadata and as the id of its first block.

mod api;
mod fault;
mod files;
mod probe;
pub mod render;
pub(super) mod text;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use slack_morphism::SlackMessageContent;
use tracing::debug;

pub use api::ConnectError;
use api::{Api, Place};
use fault::Fault;
pub use fault::TOKEN;
pub use probe::{Bot, Probe};

use super::{DeliverError, Letter, Notifier, Thread};
use crate::model::Body;

const TIME_OUT: Duration = Duration::from_secs(10);
/// How far before a notice's time its message is looked for: clocks differ, and
/// the card that a newer one replaced may have been posted earlier.
const LOOK_BACK_SECONDS: i64 = 3600;

const POST: &str = "chat.postMessage";

/// Delivers letters to a Slack workspace.
#[derive(Debug)]
pub struct Slack {
    api: Api,
    /// Whether what is offered becomes buttons: whether anybody's press is taken.
    buttons: bool,
    /// Said once: without the right to read, a repeated message can't be recognised.
    said_unreadable: AtomicBool,
}

/// A message of ours from an earlier try.
enum Earlier {
    /// This very notice.
    Same(Thread),
    /// An older card of the same watch, which this one replaces.
    OlderCard(Thread),
}

impl Slack {
    /// A client for the API at `api_url` (`https://slack.com/api/`), with a bot
    /// token. Sends nothing yet.
    pub fn connect(api_url: &str, token: &str) -> Result<Self, ConnectError> {
        let api = Api::connect(api_url, token, TIME_OUT)?;
        Ok(Self { api, buttons: false, said_unreadable: AtomicBool::new(false) })
    }

    /// The same with another bound for one call.
    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self { api: self.api.with_time_out(time_out), ..self }
    }

    /// The same with buttons, or without.
    #[must_use]
    pub fn with_buttons(self, buttons: bool) -> Self {
        Self { buttons, ..self }
    }

    fn content(&self, letter: &Letter) -> SlackMessageContent {
        render::message(&letter.notice, &letter.mentions, self.buttons)
    }

    async fn post_card(&self, letter: &Letter) -> Result<Thread, DeliverError> {
        let content = self.content(letter);
        if letter.maybe_sent {
            match self.earlier_card(letter).await? {
                Some(Earlier::Same(message)) => return Ok(message),
                Some(Earlier::OlderCard(message)) => {
                    let updated = self.api.update(&message, content).await;
                    return updated.map_err(|fault| fault.into_error("chat.update"));
                }
                None => {}
            }
        }
        let posted = self.api.post(&letter.channel, content, None, false).await;
        posted.map_err(|fault| fault.into_error(POST))
    }

    /// Edits the deployment's message; posts it anew if somebody deleted it.
    async fn edit_card(&self, letter: &Letter, card: &Thread) -> Result<Thread, DeliverError> {
        let content = self.content(letter);
        match self.api.update(card, content).await {
            Err(fault) if fault.is_gone() => self.post_card(letter).await,
            updated => updated.map_err(|fault| fault.into_error("chat.update")),
        }
    }

    /// Replies in the thread; a page must not be lost with the thread, so the
    /// channel itself gets it where the thread is gone.
    async fn post_reply(&self, letter: &Letter, thread: &Thread) -> Result<Thread, DeliverError> {
        if letter.maybe_sent
            && let Some(message) = self.earlier_reply(letter, thread).await?
        {
            return Ok(message);
        }
        let content = self.content(letter);
        let broadcast = matches!(&letter.notice.body, Body::Reply(reply) if reply.broadcast);
        let under = Some(thread.ts.as_str());
        let posted = self.api.post(&thread.channel, content.clone(), under, broadcast).await;
        let posted = match posted {
            Err(fault) if fault.is_gone() => {
                self.api.post(&thread.channel, by_itself(content), None, false).await
            }
            posted => posted,
        };
        posted.map_err(|fault| fault.into_error(POST))
    }

    /// A reply in the channel itself, where there is no message that it could go under.
    async fn post_alone(&self, letter: &Letter) -> Result<Thread, DeliverError> {
        let channel = &letter.channel;
        if letter.maybe_sent {
            let mark = render::mark(&letter.notice.key);
            let found = self.api.find(&near(letter, channel), marked(channel, &mark)).await;
            if let Some(message) = self.found(found, "conversations.history")? {
                return Ok(message);
            }
        }
        let posted = self.api.post(channel, by_itself(self.content(letter)), None, false).await;
        posted.map_err(|fault| fault.into_error(POST))
    }

    async fn earlier_card(&self, letter: &Letter) -> Result<Option<Earlier>, DeliverError> {
        let mark = render::mark(&letter.notice.key);
        let watch = letter.notice.watch.as_str();
        let channel = &letter.channel;
        let wanted = |message: &Value| {
            let found = Thread { channel: channel.clone(), ts: top_level(message)?.to_owned() };
            if carries(message, &mark) {
                Some(Earlier::Same(found))
            } else {
                (of_watch(message) == Some(watch)).then_some(Earlier::OlderCard(found))
            }
        };
        let found = self.api.find(&near(letter, channel), wanted).await;
        self.found(found, "conversations.history")
    }

    async fn earlier_reply(
        &self,
        letter: &Letter,
        thread: &Thread,
    ) -> Result<Option<Thread>, DeliverError> {
        let mark = render::mark(&letter.notice.key);
        let channel = &thread.channel;
        let found = match self.api.find(&Place::Thread(thread), marked(channel, &mark)).await {
            Err(fault) if fault.is_gone() => {
                self.api.find(&near(letter, channel), marked(channel, &mark)).await
            }
            found => found,
        };
        self.found(found, "conversations.replies")
    }

    /// Not being allowed to look is no reason to keep silent.
    fn found<T>(
        &self,
        found: Result<Option<T>, Fault>,
        method: &str,
    ) -> Result<Option<T>, DeliverError> {
        match found {
            Err(fault) if fault.is_unreadable() => {
                if !self.said_unreadable.swap(true, Ordering::Relaxed) {
                    debug!(?fault, method, "cannot look for repeated messages; posting without");
                }
                Ok(None)
            }
            found => found.map_err(|fault| fault.into_error(method)),
        }
    }
}

impl Notifier for Slack {
    async fn deliver(&self, letter: &Letter) -> Result<Thread, DeliverError> {
        match (&letter.notice.body, &letter.thread) {
            (Body::Card(_), None) => self.post_card(letter).await,
            (Body::Card(_), Some(card)) => self.edit_card(letter, card).await,
            (Body::Reply(_), Some(thread)) => self.post_reply(letter, thread).await,
            (Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_), _) => {
                Err(DeliverError::Permanent("it is no message of Slack's".to_owned()))
            }
            (Body::Reply(_), None) if letter.alone => self.post_alone(letter).await,
            (Body::Reply(_), None) => Err(DeliverError::Transient {
                reason: "the deployment's message is not delivered yet".to_owned(),
                retry_after: None,
            }),
        }
    }
}

/// The channel from about the notice's time on.
fn near<'a>(letter: &Letter, channel: &'a str) -> Place<'a> {
    Place::Channel { channel, since: letter.notice.at.as_second() - LOOK_BACK_SECONDS }
}

/// Finds the message that carries `mark`.
fn marked(channel: &str, mark: &str) -> impl Fn(&Value) -> Option<Thread> {
    move |message| {
        let ts = message["ts"].as_str()?.to_owned();
        carries(message, mark).then(|| Thread { channel: channel.to_owned(), ts })
    }
}

/// A reply that stands where the deployment's messages do: it is not to be taken for one
/// that a newer card replaces.
fn by_itself(mut content: SlackMessageContent) -> SlackMessageContent {
    let metadata = content.metadata.as_mut();
    if let Some(payload) = metadata.and_then(|metadata| metadata.event_payload.as_mut()) {
        payload.remove("watch");
    }
    content
}

fn carries(message: &Value, mark: &str) -> bool {
    message["metadata"]["event_payload"]["key"] == mark || message["blocks"][0]["block_id"] == mark
}

fn of_watch(message: &Value) -> Option<&str> {
    let ours = message["metadata"]["event_type"] == render::EVENT_TYPE;
    ours.then(|| message["metadata"]["event_payload"]["watch"].as_str()).flatten()
}

/// The id of a message that is not a reply shown in the channel.
fn top_level(message: &Value) -> Option<&str> {
    let ts = message["ts"].as_str()?;
    let thread = message["thread_ts"].as_str().unwrap_or(ts);
    (thread == ts).then_some(ts)
}
