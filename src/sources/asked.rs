//! Requests to sources, kept until somebody counts them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Unusable;

/// Requests that are kept; who counts none keeps no more.
const MOST: usize = 10_000;

/// How one request went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asked {
    /// The kind of source, as in [`super::Sources::kinds`].
    pub source: &'static str,
    pub result: Answered,
    /// Turns waited for included.
    pub took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    Ok,
    /// It answered, and not as it should: another code than 2xx, a failed probe, too much.
    Error,
    /// It says no and will again, or the settings don't allow it to be asked.
    Refused,
    /// No answer, or one that says to come again.
    Unreachable,
}

impl Answered {
    pub const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Refused, Self::Unreachable];

    /// The label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }

    /// Of an answer that is of no use.
    pub(super) fn unusable(why: &Unusable) -> Self {
        match why {
            Unusable::Refused(_) => Self::Refused,
            Unusable::Unreachable(_) => Self::Unreachable,
            Unusable::Empty
            | Unusable::NothingNew
            | Unusable::TooFew(_)
            | Unusable::NotFinite(_)
            | Unusable::WrongType => Self::Error,
        }
    }

    /// Of a call of AWS.
    pub(super) fn call<T>(answer: &Result<T, crate::aws::Fault>) -> Self {
        match answer {
            Ok(_) => Self::Ok,
            Err(fault) if fault.is_transient() => Self::Unreachable,
            Err(_) => Self::Refused,
        }
    }
}

/// Where the requests of one source are taken down; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(Arc<Mutex<Vec<Asked>>>);

impl Tally {
    /// A request begins, or waits for its turn.
    pub fn begin(&self, source: &'static str) -> Asking {
        Asking {
            tally: self.clone(),
            source,
            begun: tokio::time::Instant::now(),
            result: Answered::Unreachable,
        }
    }

    /// Takes a request down that is over. Beyond [`MOST`] nothing is kept.
    pub fn note(&self, one: Asked) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST {
            all.push(one);
        }
    }

    /// What was taken down since the last time this was asked.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request under way. One that is dropped without a word was waited for in vain.
pub(super) struct Asking {
    tally: Tally,
    source: &'static str,
    begun: tokio::time::Instant,
    result: Answered,
}

impl Asking {
    pub fn ended(mut self, result: Answered) {
        self.result = result;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Self { source, result, begun, .. } = *self;
        self.tally.note(Asked { source, result, took: begun.elapsed() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_waits_for_any_more_was_not_answered() {
        let tally = Tally::default();
        let asking = tally.begin("prometheus");
        let slow = async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            asking.ended(Answered::Ok);
        };
        assert!(tokio::time::timeout(Duration::from_secs(2), slow).await.is_err());
        tally.begin("prometheus").ended(Answered::Ok);
        let taken = tally.take();
        let told: Vec<_> = taken.iter().map(|one| (one.result, one.took.as_secs())).collect();
        assert_eq!(told, [(Answered::Unreachable, 2), (Answered::Ok, 0)]);
        assert!(tally.take().is_empty(), "each is counted once");
    }

    #[test]
    fn where_nobody_counts_memory_is_bounded() {
        let tally = Tally::default();
        for _ in 0..MOST + 5 {
            tally.begin("logs").ended(Answered::Ok);
        }
        assert_eq!(tally.take().len(), MOST);
    }
}
