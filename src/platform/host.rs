//! The platform of one target, whichever it is.

use jiff::Timestamp;

use super::ecs::Ecs;
use super::kubernetes::Kubernetes;
use super::render::Render;
use super::{LookError, Platform};
use crate::model::{
    ActFailure, Acted, Inspection, Permit, Revision, RollbackPlan, ServiceKey, ShiftPlan, Sighting,
    StopSwitch,
};

/// Where the services of one target run. Cheap to clone.
#[derive(Clone)]
pub enum Host {
    Ecs(Ecs),
    Kubernetes(Kubernetes),
    Render(Render),
}

impl From<Ecs> for Host {
    fn from(ecs: Ecs) -> Self {
        Self::Ecs(ecs)
    }
}

impl From<Kubernetes> for Host {
    fn from(kubernetes: Kubernetes) -> Self {
        Self::Kubernetes(kubernetes)
    }
}

impl From<Render> for Host {
    fn from(render: Render) -> Self {
        Self::Render(render)
    }
}

impl Platform for Host {
    async fn clusters(&self) -> Result<Vec<String>, LookError> {
        match self {
            Self::Ecs(ecs) => ecs.clusters().await,
            Self::Kubernetes(one) => one.clusters().await,
            Self::Render(render) => render.clusters().await,
        }
    }

    async fn services(&self, cluster: &str) -> Result<Vec<ServiceKey>, LookError> {
        match self {
            Self::Ecs(ecs) => ecs.services(cluster).await,
            Self::Kubernetes(one) => one.services(cluster).await,
            Self::Render(render) => render.services(cluster).await,
        }
    }

    async fn look(
        &self,
        services: &[ServiceKey],
        now: Timestamp,
    ) -> Vec<(ServiceKey, Result<Option<Sighting>, LookError>)> {
        match self {
            Self::Ecs(ecs) => ecs.look(services, now).await,
            Self::Kubernetes(one) => one.look(services, now).await,
            Self::Render(render) => render.look(services, now).await,
        }
    }

    async fn inspect(
        &self,
        service: &ServiceKey,
        judged: &Revision,
        target: &Revision,
        pin_digests: bool,
    ) -> Result<Inspection, LookError> {
        match self {
            Self::Ecs(ecs) => ecs.inspect(service, judged, target, pin_digests).await,
            Self::Kubernetes(one) => one.inspect(service, judged, target, pin_digests).await,
            Self::Render(render) => render.inspect(service, judged, target, pin_digests).await,
        }
    }

    async fn foresee(&self, plan: &RollbackPlan) -> Result<String, ActFailure> {
        match self {
            // It holds whole answers of AWS.
            Self::Ecs(ecs) => Box::pin(ecs.foresee(plan)).await,
            Self::Kubernetes(one) => Box::pin(one.foresee(plan)).await,
            Self::Render(render) => render.foresee(plan).await,
        }
    }

    async fn roll_back(&self, permit: &Permit, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        match self {
            Self::Ecs(ecs) => ecs.roll_back(permit, plan).await,
            Self::Kubernetes(one) => one.roll_back(permit, plan).await,
            Self::Render(render) => render.roll_back(permit, plan).await,
        }
    }

    async fn shift(&self, plan: &ShiftPlan, stop: &StopSwitch) -> Result<(), ActFailure> {
        match self {
            Self::Ecs(ecs) => ecs.shift(plan, stop).await,
            Self::Kubernetes(one) => one.shift(plan, stop).await,
            Self::Render(render) => render.shift(plan, stop).await,
        }
    }
}
