//! Two daemons on one Postgres, and what happens to them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::time::Instant;

use crate::world::daemon::{Daemon, STORY, announcement};
use crate::world::postgres::Postgres;
use crate::world::{World, WorldConfig};
use crate::{BINARY, ending};

/// Within this somebody else leads.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

/// A world with two daemons in it. The first to be started leads.
pub struct Pair {
    pub world: World,
    pub daemons: [Daemon; 2],
    pub postgres: Postgres,
    /// From each end of a leader to the next one's lead.
    pub took: Vec<Duration>,
    /// The epoch of the last takeover that was seen.
    pub led: i64,
}

impl Pair {
    /// Lays everything out; starts no daemon.
    pub async fn at_home() -> anyhow::Result<Self> {
        let postgres = Postgres::start().await?;
        let world = World::start(WorldConfig::default()).await?;
        let daemon = || {
            let mut daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
            daemon.use_postgres(&postgres)?;
            anyhow::Ok(daemon)
        };
        let daemons = [daemon()?, daemon()?];
        Ok(Self { world, daemons, postgres, took: Vec::new(), led: 0 })
    }

    /// The first one leads with fail points set, and knows its world; the second stands by.
    pub async fn begin(points: [&str; 2]) -> anyhow::Result<Self> {
        let mut pair = Self::at_home().await?;
        pair.start(0, points[0]).await?;
        pair.daemons[0].knows_its_world(&pair.world).await?;
        pair.start(1, points[1]).await?;
        pair.is(1, "standby").await?;
        Ok(pair)
    }

    pub async fn start(&mut self, which: usize, point: &str) -> anyhow::Result<()> {
        if point.is_empty() {
            return self.daemons[which].start().await;
        }
        self.daemons[which].start_with(&[("FAILPOINTS", point)]).await
    }

    /// Returns once that one has this role, and knows who leads if it stands by.
    pub async fn is(&self, which: usize, role: &str) -> anyhow::Result<()> {
        let what = format!("daemon {which} to be {role}");
        self.daemons[which]
            .wait_for(&what, Duration::from_secs(20), async |daemon| {
                let ready = daemon.get("/readyz").await?;
                let knows = role == "leading" || ready["leader"].is_string();
                Ok((ready["role"] == role && knows).then_some(()))
            })
            .await
    }

    /// Whether the story has ended already: nothing more is kept then.
    pub async fn is_over(&self) -> anyhow::Result<bool> {
        Ok(self.postgres.sql("SELECT COUNT(*) FROM watches WHERE is_open = 1").await? == "0")
    }

    /// Deploys the bad version and announces it as a pipeline does, again until it is
    /// acknowledged by whichever of the two can.
    pub async fn deploy_bad(&self) -> anyhow::Result<()> {
        self.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
        self.announce_until_kept().await
    }

    pub async fn announce_until_kept(&self) -> anyhow::Result<()> {
        for turn in 0..400 {
            let daemon = &self.daemons[turn % 2];
            match daemon.announce(&announcement("v2", "shopflow-api:2")).await {
                Ok((202, _)) => return Ok(()),
                Ok((503, _)) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok((status, answer)) => bail!("{status}: {answer}"),
            }
        }
        bail!("the hook was never acknowledged")
    }

    /// Which of them dies first; none if the story ends before.
    pub async fn death(&mut self, within: Duration) -> anyhow::Result<Option<usize>> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            for which in 0..2 {
                if self.daemons[which].has_died() {
                    self.daemons[which].kill();
                    return Ok(Some(which));
                }
            }
            if self.is_over().await? {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("nobody dies, and the story does not end")
    }

    /// A leader of this epoch has just died or stands still: returns once its successor
    /// has kept something, and answers how long it took to lead. What is kept is later
    /// than the death, and of a later epoch; when depends on what there is to keep.
    pub async fn is_taken_over(&mut self, epoch: i64) -> anyhow::Result<Duration> {
        let (since, died) = (self.database_ms().await?, Instant::now());
        let pause = Duration::from_millis(20);
        loop {
            self.led = self.epoch().await?;
            if self.led > epoch {
                break;
            }
            ensure!(died.elapsed() < TAKEN_OVER_WITHIN, "nobody took over");
            tokio::time::sleep(pause).await;
        }
        let took = died.elapsed();
        self.took.push(took);
        let kept = format!("SELECT COUNT(*) FROM watches WHERE updated_ms > {since}");
        while self.postgres.sql(&kept).await? == "0" {
            if self.is_over().await? {
                println!("taken over after {took:.2?}; the story was over before");
                return Ok(took);
            }
            ensure!(died.elapsed() < 2 * TAKEN_OVER_WITHIN, "nothing is kept");
            tokio::time::sleep(pause).await;
        }
        println!("taken over after {took:.2?}, first commit after {:.2?}", died.elapsed());
        Ok(took)
    }

    pub async fn epoch(&self) -> anyhow::Result<i64> {
        Ok(self.postgres.sql("SELECT epoch FROM lease").await?.parse()?)
    }

    async fn database_ms(&self) -> anyhow::Result<i64> {
        let now = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";
        Ok(self.postgres.sql(now).await?.parse()?)
    }

    /// The one that leads, once one does.
    pub async fn leader(&self) -> anyhow::Result<usize> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            for which in 0..2 {
                if self.daemons[which].role().await == "leading" {
                    return Ok(which);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("nobody leads")
    }

    /// The one watch of the story, as the store has it.
    pub async fn watch(&self, which: usize) -> anyhow::Result<Value> {
        let watches = self.daemons[which].watches().await?;
        watches.into_iter().find(|watch| watch["version"] == "v2").context("the watch")
    }

    /// What must hold whatever happened to them.
    pub async fn ends_well(&mut self) -> anyhow::Result<()> {
        let leader = self.leader().await?;
        let watch = self.daemons[leader].outcome_of("v2", Duration::from_mins(3)).await?;
        assert_eq!(watch["outcome"], "rolled_back", "{watch:#}");
        assert_eq!(watch["incident"]["status"], "resolved", "{watch:#}");
        ending::rolled_back_once(&self.world);
        ending::outbox_is_empty(&self.daemons[leader]).await?;
        ending::thread_is_whole(&self.world);
        for daemon in &mut self.daemons {
            daemon.terminate().await?;
        }
        let id = watch["id"].as_str().unwrap_or_default();
        ending::journal_tells_the_state(&self.postgres.whole_url(), id).await?;
        if let Some(longest) = self.took.iter().max() {
            println!("{} takeovers, {longest:.2?} at most", self.took.len());
        }
        Ok(())
    }
}
