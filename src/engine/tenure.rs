//! The time in which this process leads: when it begins, how it is kept up, and that
//! nothing of it goes on afterwards.
//!
//! Of several daemons on one store one leads and runs an engine; the others stand by.
//! The lease lies in the store (`store::lease`), in the database's time. This process
//! goes by its own clock, which needs not agree with any other, and by the moment at
//! which it *asked*: the lease can't run out earlier than [`VALID`] after that. It stops
//! [`MARGIN`] before, by itself, without hearing from the database.
//!
//! ```text
//! asked     renewed every 1.5 s    stops acting   may be taken   is taken
//! |---------|---------|-----------------|--------------|-------------|
//! 0 s       1.5 s     3 s               4 s            5 s           <= 5.5 s
//! ```
//!
//! [`Tenure::hold`] looks at the clock before every step of what it holds. A process
//! that was stopped for a minute goes on in the middle of whatever it was doing, long
//! before anything tells it that it was away; what it does first is to look here.
//! Whatever is broken off is what a crash would have broken off: the successor reads off
//! the state what is wanted, and looks for calls that may be under way.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::store::{Claim, Fence, Store, StoreError};

/// How long a lease holds from the renewal on.
const VALID: Duration = Duration::from_secs(5);
/// How long before its end nothing is done any more.
const MARGIN: Duration = Duration::from_secs(1);
/// Between two renewals.
const RENEW: Duration = Duration::from_millis(1500);
/// Between two tries to renew, and between two looks of who stands by.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// One process's time as the leader; clones share it.
#[derive(Debug, Clone)]
pub struct Tenure {
    /// When it ends unless it is renewed. `None`: not while the process lives.
    until: watch::Receiver<Option<Instant>>,
    over: CancellationToken,
}

/// What came of standing by.
pub enum Turn {
    /// This process leads, and writes through this store.
    Ours(Tenure, Store, Fence),
    /// Another one does, at this address.
    Theirs(String),
}

/// Asks once whether this process may lead now. `owner` is its own name, `url` where
/// the others find it.
///
/// # Errors
/// The store does not answer.
pub async fn turn(store: &Store, owner: &str, url: &str) -> Result<Turn, StoreError> {
    let asked = tokio::time::Instant::now();
    let claim = in_time(store.claim(owner, url, VALID)).await?;
    let fence = match claim {
        Claim::Held(url) => return Ok(Turn::Theirs(url)),
        Claim::Granted(fence) => fence,
    };
    let over = CancellationToken::new();
    let end = store.lease_runs_out().then(|| asked + VALID - MARGIN);
    let (sender, until) = watch::channel(end);
    let tenure = Tenure { until, over };
    if store.lease_runs_out() {
        tokio::spawn(keep(tenure.clone(), sender, store.clone(), fence.clone()));
    }
    Ok(Turn::Ours(tenure, store.under(fence.clone()), fence))
}

/// The pause between two turns that are asked for.
pub async fn between_turns() {
    tokio::time::sleep(AGAIN).await;
}

impl Tenure {
    /// Whether it is over, by the clock of this moment. Once over, it stays so.
    pub fn is_over(&self) -> bool {
        let end = *self.until.borrow();
        if end.is_some_and(|end| tokio::time::Instant::now() >= end) {
            self.over.cancel();
        }
        self.over.is_cancelled()
    }

    /// Ends it: nothing that it holds is gone on with.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Returns once it is over.
    pub async fn over(&self) {
        let mut until = self.until.clone();
        while !self.is_over() {
            let end = *until.borrow_and_update();
            tokio::select! {
                () = self.over.cancelled() => {}
                () = ends(end) => {}
                changed = until.changed() => if changed.is_err() {
                    // Nobody renews it: it ends by its clock, or is ended.
                    tokio::select! {
                        () = self.over.cancelled() => {}
                        () = ends(end) => {}
                    }
                }
            }
        }
    }

    /// Does `work` while it lasts; `None`: it was over before the work was done.
    pub async fn hold<F: Future>(&self, work: F) -> Option<F::Output> {
        let (mut over, mut work) = (std::pin::pin!(self.over()), std::pin::pin!(work));
        std::future::poll_fn(|context| {
            if self.is_over() || over.as_mut().poll(context).is_ready() {
                return std::task::Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

#[cfg(test)]
impl Tenure {
    /// One that lasts until it is ended.
    pub(super) fn without_end() -> Self {
        let (_, until) = watch::channel(None);
        Self { until, over: CancellationToken::new() }
    }
}

async fn ends(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Renews the lease until the tenure is over.
async fn keep(tenure: Tenure, until: watch::Sender<Option<Instant>>, store: Store, fence: Fence) {
    let mut pause = RENEW;
    loop {
        tokio::select! {
            () = tenure.over() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let asked = tokio::time::Instant::now();
        let renewed = in_time(store.renew(&fence, VALID)).await;
        // What was over while the answer was on its way stays over.
        if tenure.is_over() {
            return;
        }
        pause = match renewed {
            Ok(true) => {
                until.send_replace(Some(asked + VALID - MARGIN));
                RENEW
            }
            Ok(false) => {
                tracing::warn!("another deployguard has taken the lead");
                tenure.end();
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the lead could not be renewed; trying again");
                AGAIN
            }
        };
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = || StoreError::Unsupported(format!("no answer within {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(silent()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenure(end: Duration) -> (watch::Sender<Option<Instant>>, Tenure) {
        let (sender, until) = watch::channel(Some(Instant::now() + end));
        (sender, Tenure { until, over: CancellationToken::new() })
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_holds_ends_with_it_by_the_clock_alone() {
        let (_sender, tenure) = tenure(Duration::from_secs(5));
        assert_eq!(tenure.hold(async { 1 }).await, Some(1));
        let begun = Instant::now();
        assert_eq!(tenure.hold(std::future::pending::<()>()).await, None);
        assert_eq!(begun.elapsed().as_secs(), 5);
        assert_eq!(tenure.hold(async { 1 }).await, None, "nothing begins after it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_lengthens_it_and_one_that_comes_late_does_not() {
        let (sender, tenure) = tenure(Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(4)).await;
        sender.send_replace(Some(Instant::now() + Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(!tenure.is_over());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(tenure.is_over());
        sender.send_replace(Some(Instant::now() + Duration::from_secs(5)));
        assert!(tenure.is_over(), "once over, over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_was_about_to_be_made_when_the_process_was_stopped_is_not_made() {
        let (_sender, tenure) = tenure(Duration::from_secs(5));
        let (send, mut receive) = tokio::sync::mpsc::channel::<()>(1);
        let mut acted = false;
        let work = async {
            receive.recv().await;
            acted = true;
        };
        {
            let mut held = std::pin::pin!(tenure.hold(work));
            let first = futures_poll(held.as_mut()).await;
            assert!(first.is_pending());
            // Stopped here for long; what it waited for has come meanwhile.
            tokio::time::advance(Duration::from_secs(9)).await;
            send.send(()).await.unwrap();
            assert_eq!(held.await, None);
        }
        assert!(!acted);
    }

    /// Polls once.
    async fn futures_poll<F: Future>(
        mut work: std::pin::Pin<&mut F>,
    ) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context))).await
    }
}
