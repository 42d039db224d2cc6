//! The daemon's own metrics, in pieces by what they are about. Base units, counters end in
//! `_total`. A counter whose labels are known is there from the start, as 0: a rate needs a
//! first value, and what is not there can't be told from what nobody counts.

mod daemon;
mod make;
mod messages;
mod sources;
mod watching;

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus::{Encoder, Registry, TextEncoder};

use daemon::Daemon;
use make::Maker;
use messages::Messages;
pub use sources::HintResult;
use sources::Sources;
use watching::Watching;

use crate::engine::Health;

/// Every metric of the daemon.
pub struct Metrics {
    registry: Registry,
    daemon: Daemon,
    watching: Watching,
    sources: Sources,
    messages: Messages,
    /// Held while gauges are emptied and filled again, and while all is read: nobody is shown
    /// the moment between.
    still: Mutex<()>,
}

impl Metrics {
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let mut make = Maker::default();
        Ok(Metrics {
            daemon: Daemon::made(&mut make)?,
            watching: Watching::made(&mut make)?,
            sources: Sources::made(&mut make)?,
            messages: Messages::made(&mut make)?,
            registry: make.registry,
            still: Mutex::default(),
        })
    }

    /// The text format that Prometheus scrapes.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let _still = self.still();
        self.encoded()
    }

    /// The same, with what the daemon knows of itself at `now`: told when it is asked, because
    /// some of it is only so by the clock.
    pub fn text_with(&self, health: &Health, now: Timestamp) -> Result<String, prometheus::Error> {
        let _still = self.still();
        self.health(health, now);
        self.encoded()
    }

    fn encoded(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    /// This process leads no more: what it counted of the watches and of the messages is
    /// another's to tell.
    pub fn stands_by(&self) {
        self.daemon.leading.set(0);
        self.watches(std::iter::empty());
        self.paused(&[]);
        self.no_letterboxes();
    }

    /// Nothing is read, and nothing else emptied, until it is dropped.
    fn still(&self) -> MutexGuard<'_, ()> {
        self.still.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
