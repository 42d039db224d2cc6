//! Labels that a policy's queries ask for: of who announces, of who checks policies.

use anyhow::Context;
use serde_json::{Value, json};

use crate::house::{House, Said, cli, long_story};
use crate::world::daemon::{OPS_TOKEN, announcement};

/// The story's memory, but of an instance that only the pipeline knows.
fn labelled() -> String {
    long_story().replace(
        "max(process_resident_memory_bytes{service=\"${service}\"})",
        "max(process_resident_memory_bytes{service=\"${service}\",job=\"${labels.job}\"})",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_wanted_is_asked_for_wherever_it_is_missing() -> anyhow::Result<()> {
    let house = House::open(&labelled(), |_| ()).await?;
    let job = the_command_line_asks_for_it(&house).await?;
    the_hook_warns_and_the_thread_too(&house).await?;
    an_announcement_that_brings_it_is_measured(&house, &job).await?;
    a_deployment_that_nobody_announced_is_told_too(&house).await?;
    Ok(())
}

async fn the_command_line_asks_for_it(house: &House) -> anyhow::Result<String> {
    let policies = house.daemon.home().join("policies").display().to_string();
    let prometheus = house.world.prometheus.url();
    let check = async |more: &[&str]| -> anyhow::Result<Said> {
        let live = ["check", &policies, "--live", "--prometheus", &prometheus];
        cli(house.daemon.url(), OPS_TOKEN, &[&live, more].concat()).await
    };
    let bare = check(&["--service", "shopflow-api"]).await?;
    for words in [
        "skipped  memory         asks for labels that a deployment announces: --label job=...",
        "only what needs no label was asked; to ask the rest, give --label job=...",
    ] {
        assert!(bare.out.contains(words), "no {words:?} in {bare:?}");
    }
    let by_job = "count by (job) (process_resident_memory_bytes{service=\"shopflow-api\"})";
    let found = house.world.prometheus.query(by_job).await?;
    let job = found.first().and_then(|one| one["metric"]["job"].as_str()).context("a job")?;
    let given = check(&["--service", "shopflow-api", "--label", &format!("job={job}")]).await?;
    assert!(given.out.contains("ok       memory "), "{given:?}");
    assert!(!given.out.contains("--label"), "{given:?}");
    let typo = check(&["--label", "jbo=x"]).await?;
    assert_eq!(typo.code, 1, "{typo:?}");
    assert!(
        typo.err.contains("no query or command asks for the label `jbo`; asked for: job"),
        "{typo:?}"
    );
    let unreadable = check(&["--label", "job"]).await?;
    assert_eq!(unreadable.code, 2, "{unreadable:?}");
    Ok(job.to_owned())
}

fn of(watch: &Value, check: &str) -> Value {
    let checks = watch["checks"].as_array().into_iter().flatten();
    checks.clone().find(|one| one["name"] == check).cloned().unwrap_or_default()
}

async fn the_thread_says(house: &House, words: &str) -> anyhow::Result<()> {
    house
        .until(words, async |house| {
            let mut said = house.world.slack.threads().into_iter().flat_map(|one| one.replies);
            Ok(said.any(|reply| reply.contains(words)).then_some(()))
        })
        .await
}

async fn the_hook_warns_and_the_thread_too(house: &House) -> anyhow::Result<()> {
    house.world.deploy("v2", &[])?;
    let body = announcement("v2", &house.world.task_definition_in_place());
    let answer = house.hook(&body).await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    let warned = json!([{
        "label": "job",
        "checks": ["memory"],
        "detail": "without the label `job` these are blind: memory",
    }]);
    assert_eq!(answer.body["warnings"], warned, "{answer:?}");
    let again = house.hook(&body).await?;
    assert_eq!(again.body["warnings"], warned, "{again:?}");
    the_thread_says(
        house,
        "shopflow-api v2 in production: a check is blind, because nobody announced the label `job`",
    )
    .await?;
    let blind = |watch: &Value| of(watch, "memory")["verdict"] == "no_data";
    let watch = house.watch_until("v2", "blind", blind).await?;
    assert_eq!(of(&watch, "memory")["reason"], "not announced: the label `job`", "{watch:#}");
    Ok(())
}

async fn an_announcement_that_brings_it_is_measured(
    house: &House,
    job: &str,
) -> anyhow::Result<()> {
    house.world.deploy("v3", &[])?;
    let mut body = announcement("v3", &house.world.task_definition_in_place());
    body["labels"] = json!({ "job": job });
    let answer = house.hook(&body).await?;
    assert_eq!(answer.body["warnings"], json!([]), "{answer:?}");
    let healthy = |watch: &Value| of(watch, "memory")["verdict"] == "healthy";
    house.watch_until("v3", "measured", healthy).await?;
    Ok(())
}

async fn a_deployment_that_nobody_announced_is_told_too(house: &House) -> anyhow::Result<()> {
    house.world.deploy("v4", &[])?;
    the_thread_says(
        house,
        "shopflow-api shopflow-api:4 in production: a check is blind, because nobody announced",
    )
    .await?;
    the_thread_says(house, "nobody announced the deployment; POST /hooks/deployments").await
}
