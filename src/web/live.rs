//! What changes, as it changes: `GET /events`, server-sent events.
//!
//! The store is looked at twice a second while anybody listens, once for all who do, so
//! every daemon on it can tell, also one that stands by. A watch is told by its id and
//! version alone, how the guard itself stands by a mark; what either looks like is asked for
//! as at any other time, so that there is one way to see it, and one place that says who may.
//!
//! | event | data | when |
//! | --- | --- | --- |
//! | `open` | `{"mark", "watches": {ID: VERSION}}` | first: every open watch, by which a page finds what it missed |
//! | `watch` | `{"id", "version", "open"}` | one has changed or begun; where it ended, `open` is false and `version` null |
//! | `fleet` | `{"mark"}` | who leads, what is paused, what is not guarded, or what keeps the guard from guarding has changed |
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
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use tokio_util::sync::CancellationToken;

use super::Face;
use super::openapi::ToRead;
use super::problem::Problem;
use super::standing::{Letters, Standing};
use crate::engine::clock;

/// Between two looks; half of what a breach may take to be seen on a page stays for the rest.
const EVERY: Duration = Duration::from_millis(500);
/// Between two looks at how the guard itself stands, and how long one may take.
const STANDS: Duration = Duration::from_secs(2);
/// After so long without news it is told that there is none.
const BEAT: Duration = Duration::from_secs(10);
/// A stream's life.
const LIFE: Duration = Duration::from_hours(1);
/// Streams at a time, of one daemon.
const MOST: usize = 512;

/// The versions of the open watches.
type Open = BTreeMap<String, i64>;

/// What one look showed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look {
    open: Open,
    /// Of how the guard stands; empty: it could not be asked yet.
    mark: String,
}

/// What was seen last, for all who listen.
#[derive(Clone)]
pub struct Live {
    /// `None` before the first look.
    seen: watch::Sender<Option<Arc<Look>>>,
    pub(super) letters: Letters,
    /// Somebody has begun to listen.
    heard: Arc<Notify>,
    seats: Arc<Semaphore>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            seen: watch::Sender::new(None),
            letters: Letters::default(),
            heard: Arc::default(),
            seats: Arc::new(Semaphore::new(MOST)),
        }
    }
}

impl Live {
    /// Looks for as long as anybody listens, until `stop`.
    pub(super) async fn look(self, face: Face, stop: CancellationToken) {
        let looking = async {
            loop {
                if self.seen.receiver_count() == 0 {
                    // What was seen before is old for whoever comes next.
                    self.seen.send_replace(None);
                    self.heard.notified().await;
                }
                self.look_for_a_while(&face).await;
            }
        };
        stop.run_until_cancelled(looking).await;
        // The streams end with it, and hold up no stop.
        self.seats.close();
        self.seen.send_replace(None);
    }

    async fn look_for_a_while(&self, face: &Face) {
        let mut told = tokio::time::Instant::now();
        let (mut mark, mut marked) = (String::new(), None);
        while self.seen.receiver_count() > 0 {
            if marked.is_none_or(|at: tokio::time::Instant| at.elapsed() >= STANDS) {
                marked = Some(tokio::time::Instant::now());
                let standing = Standing::of(face, clock::now());
                if let Ok(Ok(standing)) = tokio::time::timeout(STANDS, standing).await {
                    mark = standing.mark();
                }
            }
            match face.store.open_versions().await {
                Ok(open) => {
                    let look = Look { open, mark: mark.clone() };
                    let same = self.seen.borrow().as_deref() == Some(&look);
                    if !same || told.elapsed() >= BEAT {
                        told = tokio::time::Instant::now();
                        self.seen.send_replace(Some(Arc::new(look)));
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
    seen: watch::Receiver<Option<Arc<Look>>>,
    seats: Arc<Semaphore>,
    known: Option<Arc<Look>>,
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
    fn knows(&self, seen: &Arc<Look>) -> bool {
        self.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, seen))
    }

    fn take(&mut self, seen: Arc<Look>) {
        let told = news(self.known.as_deref(), &seen);
        self.due =
            told.into_iter().map(|(kind, data)| Event::default().event(kind).data(data)).collect();
        self.known = Some(seen);
    }
}

/// What somebody who knows `known` has to be told, as kinds and data of events.
fn news(known: Option<&Look>, seen: &Look) -> Vec<(&'static str, String)> {
    let Some(known) = known else {
        let all = json!({ "mark": seen.mark, "watches": seen.open });
        return vec![("open", all.to_string())];
    };
    let changed = seen.open.iter().filter(|(id, version)| known.open.get(*id) != Some(version));
    let changed =
        changed.map(|(id, version)| json!({ "id": id, "version": version, "open": true }));
    let ended = known.open.keys().filter(|id| !seen.open.contains_key(*id));
    let ended = ended.map(|id| json!({ "id": id, "version": null, "open": false }));
    let mut told: Vec<_> = changed.chain(ended).map(|data| ("watch", data.to_string())).collect();
    if seen.mark != known.mark {
        told.push(("fleet", json!({ "mark": seen.mark }).to_string()));
    }
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
) -> Result<impl IntoResponse, Problem> {
    face.may_read(&headers)?;
    // Nginx would else gather events until it has a buffer full of them.
    let at_once = [("x-accel-buffering", "no"), ("cache-control", "no-store")];
    Ok((at_once, Sse::new(stream::unfold(face.live.listen()?, Listener::next))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(watches: &[(&str, i64)], mark: &str) -> Look {
        let open = watches.iter().map(|(id, version)| ((*id).to_owned(), *version)).collect();
        Look { open, mark: mark.to_owned() }
    }

    #[test]
    fn who_comes_is_told_of_every_open_watch_and_then_of_what_changes() {
        let first = look(&[("a", 1), ("b", 7)], "m");
        let told = r#"{"mark":"m","watches":{"a":1,"b":7}}"#;
        assert_eq!(news(None, &first), [("open", told.to_owned())]);
        let second = look(&[("a", 2), ("c", 1)], "m");
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
        let third = look(&[("a", 2), ("c", 1)], "n");
        assert_eq!(news(Some(&second), &third), [("fleet", r#"{"mark":"n"}"#.to_owned())]);
    }
}
