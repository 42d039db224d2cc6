//! What is heard of the way out: one line when spans are lost, and one when they go out again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// The room for spans that wait. It is kept here, because the SDK tells nobody what it drops:
/// whatever comes to its queue finds room there.
#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    waiting: AtomicUsize,
    /// Since it was last told.
    lost: AtomicUsize,
}

impl Room {
    /// `most`: spans that may wait.
    pub fn of(most: usize) -> Self {
        Self { most, waiting: AtomicUsize::new(0), lost: AtomicUsize::new(0) }
    }

    /// Whether there is room for one more, which waits from then on.
    pub fn has_taken(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                most = self.most,
                "too many spans wait to be sent; more are lost until there is room"
            );
        }
        false
    }

    fn given(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
    }

    /// How many were lost, once there is room again: not at each batch of a flood.
    fn lost(&self) -> usize {
        if self.waiting.load(Ordering::Relaxed) > self.most / 2 {
            return 0;
        }
        self.lost.swap(0, Ordering::Relaxed)
    }
}

/// An exporter that is listened to.
#[derive(Debug)]
pub(super) struct Heard<E> {
    exporter: E,
    /// Where it sends to.
    host: String,
    room: Arc<Room>,
    is_failing: AtomicBool,
}

impl<E> Heard<E> {
    pub fn by(exporter: E, host: String, room: Arc<Room>) -> Self {
        Self { exporter, host, room, is_failing: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for Heard<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.room.given(batch.len());
        let sent = self.exporter.export(batch).await;
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        let host = &self.host;
        match &sent {
            Err(error) if !was_failing => {
                tracing::warn!(
                    %host, %error,
                    "traces can't be sent; spans are lost until they can"
                );
            }
            Ok(()) if was_failing => tracing::info!(%host, "traces are sent again"),
            Ok(()) | Err(_) => {}
        }
        let lost = self.room.lost();
        if lost > 0 {
            tracing::info!(lost, "there is room again for spans that wait to be sent");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use jiff::Timestamp;
    use opentelemetry::InstrumentationScope;
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;
    use crate::model::WatchId;
    use crate::telemetry::trace::span::Span;

    #[derive(Debug)]
    struct Collector {
        is_down: Arc<AtomicBool>,
    }

    impl SpanExporter for Collector {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            if self.is_down.load(Ordering::Relaxed) {
                return Err(OTelSdkError::InternalFailure("no answer".to_owned()));
            }
            Ok(())
        }
    }

    /// What `work` writes to the log.
    fn said(work: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = Arc::new(File::create(&path).unwrap());
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(file).finish();
        tracing::subscriber::with_default(log, work);
        std::fs::read_to_string(&path).unwrap()
    }

    fn batch(spans: usize) -> Vec<SpanData> {
        let when = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let span = Span::of(&WatchId::typed("api-1"), "deployguard.tick", when);
        let scope = InstrumentationScope::builder("test").build();
        (0..spans).map(|_| span.clone().finished(scope.clone())).collect()
    }

    fn export<E: SpanExporter>(heard: &Heard<E>, spans: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(heard.export(batch(spans)));
    }

    #[test]
    fn a_collector_that_is_down_is_told_once_with_its_host_and_that_it_is_back() {
        let is_down = Arc::new(AtomicBool::new(true));
        let collector = Collector { is_down: is_down.clone() };
        let room = Arc::new(Room::of(10));
        let heard = Heard::by(collector, "collector:4318".to_owned(), room);
        let log = said(|| {
            export(&heard, 0);
            export(&heard, 0);
            is_down.store(false, Ordering::Relaxed);
            export(&heard, 0);
            export(&heard, 0);
        });
        assert_eq!(log.matches("traces can't be sent").count(), 1, "{log}");
        assert_eq!(log.matches("host=collector:4318").count(), 2, "{log}");
        assert_eq!(log.matches("traces are sent again").count(), 1, "{log}");
    }

    #[test]
    fn spans_without_room_are_lost_and_told_once_and_counted_when_there_is_room() {
        let collector = Collector { is_down: Arc::default() };
        let room = Arc::new(Room::of(4));
        let heard = Heard::by(collector, "collector:4318".to_owned(), room.clone());
        let log = said(|| {
            let taken = (0..7).filter(|_| room.has_taken()).count();
            assert_eq!(taken, 4);
            export(&heard, 1);
            assert!(room.has_taken(), "there is room for one");
            export(&heard, 4);
            export(&heard, 0);
        });
        assert_eq!(log.matches("too many spans wait").count(), 1, "{log}");
        assert_eq!(log.matches("there is room again").count(), 1, "{log}");
        assert!(log.contains("lost=3"), "{log}");
    }
}
