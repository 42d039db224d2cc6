//! TaskForge on Render: its health endpoint decides, and web and worker go back together.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use deployguard::model::Beat;
use deployguard::store::Store;
use serde_json::{Value, json};

use crate::BINARY;
use crate::taskforge::{broken, database_lost, play, verified};
use crate::world::daemon::CI_TOKEN;
use crate::world::render::{API_KEY, RenderFault};
use crate::world::taskforge::{BOTH, Forge};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_third_partys_outage_is_no_guilt_and_a_lost_database_takes_web_and_worker_back()
-> anyhow::Result<()> {
    let forge = Forge::start(Path::new(BINARY)).await?;
    forge.ship('b', "Add the export").await?;
    forge.render.wait_live(&BOTH, 'b').await;
    forge.health("b", &["monday_api"]);
    let good = forge.daemon.outcome_of("b", MINUTE).await?;
    assert_eq!(good["outcome"], "passed", "{good:#}");
    assert!(forge.changes().is_empty());

    let silent = good["checks"].as_array().and_then(|all| {
        let found = all.iter().find(|check| check["name"] == "auto-push")?;
        found["verdict"].as_str()
    });
    assert_eq!(silent, Some("no_data"), "a job that never beat is no guilt: {good:#}");

    let bad = broken(&forge).await?;
    verified(&forge, &bad)?;
    let said = format!("{:?}", forge.slack.messages());
    for words in [
        "auto-deploy is off for taskforge-web",
        "bbbbbbb Add the export",
        "ccccccc Move to the new database driver",
        "runs migrations: a rollback does not run them back",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(forge.slack.violations(), Vec::<String>::new());
    for (place, text) in [("the log", forge.daemon.logs()), ("Slack", said)] {
        assert!(!text.contains(API_KEY), "{place} tells the key");
    }
    // The bad one does not come back by a push.
    forge.render.push('c', "Again");
    assert_eq!(BOTH.map(|name| forge.render.live(name)), [Some('b'); 2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_that_is_refused_at_first_follows_and_people_are_told_of_one_rollback()
-> anyhow::Result<()> {
    let forge = Forge::start(Path::new(BINARY)).await?;
    forge.render.refuse(BOTH[1], 500, 1);
    let bad = broken(&forge).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    let rollbacks = forge.changes();
    let of = |name: &str| {
        let path = format!("POST /services/{name}/rollback");
        rollbacks.iter().filter(|call| **call == path).count()
    };
    assert_eq!((of(BOTH[0]), of(BOTH[1])), (1, 2), "{rollbacks:?}");
    Ok(())
}

/// Their emergency rollback: every service back to the newest deploy of a commit.
const EMERGENCY: &str = r#"#!/bin/sh
set -eu
printf '%s|' emergency-rollback "$@" >> "$TOLD"; echo >> "$TOLD"
for service in srv-00000000000000000001 srv-00000000000000000002; do
  deploys=$(curl -fsS -H "Authorization: Bearer $KEY" "$API/services/$service/deploys?limit=20")
  deploy=$(printf '%s' "$deploys" | sed 's/{"cursor"/\n&/g' | grep "\"$3\"" | head -n 1 |
    sed 's/.*"cursor":"after-\([^"]*\)".*/\1/')
  curl -fsS -o /dev/null -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
    -d "{\"deployId\":\"$deploy\"}" "$API/services/$service/rollback"
  echo "$service goes back to $deploy"
done
"#;
/// Their maintenance mode.
const MAINTENANCE: &str = r#"#!/bin/sh
set -eu
printf '%s|' maintenance "$@" >> "$TOLD"; echo >> "$TOLD"
curl -fsS -o /dev/null -X POST "$SITE/admin/maintenance/$1"
"#;

/// Settings that name the scripts, which are written to `home`.
fn commands(home: &Path, api: &str) -> anyhow::Result<Value> {
    let script = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = home.join(name);
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path.display().to_string())
    };
    let (emergency, maintenance) =
        (script("emergency", EMERGENCY)?, script("maintenance", MAINTENANCE)?);
    let told = home.join("told").display().to_string();
    let turn = |which: &str| {
        let env = json!({ "TOLD": told, "SITE": { "env": "SITE_URL" } });
        json!({ "run": [maintenance, which, "${service}"], "timeout": "10s", "env": env })
    };
    Ok(json!({
        "emergency-rollback": {
            "run": [emergency, "${service}", "${environment}", "${target.revision}"],
            "timeout": "20s",
            "env": { "TOLD": told, "API": api, "KEY": { "env": "RENDER_API_KEY" } },
        },
        "maintenance-on": turn("on"),
        "maintenance-off": turn("off"),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn their_emergency_script_brings_both_back_once_within_maintenance_mode() -> anyhow::Result<()>
{
    let home = tempfile::tempdir()?;
    let by = ", by: { command: emergency-rollback }, \
              maintenance: { on: { command: maintenance-on }, off: { command: maintenance-off } }";
    let forge = Forge::start_with(Path::new(BINARY), by, |api| {
        commands(home.path(), api).unwrap_or_default()
    })
    .await?;
    for which in ["on", "off"] {
        forge.site.says(&format!("/admin/maintenance/{which}"), 200, "");
    }
    database_lost(&forge).await?;
    forge.visited("/admin/maintenance/on").await?;
    // Everybody is turned away meanwhile, by what goes back too.
    forge.site.says("/health", 503, "maintenance");
    forge.visited("/admin/maintenance/off").await?;
    assert_eq!(BOTH.map(|name| forge.render.live(name)), [Some('a'); 2], "in place before");
    forge.health("a", &[]);
    let bad = forge.daemon.outcome_of("c", MINUTE).await?;
    assert_eq!(bad["outcome"], "rolled_back", "{bad:#}");
    assert_eq!(bad["incident"]["status"], "resolved", "{bad:#}");

    let told = std::fs::read_to_string(home.path().join("told"))?;
    let ran: Vec<&str> = told.lines().collect();
    let back = format!("emergency-rollback|taskforge|production|{}|", "a".repeat(40));
    assert_eq!(ran, ["maintenance|on|taskforge|", &back, "maintenance|off|taskforge|"]);
    let rollbacks = BOTH.map(|name| format!("POST /services/{name}/rollback"));
    assert_eq!(forge.changes(), rollbacks, "nothing but what the script did");

    let one = format!("/api/v1/watches/{}", bad["id"].as_str().unwrap_or_default());
    let journal = forge.daemon.text(&format!("{one}/journal")).await?;
    for words in ["srv-00000000000000000002 goes back to dep-", "\"maintenance_left\":{\"Ok\""] {
        assert!(journal.contains(words), "{words}: {journal}");
    }
    let said = format!("{:?}", forge.slack.messages());
    for words in [
        "maintenance mode was turned on by the command `maintenance-on`",
        "the command `emergency-rollback` ended with exit code 0",
        "is back in place; checking that the numbers recover",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let report = forge.daemon.text(&format!("{one}/report.md")).await?;
    assert!(report.contains("maintenance mode was turned off"), "{report}");
    for (place, text) in [("Slack", said), ("the journal", journal), ("the report", report)] {
        assert!(!text.contains(API_KEY), "{place} tells the key");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn renders_webhook_is_a_hint_and_only_renders() -> anyhow::Result<()> {
    let forge = Forge::start(Path::new(BINARY)).await?;
    let (status, answer) = forge.event("deploy_ended", None).await?;
    assert_eq!((status, &answer["taken"]), (200, &"looked".into()), "{answer}");
    let (status, answer) = forge.event("server_restarted", None).await?;
    assert_eq!((status, &answer["taken"]), (200, &"server_restarted".into()));
    let (status, answer) = forge.event("deploy_ended", Some(b"another key")).await?;
    assert_eq!(status, 403, "{answer}");
    forge.render.storm(Some(RenderFault::Status(500)));
    let (status, answer) = forge.event("deploy_started", None).await?;
    assert_eq!(status, 503, "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_heartbeat_is_taken_from_whoever_may_and_from_renders_cron_jobs()
-> anyhow::Result<()> {
    let forge = Forge::start(Path::new(BINARY)).await?;
    let beat = async |job: &str, token: &str, body: Value| {
        let path = format!("/hooks/heartbeats/{job}");
        forge.daemon.post(&path, token, &body).await.map(|(status, _)| status)
    };
    assert_eq!(beat("auto-push", CI_TOKEN, json!({})).await?, 202);
    assert_eq!(beat("auto-push", CI_TOKEN, json!({ "status": "failed" })).await?, 202);
    assert_eq!(beat("auto-push", "nobody", json!({})).await?, 401);
    assert_eq!(beat("auto%20push", CI_TOKEN, json!({})).await?, 400);
    assert_eq!(beat("auto-push", CI_TOKEN, json!({ "status": "late" })).await?, 422);
    let (status, answer) = forge.event_of("cron_job_run_ended", "daily-sync", None).await?;
    assert_eq!((status, &answer["taken"]), (200, &"heartbeat of daily-sync".into()));

    let store = forge.daemon.home().join("deployguard.db");
    let store = Store::open(&format!("sqlite://{}", store.display())).await?;
    let kept: Vec<bool> = store.beats("auto-push").await?.iter().map(|beat| beat.well).collect();
    assert_eq!(kept, [true, false]);
    assert_eq!(store.beats("daily-sync").await?.len(), 1);
    for _ in 0..3 {
        let at = store.beats("daily-sync").await?[0].at;
        assert!(store.beat("daily-sync", Beat { at, well: false }).await?, "the same again");
    }
    let again: Vec<bool> = store.beats("daily-sync").await?.iter().map(|beat| beat.well).collect();
    assert_eq!(again, [false], "one beat, as it was told last");
    store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_of_taskforge_ends_well() -> anyhow::Result<()> {
    play(Path::new(BINARY)).await
}
