//! Traces of what the guard does, by OTLP over HTTP. Nothing of this runs where the environment
//! names no endpoint.
//!
//! A watch is one trace, from the hook to the end of its rollback, through every restart and
//! whoever leads: its ids are made of the watch's own ([`ids`]), so nothing has to be kept. Its
//! spans are read off what a step has changed ([`watching`]); what takes time beside that, a
//! request, a permit, a call, a delivery, is told where it is done.
//!
//! Telling never waits: spans go into a bounded queue, which a thread of the SDK's empties. A
//! collector that is down costs spans and nothing else.

mod doing;
mod environment;
mod export;
mod ids;
mod request;
mod span;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanProcessor,
};

pub(super) use ids::of_watch;
pub use request::{has_joined, is_about};
use span::Span;

/// How long a stop waits for the last spans to be taken.
const FAREWELL: Duration = Duration::from_secs(3);

/// Where spans go; nowhere, unless the environment says so. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Way>>);

#[derive(Debug)]
struct Way {
    queue: BatchSpanProcessor,
    /// As `OTEL_TRACES_SAMPLER` says. It is asked with the trace's id alone: all of a trace is
    /// taken, or nothing.
    sampler: Box<dyn ShouldSample>,
    scope: InstrumentationScope,
}

impl Traces {
    /// Whether the environment wants traces.
    ///
    /// # Errors
    /// It wants them in a way that this build doesn't have.
    pub fn are_wanted() -> anyhow::Result<bool> {
        environment::wants(|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)
    }

    /// As the environment says: the `OTEL_` variables of the SDK and of its OTLP exporter.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn from_environment() -> anyhow::Result<Self> {
        if !Self::are_wanted()? {
            return Ok(Self::default());
        }
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = export::Heard::by(exporter.context("the OTEL_EXPORTER_OTLP_ variables")?);
        let mut queue = BatchSpanProcessor::builder(exporter).build();
        queue.set_resource(&environment::resource());
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let sampler = Config::default().sampler;
        Ok(Self(Some(Arc::new(Way { queue, sampler, scope }))))
    }

    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sends what is queued, for some seconds at the most. Nothing is taken afterwards.
    pub async fn close(&self) {
        let Some(way) = self.0.clone() else { return };
        let closing = tokio::task::spawn_blocking(move || {
            way.queue.shutdown_with_timeout(FAREWELL).map_err(|error| error.to_string())
        });
        if let Ok(Err(error)) = closing.await {
            tracing::warn!(error, "the last spans could not be sent");
        }
    }

    /// Queues a span; where the queue is full it is lost.
    fn tell(&self, span: Span) {
        let Some(way) = &self.0 else { return };
        let sampled = way.sampler.should_sample(None, span.trace, &span.name, &span.kind, &[], &[]);
        if sampled.decision == SamplingDecision::RecordAndSample {
            way.queue.on_end(span.finished(way.scope.clone()));
        }
    }
}
