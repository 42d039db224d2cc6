//! The daemon is killed, at every effect boundary of the story and at random times, and
//! started again: the same end, one effective rollback, no message lost or said twice.

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use serde_json::{Value, json};

use crate::world::daemon::{Daemon, STORY, announcement};
use crate::world::{World, WorldConfig};
use crate::{BINARY, ending};

/// Everything around one bad deployment.
struct Story {
    world: World,
    daemon: Daemon,
    kills: u32,
}

impl Story {
    async fn begin() -> anyhow::Result<Self> {
        Self::begin_with(STORY).await
    }

    async fn begin_with(policy: &str) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::default()).await?;
        let mut daemon = Daemon::at_home(Path::new(BINARY), &world, policy)?;
        daemon.start().await?;
        daemon.knows_its_world(&world).await?;
        daemon.terminate().await?;
        Ok(Self { world, daemon, kills: 0 })
    }

    /// Deploys the bad version with the daemon set to die at `point`.
    async fn deploy_bad(&mut self, point: &str) -> anyhow::Result<()> {
        self.start_to_die_at(point).await?;
        self.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
        self.announce("shopflow-api:2").await
    }

    /// Announces as a pipeline does: again until it is acknowledged.
    async fn announce(&mut self, definition: &str) -> anyhow::Result<()> {
        for _ in 0..100 {
            let said = self.daemon.announce(&announcement("v2", definition)).await;
            match said {
                Ok((202, _)) => return Ok(()),
                Ok((status, answer)) => anyhow::bail!("{status}: {answer}"),
                Err(_) if self.daemon.has_died() => {
                    self.kills += 1;
                    self.daemon.start().await?;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        anyhow::bail!("the hook was never acknowledged")
    }

    async fn start_to_die_at(&mut self, point: &str) -> anyhow::Result<()> {
        let action = point.replace('@', "=");
        let action = if action.contains('=') { action } else { format!("{action}=1*return->off") };
        self.daemon.start_with(&[("FAILPOINTS", &action)]).await
    }

    /// Waits until the daemon has died at its point. `false`: it never came there.
    async fn dies(&mut self, within: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < deadline {
            if self.daemon.has_died() {
                self.kills += 1;
                self.daemon.kill();
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// What must hold however often it was killed.
    async fn ends_well(&mut self) -> anyhow::Result<()> {
        let watch = self.daemon.outcome_of("v2", Duration::from_mins(3)).await?;
        assert_eq!(watch["outcome"], "rolled_back", "{watch:#}");
        assert_eq!(watch["incident"]["status"], "resolved", "{watch:#}");
        assert_eq!(self.world.task_definition_in_place(), "shopflow-api:1");
        ending::rolled_back_once(&self.world);
        ending::outbox_is_empty(&self.daemon).await?;
        ending::thread_is_whole(&self.world);
        self.journal_is_whole(&watch).await
    }

    async fn journal_is_whole(&mut self, watch: &Value) -> anyhow::Result<()> {
        self.daemon.terminate().await?;
        let path = self.daemon.home().join("deployguard.db");
        let id = watch["id"].as_str().unwrap_or_default();
        ending::journal_tells_the_state(&format!("sqlite://{}", path.display()), id).await
    }
}

/// Dies at each of these in turn within one story, and at some of them late.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_boundary_of_one_story_it_ends_the_same() -> anyhow::Result<()> {
    let mut story = Story::begin().await?;
    story.deploy_bad("commit-before@2*off->1*return->off").await?;
    let boundaries = [
        "commit-after",
        "send-before",
        "send-after",
        "commit-before@4*off->1*return->off",
        "commit-after@4*off->1*return->off",
        "permit-before",
        "permit-after",
        "share-before",
        "share-after",
        "ecs-before-act",
        "ecs-after-act",
        "act-after",
        "commit-before",
        "send-before",
        "send-after",
        "commit-after@6*off->1*return->off",
    ];
    for boundary in boundaries {
        story.daemon.kill();
        story.start_to_die_at(boundary).await?;
        // A boundary that this story has passed already is not waited for for ever.
        if !story.dies(Duration::from_secs(25)).await {
            println!("never came to {boundary}");
        }
    }
    if story.daemon.has_died() {
        story.daemon.start().await?;
    }
    println!("kills: {}", story.kills);
    assert!(story.kills >= 12, "only {} kills", story.kills);
    story.ends_well().await
}

/// Dies once, exactly there.
async fn killed_once_at(point: &str) -> anyhow::Result<()> {
    let mut story = Story::begin().await?;
    story.deploy_bad(point).await?;
    assert!(story.dies(Duration::from_mins(1)).await, "the story comes to {point}");
    story.daemon.start().await?;
    story.ends_well().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_the_permit_in_hand_it_rolls_back_once() -> anyhow::Result<()> {
    killed_once_at("permit-after").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_before_the_call_it_rolls_back_once() -> anyhow::Result<()> {
    killed_once_at("ecs-before-act").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_the_call_it_rolls_back_once() -> anyhow::Result<()> {
    killed_once_at("ecs-after-act").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_answer_is_kept_it_rolls_back_once() -> anyhow::Result<()> {
    killed_once_at("act-after").await
}

/// A bad image is pushed under the tag that runs, and deployed by force.
#[tokio::test(flavor = "multi_thread")]
async fn killed_around_the_registration_of_a_pinned_revision_it_registers_and_rolls_back_once()
-> anyhow::Result<()> {
    let policy = STORY.replace("cooldown: 1h", "cooldown: 1h, pin_digests: true");
    let mut story = Story::begin_with(&policy).await?;
    let bad = format!("sha256:{}", "bad0".repeat(16));
    story.start_to_die_at("ecs-before-register").await?;
    story.world.ecs.bake(&bad, &[("ERROR_RATE", "0.4")]);
    story.world.ecs.push_image("registry.example/shopflow-api:v1", &bad);
    let forced = json!({
        "cluster": "shopflow-production", "service": "shopflow-api", "forceNewDeployment": true,
    });
    story.world.ecs.call("UpdateService", &forced).map_err(|error| anyhow!("{error:?}"))?;
    story.announce("shopflow-api:1").await?;
    assert!(story.dies(Duration::from_mins(1)).await, "it comes to the registration");
    story.start_to_die_at("ecs-after-register").await?;
    assert!(story.dies(Duration::from_mins(1)).await, "it registers");
    story.daemon.start().await?;

    let watch = story.daemon.outcome_of("v2", Duration::from_mins(3)).await?;
    assert_eq!(watch["outcome"], "rolled_back", "{watch:#}");
    assert_eq!(watch["incident"]["status"], "resolved", "{watch:#}");
    let rollbacks = story.world.mutations_by_client();
    assert_eq!(rollbacks.len(), 1, "one effective rollback: {rollbacks:?}");
    assert_eq!(story.world.task_definition_in_place(), "shopflow-api:2");
    let calls = story.world.ecs.calls();
    let registered = calls.iter().filter(|call| call.operation == "RegisterTaskDefinition");
    let registered: Vec<_> = registered.map(|call| call.body.to_string()).collect();
    assert_eq!(registered.len(), 1, "registered once: {registered:?}");
    assert!(registered[0].contains("shopflow-api@sha256:"), "{registered:?}");
    assert!(!registered[0].contains(&bad), "{registered:?}");
    ending::outbox_is_empty(&story.daemon).await?;
    ending::nothing_is_said_twice(&story.world);
    let threads = story.world.slack.threads();
    let [thread] = &threads[..] else { panic!("one deployment, one thread: {threads:#?}") };
    let pinned = thread.replies.iter().filter(|reply| reply.contains("pinned to"));
    assert_eq!(pinned.count(), 1, "{thread:#?}");
    story.journal_is_whole(&watch).await
}

/// Kills at random times until the story is over.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_times_it_ends_the_same() -> anyhow::Result<()> {
    let mut random = seed();
    let mut story = Story::begin().await?;
    story.daemon.start().await?;
    story.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    story.announce("shopflow-api:2").await?;
    for _ in 0..12 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tokio::time::sleep(Duration::from_millis(200 + random % 2500)).await;
        story.daemon.kill();
        story.kills += 1;
        story.daemon.start().await?;
    }
    println!("kills: {}", story.kills);
    story.ends_well().await
}

/// `DEPLOYGUARD_SEED` repeats the times of a run.
pub fn seed() -> u64 {
    let seed = std::env::var("DEPLOYGUARD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 + 1);
    println!("DEPLOYGUARD_SEED={seed}");
    seed
}
