//! Asks an account for what a first policy of a cluster is drafted from. Whatever can't be had
//! but the services themselves is said, and left out.

mod front;
mod whose;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};

use super::{prometheus, targets};
use crate::aws::Account;
use crate::engine::clock;
use crate::model::{Ask, KnownAlarm, MetricAsk, Surveyed, Ticks, Unusable};
use crate::platform::ecs::{Ecs, Survey};
use crate::platform::{Balancers, Platform};
use crate::policy::{Before, DAYS, Drafted, Figure, Scene, Seen, draft, is_name, unnameable};
use crate::settings::{AccountsSettings, PrometheusSettings};
use crate::sources::{CloudWatch, Request};
use front::{About, about, before, groups_of};
use whose::{Arn, chosen};

/// Services of a cluster that are drafted for; the others are named.
const MOST_SERVICES: usize = 100;
/// Figures that are asked for together: what is asked at once has to be answered in seconds.
const AT_ONCE: usize = 120;
/// Clusters that are named where one is not found.
const MOST_NAMED: usize = 10;

/// What is drafted, and where.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A name or an ARN.
    pub cluster: String,
    pub target: Option<String>,
    pub environment: Option<String>,
    /// Only these; empty: all.
    pub services: Vec<String>,
}

/// What was found of a cluster.
pub struct Found {
    scene: Scene,
    services: Vec<Seen>,
    cloudwatch: CloudWatch,
    now: Timestamp,
    /// What people should know: what could not be had, what was left aside.
    pub remarks: Vec<String>,
}

impl Found {
    /// The policies, as far as things are known by now.
    pub fn drafts(&self) -> Vec<Drafted> {
        draft(&self.scene, &self.services)
    }

    /// How many services there are, and where, in words.
    pub fn told(&self) -> String {
        let count = self.services.len();
        let Scene { cluster, place, .. } = &self.scene;
        format!("{cluster} in {place}: {count} {}", if count == 1 { "service" } else { "services" })
    }

    fn asks(&self) -> impl Iterator<Item = (usize, Figure, MetricAsk, Ticks)> {
        self.services.iter().enumerate().flat_map(move |(place, one)| {
            Figure::all().into_iter().filter_map(move |figure| {
                let (ask, ticks) = figure.ask(&self.scene.cluster, one, self.now)?;
                Some((place, figure, ask, ticks))
            })
        })
    }

    /// The metrics that [`Found::measure`] asks for: what is billed.
    pub fn metrics(&self) -> usize {
        self.asks().map(|(.., ask, _)| ask.metric.stats().count()).sum()
    }

    /// Asks CloudWatch for the last days.
    pub async fn measure(&mut self) {
        let asks: Vec<_> = self.asks().collect();
        let request = |(.., ask, ticks): &(usize, Figure, MetricAsk, Ticks)| Request {
            ask: Ask::Metric(Box::new(ask.clone())),
            ticks: *ticks,
        };
        let requests: Vec<Request> = asks.iter().map(request).collect();
        let mut answers = Vec::with_capacity(requests.len());
        for part in requests.chunks(AT_ONCE) {
            answers.extend(self.cloudwatch.fetch(part).await);
        }
        let mut failures = BTreeSet::new();
        for ((place, figure, ..), fetched) in asks.into_iter().zip(answers) {
            let failed = fetched.failed.first().map(|(_, why)| why.clone());
            failures.extend(failed.as_ref().map(mend));
            let samples = fetched.tracks.into_iter().flat_map(|track| track.samples);
            let history = failed.map_or_else(|| Ok(samples.collect()), |why| Err(why.to_string()));
            if let Some(one) = self.services.get_mut(place) {
                one.measured.insert(figure, history);
            }
        }
        self.remarks.extend(failures);
    }
}

/// What to do where the last days could not be had.
fn mend(why: &Unusable) -> String {
    let mend = match why {
        Unusable::Unreachable(_) => "draft again a little later",
        Unusable::Empty
        | Unusable::NothingNew
        | Unusable::TooFew(_)
        | Unusable::NotFinite(_)
        | Unusable::WrongType
        | Unusable::Refused(_) => "allow cloudwatch:GetMetricData and draft again",
    };
    format!("{why}: limits are drafted without what was measured; {mend}")
}

/// Looks at a cluster.
///
/// # Errors
/// In words: which account is meant, that nobody lets us in, that the cluster is not there.
pub async fn look(settings: &AccountsSettings, wanted: &Wanted) -> anyhow::Result<Found> {
    let (arn, cluster) = Arn::of(&wanted.cluster)?;
    if let Some(name) = wanted.environment.as_ref().filter(|name| !is_environment(name)) {
        bail!("{name:?} is no name of an environment: `production`, `staging`");
    }
    // What is drafted is of an ECS cluster.
    let mut all = settings.targets();
    all.retain(|_, target| target.render.is_none());
    let (name, target) = chosen(&all, wanted.target.as_deref(), arn.as_ref())?;
    let account = targets::account(&name, &target).await;
    let Some(region) = account.region().map(str::to_owned) else {
        bail!(
            "no region: set AWS_REGION, or `aws: {{ region: ... }}` in deployguard.yaml, or name \
               the cluster by its ARN"
        );
    };
    let identity = account.identity().await.map_err(|fault| {
        // The SDK lists all that it has tried, line by line.
        let why = fault.words.lines().next().unwrap_or_default();
        let why = why.trim_end_matches(" Attempted:").trim_end_matches('.');
        let mend = fault.mend("set AWS_PROFILE, or log in with `aws sso login`");
        anyhow::anyhow!("{why}: {mend}")
    })?;
    if let Some(arn) = arn.filter(|arn| arn.account != identity.account || arn.region != region) {
        bail!(
            "the cluster is in {} of account {}, and the credentials are of {region} of account {}",
            arn.region,
            arn.account,
            identity.account
        );
    }
    let place = format!("{region} of account {}", identity.account);
    let ecs = Ecs::of(&account);
    let survey = match ecs.survey(&cluster, MOST_SERVICES).await {
        Ok(survey) => survey,
        Err(fault) if fault.is("ClusterNotFoundException") => {
            bail!("no cluster {cluster} in {place}{}", others(&ecs).await)
        }
        Err(fault) => return Err(anyhow::anyhow!(fault.words)).context(place),
    };
    let now = clock::now();
    let scene = Scene {
        target: (all.len() > 1).then(|| name.clone()),
        environment: wanted.environment.clone(),
        place,
        on: now.strftime("%Y-%m-%d").to_string(),
        has_others: false,
        exported: BTreeSet::new(),
        cluster,
    };
    let cloudwatch = CloudWatch::of(&account);
    let mut found = Found { scene, services: Vec::new(), cloudwatch, now, remarks: Vec::new() };
    let services = found.kept(survey, &wanted.services)?;
    found.see(&account, services).await;
    found.exporters(target.prometheus.as_ref()).await;
    Ok(found)
}

fn is_environment(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 100 && !text.chars().any(char::is_control)
}

impl Found {
    /// The services that are wanted, and that a policy can name.
    fn kept(&mut self, survey: Survey, wanted: &[String]) -> anyhow::Result<Vec<Surveyed>> {
        self.scene.has_others = !survey.unseen.is_empty();
        for (name, why) in survey.unseen {
            self.remarks.push(format!("{name} is left out: {why}"));
        }
        let (good, odd): (Vec<_>, Vec<_>) =
            survey.services.into_iter().partition(|one| is_name(&one.name));
        for one in odd {
            self.scene.has_others = true;
            self.remarks.push(format!("{:?} is left out: no policy can name it", one.name));
        }
        if let Some(name) = wanted.iter().find(|name| good.iter().all(|one| one.name != **name)) {
            let names: Vec<&str> = good.iter().map(|one| one.name.as_str()).collect();
            bail!("no service {name} in {}: there is {}", self.told_cluster(), names.join(", "));
        }
        let is_wanted = |one: &Surveyed| wanted.is_empty() || wanted.contains(&one.name);
        let (kept, aside): (Vec<_>, Vec<_>) = good.into_iter().partition(is_wanted);
        self.scene.has_others |= !aside.is_empty();
        if kept.is_empty() && self.scene.has_others {
            let first = self.remarks.first().map_or("", String::as_str);
            bail!("nothing to draft for in {}: {first}", self.told_cluster());
        }
        Ok(kept)
    }

    fn told_cluster(&self) -> String {
        format!("{} in {}", self.scene.cluster, self.scene.place)
    }

    /// Asks for load balancers and alarms.
    async fn see(&mut self, account: &Account, services: Vec<Surveyed>) {
        let groups: BTreeSet<String> = services.iter().flat_map(groups_of).collect();
        let groups: Vec<String> = groups.into_iter().collect();
        let balancers = Balancers::of(account).before(&groups).await;
        if let Err(fault) = &balancers {
            self.remarks.push(format!(
                "{}: no error rate and no latency are drafted; allow \
                 elasticloadbalancing:DescribeTargetGroups and draft again",
                fault.words
            ));
        }
        let alarms = self.alarms().await;
        let mut used = BTreeSet::new();
        for one in services {
            let (before, beside) = before(&one, &balancers);
            if let Before::Balancer { balancer, .. } = &before
                && !beside.is_empty()
            {
                self.remarks.push(format!(
                    "{}: error rate and latency are drafted of {balancer} alone; left out: {}",
                    one.name,
                    beside.join(", ")
                ));
            }
            if let Before::Unmeasured(why) = &before
                && balancers.is_ok()
            {
                self.remarks.push(format!("{}: no error rate and no latency: {why}", one.name));
            }
            let of = |wanted: About| {
                let fits = |alarm: &&KnownAlarm| {
                    about(alarm, &self.scene.cluster, &one, &before) == wanted
                };
                alarms.iter().filter(fits).cloned().collect::<Vec<KnownAlarm>>()
            };
            let (own, shared) = (of(About::It), of(About::OthersToo));
            used.extend(own.iter().chain(&shared).map(|alarm| alarm.name.clone()));
            let Surveyed { name, controller, .. } = one;
            let (alarms, shared_alarms) = (own, shared);
            let measured = BTreeMap::new();
            self.services.push(Seen {
                name,
                controller,
                before,
                beside,
                alarms,
                shared_alarms,
                measured,
            });
        }
        let unused = alarms.iter().filter(|alarm| !used.contains(&alarm.name)).count();
        if unused > 0 {
            self.remarks.push(format!(
                "alarms that name neither these services nor what is before them; left out: {unused}. \
                 `deployguard import cloudwatch-alarms` makes checks of what an alarm measures"
            ));
        }
    }

    /// The alarms that a policy can name.
    async fn alarms(&mut self) -> Vec<KnownAlarm> {
        let found = match self.cloudwatch.every_alarm().await {
            Ok((alarms, is_all)) => {
                if !is_all {
                    self.remarks.push(format!("only the first {} alarms were read", alarms.len()));
                }
                alarms
            }
            Err(fault) => {
                self.remarks.push(format!(
                    "{}: no alarms are drafted; allow cloudwatch:DescribeAlarms and draft again",
                    fault.words
                ));
                Vec::new()
            }
        };
        let mut kept = Vec::new();
        let mut scaling = 0;
        for alarm in found {
            if alarm.scales {
                scaling += 1;
            } else if let Some(why) = unnameable(&alarm.name) {
                self.remarks.push(format!("alarm {:?} is left out: {why}", alarm.name));
            } else {
                kept.push(alarm);
            }
        }
        if scaling > 0 {
            self.remarks.push(format!(
                "alarms that only scale services ring by day and night; left out: {scaling}"
            ));
        }
        kept
    }

    /// Asks the settings' Prometheus whose tasks it measures.
    async fn exporters(&mut self, settings: Option<&PrometheusSettings>) {
        let Some(settings) = settings else { return };
        let query = "count by (service) (ecs_task_memory_limit_bytes)";
        let source = match prometheus(settings) {
            Ok(source) => source,
            Err(error) => {
                self.remarks.push(format!("Prometheus: {error:#}"));
                return;
            }
        };
        let once = Ticks::once(self.now, SignedDuration::from_secs(1));
        let fetched = source.fetch(&Ask::Query(query.to_owned()), once).await;
        if let Some((_, why)) = fetched.failed.first() {
            self.remarks.push(format!("Prometheus was not asked for the tasks' numbers: {why}"));
        }
        let named = fetched.tracks.into_iter().filter_map(|mut one| one.labels.remove("service"));
        self.scene.exported = named.collect();
        if self.services.iter().any(|one| !self.scene.exported.contains(&one.name)) {
            self.remarks.push(
                "where Prometheus has no ecs_exporter of a service, CPU and memory are CloudWatch's"
                    .to_owned(),
            );
        }
    }
}

/// The clusters that are there, in words.
async fn others(ecs: &Ecs) -> String {
    match ecs.clusters().await {
        Ok(names) if names.is_empty() => ": there is none there".to_owned(),
        Ok(names) => {
            let more = if names.len() > MOST_NAMED { ", ..." } else { "" };
            let names: Vec<String> = names.into_iter().take(MOST_NAMED).collect();
            format!(": there is {}{more}", names.join(", "))
        }
        // It is only a help.
        Err(_) => String::new(),
    }
}

/// How far back it is looked, in words.
pub fn reach() -> String {
    format!("{DAYS} days")
}
