//! Policies that change, pauses, and people who decide, while a deployment is watched.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::house::{House, long_story};

/// Half of all requests fail.
const BAD: &[(&str, &str)] = &[("ERROR_RATE", "0.5")];

#[tokio::test(flavor = "multi_thread")]
async fn people_stay_in_charge_while_a_deployment_is_watched() -> anyhow::Result<()> {
    let mut house = House::open(&long_story(), |_| ()).await?;
    let first = house.deploy("v2", &[]).await?;
    let seen = house.watch_until("v2", "measured", is_measured).await?;
    assert_eq!((&seen["mode"], &seen["mode_because"]), (&json!("auto"), &Value::Null), "{seen:#}");

    a_broken_edit_keeps_the_last_good_policies_and_is_told(&house).await?;
    a_lowered_mode_acts_at_once(&house).await?;
    a_changed_threshold_waits_for_the_next_deployment(&house, &first).await?;
    a_pause_survives_a_restart_and_nothing_is_rolled_back_in_it(&mut house).await?;
    an_edit_without_a_commit_lowers_auto_to_ask_and_a_person_decides(&house).await?;
    the_evidence_is_told_over_time(&house).await?;
    a_digest_tells_what_was_done_and_what_would_have_been(&house).await?;
    Ok(())
}

fn is_measured(watch: &Value) -> bool {
    let checks = watch["checks"].as_array();
    checks.is_some_and(|checks| checks.iter().all(|check| check["verdict"] == "healthy"))
}

async fn a_broken_edit_keeps_the_last_good_policies_and_is_told(
    house: &House,
) -> anyhow::Result<()> {
    house.daemon.commit_policy(&long_story().replace("breach:", "braech:"))?;
    let told = house
        .until("the mistakes", async |house| {
            let ready = house.daemon.get("/readyz").await?;
            let mistakes = ready["detail"]["policy_mistakes"].as_array().cloned();
            Ok(mistakes.filter(|mistakes| !mistakes.is_empty()).map(|mistakes| (ready, mistakes)))
        })
        .await?;
    let (ready, mistakes) = told;
    assert_eq!(ready["ready"], true, "the last good policies are in force: {ready:#}");
    assert_eq!(ready["detail"]["policies"], 1, "{ready:#}");
    let first = mistakes[0].as_str().context("words")?;
    assert!(first.contains("shopflow.yaml:") && first.contains("did you mean `breach`"), "{first}");
    let metrics = house.daemon.text("/metrics").await?;
    assert!(metrics.contains("\ndeployguard_policy_broken 1\n"), "{metrics}");
    let log = house.daemon.logs();
    let line = log.lines().find(|line| line.contains("policies are broken")).context("a line")?;
    assert!(line.contains("ERROR") && line.contains("braech"), "{line}");
    let watch = house.watch_until("v2", "goes on", is_measured).await?;
    assert_eq!(watch["mode"], "auto", "a broken edit changes nothing: {watch:#}");

    house.daemon.commit_policy(&long_story())?;
    house
        .until("the mend", async |house| {
            let ready = house.daemon.get("/readyz").await?;
            Ok((ready["detail"]["policy_mistakes"] == json!([])).then_some(()))
        })
        .await?;
    let metrics = house.daemon.text("/metrics").await?;
    assert!(metrics.contains("\ndeployguard_policy_broken 0\n"), "{metrics}");
    Ok(())
}

async fn a_lowered_mode_acts_at_once(house: &House) -> anyhow::Result<()> {
    house.daemon.commit_policy(&long_story().replace("mode: auto", "mode: observe"))?;
    let lowered = house.watch_until("v2", "observe", |watch| watch["mode"] == "observe").await?;
    assert_eq!(lowered["mode_because"], "the policy's mode was lowered", "{lowered:#}");
    house.daemon.commit_policy(&long_story())?;
    let raised = house.watch_until("v2", "auto", |watch| watch["mode"] == "auto").await?;
    assert_eq!(raised["mode_because"], Value::Null, "{raised:#}");
    Ok(())
}

async fn a_changed_threshold_waits_for_the_next_deployment(
    house: &House,
    first: &str,
) -> anyhow::Result<()> {
    let commit = async || -> anyhow::Result<Value> {
        Ok(house.daemon.get("/readyz").await?["detail"]["policy_commit"].clone())
    };
    let before = commit().await?;
    house.daemon.commit_policy(&long_story().replace("\"> 5%\"", "\"> 20%\""))?;
    house.until("the change", async |_| Ok((commit().await? != before).then_some(()))).await?;
    let text = async |id: &str| -> anyhow::Result<(Value, String)> {
        let watch = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
        let text = watch["policy"]["text"].as_str().context("a text")?.to_owned();
        Ok((watch["policy"]["commit"].clone(), text))
    };
    let (under, words) = text(first).await?;
    ensure!(words.contains("> 5%") && !words.contains("> 20%"), "it keeps its policy:\n{words}");
    ensure!(under != commit().await?, "and its commit");

    // Under the old limit, 10 % of errors would have been SEV1 and rolled back.
    let next = house.deploy("v3", &[("ERROR_RATE", "0.1")]).await?;
    let (under, words) = text(&next).await?;
    ensure!(words.contains("> 20%"), "the next one has the new one:\n{words}");
    assert_eq!(under, commit().await?);
    let watch = house.daemon.get(&format!("/api/v1/watches/{first}")).await?;
    let superseded = house
        .watch_until("v2", "superseded", |watch| watch["outcome"] == "superseded")
        .await
        .with_context(|| format!("{watch:#}"))?;
    let by = superseded["status"].as_str().unwrap_or_default();
    assert!(by.contains("shopflow-api:3"), "{superseded:#}");
    let elevated = |watch: &Value| watch["checks"][0]["verdict"] == "elevated";
    house.watch_until("v3", "outside normal, not in breach", elevated).await?;
    house.daemon.commit_policy(&long_story())?;
    house
        .until("the old one again", async |_| Ok((commit().await? != under).then_some(())))
        .await?;
    Ok(())
}

async fn a_pause_survives_a_restart_and_nothing_is_rolled_back_in_it(
    house: &mut House,
) -> anyhow::Result<()> {
    for elsewhere in ["elsewhere/shopflow-*", "default/shopflow-production/billing-*"] {
        let paused = house.cli(&["pause", "--scope", elsewhere]).await?;
        assert_eq!(paused.code, 0, "{paused:?}");
        let watch = house.watch_until("v3", "open", |watch| watch["outcome"].is_null()).await?;
        assert_eq!(watch["mode"], "auto", "{elsewhere} is elsewhere: {watch:#}");
        assert_eq!(house.cli(&["unpause", "--scope", elsewhere]).await?.code, 0);
    }
    let one = "default/shopflow-production/shopflow-*";
    assert_eq!(house.cli(&["pause", "--scope", one]).await?.code, 0);
    house.watch_until("v3", "observe", |watch| watch["mode"] == "observe").await?;
    assert_eq!(house.cli(&["unpause", "--scope", one]).await?.code, 0);
    let auto = house.watch_until("v3", "auto", |watch| watch["mode"] == "auto").await?;
    let dry = house.cli(&["rollback", auto["id"].as_str().unwrap(), "--dry-run"]).await?;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.starts_with("back to       shopflow-api:1 ("), "{dry:?}");
    assert!(dry.out.contains("by            "), "{dry:?}");
    assert!(dry.out.ends_with("nothing was done\n"), "{dry:?}");

    let scope = "environment:production";
    let paused = house.cli(&["pause", "--scope", scope, "--reason", "the database moves"]).await?;
    assert_eq!(paused.code, 0, "{paused:?}");
    let how = "paused: environment:production. Nothing is rolled back by itself until \
               `deployguard unpause --scope environment:production`\n";
    assert_eq!(paused.out, how);
    let observed = |watch: &Value| watch["mode"] == "observe";
    let watch = house.watch_until("v3", "observe", observed).await?;
    assert_eq!(watch["mode_because"], "paused by oncall: the database moves", "{watch:#}");

    house.daemon.kill();
    house.start().await?;
    let kept = house.daemon.get("/api/v1/pause").await?;
    let scopes = kept.as_array().context("pauses")?.iter().map(|pause| &pause["scope"]);
    assert!(scopes.eq(["environment:production"]), "{kept:#}");

    house.deploy("v4", BAD).await?;
    let bad = house.watch_until("v4", "in breach", |watch| !watch["incident"].is_null()).await?;
    assert_eq!(bad["mode"], "observe", "{bad:#}");
    assert_eq!(bad["incident"]["severity"], "SEV1", "{bad:#}");
    let status = bad["status"].as_str().unwrap_or_default();
    assert!(status.contains("observing only"), "{bad:#}");
    let id = bad["id"].as_str().context("an id")?;
    let refused = house.cli(&["rollback", id]).await?;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("the mode is observe (paused by oncall"), "{refused:?}");
    let dry = house.cli(&["rollback", id, "--dry-run"]).await?;
    assert_eq!(dry.code, 1, "{dry:?}");
    let obstacle = "obstacle      the mode is observe (paused by oncall";
    assert!(dry.out.contains("by            ") && dry.out.contains(obstacle), "{dry:?}");
    house
        .until("what would have been done, in Slack", async |house| {
            let replies = house.world.slack.threads().into_iter().flat_map(|one| one.replies);
            let mut replies = replies.filter(|reply| reply.contains("v4"));
            Ok(replies.any(|reply| reply.contains("would have been rolled back")).then_some(()))
        })
        .await?;
    ensure!(house.world.mutations_by_client().is_empty(), "nothing was rolled back");

    let unpaused = house.cli(&["unpause", "--scope", scope]).await?;
    assert_eq!(
        (unpaused.code, unpaused.out.as_str()),
        (0, "no longer paused: environment:production\n")
    );
    // What was only observed is decided now, on what is measured now.
    let again = house.watch_until("v4", "auto again", |watch| watch["mode"] == "auto").await?;
    assert_eq!(again["mode_because"], Value::Null, "{again:#}");
    house
        .until("the rollback, after all", async |house| {
            let bad = house.world.task_definition_in_place() == "shopflow-api:4";
            Ok((!bad && house.world.mutations_by_client().len() == 1).then_some(()))
        })
        .await?;
    house.world.wait_stable().await;
    Ok(())
}

async fn an_edit_without_a_commit_lowers_auto_to_ask_and_a_person_decides(
    house: &House,
) -> anyhow::Result<()> {
    house.daemon.write_policy(&long_story().replace("min_traffic: 10", "min_traffic: 11"))?;
    house
        .until("the edit", async |house| {
            let lines = std::fs::read_to_string(house.daemon.log())?;
            Ok((lines.matches("\"policies in force\"").count() > 1).then_some(()))
        })
        .await?;
    // Else v5's breach would be excused: it began before v5 came.
    let ended = |watch: &Value| watch["outcome"] == "rolled_back";
    house.watch_until("v4", "the numbers recovered", ended).await?;
    let before = house.world.task_definition_in_place();
    house.deploy("v5", BAD).await?;
    let due =
        house.watch_until("v5", "a decision", |watch| !watch["decision_due"].is_null()).await?;
    assert_eq!(due["mode"], "ask", "{due:#}");
    let because = "auto needs a clean commit; the policy files are edited";
    assert_eq!(due["mode_because"], because, "{due:#}");
    let id = due["id"].as_str().context("an id")?;
    let detail = house.daemon.get(&format!("/api/v1/watches/{id}")).await?;
    assert_eq!(detail["policy"]["dirty"], true, "{detail:#}");
    assert_eq!(house.world.mutations_by_client().len(), 1, "a person has to decide");

    let acked = house.cli(&["ack", id, "--reason", "I look"]).await?;
    assert_eq!(acked.code, 0, "{acked:?}");
    let held = house.cli(&["hold", id, "--reason", "a fix comes"]).await?;
    assert_eq!(held.code, 0, "{held:?}");
    let twice = house.cli(&["hold", id]).await?;
    assert_eq!(
        (twice.code, twice.err.as_str()),
        (1, "deployguard: it has been held once already\n")
    );

    let shown = house.cli(&["watches", id]).await?;
    assert_eq!(shown.code, 0, "{shown:?}");
    for words in [
        "shopflow-api v5 in production\n",
        "mode      ask (auto needs a clean commit; the policy files are edited)\n",
        "revision  shopflow-api:5\n",
        &format!("was       {before}\n"),
        ", edited)\n",
        "✗ error rate",
        "oncall acknowledged: I look\n",
        "oncall holds the decision until ",
    ] {
        assert!(shown.out.contains(words), "no {words:?} in\n{}", shown.out);
    }

    let back = house.cli(&["rollback", id, "--reason", "no fix in sight"]).await?;
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.out.contains("[ask]  rolling back to shopflow-api:"), "{back:?}");
    house
        .until("the rollback", async |house| {
            Ok((house.world.mutations_by_client().len() == 2).then_some(()))
        })
        .await?;
    let twice = house.cli(&["rollback", id]).await?;
    assert_eq!(twice.code, 1, "{twice:?}");
    house
        .until("the target in place", async |house| {
            Ok((house.world.task_definition_in_place() != "shopflow-api:5").then_some(()))
        })
        .await?;
    assert_eq!(house.world.mutations_by_client().len(), 2, "one rollback a deployment");
    Ok(())
}

async fn the_evidence_is_told_over_time(house: &House) -> anyhow::Result<()> {
    let watches = house.daemon.watches().await?;
    let bad = watches.iter().find(|watch| watch["version"] == "v5").context("v5")?;
    let id = bad["id"].as_str().context("an id")?;
    let told = house.daemon.get(&format!("/api/v1/watches/{id}/explain")).await?;
    assert_eq!((&told["watch"], &told["broke_off"]), (&json!(id), &Value::Null), "{told:#}");
    let rate = &told["checks"][0];
    let moments = rate["moments"].as_array().context("moments")?;
    assert_eq!(moments[0]["shown_for"][0], "first", "{rate:#}");
    let breach = moments.iter().find(|one| one["verdict"] == "breach").context("a breach")?;
    assert_eq!(breach["severity"], "SEV1", "{rate:#}");
    assert_eq!(breach["blame"], "deployment", "{rate:#}");
    let before = &rate["baselines"][0];
    assert_eq!(before["name"], "before", "{rate:#}");
    let left_out = before["left_out"].as_str().unwrap_or_default();
    assert!(left_out.contains("an earlier deployment did harm"), "v4's: {rate:#}");

    let shown = house.cli(&["watches", id, "--explain"]).await?;
    assert_eq!(shown.code, 0, "{shown:?}");
    for words in ["\nevidence (UTC)\n", "breach SEV1", "before: "] {
        assert!(shown.out.contains(words), "no {words:?} in\n{}", shown.out);
    }
    println!("{}", shown.out);
    let unknown = house.cli(&["watches", "w-none", "--explain"]).await?;
    assert_eq!(unknown.code, 1, "{unknown:?}");
    Ok(())
}

async fn a_digest_tells_what_was_done_and_what_would_have_been(
    house: &House,
) -> anyhow::Result<()> {
    let digest = house.daemon.get("/api/v1/digest?days=1").await?;
    let policy = &digest["policies"][0];
    let watched = policy["watched"].as_u64().context("a number")?;
    let came = policy["came"].as_object().context("counts")?;
    assert_eq!(came.values().filter_map(Value::as_u64).sum::<u64>(), watched, "{digest:#}");
    let listed = policy["deployments"].as_array().context("a list")?;
    let of = |version: &str| listed.iter().find(|one| one["version"] == version);
    let back = of("v4").context("v4 came to something")?;
    assert_eq!((&back["came"], &back["check"]), (&json!("rolled_back"), &json!("error rate")));
    assert_eq!(back["would"], false, "in the pause it would have been, and then it was: {back:#}");
    assert!(back["limit"].is_string() && back["value"].is_string(), "{back:#}");
    assert!(of("v2").is_none(), "nothing is to be said of v2: {digest:#}");

    let told = house.cli(&["digest", "--days", "1"]).await?;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("rolled back"), "{}", told.out);
    println!("{}", told.out);
    for days in ["0", "91"] {
        let refused = house.cli(&["digest", "--days", days]).await?;
        assert_eq!(
            (refused.code, refused.err.as_str()),
            (1, "deployguard: `days` is from 1 to 90\n")
        );
    }
    Ok(())
}
