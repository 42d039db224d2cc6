//! A Service whose selector is switched between Deployments: blue/green. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;

use super::calls::Namespace;
use super::fields::last_written;
use super::rollout::{Rolled, name};
use crate::platform::LookError;

type Labels = BTreeMap<String, String>;

/// A Service, and the one Deployment whose pods it selects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selected<'a> {
    pub(super) service: &'a Service,
    pub(super) rolled: Rolled<'a>,
}

impl<'a> Selected<'a> {
    /// The Service `name`; `None`: there is none.
    ///
    /// # Errors
    /// It leads to no one Deployment, in words.
    pub(super) fn of(read: &'a Namespace, name: &str) -> Result<Option<Self>, LookError> {
        let named = |one: &&Service| one.metadata.name.as_deref() == Some(name);
        let Some(service) = read.services.iter().find(named) else { return Ok(None) };
        let Some(selector) = selector(service) else {
            let words = format!("service/{name} has no selector: nothing is switched by it");
            return Err(LookError::Permanent(words));
        };
        let rolled = match selected(read, selector)[..] {
            [] => {
                let words =
                    format!("service/{name} selects no Deployment's pods ({})", said(selector));
                return Err(LookError::Transient(words));
            }
            [only] => Rolled::made(read, only).map_err(LookError::Transient)?,
            [..] => {
                let all: Vec<&str> =
                    selected(read, selector).iter().map(|one| self::name(&one.metadata)).collect();
                return Err(LookError::Permanent(format!(
                    "service/{name} selects the pods of {} together ({}): guard each Deployment, \
                     or let the selector tell them apart",
                    all.join(" and "),
                    said(selector)
                )));
            }
        };
        Ok(Some(Self { service, rolled }))
    }

    pub(super) fn name(&self) -> &'a str {
        name(&self.service.metadata)
    }

    /// When the selector was last written, as far as the API keeps it.
    pub(super) fn switched(&self) -> Option<Timestamp> {
        last_written(&self.service.metadata, &["f:spec", "f:selector"])
    }

    /// Since when it leads to what it selects, whose roll-out began at `begun`.
    pub(super) fn led_since(&self, begun: Timestamp) -> Timestamp {
        self.switched().map_or(begun, |at| at.max(begun))
    }

    /// The Deployments that it would select if one value of its selector were another, with
    /// the selector for that. Labels alone don't tell another version from another program:
    /// which of them has run here its `ReplicaSets` tell.
    pub(super) fn alternatives(&self, read: &'a Namespace) -> Vec<(&'a Deployment, Labels)> {
        let Some(own) = selector(self.service) else { return Vec::new() };
        let fitting = read.deployments.iter().filter_map(|deployment| {
            let labels = labels(deployment)?;
            let other: Option<Labels> = own
                .keys()
                .map(|key| labels.get(key).map(|value| (key.clone(), value.clone())))
                .collect();
            let other = other?;
            let differing = own.iter().filter(|(key, value)| other.get(*key) != Some(*value));
            (differing.count() == 1).then_some((deployment, other))
        });
        fitting.collect()
    }
}

/// Whether a Service is of the kind that can be guarded: it selects one Deployment's pods.
pub(super) fn is_switch(read: &Namespace, service: &Service) -> bool {
    selector(service).is_some_and(|selector| selected(read, selector).len() == 1)
}

/// The Deployments that a selector finds; those without pods only where no other is found.
fn selected<'a>(read: &'a Namespace, selector: &Labels) -> Vec<&'a Deployment> {
    let fits = |one: &&Deployment| {
        let labels = labels(one);
        labels.is_some_and(|has| selector.iter().all(|(key, value)| has.get(key) == Some(value)))
    };
    let all: Vec<&Deployment> = read.deployments.iter().filter(fits).collect();
    let wanted = |one: &&Deployment| one.spec.as_ref().and_then(|spec| spec.replicas) != Some(0);
    let standing: Vec<&Deployment> = all.iter().copied().filter(wanted).collect();
    if standing.is_empty() { all } else { standing }
}

fn selector(service: &Service) -> Option<&Labels> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    (!selector.is_empty()).then_some(selector)
}

fn labels(deployment: &Deployment) -> Option<&Labels> {
    deployment.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref()
}

/// `app=taskflow,version=blue`.
pub(super) fn said(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
