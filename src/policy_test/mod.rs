//! Tests of policies: given series, expected verdicts and actions.
//!
//! A file `*_test.yaml` lies beside the policies, names one of them and gives series in
//! promtool's notation. Each test is a [`crate::rehearsal`]; counters are selected and
//! differenced by the code that reads the daemon's source, so a test that passes says
//! what the daemon would do.

mod expect;
mod file;
mod places;
mod read;
mod run;
mod series;
mod tell;
mod values;
mod wanted;
mod when;

pub use read::{Test, TestFile, read};
pub use run::{Failure, Outcome, run};
pub use tell::{Paint, told};
