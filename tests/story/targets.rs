//! Two accounts, guarded by one daemon.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::BINARY;
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, Fault, NoProcesses};
use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::timeline::Timeline;
use crate::world::{World, WorldConfig};

const HERE: &str = "arn:aws:iam::123456789012:role/deployguard";
const THERE: &str = "arn:aws:iam::111122223333:role/deployguard";
const THERE_PLACE: &str = "there/shopflow-production/shopflow-api";

struct Two {
    /// The account `here`.
    world: World,
    /// The account `there`, where nothing runs but ECS.
    there: Ecs,
    daemon: Daemon,
}

impl Two {
    /// Both accounts answer only the role; `external_id` is what the daemon says there, where
    /// `right` is right.
    async fn open(external_id: &str) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::default()).await?;
        let settings = Settings {
            region: "eu-west-1".into(),
            account: "111122223333".into(),
            step: Duration::from_millis(100),
            ..Settings::default()
        };
        let there = Ecs::start(settings, Arc::new(NoProcesses), Timeline::default()).await?;
        let call = |operation: &str, body: Value| {
            there.call(operation, &body).map_err(|error| anyhow::anyhow!("{operation}: {error:?}"))
        };
        call("CreateCluster", json!({ "clusterName": "shopflow-production" }))?;
        register(&there)?;
        call(
            "CreateService",
            json!({
                "cluster": "shopflow-production",
                "serviceName": "shopflow-api",
                "taskDefinition": "shopflow-api:1",
                "desiredCount": 1,
                "launchType": "FARGATE",
                "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
            }),
        )?;
        there.wait_stable("shopflow-api").await;
        world.ecs.trust(HERE, "right");
        there.trust(THERE, "right");
        let daemon = Daemon::at_home(Path::new(BINARY), &world, STORY)?;
        daemon.settle(|settings| {
            settings["aws"] = json!({});
            settings["targets"] = json!({
                "here": {
                    "role_arn": HERE,
                    "external_id": "right",
                    "sqs": { "queue": world.ecs.events_to("events", 3) },
                },
                "there": {
                    "region": "eu-west-1",
                    "role_arn": THERE,
                    "external_id": external_id,
                    "endpoint_url": there.url(),
                },
            });
        })?;
        Ok(Self { world, there, daemon })
    }

    /// Deploys there, and waits until that is watched.
    async fn begins_there(&self) -> anyhow::Result<()> {
        register(&self.there)?;
        let update = json!({
            "cluster": "shopflow-production", "service": "shopflow-api",
            "taskDefinition": "shopflow-api:2",
        });
        let begun = async |daemon: &Daemon| {
            let watches = daemon.watches().await?;
            Ok(watches.into_iter().find(|watch| watch["place"] == THERE_PLACE))
        };
        // It is a deployment only for who has seen what was in place before.
        self.daemon
            .wait_for("a look there", Duration::from_secs(20), async |_| {
                let looked =
                    self.there.calls().iter().any(|call| call.operation == "DescribeServices");
                Ok(looked.then_some(()))
            })
            .await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.there.call("UpdateService", &update).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        self.daemon.wait_for("a watch there", Duration::from_secs(20), begun).await?;
        Ok(())
    }

    /// Whether `/readyz` says something that begins and goes on like this.
    async fn says(&self, begins: &str, holds: &str) -> anyhow::Result<String> {
        let what = format!("words about {begins}");
        let said = async |daemon: &Daemon| {
            let ready = daemon.get("/readyz").await?;
            let all = ready["obstacles"].as_array().into_iter().flatten();
            let mut told = all.filter_map(|one| one.as_str().map(str::to_owned));
            Ok(told.find(|one| one.starts_with(begins) && one.contains(holds)))
        };
        self.daemon.wait_for(&what, Duration::from_secs(40), said).await
    }
}

impl Two {
    /// What `doctor` finds: `here` is as it has to be, `there` fails.
    async fn doctor(&self) -> anyhow::Result<()> {
        let config = self.daemon.home().join("deployguard.yaml");
        let environment: Vec<(&str, String)> = self.world.environment().into_iter().collect();
        let run = move || {
            let mut command = Command::new(BINARY);
            command.args(["doctor", "--json", "--slack-post", "--config"]).arg(config);
            command.envs(environment).env("SLACK_BOT_TOKEN", crate::world::slack::TOKEN);
            command.env("CI_TOKEN", CI_TOKEN).env("OPS_TOKEN", OPS_TOKEN).output()
        };
        let output = tokio::task::spawn_blocking(run).await??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let lines: Vec<Value> = serde_json::from_str(&text)?;
        let of = |part: &str, grade: &str| -> Vec<&str> {
            let lines = lines.iter().filter(|line| line["part"] == part && line["grade"] == grade);
            lines.filter_map(|line| line["what"].as_str()).collect()
        };
        for part in ["target here", "prometheus", "slack", "store", "policies"] {
            assert!(of(part, "fail").is_empty(), "{part}: {text}");
        }
        let good = of("target here", "ok").join("\n");
        assert!(good.contains("assumed-role/deployguard/deployguard in us-east-1"), "{text}");
        for action in [
            "ecs:ListServices: 1 in shopflow-production",
            "ecs:DescribeServices on",
            "ecs:ListServiceDeployments on",
            "ecs:DescribeServiceRevisions on",
            "ecs:DescribeTaskDefinition on",
            "cloudwatch:GetMetricData",
            "s off AWS's",
            "queue events: 0 messages wait",
        ] {
            assert!(good.contains(action), "{action}: {text}");
        }
        let [bad] = of("target there", "fail")[..] else { panic!("{text}") };
        assert!(bad.contains("AssumeRole: AccessDenied"), "{text}");
        let policies = of("policies", "ok").join("\n");
        assert!(policies.contains("shopflow guards 1 services now"), "{text}");
        assert!(of("slack", "ok").iter().any(|line| line.starts_with("posted to")), "{text}");
        for secret in [crate::world::slack::TOKEN, CI_TOKEN, "wrong", "a-secret-for-a-while"] {
            assert!(!text.contains(secret), "{secret} is shown: {text}");
        }
        Ok(())
    }
}

fn register(ecs: &Ecs) -> anyhow::Result<()> {
    let body = json!({
        "family": "shopflow-api",
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [{ "name": "app", "image": "registry.example/api:1" }],
    });
    let made = ecs.call("RegisterTaskDefinition", &body);
    made.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_hangs_does_not_delay_a_rollback_in_another() -> anyhow::Result<()> {
    let mut two = Two::open("right").await?;
    two.daemon.start().await?;
    two.daemon.knows_its_world(&two.world).await?;

    two.begins_there().await?;

    let hang = Fault::Hang(Duration::from_mins(2));
    for operation in ["ListServices", "ListServiceDeployments", "DescribeServices", "AssumeRole"] {
        two.there.fault(operation, &hang, 10_000);
    }
    two.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    let mut body = announcement("v2", "shopflow-api:2");
    let (status, answer) = two.daemon.announce(&body).await?;
    assert_eq!(
        (status, &answer["errors"][0]["field"]),
        (422, &json!("target")),
        "either is meant: {answer}"
    );
    body["target"] = json!("nowhere");
    let (status, answer) = two.daemon.announce(&body).await?;
    assert_eq!(status, 422, "{answer}");
    body["target"] = json!("here");
    let (status, answer) = two.daemon.announce(&body).await?;
    assert_eq!(status, 202, "{answer}");

    let ended = two.daemon.outcome_of("v2", Duration::from_mins(1)).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(two.world.mutations_by_client().len(), 1);
    assert_eq!(two.there.mutations("shopflow-api").len(), 2, "nothing was done there");
    let hangs = async |daemon: &Daemon| {
        let ready = daemon.get("/readyz").await?;
        let why = ready["detail"]["platform"]["there/shopflow-production"].as_str();
        Ok(why.filter(|why| why.contains("no answer in time")).map(|_| ()))
    };
    two.daemon.wait_for("words about the hanging", Duration::from_mins(1), hangs).await?;
    let ready = two.daemon.get("/readyz").await?;
    assert_eq!(ready["detail"]["blind"]["here/shopflow-production"], json!(null), "{ready:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_can_not_be_taken_on_is_told_with_what_sts_said() -> anyhow::Result<()> {
    let mut two = Two::open("wrong").await?;
    two.daemon.start().await?;
    let denied = "AssumeRole: AccessDenied: User";
    let told = two.says("the list of services of there/shopflow-production", denied).await?;
    assert!(told.contains(THERE) && !told.contains("wrong"), "{told}");
    two.daemon.knows_its_world(&two.world).await?;
    two.doctor().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_target_has_left_the_settings_is_told_and_never_acted_on()
-> anyhow::Result<()> {
    let mut two = Two::open("right").await?;
    two.daemon.start().await?;
    two.daemon.knows_its_world(&two.world).await?;
    two.begins_there().await?;
    // Before its end, the roll-out itself would be what nobody can see any more.
    two.daemon
        .wait_for("the end of the roll-out there", Duration::from_secs(20), async |daemon| {
            let watches = daemon.watches().await?;
            let mut there = watches.into_iter().filter(|watch| watch["place"] == THERE_PLACE);
            let is_there =
                |status: &str| status.starts_with("watching") && !status.ends_with("rolling out");
            Ok(there.find(|watch| watch["status"].as_str().is_some_and(is_there)))
        })
        .await?;
    two.daemon.terminate().await?;
    two.daemon.settle(|settings| {
        let Some(targets) = settings["targets"].as_object_mut() else { return };
        targets.remove("there");
    })?;
    two.daemon.start().await?;
    let told = two.says("there/shopflow-production could not be looked at since", "").await?;
    let why = "there/shopflow-production/shopflow-api: the settings have no target `there`: name \
               it under `targets`, beside here";
    assert!(told.ends_with(why), "{told}");
    let calls = two.there.calls().len();
    let ended = two
        .daemon
        .wait_for("the end of the watch", Duration::from_secs(90), async |daemon| {
            let watches = daemon.watches().await?;
            let mut there = watches.into_iter().filter(|watch| watch["place"] == THERE_PLACE);
            Ok(there.find(|watch| !watch["outcome"].is_null()))
        })
        .await?;
    assert_eq!(ended["outcome"], "inconclusive", "{ended:#}");
    for check in ended["checks"].as_array().into_iter().flatten() {
        let reason = "the settings have no target `there`: name it under `targets`";
        assert_eq!((&check["verdict"], &check["reason"]), (&json!("no_data"), &json!(reason)));
    }
    crate::ending::outbox_is_empty(&two.daemon).await?;
    let threads = two.world.slack.threads();
    let [thread] = &threads[..] else { panic!("{threads:#?}") };
    // Without what keeps Slack from formatting it.
    let card = thread.text.replace('\u{2060}', "");
    assert!(card.contains("the settings have no target `there`"), "{thread:#?}");
    let last = thread.replies.last().map_or("", String::as_str);
    assert!(last.contains("inconclusive: too little was measured of error rate"), "{thread:#?}");
    assert_eq!(two.there.mutations("shopflow-api").len(), 2, "nothing was done there");
    assert_eq!(two.there.calls().len(), calls, "nor asked");
    Ok(())
}
