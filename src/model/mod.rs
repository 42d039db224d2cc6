//! The words of deployguard as types: no clock, no randomness, no I/O.
//!
//! Everything here is plain data that can be serialised, because every one of
//! these values ends up in the journal, in a message or in an answer of the API.

mod address;
mod alert;
mod beat;
mod deployment;
mod gate;
mod github;
mod ident;
mod incident;
mod joined;
mod ledger;
mod logs;
mod measure;
mod metric;
mod notice;
mod platform;
mod press;
mod probe;
mod recipient;
mod rollback;
mod scraped;
mod signal;
mod survey;
mod tasks;
mod verdict;
mod web;

pub use address::{Address, FILES, Lane, Way};
pub use alert::Alert;
pub use beat::{Beat, BeatAsk, Listened, is_job};
pub use deployment::{
    Announcement, Database, Deployment, Facts, Inherited, Revision, RollbackSafe, Span, Unsafe,
    repository, rollback_safe,
};
pub use gate::{GateOverride, GateReason, GateRule, GateVerdict, Named, OVERRIDE_LASTS};
pub use github::{
    CodePlace, DeployedService, GitHubNote, GitHubOrigin, Mark, MarkState, Repositories,
    Repository, Revert, RevertWish, Stadium,
};
pub use ident::{Service, ServiceKey, WatchId, without_kinds};
pub use incident::{Acked, Incident, IncidentStatus};
pub use joined::{Companion, Lead};
pub use ledger::{LedgerEntry, Standing};
pub use logs::LogsAsk;
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
pub use probe::{Expect, PROBE, ProbeAsk, Probing, StepAsk};
pub use recipient::{Nobody, Recipient};
pub use rollback::{
    ActFailure, Acted, Actuator, Inspection, MaintenanceHooks, Means, Permit, RollbackPlan, Route,
    ShiftPlan, StopSwitch,
};
pub use scraped::{Page, ScrapedAsk, Wants};
pub use signal::{Signal, Turn};
pub use survey::{Front, KnownAlarm, Surveyed};
pub use tasks::{StopKind, TASK_STOP, TaskGauge, TaskStop, TasksAsk, TasksOf};
pub use verdict::{Mode, Outcome, Severity, Verdict};
pub use web::{
    BESIDE, CHECK, Edge, Filled, Form, HealthAsk, JsonAsk, Piece, STATUS, THEIRS, WebAsk,
};
