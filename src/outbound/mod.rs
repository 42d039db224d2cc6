//! Requests that policies cause, to wherever the settings allow and nowhere else.
//!
//! A policy is written by whoever may change a file in git, and the guard sits where much can
//! be reached that they can't: metadata of the cloud, other services on the same host. So
//! every request goes three gates:
//!
//! 1. **The address as it is written** ([`Allowed`]): scheme, host and port must stand in
//!    `outbound.allow`. Each hop of a redirect goes through the same gate.
//! 2. **The addresses behind a name** (`resolver`): those that are the host's own or the
//!    cloud's (`address`) are left out, unless the list names them. This is checked on the
//!    addresses that are connected to, so a name that resolves to something else the second
//!    time gains nothing. An address in the URL itself goes through the same check.
//! 3. **Secrets** ([`Keyring`]): each goes to the hosts that it is `for` and to no other. At a
//!    redirect to another host all headers of the policy stay behind.
//!
//! Proxies of the environment are not used: they would resolve names by themselves. Answers
//! are bounded in time and size. There is no retry: whoever asks, asks again at the next tick.

mod address;
mod allow;
mod keyring;
mod resolver;
mod send;
mod sign;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client};
use tokio::sync::Semaphore;

use resolver::Guarded;

pub use allow::Allowed;
pub use keyring::{Key, Keyring};
pub use send::{Answer, Failure, Header, Method, Reach, Request};
pub use sign::signature;

/// Requests under way at once, to all hosts, and to one host or to the one of its addresses
/// that is asked.
const AT_ONCE: usize = 32;
const TO_ONE_HOST: usize = 4;
/// Hosts and ports whose clients are kept.
const MOST_KEPT: usize = 256;

type Clients = BTreeMap<(String, u16, Option<IpAddr>), Client>;
type Turns = HashMap<(String, Option<IpAddr>), Arc<Semaphore>>;

/// The way out. Cheap to clone; clones share their bounds.
#[derive(Clone)]
pub struct Outbound {
    allowed: Arc<Allowed>,
    keyring: Arc<Keyring>,
    authorities: Arc<Vec<Certificate>>,
    turns: Arc<Semaphore>,
    hosts: Arc<Mutex<Turns>>,
    /// By scheme, port and address: what a name may resolve to depends on them.
    clients: Arc<Mutex<Clients>>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Nothing is sent. `authorities`: PEM certificates that are believed beside the system's.
    ///
    /// # Errors
    /// There is no certificate in `authorities`, or one can't be read.
    pub fn new(
        allowed: Allowed,
        keyring: Keyring,
        authorities: Option<&[u8]>,
    ) -> Result<Self, String> {
        let authorities = match authorities {
            Some(pem) => Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or("there is no PEM certificate in it")?,
            None => Vec::new(),
        };
        Ok(Self {
            allowed: Arc::new(allowed),
            keyring: Arc::new(keyring),
            authorities: Arc::new(authorities),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            hosts: Arc::default(),
            clients: Arc::default(),
        })
    }

    /// The same way with turns of its own, `at_once` to all hosts: what hangs on one of the two
    /// holds up nothing on the other.
    #[must_use]
    pub fn apart(&self, at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), hosts: Arc::default(), ..self.clone() }
    }

    /// What may be asked.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Whether the secret `name` can be sent to `url`.
    ///
    /// # Errors
    /// Why not, without the secret.
    pub fn may_tell(&self, name: &str, url: &reqwest::Url) -> Result<(), String> {
        self.keyring.open(name, url).map(drop)
    }

    /// The turns of a host, or of one of its addresses.
    fn host(&self, name: &str, only: Option<IpAddr>) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MOST_KEPT {
            hosts.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        hosts
            .entry((name.to_owned(), only))
            .or_insert_with(|| Arc::new(Semaphore::new(TO_ONE_HOST)))
            .clone()
    }

    fn resolver(&self, scheme: &str, port: u16, only: Option<IpAddr>) -> Guarded {
        Guarded { allowed: self.allowed.clone(), scheme: scheme.to_owned(), port, only }
    }

    /// The client of a scheme and port. Connections are not kept: that a service still takes
    /// new ones is part of what is asked.
    fn client(
        &self,
        scheme: &str,
        port: u16,
        only: Option<IpAddr>,
    ) -> Result<Client, reqwest::Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&(scheme.to_owned(), port, only)) {
            return Ok(client.clone());
        }
        let agent = concat!("deployguard/", env!("CARGO_PKG_VERSION"));
        let resolver = self.resolver(scheme, port, only);
        let client = Client::builder()
            .user_agent(agent)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(Duration::from_secs(5))
            .tls_certs_merge(self.authorities.iter().cloned())
            .dns_resolver(resolver)
            .build()?;
        if clients.len() >= MOST_KEPT {
            clients.clear();
        }
        clients.insert((scheme.to_owned(), port, only), client.clone());
        Ok(client)
    }
}
