//! Task health: what ECS and the load balancer show of the tasks of a deployment, as a
//! source of measurements. No metric has to be set up for it.
//!
//! Asked are, once a deployment for all its checks: `ListTasks` and `DescribeTasks` of the
//! tasks that stopped (ECS forgets them after about an hour; the newest [`PAGES`] hundred are
//! looked at), `DescribeServices` for how many run, and `DescribeTargetHealth` of the
//! service's target groups. A call that is refused is the answer of its own checks alone:
//! without `elasticloadbalancing:DescribeTargetHealth` only the targets are not known.

mod decode;
mod logs;
pub(super) mod mask;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ecs::types::{DeploymentRolloutState, DesiredStatus, Service};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::asked::{Answered, Asking, Tally};
use super::plan::Request;
use super::track::{Fetched, Track};
use crate::aws::{Account, Fault};
use crate::model::{Ask, TASK_STOP, TaskGauge, TaskStop, TasksAsk, TasksOf, Unusable};

/// What it is called where requests are counted.
pub(super) const KIND: &str = "ecs_tasks";
/// How far back failures are counted.
const WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Pages of 100 stopped tasks.
const PAGES: usize = 2;
/// Stops that are passed on with their reasons, the newest.
const TOLD: usize = 20;
/// Target groups of a service that are asked about; ECS allows five.
const GROUPS: usize = 5;
/// For all calls about one deployment: other checks of the tick wait for them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deployments that are asked about at a time: below the API's sustained 20 calls a second.
const CONCURRENT: usize = 3;

/// The tasks of one account and region. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TaskHealth {
    ecs: aws_sdk_ecs::Client,
    balancers: aws_sdk_elasticloadbalancingv2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    turns: Arc<Semaphore>,
    tally: Tally,
}

/// A number with the stops behind it, or why there is none.
type Answer = Result<(f64, Vec<TaskStop>), Unusable>;

impl TaskHealth {
    /// The tasks of this account. Nothing is sent.
    pub fn of(account: &Account) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(account.config()),
            balancers: aws_sdk_elasticloadbalancingv2::Client::new(account.config()),
            logs: aws_sdk_cloudwatchlogs::Client::new(account.config()),
            turns: Arc::new(Semaphore::new(CONCURRENT)),
            tally: Tally::default(),
        }
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Answers the requests, in their order. Tasks have no past: only the last tick of each
    /// is answered.
    pub async fn fetch(&self, requests: &[Request]) -> Vec<Fetched> {
        let asks = requests.iter().filter_map(|request| asked(&request.ask));
        let mut wanted: BTreeMap<TasksOf, BTreeSet<TaskGauge>> = BTreeMap::new();
        for TasksAsk { gauge, of } in asks {
            if let Some(of) = of {
                wanted.entry(of.clone()).or_default().insert(*gauge);
            }
        }
        let now = requests.iter().filter_map(|one| one.ticks.times().last()).max();
        let now = now.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut answers: BTreeMap<(TasksOf, TaskGauge), Answer> = BTreeMap::new();
        let mut looks = JoinSet::new();
        for (of, gauges) in wanted {
            let own = self.clone();
            looks.spawn(async move {
                let look = async {
                    let first = own.tally.begin(KIND);
                    let _turn = own.turns.acquire().await;
                    own.look(&of, &gauges, now, first).await
                };
                let found = tokio::time::timeout(PATIENCE, look).await;
                let found = found.unwrap_or_else(|_| {
                    let why = format!("no answer about tasks within {} s", PATIENCE.as_secs());
                    let late = |gauge| (gauge, Err(Unusable::Unreachable(why.clone())));
                    gauges.iter().copied().map(late).collect()
                });
                (of, found)
            });
        }
        while let Some(joined) = looks.join_next().await {
            match joined {
                Ok((of, found)) => {
                    let found = found.into_iter();
                    answers.extend(found.map(|(gauge, one)| ((of.clone(), gauge), one)));
                }
                Err(error) => tracing::error!(%error, "a look at tasks ended without an answer"),
            }
        }
        let none =
            || Err(Unusable::Refused("no deployment is known that could have tasks".to_owned()));
        requests
            .iter()
            .map(|request| {
                let answer = asked(&request.ask)
                    .and_then(|ask| answers.get(&(ask.of.clone()?, ask.gauge)).cloned());
                fetched(request, answer.unwrap_or_else(none))
            })
            .collect()
    }

    /// `first`: the first request of the look, which has begun when its turn was waited for.
    async fn look(
        &self,
        of: &TasksOf,
        gauges: &BTreeSet<TaskGauge>,
        now: Timestamp,
        first: Asking,
    ) -> Vec<(TaskGauge, Answer)> {
        let (mut found, mut first) = (Vec::new(), Some(first));
        if gauges.contains(&TaskGauge::Failures) {
            let stops = self.stops(of, now, first.take()).await.map_err(unusable);
            found.push((TaskGauge::Failures, stops.map(counted)));
        }
        if gauges.iter().any(|gauge| *gauge != TaskGauge::Failures) {
            let service = self.service(of, first.take()).await;
            let share = |of_it: Result<f64, Unusable>| of_it.map(|share| (share, Vec::new()));
            if gauges.contains(&TaskGauge::Running) {
                let running = service.as_ref().map(|one| running(one, of)).map_err(Clone::clone);
                found.push((TaskGauge::Running, share(running)));
            }
            if gauges.contains(&TaskGauge::HealthyTargets) {
                let healthy = match &service {
                    Ok(service) if is_rolled_out(service, of) => {
                        self.healthy(service).await.map_err(unusable)
                    }
                    Ok(_) => Ok(1.0),
                    Err(why) => Err(why.clone()),
                };
                found.push((TaskGauge::HealthyTargets, share(healthy)));
            }
        }
        found
    }

    /// The tasks that came to harm lately, the newest first.
    async fn stops(
        &self,
        of: &TasksOf,
        now: Timestamp,
        mut first: Option<Asking>,
    ) -> Result<Vec<TaskStop>, Fault> {
        let (mut stops, mut token) = (Vec::new(), None);
        let since = now.checked_sub(WITHIN).unwrap_or(now);
        for _ in 0..PAGES {
            let asked = self.ecs.list_tasks().cluster(&of.service.cluster);
            let asked = asked.service_name(&of.service.service);
            let asked = asked.desired_status(DesiredStatus::Stopped).max_results(100);
            let asking = first.take().unwrap_or_else(|| self.tally.begin(KIND));
            let sent = asked
                .set_next_token(token.take())
                .send()
                .await
                .map_err(|e| Fault::of("ListTasks", &e));
            asking.ended(Answered::call(&sent));
            let page = sent?;
            token = page.next_token.filter(|token| !token.is_empty());
            let arns = page.task_arns.unwrap_or_default();
            if !arns.is_empty() {
                let asked = self.ecs.describe_tasks().cluster(&of.service.cluster);
                let asking = self.tally.begin(KIND);
                let sent = asked
                    .set_tasks(Some(arns))
                    .send()
                    .await
                    .map_err(|e| Fault::of("DescribeTasks", &e));
                asking.ended(Answered::call(&sent));
                let answer = sent?;
                let own = answer.tasks().iter().filter_map(|task| decode::stop(task, of));
                stops.extend(own.filter(|stop| stop.kind.is_harm() && stop.at >= since));
            }
            if token.is_none() {
                break;
            }
        }
        stops.sort_by(|one, other| other.cmp(one));
        Ok(stops)
    }

    async fn service(&self, of: &TasksOf, first: Option<Asking>) -> Result<Service, Unusable> {
        let asked = self.ecs.describe_services().cluster(&of.service.cluster);
        let asking = first.unwrap_or_else(|| self.tally.begin(KIND));
        let sent = asked
            .services(&of.service.service)
            .send()
            .await
            .map_err(|e| Fault::of("DescribeServices", &e));
        asking.ended(Answered::call(&sent));
        let answer = sent.map_err(unusable)?;
        let found = answer.services.unwrap_or_default().into_iter().next();
        found.ok_or_else(|| Unusable::Refused(format!("there is no service {}", of.service)))
    }

    async fn healthy(&self, service: &Service) -> Result<f64, Fault> {
        let groups: BTreeSet<&str> =
            service.load_balancers().iter().filter_map(|one| one.target_group_arn()).collect();
        let (mut healthy, mut unhealthy) = (0_u32, 0_u32);
        for group in groups.into_iter().take(GROUPS) {
            let asking = self.tally.begin(KIND);
            let sent = self
                .balancers
                .describe_target_health()
                .target_group_arn(group)
                .send()
                .await
                .map_err(|e| Fault::of("DescribeTargetHealth", &e));
            asking.ended(Answered::call(&sent));
            let answer = sent?;
            for target in answer.target_health_descriptions() {
                match target.target_health().and_then(|health| health.state()) {
                    Some(TargetHealthStateEnum::Healthy) => healthy += 1,
                    Some(TargetHealthStateEnum::Unhealthy) => unhealthy += 1,
                    // It comes, it goes, or nobody asks it.
                    Some(_) | None => {}
                }
            }
        }
        Ok(share(healthy, healthy.saturating_add(unhealthy)))
    }
}

fn asked(ask: &Ask) -> Option<&TasksAsk> {
    match ask {
        Ask::Tasks(asked) => Some(asked),
        Ask::Query(_)
        | Ask::Counter(_)
        | Ask::Metric(_)
        | Ask::Alarms(_)
        | Ask::Health(_)
        | Ask::Json(_)
        | Ask::Logs(_)
        | Ask::Probe(_)
        | Ask::Beat(_)
        | Ask::Scraped(_) => None,
    }
}

fn counted(stops: Vec<TaskStop>) -> (f64, Vec<TaskStop>) {
    let count = f64::from(u32::try_from(stops.len()).unwrap_or(u32::MAX));
    (count, stops.into_iter().take(TOLD).collect())
}

fn unusable(fault: Fault) -> Unusable {
    if fault.is_transient() {
        Unusable::Unreachable(fault.words)
    } else {
        Unusable::Refused(fault.words)
    }
}

/// As a series of one sample, and one without samples for each stop.
fn fetched(request: &Request, answer: Answer) -> Fetched {
    let Some(last) = request.ticks.count.checked_sub(1) else { return Fetched::default() };
    let (value, stops) = match answer {
        Ok(answer) => answer,
        Err(why) => return Fetched::failed(request.ticks, why),
    };
    let told = stops.iter().filter_map(|stop| serde_json::to_string(stop).ok());
    let told = told.map(|stop| Track {
        labels: BTreeMap::from([(TASK_STOP.to_owned(), stop)]),
        samples: Vec::new(),
    });
    let number =
        Track { labels: BTreeMap::new(), samples: vec![(request.ticks.at_ms(last), value)] };
    let past = Unusable::Refused("tasks have no past".to_owned());
    let failed = (last > 0).then_some((0..last, past));
    Fetched { tracks: [number].into_iter().chain(told).collect(), failed: Vec::from_iter(failed) }
}

/// Whether the deployment or task set is as it was meant to be.
fn is_rolled_out(service: &Service, of: &TasksOf) -> bool {
    let own = service.deployments().iter().find(|one| one.id() == Some(&of.deployment));
    let set = service.task_sets().iter().find(|one| one.id() == Some(&of.deployment));
    match (own, set) {
        // One without a state, as behind a Classic Load Balancer, is judged by being alone.
        (Some(own), _) => match own.rollout_state() {
            Some(state) => *state == DeploymentRolloutState::Completed,
            None => service.deployments().len() == 1,
        },
        (None, Some(_)) => service.task_sets().len() == 1,
        (None, None) => false,
    }
}

/// The share of the desired tasks that run.
fn running(service: &Service, of: &TasksOf) -> f64 {
    if !is_rolled_out(service, of) {
        return 1.0;
    }
    let count = |count: i32| u32::try_from(count).unwrap_or(0);
    let own = service.deployments().iter().find(|one| one.id() == Some(&of.deployment));
    let set = service.task_sets().iter().find(|one| one.id() == Some(&of.deployment));
    match (own, set) {
        (Some(one), _) => share(count(one.running_count()), count(one.desired_count())),
        (None, Some(one)) => share(count(one.running_count()), count(one.computed_desired_count())),
        (None, None) => 1.0,
    }
}

/// At most 1; 1 of none.
fn share(part: u32, of: u32) -> f64 {
    if of == 0 { 1.0 } else { f64::from(part.min(of)) / f64::from(of) }
}
