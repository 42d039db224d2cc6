//! What is asked and heard of the outside: sources of measurements, platforms, events.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::Metrics;
use super::make::Maker;
use crate::model::{Measured, Unusable};
use crate::sources::{Answered, Asked};

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

impl HintResult {
    const ALL: [Self; 6] = [
        Self::Looked,
        Self::Unguarded,
        Self::NotOurs,
        Self::Unreadable,
        Self::Failed,
        Self::Refused,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Looked => "looked",
            Self::Unguarded => "unguarded",
            Self::NotOurs => "not_ours",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

pub(super) struct Sources {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    readings: IntCounterVec,
    measuring: HistogramVec,
    cloudwatch_metrics: IntCounterVec,
    cloudwatch_requests: IntCounterVec,
    looks: IntCounterVec,
    hints: IntCounterVec,
}

const READINGS: [&str; 8] =
    ["ok", "empty", "nothing_new", "too_few", "not_finite", "wrong_type", "unreachable", "refused"];
const REQUESTS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const MEASURING: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const NONE: &[&str] = &[];

impl Sources {
    pub fn made(make: &mut Maker) -> Result<Self, prometheus::Error> {
        let requests = "Requests to sources of measurements, by the kind of source and what came \
                        of them.";
        let seconds = "Time that requests to sources of measurements took, turns waited for \
                       included.";
        let measuring = "Time to measure all the checks that were due at one moment.";
        let billed = "Metrics that CloudWatch was asked for; AWS bills each.";
        let looks = "Looks at services on the platform.";
        let hints = "Events of AWS and Render by the way that they came and what became of them.";
        let sources = Self {
            requests: make.counters("source_requests_total", requests, &["source", "result"])?,
            request_seconds: make.histograms(
                "source_request_duration_seconds",
                seconds,
                &["source"],
                &REQUESTS,
            )?,
            readings: make.counters("readings_total", "Readings of checks.", &["result"])?,
            measuring: make.histograms("measure_duration_seconds", measuring, NONE, &MEASURING)?,
            cloudwatch_metrics: make.counters("cloudwatch_metrics_total", billed, &["target"])?,
            cloudwatch_requests: make.counters(
                "cloudwatch_requests_total",
                "Requests to CloudWatch.",
                &["target"],
            )?,
            looks: make.counters("platform_looks_total", looks, &["result"])?,
            hints: make.counters("events_total", hints, &["path", "result"])?,
        };
        for result in READINGS {
            sources.readings.with_label_values(&[result]).inc_by(0);
        }
        for result in ["ok", "failed"] {
            sources.looks.with_label_values(&[result]).inc_by(0);
        }
        let _ = sources.measuring.with_label_values(NONE);
        Ok(sources)
    }
}

impl Metrics {
    pub fn looked(&self, good: bool) {
        let result = if good { "ok" } else { "failed" };
        self.sources.looks.with_label_values(&[result]).inc();
    }

    /// What became of an event that came over `path`: `sqs`, `sns` or `render`.
    pub fn hinted(&self, path: &str, result: HintResult) {
        self.sources.hints.with_label_values(&[path, result.as_str()]).inc();
    }

    /// Events may come over `path`: their counters are there from now on.
    pub fn may_hear(&self, path: &str) {
        for result in HintResult::ALL.map(HintResult::as_str) {
            self.sources.hints.with_label_values(&[path, result]).inc_by(0);
        }
    }

    pub fn measured<K>(&self, took: Duration, measured: &[(K, Measured)]) {
        self.sources.measuring.with_label_values(NONE).observe(took.as_secs_f64());
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
            self.sources.readings.with_label_values(&[result]).inc();
        }
    }

    /// Sources of this kind may be asked: their counters are there from now on.
    pub fn may_ask(&self, source: &str) {
        for result in Answered::ALL.map(Answered::as_str) {
            self.sources.requests.with_label_values(&[source, result]).inc_by(0);
        }
        let _ = self.sources.request_seconds.with_label_values(&[source]);
    }

    /// Requests to sources, and how they went.
    pub fn asked(&self, requests: &[Asked]) {
        for Asked { source, result, took } in requests {
            self.sources.requests.with_label_values(&[*source, result.as_str()]).inc();
            let seconds = self.sources.request_seconds.with_label_values(&[*source]);
            seconds.observe(took.as_secs_f64());
        }
    }

    /// CloudWatch may be asked for this target.
    pub fn may_ask_cloudwatch(&self, target: &str) {
        self.asked_cloudwatch(target, 0, 0);
    }

    /// What was asked of CloudWatch for a target.
    pub fn asked_cloudwatch(&self, target: &str, metrics: u64, requests: u64) {
        self.sources.cloudwatch_metrics.with_label_values(&[target]).inc_by(metrics);
        self.sources.cloudwatch_requests.with_label_values(&[target]).inc_by(requests);
    }
}
