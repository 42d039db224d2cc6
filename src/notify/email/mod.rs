//! E-mail, by one SMTP server. A letter that is repeated keeps its Message-ID, by which
//! mailboxes tell that they have it.

pub mod render;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::timeout;

use super::slack::text::line;
use super::{Call, DeliverError, MENDING};

const TIME_OUT: Duration = Duration::from_secs(10);
/// Letters of which it is known who has them, at most.
const MOST_HAD: usize = 1000;

/// How the server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte on.
    Tls,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// In clear, within one machine or network.
    Clear,
}

/// A mail server, and as whom it is written.
pub struct Email {
    smtp: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    time_out: Duration,
    /// Where the daemon is found, for links.
    home: Option<String>,
    /// Of letters that some of a list have and others not yet: who has it. Not beyond this
    /// process: after a restart they get it once more, with the same Message-ID.
    had: Mutex<BTreeMap<String, BTreeSet<Address>>>,
}

/// What came of one sending that was not taken.
struct Failed {
    error: DeliverError,
    /// Whether it may be about one of the addresses only.
    of_one: bool,
}

/// Shows nothing of the password.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Email {
    /// Sends nothing yet. `login`: user and password.
    pub fn connect(
        (host, port): (&str, u16),
        security: Security,
        login: Option<(String, String)>,
        from: Mailbox,
    ) -> Result<Self, Error> {
        let tls = || TlsParameters::new(host.to_owned());
        let tls = match security {
            Security::Tls => Tls::Wrapper(tls()?),
            Security::StartTls => Tls::Required(tls()?),
            Security::Clear => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(TIME_OUT))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some((user, password)) = login {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self {
            smtp: builder.build(),
            from,
            time_out: TIME_OUT,
            home: None,
            had: Mutex::default(),
        })
    }

    /// The same with another bound for one letter.
    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self { time_out, ..self }
    }

    /// The same with links to the daemon that is found at `home`.
    #[must_use]
    pub fn with_home(self, home: Option<String>) -> Self {
        Self { home, ..self }
    }

    /// Sends one letter to all of `to`. Where the server takes it for some of them only,
    /// those get it; a repeated call goes to those only who do not have it.
    pub async fn call(&self, to: &[Mailbox], call: &Call) -> Result<(), DeliverError> {
        let letter = render::letter(call, &self.from, to, self.home.as_deref());
        let letter = letter.map_err(|error| DeliverError::Permanent(error.to_string()))?;
        let all: Vec<Address> = to.iter().map(|to| to.email.clone()).collect();
        // One call may go to several lists.
        let key = format!("{} {all:?}", call.key);
        let had = self.had().get(&key).cloned().unwrap_or_default();
        let (have, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| had.contains(one));
        let sent = match self.send(&letter, left.clone()).await {
            Err(failed) if failed.of_one && left.len() > 1 => {
                // The server takes its time for each, and the queue waits for this letter.
                let singly = self.send_singly(&letter, &key, left);
                timeout(self.time_out * 3, singly).await.unwrap_or_else(|_| Err(self.too_slow()))
            }
            Err(Failed { error: DeliverError::Permanent(why), .. }) if !have.is_empty() => {
                tracing::warn!(addresses = ?left, why, "refused, and others have it");
                Ok(())
            }
            sent => sent.map_err(|failed| failed.error),
        };
        if !matches!(sent, Err(DeliverError::Transient { .. })) {
            self.had().remove(&key);
        }
        sent
    }

    fn had(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<Address>>> {
        self.had.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects, signs on and leaves. Nobody gets anything.
    pub async fn probe(&self) -> Result<String, String> {
        match timeout(self.time_out, self.smtp.test_connection()).await {
            Ok(Ok(_)) => Ok("takes the connection and the login".to_owned()),
            Ok(Err(error)) => Err(why(&error)),
            Err(_) => Err(format!("time-out after {:?}", self.time_out)),
        }
    }

    /// To each by itself, because one address was not taken. Whoever is refused is named; who
    /// is put off is tried again.
    async fn send_singly(
        &self,
        letter: &Message,
        key: &str,
        left: Vec<Address>,
    ) -> Result<(), DeliverError> {
        let (mut refused, mut again) = (None, None);
        for address in left {
            match self.send(letter, vec![address.clone()]).await {
                Ok(()) => self.has(key, address),
                Err(Failed { error: DeliverError::Permanent(why), .. }) => {
                    tracing::warn!(%address, why, "an address is refused");
                    refused = Some(why);
                }
                Err(Failed { error, of_one: true }) => again = Some(error),
                // Of the server: it is no better for the next one.
                Err(Failed { error, of_one: false }) => return Err(error),
            }
        }
        match (again, refused) {
            (Some(again), _) => Err(again),
            (None, Some(why)) if !self.had().contains_key(key) => Err(DeliverError::Permanent(why)),
            (None, _) => Ok(()),
        }
    }

    fn has(&self, key: &str, address: Address) {
        let mut had = self.had();
        if had.len() >= MOST_HAD && !had.contains_key(key) {
            had.pop_first();
        }
        had.entry(key.to_owned()).or_default().insert(address);
    }

    async fn send(&self, letter: &Message, to: Vec<Address>) -> Result<(), Failed> {
        let envelope = Envelope::new(Some(self.from.email.clone()), to).map_err(|error| {
            Failed { error: DeliverError::Permanent(error.to_string()), of_one: false }
        })?;
        let letter = letter.formatted();
        match timeout(self.time_out, self.smtp.send_raw(&envelope, &letter)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failed { error: judge(&error), of_one: is_of_one(&error) }),
            Err(_) => Err(Failed { error: self.too_slow(), of_one: false }),
        }
    }

    fn too_slow(&self) -> DeliverError {
        let reason = format!("time-out after {:?}", self.time_out);
        DeliverError::Transient { reason, retry_after: None }
    }
}

/// Whether the server may have refused, or put off, one address and not the letter or us.
fn is_of_one(error: &Error) -> bool {
    let code = error.status().map(u16::from);
    code.is_some_and(|code| code >= 400 && !matches!(code, 421 | 454 | 530 | 534 | 535 | 538))
}

/// Whether another try may help.
fn judge(error: &Error) -> DeliverError {
    let transient = |reason, retry_after| DeliverError::Transient { reason, retry_after };
    let code = error.status().map(u16::from);
    match code {
        // Of the login: people mend it.
        Some(530 | 534 | 535 | 538) => {
            transient(format!("{} (see user and password)", why(error)), Some(MENDING))
        }
        Some(500..) => DeliverError::Permanent(why(error)),
        // The server offers no STARTTLS or no login that we know, or its certificate is not
        // to be trusted: people mend that too.
        None if error.is_client() || error.is_tls() => transient(why(error), Some(MENDING)),
        Some(_) | None => transient(why(error), None),
    }
}

/// What the server said, or the system.
fn why(error: &Error) -> String {
    let said = chain(error);
    if said.contains("certificate") {
        return format!(
            "{said} (the mail server's certificate must be of an authority that this machine \
             knows, by its system or by SSL_CERT_FILE, and for the host in email.smtp.url)"
        );
    }
    said
}

fn chain(error: &Error) -> String {
    let mut said = vec![error.to_string()];
    let mut cause = error.source().and_then(|source| source.source());
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    line(&said.join(": "), 300)
}
