//! What a collector is told of a deployment, and that nobody waits for it.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::BINARY;
use crate::world::collector::{Collector, Sent};
use crate::world::daemon::{CI_TOKEN, Daemon, STORY, announcement};
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
/// The trace of a pipeline, and its span that announces.
const PIPELINE: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");

fn only<'a>(spans: &'a [Sent], name: &str) -> anyhow::Result<&'a Sent> {
    let mut named = spans.iter().filter(|span| span.name() == name);
    let first = named.next().with_context(|| {
        let names: Vec<&str> = spans.iter().map(Sent::name).collect();
        format!("no {name} in {names:?}")
    })?;
    anyhow::ensure!(named.next().is_none(), "one {name} only");
    Ok(first)
}

async fn announce_from_a_pipeline(daemon: &Daemon, body: &Value) -> anyhow::Result<u16> {
    let (trace, span) = PIPELINE;
    let asked = reqwest::Client::new().post(format!("{}/hooks/deployments", daemon.url()));
    let asked = asked.bearer_auth(CI_TOKEN).header("traceparent", format!("00-{trace}-{span}-01"));
    Ok(asked.json(body).send().await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_deployment_is_one_trace_from_the_hook_to_the_recovery() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let collector = Collector::start().await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    let endpoint = collector.url();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tools"),
    ];
    daemon.start_with(&environment).await?;
    daemon.knows_its_world(&world).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let hook = announcement("v2", "shopflow-api:2");
    assert_eq!(announce_from_a_pipeline(&daemon, &hook).await?, 202);
    let ended = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    // It sends the rest before it goes.
    daemon.terminate().await?;

    let spans = collector.spans();
    let root = only(&spans, "deployguard.watch")?;
    let all: Vec<Sent> = spans.iter().filter(|one| one.trace() == root.trace()).cloned().collect();
    assert_eq!(all.len(), spans.len(), "there is no other trace: {spans:#?}");
    assert_eq!(root.parent(), "");
    assert_eq!(root.attribute("deployguard.outcome"), "rolled_back");
    assert_eq!(root.attribute("service.name"), "deployguard");
    let asked = only(&all, "POST /hooks/deployments")?;
    assert_eq!(asked.parent(), root.id());
    assert_eq!(asked.links(), [(PIPELINE.0.to_owned(), PIPELINE.1.to_owned())]);
    assert_eq!(asked.attribute("http.response.status_code"), "202");
    assert_eq!(only(&all, "deployguard.join")?.parent(), asked.id());
    let decision = only(&all, "deployguard.decide")?;
    assert_eq!(decision.attribute("deployguard.decision"), "roll_back");
    let tick = all.iter().find(|one| one.id() == decision.parent()).context("a tick")?;
    assert_eq!((tick.name(), tick.parent()), ("deployguard.tick", root.id()));
    assert!(tick.has_failed());
    let mut began = 0;
    for name in ["permit", "roll_back", "settle", "recover"] {
        let span = only(&all, &format!("deployguard.{name}"))?;
        assert_eq!((span.parent(), span.has_failed()), (decision.id(), false), "{name}");
        assert!(span.span.start_time_unix_nano >= began, "{name} comes after what was before");
        began = span.span.start_time_unix_nano;
    }
    let told = all.iter().filter(|one| one.name() == "deployguard.deliver");
    assert!(told.clone().count() > 1, "people were told");
    assert!(told.clone().all(|one| one.parent() == root.id()));

    let log = daemon.logs();
    let about = |line: &&str| line.contains("\"watch\":") && line.contains("the platform answered");
    let line: Value = serde_json::from_str(log.lines().find(about).context("a line")?)?;
    assert_eq!(line["trace_id"], root.trace(), "a line of the log leads to the trace");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_holds_nothing_up_and_is_told_once() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
    let grpc = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    daemon.start_with(&grpc).await?;
    let log = daemon.logs();
    let told = log.lines().filter(|line| line.contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"));
    assert_eq!(told.count(), 1, "what it lacks it says, and guards without: {log}");
    daemon.terminate().await?;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?;
    // It takes connections and never answers: worse than one that refuses them.
    let endpoint = format!("http://{}", nobody.local_addr()?);
    let environment = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    daemon.start_with(&environment).await?;
    daemon.knows_its_world(&world).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let ended = daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    daemon.terminate().await?;
    let log = daemon.logs();
    assert_eq!(log.matches("traces can't be sent").count(), 1, "{log}");
    let host = endpoint.trim_start_matches("http://");
    assert!(log.contains(&format!("\"host\":\"{host}\"")), "where they were to go: {log}");
    Ok(())
}
