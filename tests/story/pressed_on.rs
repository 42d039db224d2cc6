//! A press comes to a daemon that stands by, and the one that leads is slow.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::presses::{MINUTE, guarded, signed, with_button, with_buttons};
use crate::world::daemon::{Daemon, announcement};
use crate::world::slack::press::{DANA, Request};
use crate::world::{World, WorldConfig};

/// Slack shows the person an error after this.
const SLACKS: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_answered_in_time_whatever_the_leader_does_and_the_person_is_told()
-> anyhow::Result<()> {
    let world = World::start(WorldConfig::default()).await?;
    let leader = guarded(&world).await?;
    let mut standby = with_buttons(&world)?;
    let store = format!("sqlite://{}", leader.home().join("deployguard.db").display());
    standby.settle(|settings| settings["store"] = json!(store))?;
    standby.start().await?;
    standby
        .wait_for("standing by", MINUTE, async |one| {
            let ready = one.get("/readyz").await?;
            Ok((ready["role"] == "standby" && !ready["leader"].is_null()).then_some(()))
        })
        .await?;
    world.deploy("v2", &[])?;
    leader.announce(&announcement("v2", "shopflow-api:2")).await?;
    let card = with_button(&leader, &world, "cancel").await?;
    let press = || anyhow::Ok(signed(&world.slack.press(&card, "cancel", 0, DANA)?));
    let send = async |request: &Request| {
        let begun = Instant::now();
        let status = request.send(standby.url()).await?;
        anyhow::ensure!(begun.elapsed() < SLACKS, "answered after {:?}", begun.elapsed());
        anyhow::Ok(status)
    };

    let forged = Request { signature: "v0=00".to_owned(), ..press()? };
    assert_eq!(send(&forged).await?, 401, "it is checked where it comes in");

    // One that never answers: the person hears that nobody knows.
    leader.signal(Signal::SIGSTOP)?;
    assert_eq!(send(&press()?).await?, 200);
    let first = async |_: &Daemon| Ok(world.slack.told().first().cloned());
    let words = standby.wait_for("the first answer", MINUTE, first).await?;
    assert!(words.contains("not known whether"), "{words}");

    // One that is only slow does it, and once: whether it still takes the first, whose
    // connection is gone by now, is chance.
    assert_eq!(send(&press()?).await?, 200);
    leader.signal(Signal::SIGCONT)?;
    let done = async |_: &Daemon| {
        Ok(world.slack.told().into_iter().find(|words| words.starts_with("Done.")))
    };
    standby.wait_for("what was done", MINUTE, done).await?;
    let ended = leader.outcome_of("v2", MINUTE).await?;
    assert_eq!(ended["outcome"], "cancelled", "{ended:#}");
    let told = world.slack.told();
    assert_eq!(told.iter().filter(|words| words.starts_with("Done.")).count(), 1, "{told:?}");
    Ok(())
}
