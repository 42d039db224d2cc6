//! What changes, as it changes: `GET /events`, server-sent events.
//!
//! The store is looked at twice a second while anybody listens, once for all who do, so
//! every daemon on it can tell, also one that stands by. A watch is told by its id and
//! version alone; what it looks like is asked for as at any other time, so that there is
//! one way to see a watch, and one place that says who may.
//!
//! | event | data | when |
//! | --- | --- | --- |
//! | `open` | `{"watches": {ID: VERSION}}` | first: every open watch, by which a page finds what it missed |
//! | `watch` | `{"id", "version", "open"}` | one has changed or begun; where it ended, `open` is false and `version` null |
//! | `beat` | `{}` | nothing has changed for a while, and the store was looked at |
//!
//! A stream in which nothing comes for three beats is not live. One ends after an hour, so
//! that who listens shows again that they may.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use tokio_util::sync::CancellationToken;

use super::Face;
use super::openapi::ToRead;
use super::problem::Problem;
use crate::store::Store;

/// Between two looks; half of what a breach may take to be seen on a page stays for the rest.
const EVERY: Duration = Duration::from_millis(500);
/// After so long without news it is told that there is none.
const BEAT: Duration = Duration::from_secs(10);
/// A stream's life.
const LIFE: Duration = Duration::from_hours(1);
/// Streams at a time, of one daemon.
const MOST: usize = 512;

/// The versions of the open watches.
type Open = BTreeMap<String, i64>;

/// What was seen last, for all who listen.
#[derive(Clone)]
pub struct Live {
    /// `None` before the first look.
    seen: watch::Sender<Option<Arc<Open>>>,
    /// Somebody has begun to listen.
    heard: Arc<Notify>,
    seats: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seen: watch::Sender::new(None),
            heard: Arc::default(),
            seats: Arc::new(Semaphore::new(MOST)),
        }
    }
}

impl Live {
    /// Looks for as long as anybody listens, until `stop`.
    pub async fn look(self, store: Store, stop: CancellationToken) {
        let looking = async {
            loop {
                if self.seen.receiver_count() == 0 {
                    // What was seen before is old for whoever comes next.
                    self.seen.send_replace(None);
                    self.heard.notified().await;
                }
                self.look_for_a_while(&store).await;
            }
        };
        stop.run_until_cancelled(looking).await;
        // The streams end with it, and hold up no stop.
        self.seats.close();
        self.seen.send_replace(None);
    }

    async fn look_for_a_while(&self, store: &Store) {
        let mut told = tokio::time::Instant::now();
        while self.seen.receiver_count() > 0 {
            match store.open_versions().await {
                Ok(open) => {
                    let same = self.seen.borrow().as_deref() == Some(&open);
                    if !same || told.elapsed() >= BEAT {
                        told = tokio::time::Instant::now();
                        self.seen.send_replace(Some(Arc::new(open)));
                    }
                }
                // Those who listen hear no beat, and know by that.
                Err(error) => tracing::debug!(%error, "the open watches can't be looked at"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn listen(&self) -> Result<Listener, Problem> {
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{MOST} listen already, or the daemon stops");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        })?;
        let seen = self.seen.subscribe();
        self.heard.notify_one();
        let until = tokio::time::Instant::now() + LIFE;
        Ok(Listener {
            seen,
            seats: self.seats.clone(),
            known: None,
            due: VecDeque::new(),
            until,
            _seat: seat,
        })
    }
}

/// Who listens, and what they know.
struct Listener {
    seen: watch::Receiver<Option<Arc<Open>>>,
    seats: Arc<Semaphore>,
    known: Option<Arc<Open>>,
    due: VecDeque<Event>,
    until: tokio::time::Instant,
    _seat: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some((Ok(event), self));
            }
            if self.seats.is_closed() {
                return None;
            }
            let seen = self.seen.borrow_and_update().clone();
            if let Some(seen) = seen.filter(|seen| !self.knows(seen)) {
                self.take(seen);
            } else {
                tokio::time::timeout_at(self.until, self.seen.changed()).await.ok()?.ok()?;
            }
        }
    }

    /// Whether it is the very look that was told last; the next one may have the same to say.
    fn knows(&self, seen: &Arc<Open>) -> bool {
        self.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, seen))
    }

    fn take(&mut self, seen: Arc<Open>) {
        let told = news(self.known.as_deref(), &seen);
        self.due =
            told.into_iter().map(|(kind, data)| Event::default().event(kind).data(data)).collect();
        self.known = Some(seen);
    }
}

/// What somebody who knows `known` has to be told, as kinds and data of events.
fn news(known: Option<&Open>, seen: &Open) -> Vec<(&'static str, String)> {
    let Some(known) = known else {
        return vec![("open", json!({ "watches": seen }).to_string())];
    };
    let changed = seen.iter().filter(|(id, version)| known.get(*id) != Some(version));
    let changed =
        changed.map(|(id, version)| json!({ "id": id, "version": version, "open": true }));
    let ended = known.keys().filter(|id| !seen.contains_key(*id));
    let ended = ended.map(|id| json!({ "id": id, "version": null, "open": false }));
    let told: Vec<_> = changed.chain(ended).map(|data| ("watch", data.to_string())).collect();
    if told.is_empty() { vec![("beat", "{}".to_owned())] } else { told }
}

/// What changes, as it changes.
///
/// Server-sent events. `open` comes first: `{"watches": {ID: VERSION}}`, every open watch.
/// `watch`: `{"id", "version", "open"}`, one has changed, begun or ended. `beat`: `{}`,
/// nothing has changed for ten seconds. A stream ends after an hour.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "listen",
    tag = "watches",
    responses(
        (status = 200, description = "For as long as it is listened to.", body = String,
            content_type = "text/event-stream"),
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn events(
    State(face): State<Face>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    face.may_read(&headers)?;
    Ok(Sse::new(stream::unfold(face.live.listen()?, Listener::next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(watches: &[(&str, i64)]) -> Open {
        watches.iter().map(|(id, version)| ((*id).to_owned(), *version)).collect()
    }

    #[test]
    fn who_comes_is_told_of_every_open_watch_and_then_of_what_changes() {
        let first = open(&[("a", 1), ("b", 7)]);
        assert_eq!(news(None, &first), [("open", r#"{"watches":{"a":1,"b":7}}"#.to_owned())]);
        let second = open(&[("a", 2), ("c", 1)]);
        let told: Vec<String> = news(Some(&first), &second).into_iter().map(|one| one.1).collect();
        assert_eq!(
            told,
            [
                r#"{"id":"a","open":true,"version":2}"#,
                r#"{"id":"c","open":true,"version":1}"#,
                r#"{"id":"b","open":false,"version":null}"#,
            ]
        );
        assert_eq!(news(Some(&second), &second), [("beat", "{}".to_owned())]);
    }
}
