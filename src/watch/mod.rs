//! The watch over one deployment: a pure state machine.
//!
//! Data flows one way. An [`Event`] comes in with the time; the watch changes
//! its state and says what must be *kept* with that change ([`Said`]: messages
//! and ledger entries). What must be *done* is not a list of effects that a
//! crash could lose: it is read off the state, by [`Watch::wants`]. A watch that
//! was restarted wants what it wanted before, and nothing else has to resume it.
//!
//! `now` is always an argument. Two folds of the same journal give the same state.

mod answers;
mod baselines;
mod beside;
mod canary;
mod card;
mod closing;
mod cost;
mod database;
mod decide;
mod decided;
mod digest;
mod escalate;
mod event;
mod explain;
mod gate;
mod github;
mod harm;
mod intake;
mod joined;
mod labels;
mod lost;
mod maintenance;
mod offers;
mod outside;
mod phase;
mod pictures;
mod press;
mod quiet;
mod replies;
mod report;
mod sampling;
mod sight;
mod state;
mod story;
mod target;
mod tasks;
mod theirs;
mod undo;
mod untold;
mod wants;
mod weigh;
mod words;

pub use crate::model::Command;
pub use baselines::{BaselineAsk, BaselineMeasured, Purpose, Samples};
pub use beside::{is_unsettled, rivals, settled_beside};
pub use canary::Canary;
pub use cost::{Cost, DOLLARS};
pub use decide::{Decision, Standpoint, decide};
pub use decided::{Answer, Decided, DecidedCheck};
pub use digest::{Came, Digest, Digested, PolicyDigest};
pub use escalate::Escalation;
pub use event::{Event, Illegal, Press, Sampled, Tick};
pub use explain::{
    BaselineStory, CheckStory, ControlStory, EvidenceStory, Explanation, Moment, Spell, Turn,
    chance, explain,
};
pub use gate::{GateAnswer, Known, Trial, bad, gate, standing, trials};
pub use github::AtGitHub;
pub use intake::{Poison, Seen, Step as IntakeStep, on_announcement, on_sighting};
pub use labels::{Unlabelled, lacking, unlabelled, variables};
pub use lost::Lost;
pub use maintenance::Maintenance;
pub use quiet::Hushed;
pub use report::{markdown, report};
pub use state::{
    Actor, Ceiling, Entry, LogExcerpt, Pending, Pinned, PreflightState, RollbackRun, RunStep, Said,
    Stage, Watch,
};
pub use story::{Deed, Heard, Story, tell};
pub use target::{Candidate, candidates};
pub use tasks::Tasks;
pub use wants::Want;
pub use words::limits_in_words;

#[cfg(test)]
pub(crate) mod tests;
