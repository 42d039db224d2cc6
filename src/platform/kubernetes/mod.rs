//! Kubernetes: looks at Deployments, at Services whose selector is switched between them
//! (blue/green) and at routes with weights (canary), and brings the former revision back.
//!
//! What is guarded is named as kubectl names it: `NAME` is a Deployment, `service/NAME`,
//! `ingress/NAME` and `httproute/NAME` are what its kind says. A Deployment behind a guarded
//! Service or route is a service of its own, and not guarded unless a policy names it too.
//!
//! Everything is read afresh each time, pure rooms make sense of it (`rollout`, `selector`,
//! `weights`, `decode`), a pure table chooses (`choose`), and a change names the version of
//! the object that was read: whatever changed in between, it is not overwritten.

mod calls;
mod choose;
mod decode;
mod difference;
mod fault;
mod fields;
mod follow;
mod inspect;
mod look;
mod memory;
mod named;
mod probe;
mod roll_back;
mod rollout;
mod selector;
mod shift;
mod way;
mod weights;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, ShiftPlan, Sighting,
    StopSwitch,
};
pub use follow::Followed;
use memory::Memory;
pub use probe::Tried;

/// The most that a connection may take.
const CONNECT: Duration = Duration::from_secs(3);

/// How a cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// A kubeconfig; `None`: as kubectl finds it.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; `None`: the current one.
    pub context: Option<String>,
    /// As the pod's own service account.
    pub in_cluster: bool,
}

/// One cluster. Cheap to clone.
#[derive(Clone)]
pub struct Kubernetes {
    inner: Arc<Inner>,
}

struct Inner {
    target: String,
    client: Client,
    memory: Memory,
}

impl Kubernetes {
    /// The cluster of a target. Nothing is sent to it; who gives out credentials may be asked.
    ///
    /// # Errors
    /// There is no such kubeconfig or context, or it can't be used, in words.
    pub async fn connect(target: &str, access: &Access) -> Result<Self, String> {
        let mut config = config(access).await.map_err(|why| format!("targets.{target}: {why}"))?;
        config.connect_timeout = Some(CONNECT);
        // A change is sent once; what is read is asked for again by the next look.
        config.default_retry = false;
        let client = Client::try_from(config)
            .map_err(|why| format!("targets.{target}: Kubernetes can't be reached: {why}"))?;
        let target = target.to_owned();
        Ok(Self { inner: Arc::new(Inner { target, client, memory: Memory::default() }) })
    }

    fn client(&self) -> &Client {
        &self.inner.client
    }

    fn target(&self) -> &str {
        &self.inner.target
    }

    fn memory(&self) -> &Memory {
        &self.inner.memory
    }
}

async fn config(access: &Access) -> Result<Config, String> {
    let words = |why: &dyn std::error::Error| why.to_string();
    if access.in_cluster {
        return Config::incluster().map_err(|why| {
            format!("kubernetes.in_cluster: {why}: is there a service account in this pod?")
        });
    }
    let options =
        KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    match &access.kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).map_err(|why| words(&why))?;
            Config::from_custom_kubeconfig(read, &options).await.map_err(|why| words(&why))
        }
        None if access.context.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(|why| words(&why))
        }
        None => Config::infer().await.map_err(|why| words(&why)),
    }
}

impl Platform for Kubernetes {
    async fn clusters(&self) -> Result<Vec<String>, LookError> {
        Ok(self.namespaces().await?)
    }

    async fn services(&self, cluster: &str) -> Result<Vec<ServiceKey>, LookError> {
        self.list(cluster).await
    }

    async fn look(
        &self,
        services: &[ServiceKey],
        now: Timestamp,
    ) -> Vec<(ServiceKey, Result<Option<Sighting>, LookError>)> {
        self.look_at(services, now).await
    }

    async fn inspect(
        &self,
        service: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        _pin_digests: bool,
    ) -> Result<Inspection, LookError> {
        Box::pin(self.inspect_target(service, judged, target)).await
    }

    async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        self.would(plan).await
    }

    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        // It holds whole namespaces: too much for the stacks of its callers.
        Box::pin(self.act(permit, plan)).await
    }

    async fn shift(&self, plan: &ShiftPlan, stop: &StopSwitch) -> Result<(), ActFailure> {
        Box::pin(self.shift_to(plan, stop)).await
    }
}
