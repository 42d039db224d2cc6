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
            Err(why) => {
                tracing::info!(by = pressed.by, about = %pressed.about, why, "a press is refused");
                format!("Nothing was done: {why}")
            }
        };
        self.buttons.tell(&pressed, &words).await;
    }

    async fn done(&self, pressed: &Pressed) -> Result<String, String> {
        let now = clock::now();
        self.is_new(&pressed.key, now)?;
        self.buttons.is_ours(pressed).await.map_err(|why| why.to_string())?;
        let id = &pressed.about.watch;
        let watch = self.watch(id).await?;
        let service = &watch.deployment.service;
        let may = self.buttons.may_act(&pressed.user, &service.name, &service.environment, now);
        may.await.map_err(|why| why.to_string())?;
        if !watch.is_open() {
            return Err(format!("the watch has ended. {}", stands(&watch)));
        }
        let for_ = match (pressed.command, pressed.until) {
            (Command::Hold, Some(until)) if until <= now => {
                return Err(format!("that time is over. {}", stands(&watch)));
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
            Ok(()) => Ok(stands(&self.watch(id).await?)),
            // It ended while it was pressed.
            Err(Refused::NotFound(_)) => {
                Err(format!("the watch has ended. {}", stands(&self.watch(id).await?)))
            }
            Err(Refused::Conflict(why)) => Err(format!("{why}. {}", stands(&watch))),
            Err(refused @ (Refused::Invalid(_) | Refused::Unavailable(_))) => {
                Err(refused.to_string())
            }
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
