//! Names to addresses, without those that no name may lead to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

use super::Allowed;

/// For one name.
const PATIENCE: Duration = Duration::from_secs(4);

/// Resolves as the system does, for requests of one scheme and port.
#[derive(Clone)]
pub(super) struct Guarded {
    pub allowed: Arc<Allowed>,
    pub scheme: String,
    pub port: u16,
    /// The one address that is asked, where a name has several.
    pub only: Option<IpAddr>,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nowhere {
    /// It has no address, or nobody could say which.
    Unresolved(String),
    /// None of its addresses may be asked.
    NotAllowed(String),
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unresolved(why) | Self::NotAllowed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Nowhere {}

impl Guarded {
    /// The addresses that `name` has now and may be asked at.
    pub async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, Nowhere> {
        let name = name.trim_end_matches('.').to_lowercase();
        let found = tokio::time::timeout(PATIENCE, lookup_host((name.as_str(), self.port))).await;
        let unresolved =
            |why: String| Nowhere::Unresolved(format!("its name can't be resolved: {why}"));
        let found = found.map_err(|_| unresolved(format!("no answer within {PATIENCE:?}")))?;
        let found = found.map_err(|why| unresolved(why.to_string()))?;
        let mut kept = self.sift(&name, found.collect())?;
        if let Some(only) = self.only {
            kept.retain(|one| one.ip() == only);
            if kept.is_empty() {
                return Err(Nowhere::Unresolved(format!("its name leads to {only} no longer")));
            }
        }
        Ok(kept)
    }

    /// The addresses that `name` may be asked at.
    fn sift(&self, name: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Nowhere> {
        let mut why = None;
        let mut kept = found;
        kept.retain(|one| {
            let told = self.allowed.address(&self.scheme, self.port, name, one.ip());
            told.map_err(|told| why = Some(told)).is_ok()
        });
        match (kept.is_empty(), why) {
            (false, _) => Ok(kept),
            (true, Some(why)) => Err(Nowhere::NotAllowed(why)),
            (true, None) => Err(Nowhere::Unresolved("its name has no address".to_owned())),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let kept = own.look_up(name.as_str()).await?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_addresses_of_a_name_those_stay_that_may_be_asked() {
        let of = |allow: &[&str], port: u16, found: &[&str]| {
            let allowed = Arc::new(Allowed::parse(allow).unwrap());
            let found = found.iter().map(|one| SocketAddr::new(one.parse().unwrap(), port));
            let guarded = Guarded { allowed, scheme: "http".to_owned(), port, only: None };
            guarded.sift("shop.example", found.collect()).map(|kept| kept.len())
        };
        let shop = "http://shop.example:81";
        assert_eq!(of(&[shop], 81, &["10.0.0.1", "2001:db8::1"]), Ok(2));
        assert_eq!(of(&[shop], 81, &["127.0.0.1", "10.0.0.1"]), Ok(1));
        for special in ["127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "::1"] {
            let none = of(&[shop], 81, &[special]);
            assert!(matches!(&none, Err(Nowhere::NotAllowed(_))), "{special}: {none:?}");
        }
        // What the list itself names is allowed, there and on no other port.
        assert_eq!(of(&[shop, "http://127.0.0.0/8:81"], 81, &["127.0.0.1"]), Ok(1));
        assert!(of(&[shop, "http://127.0.0.0/8:82"], 81, &["127.0.0.1"]).is_err());
        // Localhost is not what another name may lead to.
        assert!(of(&[shop, "http://localhost:81"], 81, &["127.0.0.1"]).is_err());
        assert!(matches!(of(&[shop], 81, &[]), Err(Nowhere::Unresolved(_))));
    }
}
