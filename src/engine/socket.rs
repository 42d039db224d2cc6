//! Presses over Socket Mode: keeps a connection for as long as this process leads.
//!
//! An envelope is acknowledged first, within Slack's three seconds, and then dealt with as
//! what comes over HTTP. Slack ends every connection after some hours, and says so before:
//! another one takes its place, and the old one is heard out beside it. What comes twice is
//! known by the press's own key, whichever way it comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::patience::LONGEST_PAUSE;
use super::presses::Presses;
use super::status::{Blind, Status};
use super::{clock, patience};
use crate::telemetry::Metrics;
use crate::triggers::slack::{
    Door, Envelope, Leave, Shut, Socket, Unread, acknowledgement, read, read_envelope,
};

/// The pause while Socket Mode is turned off for the app: people have to turn it on.
const TURNED_OFF: Duration = Duration::from_mins(5);
/// A connection that lasted as long was a good one: the next needs no pause.
const GOOD: Duration = Duration::from_mins(1);
/// How long a connection is heard out that Slack wants replaced, and how many are at once.
const LINGER: Duration = Duration::from_secs(30);
const MOST_LINES: usize = 3;
/// The longest that a stop waits for presses that were acknowledged.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where presses come from, and who does them.
pub struct SocketMode {
    pub door: Arc<Door>,
    pub presses: Presses,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
}

/// Why a connection is no use any more.
enum End {
    Leave(Leave),
    Lost(String),
}

/// A connection that is counted as long as it is there.
struct Counted(Arc<Metrics>);

impl Counted {
    fn by(metrics: &Arc<Metrics>) -> Self {
        metrics.slack_sockets(1);
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.slack_sockets(-1);
    }
}

/// Takes presses until `stop`, and does those that were acknowledged before it ends.
pub async fn take_presses_forever(mode: SocketMode, stop: CancellationToken) {
    let (mode, mut lines, doing) = (Arc::new(mode), JoinSet::new(), TaskTracker::new());
    mode.metrics.slack_sockets(0);
    mode.metrics.slack_connected(None);
    tokio::select! {
        () = stop.cancelled() => {}
        () = mode.keep_connected(&mut lines, &doing, &stop) => {}
    }
    while lines.join_next().await.is_some() {}
    doing.close();
    let _ = tokio::time::timeout(FAREWELL, doing.wait()).await;
}

impl SocketMode {
    async fn keep_connected(
        self: &Arc<Self>,
        lines: &mut JoinSet<()>,
        doing: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let mut pauses = patience::pauses();
        loop {
            // Each is heard out for a while at most.
            while lines.len() >= MOST_LINES {
                lines.join_next().await;
            }
            let opened = self.door.open().await;
            self.metrics.slack_connected(Some(opened.is_ok()));
            while lines.try_join_next().is_some() {}
            let pause = match opened {
                Ok(socket) => {
                    tracing::info!("connected with Slack's Socket Mode");
                    self.note(None);
                    let begun = tokio::time::Instant::now();
                    let (tell, told) = oneshot::channel();
                    let (mode, doing, stop) = (self.clone(), doing.clone(), stop.clone());
                    lines.spawn(async move { mode.attend(socket, tell, &doing, &stop).await });
                    let broken = |_| End::Lost("a mistake of deployguard's own".to_owned());
                    let end = told.await.unwrap_or_else(broken);
                    let lasted = begun.elapsed() >= GOOD;
                    if lasted {
                        pauses = patience::pauses();
                    }
                    self.after(&end, lasted, &mut pauses)
                }
                Err(shut) => {
                    // An old connection that is heard out still brings presses.
                    if lines.is_empty() {
                        self.note(Some(shut.to_string()));
                    }
                    after_failure(&shut, &mut pauses)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The pause after a connection. One that is to be replaced is replaced at once, but not
    /// again and again.
    fn after(
        &self,
        end: &End,
        lasted: bool,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Duration {
        let next = pauses.next().unwrap_or(LONGEST_PAUSE);
        let (why, pause) = match end {
            End::Leave(Leave::Refresh) => {
                tracing::debug!("a connection of Slack's Socket Mode is replaced");
                return if lasted { Duration::ZERO } else { next };
            }
            End::Leave(why @ Leave::Disabled) => (why.to_string(), TURNED_OFF),
            End::Leave(why @ (Leave::TooMany | Leave::Other(_))) => (why.to_string(), next),
            End::Lost(why) => (why.clone(), next),
        };
        tracing::warn!(why, retry_in = ?pause, "the connection with Slack's Socket Mode is lost");
        self.note(Some(why));
        pause
    }

    /// Takes down whether presses can come.
    fn note(&self, down: Option<String>) {
        let now = clock::now();
        self.status.set(|health| {
            let known = health.slack_socket.take();
            health.slack_socket = down.map(|because| Blind::again(known, because, now));
        });
    }

    /// Hears a connection out. `tell`: that another one is needed, before this one ends.
    async fn attend(
        &self,
        mut socket: Socket,
        tell: oneshot::Sender<End>,
        doing: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let _counted = Counted::by(&self.metrics);
        let (mut tell, mut until) = (Some(tell), None);
        loop {
            let said = tokio::select! {
                () = stop.cancelled() => return socket.close().await,
                () = at(until) => return socket.close().await,
                said = socket.next() => said,
            };
            let end = match said {
                Ok(text) => self.hear(&mut socket, &text, doing).await,
                Err(why) => Some(End::Lost(why)),
            };
            let Some(end) = end else { continue };
            let lost = matches!(end, End::Lost(_));
            if let Some(tell) = tell.take() {
                let _ = tell.send(end);
            }
            if lost {
                return;
            }
            until.get_or_insert(tokio::time::Instant::now() + LINGER);
        }
    }

    /// Deals with a message. `Some`: the connection is no use any more.
    async fn hear(&self, socket: &mut Socket, text: &str, doing: &TaskTracker) -> Option<End> {
        match read_envelope(text) {
            Ok(Envelope::Hello) => None,
            Ok(Envelope::Leave(why)) => Some(End::Leave(why)),
            Ok(Envelope::Other { id, kind }) => {
                tracing::debug!(kind, "an envelope that is none of ours");
                socket.say(&acknowledgement(&id)).await.err().map(End::Lost)
            }
            Ok(Envelope::Interactive { id, payload }) => {
                let Some(room) = self.presses.room() else {
                    // Without its acknowledgement Slack tells whoever pressed.
                    tracing::warn!("too much is being pressed: an envelope is not taken");
                    return None;
                };
                if let Err(why) = socket.say(&acknowledgement(&id)).await {
                    return Some(End::Lost(why));
                }
                let presses = self.presses.clone();
                doing.spawn(async move {
                    deal_with(&presses, &payload).await;
                    drop(room);
                });
                None
            }
            Err(why) => {
                tracing::warn!(why, "a message of Slack's Socket Mode can't be read");
                None
            }
        }
    }
}

/// The pause after a try that failed.
fn after_failure(shut: &Shut, pauses: &mut impl Iterator<Item = Duration>) -> Duration {
    let next = pauses.next().unwrap_or(LONGEST_PAUSE);
    let pause = match shut {
        Shut::Left(Leave::Disabled) => TURNED_OFF,
        Shut::Refused { wait: Some(wait), .. } => next.max(*wait),
        Shut::Refused { wait: None, .. } | Shut::Left(_) | Shut::Lost(_) => next,
    };
    let mend = shut.mend().unwrap_or("it may pass");
    tracing::warn!(why = %shut, mend, retry_in = ?pause, "Slack's Socket Mode can't be had");
    pause
}

/// Does a press. One that came before was answered then.
async fn deal_with(presses: &Presses, payload: &str) {
    match read(payload) {
        Ok(pressed) if presses.knows(&pressed) => {
            tracing::debug!(by = pressed.by, about = %pressed.about, "a press came again");
        }
        Ok(pressed) => presses.take(pressed).await,
        Err(Unread::NotOurs(what)) => {
            tracing::debug!(what, "an interaction that is none of ours");
        }
        Err(why @ Unread::NotSlacks(_)) => {
            tracing::warn!(%why, "a press by Socket Mode is not taken");
        }
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
