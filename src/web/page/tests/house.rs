//! A router over a store in a folder of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode, header};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::engine::{FleetBrake, Foresight, Helm, Place, Status, clock, hints};
use crate::model::Outcome;
use crate::platform::{Accounts, Host};
use crate::policy_repo::PolicyRepo;
use crate::settings::Settings;
use crate::store::{Store, WatchRow, Write};
use crate::telemetry::{Metrics, Traces};
use crate::watch::tests::world::Guard;
use crate::web::{Face, Live, Tokens, Used, relay, router};

pub const OPERATE: &str = "operate-token-0123456789";
pub const READ: &str = "read-token-0123456789";
pub const BILLING: &str = "billing-token-0123456789";

/// Tokens that read, that act, and that act on other services alone; and a proxy.
const SETTINGS: &str = "
tokens:
  - { name: viewer, role: read, token: { file: READ } }
  - { name: oncall, role: operate, token: { file: OPERATE } }
  - { name: billing, role: operate, token: { file: BILLING }, services: ['billing-*'] }
web:
  proxy:
    header: X-Forwarded-User
    groups_header: X-Forwarded-Groups
    from: [10.0.0.0/8]
    roles: { operate: [oncall], read: ['*'] }
";

pub struct House {
    pub face: Face,
    router: Router,
    _folder: TempDir,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Page {
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of the first hidden field of this name.
    pub fn field(&self, name: &str) -> &str {
        let from = self.text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        from.split('"').next().unwrap()
    }
}

impl House {
    pub async fn open() -> House {
        House::with(|_| ()).await
    }

    pub async fn with(settle: impl FnOnce(&mut Settings)) -> House {
        // The client for passing on needs a way to encrypt.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().unwrap();
        let mut text = SETTINGS.to_owned();
        for (name, token) in [("READ", READ), ("OPERATE", OPERATE), ("BILLING", BILLING)] {
            let file = folder.path().join(name);
            std::fs::write(&file, token).unwrap();
            text = text.replace(&format!("file: {name} "), &format!("file: '{}' ", file.display()));
        }
        let mut settings: Settings = serde_norway::from_str(&text).unwrap();
        settle(&mut settings);
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        let (_, policies) = watch::channel(Arc::new(PolicyRepo::open(folder.path()).nothing()));
        let face = Face {
            engine: Helm::default().handle(),
            store,
            policies,
            status: Arc::new(Status::default()),
            metrics: Arc::new(Metrics::new().unwrap()),
            tokens: Arc::new(Tokens::of(&settings).unwrap()),
            address: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hints: hints(["default"]).0,
            place: Place::default(),
            brake: FleetBrake::default(),
            foresight: Foresight::new(std::iter::empty::<(String, Host)>().collect::<Accounts>()),
            sns: None,
            github: None,
            workspaces: Arc::default(),
            presses: None,
            live: Live::default(),
            traces: Traces::default(),
            relay: relay().unwrap(),
            vouched: Arc::new(Used::since(clock::now())),
            secret: Arc::default(),
            url: "http://127.0.0.1:8080".to_owned(),
            pages: Arc::default(),
        };
        House { router: router(face.clone()), face, _folder: folder }
    }

    /// Keeps a watch with its journal.
    pub async fn keep(&self, guard: &Guard) {
        let watch = &guard.watch;
        let events = guard.journal.iter();
        let row = WatchRow {
            id: watch.id.clone(),
            service: watch.deployment.service.key.clone(),
            deployment: watch.deployment.id.clone(),
            is_open: watch.is_open(),
            opened_at: watch.opened_at,
            name: watch.deployment.service.name.clone(),
            environment: watch.deployment.service.environment.clone(),
            outcome: watch.outcome().map(Outcome::as_str),
            state: serde_json::to_string(watch).unwrap(),
        };
        let events = events.map(|(at, event)| (*at, serde_json::to_string(event).unwrap()));
        let write = Write::Watch { row, version: 0, events: events.collect() };
        self.face.store.commit(&[write], watch.opened_at).await.unwrap();
    }

    pub async fn send(
        &self,
        request: axum::http::request::Builder,
        body: &str,
        from: [u8; 4],
    ) -> Page {
        let peer = ConnectInfo(SocketAddr::from((from, 40_000)));
        let request = request.header(header::HOST, "127.0.0.1:8080").extension(peer);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Page { status: head.status, headers: head.headers, text }
    }

    /// Asks for a page, with this cookie unless it is empty.
    pub async fn get(&self, path: &str, cookie: &str) -> Page {
        let request = Request::get(path).header(header::COOKIE, cookie);
        self.send(request, "", [127, 0, 0, 1]).await
    }

    /// Posts a form as a browser does from our own page.
    pub async fn post(&self, path: &str, cookie: &str, form: &str) -> Page {
        let request = form_of(path, cookie).header(header::ORIGIN, "http://127.0.0.1:8080");
        self.send(request, form, [127, 0, 0, 1]).await
    }

    /// The cookie of a session that was begun with this token.
    pub async fn log_in(&self, token: &str) -> String {
        let page = self.post("/login", "", &format!("token={token}&next=/")).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        let cookie = page.header(header::SET_COOKIE);
        cookie.split(';').next().unwrap().to_owned()
    }
}

pub fn form_of(path: &str, cookie: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header(header::COOKIE, cookie)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}
