//! The tasks that came to harm, in the view of a watch.

use anyhow::Context;
use serde_json::json;

use crate::house::{House, long_story};

/// The story, with checks of tasks and the log of one that ended.
fn of_tasks() -> String {
    long_story()
        .replace(
            "checks:\n",
            "checks:\n  task failures:\n    tasks: failures\n    breach: { SEV2: \"> 1\" }\n",
        )
        .replace("notify: {", "notify: { logs: true,")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_which_tasks_came_to_harm_why_and_what_one_of_them_logged()
-> anyhow::Result<()> {
    let house = House::open(&of_tasks(), |_| ()).await?;
    let lines = ["connecting to postgres://app:hunter2@db/shop", "FATAL: no memory \u{1b}[0m left"];
    house.world.ecs.set_log("/ecs/shopflow-api", &lines);
    let id = house.deploy("v2", &[("DIES", "oom")]).await?;
    let address = format!("/api/v1/watches/{id}");
    let detail = house
        .until("the log", async |house| {
            let detail = house.daemon.get(&address).await?;
            Ok((!detail["log"].is_null()).then_some(detail))
        })
        .await?;
    let stop = &detail["stops"][0];
    assert_eq!(stop["kind"], "out_of_memory", "{detail:#}");
    assert_eq!(stop["definition"], "shopflow-api:2", "{detail:#}");
    assert_eq!(stop["story"], "killed: out of memory (memory 512 MiB)", "{detail:#}");
    let task = stop["task"].as_str().context("a task")?;
    let evidence = detail["incident"]["evidence"].as_array().context("evidence")?;
    let told = |words: &str| evidence.iter().any(|one| one.as_str().unwrap().contains(words));
    assert!(told("tasks of shopflow-api:2 were killed: out of memory"), "{evidence:#?}");
    assert_eq!(detail["log"]["lines"][0], "connecting to postgres://***@db/shop");

    let shown = house.cli(&["watches", &id]).await?;
    for words in [
        "\nevidence\n",
        "\ntasks that came to harm (UTC)\n",
        &format!("{task} of shopflow-api:2  killed: out of memory (memory 512 MiB)\n"),
        "  | connecting to postgres://***@db/shop\n",
        "  | FATAL: no memory ",
    ] {
        assert!(shown.out.contains(words), "no {words:?} in\n{}", shown.out);
    }
    assert!(!shown.out.contains('\u{1b}'), "a log may not speak to the terminal: {}", shown.out);
    assert!(!shown.out.contains("hunter2"), "{}", shown.out);
    assert_eq!(detail["unlabelled"], json!([]), "{detail:#}");
    println!("{}", shown.out);
    Ok(())
}
