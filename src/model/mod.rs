//! The words of deployguard as types: no clock, no randomness, no I/O.
//!
//! Everything here is plain data that can be serialised, because every one of
//! these values ends up in the journal, in a message or in an answer of the API.

mod address;
mod alert;
mod deployment;
mod gate;
mod ident;
mod incident;
mod joined;
mod ledger;
mod measure;
mod metric;
mod notice;
mod platform;
mod press;
mod recipient;
mod rollback;
mod signal;
mod survey;
mod tasks;
mod verdict;
mod web;

pub use address::{Address, FILES, Lane, Way};
pub use alert::Alert;
pub use deployment::{
    Announcement, Deployment, Facts, Inherited, Revision, RollbackSafe, Span, Unsafe, repository,
};
pub use gate::{GateOverride, GateReason, GateRule, GateVerdict, Named, OVERRIDE_LASTS};
pub use ident::{Service, ServiceKey, WatchId, without_kinds};
pub use incident::{Acked, Incident, IncidentStatus};
pub use joined::{Companion, Lead};
pub use ledger::{LedgerEntry, Standing};
pub use measure::{
    ArmRule, Arms, Ask, Births, Counts, Histogram, Measured, Measurement, Newer, Question, Reading,
    Shape, Split, Ticks, Unusable, settle,
};
pub use metric::{
    ALARM, ALARM_BEFORE, AlarmsAsk, Fold, Metric, MetricAsk, MetricOf, MetricStat, MetricUnit,
};
pub use notice::{Body, Card, Health, Notice, Reply, Tile, Tone, Trend};
pub use platform::{Controller, PlatformDeployment, RollOut, Sighting};
pub use press::{About, Command, Confirm, HoldTime, Offer};
pub use recipient::{Nobody, Recipient};
pub use rollback::{
    ActFailure, Acted, Inspection, Permit, RollbackPlan, Route, ShiftPlan, StopSwitch,
};
pub use signal::{Signal, Turn};
pub use survey::{Front, KnownAlarm, Surveyed};
pub use tasks::{StopKind, TASK_STOP, TaskGauge, TaskStop, TasksAsk, TasksOf};
pub use verdict::{Mode, Outcome, Severity, Verdict};
pub use web::{BESIDE, CHECK, Edge, Filled, Form, HealthAsk, JsonAsk, Piece, STATUS, WebAsk};
