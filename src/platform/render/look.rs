//! Looking at groups: one call for each service of them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Render;
use super::api::Fault;
use super::wave::{Member, sighting};
use super::wire::Service;
use crate::model::{ServiceKey, Sighting};
use crate::platform::LookError;

/// Calls under way at once. Render takes some 400 reads a minute.
const CONCURRENT: usize = 4;
/// Deploys of a service that a look reads.
const LATEST: usize = 40;

type Look = (ServiceKey, Result<Option<Sighting>, LookError>);

impl Render {
    /// The groups, and each running service that is in none.
    pub(super) async fn list(&self, cluster: &str) -> Result<Vec<ServiceKey>, LookError> {
        if cluster != self.inner.name {
            return Err(LookError::Permanent(format!(
                "target {} has one workspace, {}: a policy's `cluster` is its name",
                self.inner.target, self.inner.name
            )));
        }
        let services = self.list_services().await?;
        Ok(self.names(&services).into_iter().map(|name| self.key(name)).collect())
    }

    pub(super) async fn list_services(&self) -> Result<Arc<Vec<Service>>, Fault> {
        let services = Arc::new(self.inner.api.services(self.inner.owner.as_deref()).await?);
        let mut listed = self.inner.listed.lock().unwrap_or_else(PoisonError::into_inner);
        *listed = Some(services.clone());
        Ok(services)
    }

    /// What can be guarded: a group counts as one. What is suspended serves nobody.
    fn names(&self, services: &[Service]) -> BTreeSet<String> {
        let grouped: BTreeSet<&String> = self.inner.groups.values().flatten().collect();
        let alone = services.iter().filter(|one| {
            let in_group = grouped.contains(&one.name) || grouped.contains(&one.id);
            one.runs() && !one.is_suspended() && !in_group
        });
        let alone = alone.map(|service| service.name.clone());
        self.inner.groups.keys().cloned().chain(alone).collect()
    }

    pub(super) fn key(&self, service: String) -> ServiceKey {
        let Self { inner } = self;
        ServiceKey { target: inner.target.clone(), cluster: inner.name.clone(), service }
    }

    pub(super) async fn look_at(&self, services: &[ServiceKey], now: Timestamp) -> Vec<Look> {
        let turns = Arc::new(Semaphore::new(CONCURRENT));
        let mut looking = JoinSet::new();
        for key in services.iter().cloned().collect::<BTreeSet<_>>() {
            let (render, turns) = (self.clone(), turns.clone());
            looking.spawn(async move {
                let _turn = turns.acquire().await;
                let look = render.look_at_one(&key, now).await;
                (key, look)
            });
        }
        let mut looks = Vec::new();
        while let Some(joined) = looking.join_next().await {
            match joined {
                Ok(look) => looks.push(look),
                Err(error) => tracing::error!(%error, "a look ended without an answer"),
            }
        }
        looks
    }

    async fn look_at_one(
        &self,
        key: &ServiceKey,
        now: Timestamp,
    ) -> Result<Option<Sighting>, LookError> {
        let Some(services) = self.members_of(key).await? else { return Ok(None) };
        Ok(sighting(key, &self.history(&services, LATEST).await?, now))
    }

    /// The services of a group, in its order; `None`: there is no such group or service.
    pub(super) async fn members_of(
        &self,
        key: &ServiceKey,
    ) -> Result<Option<Vec<Service>>, LookError> {
        if key.target != self.inner.target || key.cluster != self.inner.name {
            let words = format!("{key} is not in {}/{}", self.inner.target, self.inner.name);
            return Err(LookError::Permanent(words));
        }
        if let Some(listed) = self.listed()
            && let Ok(Some(members)) = self.pick(&key.service, &listed)
        {
            return Ok(Some(members));
        }
        // It may have come since.
        let services = self.list_services().await?;
        self.pick(&key.service, &services).map_err(LookError::Permanent)
    }

    fn pick(&self, name: &str, services: &[Service]) -> Result<Option<Vec<Service>>, String> {
        let find = |named: &str| services.iter().find(|one| one.name == named || one.id == named);
        let Some(named) = self.inner.groups.get(name) else {
            return Ok(find(name).map(|alone| vec![alone.clone()]));
        };
        let members = named.iter().map(|named| {
            find(named).cloned().ok_or_else(|| {
                format!(
                    "group {name} names {named}, which Render does not show: see \
                     targets.{}.render.groups, and whether the key may see its workspace",
                    self.inner.target
                )
            })
        });
        members.collect::<Result<_, _>>().map(Some)
    }

    /// The deploys of each service.
    pub(super) async fn history(
        &self,
        services: &[Service],
        most: usize,
    ) -> Result<Vec<Member>, Fault> {
        let mut members = Vec::with_capacity(services.len());
        for service in services {
            let deploys = self.inner.api.deploys(&service.id, most).await?;
            let (id, name) = (service.id.clone(), service.name.clone());
            members.push(Member { id, name, deploys });
        }
        Ok(members)
    }
}
