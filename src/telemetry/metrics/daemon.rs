//! The daemon itself: its build, its HTTP face, its policies, who leads, and what it can't see.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::Metrics;
use super::make::Maker;
use crate::engine::Health;
use crate::store::Pause;
use crate::telemetry::known_method;

pub(super) struct Daemon {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    policy_reloads: IntCounterVec,
    policy_broken: IntGauge,
    pub(super) leading: IntGauge,
    takeovers: IntCounterVec,
    paused: IntGaugeVec,
    blind: IntGaugeVec,
    last_step: GaugeVec,
}

/// Version, commit and compiler; `build.rs` finds the last two.
const BUILD: [&str; 3] =
    [env!("CARGO_PKG_VERSION"), env!("DEPLOYGUARD_COMMIT"), env!("DEPLOYGUARD_RUSTC")];
/// What a hook may be answered with.
const CODES: [&str; 13] =
    ["200", "202", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503", "504"];
/// Most requests wait for the store, and some for the engine up to ten seconds.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

impl Daemon {
    pub fn made(make: &mut Maker) -> Result<Self, prometheus::Error> {
        let build = "The build; always 1.";
        let build = make.gauges("build_info", build, &["version", "commit", "rustc"])?;
        build.with_label_values(&BUILD).set(1);
        let requests = "Requests to the daemon.";
        let seconds = "Time that requests to the daemon took.";
        let broken = "1 while the policy folder has mistakes and the last good policies stay in \
                      force.";
        let leading = "1 while this process leads, 0 while it stands by.";
        let takeovers = "Times that this process began to lead.";
        let paused = "1 while automatic action is paused in the scope; no series: it is not.";
        let blind = "1 while a place, a queue, a Prometheus or a page of metrics can't be asked; \
                     no series: it can.";
        let last_step = "Unix time at which the engine last completed a step, once a minute at \
                         least; no series while this process stands by.";
        let daemon = Self {
            requests: make.counters(
                "http_requests_total",
                requests,
                &["method", "route", "code"],
            )?,
            request_seconds: make.histograms(
                "http_request_duration_seconds",
                seconds,
                &["method", "route"],
                &BOUNDS,
            )?,
            policy_reloads: make.counters(
                "policy_reloads_total",
                "Readings of the policy folder.",
                &["result"],
            )?,
            policy_broken: make.gauge("policy_broken", broken)?,
            leading: make.gauge("leading", leading)?,
            takeovers: make.counters("takeovers_total", takeovers, &[])?,
            paused: make.gauges("paused", paused, &["scope"])?,
            blind: make.gauges("blind", blind, &["place"])?,
            last_step: make.exact_gauges("last_step_timestamp_seconds", last_step, &[])?,
        };
        daemon.takeovers.with_label_values(NONE).inc_by(0);
        for result in ["good", "broken"] {
            daemon.policy_reloads.with_label_values(&[result]).inc_by(0);
        }
        Ok(daemon)
    }
}

const NONE: &[&str] = &[];

impl Metrics {
    /// Others may post to this route: its counters are there from now on.
    pub fn may_be_posted(&self, route: &str) {
        let Daemon { requests, request_seconds, .. } = &self.daemon;
        for code in CODES {
            requests.with_label_values(&["POST", route, code]).inc_by(0);
        }
        let _ = request_seconds.with_label_values(&["POST", route]);
    }

    /// A request to the daemon that is over.
    pub fn request(&self, method: &str, route: &str, code: u16, took: Duration) {
        let method = known_method(method);
        let Daemon { requests, request_seconds, .. } = &self.daemon;
        requests.with_label_values(&[method, route, &code.to_string()]).inc();
        request_seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// The policy folder was read, by whoever leads and by who stands by.
    pub fn policies_read(&self, good: bool) {
        let result = if good { "good" } else { "broken" };
        self.daemon.policy_reloads.with_label_values(&[result]).inc();
        self.daemon.policy_broken.set(i64::from(!good));
    }

    /// This process begins to lead.
    pub fn leads(&self) {
        self.daemon.leading.set(1);
        self.daemon.takeovers.with_label_values(NONE).inc();
    }

    /// The pauses in force, as who leads knows them.
    pub fn paused(&self, pauses: &[Pause]) {
        let _still = self.still();
        self.daemon.paused.reset();
        for pause in pauses {
            self.daemon.paused.with_label_values(&[pause.scope.as_str()]).set(1);
        }
    }

    /// Shows what the daemon knows of itself at `now`.
    pub(super) fn health(&self, health: &Health, now: Timestamp) {
        self.daemon.blind.reset();
        for place in health.blind_places(now) {
            self.daemon.blind.with_label_values(&[place]).set(1);
        }
        let last_step = &self.daemon.last_step;
        match health.stepped_at {
            Some(at) => last_step.with_label_values(NONE).set(at.as_duration().as_secs_f64()),
            None => last_step.reset(),
        }
    }
}
