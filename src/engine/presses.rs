//! Buttons pressed in Slack, done.
//!
//! A press goes the way of every act: into the journal, with the person. It is known
//! again by its key: in the watch for ever where it was taken, here for a while where it
//! was not, so that what was refused once is not done by a repetition.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clock;
use super::handle::{EngineHandle, Refused};
use crate::model::Command;
use crate::store::Store;
use crate::triggers::slack::{Buttons, Pressed};
use crate::watch::{Press, Watch};

/// How long a press is known again that was not taken: longer than Slack's signature lasts.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(15);
/// Presses that are remembered at most; beyond them nothing is taken for a while.
const MOST: usize = 10_000;
/// Presses under way at once, whichever way they come.
const AT_ONCE: usize = 32;

/// Told where it can't be said what became of a press: it may be done, or be done yet.
pub const NOT_KNOWN: &str = "It is not known whether this was done: no deployguard that leads has \
                             answered. Look at the deployment's message, and press again if it \
                             was not.";

/// Why a press is not said to be done.
#[derive(Debug, PartialEq, Eq)]
enum Not {
    /// It was refused.
    Done(String),
    /// It may be done all the same.
    Known(String),
}

impl From<String> for Not {
    fn from(why: String) -> Self {
        Not::Done(why)
    }
}

impl Not {
    /// What the engine's refusal means; `stands`: where the watch stood before.
    fn taken(refused: Refused, stands: &str) -> Self {
        match refused {
            Refused::Conflict(why) => Not::Done(format!("{why}. {stands}")),
            Refused::NotFound(why) | Refused::Invalid(why) => Not::Done(why),
            // What waits to be kept is kept once the store can.
            Refused::Unavailable(why) => Not::Known(why),
        }
    }
}

/// Does what is pressed; clones share what they remember, and the room that there is.
#[derive(Clone)]
pub struct Presses {
    pub engine: EngineHandle,
    pub store: Store,
    pub buttons: Arc<Buttons>,
    seen: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    room: Arc<Semaphore>,
}

impl Presses {
    pub fn new(engine: EngineHandle, store: Store, buttons: Arc<Buttons>) -> Self {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        Self { engine, store, buttons, seen: Arc::default(), room }
    }

    /// Room for one more press, kept until it is done. `None`: there is none.
    pub fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Whether the press came lately, and somebody was told what became of it.
    pub fn knows(&self, pressed: &Pressed) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&pressed.key).is_some_and(|at| clock::now().duration_since(*at) < REMEMBERED)
    }

    /// Does it, and tells the person what came of it.
    pub async fn take(&self, pressed: Pressed) {
        let words = match self.done(&pressed).await {
            Ok(words) => {
                tracing::info!(by = pressed.by, about = %pressed.about, words, "a press is done");
                format!("Done. {words}")
            }
            Err(Not::Done(why)) => {
                tracing::info!(by = pressed.by, about = %pressed.about, why, "a press is refused");
                format!("Nothing was done: {why}")
            }
            Err(Not::Known(why)) => {
                tracing::warn!(by = pressed.by, about = %pressed.about, why, "a press may be done");
                NOT_KNOWN.to_owned()
            }
        };
        self.buttons.tell(&pressed, &words).await;
    }

    async fn done(&self, pressed: &Pressed) -> Result<String, Not> {
        let now = clock::now();
        self.is_new(&pressed.key, now)?;
        self.buttons.is_ours(pressed).await.map_err(|why| why.to_string())?;
        let id = &pressed.about.watch;
        let watch = self.watch(id).await?;
        let service = &watch.deployment.service;
        let may = self.buttons.may_act(&pressed.user, &service.name, &service.environment, now);
        may.await.map_err(|why| why.to_string())?;
        if !watch.is_open() {
            return Err(Not::Done(format!("the watch has ended. {}", stands(&watch))));
        }
        let for_ = match (pressed.command, pressed.until) {
            (Command::Hold, Some(until)) if until <= now => {
                return Err(Not::Done(format!("that time is over. {}", stands(&watch))));
            }
            (Command::Hold, Some(until)) => Some(until.duration_since(now)),
            (Command::Hold, None)
            | (Command::Ack | Command::Resume | Command::Rollback | Command::Cancel, _) => None,
        };
        let press = Press {
            for_,
            incident: Some(pressed.about.incident),
            spell: pressed.about.spell,
            target: pressed.about.target.clone(),
            key: Some(pressed.key.clone()),
            ..Press::new(pressed.command, pressed.by.clone(), None)
        };
        match self.engine.press(id.clone(), press).await {
            Ok(()) => self.watch(id).await.map(|watch| stands(&watch)).map_err(Not::Known),
            // It ended while it was pressed.
            Err(Refused::NotFound(_)) => {
                let why = format!("the watch has ended. {}", stands(&self.watch(id).await?));
                Err(Not::Done(why))
            }
            Err(refused) => Err(Not::taken(refused, &stands(&watch))),
        }
    }

    async fn watch(&self, id: &crate::model::WatchId) -> Result<Watch, String> {
        match self.store.watch::<Watch>(id).await {
            Ok(Some(watch)) => Ok(watch),
            Ok(None) => Err(format!("no watch is called {id}: it may have been removed")),
            Err(error) => {
                tracing::error!(%error, "a press could not be looked after");
                Err("the store does not answer; try again".to_owned())
            }
        }
    }

    fn is_new(&self, key: &str, now: Timestamp) -> Result<(), String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        if seen.contains_key(key) {
            return Err("it was pressed already".to_owned());
        }
        if seen.len() >= MOST {
            return Err("too much is being pressed; try again later".to_owned());
        }
        seen.insert(key.to_owned(), now);
        Ok(())
    }
}

fn stands(watch: &Watch) -> String {
    format!("{}: {}", watch.title(), watch.status_line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_refused_is_said_not_to_be_done() {
        let stands = "shopflow-api: watching";
        let done = |why: &str| Not::Done(why.to_owned());
        for (refused, not) in [
            (Refused::Conflict("held".into()), done("held. shopflow-api: watching")),
            (Refused::Invalid("no".into()), done("no")),
            (Refused::NotFound("gone".into()), done("gone")),
            // The engine gave up waiting, and the press still waits to be kept.
            (Refused::Unavailable("slow".into()), Not::Known("slow".into())),
        ] {
            assert_eq!(Not::taken(refused, stands), not);
        }
    }
}
