//! The clients of every account and region, and of every cluster elsewhere: each has its own, with its own credentials and
//! throttles.

use std::collections::BTreeMap;

use super::called::endpoints;
use super::{pages_of, prometheus, sources_of, sources_off_aws, web_of};
use crate::aws::{Account, AccountSettings, Role};
use crate::commands::Commands;
use crate::engine::{Place, PlaceOf};
use crate::platform::ecs::Ecs;
use crate::platform::kubernetes::{Access, Kubernetes};
use crate::platform::render::{Render, Workspace};
use crate::platform::{Accounts, Actuators, Host};
use crate::settings::{KubernetesSettings, RenderSettings, Secret, Settings, TargetSettings};
use crate::sources::{Pages, Prometheus, Sources};
use crate::triggers::render::Workspace as Posting;
use crate::triggers::sqs::Queue;

/// What there is of all of them.
pub(super) struct Targets {
    pub platform: Accounts,
    pub sources: BTreeMap<String, Sources>,
    /// Each Prometheus once, by what people know it as.
    pub felt: Vec<(String, Prometheus)>,
    /// Pages of metrics, which all targets share.
    pub pages: Option<Pages>,
    /// Each queue, and whose events it may bring.
    pub queues: Vec<(Queue, Place)>,
    pub place: Place,
    /// Those of the settings; their bounds are for all targets together.
    pub commands: Commands,
}

/// The account of one target. Nothing is sent.
pub(super) async fn account(name: &str, target: &TargetSettings) -> Account {
    let external_id = target.external_id.as_ref().map(Secret::expose).map(str::to_owned);
    let role = target.role_arn.clone().map(|arn| Role { arn, external_id });
    Account::connect(AccountSettings {
        target: name.to_owned(),
        region: target.region.clone(),
        endpoint: target.endpoint_url.clone(),
        credentials: None,
        role,
    })
    .await
}

/// A workspace of Render. Nothing is sent.
pub(super) fn render(name: &str, settings: &RenderSettings) -> anyhow::Result<Render> {
    Render::connect(Workspace {
        target: name.to_owned(),
        name: settings.workspace.clone(),
        url: settings.url.clone(),
        api_key: settings.api_key.expose().to_owned(),
        owner: settings.owner.clone(),
        groups: settings.groups.clone(),
    })
    .map_err(|why| anyhow::anyhow!("targets.{name}.render: {why}"))
}

/// The workspaces of Render whose webhook may post here.
pub(super) fn workspaces(settings: &Settings) -> anyhow::Result<Vec<Posting>> {
    let posting = settings.targets.iter().filter_map(|(name, target)| {
        let render = target.render.as_ref()?;
        let secret = render.webhook_secret.as_ref()?;
        Some(Posting::new(name, &render.workspace, &render.groups, secret.expose()))
    });
    posting.collect::<Result<_, _>>().map_err(|why| anyhow::anyhow!(why))
}

/// The cluster of one target. Nothing is sent to it.
pub(super) async fn cluster(
    name: &str,
    settings: &KubernetesSettings,
) -> Result<Kubernetes, String> {
    let KubernetesSettings { context, kubeconfig, in_cluster } = settings.clone();
    Kubernetes::connect(name, &Access { kubeconfig, context, in_cluster }).await
}

/// The account that the daemon itself is in.
pub(super) async fn own_account(settings: &Settings) -> Account {
    let region = settings.aws.region.clone();
    account("", &TargetSettings { region, ..TargetSettings::default() }).await
}

impl Targets {
    pub(super) async fn connect(settings: &Settings) -> anyhow::Result<Self> {
        let web = web_of(settings.outbound.as_ref(), &settings.secrets)?;
        let commands = crate::settings::commands(&settings.commands)?;
        let pages = pages_of(settings.outbound.as_ref(), &settings.secrets)?;
        let shared = settings.prometheus.as_ref().map(prometheus).transpose()?;
        let mut felt: Vec<(String, Prometheus)> =
            shared.iter().map(|shared| ("Prometheus".to_owned(), shared.clone())).collect();
        let (mut hosts, mut sources) = (Vec::<(String, Host)>::new(), BTreeMap::new());
        let (mut queues, mut place) = (Vec::new(), Place::default());
        for (name, target) in settings.targets() {
            let own = settings.targets.get(&name).and_then(|one| one.prometheus.as_ref());
            let asked = match own.map(prometheus).transpose()? {
                Some(own) => {
                    felt.push((format!("Prometheus of {name}"), own.clone()));
                    Some(own)
                }
                None => shared.clone(),
            };
            let of_web = (web.clone(), pages.clone());
            let elsewhere: Option<Host> = match (&target.kubernetes, &target.render) {
                (Some(kubernetes), _) => {
                    Some(cluster(&name, kubernetes).await.map_err(anyhow::Error::msg)?.into())
                }
                (None, Some(settings)) => Some(render(&name, settings)?.into()),
                (None, None) => None,
            };
            if let Some(host) = elsewhere {
                let of_it = sources_off_aws(asked, of_web, commands.clone());
                sources.insert(name.clone(), of_it);
                place.elsewhere.push(name.clone());
                hosts.push((name, host));
                continue;
            }
            let account = account(&name, &target).await;
            if account.region().is_none() {
                tracing::warn!("target {name}: {}", crate::aws::NO_REGION);
            }
            sources.insert(name.clone(), sources_of(&account, asked, of_web, commands.clone()));
            if let Some(sqs) = &target.sqs {
                queues.push((Queue::of(&account, &sqs.queue), name.clone()));
            }
            place.targets.push(PlaceOf {
                target: name.clone(),
                region: account.region().map(str::to_owned),
                account: target.account().map(str::to_owned),
            });
            hosts.push((name, Ecs::of(&account).into()));
        }
        let mut queues: Vec<_> =
            queues.into_iter().map(|(queue, target)| (queue, place.only(&target))).collect();
        if let Some(sqs) = &settings.discover.sqs {
            let own = own_account(settings).await;
            queues.push((Queue::of(&own, &sqs.queue), place.clone()));
        }
        let actuators = Actuators::new(commands.clone(), endpoints(settings)?);
        let platform = hosts.into_iter().collect::<Accounts>().with(actuators);
        Ok(Self { platform, sources, felt, pages, queues, place, commands })
    }
}
