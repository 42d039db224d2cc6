//! Puts the daemon together: the only place that constructs adapters.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::engine::{
    self, Engine, FleetBrake, Parts, PollSettings, Status, deliver_forever, poll_forever,
};
use crate::notify::slack::Slack;
use crate::platform::ecs::{Ecs, EcsSettings};
use crate::policy_repo::{PolicyRepo, Reload};
use crate::settings::Settings;
use crate::sources::prometheus::Prometheus;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::web::{self, Face, Tokens};

/// Runs the daemon until `stop`; then drains, and loses nothing.
pub async fn serve(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let repo = PolicyRepo::open(&settings.policies);
    let loaded = repo.load().map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policies have mistakes:\n{}", lines.join("\n"))
    })?;
    let store = Store::open(&settings.store)
        .await
        .with_context(|| format!("the store {} can't be opened", settings.store))?;
    let platform = Arc::new(
        Ecs::connect(EcsSettings {
            target: settings.target(),
            region: settings.aws.region.clone(),
            endpoint: None,
        })
        .await,
    );
    let prometheus = Arc::new(Prometheus::connect(
        &settings.prometheus.url,
        settings.prometheus.timeout.std(),
        settings.prometheus.max_concurrent,
    )?);
    let metrics = Arc::new(Metrics::new()?);
    let status = Arc::new(Status::default());
    let mail = Arc::new(Notify::new());
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("{} can't be listened on", settings.listen))?;
    let engine = Engine::load(Parts {
        store: store.clone(),
        platform: platform.clone(),
        prometheus,
        policies: Arc::new(loaded.clone()),
        brake: FleetBrake { rollbacks: settings.brake.rollbacks, within: settings.brake.within.0 },
        metrics: metrics.clone(),
        status: status.clone(),
        mail: mail.clone(),
    })
    .await?;
    let handle = engine.handle();
    let face = Face {
        engine: handle.clone(),
        store: store.clone(),
        policies: engine.policies(),
        status,
        metrics: metrics.clone(),
        tokens: Arc::new(Tokens::of(&settings)?),
        target: settings.target(),
        address: listener.local_addr()?,
    };
    tracing::info!(address = %face.address, pid = std::process::id(), "listening");

    let around = TaskTracker::new();
    around.spawn(poll_forever(
        platform,
        handle.clone(),
        engine.policies(),
        engine.looking(),
        PollSettings {
            every: settings.discover.ecs.every.std(),
            clusters: settings.discover.ecs.clusters.clone(),
        },
        stop.clone(),
    ));
    around.spawn(watch_policies(repo.watch(&loaded), handle, stop.clone()));
    if let Some(slack) = &settings.slack {
        let slack = Slack::connect(&slack.api_url, slack.token.expose())?;
        around.spawn(deliver_forever(store, Arc::new(slack), metrics, mail, stop.clone()));
    } else {
        tracing::warn!("no slack in the settings: what is said is only logged");
    }
    around.close();
    let serving = tokio::spawn(web::serve(listener, face, stop.clone()));
    // Requests end first, so that every one of them can still be kept.
    let engine_stop = CancellationToken::new();
    let running = tokio::spawn(engine.run(engine_stop.clone()));
    stop.cancelled().await;
    tracing::info!("stopping");
    serving.await??;
    around.wait().await;
    engine_stop.cancel();
    running.await?;
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
