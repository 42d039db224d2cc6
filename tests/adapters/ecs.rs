//! The ECS adapter in front of the stand-in, with a deployment to judge.

use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use deployguard::aws;
use deployguard::model::{
    ActFailure, Acted, Means, Permit, Revision, RollbackPlan, ServiceKey, Sighting, WatchId,
};
use deployguard::platform::Platform;
use deployguard::platform::ecs::Ecs;

use crate::client::{Account, CLUSTER, SERVICE};
use crate::world::now;

/// An account with a service, and the adapter under test.
pub struct Stage {
    pub account: Account,
    pub ecs: Ecs,
}

impl Stage {
    /// api:1 runs, at rest.
    pub async fn at_rest() -> Self {
        Self::of(Account::with_service(None).await).await
    }

    pub async fn of(account: Account) -> Self {
        let ecs = Ecs::of(&aws_at(account.ecs.url()).await);
        Self { account, ecs }
    }

    /// Deploys api:2 on top; one of its tasks runs, and the roll-out goes on until its end is
    /// waited for.
    pub async fn deploy(&self) -> RollbackPlan {
        let target = self.sighting().await.primary.revision;
        let second = self.account.register(&[]).await;
        self.account.ecs.hold(&second);
        self.account.update(&second).await;
        self.account.ecs.wait_running(SERVICE, &second, 1).await;
        self.plan(target).await
    }

    /// As [`Stage::deploy`], and the roll-out has ended.
    pub async fn deploy_to_the_end(&self) -> RollbackPlan {
        let plan = self.deploy().await;
        self.account.ecs.wait_stable(SERVICE).await;
        plan
    }

    /// Deploys the image v2, and plans to put v1 back; both are in ECR.
    pub async fn deploy_in_ecr(&self) -> RollbackPlan {
        let first = self.account.register_image("v1", &[]).await;
        self.account.update(&first).await;
        self.account.ecs.wait_stable(SERVICE).await;
        let target = self.sighting().await.primary.revision;
        let second = self.account.register_image("v2", &[("FLAG", "on")]).await;
        self.account.update(&second).await;
        self.account.ecs.wait_stable(SERVICE).await;
        self.plan(target).await
    }

    /// To put `target` back in the place of what is PRIMARY now.
    pub async fn plan(&self, target: Revision) -> RollbackPlan {
        let judged = self.sighting().await.primary;
        RollbackPlan {
            service: key(),
            judged: judged.id,
            judged_revision: judged.revision,
            target,
            target_because: "it ran before".into(),
            decided_at: now(),
            pin_digests: false,
            means: Means::default(),
        }
    }

    pub async fn sighting(&self) -> Sighting {
        let mut looks = spawnable(self.ecs.look(&[key()], now())).await;
        assert_eq!(looks.len(), 1);
        looks.remove(0).1.expect("seen").expect("in place")
    }

    pub async fn roll_back(&self, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        spawnable(self.ecs.roll_back(&permit(true), plan)).await
    }

    /// What was changed since `before` changes, by operation.
    pub fn changes_after(&self, before: usize) -> Vec<&'static str> {
        let all = self.account.ecs.mutations(SERVICE);
        all.iter().skip(before).map(|change| change.operation).collect()
    }

    pub fn changes(&self) -> usize {
        self.account.ecs.mutations(SERVICE).len()
    }

    /// How often each of these operations was called.
    pub fn calls(&self, operation: &str) -> usize {
        self.account.ecs.calls().iter().filter(|call| call.operation == operation).count()
    }
}

/// The account whose endpoint this is.
pub async fn aws_at(endpoint: String) -> aws::Account {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    aws::Account::connect(aws::AccountSettings {
        target: "test".into(),
        region: Some("us-east-1".into()),
        endpoint: Some(endpoint),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        role: None,
    })
    .await
}

/// The engine spawns its calls: they have to be `Send`.
pub fn spawnable<F: Future + Send>(call: F) -> F {
    call
}

pub fn key() -> ServiceKey {
    ServiceKey { target: "test".into(), cluster: CLUSTER.into(), service: SERVICE.into() }
}

pub fn permit(first: bool) -> Permit {
    Permit::issued_by_store(WatchId::of(&key(), "d"), first)
}
