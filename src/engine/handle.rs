//! How the rest of the program speaks to the engine.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use utoipa::ToSchema;

use super::clock;
use super::helm::Standing;
use crate::model::{Alert, Announcement, GateOverride, ServiceKey, Sighting, WatchId};
use crate::platform::LookError;
use crate::policy_repo::Reload;
use crate::store::Pause;
use crate::telemetry;
use crate::watch::{Event, Press};

/// What comes into the engine.
pub(super) enum Input {
    Announce {
        announcement: Box<Announcement>,
        digest: String,
        reply: Reply<Announced>,
    },
    Press {
        watch: WatchId,
        press: Press,
        reply: Reply<()>,
    },
    Pause {
        pause: Pause,
        reply: Reply<Paused>,
    },
    /// Ends the pause of this scope: by whom, when and why.
    Unpause {
        turn: Pause,
        reply: Reply<Vec<Pause>>,
    },
    /// Somebody goes through the gate.
    GoThrough {
        over: Box<GateOverride>,
        reply: Reply<()>,
    },
    /// What another system's alerts say of services.
    Alerts {
        alerts: Vec<Alert>,
        reply: Reply<()>,
    },
    Looked(Vec<Look>),
    /// A mark: whatever was sent before it is kept.
    Kept {
        reply: Reply<()>,
    },
    Policies(Box<Reload>),
    /// Somebody could not be told of an incident, in one channel or the other.
    Untold {
        watch: WatchId,
        event: Box<Event>,
        reply: Reply<()>,
    },
    /// What a want came to; no event: to be tried again after the pause.
    Done {
        watch: WatchId,
        want: WantKind,
        event: Result<Box<Event>, Duration>,
    },
}

/// What a look at a service showed.
pub(super) type Look = (ServiceKey, Result<Option<Sighting>, LookError>);

/// The kinds of wants, each of which a watch has at most one of under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum WantKind {
    Sample,
    Baseline,
    Inspect,
    ReadLog,
    RollBack,
    Shift,
    LeaveMaintenance,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// An announcement that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// Under this watch, new or known.
    Watched(WatchId),
    /// No policy guards the service; the names that come nearest.
    Unguarded { nearest: Vec<String> },
}

/// A pause that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Paused {
    /// As it is in force: of a scope that was paused before, the former one.
    #[serde(flatten)]
    pub pause: Pause,
    /// Whether it was paused before.
    #[serde(default)]
    pub already: bool,
}

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such watch, pause or service.
    #[error("{0}")]
    NotFound(String),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    /// The engine is stopping, or can't keep anything right now.
    #[error("{0}")]
    Unavailable(String),
}

/// A way into the engine that leads in this process; clones share it. While none does,
/// requests are refused and what is only told is dropped: the next look tells it again.
#[derive(Clone)]
pub struct EngineHandle {
    pub(super) standing: watch::Receiver<Standing>,
}

/// How long a caller waits for the engine: a store that hangs must not hang
/// every request with it.
const PATIENCE: Duration = Duration::from_secs(10);

impl EngineHandle {
    /// Announces a deployment. Returns once it is durable. `digest`: of the
    /// body, to tell a repetition from another body under the same id.
    pub async fn announce(
        &self,
        announcement: Announcement,
        digest: String,
    ) -> Result<Announced, Refused> {
        let (deployment, handed_in) = (announcement.id.clone(), clock::now());
        let announcement = Box::new(announcement);
        let announced = self.call(|reply| Input::Announce { announcement, digest, reply }).await?;
        if let Announced::Watched(watch) = &announced {
            telemetry::has_joined(watch, &deployment, (handed_in, clock::now()));
        }
        Ok(announced)
    }

    pub async fn press(&self, watch: WatchId, press: Press) -> Result<(), Refused> {
        telemetry::is_about(&watch);
        self.call(|reply| Input::Press { watch, press, reply }).await
    }

    pub async fn pause(&self, pause: Pause) -> Result<Paused, Refused> {
        self.call(|reply| Input::Pause { pause, reply }).await
    }

    /// Ends the pause of this scope; the pauses that are left.
    pub async fn unpause(&self, turn: Pause) -> Result<Vec<Pause>, Refused> {
        self.call(|reply| Input::Unpause { turn, reply }).await
    }

    /// Brings what the policy folder holds now.
    pub async fn policies(&self, reload: Reload) {
        self.send(Input::Policies(Box::new(reload))).await;
    }

    /// Tells that somebody has not heard of an incident. Returns once it is kept.
    pub(super) async fn untold(&self, watch: WatchId, event: Event) -> Result<(), Refused> {
        let event = Box::new(event);
        self.call(|reply| Input::Untold { watch, event, reply }).await
    }

    pub(super) async fn looked(&self, looks: Vec<Look>) {
        self.send(Input::Looked(looks)).await;
    }

    /// Returns once everything that was sent before is kept.
    pub(super) async fn kept(&self) -> Result<(), Refused> {
        self.call(|reply| Input::Kept { reply }).await
    }

    pub(super) async fn call<T>(
        &self,
        input: impl FnOnce(Reply<T>) -> Input,
    ) -> Result<T, Refused> {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            Refused::Unavailable(
                "deployguard is stopping, or another one takes over; try again".to_owned(),
            )
        };
        let inputs = self.inputs().ok_or_else(gone)?;
        let send = inputs.send(input(reply));
        let asked = tokio::time::timeout(PATIENCE, async {
            send.await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        });
        asked.await.unwrap_or_else(|_| {
            Err(Refused::Unavailable("the store does not answer; try again".to_owned()))
        })
    }
}
