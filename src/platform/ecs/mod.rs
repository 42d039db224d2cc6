//! Amazon ECS: looks at services, and puts a task definition back.
//!
//! Reading is retried by the SDK; what changes something is called once, and a
//! lost answer is looked for, never asked for again (`roll_back`). The choice of
//! what to do is a pure table (`choose`).

mod cache;
mod choose;
mod compare;
mod decode;
mod flight;
mod foresee;
mod history;
mod inspect;
mod look;
mod roll_back;

use std::sync::Arc;

use aws_sdk_ecs::Client;
use jiff::Timestamp;

use super::{LookError, Platform};
use crate::aws::Account;
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, Sighting,
};
use history::History;

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
    /// ECS in this account. Nothing is sent.
    pub fn of(account: &Account) -> Self {
        let client = Client::new(account.config());
        let history = History::new(client.clone());
        Self { inner: Arc::new(Inner { target: account.target().to_owned(), client, history }) }
    }
}

impl Platform for Ecs {
    async fn clusters(&self) -> Result<Vec<String>, LookError> {
        self.list_clusters().await
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
