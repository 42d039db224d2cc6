//! What ECS remembers of its roll-outs: service deployments and service
//! revisions. All of it is best effort: a missing permission or an API that does
//! not offer it leaves the guard with less to say, and never fails a look.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::types::{Service, ServiceDeployment, ServiceRevision};
use jiff::{SignedDuration, Timestamp};

use super::cache::Cache;
use super::decode::{Deployer, deployer};
use super::flight::{self, Flight};
use crate::aws::{Fault, Kind};
use crate::model::{Revision, ServiceKey};

/// The most ARNs that one Describe call takes.
const BATCH: usize = 20;
/// How long the history is left alone after AWS refused it: permissions change.
const REST: SignedDuration = SignedDuration::from_mins(10);
const REMEMBERED: usize = 4096;
/// What `ListServiceDeployments` says of a service that has no history.
const NOT_THIS_SERVICE: [&str; 4] = [
    "ServiceNotFoundException",
    "ClusterNotFoundException",
    "InvalidParameterException",
    "ClientException",
];

/// Reads the history and remembers of it what can't change any more.
pub(super) struct History {
    client: Client,
    /// By ARN: revisions whose digests are all resolved.
    revisions: Cache<String, Revision>,
    /// By ARN: service deployments that are over.
    settled: Cache<String, Flight>,
    /// The ARN of the newest service deployment, by the PRIMARY deployment that
    /// was there when it was looked for.
    newest: Cache<String, Option<String>>,
    resting: Mutex<Option<Timestamp>>,
}

impl History {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            revisions: Cache::of_at_most(REMEMBERED),
            settled: Cache::of_at_most(REMEMBERED),
            newest: Cache::of_at_most(REMEMBERED),
            resting: Mutex::default(),
        }
    }

    /// The service deployments behind `services`, in their order.
    pub(super) async fn flights(
        &self,
        services: &[(&ServiceKey, &Service)],
        now: Timestamp,
    ) -> Vec<Option<Flight>> {
        if self.rests(now) {
            return vec![None; services.len()];
        }
        match self.read(services).await {
            Ok(flights) => flights,
            Err(fault) => {
                self.note(&fault, now);
                vec![None; services.len()]
            }
        }
    }

    /// The service deployment behind one service, as it is now.
    pub(super) async fn flight(&self, key: &ServiceKey, service: &Service) -> Option<Flight> {
        match self.read(&[(key, service)]).await {
            Ok(flights) => flights.into_iter().next().flatten(),
            Err(fault) => {
                tracing::debug!(service = %key, fault = fault.words, "ECS's history is not read");
                None
            }
        }
    }

    /// The service revisions behind `arns`, as far as ECS still has them.
    pub(super) async fn describe_revisions(
        &self,
        arns: &[String],
    ) -> Result<Vec<ServiceRevision>, Fault> {
        let mut found = Vec::new();
        for batch in arns.chunks(BATCH) {
            let asked = self.client.describe_service_revisions();
            let sent = asked.set_service_revision_arns(Some(batch.to_vec())).send().await;
            let answer = sent.map_err(|e| Fault::of("DescribeServiceRevisions", &e))?;
            found.extend(answer.service_revisions.unwrap_or_default());
        }
        Ok(found)
    }

    async fn read(
        &self,
        services: &[(&ServiceKey, &Service)],
    ) -> Result<Vec<Option<Flight>>, Fault> {
        let mut arns = Vec::with_capacity(services.len());
        for (key, service) in services {
            arns.push(match service.current_service_deployment() {
                Some(current) => Some(current.to_owned()),
                None => self.newest(key, service).await?,
            });
        }
        let mut unread: Vec<String> = arns.iter().flatten().cloned().collect();
        unread.sort();
        unread.dedup();
        unread.retain(|arn| self.settled.get(arn).is_none());
        let fresh = self.describe(&unread).await?;
        let pick = |arn: &String| fresh.get(arn).cloned().or_else(|| self.settled.get(arn));
        Ok(arns.iter().map(|arn| arn.as_ref().and_then(pick)).collect())
    }

    /// The newest service deployment of a service that names none as current:
    /// asked once for each PRIMARY deployment, and again only while that is
    /// still rolling out without one. Other controllers than ECS's have none.
    async fn newest(&self, key: &ServiceKey, service: &Service) -> Result<Option<String>, Fault> {
        let primary = service.deployments().iter().find(|one| one.status() == Some("PRIMARY"));
        let (Some(primary), Deployer::Ecs) = (primary, deployer(service)) else {
            return Ok(None);
        };
        let Some(id) = primary.id() else { return Ok(None) };
        if let Some(known) = self.newest.get(id) {
            return Ok(known);
        }
        let asked = self.client.list_service_deployments().cluster(&key.cluster);
        let sent = asked.service(&key.service).max_results(100).send().await;
        let answer = match sent.map_err(|e| Fault::of("ListServiceDeployments", &e)) {
            Ok(answer) => answer,
            // About this service alone: the others' history is still to be had.
            Err(fault) if NOT_THIS_SERVICE.iter().any(|code| fault.is(code)) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let newest = answer
            .service_deployments()
            .iter()
            .max_by_key(|one| one.created_at().map(|at| (at.secs(), at.subsec_nanos())))
            .and_then(|one| one.service_deployment_arn())
            .map(str::to_owned);
        let completed = primary.rollout_state().is_some_and(|state| state.as_str() == "COMPLETED");
        if completed {
            self.newest.put(id.to_owned(), newest.clone());
        }
        Ok(newest)
    }

    async fn describe(&self, arns: &[String]) -> Result<HashMap<String, Flight>, Fault> {
        let mut found: Vec<ServiceDeployment> = Vec::new();
        for batch in arns.chunks(BATCH) {
            let asked = self.client.describe_service_deployments();
            let sent = asked.set_service_deployment_arns(Some(batch.to_vec())).send().await;
            let answer = sent.map_err(|e| Fault::of("DescribeServiceDeployments", &e))?;
            found.extend(answer.service_deployments.unwrap_or_default());
        }
        let revisions = self.revisions(&found).await?;
        let flights: HashMap<_, _> = found
            .iter()
            .filter_map(|one| Flight::of(one, &revisions))
            .map(|flight| (flight.arn.clone(), flight))
            .collect();
        for flight in flights.values().filter(|flight| flight.is_settled()) {
            self.settled.put(flight.arn.clone(), flight.clone());
        }
        Ok(flights)
    }

    /// The revisions that `found` names, by ARN.
    async fn revisions(
        &self,
        found: &[ServiceDeployment],
    ) -> Result<HashMap<String, Revision>, Fault> {
        let named: HashSet<&str> = found.iter().flat_map(named_revisions).collect();
        let (mut known, mut unread) = (HashMap::new(), Vec::new());
        for arn in named {
            match self.revisions.get(arn) {
                Some(revision) => drop(known.insert(arn.to_owned(), revision)),
                None => unread.push(arn.to_owned()),
            }
        }
        for described in self.describe_revisions(&unread).await? {
            let (Some(arn), Some((revision, complete))) =
                (described.service_revision_arn(), flight::revision(&described))
            else {
                continue;
            };
            if complete {
                self.revisions.put(arn.to_owned(), revision.clone());
            }
            known.insert(arn.to_owned(), revision);
        }
        Ok(known)
    }

    fn rests(&self, now: Timestamp) -> bool {
        let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.is_some_and(|since| now.duration_since(since) < REST)
    }

    fn note(&self, fault: &Fault, now: Timestamp) {
        if fault.kind == Kind::Refused {
            *self.resting.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        tracing::debug!(fault = fault.words, "ECS's history is not read");
    }
}

fn named_revisions(one: &ServiceDeployment) -> impl Iterator<Item = &str> {
    let sources = one.source_service_revisions().iter().filter_map(|source| source.arn());
    let target = one.target_service_revision().and_then(|target| target.arn());
    let back = one.rollback().and_then(|back| back.service_revision_arn());
    sources.chain(target).chain(back)
}
