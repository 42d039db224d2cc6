use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Deployed, Heard, Told, read};
use crate::model::{DeployedService, Repositories, Repository, RollbackSafe, Stadium};

const SHA: &str = "4f1c2aa0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6";

fn service(name: &str, task: Option<&str>) -> DeployedService {
    let task = task.map(str::to_owned);
    DeployedService { service: name.to_owned(), task, ..DeployedService::default() }
}

fn known(announce: Stadium) -> Repositories {
    let production =
        vec![service("api", None), service("web", None), service("jobs", Some("deploy:jobs"))];
    let repository = Repository {
        environments: BTreeMap::from([("production".to_owned(), production)]),
        releases: Some("production".to_owned()),
        workflows: BTreeMap::from([("deploy.yml".to_owned(), "production".to_owned())]),
    };
    Repositories { announce, all: BTreeMap::from([("acme/shopflow".to_owned(), repository)]) }
}

fn heard(event: &str, body: &Value) -> Result<Heard, Told> {
    read(event, body.to_string().as_bytes(), &known(Stadium::InProgress))
}

fn deployed(event: &str, body: &Value) -> Deployed {
    match heard(event, body) {
        Ok(Heard::Deployed(deployed)) => *deployed,
        other => panic!("{other:?}"),
    }
}

fn ignored(event: &str, body: &Value) -> String {
    match heard(event, body) {
        Ok(Heard::Ignored(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn names(deployed: &Deployed) -> Vec<&str> {
    deployed.services.iter().map(|one| one.service.as_str()).collect()
}

/// As GitHub posts it, of what is read.
fn status(state: &str) -> Value {
    json!({
        "action": "created",
        "deployment_status": {
            "state": state, "log_url": "https://github.example/runs/1", "target_url": "",
            "created_at": "2026-11-20T10:30:00Z",
        },
        "deployment": {
            "id": 1234, "sha": SHA, "ref": "v1.5.0", "task": "deploy",
            "environment": "production", "payload": {}, "creator": { "login": "dana" },
            "created_at": "2026-11-20T10:29:00Z",
        },
        "workflow_run": Value::Null,
        "repository": { "full_name": "Acme/ShopFlow" },
    })
}

fn run(action: &str, conclusion: Option<&str>) -> Value {
    json!({
        "action": action,
        "workflow_run": {
            "id": 77, "run_attempt": 2, "path": ".github/workflows/deploy.yml", "event": "push",
            "conclusion": conclusion, "head_sha": SHA, "head_branch": "main",
            "html_url": "https://github.example/runs/77", "actor": { "login": "dana" },
            "head_repository": { "full_name": "acme/shopflow" },
            "run_started_at": "2026-11-20T10:30:00Z", "updated_at": "2026-11-20T10:40:00Z",
        },
        "repository": { "full_name": "acme/shopflow" },
    })
}

#[test]
fn a_deployment_in_progress_is_one_of_the_settings_services_with_all_that_is_known_of_it() {
    let one = deployed("deployment_status", &status("in_progress"));
    assert_eq!(one.id, "github/acme/shopflow/deployment/1234");
    assert_eq!(names(&one), ["api", "web"], "jobs are another task");
    assert_eq!(one.version.as_deref(), Some("v1.5.0"));
    assert_eq!(one.commit.as_deref(), Some(SHA));
    assert_eq!(one.author.as_deref(), Some("dana"));
    assert_eq!(one.url.as_deref(), Some("https://github.example/runs/1"));
    assert_eq!(one.at.to_string(), "2026-11-20T10:30:00Z");
    let origin = one.origin.unwrap();
    assert_eq!((origin.repository.as_str(), origin.deployment), ("acme/shopflow", Some(1234)));
    assert_eq!(origin.services, ["api", "web"]);
    // Another event of the same deployment is the same one.
    assert_eq!(deployed("deployment_status", &status("success")).id, one.id);
}

#[test]
fn what_begins_no_deployment_is_ignored_with_words() {
    for state in ["failure", "error", "inactive", "queued", "pending", "waiting"] {
        assert!(ignored("deployment_status", &status(state)).contains(state));
    }
    let mut created = status("x");
    created["deployment_status"] = Value::Null;
    assert!(ignored("deployment", &created).contains("from `in_progress` on"));
    let early = read("deployment", created.to_string().as_bytes(), &known(Stadium::Created));
    assert!(matches!(early, Ok(Heard::Deployed(_))), "{early:?}");
    let late = status("in_progress").to_string();
    let late = read("deployment_status", late.as_bytes(), &known(Stadium::Success));
    assert!(matches!(late, Ok(Heard::Ignored(_))), "{late:?}");
    assert!(ignored("push", &json!({})).contains("`push` tells of no deployment"));
    assert_eq!(ignored("ping", &json!({ "zen": "" })), "pong");
    for (key, value, why) in [
        ("environment", "preview", "no environment `preview`"),
        ("task", "deploy:migrations", "no service for task"),
    ] {
        let mut other = status("in_progress");
        other["deployment"][key] = json!(value);
        assert!(ignored("deployment_status", &other).contains(why));
    }
    let mut other = status("in_progress");
    other["repository"]["full_name"] = json!("evil/shopflow");
    assert!(ignored("deployment_status", &other).contains("no repository evil/shopflow"));
}

#[test]
fn a_payload_can_say_less_than_the_settings_and_never_more() {
    let with = |said: Value| {
        let mut body = status("in_progress");
        body["deployment"]["payload"] = json!({ "deployguard": said, "other": 1 });
        body
    };
    let said = json!({
        "services": ["web"], "rollback_safe": false, "labels": { "shard": "a" },
        "version": "v1.5.0-rc", "task_definition": "web:7",
        "database": { "rollback_script": "rollback/v1.5.0.sql" },
    });
    let one = deployed("deployment_status", &with(said.clone()));
    assert_eq!(names(&one), ["web"]);
    assert_eq!(one.extra.rollback_safe, RollbackSafe::No);
    assert_eq!(one.extra.labels["shard"], "a");
    assert_eq!(one.version.as_deref(), Some("v1.5.0-rc"));
    // GitHub gives a text back as the text.
    let mut text = status("in_progress");
    text["deployment"]["payload"] = json!(json!({ "deployguard": said }).to_string());
    assert_eq!(deployed("deployment_status", &text).extra, one.extra);
    for (said, field) in [
        (json!({ "services": ["billing"] }), "deployment.payload.deployguard.services"),
        (json!({ "rollback_safe": "maybe" }), "deployment.payload.deployguard.rollback_safe"),
        (json!({ "rolback_safe": false }), "deployment.payload.deployguard.rolback_safe"),
        (json!({ "task_definition": "web:7" }), "deployment.payload.deployguard.task_definition"),
    ] {
        let told = heard("deployment_status", &with(said)).unwrap_err();
        assert_eq!(told.field, field, "{told:?}");
    }
}

#[test]
fn a_pipelines_account_gives_way_to_whoever_set_it_off() {
    let mut body = status("in_progress");
    body["deployment"]["creator"]["login"] = json!("github-actions[bot]");
    assert_eq!(deployed("deployment_status", &body).author.as_deref(), Some("github-actions[bot]"));
    body["workflow_run"] = json!({ "html_url": "https://x.example", "actor": { "login": "dana" } });
    assert_eq!(deployed("deployment_status", &body).author.as_deref(), Some("dana"));
}

#[test]
fn a_branch_is_no_version() {
    for (of, version) in [
        ("v1.5.0", "v1.5.0"),
        ("refs/tags/2026.1", "2026.1"),
        ("main", "main@4f1c2aa"),
        ("refs/heads/release/2", "release/2@4f1c2aa"),
        (SHA, "4f1c2aa"),
    ] {
        let mut body = status("in_progress");
        body["deployment"]["ref"] = json!(of);
        let told = deployed("deployment_status", &body);
        assert_eq!(told.version.as_deref(), Some(version));
    }
}

#[test]
fn a_release_is_a_deployment_where_the_settings_say_so() {
    let mut body = json!({
        "action": "released",
        "release": {
            "id": 9, "tag_name": "v1.5.0", "target_commitish": "main",
            "html_url": "https://github.example/releases/v1.5.0", "author": { "login": "dana" },
            "published_at": "2026-11-20T10:30:00Z", "created_at": "2026-11-01T10:30:00Z",
        },
        "repository": { "full_name": "acme/shopflow" },
    });
    let one = deployed("release", &body);
    assert_eq!((one.version.as_deref(), one.commit.as_deref()), (Some("v1.5.0"), None));
    assert_eq!(one.id, "github/acme/shopflow/release/9");
    body["release"]["target_commitish"] = json!(SHA);
    assert_eq!(deployed("release", &body).commit.as_deref(), Some(SHA));
    for action in ["published", "created", "edited", "deleted", "prereleased"] {
        body["action"] = json!(action);
        assert!(ignored("release", &body).contains(action));
    }
}

#[test]
fn a_run_of_a_workflow_is_a_deployment_but_never_one_of_a_fork_or_a_pull_request() {
    let one = deployed("workflow_run", &run("in_progress", None));
    assert_eq!(one.id, "github/acme/shopflow/run/77/2");
    assert_eq!(one.version.as_deref(), Some("main@4f1c2aa"));
    assert_eq!(deployed("workflow_run", &run("completed", Some("success"))).id, one.id);
    for (action, conclusion) in [("requested", None), ("completed", Some("failure"))] {
        ignored("workflow_run", &run(action, conclusion));
    }
    for (key, value) in [
        ("head_repository", json!({ "full_name": "evil/shopflow" })),
        ("head_repository", Value::Null),
        ("event", json!("pull_request_target")),
        ("path", json!(".github/workflows/test.yml")),
    ] {
        let mut body = run("in_progress", None);
        body["workflow_run"][key] = value;
        ignored("workflow_run", &body);
    }
}

#[test]
fn what_is_not_as_github_documents_it_is_told_by_its_field() {
    let mut body = status("in_progress");
    body["deployment"]["id"] = json!("1234");
    assert_eq!(heard("deployment_status", &body).unwrap_err().field, "deployment.id");
    assert!(read("release", b"[", &known(Stadium::InProgress)).is_err());
}
