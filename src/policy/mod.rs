//! Policies: YAML files in git that say which services are guarded and how.
//!
//! `rules` is the meaning, `read` the way from files to it.

mod question;
mod rules;

pub use question::Vars;
pub use rules::{
    Action, Actions, Against, BaselineRule, Bound, Check, Counted, Fallback, LabelNames, Limit,
    Match, Measure, NotifyRule, OnTimeout, Part, Phase, Policy, RollbackRule, Side, Unannounced,
    Unit,
};
