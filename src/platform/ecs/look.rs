//! Looking at services, in as few calls as ECS allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ecs::types::Service;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Ecs;
use super::decode::{last_part, sighting};
use crate::aws::{Fault, Kind};
use crate::model::{ServiceKey, Sighting};
use crate::platform::LookError;

/// The most services that one `DescribeServices` takes.
pub(super) const BATCH: usize = 10;
/// Batches on their way at a time: far below the API's sustained 20 a second.
const CONCURRENT: usize = 4;
/// `ListServices` pages of 100 names: more is refused, never cut off silently.
const PAGES: usize = 100;

type Look = (ServiceKey, Result<Option<Sighting>, LookError>);

impl Ecs {
    pub(super) async fn list_clusters(&self) -> Result<Vec<String>, LookError> {
        let (mut names, mut token) = (Vec::new(), None);
        for _ in 0..PAGES {
            let asked = self.inner.client.list_clusters().max_results(100);
            let sent = asked.set_next_token(token.take()).send().await;
            let page = sent.map_err(|e| Fault::of("ListClusters", &e))?;
            names.extend(page.cluster_arns().iter().map(|arn| last_part(arn).to_owned()));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(names);
            }
        }
        let words = format!("the account has more than {} clusters", PAGES * 100);
        Err(LookError::Permanent(words))
    }

    pub(super) async fn list(&self, cluster: &str) -> Result<Vec<ServiceKey>, LookError> {
        let names = self.names(cluster).await?;
        Ok(names.into_iter().map(|name| self.key(cluster, name)).collect())
    }

    /// The services of a cluster by their names.
    pub(super) async fn names(&self, cluster: &str) -> Result<BTreeSet<String>, Fault> {
        let (mut names, mut token) = (BTreeSet::new(), None);
        for _ in 0..PAGES {
            let asked = self.inner.client.list_services().cluster(cluster).max_results(100);
            let sent = asked.set_next_token(token.take()).send().await;
            let page = sent.map_err(|e| Fault::of("ListServices", &e))?;
            names.extend(page.service_arns().iter().map(|arn| last_part(arn).to_owned()));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(names);
            }
        }
        let words = format!("cluster {cluster} has more than {} services", PAGES * 100);
        Err(Fault { kind: Kind::Refused, ..Fault::odd("ListServices", &words) })
    }

    pub(super) async fn look_at(&self, services: &[ServiceKey], now: Timestamp) -> Vec<Look> {
        let mut looks = Vec::with_capacity(services.len());
        let mut by_cluster: BTreeMap<&str, BTreeSet<&ServiceKey>> = BTreeMap::new();
        for key in services {
            if key.target == self.inner.target {
                by_cluster.entry(&key.cluster).or_default().insert(key);
            } else {
                let words = format!("{key} is not in target {}", self.inner.target);
                looks.push((key.clone(), Err(LookError::Permanent(words))));
            }
        }
        let turns = Arc::new(Semaphore::new(CONCURRENT));
        let mut looking = JoinSet::new();
        for (_, keys) in by_cluster {
            let keys: Vec<ServiceKey> = keys.into_iter().cloned().collect();
            for batch in keys.chunks(BATCH) {
                let (ecs, turns, batch) = (self.clone(), turns.clone(), batch.to_vec());
                looking.spawn(async move {
                    let _turn = turns.acquire().await;
                    ecs.look_at_batch(batch, now).await
                });
            }
        }
        while let Some(joined) = looking.join_next().await {
            match joined {
                Ok(batch) => looks.extend(batch),
                Err(error) => tracing::error!(%error, "a look ended without an answer"),
            }
        }
        looks
    }

    async fn look_at_batch(&self, keys: Vec<ServiceKey>, now: Timestamp) -> Vec<Look> {
        let described = match self.describe(&keys).await {
            Ok(described) => described,
            Err(fault) => {
                let error = LookError::from(fault);
                return keys.into_iter().map(|key| (key, Err(error.clone()))).collect();
            }
        };
        let found: Vec<(&ServiceKey, &Service)> = described
            .iter()
            .filter_map(|(key, one)| Some((key, one.as_ref().ok()?.as_ref()?)))
            .collect();
        let flights = self.inner.history.flights(&found, now).await;
        let mut seen: BTreeMap<ServiceKey, _> = found
            .iter()
            .zip(&flights)
            .map(|((key, service), flight)| {
                let seen = sighting(key, service, flight.as_ref(), now)
                    .map_err(|words| LookError::Transient(format!("DescribeServices: {words}")));
                ((*key).clone(), seen)
            })
            .collect();
        let looks = described.iter().map(|(key, one)| {
            let look = match one {
                Ok(Some(_)) => seen.remove(key).unwrap_or(Ok(None)),
                Ok(None) => Ok(None),
                Err(error) => Err(error.clone()),
            };
            (key.clone(), look)
        });
        looks.collect()
    }

    /// `DescribeServices` for at most ten services of one cluster: each with what
    /// was found, `None` for one that does not exist.
    pub(super) async fn describe(
        &self,
        keys: &[ServiceKey],
    ) -> Result<Vec<(ServiceKey, Result<Option<Service>, LookError>)>, Fault> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let names = keys.iter().map(|key| key.service.clone()).collect();
        let asked = self.inner.client.describe_services().cluster(&first.cluster);
        let sent = asked.set_services(Some(names)).send().await;
        let answer = sent.map_err(|e| Fault::of("DescribeServices", &e))?;
        let failures: BTreeMap<&str, &str> = answer
            .failures()
            .iter()
            .filter_map(|one| Some((last_part(one.arn()?), one.reason().unwrap_or("no reason"))))
            .collect();
        let described = keys.iter().map(|key| {
            let name = last_part(&key.service);
            let mut services = answer.services().iter();
            let found = services
                .find(|one| one.service_name().or(one.service_arn()).map(last_part) == Some(name));
            let look = match (found, failures.get(name)) {
                (Some(service), _) => Ok(Some(service.clone())),
                (None, Some(&"MISSING")) => Ok(None),
                (None, Some(reason)) => {
                    Err(LookError::Permanent(format!("DescribeServices: {reason}")))
                }
                (None, None) => {
                    Err(LookError::Transient(format!("DescribeServices left out {key}")))
                }
            };
            (key.clone(), look)
        });
        Ok(described.collect())
    }

    /// One service as it is now; `None` when it does not exist.
    pub(super) async fn describe_one(
        &self,
        key: &ServiceKey,
    ) -> Result<Option<Service>, LookError> {
        let described = self.describe(std::slice::from_ref(key)).await?;
        described.into_iter().next().map_or(Ok(None), |(_, look)| look)
    }

    pub(super) fn key(&self, cluster: &str, service: String) -> ServiceKey {
        ServiceKey { target: self.inner.target.clone(), cluster: cluster.to_owned(), service }
    }
}
