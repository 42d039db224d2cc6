//! The daemon itself: alive, ready, measured.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::Face;
use super::openapi::{ToRead, Unasked};
use super::problem::Problem;
use crate::engine::{Health, Leads, clock};
use crate::store::{Backlog, Letterbox, Pause, Status, StoreError};

/// How long the store may take: whoever asks waits no longer than some seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a message may wait, how long one that was tried and failed, and how long it is told
/// that one could not be delivered.
const LATE: SignedDuration = SignedDuration::from_mins(5);
const FAILING: SignedDuration = SignedDuration::from_secs(30);
const TOLD: SignedDuration = SignedDuration::from_hours(24);

/// Whether it is ready; for whoever may read, what people should mend, too.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Readiness {
    ToAnybody(Ready),
    ToReaders(Box<Told>),
}

/// Of the daemons on one store one leads.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Part {
    Leading,
    Standby,
}

/// What a load balancer hears.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    ready: bool,
    #[schema(inline)]
    role: Part,
}

/// What people should know of the daemon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadinessInFull)]
pub struct Told {
    ready: bool,
    #[schema(inline)]
    role: Part,
    /// Where the daemon is that leads, if this one does not.
    leader: Option<String>,
    /// What keeps it from being ready, and what it can't do though it is.
    obstacles: Vec<String>,
    /// `None`: the store does not answer.
    paused: Option<Vec<Pause>>,
    detail: Health,
    /// `None`: the store does not answer.
    outbox: Option<Outbox>,
}

/// What waits to be told to people.
#[derive(Debug, Serialize, ToSchema)]
struct Outbox {
    pending: u32,
    undeliverable: u32,
    unreadable: u32,
    oldest: Option<Timestamp>,
    channels: Vec<Letterbox>,
}

impl Outbox {
    fn of(ways: Vec<Letterbox>) -> Self {
        Self {
            pending: ways.iter().map(|way| way.pending).sum(),
            undeliverable: ways.iter().map(|way| way.undeliverable).sum(),
            unreadable: ways.iter().map(|way| way.unreadable).sum(),
            oldest: ways.iter().filter_map(|way| way.oldest).min(),
            channels: ways,
        }
    }
}

/// Whether the process is alive.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "is_alive",
    tag = "daemon",
    responses(
        (status = 200, description = "`ok`", body = String),
        Unasked,
    ),
)]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether hooks and acts are kept.
///
/// 200 while they are; the detail tells what people should mend. Who stands by is ready too:
/// a deployment of deployguard must come up while the former one leads. A load balancer asks
/// without a token: it hears whether it is ready, and no names.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "is_ready",
    tag = "daemon",
    responses(
        (status = 200, description = "It is.", body = Readiness),
        (status = 503, description = "It is not.", body = Readiness),
        Unasked,
    ),
    security((), ("token" = ["read"])),
)]
pub async fn readyz(State(face): State<Face>, headers: HeaderMap) -> Response {
    let health = face.status.read();
    let (mut obstacles, mut handicaps) = (health.obstacles(), health.handicaps(clock::now()));
    let kept = tokio::time::timeout(PATIENCE, async {
        Ok::<_, StoreError>((face.store.letterboxes().await?, face.store.pauses().await?))
    });
    let (outbox, paused) = match kept.await {
        Ok(Ok((ways, pauses))) => {
            handicaps.extend(unheard(&ways, clock::now()));
            (Some(Outbox::of(ways)), Some(pauses))
        }
        Ok(Err(error)) => {
            obstacles.push(error.to_string());
            (None, None)
        }
        Err(_) => {
            obstacles.push(format!("the store does not answer within {PATIENCE:?}"));
            (None, None)
        }
    };
    let ready = obstacles.is_empty();
    obstacles.extend(handicaps);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (role, leader) = match face.engine.leads() {
        Leads::Here => (Part::Leading, None),
        Leads::There(url) => (Part::Standby, Some(url)),
        Leads::Nobody => (Part::Standby, None),
    };
    let body = if face.may_read(&headers).is_ok() {
        let told = Told { ready, role, leader, obstacles, paused, detail: health, outbox };
        Readiness::ToReaders(Box::new(told))
    } else {
        Readiness::ToAnybody(Ready { ready, role })
    };
    (status, Json(body)).into_response()
}

/// How long a message may wait without a word.
fn patience(error: Option<&str>) -> SignedDuration {
    match error {
        Some(_) => FAILING,
        None => LATE,
    }
}

/// Who does not hear what is said, in words.
pub(super) fn unheard(ways: &[Letterbox], now: Timestamp) -> Vec<String> {
    let routes = ways.iter().flat_map(|way| &way.routes);
    let told = routes.filter_map(|one: &Backlog| {
        let Backlog { route, status, count, oldest, newest, error } = one;
        let why = error.as_deref().unwrap_or("not tried yet");
        let since = oldest.strftime("%Y-%m-%d %H:%M UTC");
        let messages = if *count == 1 { "message" } else { "messages" };
        match status {
            // What was tried and failed is no mere delay.
            Status::Pending => (now.duration_since(*oldest) > patience(error.as_deref())).then(|| {
                format!(
                    "{route}: {count} {messages} not delivered yet, the oldest of {since}: {why}"
                )
            }),
            Status::Undeliverable => (now.duration_since(*newest) < TOLD).then(|| {
                format!("{route}: {count} {messages} could not be delivered since {since}: {why}")
            }),
            Status::Unreadable => Some(format!(
                "{route}: {count} {messages} of {since} set aside, because another version of \
                 deployguard wrote what this one can't read: {why}; start that version"
            )),
        }
    });
    told.collect()
}

/// The daemon's own metrics, as Prometheus reads them.
///
/// With `open_metrics: true` in the settings they need no token.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "scrape",
    tag = "daemon",
    responses(
        (status = 200, description = "The text format, version 0.0.4.", body = String),
        ToRead,
    ),
    security(("token" = ["read"])),
)]
pub async fn metrics(State(face): State<Face>, headers: HeaderMap) -> Response {
    if let Err(problem) = face.may_scrape(&headers) {
        return problem.into_response();
    }
    match face.metrics.text_with(&face.status.read(), clock::now()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Status::{Pending, Undeliverable, Unreadable};
    use super::*;
    use crate::model::Way;

    #[test]
    fn a_channel_that_fails_is_told_within_the_minute_one_that_waits_after_five_and_a_lost_message_at_once()
     {
        let at = |second| Timestamp::from_second(second).unwrap();
        let backlog = |route: &str, status, since| Backlog {
            route: route.to_owned(),
            status,
            count: 2,
            oldest: at(since),
            newest: at(since),
            error: Some("HTTP 503".to_owned()),
        };
        let routes =
            vec![backlog("pagerduty:dba", Pending, 870), backlog("pagerduty:oncall", Pending, 871)];
        let untried = Backlog { error: None, ..backlog("pagerduty:web", Pending, 601) };
        let routes = [routes, vec![untried]].concat();
        let lost = vec![backlog("email:boss", Undeliverable, 901)];
        let aside = vec![backlog("webhook:audit", Unreadable, 901)];
        let letterbox = |way, routes| Letterbox {
            way,
            pending: 0,
            undeliverable: 0,
            unreadable: 0,
            oldest: None,
            routes,
        };
        let ways = [
            letterbox(Way::PagerDuty, routes),
            letterbox(Way::Email, lost),
            letterbox(Way::Webhook, aside),
        ];
        let wait = "pagerduty:dba: 2 messages not delivered yet, the oldest of 1970-01-01 00:14 UTC: HTTP 503";
        let gone =
            "email:boss: 2 messages could not be delivered since 1970-01-01 00:15 UTC: HTTP 503";
        let aside = "webhook:audit: 2 messages of 1970-01-01 00:15 UTC set aside, because another \
                     version of deployguard wrote what this one can't read: HTTP 503; start that \
                     version";
        assert_eq!(unheard(&ways, at(901)), [wait, gone, aside]);
        let later = unheard(&ways, at(901 + 24 * 3600));
        assert_eq!(later.len(), 4, "a day later only what waits and what is set aside");
    }
}
