//! Who leads, as the rest of the program is shown it, and the way to the engine if that
//! is here.

use tokio::sync::{mpsc, watch};

use super::handle::{EngineHandle, Input};
use super::run::Engine;

/// Where the engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leads {
    Here,
    /// In another process, at this address.
    There(String),
    /// Nobody that is known of, for now.
    Nobody,
}

#[derive(Clone)]
pub(super) enum Standing {
    Leading(mpsc::Sender<Input>),
    /// The leader's address; empty: not known.
    Behind(String),
}

/// What the leading is told at. Handles follow it.
pub struct Helm(watch::Sender<Standing>);

impl Default for Helm {
    fn default() -> Self {
        Self(watch::Sender::new(Standing::Behind(String::new())))
    }
}

impl Helm {
    /// A way to whatever engine leads in this process.
    pub fn handle(&self) -> EngineHandle {
        EngineHandle { standing: self.0.subscribe() }
    }

    /// This engine leads from now on.
    pub fn lead(&self, engine: &Engine) {
        self.0.send_replace(engine.handle.standing.borrow().clone());
    }

    /// Another one leads; `url`: where, empty if nobody knows.
    pub fn stand_by(&self, url: &str) {
        self.0.send_if_modified(|standing| {
            let known = matches!(standing, Standing::Behind(known) if known == url);
            if !known {
                *standing = Standing::Behind(url.to_owned());
            }
            !known
        });
    }
}

impl EngineHandle {
    /// To one engine for good.
    pub(super) fn to(inputs: mpsc::Sender<Input>) -> Self {
        Self { standing: watch::Sender::new(Standing::Leading(inputs)).subscribe() }
    }

    /// Where the engine runs now.
    pub fn leads(&self) -> Leads {
        match &*self.standing.borrow() {
            Standing::Leading(_) => Leads::Here,
            Standing::Behind(url) if url.is_empty() => Leads::Nobody,
            Standing::Behind(url) => Leads::There(url.clone()),
        }
    }

    /// The way in, while the engine runs here.
    pub(super) fn inputs(&self) -> Option<mpsc::Sender<Input>> {
        match &*self.standing.borrow() {
            Standing::Leading(inputs) => Some(inputs.clone()),
            Standing::Behind(_) => None,
        }
    }

    pub(super) async fn send(&self, input: Input) {
        if let Some(inputs) = self.inputs() {
            // An engine that has ended needs it no more.
            let _ = inputs.send(input).await;
        }
    }
}
