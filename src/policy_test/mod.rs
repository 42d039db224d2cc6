//! Tests of policies: given series, expected verdicts and actions.
//!
//! A file `*_test.yaml` lies beside the policies, names one of them and gives series in
//! promtool's notation. Each test is a [`crate::rehearsal`]; counters are selected and
//! differenced by the code that reads the daemon's source, so a test that passes says
//! what the daemon would do.
//!
//! ```yaml
//! policy: shopflow.yaml                # from this file's folder on
//! # Of these each test may give its own: interval (1m), start, until, mode, deployment,
//! # platform, series.
//! interval: 15s                        # of the series
//! deployment: { service: shopflow-api, version: v1.5.0, at: 2h, rollback_safe: true }
//! platform: { in_service_after: 30s, complete_after: 5m, back_after: 2m }
//! series:
//!   - { series: 'http_requests_total{service="shopflow-api",status="200"}', values: '0+300x720' }
//!   - { check: memory, labels: { instance: a }, values: '0.5x720' }
//! tests:
//!   - name: an error rate of 5 % asks
//!     press: [{ at: +10m, ack: dana }]
//!     away: [+20m..+30m]               # the guard itself
//!     expect:
//!       - { by: +5m, check: error rate, verdict: breach, severity: SEV2, blame: deployment }
//!       - { at: +5m, action: ask, message: /decide$/ }
//!       - { during: +3m..end, check: memory, verdict: healthy }
//!       - { at: end, outcome: open }
//! ```
//!
//! Times count from the series' start (`2h5m`), from the deployment (`+5m`), or are the
//! `end`. A series given by `check` is what that check's query gives, held until the
//! next value; `of: bad`, `good` or `total` says which query of a ratio. A platform may
//! also say `fails: WHY`, `refuses: WHY`, `no_target: WHY` and `tasks_gone_after: 15m`.

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
