//! The daemon's own state, for `/readyz` and the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// What the daemon knows of itself. Shared; every lock is held for a copy only.
#[derive(Debug, Default)]
pub struct Status {
    inner: Mutex<Health>,
}

/// One reading of the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Mistakes of the latest policy reading; empty when it is in force.
    pub policy_mistakes: Vec<String>,
    /// Git commit of the policies in force.
    pub policy_commit: Option<String>,
    pub policies: usize,
    /// Why the store can't keep anything, while it can't.
    pub store: Option<String>,
    /// Targets and clusters that can't be looked at, with the reason.
    pub platform: BTreeMap<String, String>,
    /// When the platform was last looked at.
    pub looked_at: Option<Timestamp>,
    /// When the engine last completed a step.
    pub stepped_at: Option<Timestamp>,
}

impl Status {
    pub fn read(&self) -> Health {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Health {
    /// Why the daemon is not ready; empty: it is. Broken policies leave the last
    /// good ones in force, so they are told and do not make it unready.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles: Vec<String> = self.store.iter().cloned().collect();
        if self.policies == 0 && !self.policy_mistakes.is_empty() {
            obstacles.push("no policy could be read".to_owned());
        }
        obstacles
    }
}
