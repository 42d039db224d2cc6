//! The gate: asked by API and command line, gone through by a person, and what
//! Alertmanager tells.

use std::process::Stdio;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use crate::house::{BINARY, House, READ_TOKEN, Said, cli, long_story};
use crate::world::daemon::CI_TOKEN;

/// Half of all requests fail.
const BAD: &[(&str, &str)] = &[("ERROR_RATE", "0.5")];
const V2: &str = "/api/v1/gate?service=shopflow-api&environment=production&version=v2";
/// A freeze that lasts, of whatever day it is.
const FREEZE: &str = "\ngate: { time_intervals: { freeze: [{ name: the audit, from: 2020-01-01, to: 2090-01-01 }] } }\n";
const ASK: [&str; 7] =
    ["gate", "--service", "shopflow-api", "--environment", "production", "--version", "v2"];

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_shut_is_told_gone_through_and_shut_again() -> anyhow::Result<()> {
    let policy = format!("{}{FREEZE}", long_story());
    let mut house = House::open(&policy, |_| ()).await?;
    it_is_shut_with_its_reasons(&house).await?;
    a_command_says_so_and_ends_as_it_was_answered(&house).await?;
    what_can_not_be_asked_is_what_the_pipeline_says_it_is(&house).await?;
    only_a_person_with_a_reason_goes_through(&house).await?;
    it_holds_over_a_restart_for_one_deployment_and_is_told_there(&mut house).await?;
    an_alert_is_told_and_decides_nothing(&house).await?;
    what_was_rolled_back_is_known_for_bad(&house).await?;
    Ok(())
}

fn rules(body: &Value, verdict: &str) -> Vec<String> {
    let reasons = body["reasons"].as_array().into_iter().flatten();
    let fitting = reasons.filter(|reason| reason["verdict"] == verdict);
    fitting.filter_map(|reason| reason["rule"].as_str().map(str::to_owned)).collect()
}

async fn asked(house: &House) -> anyhow::Result<Value> {
    Ok(house.ask(Method::GET, V2, Some(CI_TOKEN), "").await?.body)
}

async fn it_is_shut_with_its_reasons(house: &House) -> anyhow::Result<()> {
    let answer = asked(house).await?;
    assert_eq!(answer["verdict"], "no", "{answer:#}");
    assert_eq!(rules(&answer, "no"), ["freeze"], "{answer:#}");
    assert_eq!(answer["place"], "default/shopflow-production/shopflow-api");
    assert_eq!(answer["reasons"][0]["words"], "the audit is a freeze");
    assert_eq!(answer["next_open"], Value::Null, "not within a year");
    let slip = house.ask(Method::GET, &format!("{V2}&verson=v2"), Some(CI_TOKEN), "").await?;
    slip.is_problem(400, "verson");
    let elsewhere = V2.replace("production", "prodution");
    let elsewhere = house.ask(Method::GET, &elsewhere, Some(CI_TOKEN), "").await?.body;
    assert_eq!((&elsewhere["verdict"], &elsewhere["place"]), (&json!("warn"), &Value::Null));
    let words = elsewhere["reasons"][0]["words"].as_str().context("words")?;
    assert!(words.contains("what differs: environment"), "{words}");
    Ok(())
}

/// Runs the command as a job on GitHub would; what it printed, and the step's summary.
async fn on_github(house: &House, arguments: &[&str]) -> anyhow::Result<(Said, String)> {
    let summary = house.daemon.home().join("summary.md");
    let done = tokio::process::Command::new(BINARY)
        .args(arguments)
        .env("DEPLOYGUARD_URL", house.daemon.url())
        .env("DEPLOYGUARD_TOKEN", CI_TOKEN)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = Said {
        code: done.status.code().context("it was killed")?,
        out: String::from_utf8(done.stdout)?,
        err: String::from_utf8(done.stderr)?,
    };
    Ok((said, std::fs::read_to_string(summary)?))
}

async fn a_command_says_so_and_ends_as_it_was_answered(house: &House) -> anyhow::Result<()> {
    let said = cli(house.daemon.url(), CI_TOKEN, &ASK).await?;
    assert_eq!(said.code, 1, "{said:?}");
    let shown = "no: v2 of shopflow-api in production\n  no    the audit is a freeze\n";
    assert!(said.out.starts_with(shown), "{said:?}");
    assert!(said.out.ends_with("may add: --override --reason '...'\n"), "{said:?}");
    assert!(!said.out.contains("::error"), "{said:?}");
    let (said, summary) = on_github(house, &ASK).await?;
    assert_eq!(said.code, 1, "{said:?}");
    let annotation = "::error title=deployguard gate%3A v2 of shopflow-api in production::the audit is a freeze\n";
    assert!(said.out.contains(annotation), "{said:?}");
    assert!(summary.starts_with("### deployguard gate: no\n\nv2 of shopflow-api"), "{summary}");
    assert!(summary.contains("| no | the audit is a freeze |\n"), "{summary}");
    let other = ["gate", "--service", "elsewhere", "--environment", "production"];
    let said = cli(house.daemon.url(), CI_TOKEN, &other).await?;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("yes, with warnings: the deployment of elsewhere"), "{said:?}");
    assert!(said.out.contains("no policy guards `elsewhere`"), "{said:?}");
    Ok(())
}

async fn what_can_not_be_asked_is_what_the_pipeline_says_it_is(
    house: &House,
) -> anyhow::Result<()> {
    let nowhere = "http://127.0.0.1:9";
    for (more, code) in [(&[][..], 3), (&["--on-error", "allow"], 0), (&["--on-error", "deny"], 1)]
    {
        let said = cli(nowhere, CI_TOKEN, &[&ASK[..], more].concat()).await?;
        assert_eq!(said.code, code, "{said:?}");
        assert!(
            said.out.starts_with("the gate could not be asked: no deployguard answers"),
            "{said:?}"
        );
    }
    // A question that is refused is no outage.
    let wrong = [&ASK[..], &["--target", "mars", "--on-error", "allow"]].concat();
    let said = cli(house.daemon.url(), CI_TOKEN, &wrong).await?;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.contains("the settings have no target `mars`"), "{said:?}");
    Ok(())
}

async fn only_a_person_with_a_reason_goes_through(house: &House) -> anyhow::Result<()> {
    let path = "/api/v1/gate";
    let body = json!({ "service": "shopflow-api", "environment": "production", "version": "v2" });
    let with = |field: &str, text: &str| {
        let mut body = body.clone();
        body[field] = json!(text);
        body
    };
    let pipeline =
        house.ask(Method::POST, path, Some(CI_TOKEN), with("reason", "x").to_string()).await?;
    pipeline.is_problem(403, "this needs operate");
    house.act(path, &body).await?.blames("reason");
    house.act(path, &with("reason", "  ")).await?.blames("reason");
    assert_eq!(asked(house).await?["verdict"], "no", "nothing of that was taken");

    let through = ["--override", "--reason", "checkout is down", "--by", "dana"];
    let said = house.cli(&[&ASK[..], &through].concat()).await?;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("yes, with warnings: v2 of shopflow-api"), "{said:?}");
    assert!(said.out.contains("the audit is a freeze (overridden by dana until "), "{said:?}");
    let again = house.cli(&[&ASK[..], &through].concat()).await?;
    assert_eq!(again.out, said.out, "the same once more is the same");
    assert_eq!(kept_overrides(house).await?.len(), 1);
    another_person_stands_beside_the_first(house).await?;
    let v3 = V2.replace("version=v2", "version=v3");
    let v3 = house.ask(Method::GET, &v3, Some(CI_TOKEN), "").await?.body;
    assert_eq!(v3["verdict"], "no", "it is for v2 alone");
    Ok(())
}

async fn kept_overrides(house: &House) -> anyhow::Result<Vec<Value>> {
    let kept = house.ask(Method::GET, "/api/v1/gate/overrides", Some(READ_TOKEN), "").await?.body;
    kept["overrides"].as_array().cloned().context("overrides")
}

async fn another_person_stands_beside_the_first(house: &House) -> anyhow::Result<()> {
    let unnamed = ["--override", "--reason", "checkout is down"];
    let said = house.cli(&[&ASK[..], &unnamed].concat()).await?;
    assert!(said.out.contains("(overridden by the token oncall until "), "{said:?}");
    let who = "kept under the token's name, oncall: --by NAME says which person it is\n";
    assert!(said.out.ends_with(who), "{said:?}");
    let erin = ["--override", "--reason", "I saw it", "--by", "erin"];
    let said = house.cli(&[&ASK[..], &erin].concat()).await?;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("(overridden by erin until "), "{said:?}");
    let kept = kept_overrides(house).await?;
    let by: Vec<&Value> = kept.iter().map(|over| &over["by"]).collect();
    assert_eq!(by, ["erin", "oncall", "dana"]);
    assert!(kept.iter().all(|over| over["reasons"][0]["rule"] == "freeze"), "{kept:#?}");
    Ok(())
}

async fn it_holds_over_a_restart_for_one_deployment_and_is_told_there(
    house: &mut House,
) -> anyhow::Result<()> {
    house.daemon.kill();
    house.start().await?;
    let answer = asked(house).await?;
    assert_eq!(answer["verdict"], "warn", "{answer:#}");
    let over = &answer["overridden"];
    assert_eq!((&over["by"], &over["via"]), (&json!("erin"), &json!("oncall")), "{answer:#}");

    let watch = house.deploy("v2", &[]).await?;
    let told =
        "Deployed through the gate: dana (by the token oncall) overrode it: checkout is down";
    in_timeline(house, &watch, told).await?;
    house
        .until("it in the thread", async |house| {
            let messages = house.world.slack.messages();
            let there = |text: String| text.contains("Deployed through the gate: dana");
            Ok(messages.iter().any(|one| there(one.rendered())).then_some(()))
        })
        .await?;
    let kept = kept_overrides(house).await?;
    assert_eq!(kept.len(), 3, "{kept:#?}");
    assert!(kept.iter().all(|over| over["watch"] == json!(watch)), "{kept:#?}");
    assert_eq!(asked(house).await?["verdict"], "no", "it had its deployment");
    Ok(())
}

/// Waits for a line in the watch's timeline.
async fn in_timeline(house: &House, watch: &str, line: &str) -> anyhow::Result<()> {
    house
        .until(&format!("`{line}` in the timeline"), async |house| {
            let detail = house.daemon.get(&format!("/api/v1/watches/{watch}")).await?;
            let lines = detail["timeline"].as_array().context("a timeline")?;
            Ok(lines.iter().any(|entry| entry["text"] == line).then_some(()))
        })
        .await
}

/// What Alertmanager 0.25 posted, of another time and service.
fn webhook(status: &str, service: &str) -> Value {
    let text = match status {
        "firing" => include_str!("alertmanager/firing.json"),
        _ => include_str!("alertmanager/resolved.json"),
    };
    let mut body: Value = serde_json::from_str(text).unwrap();
    let alert = &mut body["alerts"][0];
    alert["labels"]["service"] = json!(service);
    alert["startsAt"] = json!("2026-11-21T12:03:00.232316944Z");
    if status == "resolved" {
        alert["endsAt"] = json!("2026-11-21T13:20:00.5+01:00");
    }
    body
}

async fn an_alert_is_told_and_decides_nothing(house: &House) -> anyhow::Result<()> {
    let post = async |token, body: Value| {
        house.ask(Method::POST, "/hooks/alertmanager", Some(token), body.to_string()).await
    };
    let fires = webhook("firing", "shopflow-api");
    post(READ_TOKEN, fires.clone()).await?.is_problem(403, "this needs deploy");
    let mut other = fires.clone();
    other["version"] = json!("5");
    post(CI_TOKEN, other).await?.blames("version");
    post(CI_TOKEN, json!({ "version": "4" })).await?.blames("alerts");
    let strange = post(CI_TOKEN, webhook("firing", "billing")).await?;
    assert_eq!(strange.status, 202, "{strange:?}");
    assert_eq!(strange.body["unmatched"], json!(["HighErrorRate"]), "{strange:?}");

    let watch = &house.daemon.watches().await?[0]["id"];
    let watch = watch.as_str().context("a watch")?.to_owned();
    for _ in 0..2 {
        let taken = post(CI_TOKEN, fires.clone()).await?;
        assert_eq!((taken.status, &taken.body["matched"]), (202, &json!(1)), "{taken:?}");
    }
    in_timeline(
        house,
        &watch,
        "alert HighErrorRate (critical) fires since 12:03 UTC (not counted)",
    )
    .await?;
    let answer = asked(house).await?;
    assert_eq!(rules(&answer, "warn"), ["alert"], "{answer:#}");
    let over = webhook("resolved", "shopflow-api");
    assert_eq!(post(CI_TOKEN, over).await?.status, 202);
    let line = "alert HighErrorRate (critical) is over: it fired from 12:03 UTC to 12:20 UTC (not counted)";
    in_timeline(house, &watch, line).await?;
    assert!(rules(&asked(house).await?, "warn").is_empty());
    let detail = house.daemon.get(&format!("/api/v1/watches/{watch}")).await?;
    assert!(detail["incident"].is_null(), "{detail:#}");
    Ok(())
}

async fn what_was_rolled_back_is_known_for_bad(house: &House) -> anyhow::Result<()> {
    house.deploy("v3", BAD).await?;
    house.watch_until("v3", "rolled back", |watch| watch["outcome"] == "rolled_back").await?;
    let v3 = V2.replace("version=v2", "version=v3");
    let v3 = house.ask(Method::GET, &v3, Some(CI_TOKEN), "").await?.body;
    assert_eq!(rules(&v3, "no"), ["freeze", "known_bad"], "{v3:#}");
    let words = v3["reasons"][1]["words"].as_str().context("words")?;
    assert!(words.starts_with("v3 was found bad by "), "{words}");
    Ok(())
}
