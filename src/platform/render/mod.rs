//! Render: looks at services, and puts the build of an earlier deploy back.
//!
//! Services that ship together are one group: one deployment, judged and brought back
//! together (`wave`). Every call is made once: a read that fails is made again by the next
//! look, and what changes something is looked for when its answer is lost (`roll_back`). The
//! choice of what to do is a pure table (`choose`).

mod api;
mod choose;
mod foresee;
mod inspect;
mod look;
mod probe;
mod roll_back;
mod wave;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::{LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, Sighting,
};
use api::Api;
pub use probe::Tried;
use wire::Service;

/// A workspace of Render, as the settings say.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// The settings' name of it.
    pub target: String,
    /// What policies call it, in the place of a cluster.
    pub name: String,
    pub url: String,
    pub api_key: String,
    /// `tea-...` or `usr-...`, where the key sees more than one workspace.
    pub owner: Option<String>,
    /// Services that ship together: their names or ids, in the order in which they go back.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One workspace. Cheap to clone.
#[derive(Clone)]
pub struct Render {
    inner: Arc<Inner>,
}

struct Inner {
    target: String,
    name: String,
    owner: Option<String>,
    groups: BTreeMap<String, Vec<String>>,
    api: Api,
    /// The services as they were listed last.
    listed: Mutex<Option<Arc<Vec<Service>>>>,
}

impl Render {
    /// Nothing is sent.
    ///
    /// # Errors
    /// The key is none.
    pub fn connect(workspace: Workspace) -> Result<Self, String> {
        let Workspace { target, name, url, api_key, owner, groups } = workspace;
        let api = Api::new(&url, &api_key)?;
        let listed = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { target, name, owner, groups, api, listed }) })
    }

    fn listed(&self) -> Option<Arc<Vec<Service>>> {
        self.inner.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Platform for Render {
    async fn clusters(&self) -> Result<Vec<String>, LookError> {
        Ok(vec![self.inner.name.clone()])
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
        self.inspect_target(service, judged, target).await
    }

    async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        self.would(plan).await
    }

    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        self.act(permit, plan).await
    }
}
