//! The HTTP face: hooks, the API, and the daemon's own health.
//!
//! Nothing is decided here. A request is checked, bounded and typed, and brought
//! to the engine, here or where it leads ([`forward`]); what is read comes from the
//! store.

mod act;
mod alerts;
mod announce;
mod asked;
mod auth;
mod beat;
mod body;
mod counted;
mod etag;
mod forward;
mod gate;
mod github;
mod health;
mod hook;
mod live;
mod openapi;
mod page;
mod picture;
mod place;
mod problem;
mod read;
mod render;
mod said;
mod slack;
mod sns;
mod standing;
mod view;
mod vouch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use auth::Tokens;
pub use forward::relay;
pub use gate::GateView;
pub use github::GitHubHook;
pub use live::Live;
pub use page::Pages;
pub use view::{
    AskedView, CheckView, IncidentView, PhaseView, PolicyView, StopView, WatchDetail, WatchView,
    WouldEnd,
};

use crate::engine::{
    EngineHandle, FleetBrake, Foresight, Hints, Leads, Place, Presses, Status, clock,
};
use crate::policy_repo::Loaded;
use crate::store::Store;
use crate::telemetry::{Metrics, Traces};
use crate::triggers::render::Workspace;
use crate::triggers::sns::Sns;
use counted::{Counted, hooks};
use problem::Problem;
pub use vouch::Used;

/// What the handlers work with.
#[derive(Clone)]
pub struct Face {
    pub engine: EngineHandle,
    pub store: Store,
    pub policies: watch::Receiver<Arc<Loaded>>,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    pub tokens: Arc<Tokens>,
    pub address: SocketAddr,
    /// The way to have a service looked at.
    pub hints: Hints,
    /// The accounts and regions that hooks and events may be about.
    pub place: Place,
    /// When many rollbacks are too many.
    pub brake: FleetBrake,
    /// What a rollback would do.
    pub foresight: Foresight,
    /// Checks what SNS posts; `None`: no topic is taken.
    pub sns: Option<Arc<Sns>>,
    /// Checks and reads what GitHub posts; `None`: no webhook is taken.
    pub github: Option<Arc<GitHubHook>>,
    /// The workspaces of Render whose events are taken.
    pub workspaces: Arc<Vec<Workspace>>,
    /// Does what is pressed in Slack; `None`: there are no buttons.
    pub presses: Option<Presses>,
    /// What changes, for who listens.
    pub live: Live,
    /// For passing on to the leader.
    pub relay: reqwest::Client,
    /// What others vouched for lately.
    pub vouched: Arc<Used>,
    /// What daemons on this store sign with, once it was needed.
    pub secret: Arc<OnceCell<String>>,
    /// Where other daemons find this one.
    pub url: String,
    pub pages: Arc<Pages>,
}

/// Where deployments are announced.
const ANNOUNCED: [&str; 2] = ["/hooks/deployments", github::HOOK];
/// A request takes no longer, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a stop waits for the requests under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// All routes, each with its description.
fn described() -> OpenApiRouter<Face> {
    openapi::router()
        .routes(routes!(hook::announce))
        .routes(routes!(beat::post))
        .routes(routes!(alerts::post))
        .routes(routes!(github::post))
        .routes(routes!(sns::post))
        .routes(routes!(render::post))
        .routes(routes!(slack::post))
        .routes(routes!(read::watches))
        .routes(routes!(read::watch))
        .routes(routes!(read::journal))
        .routes(routes!(read::explanation))
        .routes(routes!(picture::chart))
        .routes(routes!(picture::told))
        .routes(routes!(read::foreseen, act::roll_back))
        .routes(routes!(read::digest))
        .routes(routes!(act::press))
        .routes(routes!(gate::ask, gate::go_through))
        .routes(routes!(gate::overrides))
        .routes(routes!(read::pauses, act::pause))
        .routes(routes!(read::pause_history))
        .routes(routes!(act::unpause))
        .routes(routes!(live::events))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::document))
}

/// All that is served.
pub fn router(face: Face) -> Router {
    let described = described();
    hooks(&described).for_each(|route| face.metrics.may_be_posted(route));
    // The pages are for people: no program is promised what they look like.
    Router::from(described)
        .merge(page::routes(face.clone()))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(face.clone(), page::reads_too))
        .layer(middleware::from_fn_with_state(face.clone(), forward::to_leader))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(broken))
        .layer(middleware::from_fn_with_state(face.clone(), count))
        .with_state(face)
}

/// Serves until `stop`, then lets the requests under way end, for a while: a
/// client that never finishes its request must not keep the engine from draining.
pub async fn serve(
    listener: TcpListener,
    face: Face,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let stopping = stop.clone();
    tokio::spawn(face.live.clone().look(face.clone(), stop.clone()));
    let router = router(face).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, router)
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async { stop.cancelled().await; tokio::time::sleep(FAREWELL).await } => {
            tracing::warn!("stopping with requests that were never finished");
            Ok(())
        }
    }
}

async fn count(State(face): State<Face>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let caller = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let asked = (method.as_str(), route.as_str(), request.uri().path());
    let requested = face.traces.requested(asked, caller, clock::now());
    let counted = Counted::begun(face.metrics.clone(), method.clone(), route.clone());
    let response = match &requested {
        Some(requested) => requested.answer(next.run(request)).await,
        None => next.run(request).await,
    };
    let code = response.status().as_u16();
    counted.answered(code);
    if let Some(requested) = &requested {
        // Who passes one on leaves it to the leader to tell of it.
        let is_hook = ANNOUNCED.contains(&route.as_str()) && face.engine.leads() == Leads::Here;
        face.traces.answered(requested, code, is_hook, clock::now());
    }
    response
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(PATIENCE, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("neither heard out nor answered within {PATIENCE:?}");
        Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response()
    })
}

/// The panic itself is in the log.
fn broken(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "a mistake of deployguard's own")
        .into_response()
}

async fn nowhere() -> Response {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address").into_response()
}

async fn not_that_way() -> Response {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
        .into_response()
}
