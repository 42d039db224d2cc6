//! Listening to a queue of events: receives, has looked at what they hint at, and deletes
//! them once what was seen is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hints::{Hints, Taken, Wanted};
use super::patience::{FIRST_PAUSE, LONGEST_PAUSE};
use super::place::Place;
use super::status::Status;
use super::{clock, patience};
use crate::crash;
use crate::model::ServiceKey;
use crate::telemetry::{HintResult, Metrics};
use crate::triggers::sqs::{LONG_POLL, Letter, MOST_TRIES, Queue};
use crate::triggers::{Heard, read};

/// Messages that are looked after together, and how long more are gathered once there is
/// one: a burst becomes one look at each service.
const MOST: usize = 1000;
const GATHERING: Duration = Duration::from_secs(1);
/// Batches that are looked after at once: one whose look takes long does not hold up what
/// comes after it.
const BATCHES: usize = 4;
/// The longest that a stop waits for messages to be given back.
const FAREWELL: Duration = Duration::from_secs(3);

/// What is listened to, and for whom.
pub struct Ear {
    pub queue: Queue,
    /// Where events of which account and region belong.
    pub place: Place,
    pub hints: Hints,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
}

/// Listens until `stop`, and ends what is under way then.
pub async fn hear_forever(ear: Ear, stop: CancellationToken) {
    let mut batches = JoinSet::new();
    listen(&Arc::new(ear), &mut batches, &stop).await;
    while batches.join_next().await.is_some() {}
}

async fn listen(ear: &Arc<Ear>, batches: &mut JoinSet<()>, stop: &CancellationToken) {
    let what = format!("the queue {}", ear.queue.name());
    let mut pauses = patience::pauses();
    loop {
        let soonest = tokio::time::Instant::now() + FIRST_PAUSE;
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = ear.queue.receive(LONG_POLL) => received,
        };
        let failed = received.as_ref().err().map(|fault| fault.words.clone());
        ear.status.set(|health| health.looked(&what, failed, clock::now()));
        match received {
            Ok(letters) if letters.is_empty() => {
                pauses = patience::pauses();
                // Whoever answers for SQS without holding the request open is not hammered.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep_until(soonest) => {}
                }
            }
            Ok(letters) => {
                pauses = patience::pauses();
                let letters = ear.gather(letters, stop).await;
                // Each comes to its end: nobody waits for a look for ever.
                while batches.try_join_next().is_some() {}
                if batches.len() >= BATCHES {
                    batches.join_next().await;
                }
                let (ear, stop) = (Arc::clone(ear), stop.clone());
                batches.spawn(async move { ear.take(letters, &stop).await });
            }
            Err(fault) => {
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                tracing::warn!(queue = ear.queue.name(), why = fault.words, retry_in = ?pause, "no events can be had");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

/// A message and what became of it.
struct Sorted {
    /// To be deleted.
    done: Vec<Letter>,
    /// Those that wait for a look, by what they want seen.
    waiting: BTreeMap<(ServiceKey, Option<String>), Vec<Letter>>,
}

impl Ear {
    /// Looks after what was received.
    async fn take(&self, letters: Vec<Letter>, stop: &CancellationToken) {
        crash::point("hint-received");
        let Sorted { mut done, waiting } = self.sort(letters);
        let held: Vec<Letter> = waiting.values().flatten().cloned().collect();
        tokio::select! {
            looked = self.look(waiting) => done.extend(looked),
            () = stop.cancelled() => {
                // Others, or our next start, get them at once.
                let _ = tokio::time::timeout(FAREWELL, self.queue.release(&held)).await;
            }
        }
        crash::point("hint-kept");
        let deleted = tokio::time::timeout(FAREWELL, self.queue.delete(&done)).await;
        if let Ok(Err(fault)) = deleted {
            tracing::warn!(why = fault.words, "messages come again: they were not deleted");
        }
    }

    /// What else is there already.
    async fn gather(&self, mut letters: Vec<Letter>, stop: &CancellationToken) -> Vec<Letter> {
        let until = tokio::time::Instant::now() + GATHERING;
        while letters.len() < MOST && tokio::time::Instant::now() < until && !stop.is_cancelled() {
            match self.queue.receive(Duration::ZERO).await {
                Ok(more) if more.is_empty() => break,
                Ok(more) => letters.extend(more),
                Err(_) => break,
            }
        }
        letters
    }

    fn sort(&self, letters: Vec<Letter>) -> Sorted {
        let mut sorted = Sorted { done: Vec::new(), waiting: BTreeMap::new() };
        for letter in letters {
            let heard = match read(&letter.text) {
                Ok(Heard::Hint(hint)) => {
                    let from = format!("an event of region {}, {}", hint.region, hint.account);
                    self.place.of(hint).ok_or(from)
                }
                Ok(Heard::NotOurs(what)) => Err(what),
                Err(error) => {
                    self.metrics.hinted("sqs", HintResult::Unreadable);
                    if letter.tries >= MOST_TRIES {
                        tracing::error!(%error, tries = letter.tries, "a message that nobody can read is deleted; give the queue a redrive policy");
                        sorted.done.push(letter);
                    } else if letter.tries == 1 {
                        tracing::warn!(%error, "a message can't be read; it is left to the queue's redrive policy");
                    }
                    continue;
                }
            };
            match heard {
                Ok(wanted) => {
                    sorted.waiting.entry((wanted.key, wanted.begun)).or_default().push(letter);
                }
                Err(what) => {
                    self.metrics.hinted("sqs", HintResult::NotOurs);
                    tracing::debug!(what, "not ours, and deleted");
                    sorted.done.push(letter);
                }
            }
        }
        sorted
    }

    /// Has all of it looked at, and answers the messages that may be deleted.
    async fn look(
        &self,
        waiting: BTreeMap<(ServiceKey, Option<String>), Vec<Letter>>,
    ) -> Vec<Letter> {
        let mut looking = JoinSet::new();
        for ((key, begun), letters) in waiting {
            let hints = self.hints.clone();
            looking.spawn(async move {
                let wanted = Wanted { key: key.clone(), begun };
                (key, hints.look(wanted).await, letters)
            });
        }
        let mut done = Vec::new();
        while let Some(joined) = looking.join_next().await {
            let Ok((key, looked, letters)) = joined else { continue };
            let result = match &looked {
                Ok(Taken::Looked) => HintResult::Looked,
                Ok(Taken::Unguarded) => HintResult::Unguarded,
                Err(why) => {
                    tracing::warn!(service = %key, why, "an event comes again: its look failed");
                    HintResult::Failed
                }
            };
            for _ in &letters {
                self.metrics.hinted("sqs", result);
            }
            if looked.is_ok() {
                done.extend(letters);
            }
        }
        done
    }
}
