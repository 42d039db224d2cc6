//! A web site with health endpoints and a JSON API, whose answers can be changed while it
//! runs, and a server that is bad at it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::server::Server;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Visit {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

#[derive(Debug, Clone)]
enum Page {
    Says(u16, String),
    LeadsTo(u16, String),
}

#[derive(Default)]
struct Book {
    pages: BTreeMap<String, Page>,
    visits: Vec<Visit>,
}

/// A running site. What it was told nothing of is not found.
pub struct Site {
    server: Server,
    book: Arc<Mutex<Book>>,
}

impl Site {
    pub async fn start() -> std::io::Result<Self> {
        let book = Arc::<Mutex<Book>>::default();
        let router = Router::new().fallback(visited).with_state(book.clone());
        Ok(Self { server: Server::start(router).await?, book })
    }

    /// Its root, without a slash at the end.
    pub fn url(&self) -> String {
        self.server.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// From now on `path` answers this.
    pub fn says(&self, path: &str, status: u16, body: &str) {
        self.turn(path, Page::Says(status, body.to_owned()));
    }

    /// From now on `path` sends its visitors elsewhere.
    pub fn leads(&self, path: &str, status: u16, to: &str) {
        self.turn(path, Page::LeadsTo(status, to.to_owned()));
    }

    /// Those who came since this was asked last.
    pub fn visits(&self) -> Vec<Visit> {
        std::mem::take(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner).visits)
    }

    fn turn(&self, path: &str, page: Page) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.pages.insert(path.to_owned(), page);
    }
}

async fn visited(State(book): State<Arc<Mutex<Book>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.visits.push(Visit {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    let code = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    match book.pages.get(parts.uri.path()).cloned() {
        Some(Page::Says(status, body)) => (code(status), body).into_response(),
        Some(Page::LeadsTo(status, to)) => (code(status), [(header::LOCATION, to)]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A server that takes every connection and sends `first`, and then a byte now and then for
/// ever, or nothing and hangs up.
pub struct Rude {
    address: SocketAddr,
    running: AbortHandle,
}

impl Rude {
    pub async fn start(first: &'static [u8], goes_on: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let running = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut wire, _)) = listener.accept().await {
                open.spawn(async move {
                    drop(wire.write_all(first).await);
                    while goes_on && wire.write_all(b"a").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                });
            }
        });
        Ok(Self { address, running: running.abort_handle() })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        self.running.abort();
    }
}
