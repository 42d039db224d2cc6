//! Policies: YAML files in git that say which services are guarded and how.
//!
//! `rules` is the meaning, `read` the way from files to it.

mod diagnostic;
mod diff;
mod glob;
mod import;
mod question;
mod read;
mod rules;
mod selector;
mod set;
mod template;

pub use diagnostic::{Diagnostic, Remark, Weight, nearest};
pub use diff::{Change, Effect, diff};
pub use glob::Glob;
pub use import::{Frame, ImportFrom, Imported, UNSAID, import};
pub use question::{INSTANCE, Vars};
pub use read::{MAX_BYTES, SourceFile, check, duration, nothing_there, read, read_other, schema};
pub use rules::{
    Action, Actions, Against, BaselineRule, Bound, Check, Counted, Fallback, LabelNames, LeakRule,
    Limit, LowTraffic, Match, Measure, NotifyRule, OnTimeout, Part, Phase, Policy, RollbackRule,
    Side, Unannounced, Unit,
};
pub use selector::selectors;
pub use set::{Matches, Origin, PolicySet, Written};
