//! Slack's end of Socket Mode: `apps.connections.open`, and the sockets behind it. Each
//! has a thread of its own, so that one can be frozen or cut without the others.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Asked, Response as Answer,
};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, accept_hdr};

use super::Slack;
use super::api::APP;
use crate::world::{lock, now};

/// The token of the app.
pub const APP_TOKEN: &str = "xapp-1-A0GUARD0001-stand-in";
/// What each address holds that a connection is made with.
pub const TICKET: &str = "ticket-of-the-stand-in";
/// How soon a thread sees what it is told to do.
const TURN: Duration = Duration::from_millis(10);

/// An envelope that the app has acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    pub envelope: String,
    pub at: Timestamp,
    /// Over which connection, from 0.
    pub over: usize,
}

enum Order {
    Say(Value),
    /// Close it in order.
    Close,
    /// Cut it, as when the server goes away.
    Cut,
}

/// The connections, oldest first.
#[derive(Default)]
pub struct Sockets {
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    /// Tickets that were given and not used.
    tickets: Vec<String>,
    given: usize,
    lines: Vec<Line>,
    acknowledged: Vec<Acknowledged>,
    envelopes: usize,
    pongs: usize,
    /// What Slack says in place of a hello.
    turned_off: bool,
}

struct Line {
    orders: Sender<Order>,
    open: bool,
}

impl Sockets {
    /// Begins to listen, and answers where.
    pub(super) fn listen(&self) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let record = Arc::downgrade(&self.record);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(record) = record.upgrade() else { return };
                std::thread::spawn(move || serve(stream, &record));
            }
        });
        Ok(format!("ws://{address}"))
    }

    /// `apps.connections.open`.
    pub(super) fn open(&self, address: &str) -> Value {
        let mut record = lock(&self.record);
        record.given += 1;
        let ticket = format!("{TICKET}-{}", record.given);
        record.tickets.push(ticket.clone());
        json!({ "url": format!("{address}/link/?ticket={ticket}&app_id={APP}") })
    }
}

/// One connection to its end.
#[allow(clippy::result_large_err, reason = "tungstenite's own type")]
fn serve(stream: TcpStream, record: &Mutex<Record>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let check = |asked: &Asked, answer: Answer| {
        let query = asked.uri().query().unwrap_or_default();
        let ticket = query.split('&').find_map(|pair| pair.strip_prefix("ticket="));
        let mut record = lock(record);
        match record.tickets.iter().position(|one| Some(one.as_str()) == ticket) {
            Some(place) => {
                record.tickets.remove(place);
                Ok(answer)
            }
            None => Err(refused()),
        }
    };
    let Ok(mut socket) = accept_hdr(stream, check) else { return };
    let _ = socket.get_ref().set_read_timeout(Some(TURN));
    let (orders, taken) = channel();
    let (number, hello) = {
        let mut record = lock(record);
        record.lines.push(Line { orders, open: true });
        let hello = if record.turned_off {
            json!({ "type": "disconnect", "reason": "link_disabled",
                "debug_info": { "host": "stand-in" } })
        } else {
            json!({ "type": "hello", "num_connections": 1,
                "connection_info": { "app_id": APP },
                "debug_info": { "host": "stand-in", "approximate_connection_time": 18060 } })
        };
        (record.lines.len() - 1, hello)
    };
    let _ = socket.send(Message::text(hello.to_string()));
    let _ = socket.send(Message::Ping("Ping from stand-in".into()));
    while go_on(&mut socket, &taken, record, number) {}
    lock(record).lines[number].open = false;
}

fn refused() -> ErrorResponse {
    let mut answer = ErrorResponse::new(None);
    *answer.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
    answer
}

/// One turn: what it is told to do, then what is heard. Whether it goes on.
fn go_on(
    socket: &mut WebSocket<TcpStream>,
    orders: &Receiver<Order>,
    record: &Mutex<Record>,
    number: usize,
) -> bool {
    let done = match orders.try_recv() {
        Ok(Order::Say(said)) => socket.send(Message::text(said.to_string())),
        Ok(Order::Close) => socket.close(None),
        Ok(Order::Cut) => {
            let _ = socket.get_ref().shutdown(Shutdown::Both);
            return false;
        }
        Err(TryRecvError::Empty) => Ok(()),
        Err(TryRecvError::Disconnected) => return false,
    };
    match done.and_then(|()| socket.read()) {
        Ok(Message::Text(text)) => {
            let said: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
            if let Some(envelope) = said["envelope_id"].as_str() {
                let envelope = envelope.to_owned();
                let one = Acknowledged { envelope, at: now(), over: number };
                lock(record).acknowledged.push(one);
            }
            true
        }
        Ok(Message::Pong(_)) => {
            lock(record).pongs += 1;
            true
        }
        Ok(_) => true,
        Err(Error::Io(error)) => {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        }
        Err(_) => false,
    }
}

impl Slack {
    /// Sends a payload over the newest open connection, and answers the envelope's id.
    pub fn send_interactive(&self, payload: &Value) -> anyhow::Result<String> {
        let id = {
            let mut record = lock(&self.shared.sockets.record);
            record.envelopes += 1;
            format!("envelope-{}", record.envelopes)
        };
        self.send_again(&id, payload, 0)?;
        Ok(id)
    }

    /// The same envelope once more, as Slack does where it has seen no acknowledgement.
    pub fn send_again(&self, id: &str, payload: &Value, attempt: u32) -> anyhow::Result<()> {
        let mut envelope = json!({
            "type": "interactive", "envelope_id": id, "payload": payload,
            "accepts_response_payload": false,
        });
        if attempt > 0 {
            envelope["retry_attempt"] = json!(attempt);
            envelope["retry_reason"] = json!("timeout");
        }
        self.over_newest(Order::Say(envelope))
    }

    /// Says something over the newest open connection.
    pub fn say_over_socket(&self, said: Value) -> anyhow::Result<()> {
        self.over_newest(Order::Say(said))
    }

    /// Closes the connection of this number, or cuts it.
    pub fn end_socket(&self, number: usize, in_order: bool) -> anyhow::Result<()> {
        let order = if in_order { Order::Close } else { Order::Cut };
        let record = lock(&self.shared.sockets.record);
        Ok(record.lines.get(number).context("no such connection")?.orders.send(order)?)
    }

    fn over_newest(&self, order: Order) -> anyhow::Result<()> {
        let record = lock(&self.shared.sockets.record);
        let line = record.lines.iter().rev().find(|line| line.open);
        Ok(line.context("no connection of Socket Mode")?.orders.send(order)?)
    }

    /// Whether each connection that ever was is still open, oldest first.
    pub fn sockets(&self) -> Vec<bool> {
        lock(&self.shared.sockets.record).lines.iter().map(|line| line.open).collect()
    }

    /// What was acknowledged, in order.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        lock(&self.shared.sockets.record).acknowledged.clone()
    }

    /// How many pings of ours were answered.
    pub fn pongs(&self) -> usize {
        lock(&self.shared.sockets.record).pongs
    }

    /// Turns Socket Mode off for the app, or on: connections get no hello.
    pub fn turn_socket_mode(&self, on: bool) {
        lock(&self.shared.sockets.record).turned_off = !on;
    }
}
