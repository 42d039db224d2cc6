//! Puts the daemon together: the only place that constructs adapters.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aws::{Account, AccountSettings};
use crate::engine::{
    self, Ear, Engine, FleetBrake, Foresight, Parts, Place, PollSettings, Status, deliver_forever,
    feel_forever, hear_forever, poll_forever,
};
use crate::notify::slack::Slack;
use crate::platform::ecs::Ecs;
use crate::policy_repo::{PolicyRepo, Reload};
use crate::settings::{PrometheusSettings, Settings};
pub use crate::sources::prometheus::Prometheus;
use crate::sources::{CloudWatch, Sources};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::triggers::sns::Sns;
use crate::triggers::sqs::Queue;
use crate::web::{self, Face, Tokens};

/// The metric source of the settings; nothing is sent.
pub fn prometheus(settings: &PrometheusSettings) -> anyhow::Result<Prometheus> {
    let PrometheusSettings { url, timeout, max_concurrent, query_offset: _ } = settings;
    Ok(Prometheus::connect(url, timeout.std(), *max_concurrent)?)
}

/// Everything that the daemon talks to.
struct Adapters {
    store: Store,
    platform: Arc<Ecs>,
    sources: Sources,
    slack: Option<Arc<Slack>>,
    queue: Option<Queue>,
    sns: Option<Arc<Sns>>,
    /// Of the account, where it is known.
    region: Option<String>,
}

impl Adapters {
    async fn connect(settings: &Settings) -> anyhow::Result<Adapters> {
        let store = Store::open(&settings.store)
            .await
            .map_err(|why| anyhow::anyhow!("{} can't be opened: {why}", settings.store))?;
        let account = Account::connect(AccountSettings {
            target: settings.target(),
            region: settings.aws.region.clone(),
            ..AccountSettings::default()
        })
        .await;
        let sources = Sources {
            prometheus: settings.prometheus.as_ref().map(prometheus).transpose()?,
            cloudwatch: Some(CloudWatch::of(&account)),
        };
        let slack = settings
            .slack
            .as_ref()
            .map(|slack| Slack::connect(&slack.api_url, slack.token.expose()).map(Arc::new))
            .transpose()?;
        if slack.is_none() {
            tracing::warn!("no slack in the settings: what is said is only logged");
        }
        let discover = &settings.discover;
        let queue = discover.sqs.as_ref().map(|sqs| Queue::of(&account, &sqs.queue));
        let sns = discover.sns.as_ref().map(|sns| Sns::new(sns.topics.clone(), sns_stand_in()));
        let sns = sns.transpose().map_err(|why| anyhow::anyhow!("SNS: {why}"))?.map(Arc::new);
        Ok(Adapters {
            store,
            platform: Arc::new(Ecs::of(&account)),
            sources,
            slack,
            queue,
            sns,
            region: account.region().map(str::to_owned),
        })
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

/// Runs the daemon until `stop`; then drains, and loses nothing.
pub async fn serve(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let repo = PolicyRepo::open(&settings.policies);
    let adapters = Adapters::connect(&settings).await?;
    let read = repo.load();
    let loaded = match &read {
        Ok(loaded) => loaded.clone(),
        Err(mistakes) => {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            let mistakes = format!("the policies have mistakes:\n{}", lines.join("\n"));
            // Watches carry their policies with them: they are not left alone
            // because a new one is broken.
            anyhow::ensure!(adapters.store.has_open_watches().await?, mistakes);
            tracing::error!("{mistakes}\nonly the open watches are guarded until they are mended");
            repo.nothing()
        }
    };
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.with_context(|| format!("{} can't be listened on", settings.listen))?;
    let parts = Parts {
        store: adapters.store.clone(),
        platform: adapters.platform.clone(),
        sources: [(settings.target(), adapters.sources.clone())].into(),
        query_offset: settings.prometheus.as_ref().and_then(|one| one.query_offset),
        policies: Arc::new(loaded.clone()),
        brake: FleetBrake { rollbacks: settings.brake.rollbacks, within: settings.brake.within.0 },
        clusters: settings.discover.ecs.clusters.clone(),
        metrics: Arc::new(Metrics::new()?),
        status: Arc::default(),
        mail: Arc::default(),
    };
    let Parts { metrics, status, mail, .. } = &parts;
    let (metrics, status, mail) = (metrics.clone(), status.clone(), mail.clone());
    let engine = Engine::load(parts).await?;
    let (hints, hinted) = engine::hints();
    let face = Face {
        engine: engine.handle(),
        store: adapters.store.clone(),
        policies: engine.policies(),
        status: status.clone(),
        metrics: metrics.clone(),
        tokens: Arc::new(Tokens::of(&settings)?),
        target: settings.target(),
        hints,
        sns: adapters.sns,
        place: Place { target: settings.target(), region: adapters.region },
        foresight: Foresight::new(adapters.platform.clone()),
        address: listener.local_addr()?,
    };
    tracing::info!(address = %face.address, pid = std::process::id(), "listening");
    let around = TaskTracker::new();
    around.spawn(poll_forever(
        adapters.platform,
        engine.handle(),
        engine.policies(),
        engine.looking(),
        hinted,
        polling(&settings, status.clone()),
        stop.clone(),
    ));
    if let Some(queue) = adapters.queue {
        around.spawn(hear_forever(ear(queue, &face), stop.clone()));
    }
    if let Some(prometheus) = adapters.sources.prometheus {
        around.spawn(feel_forever(prometheus, status, stop.clone()));
    }
    around.spawn(watch_policies(repo.watch(read.as_ref().ok()), engine.handle(), stop.clone()));
    if let Some(slack) = adapters.slack {
        around.spawn(deliver_forever(adapters.store, slack, metrics, mail, stop.clone()));
    }
    around.close();
    run(engine, listener, face, around, stop).await
}

fn polling(settings: &Settings, status: Arc<Status>) -> PollSettings {
    let discovery = &settings.discover.ecs;
    PollSettings {
        every: discovery.every.std(),
        target: settings.target(),
        clusters: discovery.clusters.clone(),
        status,
    }
}

/// Listens to a queue for the same engine that the face speaks to.
fn ear(queue: Queue, face: &Face) -> Ear {
    Ear {
        queue,
        place: face.place.clone(),
        hints: face.hints.clone(),
        status: face.status.clone(),
        metrics: face.metrics.clone(),
    }
}

/// Runs until `stop`. Requests end first, then what is around the engine, then
/// the engine, so that everything that still comes in is kept.
async fn run(
    engine: Engine,
    listener: TcpListener,
    face: Face,
    around: TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let engine_stop = CancellationToken::new();
    let mut running = tokio::spawn(engine.run(engine_stop.clone()));
    let serving = tokio::spawn(web::serve(listener, face, stop.clone()));
    // Without its engine the daemon guards nothing, and must not look alive.
    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut running => {
            stop.cancel();
            ended??;
            anyhow::bail!("the engine has ended by itself");
        }
    }
    tracing::info!("stopping");
    serving.await??;
    around.wait().await;
    engine_stop.cancel();
    running.await??;
    Ok(())
}

async fn watch_policies(
    mut reloads: mpsc::Receiver<Reload>,
    handle: engine::EngineHandle,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            reload = reloads.recv() => match reload {
                Some(reload) => handle.policies(reload).await,
                None => return,
            },
        }
    }
}
