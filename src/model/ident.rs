//! Names: of a service, its place, and a watch.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// Where a service runs: the identity that nothing else in the fleet shares.
///
/// Written `target/cluster/service`. `target` is the settings' name for an
/// account and region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct ServiceKey {
    pub target: String,
    pub cluster: String,
    pub service: String,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.target, self.cluster, self.service)
    }
}

/// What of Kubernetes is written with its kind: `service/NAME`.
const KINDS: [&str; 3] = ["service", "ingress", "httproute"];

/// A name or pattern without the kinds that may stand before its names; a `/` that is left
/// is none of them.
pub fn without_kinds(text: &str) -> String {
    let mut bare = format!(",{text}");
    for kind in KINDS {
        for front in [",", "{"] {
            bare = bare.replace(&format!("{front}{kind}/"), front);
        }
    }
    bare.split_off(1)
}

impl ServiceKey {
    /// What people call it: without its kind.
    pub fn name(&self) -> &str {
        self.service.rsplit('/').next().unwrap_or(&self.service)
    }

    /// `CLUSTER/SERVICE` or `TARGET/CLUSTER/SERVICE` in its parts; `SERVICE` may have its kind
    /// in front. `None`: it is neither.
    pub fn parts(text: &str) -> Option<(Option<&str>, &str, &str)> {
        let (front, name) = text.rsplit_once('/')?;
        let kind = front.rsplit_once('/').filter(|(_, kind)| KINDS.contains(kind));
        let (place, service) = match kind {
            Some((place, _)) => (place, &text[place.len() + 1..]),
            None => (front, name),
        };
        match place.split_once('/') {
            None => Some((None, place, service)),
            Some((target, cluster)) if !cluster.contains('/') => {
                Some((Some(target), cluster, service))
            }
            Some(_) => None,
        }
    }
}

/// A service under the names that people use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `service.name`: what messages and queries call it.
    pub name: String,
    /// `deployment.environment.name`.
    pub environment: String,
    pub key: ServiceKey,
}

/// The id of a watch: readable, and the same for the same deployment, however
/// often and by whichever path it is announced.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct WatchId(String);

impl WatchId {
    /// The watch over the deployment that `deployment` names at `service`.
    pub fn of(service: &ServiceKey, deployment: &str) -> Self {
        let digest = Sha256::digest(format!("{service}\n{deployment}"));
        let mut tail = [0; 8];
        tail.copy_from_slice(&digest[..8]);
        // It stands in addresses, as one part of their path.
        let name = service.service.replace('/', "-");
        Self(format!("{name}-{:016x}", u64::from_be_bytes(tail)))
    }

    /// An id as a person typed it; it may name no watch.
    pub fn typed(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_with_the_kind_of_its_service() {
        for (text, parts) in [
            ("shop/api", Some((None, "shop", "api"))),
            ("eu/shop/api", Some((Some("eu"), "shop", "api"))),
            ("shop/service/api", Some((None, "shop", "service/api"))),
            ("k8s/shop/httproute/api", Some((Some("k8s"), "shop", "httproute/api"))),
            ("api", None),
            ("a/b/c/d", None),
        ] {
            assert_eq!(ServiceKey::parts(text), parts, "{text}");
        }
        assert_eq!(without_kinds("{service/a,ingress/b,c}"), "{a,b,c}");
        assert_eq!(without_kinds("service/a"), "a");
        assert_eq!(without_kinds("cluster/service/a"), "cluster/service/a");
    }

    #[test]
    fn the_id_of_a_watch_is_one_part_of_an_address() {
        let key = ServiceKey {
            target: "k8s".into(),
            cluster: "shop".into(),
            service: "service/api".into(),
        };
        assert!(WatchId::of(&key, "x").as_str().starts_with("service-api-"));
        assert_eq!(key.name(), "api");
    }
}
