//! A receiver of webhooks as a careful one is: it takes what is signed, fresh and new.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{HttpFault, meet};
use crate::world::faults::Faults;
use crate::world::server::{Server, Wire};
use crate::world::{lock, now};

/// What deliveries are signed with.
pub const SECRET: &str = "webhook-secret-0123456789";
/// How old a delivery may be, in seconds.
const FRESH: i64 = 300;

/// One delivery that was taken.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event: String,
    pub id: String,
    /// Whether the same id was taken before.
    pub repeated: bool,
    pub content_type: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A running receiver; it ends when dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    server: Server,
}

#[derive(Default)]
struct Shared {
    deliveries: Mutex<Vec<Delivery>>,
    refused: Mutex<Vec<String>>,
    faults: Faults<HttpFault>,
}

impl Receiver {
    /// Starts it on a free port.
    pub async fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let router = Router::new().route("/in", any(receive));
        let server = Server::start(router.with_state(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    pub fn url(&self) -> String {
        format!("{}/in", self.server.url())
    }

    /// The next `times` deliveries meet `fault`.
    pub fn fault(&self, fault: &HttpFault, times: usize) {
        self.shared.faults.plan("in", fault, times);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The deliveries that were taken, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.shared.deliveries).clone()
    }

    /// The events of the deliveries that were taken, oldest first.
    pub fn events(&self) -> Vec<String> {
        self.deliveries().into_iter().map(|delivery| delivery.event).collect()
    }

    /// Why others were not.
    pub fn refused(&self) -> Vec<String> {
        lock(&self.shared.refused).clone()
    }
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match shared.faults.take("in") {
        None => shared.take(&headers, &body),
        Some(fault) => meet(fault, &wire, || shared.take(&headers, &body)).await,
    }
}

impl Shared {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        if let Err(why) = verify(&text("x-deployguard-signature"), body) {
            lock(&self.refused).push(why.to_owned());
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let mut deliveries = lock(&self.deliveries);
        let id = text("x-deployguard-delivery");
        let repeated = deliveries.iter().any(|known| known.id == id);
        deliveries.push(Delivery {
            event: text("x-deployguard-event"),
            repeated,
            id,
            content_type: text("content-type"),
            headers: headers.clone(),
            body: serde_json::from_slice(body).unwrap_or_default(),
        });
        StatusCode::NO_CONTENT.into_response()
    }
}

/// As the documentation tells receivers to.
fn verify(signature: &str, body: &[u8]) -> Result<(), &'static str> {
    let (time, hex) = signature.split_once(",v1=").ok_or("no signature")?;
    let time = time.strip_prefix("t=").ok_or("no time")?;
    let seconds: i64 = time.parse().map_err(|_| "no time")?;
    if (now().as_second() - seconds).abs() > FRESH {
        return Err("too old, or from the future");
    }
    let digits: Option<Vec<u8>> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok())
        .collect();
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    hmac.update(format!("{seconds}.").as_bytes());
    hmac.update(body);
    hmac.verify_slice(&digits.ok_or("not hexadecimal")?).map_err(|_| "another signature")
}
