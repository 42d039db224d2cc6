//! Hearing of changes as they happen: a watch of the API. What is heard is only a hint to
//! look; nothing of it is taken for true.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use axum::body::HttpBody;
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::Request;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Kubernetes;
use super::calls::bounded;
use super::fault::{Call, Fault, Kind, call};
use crate::model::ServiceKey;
use crate::platform::LookError;

/// The API ends a watch after so long, and we a little later.
const LASTS: u32 = 240;
const PATIENCE: Duration = Duration::from_secs(LASTS as u64 + 15);
/// The longest line that is read: the API keeps no object of more than 1.5 MiB.
const LINE: usize = 4 << 20;
/// Objects whose last state is remembered.
const KNOWN: usize = 10_000;

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    Deployments,
    Services,
    Ingresses,
}

impl Followed {
    pub const ALL: [Self; 3] = [Self::Deployments, Self::Services, Self::Ingresses];

    fn call(self, namespace: &str) -> Call<'_> {
        match self {
            Self::Deployments => call("watch", "deployments.apps", namespace),
            Self::Services => call("watch", "services", namespace),
            Self::Ingresses => call("watch", "ingresses.networking.k8s.io", namespace),
        }
    }

    fn path(self, namespace: &str) -> String {
        match self {
            Self::Deployments => format!("/apis/apps/v1/namespaces/{namespace}/deployments"),
            Self::Services => format!("/api/v1/namespaces/{namespace}/services"),
            Self::Ingresses => {
                format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses")
            }
        }
    }

    fn key(self, target: &str, namespace: &str, name: &str) -> ServiceKey {
        let service = match self {
            Self::Deployments => name.to_owned(),
            Self::Services => format!("service/{name}"),
            Self::Ingresses => format!("ingress/{name}"),
        };
        ServiceKey { target: target.to_owned(), cluster: namespace.to_owned(), service }
    }
}

impl Kubernetes {
    /// Tells of each object that is changed from now on, until the watch ends, which it does
    /// by itself after some minutes. What only shows how far a roll-out is, is not told.
    pub async fn follow(
        &self,
        namespace: &str,
        what: Followed,
        told: &mpsc::Sender<ServiceKey>,
    ) -> Result<(), LookError> {
        let asked = what.call(namespace);
        let following = self.lines(namespace, what, told);
        match tokio::time::timeout(PATIENCE, following).await {
            Ok(ended) => Ok(ended?),
            Err(_) => Err(Fault::late(asked, PATIENCE.as_secs()).into()),
        }
    }

    async fn lines(
        &self,
        namespace: &str,
        what: Followed,
        told: &mpsc::Sender<ServiceKey>,
    ) -> Result<(), Fault> {
        let asked = what.call(namespace);
        let odd = |why: &dyn std::fmt::Display| Fault {
            kind: Kind::Unknown,
            everywhere: false,
            words: format!("{} {} in {namespace}: {why}", asked.verb, asked.resource),
        };
        let url = Request::new(what.path(namespace));
        let first = url.list(&ListParams::default().limit(1)).map_err(|why| odd(&why))?;
        let now: Value = bounded(asked, self.client().request(first)).await?;
        let version = now["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let since = WatchParams::default().timeout(LASTS);
        let request = url.watch(&since, version).map_err(|why| odd(&why))?;
        let answer = bounded(asked, self.client().send(request.map(Body::from))).await?;
        if !answer.status().is_success() {
            let words = format!("{} {} in {namespace}", asked.verb, asked.resource);
            let words = format!("{words}: refused ({})", answer.status());
            return Err(Fault { kind: Kind::Refused, everywhere: false, words });
        }
        let (mut body, mut rest) = (pin!(answer.into_body()), Vec::new());
        let mut known = BTreeMap::new();
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame.map_err(|why| odd(&why))?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let Some(name) = news(&line, &mut known) else { continue };
                let key = what.key(self.target(), namespace, &name);
                // Nobody listens any more.
                if told.send(key).await.is_err() {
                    return Ok(());
                }
            }
            if rest.len() > LINE {
                return Err(odd(&"a line is too long"));
            }
        }
        Ok(())
    }
}

/// The name of the object that a line tells of, where more is new than its status.
fn news(line: &[u8], known: &mut BTreeMap<String, String>) -> Option<String> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let object = &event["object"];
    let name = object["metadata"]["name"].as_str()?.to_owned();
    let meta = &object["metadata"];
    let spec = &object["spec"];
    let state = [&event["type"], &meta["generation"], &meta["annotations"], &spec["selector"]];
    let state = state.map(ToString::to_string).join(" ");
    if known.len() >= KNOWN {
        known.clear();
    }
    let before = known.insert(name.clone(), state.clone());
    (before.as_ref() != Some(&state)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tells_of_progress_is_no_news() {
        let line = |generation: u32, ready: u32| {
            let object = serde_json::json!({
                "metadata": { "name": "api", "generation": generation },
                "status": { "readyReplicas": ready },
            });
            serde_json::json!({ "type": "MODIFIED", "object": object }).to_string()
        };
        let mut known = BTreeMap::new();
        assert_eq!(news(line(1, 1).as_bytes(), &mut known).as_deref(), Some("api"));
        assert_eq!(news(line(1, 2).as_bytes(), &mut known), None);
        assert_eq!(news(line(2, 2).as_bytes(), &mut known).as_deref(), Some("api"));
        assert_eq!(news(b"no json", &mut known), None);
    }
}
