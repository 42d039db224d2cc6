//! Puts the daemon together: the only place that constructs adapters.

mod advertise;
mod beats;
mod called;
pub mod doctor;
pub mod draft;
mod lead;
mod press;
mod targets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aws::{Account, AccountSettings};
use crate::commands::Commands;
use crate::engine::{Foresight, Helm, Status, clock, feel_forever, hints};
use crate::notify::elsewhere::Elsewhere;
use crate::notify::slack::Slack;
use crate::policy::Diagnostic;
use crate::policy_repo::{Loaded, PolicyRepo, Reload};
use crate::settings::{OutboundSettings, PolicySecret, PrometheusSettings, Settings, way_out};
pub use crate::sources::prometheus::Prometheus;
use crate::sources::{CloudWatch, Logs, Pages, Prober, Sources, TaskHealth, Web};
use crate::store::Store;
use crate::telemetry::{Metrics, Traces};
use crate::triggers::render::Workspace;
use crate::triggers::slack::{Buttons, Door};
use crate::triggers::sns::Sns;
use crate::web::{self, Face, Tokens};
use lead::{Leader, Stops, fleet_brake};
use targets::Targets;

/// The metric source of the settings; nothing is sent.
pub fn prometheus(settings: &PrometheusSettings) -> anyhow::Result<Prometheus> {
    let PrometheusSettings { url, timeout, max_concurrent, query_offset: _ } = settings;
    Ok(Prometheus::connect(url, timeout.std(), *max_concurrent)?)
}

/// What may be asked of the web; `None`: the settings allow nothing. Nothing is sent.
///
/// # Errors
/// What is wrong in the settings.
pub fn web_of(
    outbound: Option<&OutboundSettings>,
    secrets: &BTreeMap<String, PolicySecret>,
) -> anyhow::Result<Option<Web>> {
    Ok(way_out(outbound, secrets)?.map(Web::of))
}

/// Pages of metrics by the same way out.
///
/// # Errors
/// What is wrong in the settings.
pub fn pages_of(
    outbound: Option<&OutboundSettings>,
    secrets: &BTreeMap<String, PolicySecret>,
) -> anyhow::Result<Option<Pages>> {
    Ok(way_out(outbound, secrets)?.as_ref().map(Pages::of))
}

/// What can be asked wherever services run.
fn sources_off_aws(
    prometheus: Option<Prometheus>,
    (web, pages): (Option<Web>, Option<Pages>),
    commands: Commands,
) -> Sources {
    let prober = Some(Prober::of(commands, web.as_ref().map(Web::way)));
    Sources { prometheus, web, prober, pages, ..Sources::default() }
}

/// What can be asked about the services of an account.
fn sources_of(
    account: &Account,
    prometheus: Option<Prometheus>,
    (web, pages): (Option<Web>, Option<Pages>),
    commands: Commands,
) -> Sources {
    Sources {
        cloudwatch: Some(CloudWatch::of(account)),
        tasks: Some(TaskHealth::of(account)),
        logs: Some(Logs::of(account)),
        ..sources_off_aws(prometheus, (web, pages), commands)
    }
}

/// Everything that the daemon talks to.
struct Adapters {
    store: Store,
    targets: Targets,
    slack: Option<Arc<Slack>>,
    elsewhere: Arc<Elsewhere>,
    sns: Option<Arc<Sns>>,
    /// Whose events Render posts.
    workspaces: Arc<Vec<Workspace>>,
    /// `None`: nobody may press, or there is no way in.
    buttons: Option<Arc<Buttons>>,
    /// `None`: no presses come by Socket Mode.
    door: Option<Arc<Door>>,
}

impl Adapters {
    async fn connect(settings: &Settings) -> anyhow::Result<Adapters> {
        let store = Store::open(&settings.store.expose()?)
            .await
            .map_err(|why| anyhow::anyhow!("{} can't be opened: {why}", settings.store))?;
        let mut targets = Box::pin(Targets::connect(settings)).await?;
        for sources in targets.sources.values_mut() {
            sources.beats = Some(beats::of(&store));
        }
        let slack = settings
            .slack
            .as_ref()
            .map(|slack| {
                let connected = Slack::connect(&slack.api_url, slack.token.expose())?;
                anyhow::Ok(Arc::new(connected.with_buttons(slack.takes_presses())))
            })
            .transpose()?;
        let buttons = press::buttons(settings).map_err(|why| anyhow::anyhow!(why))?;
        let door = press::door(settings).map_err(|why| anyhow::anyhow!(why))?;
        if slack.is_none() {
            tracing::warn!("no slack in the settings: what is said is only logged");
        }
        let sns =
            settings.discover.sns.as_ref().map(|sns| Sns::new(sns.topics.clone(), sns_stand_in()));
        let sns = sns.transpose().map_err(|why| anyhow::anyhow!("SNS: {why}"))?.map(Arc::new);
        let elsewhere = Arc::new(called::connect(settings)?);
        let workspaces = Arc::new(targets::workspaces(settings)?);
        Ok(Adapters { store, targets, slack, elsewhere, sns, workspaces, buttons, door })
    }
}

/// Where a test build finds what is at SNS's hosts; nowhere else in any other.
fn sns_stand_in() -> Option<String> {
    if cfg!(feature = "failpoints") { std::env::var("DEPLOYGUARD_TEST_SNS").ok() } else { None }
}

/// A Prometheus for a command that is no daemon.
///
/// # Errors
/// Why the address is no use, in words.
pub fn prometheus_at(
    url: &str,
    timeout: Duration,
    concurrent: usize,
) -> Result<Prometheus, String> {
    Prometheus::connect(url, timeout, concurrent).map_err(|error| error.to_string())
}

/// CloudWatch and its logs for a command that is no daemon, with the credentials and, where `region` says
/// nothing, the region of the environment. `None`: neither says one.
pub async fn cloudwatch(region: Option<String>) -> Option<(CloudWatch, Logs)> {
    let settings = AccountSettings { region, ..AccountSettings::default() };
    let account = Account::connect(settings).await;
    account.region().is_some().then(|| (CloudWatch::of(&account), Logs::of(&account)))
}

/// What was read; nothing where it has mistakes and there are open watches: they carry their
/// policies with them, and are not left alone because a new one is broken.
async fn loaded(
    repo: &PolicyRepo,
    read: &Result<Loaded, Vec<Diagnostic>>,
    store: &Store,
) -> anyhow::Result<Loaded> {
    let mistakes = match read {
        Ok(loaded) => return Ok(loaded.clone()),
        Err(mistakes) => mistakes,
    };
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let words = format!("the policies have mistakes:\n{}", lines.join("\n"));
    anyhow::ensure!(store.has_open_watches().await?, words);
    tracing::error!("{words}\nonly the open watches are guarded until they are mended");
    Ok(repo.unread(mistakes))
}

/// Runs the daemon until `stop`; then drains, and loses nothing.
pub async fn serve(
    settings: Settings,
    traces: Traces,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for words in &settings.taken {
        tracing::info!("{words}");
    }
    let repo = PolicyRepo::open(&settings.policies);
    let adapters = Box::pin(Adapters::connect(&settings)).await?;
    let read = repo.load();
    let loaded = loaded(&repo, &read, &adapters.store).await?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("{} can't be listened on", settings.listen))?;
    let address = listener.local_addr()?;
    let relay = web::relay()?;
    let (hints, hinted) = hints(adapters.targets.place.names());
    let hinted = hinted.into_iter().map(|(name, end)| (name, Arc::new(Mutex::new(end))));
    let metrics = metrics(&settings, &adapters, read.is_ok())?;
    let helm = Helm::default();
    let leader = Leader {
        url: advertise::url(settings.advertise.as_ref(), address, &relay).await,
        policies: watch::Sender::new(Arc::new(loaded)),
        metrics: Arc::new(metrics),
        traces: traces.clone(),
        status: Arc::new(Status::default()),
        presses: press::presses(&helm, &adapters),
        helm,
        hints: hints.clone(),
        hinted: hinted.collect(),
        settings,
        adapters,
    };
    let face = Face {
        engine: leader.helm.handle(),
        store: leader.adapters.store.clone(),
        policies: leader.policies.subscribe(),
        status: leader.status.clone(),
        metrics: leader.metrics.clone(),
        traces,
        tokens: Arc::new(Tokens::of(&leader.settings)?),
        hints,
        sns: leader.adapters.sns.clone(),
        github: called::hook(&leader.settings)?.map(Arc::new),
        workspaces: leader.adapters.workspaces.clone(),
        presses: leader.presses.clone(),
        brake: fleet_brake(&leader.settings),
        place: leader.adapters.targets.place.clone(),
        foresight: Foresight::new(leader.adapters.targets.platform.clone()),
        live: web::Live::default(),
        address,
        relay,
        vouched: Arc::new(web::Used::since(clock::now())),
        secret: Arc::default(),
        url: leader.url.clone(),
        pages: Arc::default(),
    };
    tracing::info!(%address, advertised = leader.url, pid = std::process::id(), "listening");
    let feeling = TaskTracker::new();
    for (name, prometheus) in leader.adapters.targets.felt.clone() {
        let told = (leader.status.clone(), leader.metrics.clone());
        feeling.spawn(feel_forever(name, prometheus, told, stop.clone()));
    }
    feeling.close();
    let reloads = repo.watch(read.as_ref().ok());
    run(leader, reloads, listener, face, feeling, stop).await
}

/// The metrics, with what these settings may count as 0, and with the first reading of the
/// policies: `is_read`, whether it was one.
fn metrics(settings: &Settings, adapters: &Adapters, is_read: bool) -> anyhow::Result<Metrics> {
    let metrics = Metrics::new()?;
    metrics.policies_read(is_read);
    let sources = adapters.targets.sources.values();
    sources.flat_map(Sources::kinds).for_each(|kind| metrics.may_ask(kind));
    let of_aws = settings.targets().into_iter().filter(|(_, target)| target.render.is_none());
    of_aws.for_each(|(target, _)| metrics.may_ask_cloudwatch(&target));
    let paths = [
        (!adapters.targets.queues.is_empty(), "sqs"),
        (adapters.sns.is_some(), "sns"),
        (!adapters.workspaces.is_empty(), "render"),
    ];
    paths.into_iter().filter(|(is, _)| *is).for_each(|(_, path)| metrics.may_hear(path));
    Ok(metrics)
}

/// Runs until `stop`. Requests end first, then what is around the engine, then
/// the engine, so that everything that still comes in is kept; then the lead is
/// given back.
async fn run(
    leader: Leader,
    reloads: mpsc::Receiver<Reload>,
    listener: TcpListener,
    face: Face,
    feeling: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let stops = Stops { begun: stop.clone(), served: CancellationToken::new() };
    let commands = leader.adapters.targets.commands.clone();
    let mut leading = tokio::spawn(leader.run(reloads, stops.clone()));
    let serving = tokio::spawn(web::serve(listener, face, stop.clone()));
    // Without its engine the daemon guards nothing, and must not look alive.
    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut leading => {
            stop.cancel();
            ended??;
            anyhow::bail!("the engine has ended by itself");
        }
    }
    tracing::info!("stopping");
    // Nobody waits for a smoke test to end; a rollback has the time that the engine gives it.
    commands.close_probes();
    serving.await??;
    feeling.wait().await;
    stops.served.cancel();
    let led = leading.await;
    commands.close().await;
    led?
}
