//! People press buttons in Slack.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::BINARY;
use crate::world::daemon::{Daemon, STORY, announcement};
use crate::world::slack::press::{DANA, EVE, Person, Request, SIGNING_SECRET};
use crate::world::slack::{Message, SlackFault};
use crate::world::{World, WorldConfig};

pub const MINUTE: Duration = Duration::from_mins(1);
const BILLING: Person = Person { id: "U0BILLING1", name: "bill" };

pub async fn guarded(world: &World) -> anyhow::Result<Daemon> {
    let mut daemon = with_buttons(world)?;
    daemon.start().await?;
    daemon.knows_its_world(world).await?;
    Ok(daemon)
}

/// A daemon that takes presses, not started yet.
pub fn with_buttons(world: &World) -> anyhow::Result<Daemon> {
    let daemon = Daemon::at_home(Path::new(BINARY), world, STORY)?;
    daemon.settle(|settings| {
        settings["slack"]["signing_secret"] = json!({ "env": "SLACK_SIGNING_SECRET" });
        settings["slack"]["operators"] =
            json!(["S0ONCALL", { "who": [BILLING.id], "services": ["billing-*"] }]);
    })?;
    Ok(daemon)
}

/// The newest message that shows the button.
pub async fn with_button(daemon: &Daemon, world: &World, name: &str) -> anyhow::Result<Message> {
    let wanted = format!("\"deployguard.{name}\"");
    daemon
        .wait_for(&format!("a button {name}"), MINUTE, async |_| {
            let shows = |message: &Message| message.blocks.to_string().contains(&wanted);
            Ok(world.slack.messages().into_iter().rev().find(shows))
        })
        .await
}

/// Sends it, which must be taken, and answers what the person was told.
async fn told(daemon: &Daemon, world: &World, request: &Request) -> anyhow::Result<String> {
    let before = world.slack.told().len();
    anyhow::ensure!(request.send(daemon.url()).await? == 200);
    told_after(daemon, world, before).await
}

/// What somebody is told after so many were.
pub async fn told_after(daemon: &Daemon, world: &World, before: usize) -> anyhow::Result<String> {
    daemon
        .wait_for("an answer", MINUTE, async |_| Ok(world.slack.told().get(before).cloned()))
        .await
}

pub fn signed(payload: &Value) -> Request {
    Request::signed(payload, 0, SIGNING_SECRET)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_held_acknowledged_and_approved_by_an_operator_and_by_nobody_else()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let daemon = guarded(&world).await?;
    world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let asked = with_button(&daemon, &world, "hold").await?;
    let press = |button: &str, who| world.slack.press(&asked, button, 0, who);

    let payload = press("rollback", DANA)?;
    let forged = Request::signed(&payload, 0, "another-secret");
    assert_eq!(forged.send(daemon.url()).await?, 401, "not signed by Slack");
    let old = Request::signed(&payload, 301, SIGNING_SECRET);
    assert_eq!(old.send(daemon.url()).await?, 401, "signed too long ago");
    let changed = Request { body: signed(&payload).body + "&x=1", ..signed(&payload) };
    assert_eq!(changed.send(daemon.url()).await?, 401, "another body than was signed");
    let mut foreign = press("rollback", DANA)?;
    foreign["team"]["id"] = json!("T0ELSEWHERE");
    let words = told(&daemon, &world, &signed(&foreign)).await?;
    assert!(words.contains("not of the workspace"), "{words}");
    for who in [EVE, BILLING] {
        let words = told(&daemon, &world, &signed(&press("rollback", who)?)).await?;
        assert!(words.contains("you are no operator of shopflow-api in production"), "{words}");
    }
    assert!(world.mutations_by_client().is_empty(), "nobody who may has pressed");

    let hold = signed(&press("hold", DANA)?);
    let words = told(&daemon, &world, &hold).await?;
    assert!(words.starts_with("Done. "), "{words}");
    let words = told(&daemon, &world, &hold).await?;
    assert!(words.contains("it was pressed already"), "{words}");
    let words = told(&daemon, &world, &signed(&press("hold", DANA)?)).await?;
    assert!(words.contains("it has been held once already"), "{words}");
    let words = told(&daemon, &world, &signed(&press("ack", DANA)?)).await?;
    assert!(words.contains("acknowledged by dana (U0DANA0001)"), "{words}");
    let seen = |message: &Message| {
        let blocks = message.blocks.to_string();
        message.thread_ts.is_none()
            && blocks.contains("deployguard.resume")
            && !blocks.contains("deployguard.ack")
    };
    daemon
        .wait_for("the card without the button that is spent", MINUTE, async |_| {
            Ok(world.slack.messages().into_iter().find(seen))
        })
        .await?;

    let approve = signed(&press("rollback", DANA)?);
    let words = told(&daemon, &world, &approve).await?;
    assert!(words.contains("rolling back to shopflow-api:1"), "{words}");
    let ended = daemon.outcome_of("shopflow-api:2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    let words = told(&daemon, &world, &signed(&press("rollback", DANA)?)).await?;
    assert!(words.contains("the watch has ended") && words.contains("rolled back"), "{words}");
    assert_eq!(world.mutations_by_client().len(), 1, "exactly one rollback");
    let id = ended["id"].as_str().context("an id")?;
    let journal = daemon.get(&format!("/api/v1/watches/{id}/journal")).await?.to_string();
    assert!(journal.contains("\"by\":\"dana (U0DANA0001)\""), "the journal names the person");
    assert!(!journal.contains(EVE.id), "what was refused changed nothing");
    assert_eq!(world.slack.violations(), Vec::<String>::new());
    assert!(!daemon.logs().contains(SIGNING_SECRET));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_watch_is_cancelled_from_its_card_unless_the_group_cannot_be_read()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let daemon = guarded(&world).await?;
    world.deploy("v2", &[])?;
    daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let card = with_button(&daemon, &world, "cancel").await?;
    world.slack.fault("usergroups.users.list", &SlackFault::Error("missing_scope"), 1);
    let payload = world.slack.press(&card, "cancel", 0, DANA)?;
    let words = told(&daemon, &world, &signed(&payload)).await?;
    assert!(words.contains("the group S0ONCALL could not be read"), "{words}");
    assert!(words.contains("missing_scope"), "{words}");
    let again = told(&daemon, &world, &signed(&payload)).await?;
    assert!(again.contains("pressed already"), "what was refused is not done later: {again}");
    let payload = world.slack.press(&card, "cancel", 0, DANA)?;
    let words = told(&daemon, &world, &signed(&payload)).await?;
    assert!(words.contains("cancelled by dana (U0DANA0001)"), "{words}");
    let ended = daemon.outcome_of("v2", MINUTE).await?;
    assert_eq!(ended["outcome"], "cancelled", "{ended:#}");
    Ok(())
}
