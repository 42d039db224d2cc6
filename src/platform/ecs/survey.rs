//! The services of a cluster as they stand: who deploys them, and what is before them.

use aws_sdk_ecs::types::{Service, TaskSet};

use super::Ecs;
use super::decode::deployer;
use super::look::BATCH;
use crate::aws::Fault;
use crate::model::{Front, ServiceKey, Surveyed};

/// The services of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub services: Vec<Surveyed>,
    /// Services that could not be looked at: their names, and why.
    pub unseen: Vec<(String, String)>,
}

impl Ecs {
    /// Looks at the first `most` services of a cluster, by name.
    ///
    /// # Errors
    /// The list can't be had, as where there is no such cluster.
    pub async fn survey(&self, cluster: &str, most: usize) -> Result<Survey, Fault> {
        let names: Vec<String> = self.names(cluster).await?.into_iter().collect();
        let mut survey = Survey::default();
        let (wanted, beyond) = names.split_at(names.len().min(most));
        for batch in wanted.chunks(BATCH) {
            let keys: Vec<ServiceKey> =
                batch.iter().map(|name| self.key(cluster, name.clone())).collect();
            match self.describe(&keys).await {
                Ok(described) => {
                    for (key, look) in described {
                        match look {
                            Ok(Some(service)) => survey.services.extend(surveyed(&service)),
                            // It was deleted in between.
                            Ok(None) => {}
                            Err(why) => survey.unseen.push((key.service, why.to_string())),
                        }
                    }
                }
                Err(fault) => {
                    let unseen = batch.iter().map(|name| (name.clone(), fault.words.clone()));
                    survey.unseen.extend(unseen);
                }
            }
        }
        let why = || format!("the cluster has {} services, and {most} are read", names.len());
        survey.unseen.extend(beyond.iter().map(|name| (name.clone(), why())));
        Ok(survey)
    }
}

/// `None`: it is being deleted.
fn surveyed(service: &Service) -> Option<Surveyed> {
    if service.status() == Some("INACTIVE") {
        return None;
    }
    let mut balancers = service.load_balancers().iter().collect::<Vec<_>>();
    if balancers.is_empty() {
        balancers.extend(service.task_sets().iter().flat_map(TaskSet::load_balancers));
    }
    let mut fronts: Vec<Front> = Vec::new();
    for one in balancers {
        let alternate = one.advanced_configuration();
        let alternate = alternate.and_then(|more| more.alternate_target_group_arn());
        let front = match (one.target_group_arn(), one.load_balancer_name()) {
            (Some(group), _) => {
                Front::Group { group: group.to_owned(), alternate: alternate.map(str::to_owned) }
            }
            (None, Some(name)) => Front::Classic(name.to_owned()),
            (None, None) => continue,
        };
        if !fronts.contains(&front) {
            fronts.push(front);
        }
    }
    let name = service.service_name()?.to_owned();
    Some(Surveyed { name, controller: deployer(service).into(), fronts })
}
