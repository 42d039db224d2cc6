//! How the task starts: the settings that the template writes, and the script that brings
//! the policies.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use deployguard::policy_repo::PolicyRepo;
use serde_norway::Value;

use super::template::{container, variable};

/// The settings of the template, with what CloudFormation would put in.
fn settings(slack: bool, prometheus: bool, more: &str) -> String {
    let Value::Tagged(sub) = variable(&container("policies"), "SETTINGS") else {
        panic!("no settings")
    };
    let mut text = sub.value[0].as_str().unwrap().to_owned();
    let chosen = |name: &str, there: bool| {
        let Value::Tagged(choice) = &sub.value[1][name] else { panic!("no {name}") };
        match &choice.value[if there { 1 } else { 2 }] {
            Value::Tagged(inner) => inner.value.as_str().unwrap().to_owned(),
            plain => plain.as_str().unwrap().to_owned(),
        }
    };
    for (name, value) in [
        ("Slack", chosen("Slack", slack)),
        ("Prometheus", chosen("Prometheus", prometheus)),
        ("PrometheusUrl", "http://prometheus:9090".into()),
        ("MoreSettings", more.into()),
        ("PoliciesFolder", "policies".into()),
        ("Database.Endpoint.Address", "db.example.internal".into()),
        ("Database.Endpoint.Port", "5432".into()),
        ("AWS::Region", "eu-west-1".into()),
        ("Events", "https://sqs.eu-west-1.amazonaws.com/1/events".into()),
    ] {
        text = text.replace(&format!("${{{name}}}"), &value);
    }
    assert!(!text.contains("${"), "{text}");
    text
}

/// What the daemon says of settings: the tokens come from files here, not from the
/// environment, which is the whole process's.
fn read(text: &str) -> Result<deployguard::settings::Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let token = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("a-token-that-is-long-enough-{name}")).unwrap();
        path.display().to_string()
    };
    let mut text = text.to_owned();
    let named = regex::Regex::new(r"\{ env: ([A-Z_]+) \}").unwrap();
    let names: Vec<String> = named.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    for name in names {
        text =
            text.replace(&format!("{{ env: {name} }}"), &format!("{{ file: {} }}", token(&name)));
    }
    let path = folder.path().join("deployguard.yaml");
    std::fs::write(&path, text).unwrap();
    deployguard::settings::Settings::read(&path).map_err(|wrong| format!("{wrong:#}"))
}

#[test]
fn the_daemon_reads_the_settings_that_the_template_writes() {
    for (slack, prometheus) in [(false, false), (true, false), (false, true), (true, true)] {
        let text = settings(slack, prometheus, "brake: { rollbacks: 3, within: 10m }");
        let read = read(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        assert!(read.policies.ends_with("repository/policies"), "{}", read.policies.display());
        assert_eq!((read.slack.is_some(), read.prometheus.is_some()), (slack, prometheus));
        assert_eq!(read.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(read.brake.rollbacks, 3);
    }
}

#[test]
fn each_secret_that_the_settings_name_is_given_to_the_daemon() {
    let text = settings(true, false, "");
    let daemon = container("deployguard");
    let all = serde_norway::to_string(&daemon["Secrets"]).unwrap();
    let named = regex::Regex::new(r"env: ([A-Z_]+)").unwrap();
    let names: Vec<String> = named.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert!(names.len() >= 4, "{text}");
    for name in names {
        assert!(all.contains(&format!("Name: {name}\n")), "{name} is missing in {all}");
    }
}

/// The script under way; it ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn git(folder: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.com"]);
    let done = command.args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const POLICY: &str = "version: 1\npolicy: shop\nenvironment: production\n\
    match: { cluster: shop, service: api }\nextends: ecs-cloudwatch\n\
    checks: { cpu: { breach: { SEV2: \"> 80% for 5m\" } } }\n";

#[test]
fn the_policies_come_from_git_and_follow_their_branch() {
    let (origin, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    git(origin.path(), &["init", "-q", "-b", "main"]);
    std::fs::create_dir(origin.path().join("policies")).unwrap();
    let file = origin.path().join("policies/shop.yaml");
    std::fs::write(&file, POLICY).unwrap();
    git(origin.path(), &["add", "."]);
    git(origin.path(), &["commit", "-q", "-m", "a policy"]);

    let policies = container("policies");
    let script = policies["Command"][0].as_str().unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-euc", script])
        .env("HOME", home.path())
        .env("REPOSITORY", format!("file://{}", origin.path().display()))
        .env("BRANCH", "main")
        .env("EVERY", "0.1")
        .env("SETTINGS", "listen: 127.0.0.1:1")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    for name in
        ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_TERMINAL_PROMPT"]
    {
        command.env(name, variable(&policies, name).as_str().unwrap());
    }
    let _running = Running(command.spawn().unwrap());
    until("the clone", || home.path().join("ready").exists());

    let written = std::fs::read_to_string(home.path().join("deployguard.yaml")).unwrap();
    assert_eq!(written, "listen: 127.0.0.1:1\n");
    let repo = PolicyRepo::open(home.path().join("repository/policies"));
    let loaded = repo.load().unwrap();
    assert!(loaded.commit.is_some() && !loaded.dirty, "mode auto needs a clean commit");

    std::fs::write(&file, POLICY.replace("80%", "70%")).unwrap();
    git(origin.path(), &["commit", "-q", "-a", "-m", "a lower limit"]);
    until("the change", || repo.load().is_ok_and(|now| now.commit != loaded.commit && !now.dirty));
}
