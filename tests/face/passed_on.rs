//! A daemon that stands by passes on who asks, and never the token.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use crate::house::{Answer, BINARY, House, LONG, READ_TOKEN, long_story};
use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, announcement};

/// The tokens of the one that stands by: the same names, other secrets, so that what the
/// leader takes can't have been the token.
const ITS_CI: &str = "another-ci-token-0123456789";
const ITS_OPS: &str = "another-ops-token-0123456789";

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_believes_who_stands_by_and_no_forged_name() -> anyhow::Result<()> {
    let house = House::open(&long_story(), |_| ()).await?;
    let store = format!("sqlite://{}", house.daemon.home().join("deployguard.db").display());
    let mut standby = Daemon::at_home(Path::new(BINARY), &house.world, &long_story())?;
    standby.settle(|settings| settings["store"] = json!(store))?;
    standby.start_with(&[("CI_TOKEN", ITS_CI), ("OPS_TOKEN", ITS_OPS)]).await?;
    standby
        .wait_for("standing by", LONG, async |one| {
            let ready = one.get("/readyz").await?;
            Ok((ready["role"] == "standby" && !ready["leader"].is_null()).then_some(()))
        })
        .await?;

    house.world.deploy("v2", &[])?;
    let body = announcement("v2", &house.world.task_definition_in_place());
    let (status, answer) = standby.post("/hooks/deployments", ITS_CI, &body).await?;
    assert_eq!(status, 202, "{answer:#}");
    let id = answer["watch"].as_str().context("a watch")?.to_owned();
    let detail = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
    assert_eq!(detail["facts"]["announced_by"], "ci", "{detail:#}");
    let (status, answer) = standby.post("/api/v1/pause", ITS_OPS, &json!({})).await?;
    assert_eq!((status, &answer["by"]), (200, &json!("oncall")), "{answer:#}");

    // The leader looks up what the name may do, and nobody else's token is known here.
    let (status, answer) = standby.post("/api/v1/unpause", ITS_CI, &json!({})).await?;
    assert_eq!(status, 403, "{answer:#}");
    let (status, answer) = standby.post("/api/v1/unpause", OPS_TOKEN, &json!({})).await?;
    assert_eq!(status, 401, "{answer:#}");

    // What SNS posts is known by its own signature, whatever stands beside it.
    let with_basic = reqwest::Client::new().post(format!("{}/hooks/sns", standby.url()));
    let with_basic = with_basic.basic_auth("sns", Some("in its address")).json(&json!({}));
    let answer = Answer::to(with_basic).await?;
    assert_eq!(answer.status, 422, "the leader reads it: {answer:?}");

    for url in [house.daemon.url(), standby.url()] {
        for (name, value) in [
            ("x-deployguard-caller", "oncall"),
            ("x-deployguard-vouched", "7b7d.00"),
            ("x-deployguard-vouched", "no name"),
        ] {
            let forged = forged(url, name, value, None).await?;
            forged.is_problem(401, "");
            let weak = self::forged(url, name, value, Some(READ_TOKEN)).await?;
            assert!([401, 403].contains(&weak.status), "{weak:?}");
        }
    }
    let kept = house.daemon.get("/api/v1/pause").await?;
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "it is paused: {kept:#}");
    let logs = format!("{}{}", house.daemon.logs(), standby.logs());
    assert!([CI_TOKEN, OPS_TOKEN, ITS_CI, ITS_OPS].iter().all(|secret| !logs.contains(secret)));
    Ok(())
}

async fn forged(url: &str, name: &str, value: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    let asked = reqwest::Client::new().post(format!("{url}/api/v1/unpause"));
    let asked = asked.header(name, value).json(&json!({ "scope": "all" }) as &Value);
    Answer::to(match token {
        Some(token) => asked.bearer_auth(token),
        None => asked,
    })
    .await
}
