//! A Prometheus that is none.

use anyhow::ensure;
use axum::Router;
use axum::response::Html;
use serde_json::json;

use crate::house::{House, LONG};
use crate::world::daemon::STORY;
use crate::world::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_in_place_of_prometheus_is_no_data_and_never_a_rollback() -> anyhow::Result<()>
{
    let page = || async { Html("<!doctype html><title>Log in</title>") };
    let proxy = Server::start(Router::new().fallback(page)).await?;
    let policy = format!("{STORY}no_data: {{ notify_after: 3s }}\n");
    let url = proxy.url();
    let house = House::open(&policy, |settings| settings["prometheus"]["url"] = json!(url)).await?;

    house
        .until("words about Prometheus", async |house| {
            let ready = house.daemon.get("/readyz").await?;
            ensure!(ready["ready"] == true, "a restart mends nothing: {ready}");
            let obstacles = ready["obstacles"].as_array().into_iter().flatten();
            let mut told = obstacles.filter_map(|one| one.as_str());
            Ok(told.find(|one| one.starts_with("Prometheus can't be asked since ")).map(|_| ()))
        })
        .await?;
    house.deploy("v2", &[("ERROR_RATE", "0.5")]).await?;
    let ended = house.daemon.outcome_of("v2", LONG).await?;
    assert_eq!(ended["outcome"], "inconclusive", "{ended:#}");
    let status = ended["status"].as_str().unwrap_or_default();
    assert!(status.contains("too little was measured of error rate"), "{ended:#}");
    assert_eq!(ended["incident"], json!(null), "{ended:#}");
    for check in ended["checks"].as_array().into_iter().flatten() {
        assert_eq!(
            (&check["verdict"], &check["value"]),
            (&json!("no_data"), &json!(null)),
            "{check:#}"
        );
        let reason = check["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("answered HTML, not Prometheus JSON"), "{check:#}");
    }
    ensure!(house.world.mutations_by_client().is_empty(), "missing data is no guilt");

    house
        .until("the words in Slack", async |house| {
            let replies = house.world.slack.threads().into_iter().flat_map(|one| one.replies);
            let mut said = replies.filter(|reply| reply.contains("can't be judged right now"));
            Ok(said.find(|reply| reply.contains("is a proxy or login page in between?")))
        })
        .await?;
    let metrics = house.daemon.text("/metrics").await?;
    for (name, counted) in [
        ("deployguard_readings_total{result=\"unreachable\"}", true),
        ("deployguard_readings_total{result=\"ok\"}", false),
        ("deployguard_source_requests_total{result=\"unreachable\",source=\"prometheus\"}", true),
        ("deployguard_source_requests_total{result=\"ok\",source=\"prometheus\"}", false),
        ("deployguard_blind{place=\"Prometheus\"}", true),
    ] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        let value: f64 = line.unwrap_or(" 0").trim().parse()?;
        assert_eq!(value > 0.0, counted, "{name}: {metrics}");
    }
    Ok(())
}
