//! The daemon's own metrics and logs. Metric names are written here and nowhere
//! else; base units, counters end in `_total`.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::engine::{Announced, Refused, Tried};
use crate::model::{ActFailure, Acted, Measured, Outcome, Unusable, Way};
use crate::store::{Letterbox, Pause, StoreError};
use crate::watch::{Stage, Watch};

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintResult {
    Looked,
    /// Nothing guards the service.
    Unguarded,
    NotOurs,
    Unreadable,
    /// The look failed, and the event comes again.
    Failed,
    /// It is not from whom it says.
    Refused,
}

/// Every metric of the daemon.
pub struct Metrics {
    registry: Registry,
    watches: IntGaugeVec,
    verdicts: IntGaugeVec,
    ended: IntCounterVec,
    rollbacks: IntCounterVec,
    announcements: IntCounterVec,
    looks: IntCounterVec,
    hints: IntCounterVec,
    readings: IntCounterVec,
    measuring: Histogram,
    /// Requests over HTTP that policies caused, and how long they took.
    web: (IntCounterVec, HistogramVec),
    /// Metrics asked for, and requests.
    cloudwatch: [IntCounterVec; 2],
    policy_reloads: IntCounterVec,
    policy_broken: IntGauge,
    deliveries: IntCounterVec,
    outbox: IntGaugeVec,
    outbox_age: IntGaugeVec,
    /// No series until a connection is wanted.
    slack_sockets: IntGaugeVec,
    slack_connects: IntCounterVec,
    requests: IntCounterVec,
    leading: IntGauge,
    takeovers: IntCounter,
    paused: IntGaugeVec,
}

/// The stages of a watch that are shown apart.
const STAGES: [&str; 4] = ["announced", "starting", "watching", "rolling_back"];
const VERDICTS: [&str; 6] = ["none", "no_data", "low_traffic", "healthy", "elevated", "breach"];

impl Metrics {
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let build = gauges(&registry, "build_info", "The build; always 1.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let measuring = measuring(&registry)?;
        let (deliveries, [outbox, outbox_age]) = delivering(&registry)?;
        let (slack_sockets, slack_connects) = connecting(&registry)?;
        Ok(Metrics {
            watches: gauges(&registry, "watches", "Open watches by stage.", &["stage"])?,
            verdicts: gauges(
                &registry,
                "checks",
                "Checks of open watches by verdict.",
                &["verdict"],
            )?,
            ended: counters(
                &registry,
                "watches_ended_total",
                "Ended watches by outcome.",
                &["outcome"],
            )?,
            rollbacks: counters(
                &registry,
                "rollback_attempts_total",
                "Calls to the platform to roll back, by what came of them.",
                &["result"],
            )?,
            announcements: counters(
                &registry,
                "announcements_total",
                "Announced deployments by what became of them.",
                &["result"],
            )?,
            looks: looks(&registry)?,
            hints: hints(&registry)?,
            readings: counters(&registry, "readings_total", "Readings of checks.", &["result"])?,
            measuring,
            web: web(&registry)?,
            cloudwatch: cloudwatch(&registry)?,
            policy_reloads: counters(
                &registry,
                "policy_reloads_total",
                "Readings of the policy folder.",
                &["result"],
            )?,
            policy_broken: policy_broken(&registry)?,
            deliveries,
            outbox,
            outbox_age,
            slack_sockets,
            slack_connects,
            requests: counters(
                &registry,
                "http_requests_total",
                "Requests to the daemon.",
                &["route", "code"],
            )?,
            leading: leading(&registry)?,
            takeovers: takeovers(&registry)?,
            paused: paused(&registry)?,
            registry,
        })
    }

    /// The text format that Prometheus scrapes.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }

    pub fn watches<'a>(&self, open: impl Iterator<Item = &'a Watch>) {
        let mut stages = [0_i64; STAGES.len()];
        let mut verdicts = [0_i64; VERDICTS.len()];
        for watch in open {
            let stage = match &watch.stage {
                Stage::Announced { .. } => 0,
                Stage::Starting => 1,
                Stage::Watching => 2,
                Stage::RollingBack(_) => 3,
                Stage::Ended { .. } => continue,
            };
            stages[stage] += 1;
            for state in watch.checks.values() {
                let said = state.verdict().map_or("none", crate::model::Verdict::as_str);
                if let Some(index) = VERDICTS.iter().position(|verdict| *verdict == said) {
                    verdicts[index] += 1;
                }
            }
        }
        for (stage, count) in STAGES.iter().zip(stages) {
            self.watches.with_label_values(&[stage]).set(count);
        }
        for (verdict, count) in VERDICTS.iter().zip(verdicts) {
            self.verdicts.with_label_values(&[verdict]).set(count);
        }
    }

    /// A step has changed this watch.
    pub fn watch_moved(&self, watch: &Watch) {
        if let Some(outcome) = watch.outcome() {
            self.ended.with_label_values(&[Outcome::as_str(outcome)]).inc();
        }
    }

    pub fn acted(&self, result: &Result<Acted, ActFailure>) {
        let result = match result.as_ref().map_err(ActFailure::itself) {
            Ok(_) => "accepted",
            Err(ActFailure::Superseded(_)) => "superseded",
            Err(ActFailure::Refused(_)) => "refused",
            Err(ActFailure::Permanent(_) | ActFailure::Maintained { .. }) => "failed",
            Err(ActFailure::Transient(_)) => "unknown",
            // No call is no attempt.
            Err(ActFailure::Stopped(_)) => return,
        };
        self.rollbacks.with_label_values(&[result]).inc();
    }

    pub fn announced(&self, result: &Result<Announced, Refused>) {
        let result = match result {
            Ok(Announced::Watched(_)) => "watched",
            Ok(Announced::Unguarded { .. }) => "unguarded",
            Err(_) => "refused",
        };
        self.announcements.with_label_values(&[result]).inc();
    }

    pub fn looked(&self, good: bool) {
        self.looks.with_label_values(&[if good { "ok" } else { "failed" }]).inc();
    }

    /// What became of an event that came over `path`, `sqs` or `sns`.
    pub fn hinted(&self, path: &str, result: HintResult) {
        let result = match result {
            HintResult::Looked => "looked",
            HintResult::Unguarded => "unguarded",
            HintResult::NotOurs => "not_ours",
            HintResult::Unreadable => "unreadable",
            HintResult::Failed => "failed",
            HintResult::Refused => "refused",
        };
        self.hints.with_label_values(&[path, result]).inc();
    }

    pub fn measured<K>(&self, took: Duration, measured: &[(K, Measured)]) {
        self.measuring.observe(took.as_secs_f64());
        for reading in measured.iter().flat_map(|(_, one)| &one.readings) {
            let result = match reading {
                Ok(_) => "ok",
                Err(Unusable::Empty) => "empty",
                Err(Unusable::NothingNew) => "nothing_new",
                Err(Unusable::TooFew(_)) => "too_few",
                Err(Unusable::NotFinite(_)) => "not_finite",
                Err(Unusable::WrongType) => "wrong_type",
                Err(Unusable::Unreachable(_)) => "unreachable",
                Err(Unusable::Refused(_)) => "refused",
            };
            self.readings.with_label_values(&[result]).inc();
        }
    }

    /// A request to a health endpoint, a JSON API or a page of metrics.
    pub fn asked_web(&self, source: &str, result: &str, took: Duration) {
        let (requests, seconds) = &self.web;
        requests.with_label_values(&[source, result]).inc();
        seconds.with_label_values(&[source]).observe(took.as_secs_f64());
    }

    /// Shows the target's counters of CloudWatch from the start, as 0: a rate needs a first
    /// value, and what is not there can't be told from what nobody counts.
    pub fn may_ask_cloudwatch(&self, target: &str) {
        self.asked_cloudwatch(target, 0, 0);
    }

    /// What was asked of CloudWatch for a target.
    pub fn asked_cloudwatch(&self, target: &str, metrics: u64, requests: u64) {
        let [of_metrics, of_requests] = &self.cloudwatch;
        of_metrics.with_label_values(&[target]).inc_by(metrics);
        of_requests.with_label_values(&[target]).inc_by(requests);
    }

    pub fn policies_read(&self, good: bool) {
        self.policy_reloads.with_label_values(&[if good { "good" } else { "broken" }]).inc();
        self.policy_broken.set(i64::from(!good));
    }

    pub fn delivered(&self, way: Way, tried: &Result<Tried, StoreError>) {
        let result = match tried {
            Ok(Tried::Delivered) => "delivered",
            Ok(Tried::Again) => "again",
            Ok(Tried::GivenUp) => "given_up",
            Err(_) => "store_error",
        };
        self.deliveries.with_label_values(&[way.as_str(), result]).inc();
    }

    pub fn letterboxes(&self, letterboxes: &[Letterbox], now: Timestamp) {
        for letterbox in letterboxes {
            let way = letterbox.way.as_str();
            let Letterbox { pending, undeliverable, unreadable, oldest, .. } = letterbox;
            let counts = [
                ("pending", pending),
                ("undeliverable", undeliverable),
                ("unreadable", unreadable),
            ];
            for (status, count) in counts {
                self.outbox.with_label_values(&[way, status]).set(i64::from(*count));
            }
            let age = oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs());
            self.outbox_age.with_label_values(&[way]).set(age.max(0));
        }
    }

    /// Connections of Socket Mode: so many more, or fewer, than before.
    pub fn slack_sockets(&self, more: i64) {
        self.slack_sockets.with_label_values(&[] as &[&str]).add(more);
    }

    /// A try to open one; `None`: none yet, but there will be.
    pub fn slack_connected(&self, good: Option<bool>) {
        for (result, is) in [("ok", true), ("failed", false)] {
            self.slack_connects.with_label_values(&[result]).inc_by(u64::from(good == Some(is)));
        }
    }

    /// The pauses in force, as who leads knows them.
    pub fn paused(&self, pauses: &[Pause]) {
        self.paused.reset();
        for pause in pauses {
            self.paused.with_label_values(&[pause.scope.as_str()]).set(1);
        }
    }

    /// This process begins to lead.
    pub fn leads(&self) {
        self.leading.set(1);
        self.takeovers.inc();
    }

    /// This process leads no more: what it counted of the watches is another's to tell.
    pub fn stands_by(&self) {
        self.leading.set(0);
        self.watches(std::iter::empty());
        self.paused(&[]);
    }

    pub fn request(&self, route: &str, code: u16) {
        self.requests.with_label_values(&[route, &code.to_string()]).inc();
    }
}

fn web(registry: &Registry) -> Result<(IntCounterVec, HistogramVec), prometheus::Error> {
    let help =
        "Requests to health endpoints, JSON APIs and pages of metrics, by what came of them.";
    let requests = counters(registry, "web_requests_total", help, &["source", "result"])?;
    let options = HistogramOpts::new(
        "deployguard_web_request_duration_seconds",
        "Time that requests to health endpoints, JSON APIs and pages of metrics took, turns \
         waited for included.",
    );
    let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    let seconds = HistogramVec::new(options.buckets(buckets), &["source"])?;
    registry.register(Box::new(seconds.clone()))?;
    Ok((requests, seconds))
}

fn cloudwatch(registry: &Registry) -> Result<[IntCounterVec; 2], prometheus::Error> {
    let metrics = "Metrics that CloudWatch was asked for; AWS bills each.";
    let requests = "Requests to CloudWatch.";
    Ok([
        counters(registry, "cloudwatch_metrics_total", metrics, &["target"])?,
        counters(registry, "cloudwatch_requests_total", requests, &["target"])?,
    ])
}

fn delivering(registry: &Registry) -> Result<(IntCounterVec, [IntGaugeVec; 2]), prometheus::Error> {
    let tries = "Tries to deliver a message.";
    let oldest = "Age of the oldest message that waits; 0 when none does.";
    Ok((
        counters(registry, "notification_deliveries_total", tries, &["channel", "result"])?,
        [
            gauges(registry, "outbox_messages", "Messages not delivered.", &["channel", "status"])?,
            gauges(registry, "outbox_oldest_seconds", oldest, &["channel"])?,
        ],
    ))
}

fn connecting(registry: &Registry) -> Result<(IntGaugeVec, IntCounterVec), prometheus::Error> {
    let open = "Connections of Slack's Socket Mode: 1, 2 while one is replaced, 0 when none is.";
    let tries = "Tries to open a connection of Slack's Socket Mode.";
    Ok((
        gauges(registry, "slack_socket_connected", open, &[])?,
        counters(registry, "slack_socket_connects_total", tries, &["result"])?,
    ))
}

fn leading(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
    gauge(registry, "leading", "1 while this process leads, 0 while it stands by.")
}

fn policy_broken(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
    let help = "1 while the policy folder has mistakes and the last good policies stay in force.";
    gauge(registry, "policy_broken", help)
}

fn paused(registry: &Registry) -> Result<IntGaugeVec, prometheus::Error> {
    let help = "1 while automatic action is paused in the scope; no series: it is not.";
    gauges(registry, "paused", help, &["scope"])
}

fn takeovers(registry: &Registry) -> Result<IntCounter, prometheus::Error> {
    let metric =
        IntCounter::new("deployguard_takeovers_total", "Times that this process began to lead.")?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn looks(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    counters(registry, "platform_looks_total", "Looks at services on the platform.", &["result"])
}

fn hints(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Events of AWS by the way that they came and what became of them.";
    counters(registry, "events_total", help, &["path", "result"])
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(Opts::new(format!("deployguard_{name}"), help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    let metric = IntGaugeVec::new(Opts::new(format!("deployguard_{name}"), help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn measuring(registry: &Registry) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(
        "deployguard_measure_duration_seconds",
        "Time to measure all the checks that were due at one moment.",
    );
    let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let metric = Histogram::with_opts(options.buckets(buckets))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::with_opts(Opts::new(format!("deployguard_{name}"), help))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What of the libraries' is left out, where `filter` does not name it.
const QUIET: &str = "aws_config::imds::region=error";

/// Sends the log to stderr. `filter` is tracing's, such as `info,deployguard=debug`.
pub fn init_log(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    // That there is no region in a machine's metadata is said in our words, once and short.
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{filter}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("{error}"))
}
