//! The ids of traces and spans. Those of a watch are made of the watch's own id, so that every
//! daemon, after a restart or a change of the lead, goes on with the same trace.

use jiff::Timestamp;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use sha2::{Digest, Sha256};

use crate::model::WatchId;

/// The trace of a watch.
pub(in crate::telemetry) fn of_watch(watch: &WatchId) -> TraceId {
    TraceId::from_bytes(start(&format!("trace\n{watch}")))
}

/// The span over the whole watch. It is told when the watch ends, and its children before it.
pub(super) fn root(watch: &WatchId) -> SpanId {
    SpanId::from_bytes(start(&format!("watch\n{watch}")))
}

/// The span of the decision to roll back that was made at `decided_at`; what is done about it
/// may be done by another process.
pub(super) fn decision(watch: &WatchId, decided_at: Timestamp) -> SpanId {
    let text = format!("decision\n{watch}\n{}", decided_at.as_millisecond());
    SpanId::from_bytes(start(&text))
}

/// Of a span that nobody has to find again.
pub(super) fn span() -> SpanId {
    RandomIdGenerator::default().new_span_id()
}

/// Of a trace that is no watch's.
pub(super) fn trace() -> TraceId {
    RandomIdGenerator::default().new_trace_id()
}

fn start<const N: usize>(text: &str) -> [u8; N] {
    let digest = Sha256::digest(text);
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_a_watch_are_its_own_and_never_change() {
        let (one, other) = (WatchId::typed("api-1"), WatchId::typed("api-2"));
        // Every version has to come to these: a rollback may outlive the version that began it.
        assert_eq!(of_watch(&one).to_string(), "a1dff63d4b7906701f729c9ccbcc92ea");
        assert_eq!(root(&one).to_string(), "6a27f039f7e8d74f");
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        assert_eq!(decision(&one, at).to_string(), "4a010d1180c1cef0");
        assert_ne!(of_watch(&one), of_watch(&other));
        assert_ne!(root(&one), root(&other));
        let later = Timestamp::from_millisecond(1_700_000_000_124).unwrap();
        assert_ne!(decision(&one, at), decision(&one, later));
        assert_ne!(span(), span());
    }
}
