//! Looking at what is guarded: a namespace is read at once, whatever of it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Kubernetes;
use super::calls::{Namespace, Parts};
use super::decode::{InPlace, in_place};
use super::named::Named;
use super::rollout::name;
use super::selector::is_switch;
use super::weights::{is_canary, leading_to};
use crate::model::{Revision, ServiceKey, Sighting};
use crate::platform::LookError;

/// Namespaces that are read at a time.
const CONCURRENT: usize = 4;

type Look = (ServiceKey, Result<Option<Sighting>, LookError>);

impl Kubernetes {
    /// What can be guarded of a namespace.
    pub(super) async fn list(&self, namespace: &str) -> Result<Vec<ServiceKey>, LookError> {
        let read = self.read(namespace, Parts::ALL).await?;
        let mut names: Vec<String> =
            read.deployments.iter().map(|one| name(&one.metadata).to_owned()).collect();
        let switches = read.services.iter().filter(|service| is_switch(&read, service));
        names.extend(switches.map(|one| format!("service/{}", name(&one.metadata))));
        let routes = read.ingresses.iter().filter(|one| !is_canary(one));
        names.extend(routes.map(|one| format!("ingress/{}", name(&one.metadata))));
        let routes = read.routes.iter();
        names.extend(routes.map(|one| format!("httproute/{}", name(&one.metadata))));
        Ok(names.into_iter().map(|service| self.key(namespace, service)).collect())
    }

    fn key(&self, namespace: &str, service: String) -> ServiceKey {
        ServiceKey { target: self.target().to_owned(), cluster: namespace.to_owned(), service }
    }

    pub(super) async fn look_at(&self, services: &[ServiceKey], now: Timestamp) -> Vec<Look> {
        let mut looks = Vec::with_capacity(services.len());
        let mut by_namespace: BTreeMap<&str, BTreeSet<&ServiceKey>> = BTreeMap::new();
        for key in services {
            if key.target == self.target() {
                by_namespace.entry(&key.cluster).or_default().insert(key);
            } else {
                let words = format!("{key} is not in target {}", self.target());
                looks.push((key.clone(), Err(LookError::Permanent(words))));
            }
        }
        let turns = Arc::new(Semaphore::new(CONCURRENT));
        let mut looking = JoinSet::new();
        for (_, keys) in by_namespace {
            let (here, turns) = (self.clone(), turns.clone());
            let keys: Vec<ServiceKey> = keys.into_iter().cloned().collect();
            looking.spawn(async move {
                let _turn = turns.acquire().await;
                here.look_at_namespace(keys, now).await
            });
        }
        while let Some(joined) = looking.join_next().await {
            match joined {
                Ok(some) => looks.extend(some),
                Err(error) => tracing::error!(%error, "a look ended without an answer"),
            }
        }
        looks
    }

    async fn look_at_namespace(&self, keys: Vec<ServiceKey>, now: Timestamp) -> Vec<Look> {
        let Some(namespace) = keys.first().map(|key| key.cluster.clone()) else {
            return Vec::new();
        };
        let named = keys.iter().filter_map(|key| Named::read(&key.service).ok());
        let parts = named.fold(Parts::default(), |parts, named| parts.with(&named));
        let read = match self.read(&namespace, parts).await {
            Ok(read) => read,
            Err(fault) => {
                let error = LookError::from(fault);
                return keys.into_iter().map(|key| (key, Err(error.clone()))).collect();
            }
        };
        let look = |key: ServiceKey| {
            let found = self.found(&read, &key, Some(now)).map(|found| {
                found.map(|found| Sighting {
                    service: key.clone(),
                    at: now,
                    controller: found.controller,
                    primary: found.primary,
                    others: found.others,
                    in_flight: None,
                    native_rollback: None,
                    coming: None,
                    source: found.source,
                })
            });
            (key, found)
        };
        keys.into_iter().map(look).collect()
    }

    /// Where no split was seen since the start: what leads to one of these revisions is what
    /// had the canary.
    pub(super) fn recall(
        &self,
        read: &Namespace,
        key: &ServiceKey,
        named: &Named<'_>,
        revisions: [&Revision; 2],
    ) {
        if self.memory().stable(key).is_none()
            && let Some(stable) = leading_to(read, named, revisions)
        {
            self.memory().suppose(key, stable);
        }
    }

    /// What is in place, told as it was told before. `now`: of a look.
    pub(super) fn found(
        &self,
        read: &Namespace,
        key: &ServiceKey,
        now: Option<Timestamp>,
    ) -> Result<Option<InPlace>, LookError> {
        let named = Named::read(&key.service).map_err(LookError::Permanent)?;
        let stable = self.memory().stable(key);
        let Some(found) = in_place(read, &named, stable.as_deref())? else {
            self.memory().forget(key);
            return Ok(None);
        };
        Ok(Some(self.memory().settle(key, found, now)))
    }
}
