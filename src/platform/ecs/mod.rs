//! Amazon ECS: looks at services, and puts a task definition back; where CodeDeploy
//! deploys, through CodeDeploy.
//!
//! Reading is retried by the SDK; what changes something is called once, and a
//! lost answer is looked for, never asked for again (`roll_back`). The choice of
//! what to do is a pure table (`choose`).

mod app_spec;
mod cache;
mod choose;
mod code_deploy;
mod compare;
mod decode;
mod difference;
mod flight;
mod foresee;
mod history;
mod inspect;
mod look;
mod pin;
mod probe;
mod registry;
mod release;
mod roll_back;
mod survey;

use std::sync::Arc;

use aws_sdk_ecs::Client;
use jiff::Timestamp;

use super::{LookError, Platform};
use crate::aws::{Account, without_retries};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, Sighting,
};
use history::History;
pub use probe::Tried;
pub use survey::Survey;

/// ECS in one account and region. Cheap to clone.
#[derive(Clone)]
pub struct Ecs {
    inner: Arc<Inner>,
}

struct Inner {
    target: String,
    client: Client,
    /// Asks once: for what is built without a place to say so.
    once: Client,
    code_deploy: aws_sdk_codedeploy::Client,
    ecr: aws_sdk_ecr::Client,
    history: History,
}

impl Ecs {
    /// ECS in this account. Nothing is sent.
    pub fn of(account: &Account) -> Self {
        let client = Client::new(account.config());
        let history = History::new(client.clone());
        let once = aws_sdk_ecs::config::Builder::from(account.config())
            .retry_config(without_retries())
            .build();
        let inner = Inner {
            target: account.target().to_owned(),
            client,
            once: Client::from_conf(once),
            code_deploy: aws_sdk_codedeploy::Client::new(account.config()),
            ecr: aws_sdk_ecr::Client::new(account.config()),
            history,
        };
        Self { inner: Arc::new(inner) }
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
        pin_digests: bool,
    ) -> Result<Inspection, LookError> {
        Box::pin(self.inspect_target(service, judged, target, pin_digests)).await
    }

    async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        self.would(plan).await
    }

    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        // It holds whole answers of AWS: too much for the stacks of its callers.
        Box::pin(self.act(permit, plan)).await
    }
}
