//! Policies: YAML files in git that say which services are guarded and how.
//!
//! `rules` is the meaning, `read` the way from files to it.

mod aside;
mod before;
mod cloudwatch;
mod diagnostic;
mod diff;
mod draft;
mod every;
mod gate;
mod glob;
mod import;
mod measure;
mod plain;
mod probe;
mod question;
mod quiet;
mod read;
mod rhythm;
mod rules;
mod scrape;
mod selector;
mod set;
mod template;
mod web;

pub use aside::{DatabaseRule, GitHubRule};
pub use before::BeforeRule;
pub use diagnostic::{Diagnostic, Remark, Weight, nearest};
pub use diff::{Change, Effect, diff};
pub use draft::{Before, DAYS, Drafted, Figure, History, Scene, Seen, draft, is_name, unnameable};
pub use every::{Every, Period};
pub use gate::{
    Days, Freeze, Gate, Held, HeldBy, Holiday, Holidays, Interval, Lasts, Soak, Stance, Stances,
    Times, Yearly,
};
pub use glob::Glob;
pub use import::{Frame, ImportFrom, Imported, MAX_IMPORT_BYTES, UNSAID, import};
pub use measure::{
    Beside, Counted, Gauged, Heartbeat, LogCount, Measure, Part, Proof, Stated, Watched,
};
pub use probe::{Probe, Probed, Step};
pub use question::{INSTANCE, Vars};
pub use quiet::Hours;
pub use read::{
    MAX_BYTES, SourceFile, check, duration, is_calendar, nothing_there, read, read_other, schema,
};
pub use rhythm::Stretches;
pub use rules::{
    Action, Actions, Against, BaselineRule, Bound, Check, Fallback, LabelNames, LeakRule, Limit,
    LowTraffic, Match, MovedBy, NotifyRule, OnTimeout, Phase, Policy, RollbackRule, Rung, Side,
    Unannounced, Unit, up_or_down,
};
pub use scrape::Scrape;
pub use selector::selectors;
pub use set::{Matches, Origin, PolicySet, Written};
pub use web::{Health, JsonValue, WebText};
