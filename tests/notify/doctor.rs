//! What `deployguard doctor` says of the ways to people, and what to do about it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::called::HttpFault;
use crate::world::called::pagerduty::{PagerDuty, ROUTING_KEY};
use crate::world::called::smtp::{MailServer, PASSWORD, SmtpFault, USER};
use crate::world::called::webhook::{Receiver, SECRET};
use crate::world::daemon::STORY;
use crate::world::slack::press::SIGNING_SECRET;
use crate::world::slack::{Slack, SlackFault, TOKEN};
use crate::world::timeline::Timeline;

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// What doctor says of `part`, a line each: the grade, what was found, what to do.
pub async fn doctor(
    part: &str,
    settings: Value,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Vec<String> {
    let home = TempDir::new().unwrap();
    let file = home.path().join("deployguard.yaml");
    let mut all = json!({
        "listen": "127.0.0.1:0", "policies": "policies", "store": "sqlite://deployguard.db",
    });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fs::create_dir(home.path().join("policies")).unwrap();
    let notify = "notify:\n  slack: { channel: C0DEPLOYS01, page: [S0ONCALL] }\n  \
                  tell: ['webhook:one']\n  escalate: { SEV1: [0s pagerduty:one email:one] }\n";
    let (rest, _) = STORY.split_once("notify: {").unwrap();
    fs::write(home.path().join("policies/one.yaml"), format!("{rest}{notify}")).unwrap();
    fs::write(&file, all.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_deployguard"));
    command.args(["doctor", "--json"]).args(arguments).arg("--config").arg(&file);
    let aws = [("AWS_ENDPOINT_URL", NOWHERE), ("AWS_REGION", "us-east-1")];
    let secrets = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    command.envs(aws).envs(secrets).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("SLACK_SIGNING_SECRET", SIGNING_SECRET).env("SLACK_BOT_TOKEN", TOKEN);
    command.env("PAGER_KEY", ROUTING_KEY).env("HOOK_SECRET", SECRET).env("MAIL_PASSWORD", PASSWORD);
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let told = lines.iter().filter(|line| line["part"] == part).map(|line| {
        let said = format!("{} {}", text(line, "grade"), text(line, "what"));
        if line["mend"].is_string() { format!("{said} => {}", text(line, "mend")) } else { said }
    });
    let told: Vec<String> = told.collect();
    for secret in [TOKEN, SIGNING_SECRET, ROUTING_KEY, SECRET, PASSWORD, WRONG, WRONG_KEY] {
        assert!(!told.join("\n").contains(secret), "a secret is told: {told:#?}");
    }
    told
}

const WRONG: &str = "another-secret-0123456789";
const WRONG_KEY: &str = "ffffffffffffffffffffffffffffffff";

/// A pager, a webhook and a mailbox, each called `one`.
fn recipients(pager: &str, hook: &str, mail: &str) -> Value {
    json!({
        "pagerduty": { "one": { "url": pager, "routing_key": { "env": "PAGER_KEY" } } },
        "webhooks": { "one": { "url": hook, "secret": { "env": "HOOK_SECRET" } } },
        "email": {
            "smtp": { "url": mail, "user": USER, "password": { "env": "MAIL_PASSWORD" } },
            "from": "deployguard@guard.example", "to": { "one": ["a@example.com"] },
        },
    })
}

const CALL_ALL: [&str; 6] =
    ["--call", "pagerduty:one", "--call", "webhook:one", "--call", "email:one"];

struct Called {
    pager: PagerDuty,
    hook: Receiver,
    mail: MailServer,
}

impl Called {
    async fn start() -> Self {
        Self {
            pager: PagerDuty::start().await.unwrap(),
            hook: Receiver::start().await.unwrap(),
            mail: MailServer::start().await.unwrap(),
        }
    }

    fn settings(&self) -> Value {
        recipients(&self.pager.url(), &self.hook.url(), &self.mail.url())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_be_reached_is_called_by_name_only_and_hears_of_the_end() {
    let called = Called::start().await;
    let told = doctor("recipients", called.settings(), &["--call", "pagerduty:one"], &[]).await;
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(called.pager.actions(), ["trigger", "resolve"]);
    assert!(called.hook.deliveries().is_empty() && called.mail.letters().is_empty());
    let told = doctor("recipients", called.settings(), &CALL_ALL, &[]).await;
    assert!(told.iter().all(|line| line.starts_with("ok ")), "{told:#?}");
    assert_eq!(called.hook.deliveries().len(), 2);
    assert_eq!(called.mail.letters().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_found_out_by_calling_and_the_line_names_the_setting() {
    let called = Called::start().await;
    let wrong = [("PAGER_KEY", WRONG_KEY), ("HOOK_SECRET", WRONG), ("MAIL_PASSWORD", WRONG)];
    insta::assert_snapshot!(
        doctor("recipients", called.settings(), &CALL_ALL, &wrong).await.join("\n")
    );
    assert!(called.pager.events().is_empty() && called.mail.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_is_told_with_what_it_said() {
    let called = Called::start().await;
    called.pager.fault(&HttpFault::TooManyRequests(30), 1);
    called.hook.fault(&HttpFault::Redirect(NOWHERE.to_owned()), 1);
    called.mail.fault("RCPT", &SmtpFault::Reply(550), 1);
    insta::assert_snapshot!(
        doctor("recipients", called.settings(), &CALL_ALL, &[]).await.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_is_told_with_the_address_to_look_at() {
    let settings = recipients(NOWHERE, NOWHERE, "smtp://127.0.0.1:1");
    insta::assert_snapshot!(doctor("recipients", settings, &CALL_ALL, &[]).await.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_knows_is_told_with_where_to_name_them() {
    let call = ["--call", "pagerduty:nobody", "--call", "slack:U0DANA0001"];
    insta::assert_snapshot!(doctor("recipients", json!({}), &call[..2], &[]).await.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_answers_that_there_is_nothing_is_warned_of() {
    let called = Called::start().await;
    let elsewhere = format!("{}/nowhere", called.hook.url());
    let settings = recipients(&called.pager.url(), &elsewhere, &called.mail.url());
    let told = doctor("recipients", settings, &[], &[]).await;
    let line = "warn webhook:one, called by shopflow: reached, answers HTTP 404 => see its url; \
                --call tries it for real";
    assert!(told.iter().any(|one| one == line), "{told:#?}");
}

#[test]
fn who_is_in_slack_is_refused_at_the_command_line_with_what_to_try_instead() {
    for (who, said) in [
        ("U0MANAGER", "U0MANAGER is told in a deployment's thread: try --slack-post"),
        ("oncall", "write pagerduty:NAME, webhook:NAME or email:NAME"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployguard"));
        let done = command.args(["doctor", "--call", who]).output().unwrap();
        let told = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.code() == Some(2) && told.contains(said), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digests_channel_is_looked_at_and_so_is_an_operator_of_no_service() {
    let workspace = Slack::start(Timeline::default()).await.unwrap();
    let mut settings = slack(&workspace.url());
    settings["digest"] = json!({ "slack": "C0DIGEST001", "every": "daily 09:00 UTC" });
    let of = json!({ "who": ["U0DANA0001"], "services": ["shpflow-*"], "environments": ["stage"] });
    settings["slack"]["operators"] = json!([of]);
    let told = doctor("slack", settings, &["--slack-post"], &[]).await;
    let digest: Vec<_> = told.iter().filter(|line| line.contains("C0DIGEST001")).collect();
    assert_eq!(digest.len(), 2, "looked at, and posted to: {told:#?}");
    assert!(digest.iter().all(|line| line.contains("see digest.slack; invite it")), "{digest:#?}");
    for words in ["`shpflow-*`, which no policy guards", "`stage`, which no policy names"] {
        assert!(
            told.iter().any(|line| line.starts_with("warn ") && line.contains(words)),
            "{told:#?}"
        );
    }
}

/// Slack at `url`, with somebody who may press.
fn slack(url: &str) -> Value {
    json!({ "slack": {
        "token": { "env": "SLACK_BOT_TOKEN" }, "api_url": url,
        "signing_secret": { "env": "SLACK_SIGNING_SECRET" }, "operators": ["S0ONCALL", "U0DANA0001"],
    } })
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_told_of_by_token_channel_and_people() {
    let workspace = Slack::start(Timeline::default()).await.unwrap();
    let told = doctor("slack", slack(&workspace.url()), &["--slack-post"], &[]).await;
    insta::assert_snapshot!(told.join("\n"));
    assert!(workspace.messages().is_empty(), "what was posted is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_slack_is_told_with_what_to_do() {
    let workspace = Slack::start(Timeline::default()).await.unwrap();
    for (method, code) in [
        ("conversations.info", "channel_not_found"),
        ("chat.postMessage", "is_archived"),
        ("usergroups.list", "missing_scope"),
        ("usergroups.users.list", "missing_scope"),
        ("users.info", "user_not_found"),
    ] {
        workspace.fault(method, &SlackFault::Error(code), 1);
    }
    let told = doctor("slack", slack(&workspace.url()), &["--slack-post"], &[]).await;
    insta::assert_snapshot!(told.join("\n"));
    let wrong = [("SLACK_BOT_TOKEN", "xoxb-another-token")];
    let told = doctor("slack", slack(&workspace.url()), &[], &wrong).await;
    insta::assert_snapshot!("a_wrong_token", told.join("\n"));
    let told = doctor("slack", slack(&format!("{NOWHERE}/api")), &[], &[]).await;
    insta::assert_snapshot!("slack_is_not_reached", told.join("\n"));
}
