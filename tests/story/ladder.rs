//! Who is called about an incident, rung by rung, through every channel; and that no channel
//! delays a rollback.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::BINARY;
use crate::world::called::HttpFault;
use crate::world::called::pagerduty::{PagerDuty, ROUTING_KEY};
use crate::world::called::smtp::{MailServer, PASSWORD, SmtpFault, USER};
use crate::world::called::webhook::{Receiver, SECRET};
use crate::world::daemon::{CI_TOKEN, Daemon, OPS_TOKEN, STORY, announcement};
use crate::world::slack::{SlackFault, TOKEN};
use crate::world::{World, WorldConfig};

const MINUTE: Duration = Duration::from_mins(1);

/// What its settings read from the environment.
const SECRETS: [(&str, &str); 3] =
    [("PAGER_KEY", ROUTING_KEY), ("HOOK_SECRET", SECRET), ("MAIL_PASSWORD", PASSWORD)];

/// A house with a pager, an audit webhook and a mailbox.
struct House {
    world: World,
    daemon: Daemon,
    pager: PagerDuty,
    hook: Receiver,
    mail: MailServer,
}

impl House {
    async fn open(policy: &str) -> anyhow::Result<Self> {
        let world = World::start(WorldConfig::default()).await?;
        let mut daemon = Daemon::at_home(Path::new(BINARY), &world, policy)?;
        let (pager, hook) = (PagerDuty::start().await?, Receiver::start().await?);
        let mail = MailServer::start().await?;
        daemon.settle(|settings| {
            let key = json!({ "env": "PAGER_KEY" });
            settings["pagerduty"] = json!({ "oncall": { "url": pager.url(), "routing_key": key } });
            let secret = json!({ "env": "HOOK_SECRET" });
            settings["webhooks"] = json!({ "audit": { "url": hook.url(), "secret": secret } });
            settings["email"] = json!({
                "smtp": { "url": mail.url(), "user": USER, "password": { "env": "MAIL_PASSWORD" } },
                "from": "deployguard <deployguard@guard.example>",
                "to": { "manager": ["manager@example.com"] },
            });
        })?;
        daemon.start_with(&SECRETS).await?;
        daemon.knows_its_world(&world).await?;
        Ok(Self { world, daemon, pager, hook, mail })
    }

    /// Announces and deploys a version that fails so often; answers its watch once it is
    /// asked about.
    async fn asked_about(&self, version: &str, task: &str, rate: &str) -> anyhow::Result<String> {
        self.world.deploy(version, &[("ERROR_RATE", rate)])?;
        self.daemon.announce(&announcement(version, task)).await?;
        let is_asked = |watch: &Value| watch["incident"]["status"] == "identified";
        self.daemon
            .wait_for("the question", MINUTE, async |daemon| {
                let asked = daemon.watches().await?.into_iter().find(is_asked);
                Ok(asked.and_then(|watch| watch["id"].as_str().map(str::to_owned)))
            })
            .await
    }

    /// What `doctor` finds of the recipients, and that it wakes nobody but who it is told to.
    async fn doctor(&self) -> anyhow::Result<()> {
        let config = self.daemon.home().join("deployguard.yaml");
        let environment: Vec<(&str, String)> = self.world.environment().into_iter().collect();
        let run = move || {
            let mut command = Command::new(BINARY);
            command.args(["doctor", "--json", "--call", "email:manager", "--config"]).arg(config);
            command.envs(environment).envs(SECRETS).env("SLACK_BOT_TOKEN", TOKEN);
            command.env("CI_TOKEN", CI_TOKEN).env("OPS_TOKEN", OPS_TOKEN).output()
        };
        let output = tokio::task::spawn_blocking(run).await??;
        let lines: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let lines = lines.iter().filter(|line| line["part"] == "recipients");
        let told: Vec<String> = lines
            .map(|line| {
                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("grade"), text("what"))
            })
            .collect();
        let expected = [
            "fail shopflow calls email:nobody, whom nobody knows",
            "ok email:manager, called by shopflow: takes the connection and the login",
            "ok pagerduty:oncall, called by shopflow: answers (HTTP 405)",
            "ok webhook:audit, called by shopflow: answers (HTTP 405)",
            "ok email:manager was told of a test incident, and of its end",
        ];
        assert_eq!(told, expected);
        assert!(self.pager.events().is_empty() && self.hook.deliveries().is_empty());
        assert_eq!(self.mail.letters().len(), 2);
        Ok(())
    }

    async fn wait_for(&self, what: &str, is: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        self.daemon.wait_for(what, MINUTE, async |_| Ok(is(self).then_some(()))).await
    }
}

/// SEV2 after three seconds; on-call at once, the manager four seconds later, then nobody
/// for a long while.
fn ladder() -> String {
    let limits = STORY.replace("SEV2: \"> 1% for 15s\"", "SEV2: \"> 1% for 3s\"");
    assert_ne!(limits, STORY);
    let notify = "notify:\n  slack: { channel: C0DEPLOYS01, page: [S0ONCALL] }\n  escalate:\n    \
                  SEV2: [0s S0ONCALL pagerduty:oncall, 4s email:manager, 1h U0PRODUCT]\n  \
                  tell: ['webhook:audit']\n";
    let (rest, _) = limits.split_once("notify: {").unwrap_or_default();
    format!("{rest}{notify}")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_called_rung_by_rung_until_one_acknowledges_and_hear_of_the_end()
-> anyhow::Result<()> {
    let house = House::open(&ladder()).await?;
    let id = house.asked_about("v2", "shopflow-api:2", "0.03").await?;
    house.wait_for("the page", |house| house.pager.actions() == ["trigger"]).await?;
    house.wait_for("the letter to the manager", |house| house.mail.letters().len() == 1).await?;
    let letter = house.mail.letters().remove(0);
    assert_eq!(letter.to, ["manager@example.com"]);
    assert!(letter.header("Subject").ends_with("nobody has acknowledged yet"), "{letter:?}");
    let thread = house.world.slack.threads().remove(0);
    let mentioned = thread.replies.iter().filter(|reply| reply.contains("S0ONCALL")).count();
    assert!(mentioned >= 1, "{thread:#?}");

    let path = format!("/api/v1/watches/{id}/ack");
    let (status, answer) = house.daemon.post(&path, OPS_TOKEN, &json!({})).await?;
    assert_eq!(status, 200, "{answer}");
    house
        .wait_for("the acknowledgement", |house| {
            house.pager.alerts().first().is_some_and(|alert| alert.status == "acknowledged")
        })
        .await?;
    let path = format!("/api/v1/watches/{id}/rollback");
    let (status, answer) = house.daemon.post(&path, OPS_TOKEN, &json!({})).await?;
    assert_eq!(status, 200, "{answer}");
    let ended = house.daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    house
        .wait_for("the end", |house| {
            house.pager.alerts().first().is_some_and(|alert| alert.status == "resolved")
        })
        .await?;
    assert_eq!(house.pager.alerts().len(), 1, "{:#?}", house.pager.alerts());
    assert_eq!(house.pager.refused(), Vec::<String>::new());
    house.wait_for("the last letter", |house| house.mail.letters().len() == 4).await?;
    let letters = house.mail.letters();
    let threads: Vec<_> = letters.iter().map(|one| one.header("References").to_owned()).collect();
    assert!(threads.iter().all(|thread| *thread == threads[0]), "{threads:?}");
    house
        .wait_for("the end", |house| {
            house.hook.events().iter().any(|one| one.ends_with("resolved"))
        })
        .await?;
    let mut told = house.hook.events();
    // It may have begun as SEV3.
    told.dedup();
    let whole = ["opened", "acknowledged", "rolled_back", "resolved"];
    assert_eq!(told, whole.map(|what| format!("incident.{what}")));
    assert_eq!(house.hook.refused(), Vec::<String>::new());
    let logs = house.daemon.logs();
    for secret in [ROUTING_KEY, SECRET, PASSWORD] {
        assert!(!logs.contains(secret), "the log tells a secret");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_not_be_told_is_told_of_in_the_thread_and_where_it_is_asked() -> anyhow::Result<()>
{
    let policy = ladder().replace("0s S0ONCALL", "0s S0ONCALL email:nobody");
    let house = House::open(&policy).await?;
    let obstacles = |ready: &Value| ready["obstacles"].to_string();
    let ready = house.daemon.get("/readyz").await?;
    let told = "policy shopflow calls `email:nobody`, and the settings name nobody so";
    assert!(ready["ready"] == json!(true) && obstacles(&ready).contains(told), "{ready:#}");
    assert!(house.daemon.logs().contains(told), "it is in the log");
    house.doctor().await?;
    // It may begin as SEV3, and is opened anew then.
    house.hook.fault(&HttpFault::Status(410), 10);
    house.asked_about("v2", "shopflow-api:2", "0.03").await?;
    for told in ["the webhook `audit` could not be told", "the mailbox `nobody` could not be told"]
    {
        house
            .wait_for(told, |house| {
                let threads = house.world.slack.threads();
                let mut replies = threads.iter().flat_map(|thread| &thread.replies);
                replies.any(|reply| reply.contains(told))
            })
            .await?;
    }
    let ready = house.daemon.get("/readyz").await?;
    let told = obstacles(&ready);
    assert!(told.contains("webhook:audit: ") && told.contains(" UTC: HTTP 410"), "{told}");
    assert!(told.contains(" could not be delivered since 20"), "{told}");
    let metrics = house.daemon.text("/metrics").await?;
    let none = "deployguard_outbox_messages{channel=\"webhook\",status=\"undeliverable\"} 0\n";
    house
        .daemon
        .wait_for("the count", MINUTE, async |daemon| {
            let metrics = daemon.text("/metrics").await?;
            let counted = metrics.contains(none.trim_end_matches("0\n"));
            Ok((counted && !metrics.contains(none)).then_some(()))
        })
        .await
        .inspect_err(|_| println!("{metrics}"))?;
    assert_eq!(house.pager.actions(), ["trigger"], "the others hear of it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_channel_hanging_a_rollback_goes_as_usual() -> anyhow::Result<()> {
    let policy = ladder().replace("SEV2: [", "SEV1: [0s pagerduty:oncall]\n    SEV2: [");
    let house = House::open(&policy).await?;
    let long = Duration::from_mins(10);
    for method in ["chat.postMessage", "chat.update"] {
        house.world.slack.fault(method, &SlackFault::Hang(long), 1000);
    }
    house.pager.fault(&HttpFault::Hang(long), 1000);
    house.hook.fault(&HttpFault::Hang(long), 1000);
    house.mail.fault("EHLO", &SmtpFault::Hang(long), 1000);
    house.world.deploy("v2", &[("ERROR_RATE", "0.4")])?;
    house.daemon.announce(&announcement("v2", "shopflow-api:2")).await?;
    let ended = house.daemon.outcome_of("v2", 2 * MINUTE).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    assert_eq!(house.world.task_definition_in_place(), "shopflow-api:1");
    assert!(house.pager.events().is_empty() && house.hook.deliveries().is_empty());
    assert!(house.world.slack.messages().is_empty(), "nobody has heard of it yet");
    let ready = house.daemon.get("/readyz").await?;
    let waits = |channel: &str| {
        let channels = ready["outbox"]["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().any(|one| one["way"] == channel && one["pending"].as_u64() > Some(0))
    };
    assert!(waits("slack") && waits("pagerduty") && waits("webhook"), "{ready:#}");
    Ok(())
}
