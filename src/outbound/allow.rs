//! Which schemes, hosts and ports may be asked: `https://www.shopflow.io`,
//! `https://*.sentry.io`, `http://10.1.0.0/16:9100`.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use reqwest::Url;

use super::address::{plain, special};

const WRITE: &str = "write `https://www.example.com`, `https://*.example.com` or \
                     `http://10.1.0.0/16:9100`";

/// The list, as the settings have it. Nothing is allowed by an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    scheme: String,
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Name(String),
    /// Any name that ends with this, which begins with a dot.
    Below(String),
    Range(IpNet),
}

impl Allowed {
    /// # Errors
    /// Which entry is none, and how one is written.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, String> {
        let patterns = entries.iter().map(|entry| {
            let entry = entry.as_ref();
            Pattern::parse(entry).map_err(|why| format!("`{entry}` {why}: {WRITE}"))
        });
        patterns.collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `url` may be asked, as far as it says by itself.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn url(&self, url: &Url) -> Result<(), String> {
        let (scheme, host, port) = parts(url).ok_or("it is no address of the web")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("there is a user or a password in it".to_owned());
        }
        let entry = written(scheme, &host, port);
        if !self.0.iter().any(|one| one.is_of(scheme, port) && one.host.takes(&host)) {
            return Err(format!("the settings don't allow it: add `{entry}` to `outbound.allow`"));
        }
        match host.parse::<IpAddr>() {
            Ok(address) => self.address(scheme, port, &host, address),
            Err(_) => Ok(()),
        }
    }

    /// Whether `name` may be asked at `address`.
    ///
    /// # Errors
    /// What is special about the address.
    pub(super) fn address(
        &self,
        scheme: &str,
        port: u16,
        name: &str,
        address: IpAddr,
    ) -> Result<(), String> {
        let Some(what) = special(address) else { return Ok(()) };
        let names = |one: &Pattern| match &one.host {
            Host::Range(range) => names_special(range) && range.contains(&plain(address)),
            Host::Name(own) => own == "localhost" && own == name && plain(address).is_loopback(),
            Host::Below(_) => false,
        };
        if self.0.iter().any(|one| one.is_of(scheme, port) && names(one)) {
            return Ok(());
        }
        let entry = written(scheme, &plain(address).to_string(), port);
        let leads = if name.parse::<IpAddr>().is_ok() { "it is" } else { "it leads to" };
        Err(format!("{leads} {address} ({what}), which only `{entry}` in `outbound.allow` allows"))
    }
}

/// Whether all of a range is special: a wider one, such as `0.0.0.0/0`, does not mean it.
fn names_special(range: &IpNet) -> bool {
    range.prefix_len() >= 8
        && special(range.network()).is_some()
        && special(range.broadcast()).is_some()
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err("is neither https nor http"),
        };
        let (host, port) = if let Some(inner) = rest.strip_prefix('[') {
            let (inner, after) = inner.split_once(']').ok_or("has no `]`")?;
            let (length, port) = match after.split_once(':') {
                Some((length, port)) => (length, Some(port)),
                None => (after, None),
            };
            (format!("{inner}{length}"), port)
        } else {
            match rest.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (rest.to_owned(), None),
            }
        };
        if port.is_some_and(|port| port.contains(['/', '?', '#'])) {
            return Err("has a path, and all of a host is allowed or nothing");
        }
        let port = port
            .map_or(Ok(usual), str::parse::<u16>)
            .map_err(|_| "has no number of a port behind its host")?;
        if port == 0 {
            return Err("has the port 0, which there is not");
        }
        Ok(Self { scheme: scheme.to_owned(), host: Host::parse(&host)?, port })
    }

    fn is_of(&self, scheme: &str, port: u16) -> bool {
        self.scheme == scheme && self.port == port
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Range(plain(address).into()));
        }
        if text.contains('/') {
            let range: IpNet =
                text.parse().map_err(|_| "has a path, or is no range of addresses")?;
            return Ok(Self::Range(range.trunc()));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains(['@', '?', '#', '\\', ' ']) {
            return Err("names no host");
        }
        // As a URL has it: in small letters, and what is not ASCII in its own spelling.
        let url = Url::parse(&format!("http://{name}/")).map_err(|_| "names no host")?;
        let name = url.host_str().ok_or("names no host")?.trim_end_matches('.').to_owned();
        let plain = |char: char| char.is_ascii_alphanumeric() || "-._".contains(char);
        if name.is_empty() || !name.chars().all(plain) {
            return Err("names no host; `*` stands only in front, as `*.`");
        }
        Ok(match (below, name.parse::<IpAddr>()) {
            (_, Ok(address)) => Self::Range(address.into()),
            (true, Err(_)) => Self::Below(format!(".{name}")),
            (false, Err(_)) => Self::Name(name),
        })
    }

    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name == host,
            Self::Below(name) => host.len() > name.len() && host.ends_with(name.as_str()),
            Self::Range(range) => {
                host.parse::<IpAddr>().is_ok_and(|address| range.contains(&plain(address)))
            }
        }
    }
}

/// Scheme, host without brackets and closing dot, and port.
pub(super) fn parts(url: &Url) -> Option<(&str, String, u16)> {
    let scheme = Some(url.scheme()).filter(|scheme| matches!(*scheme, "https" | "http"))?;
    let host = url.host_str()?.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
    Some((scheme, host, url.port_or_known_default()?))
}

/// As the list would have it.
fn written(scheme: &str, host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match (scheme, port) {
        ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|one| {
            let host = match &one.host {
                Host::Name(name) => name.clone(),
                Host::Below(name) => format!("*{name}"),
                Host::Range(range) => range.to_string(),
            };
            written(&one.scheme, &host, one.port)
        });
        f.write_str(&shown.collect::<Vec<_>>().join(", "))
    }
}
