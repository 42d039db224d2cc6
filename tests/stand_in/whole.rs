//! The world as a whole: what is deployed is what customers get and what Prometheus measures.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::world::http::client_builder;
use crate::world::{World, WorldConfig};

const ERRORS: &str = "sum(rate(http_requests_total{status=\"500\"}[5s])) \
                      / sum(rate(http_requests_total[5s]))";

#[tokio::test]
async fn a_bad_version_shows_in_prometheus_and_a_good_one_mends_it() {
    let mut world = World::start(WorldConfig::default()).await.expect("a world");
    let minute = Duration::from_mins(1);
    assert_eq!(world.task_definition_in_place(), "shopflow-api:1");
    let healthy = world.prometheus.wait_for(ERRORS, minute, |_| true).await.expect("a ratio");
    assert!(healthy == 0.0, "v1 fails no request: {healthy}");
    let id = world.deploy("v2", &[("ERROR_RATE", "0.25"), ("LATENCY_MS", "400")]).expect("v2");
    assert!(id.starts_with("ecs-svc/"));
    world.wait_stable().await;
    let rolled_out = Instant::now();
    world.seen_by_prometheus("v2").await.expect("v2 is scraped");
    println!("v2 was scraped alone {:?} after its roll-out", rolled_out.elapsed());
    world.prometheus.wait_for(ERRORS, minute, |ratio| ratio > 0.2).await.expect("errors");
    let p95 = "histogram_quantile(0.95, sum by (le) \
               (rate(http_request_duration_seconds_bucket{version=\"v2\"}[5s])))";
    let slow = world.prometheus.value(p95).await.expect("a quantile");
    assert!((0.3..1.0).contains(&slow), "v2 is slow: {slow}");
    world.prometheus.stop();
    assert!(world.prometheus.query("up").await.is_err(), "an outage");
    let port = world.prometheus.url().rsplit(':').next().map(str::to_owned);
    let port = port.and_then(|port| port.parse().ok()).expect("a port");
    let taken = TcpListener::bind(("127.0.0.1", port)).expect("it is free");
    assert!(world.prometheus.start_again().await.is_err(), "somebody else has the port");
    drop(taken);
    world.prometheus.start_again().await.expect("the same port");
    world.deploy("v3", &[]).expect("v3");
    world.wait_stable().await;
    world.prometheus.wait_for(ERRORS, minute, |ratio| ratio == 0.0).await.expect("recovery");
    assert_eq!(world.version_in_place().expect("a version"), "v3");
    assert!(world.mutations_by_client().is_empty());
    assert!(world.load.unanswered() < 20, "{} requests were lost", world.load.unanswered());
}

#[tokio::test]
async fn nothing_is_left_running_when_the_world_ends() {
    let config = WorldConfig { tasks: 1, requests_per_second: 10, ..WorldConfig::default() };
    let world = World::start(config).await.expect("a world");
    let shop = world.ecs.in_service().borrow()[0].address;
    let urls =
        [world.ecs.url(), world.slack.url(), world.prometheus.url(), format!("http://{shop}")];
    drop(world);
    tokio::time::sleep(Duration::from_millis(100)).await;
    for url in urls {
        let client = client_builder().build().expect("a client");
        let answer = client.get(&url).send().await;
        assert!(answer.is_err_and(|error| error.is_connect()), "{url} still listens");
    }
}
