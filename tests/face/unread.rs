//! A daemon that starts with broken policies: nobody knows what is guarded.

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{House, cli, long_story};
use crate::world::daemon::{CI_TOKEN, announcement};

const GATE: [&str; 5] = ["gate", "--service", "shopflow-api", "--environment", "production"];

#[tokio::test(flavor = "multi_thread")]
async fn what_broken_policies_guard_is_not_known_after_a_restart_and_never_a_yes()
-> anyhow::Result<()> {
    let mut house = House::open(&long_story(), |_| ()).await?;
    let watch = house.deploy("v2", &[]).await?;
    house.daemon.kill();
    house.daemon.commit_policy(&long_story().replace("breach:", "braech:"))?;
    house.start().await?;

    let said = cli(house.daemon.url(), CI_TOKEN, &GATE).await?;
    assert_eq!(said.code, 3, "{said:?}");
    for words in ["could not be asked: it is not known what is guarded", "did you mean `breach`"] {
        assert!(said.out.contains(words), "{said:?}");
    }
    let mut next = announcement("v3", "shopflow-api:3");
    next["id"] = json!("of-v3");
    house.hook(&next).await?.is_problem(503, "the policies are broken");
    next["platform"] = json!({});
    house.hook(&next).await?.is_problem(503, "the policies are broken");
    let wait = ["wait", "of-v3", "--patience", "1s", "--timeout", "20s"];
    let said = house.cli(&wait).await?;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("the policies are broken"), "{said:?}");
    let known = house.daemon.get(&format!("/api/v1/watches/{watch}")).await?;
    assert!(known["outcome"].is_null(), "what was watched is watched on: {known:#}");
    alerts_reach_the_open_watch_and_others_come_again(&house).await?;
    the_log_says_one_thing(&house).await?;
    house.world.deploy("v3", &[])?;
    let is_superseded = |one: &Value| one["outcome"] == "superseded";
    house.watch_until("v2", "its end", is_superseded).await?;

    house.daemon.commit_policy(&long_story())?;
    house
        .until("the mend", async |house| {
            let said = cli(house.daemon.url(), CI_TOKEN, &GATE).await?;
            Ok((said.code == 0).then_some(()))
        })
        .await?;
    house
        .until("the watch of what came meanwhile", async |house| {
            let watches = house.daemon.watches().await?;
            Ok(watches.into_iter().find(|one| one["id"] != watch.as_str()))
        })
        .await?;
    Ok(())
}

async fn alerts_reach_the_open_watch_and_others_come_again(house: &House) -> anyhow::Result<()> {
    let mut body: Value = serde_json::from_str(include_str!("alertmanager/firing.json"))?;
    let mut post = async |service: &str| {
        body["alerts"][0]["labels"]["service"] = json!(service);
        let token = Some(CI_TOKEN);
        house.ask(Method::POST, "/hooks/alertmanager", token, body.to_string()).await
    };
    let taken = post("shopflow-api").await?;
    assert_eq!((taken.status, &taken.body["matched"]), (202, &json!(1)), "{taken:?}");
    post("shopflow-web").await?.is_problem(503, "the policies are broken");
    Ok(())
}

async fn the_log_says_one_thing(house: &House) -> anyhow::Result<()> {
    house
        .until("the mistakes", async |house| {
            let told = "none have been in force since the start";
            Ok(house.daemon.logs().contains(told).then_some(()))
        })
        .await?;
    let log = std::fs::read_to_string(house.daemon.log())?;
    assert!(!log.contains("policies in force") && !log.contains("last good ones"), "{log}");
    let ready = house.daemon.get("/readyz").await?;
    assert_eq!(ready["ready"], false, "{ready:#}");
    let mistakes = ready["detail"]["policy_mistakes"].as_array().context("mistakes")?;
    assert!(!mistakes.is_empty(), "{ready:#}");
    Ok(())
}
