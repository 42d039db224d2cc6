//! People press buttons in Slack, and Slack tells of it over Socket Mode.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::BINARY;
use crate::presses::{MINUTE, told_after, with_button};
use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::slack::press::{DANA, EVE, Request, SIGNING_SECRET};
use crate::world::slack::socket::{APP_TOKEN, TICKET};
use crate::world::slack::{SlackFault, TOKEN};
use crate::world::{World, WorldConfig};

const OPEN: &str = "apps.connections.open";

/// A daemon with an app token and no signing secret; `settle` may change that.
fn at_home(world: &World, policy: &str, settle: impl FnOnce(&mut Value)) -> anyhow::Result<Daemon> {
    let daemon = Daemon::at_home(Path::new(BINARY), world, policy)?;
    daemon.settle(|settings| {
        settings["slack"]["app_token"] = json!({ "env": "SLACK_APP_TOKEN" });
        settings["slack"]["operators"] = json!(["S0ONCALL"]);
        settle(settings);
    })?;
    Ok(daemon)
}

async fn started(mut daemon: Daemon, world: &World) -> anyhow::Result<Daemon> {
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

/// Waits until so many connections are open, of so many that there ever were.
async fn open(daemon: &Daemon, world: &World, open: usize, ever: usize) -> anyhow::Result<()> {
    let what = format!("{open} connections of {ever}");
    daemon
        .wait_for(&what, MINUTE, async |_| {
            let all = world.slack.sockets();
            let is = all.len() == ever && all.iter().filter(|one| **one).count() == open;
            Ok(is.then_some(()))
        })
        .await
        .with_context(|| format!("{:?}\n{}", world.slack.sockets(), daemon.logs()))
}

/// Sends it over the socket, and answers its envelope and what the person was told.
async fn told(daemon: &Daemon, world: &World, payload: &Value) -> anyhow::Result<(String, String)> {
    let before = world.slack.told().len();
    let envelope = world.slack.send_interactive(payload)?;
    Ok((envelope, told_after(daemon, world, before).await?))
}

/// The value of a metric, by the beginning of its line.
async fn metric(daemon: &Daemon, name: &str) -> anyhow::Result<Option<f64>> {
    let text = daemon.text("/metrics").await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.map(|value| value.trim().parse()).transpose()?)
}

fn says_no_secret(daemon: &Daemon) {
    let logs = daemon.logs();
    for secret in [TICKET, APP_TOKEN, TOKEN, "ticket=", "/link/"] {
        assert!(!logs.contains(secret), "the log holds {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_over_the_socket_rolls_back_as_one_over_http_and_is_acknowledged_before()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let daemon = started(at_home(&world, STORY, |_| {})?, &world).await?;
    open(&daemon, &world, 1, 1).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let asked = with_button(&daemon, &world, "hold").await?;
    let press = |button: &str, who| world.slack.press(&asked, button, 0, who);

    let posted = Request::signed(&press("rollback", DANA)?, 0, "any");
    assert_eq!(posted.send(daemon.url()).await?, 404, "nothing is taken over HTTP unsigned");
    let mut foreign = press("rollback", DANA)?;
    foreign["team"]["id"] = json!("T0ELSEWHERE");
    let (_, words) = told(&daemon, &world, &foreign).await?;
    assert!(words.contains("not of the workspace"), "{words}");

    // The group hangs: whoever does the deed first acknowledges a second too late.
    let hang = Duration::from_secs(2);
    world.slack.fault("usergroups.users.list", &SlackFault::Hang(hang), 1);
    let sent = crate::world::now();
    let (envelope, words) = told(&daemon, &world, &press("rollback", EVE)?).await?;
    assert!(words.contains("the group S0ONCALL could not be read"), "{words}");
    let acknowledged = world.slack.acknowledged();
    let one = acknowledged.iter().find(|one| one.envelope == envelope).context("acknowledged")?;
    let took = one.at.duration_since(sent);
    assert!(took.as_secs_f64() < hang.as_secs_f64() / 2.0, "{took:?}");

    let (_, words) = told(&daemon, &world, &press("rollback", EVE)?).await?;
    assert!(words.contains("you are no operator of shopflow-api in production"), "{words}");
    assert!(world.mutations_by_client().is_empty(), "nobody who may has pressed");

    let (_, words) = told(&daemon, &world, &press("rollback", DANA)?).await?;
    assert!(words.contains("rolling back to shopflow-api:1"), "{words}");
    let ended = daemon.outcome_of("shopflow-api:2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(world.mutations_by_client().len(), 1, "exactly one rollback");
    let id = ended["id"].as_str().context("an id")?;
    let journal = daemon.get(&format!("/api/v1/watches/{id}/journal")).await?.to_string();
    assert!(journal.contains("\"by\":\"dana (U0DANA0001)\""), "the journal names the person");
    assert!(!journal.contains(EVE.id), "what was refused changed nothing");
    assert_eq!(world.slack.violations(), Vec::<String>::new());
    says_no_secret(&daemon);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_come_and_go_and_no_press_is_lost_or_done_twice() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    world.slack.fault(OPEN, &SlackFault::Error("invalid_auth"), 1);
    // Nothing ends by itself here, and presses may come either way.
    let policy = STORY.replace("until: 12s", "until: 8m").replace("until: 18s", "until: 9m");
    let signed = |settings: &mut Value| {
        settings["slack"]["signing_secret"] = json!({ "env": "SLACK_SIGNING_SECRET" });
    };
    let daemon = started(at_home(&world, &policy, signed)?, &world).await?;
    // Refused at first, which was told and did not stop anything; then it was tried again.
    open(&daemon, &world, 1, 1).await?;
    assert!(daemon.logs().contains("apps.connections.open: invalid_auth"), "it was told");
    assert!(daemon.logs().contains("see slack.app_token"), "and what to do about it");
    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let card = with_button(&daemon, &world, "cancel").await?;
    let press = |who| world.slack.press(&card, "cancel", 0, who);

    // What is none of ours is acknowledged, and what is no envelope does no harm.
    world.slack.say_over_socket(json!({ "type": "events_api", "envelope_id": "other" }))?;
    world.slack.say_over_socket(json!(["no envelope"]))?;
    let refused = press(EVE)?;
    let (first, words) = told(&daemon, &world, &refused).await?;
    assert!(words.contains("no operator"), "{words}");
    assert_eq!(world.slack.acknowledged()[0].envelope, "other");

    // The old one is there until the new one is.
    for (ever, reason) in [(2, "warning"), (3, "refresh_requested")] {
        world.slack.say_over_socket(json!({ "type": "disconnect", "reason": reason,
            "debug_info": { "host": "stand-in" } }))?;
        open(&daemon, &world, 2, ever).await?;
        world.slack.end_socket(ever - 2, true)?;
        open(&daemon, &world, 1, ever).await?;
    }
    // What was refused over the first is known over the third, and nobody is told again.
    let before = (world.slack.told().len(), world.slack.acknowledged().len());
    world.slack.send_again(&first, &refused, 1)?;
    let known = async |_: &Daemon| Ok(world.slack.acknowledged().get(before.1).cloned());
    let again = daemon.wait_for("the second acknowledgement", MINUTE, known).await?;
    assert_eq!((again.envelope, again.over), (first, 2));
    assert_eq!(Request::signed(&refused, 0, SIGNING_SECRET).send(daemon.url()).await?, 200);
    let words = told_after(&daemon, &world, before.0).await?;
    assert!(words.contains("it was pressed already"), "known whichever way it comes: {words}");

    // The server goes away, and is not there for a while.
    world.slack.fault(OPEN, &SlackFault::ServerError, 1);
    world.slack.end_socket(2, false)?;
    let down = "deployguard_slack_socket_connected 0";
    let is_down = async |daemon: &Daemon| {
        let ready = daemon.get("/readyz").await?;
        let why = ready["detail"]["slack_socket"]["because"].as_str().map(str::to_owned);
        let seen = daemon.text("/metrics").await?.contains(down);
        Ok(why.filter(|_| seen && ready["ready"] == json!(true)))
    };
    daemon.wait_for("words about it", MINUTE, is_down).await?;
    open(&daemon, &world, 1, 4).await?;
    assert!(world.slack.pongs() > 0, "pings are answered");

    let pressed = press(DANA)?;
    let (envelope, words) = told(&daemon, &world, &pressed).await?;
    assert!(words.contains("cancelled by dana (U0DANA0001)"), "{words}");
    world.slack.send_again(&envelope, &pressed, 1)?;
    let twice = async |_: &Daemon| {
        let all = world.slack.acknowledged();
        Ok((all.iter().filter(|one| one.envelope == envelope).count() == 2).then_some(()))
    };
    daemon.wait_for("the second acknowledgement", MINUTE, twice).await?;
    let ended = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(ended["outcome"], "cancelled", "{ended:#}");
    assert_eq!(world.slack.told().len(), before.0 + 2, "nobody was told twice");
    assert_eq!(metric(&daemon, "deployguard_slack_socket_connected ").await?, Some(1.0));
    let opened = "deployguard_slack_socket_connects_total{result=\"ok\"} ";
    assert_eq!(metric(&daemon, opened).await?, Some(4.0));
    let ready = daemon.get("/readyz").await?;
    assert!(ready["detail"]["slack_socket"].is_null(), "{ready:#}");

    is_handed_over(daemon, &world, &policy).await
}

/// Who stands by has no connection; it gets one with the lead, and leaves none behind.
async fn is_handed_over(mut daemon: Daemon, world: &World, policy: &str) -> anyhow::Result<()> {
    let store = format!("sqlite://{}", daemon.home().join("deployguard.db").display());
    let mut second = at_home(world, policy, |settings| settings["store"] = json!(store))?;
    second.start().await?;
    let stands_by = async |second: &Daemon| Ok((second.role().await == "standby").then_some(()));
    second.wait_for("the second to stand by", MINUTE, stands_by).await?;
    assert_eq!(world.slack.sockets(), [false, false, false, true]);
    daemon.terminate().await?;
    open(&second, world, 1, 5).await?;
    second.terminate().await?;
    open(&second, world, 0, 5).await?;
    says_no_secret(&daemon);
    says_no_secret(&second);
    Ok(())
}

/// What `doctor` says of Socket Mode: the grade, what, and what to do about it.
async fn examined(daemon: &Daemon, world: &World, token: &str) -> anyhow::Result<String> {
    let config = daemon.home().join("deployguard.yaml");
    let environment: Vec<(&str, String)> = world.environment().into_iter().collect();
    let mut command = Command::new(BINARY);
    command.args(["doctor", "--json", "--config"]).arg(config).envs(environment);
    command.env("SLACK_BOT_TOKEN", TOKEN).env("SLACK_APP_TOKEN", token);
    command.env("CI_TOKEN", CI_TOKEN).env("OPS_TOKEN", OPS_TOKEN);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(TICKET) && !text.contains(APP_TOKEN), "{text}");
    if text.is_empty() {
        return Ok(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let lines: Vec<Value> = serde_json::from_str(&text)?;
    let is = |line: &&Value| line["what"].as_str().is_some_and(|w| w.starts_with("Socket Mode"));
    let line = lines.iter().find(is).with_context(|| text.clone())?;
    let part = |name: &str| line[name].as_str().unwrap_or_default();
    Ok(format!("{}: {} -> {}", part("grade"), part("what"), part("mend")))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_socket_mode_lacks() -> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let daemon = at_home(&world, STORY, |_| {})?;
    let said = examined(&daemon, &world, APP_TOKEN).await?;
    assert!(said.starts_with("ok: Socket Mode connects"), "{said}");
    let said = examined(&daemon, &world, "xapp-1-another").await?;
    assert!(said.starts_with("fail: ") && said.contains("make a new app-level token"), "{said}");
    world.slack.fault(OPEN, &SlackFault::Error("missing_scope"), 1);
    let said = examined(&daemon, &world, APP_TOKEN).await?;
    assert!(said.contains("missing_scope -> give the app-level token the scope"), "{said}");
    world.slack.turn_socket_mode(false);
    let said = examined(&daemon, &world, APP_TOKEN).await?;
    assert!(said.contains("-> turn Socket Mode on in the app's settings"), "{said}");
    let said = examined(&daemon, &world, TOKEN).await?;
    assert!(said.contains("slack.app_token is no app-level token"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    Ok(())
}
