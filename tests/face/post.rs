//! A world whose ECS sends events, and a daemon that lives by them.

use std::path::Path;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::house::{BINARY, LONG};
use crate::world::aws::sns::{Sns, TOPIC};
use crate::world::daemon::Daemon;
use crate::world::{World, WorldConfig};

pub const QUEUE: &str = "deployguard-events";
/// Deliveries of a message before it is a dead letter.
pub const MOST: u32 = 3;

/// A world whose ECS sends events, and a daemon that lives by them.
pub struct Post {
    pub world: World,
    pub daemon: Daemon,
    pub sns: Sns,
    pub url: String,
}

impl Post {
    /// The daemon has looked once, and looks again in an hour.
    pub async fn open(policy: &str) -> anyhow::Result<Self> {
        Self::with_dead_letters_after(MOST, policy).await
    }

    pub async fn with_dead_letters_after(most: u32, policy: &str) -> anyhow::Result<Self> {
        let config = WorldConfig { requests_per_second: 40, ..WorldConfig::default() };
        let world = World::start(config).await?;
        let sns = Sns::start().await?;
        let url = world.ecs.events_to(QUEUE, most);
        let daemon = Daemon::at_home(Path::new(BINARY), &world, policy)?;
        let file = daemon.home().join("deployguard.yaml");
        let mut settings: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        settings["discover"] = json!({
            "ecs": { "every": "1h" },
            "sqs": { "queue": url },
            "sns": { "topics": [TOPIC] },
        });
        std::fs::write(&file, settings.to_string())?;
        let mut post = Self { world, daemon, sns, url };
        post.start("").await?;
        post.daemon.knows_its_world(&post.world).await?;
        Ok(post)
    }

    /// Starts the daemon, to die at the crash point if one is named.
    pub async fn start(&mut self, point: &str) -> anyhow::Result<()> {
        let sns = self.sns.url();
        let action = format!("{point}=1*return->off");
        let mut more = vec![("DEPLOYGUARD_TEST_SNS", sns.as_str())];
        if !point.is_empty() {
            more.push(("FAILPOINTS", action.as_str()));
        }
        self.daemon.start_with(&more).await
    }

    /// Waits for the watch over this deployment; there must be one only.
    pub async fn watched(&self, id: &str) -> anyhow::Result<Value> {
        self.until(&format!("a watch over {id}"), async |post| {
            let mut of = post.watches_of(id).await?;
            ensure!(of.len() <= 1, "several watches over {id}: {of:#?}");
            Ok(of.pop())
        })
        .await
    }

    /// The watches over an ECS deployment.
    async fn watches_of(&self, id: &str) -> anyhow::Result<Vec<Value>> {
        let mut of = Vec::new();
        for watch in self.daemon.watches().await? {
            let path = format!("/api/v1/watches/{}/journal", watch["id"].as_str().unwrap());
            if self.daemon.get(&path).await?.to_string().contains(id) {
                of.push(watch);
            }
        }
        // The watch that is superseded names what came after it.
        of.retain(|watch| watch["outcome"] != "superseded");
        Ok(of)
    }

    pub async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut(&Post) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        self.daemon.wait_for(what, LONG, async |_| look(self).await).await
    }

    /// Waits until every message of the queue is deleted.
    pub async fn emptied(&self) -> anyhow::Result<()> {
        self.until("an empty queue", async |post| {
            Ok(post.world.ecs.queued(QUEUE).is_empty().then_some(()))
        })
        .await
    }

    pub fn send(&self, body: &str) {
        let message = json!({ "QueueUrl": self.url, "MessageBody": body });
        self.world.ecs.call_sqs("SendMessage", &message).expect("sent");
    }

    /// The event that a deployment has begun.
    pub async fn begun(&self, id: &str) -> anyhow::Result<Value> {
        self.until("the event", async |post| {
            let events = post.world.ecs.events();
            Ok(events.into_iter().find(|event| {
                event["detail"]["deploymentId"] == id
                    && event["detail"]["eventName"] == "SERVICE_DEPLOYMENT_IN_PROGRESS"
            }))
        })
        .await
    }

    pub async fn post_sns(&self, message: &Value) -> anyhow::Result<(u16, Value)> {
        self.daemon.post("/hooks/sns", "nobody-needs-a-token", message).await
    }

    /// How often ECS was asked for this service.
    pub fn looks_at(&self, service: &str) -> usize {
        let calls = self.world.ecs.calls();
        let looks = calls.iter().filter(|call| call.operation == "DescribeServices");
        looks.filter(|call| call.body["services"].to_string().contains(service)).count()
    }

    pub async fn counted(&self, path: &str, result: &str) -> anyhow::Result<u32> {
        let text = self.daemon.text("/metrics").await?;
        let name = format!("deployguard_events_total{{path=\"{path}\",result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
        Ok(line.unwrap_or_default())
    }
}
