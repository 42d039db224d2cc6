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

mod deployments;
mod discover;
mod finding;
mod finished;
mod pages;
mod picture;
mod print;
mod recorded;
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
