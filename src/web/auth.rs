//! Who asks, and what they may do.

use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Face;
use super::problem::Problem;
use super::vouch::CALLER;
use crate::model::ServiceKey;
use crate::policy::Glob;
use crate::settings::{BY_PROXY, ProxySettings, Role, Settings};

/// The tokens of the settings, as digests.
#[derive(Debug, Default)]
pub struct Tokens {
    known: Vec<Token>,
    /// Who names people that have logged in there.
    proxy: Option<ProxySettings>,
    open_reads: bool,
    open_metrics: bool,
}

#[derive(Debug)]
struct Token {
    digest: [u8; 32],
    caller: Caller,
}

/// Whoever holds a token.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Named in the journal.
    pub name: String,
    pub(super) role: Role,
    pub(super) services: Option<Vec<Glob>>,
    pub(super) environments: Vec<String>,
}

impl Tokens {
    /// # Errors
    /// Where a scope's pattern can't be read.
    pub fn of(settings: &Settings) -> anyhow::Result<Tokens> {
        let tokens = settings
            .tokens
            .iter()
            .map(|token| {
                let patterns = token.services.iter().map(|pattern| {
                    Glob::parse(pattern).map_err(|why| {
                        anyhow::anyhow!("token `{}`: services: `{pattern}`: {why}", token.name)
                    })
                });
                let services = patterns.collect::<Result<Vec<_>, _>>()?;
                let services = (!services.is_empty()).then_some(services);
                let caller = Caller {
                    name: token.name.clone(),
                    role: token.role,
                    services,
                    environments: token.environments.clone(),
                };
                Ok(Token { digest: Sha256::digest(token.token.expose()).into(), caller })
            })
            .collect::<anyhow::Result<_>>()?;
        let (open_reads, open_metrics) = (settings.open_reads, settings.open_metrics);
        let proxy = settings.web.proxy.clone();
        Ok(Tokens { known: tokens, proxy, open_reads, open_metrics })
    }

    /// Compares with every token in constant time: neither how much of a token
    /// is right nor which one it is can be timed.
    fn holder(&self, given: &str) -> Option<&Caller> {
        let digest: [u8; 32] = Sha256::digest(given).into();
        let mut found = None;
        for token in &self.known {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(&token.caller);
            }
        }
        found
    }

    /// Whether a token that is known stands in the headers.
    pub(super) fn is_one_of_ours(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_ok_and(|given| self.holder(given).is_some())
    }
}

/// A person whom the proxy has logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxied {
    pub name: String,
    pub groups: Vec<String>,
}

impl Proxied {
    /// What is said of them within the house and to another daemon.
    pub fn claim(&self) -> String {
        format!("{BY_PROXY}{}", serde_json::to_string(self).unwrap_or_default())
    }
}

impl Tokens {
    /// Whoever another daemon vouches for: by the name of a token, or as the proxy named them.
    pub(super) fn named(&self, claim: &str) -> Option<Caller> {
        if let (Some(proxy), Some(person)) = (&self.proxy, claim.strip_prefix(BY_PROXY)) {
            let person: Proxied = serde_json::from_str(person).ok()?;
            let role = proxy.role(&person.groups)?;
            return Some(Caller {
                name: person.name,
                role,
                services: None,
                environments: Vec::new(),
            });
        }
        let token = self.known.iter().find(|token| token.caller.name == claim);
        token.map(|token| token.caller.clone())
    }

    /// The name of a token with the digest of its value.
    pub(super) fn digest_of(&self, given: &str) -> Option<(&str, &[u8; 32])> {
        let name = self.holder(given)?.name.as_str();
        self.digest_named(name).map(|digest| (name, digest))
    }

    /// The digest of the present value of the token that is called so.
    pub(super) fn digest_named(&self, name: &str) -> Option<&[u8; 32]> {
        self.known.iter().find(|token| token.caller.name == name).map(|token| &token.digest)
    }

    pub(super) fn proxy(&self) -> Option<&ProxySettings> {
        self.proxy.as_ref()
    }

    /// Whether reading needs nobody's name.
    pub(super) fn are_reads_open(&self) -> bool {
        self.open_reads
    }
}

impl Caller {
    /// Whether there is anything that the token is not for.
    pub fn is_scoped(&self) -> bool {
        self.services.is_some() || !self.environments.is_empty()
    }

    /// Whether the token's scope takes the service in.
    pub fn may_speak_of(&self, service: &str, environment: &str) -> Result<(), Problem> {
        let in_services = self
            .services
            .as_ref()
            .is_none_or(|globs| globs.iter().any(|glob| glob.matches(service)));
        let in_environments = self.environments.is_empty()
            || self.environments.iter().any(|allowed| allowed == environment);
        if in_services && in_environments {
            Ok(())
        } else {
            let detail = format!("the token `{}` is not for {service} in {environment}", self.name);
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
    }
}

/// The last part of `CLUSTER/SERVICE` or `TARGET/CLUSTER/SERVICE`.
fn service_of(scope: &str) -> Option<&str> {
    let parts = ServiceKey::parts(scope).filter(|_| !scope.starts_with("environment:"));
    parts.map(|(_, _, service)| service)
}

impl Caller {
    /// Whether the token's scope takes in everything that a pause of `scope` would stop.
    pub fn may_pause(&self, scope: &str) -> Result<(), Problem> {
        let allowed = match (&self.services, self.environments.as_slice()) {
            (None, []) => true,
            (None, environments) => scope
                .strip_prefix("environment:")
                .is_some_and(|name| environments.iter().any(|allowed| allowed == name)),
            // One service by its name; a pattern may take others in.
            (Some(services), []) => service_of(scope).is_some_and(|service| {
                !service.contains(['*', '?', '[', '{', '\\'])
                    && services.iter().any(|glob| glob.matches(service))
            }),
            (Some(_), _) => false,
        };
        if allowed {
            return Ok(());
        }
        let detail = format!("the token `{}` is not for all that `{scope}` takes in", self.name);
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

impl Face {
    /// The caller, if their token's role is enough.
    pub fn caller(&self, headers: &HeaderMap, least: Role) -> Result<Caller, Problem> {
        let caller = match headers.get(CALLER) {
            // Who passed it on has seen the token.
            Some(name) => self.tokens.named(&String::from_utf8_lossy(name.as_bytes())),
            None => self.tokens.holder(bearer(headers)?).cloned(),
        };
        let Some(caller) = caller else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is unknown"));
        };
        if caller.role < least {
            let detail = format!(
                "the token `{}` has the role {}; this needs {}",
                caller.name,
                word(caller.role),
                word(least)
            );
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(caller)
    }

    /// Reading needs a token unless the settings open it.
    pub fn may_read(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.tokens.open_reads {
            return Ok(());
        }
        self.caller(headers, Role::Read).map(|_| ())
    }
}

impl Face {
    /// The same for the daemon's metrics, which the settings may open alone.
    pub fn may_scrape(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.tokens.open_metrics { Ok(()) } else { self.may_read(headers) }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    given.ok_or_else(|| {
        let detail = "give a token: `Authorization: Bearer ...`";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    })
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Deploy => "deploy",
        Role::Operate => "operate",
    }
}
