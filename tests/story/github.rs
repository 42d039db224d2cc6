//! GitHub tells of deployments, and is told how their watches stand.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::github::hook::{BEFORE, SECRET, deployment_status, signature};
use crate::world::github::{BAD, GOOD, GitHub, PUSHED, REPOSITORY, TOKEN};
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);
const CONTEXT: &str = "deployguard/production/shopflow-api";

async fn guarded(world: &World, github: &GitHub) -> anyhow::Result<Daemon> {
    let policy = STORY
        .replace("page: [S0ONCALL] } }", "page: [S0ONCALL] }, github: { revert: pull-request } }");
    assert_ne!(policy, STORY);
    let mut daemon = Daemon::at_home(Path::new(BINARY), world, &policy)?;
    let secret = |name: &str, text: &str| {
        let file = daemon.home().join(name);
        std::fs::write(&file, text).map(|()| json!({ "file": file }))
    };
    let settings = json!({
        "webhook_secrets": [secret("old", BEFORE)?, secret("new", SECRET)?],
        "token": secret("token", TOKEN)?,
        "api_url": github.url(),
        "repositories": { REPOSITORY: { "environments": {
            "production": ["shopflow-api", "nobody-guards-it"],
            "staging": [{ "service": "shopflow-api", "cluster": "shopflow-production" }],
        } } },
    });
    daemon.settle(|all| {
        all["github"] = settings;
        all["advertise"] = json!("https://guard.example");
    })?;
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

/// Posts as GitHub does.
async fn posts(
    daemon: &Daemon,
    event: &str,
    secret: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let body = body.to_string();
    let request = reqwest::Client::new()
        .post(format!("{}/hooks/github", daemon.url()))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature-256", signature(secret, body.as_bytes()));
    let response = request.body(body).send().await?;
    let status = response.status().as_u16();
    Ok((status, serde_json::from_str(&response.text().await?)?))
}

/// The last word that is written, once it is as it should be.
async fn until_marked(
    daemon: &Daemon,
    github: &GitHub,
    sha: &str,
    state: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    daemon
        .wait_for(&format!("{state} at {sha}"), MINUTE, async |_| {
            let marks = github.marks(sha, CONTEXT);
            Ok(marks.last().is_some_and(|last| last.0 == state).then_some(marks))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn githubs_deployments_are_watched_and_it_is_told_how_they_ended() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let github = GitHub::start().await?;
    let daemon = guarded(&world, &github).await?;
    github.deploy(1);
    github.deploy(2);

    what_is_not_githubs_or_not_ours(&daemon).await?;

    // A good one.
    world.deploy("v2", &[])?;
    let hook = deployment_status(1, GOOD, "v2", "in_progress");
    let (status, answer) = posts(&daemon, "deployment_status", SECRET, &hook).await?;
    assert_eq!(status, 202, "{answer}");
    let watch = answer["announced"][0]["watch"].as_str().context("a watch")?.to_owned();
    let (_, again) = posts(&daemon, "deployment_status", BEFORE, &hook).await?;
    assert_eq!(again["announced"][0]["watch"], json!(watch), "the same delivery, the same watch");
    let before = until_marked(&daemon, &github, GOOD, "pending").await?;
    assert!(before.iter().all(|(state, _)| state == "pending"), "{before:?}");
    let good = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    let marks = until_marked(&daemon, &github, GOOD, "success").await?;
    let early = marks.iter().filter(|(state, _)| state == "success").count();
    assert_eq!(early, 1, "a success only at the end: {marks:?}");
    let link = format!("https://guard.example/api/v1/watches/{watch}");
    assert_eq!(github.statuses(GOOD)[0]["target_url"], json!(link));
    // It is written after the commit's.
    let said = daemon
        .wait_for("the deployment's success", MINUTE, async |_| {
            let said = github.deployment(1);
            Ok(said.last().is_some_and(|last| last.0 == "success").then_some(said))
        })
        .await?;
    assert!(said.iter().any(|one| one.0 == "in_progress"), "{said:?}");

    // A bad one.
    world.deploy("v3", &[("ERROR_RATE", "0.4")])?;
    let hook = deployment_status(2, BAD, "v3", "in_progress");
    let (status, answer) = posts(&daemon, "deployment_status", SECRET, &hook).await?;
    assert_eq!(status, 202, "{answer}");
    let bad = daemon.outcome_of("v3", 2 * MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    let pull =
        daemon.wait_for("the pull request", MINUTE, async |_| Ok(github.issues().pop())).await?;
    let marks = github.marks(BAD, CONTEXT);
    let (state, words) = marks.last().context("a mark")?;
    assert_eq!(state, "failure", "{marks:?}");
    assert!(words.starts_with("rolled back: error rate "), "{words}");
    let said = github.deployment(2);
    assert_eq!(said.last().map(|one| one.0.as_str()), Some("failure"), "{said:?}");
    assert!(pull["pull_request"].is_object(), "{pull:#}");
    let body = pull["body"].as_str().context("a body")?;
    assert!(body.contains("# Incident report: shopflow-api v3 in production"), "{body}");
    assert_eq!(github.issues().len(), 1);
    assert_eq!(world.task_definition_in_place(), "shopflow-api:2");

    // One that the pipeline announced, with no more of its commit than people write.
    world.deploy("v4", &[])?;
    let mut said = announcement("v4", &world.task_definition_in_place());
    said["commit"] = json!(&PUSHED[..7]);
    let (_, answer) = daemon.announce(&said).await?;
    let watch = answer["watch"].as_str().context("a watch")?;
    until_marked(&daemon, &github, PUSHED, "pending").await?;
    let why = json!({ "reason": "enough" });
    daemon.post(&format!("/api/v1/watches/{watch}/cancel"), OPS_TOKEN, &why).await?;
    let marks = until_marked(&daemon, &github, PUSHED, "error").await?;
    let (_, words) = marks.last().context("a mark")?;
    assert!(words.starts_with("not judged: cancelled"), "{words}");

    for (place, text) in
        [("the log", daemon.logs()), ("Slack", format!("{:?}", world.slack.messages()))]
    {
        assert!(!text.contains(TOKEN) && !text.contains(SECRET), "{place} tells a secret");
    }
    Ok(())
}

/// A status that deployguard wrote comes back by the webhook.
fn our_own() -> Value {
    let mut own = deployment_status(7, GOOD, "v9", "success");
    own["deployment_status"]["log_url"] = json!("https://guard.example/api/v1/watches/w7");
    own
}

async fn what_is_not_githubs_or_not_ours(daemon: &Daemon) -> anyhow::Result<()> {
    let hook = deployment_status(7, GOOD, "v9", "in_progress");
    let (status, answer) = posts(daemon, "deployment_status", "another", &hook).await?;
    assert_eq!(status, 401, "{answer}");
    for (event, body) in [
        ("ping", json!({ "zen": "Keep it logically awesome." })),
        ("push", json!({})),
        ("deployment_status", deployment_status(7, GOOD, "v9", "failure")),
        ("deployment_status", our_own()),
    ] {
        let (status, answer) = posts(daemon, event, SECRET, &body).await?;
        assert_eq!(status, 202, "{answer}");
        assert!(answer["ignored"].is_string(), "{answer}");
    }
    let mut other = hook.clone();
    other["deployment"]["environment"] = json!("staging");
    let (status, answer) = posts(daemon, "deployment_status", SECRET, &other).await?;
    assert_eq!(status, 422, "the policy's environment is another: {answer}");
    let mut wrong = hook.clone();
    wrong["deployment"]["payload"]["deployguard"]["rollback_safe"] = json!("maybe");
    let (status, answer) = posts(daemon, "deployment_status", SECRET, &wrong).await?;
    assert_eq!(status, 422, "{answer}");
    assert!(daemon.watches().await?.is_empty(), "none of it is watched");
    Ok(())
}
