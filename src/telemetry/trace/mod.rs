//! Traces of what the guard does, by OTLP over HTTP. Nothing of this runs where the environment
//! names no endpoint.
//!
//! A watch is one trace, from the hook to the end of its rollback, through every restart and
//! whoever leads: its ids are made of the watch's own ([`ids`]), so nothing has to be kept. Its
//! spans are read off what a step has changed ([`watching`]); what takes time beside that, a
//! request, a permit, a call, a delivery, is told where it is done.
//!
//! Telling never waits: spans go into a bounded queue, which a thread of the SDK's empties. A
//! collector that is down costs spans and nothing else; a variable that is wrong costs all of
//! them, and nothing else either. What is queued when the process is killed is lost: what whoever
//! goes on tells of a rollback may be below a decision that never came.

mod doing;
mod environment;
mod export;
mod ids;
mod request;
mod span;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanProcessor,
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
    /// What is left of it.
    room: Arc<export::Room>,
    /// As `OTEL_TRACES_SAMPLER` says. Of a watch's trace it is asked with the id alone: all of
    /// it is taken, or nothing.
    sampler: Box<dyn ShouldSample>,
    scope: InstrumentationScope,
}

impl Traces {
    /// Whether the environment wants traces, in a way that this build has.
    pub fn are_wanted() -> bool {
        environment::wants(variable) == Ok(true)
    }

    /// As the environment says: the `OTEL_` variables of the SDK and of its OTLP exporter.
    /// Nothing is sent yet. What is wrong with them is told in the log, and there are no traces
    /// then: the guard guards without.
    pub fn from_environment() -> Self {
        Self::made().unwrap_or_else(|why| {
            tracing::error!(%why, "traces are not sent");
            Self::default()
        })
    }

    fn made() -> Result<Self, String> {
        if !environment::wants(variable)? {
            return Ok(Self::default());
        }
        if let Some(exporters) = environment::left_out(variable) {
            tracing::warn!(exporters, "traces are sent by `otlp` alone");
        }
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.map_err(|_| "the OTEL_EXPORTER_OTLP_ variables can't be used")?;
        let room = Arc::new(export::Room::of(environment::queue(variable)));
        let host = environment::host(variable)?;
        let exporter = export::Heard::by(exporter, host, room.clone());
        let config = BatchConfigBuilder::default();
        let config = config.with_max_queue_size(environment::queue(variable)).build();
        let mut queue = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        queue.set_resource(&environment::resource());
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let sampler = Config::default().sampler;
        Ok(Self(Some(Arc::new(Way { queue, room, sampler, scope }))))
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
        self.tell_below(None, span);
    }

    /// The same of a span that is below another's, who may have said whether it is taken.
    fn tell_below(&self, caller: Option<&SpanContext>, span: Span) {
        let Some(way) = &self.0 else { return };
        if is_taken(way.sampler.as_ref(), caller, &span) && way.room.has_taken() {
            way.queue.on_end(span.finished(way.scope.clone()));
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn is_taken(sampler: &dyn ShouldSample, caller: Option<&SpanContext>, span: &Span) -> bool {
    let context = caller.map(|caller| Context::new().with_remote_span_context(caller.clone()));
    let (trace, name, kind) = (span.trace, &span.name, &span.kind);
    let sampled = sampler.should_sample(context.as_ref(), trace, name, kind, &[], &[]);
    sampled.decision == SamplingDecision::RecordAndSample
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use opentelemetry::trace::{TraceFlags, TraceState};
    use opentelemetry_sdk::trace::Sampler;

    use super::*;

    #[test]
    fn who_asked_has_said_whether_their_trace_is_taken() {
        let when = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let span = Span::alone(ids::trace(), None, when);
        let caller = |flags| {
            let (trace, state) = (span.trace, TraceState::default());
            SpanContext::new(trace, ids::span(), flags, true, state)
        };
        let (taken, left) = (caller(TraceFlags::SAMPLED), caller(TraceFlags::default()));
        let none = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        assert!(!is_taken(&none, None, &span));
        assert!(is_taken(&none, Some(&taken), &span));
        let all = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        assert!(is_taken(&all, None, &span));
        assert!(!is_taken(&all, Some(&left), &span));
    }
}
