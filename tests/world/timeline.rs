//! What each side of the world saw, as it happens.

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::now;

/// Who saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Amazon ECS.
    Ecs,
    /// Slack.
    Slack,
    /// The world itself: what a test or the demo did.
    World,
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Who saw it.
    pub side: Side,
    /// What it was, for people.
    pub text: String,
}

/// Where the sides tell what they saw; whoever listens late misses what was before.
#[derive(Debug, Clone)]
pub struct Timeline(broadcast::Sender<Moment>);

impl Default for Timeline {
    fn default() -> Self {
        Self(broadcast::Sender::new(1024))
    }
}

impl Timeline {
    /// Tells that something happened just now.
    pub fn tell(&self, side: Side, text: impl Into<String>) {
        // Nobody has to listen.
        drop(self.0.send(Moment { at: now(), side, text: text.into() }));
    }

    /// Everything from now on.
    pub fn listen(&self) -> broadcast::Receiver<Moment> {
        self.0.subscribe()
    }
}
