//! Past deployments judged on recorded metrics: what a policy would have done, and when.
//!
//! ```text
//! CSV, or a version label ─> deployments ─> scene ─> rehearsal ─> finding ─> table, JSON, pages
//!                                                      ^
//!                                        Prometheus ───┘ range queries, ahead of time
//! ```
//!
//! No rule of the watch or the judge is written here a second time: a deployment is
//! lived through by [`crate::rehearsal`]. It ends where a rollback is called, because
//! what was recorded after that is not what would have been.
//!
//! **Deployments of the same time** (one environment, other services) are each other's
//! rivals, as with the daemon. Each is lived through alone first, which leaves a trail of
//! how it looked to others. Only where that came to a breach can rivals change anything:
//! such a deployment is lived through once more, with the trails of those beside it.
//! The trails are of deployments alone, so two that would excuse each other in turn are
//! not settled to the end; and one that is rolled back stays a rival until the next
//! deployment, because what was recorded shows no recovery. No more than a few trails
//! are kept at a time.

mod calendar;
mod deployments;
mod discover;
mod finding;
mod finished;
mod pages;
mod picture;
mod print;
mod recorded;
mod rivals;
mod run;
mod setup;
mod summary;

pub use deployments::{Past, read_deployments};
pub use discover::{Search, discover};
pub use finding::{Action, Finding, Truth};
pub use finished::Finished;
pub use pages::Pages;
pub use print::{Format, Printer};
pub use recorded::is_there;
pub use run::{Bench, Gone, backtest};
pub use setup::Setup;
pub use summary::Summary;

#[cfg(test)]
mod tests;
