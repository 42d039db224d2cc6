//! Amazon ECS: looks at services, and puts a task definition back.
//!
//! Reading is retried by the SDK; what changes something is called once, and a
//! lost answer is looked for, never asked for again (`roll_back`). The choice of
//! what to do is a pure table (`choose`).

mod cache;
mod choose;
mod client;
mod compare;
mod decode;
mod fault;
mod flight;
mod history;
mod inspect;
mod look;
mod roll_back;

use std::sync::Arc;

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::SharedCredentialsProvider;
use jiff::Timestamp;

use super::{LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, Sighting,
};
use history::History;

/// Where an ECS is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcsSettings {
    /// The settings' name for this account and region: [`ServiceKey::target`].
    pub target: String,
    /// `None`: as the environment says.
    pub region: Option<String>,
    /// Another address than AWS's; `None`: AWS's, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
}

/// ECS in one account and region. Cheap to clone.
#[derive(Clone)]
pub struct Ecs {
    inner: Arc<Inner>,
}

struct Inner {
    target: String,
    client: Client,
    history: History,
}

impl Ecs {
    /// Prepares the client, with the default chain for credentials. Nothing is
    /// sent to ECS; wrong credentials show at the first look.
    pub async fn connect(settings: EcsSettings) -> Self {
        Self::connected(settings, None).await
    }

    /// As [`Ecs::connect`], with these credentials instead of the default chain's.
    pub async fn connect_as(settings: EcsSettings, credentials: SharedCredentialsProvider) -> Self {
        Self::connected(settings, Some(credentials)).await
    }

    async fn connected(
        settings: EcsSettings,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Self {
        let client = client::connect(&settings, credentials).await;
        let history = History::new(client.clone());
        Self { inner: Arc::new(Inner { target: settings.target, client, history }) }
    }
}

impl Platform for Ecs {
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
    ) -> Result<Inspection, LookError> {
        self.inspect_target(service, judged, target).await
    }

    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        self.act(permit, plan).await
    }
}
