//! A mail server on loopback: SMTP with AUTH PLAIN, in clear, with STARTTLS or over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::tls;

use crate::world::faults::Faults;
use crate::world::lock;

/// Who may send.
pub const USER: &str = "deployguard";
pub const PASSWORD: &str = "mail-password-0123";
/// `\0deployguard\0mail-password-0123` in base 64.
const LOGIN: &str = "AGRlcGxveWd1YXJkAG1haWwtcGFzc3dvcmQtMDEyMw==";

/// What goes wrong with a command: `EHLO`, `AUTH`, `MAIL`, `RCPT`, `DATA`, or `.` for what
/// ends a letter.
#[derive(Debug, Clone)]
pub enum SmtpFault {
    /// This reply; nothing is taken.
    Reply(u16),
    /// No reply for this long, then the connection is cut; nothing is taken.
    Hang(Duration),
    /// At `.`: the letter is taken, and the connection cut.
    TakenButNoAnswer,
}

/// How it is spoken to, and with which certificate.
#[derive(Debug, Clone)]
pub enum Secured {
    Clear,
    /// Nothing but STARTTLS is taken in clear.
    StartTls(Arc<ServerConfig>),
    /// From the first byte on.
    Tls(Arc<ServerConfig>),
}

/// A connection, as it is read and written.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}
type Conversation = BufReader<Box<dyn Wire>>;

/// A letter that was taken.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    /// In order, unfolded.
    pub headers: Vec<(String, String)>,
    /// As it was sent, in its transfer encoding.
    pub body: String,
}

impl Letter {
    /// The one header of that name.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, value) = found.next().expect("the header");
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// A running server; it ends when dropped.
pub struct MailServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    letters: Mutex<Vec<Letter>>,
    faults: Faults<SmtpFault>,
    connections: Mutex<usize>,
    in_clear: Mutex<Vec<String>>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl MailServer {
    /// Starts it on a free port, in clear.
    pub async fn start() -> io::Result<Self> {
        Self::start_at("127.0.0.1", Secured::Clear).await
    }

    /// Starts it on a free port of an address of this machine.
    pub async fn start_at(ip: &str, secured: Secured) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let kept = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *lock(&kept.connections) += 1;
                let (kept, secured) = (Arc::clone(&kept), secured.clone());
                tokio::spawn(async move {
                    // A client that goes away in the middle is its own affair.
                    let _ = converse(Box::new(stream), secured, &kept).await;
                });
            }
        });
        Ok(Self { shared, address, serving })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The next `times` such commands meet `fault`.
    pub fn fault(&self, command: &str, fault: &SmtpFault, times: usize) {
        self.shared.faults.plan(command, fault, times);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The letters that were taken, oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        lock(&self.shared.letters).clone()
    }

    /// The commands that came outside of TLS.
    pub fn in_clear(&self) -> Vec<String> {
        lock(&self.shared.in_clear).clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        *lock(&self.shared.connections)
    }
}

/// Where a conversation stands.
#[derive(Default)]
struct Talk {
    signed_on: bool,
    letter: Letter,
}

async fn converse(wire: Box<dyn Wire>, secured: Secured, shared: &Shared) -> io::Result<()> {
    let (wire, mut starts): (Box<dyn Wire>, _) = match secured {
        Secured::Clear => (wire, None),
        Secured::StartTls(config) => (wire, Some(config)),
        Secured::Tls(config) => (Box::new(tls::wrapped(wire, config)), None),
    };
    let (mut stream, mut talk) = (BufReader::new(wire), Talk::default());
    stream.write_all(b"220 stand-in ESMTP\r\n").await?;
    while let Some(line) = read_line(&mut stream).await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        if starts.is_some() {
            lock(&shared.in_clear).push(verb.clone());
        }
        if let Some(fault) = shared.faults.take(&verb) {
            if !meet(&mut stream, fault).await? {
                return Ok(());
            }
            continue;
        }
        let reply = match (&starts, verb.as_str()) {
            (Some(_), "STARTTLS") => "220 go ahead".to_owned(),
            (Some(_), "EHLO") => "250-stand-in\r\n250 STARTTLS".to_owned(),
            (Some(_), verb) if verb != "QUIT" => "530 STARTTLS first".to_owned(),
            (Some(_) | None, verb) => talk.hear(verb, &line),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if verb == "QUIT" {
            return Ok(());
        }
        if verb == "STARTTLS"
            && let Some(config) = starts.take()
        {
            let secured: Box<dyn Wire> = Box::new(tls::wrapped(stream.into_inner(), config));
            stream = BufReader::new(secured);
        }
        if verb == "DATA"
            && reply.starts_with("354")
            && !take(&mut stream, &mut talk, shared).await?
        {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the conversation goes on.
async fn meet(stream: &mut Conversation, fault: SmtpFault) -> io::Result<bool> {
    match fault {
        SmtpFault::Reply(code) => {
            stream.write_all(format!("{code} as planned\r\n").as_bytes()).await?;
            // 421 says that the server closes.
            Ok(code != 421)
        }
        SmtpFault::Hang(pause) => {
            tokio::time::sleep(pause).await;
            Ok(false)
        }
        SmtpFault::TakenButNoAnswer => Ok(false),
    }
}

/// Takes a letter. Whether the conversation goes on.
async fn take(stream: &mut Conversation, talk: &mut Talk, shared: &Shared) -> io::Result<bool> {
    let mut letter = std::mem::take(&mut talk.letter);
    let mut in_body = false;
    loop {
        let Some(line) = read_line(stream).await? else { return Ok(false) };
        if line == "." {
            break;
        }
        let line = line.strip_prefix('.').unwrap_or(&line);
        if in_body {
            letter.body.push_str(line);
            letter.body.push('\n');
        } else if line.is_empty() {
            in_body = true;
        } else if let (true, Some((_, value))) =
            (line.starts_with([' ', '\t']), letter.headers.last_mut())
        {
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            letter.headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    let fault = shared.faults.take(".");
    if matches!(fault, None | Some(SmtpFault::TakenButNoAnswer)) {
        lock(&shared.letters).push(letter);
    }
    if let Some(fault) = fault {
        return meet(stream, fault).await;
    }
    stream.write_all(b"250 taken\r\n").await?;
    Ok(true)
}

async fn read_line(stream: &mut Conversation) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

impl Talk {
    fn hear(&mut self, verb: &str, line: &str) -> String {
        let path = || {
            let start = line.find('<').map_or(0, |at| at + 1);
            line[start..].split('>').next().unwrap_or_default().to_owned()
        };
        let reply = match verb {
            "EHLO" => "250-stand-in\r\n250-8BITMIME\r\n250 AUTH PLAIN",
            "AUTH" if line == format!("AUTH PLAIN {LOGIN}") => {
                self.signed_on = true;
                "235 signed on"
            }
            "AUTH" => "535 user or password is wrong",
            "MAIL" | "RCPT" | "DATA" if !self.signed_on => "530 sign on first",
            "MAIL" => {
                self.letter = Letter { from: path(), ..Letter::default() };
                "250 ok"
            }
            "RCPT" => {
                self.letter.to.push(path());
                "250 ok"
            }
            "DATA" if self.letter.to.is_empty() => "503 nobody to send it to",
            "DATA" => "354 go on",
            "RSET" | "NOOP" => "250 ok",
            "QUIT" => "221 bye",
            _ => "502 unknown",
        };
        reply.to_owned()
    }
}
