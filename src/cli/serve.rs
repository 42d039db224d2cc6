//! `deployguard serve`: the daemon.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::settings::Settings;
use crate::telemetry::{Traces, init_log};

pub fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(config)?;
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| settings.log.level.clone());
    init_log(settings.log.format, &filter, Traces::are_wanted()).context("log.level")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let on_signal = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            on_signal.cancel();
        });
        let traces = Traces::from_environment();
        let served = Box::pin(app::serve(settings, traces.clone(), stop)).await;
        traces.close().await;
        served
    })?;
    Ok(ExitCode::SUCCESS)
}
