//! What `/openapi.json` says of the face, held against the face.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, ensure};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::house::{Answer, House, READ_TOKEN, long_story};
use crate::world::daemon::{CI_TOKEN, OPS_TOKEN};

/// Roles, each with a token of it; each may do what those before it may.
const ROLES: [(&str, &str); 3] =
    [("read", READ_TOKEN), ("deploy", CI_TOKEN), ("operate", OPS_TOKEN)];

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_valid_and_says_what_the_face_does() -> anyhow::Result<()> {
    let house = guarding().await?;
    let document = it_is_served_to_anybody_and_not_twice(&house).await?;
    it_is_an_openapi_document(&document).await?;
    each_address_takes_the_methods_that_are_described_and_no_others(&house, &document).await?;
    each_operation_asks_for_the_role_that_is_described(&house, &document).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_answer_is_as_described() -> anyhow::Result<()> {
    let mut house = guarding().await?;
    house.deploy("v2", &[]).await?;
    until(&house, "gha-v2", "it is measured", is_measured).await?;
    house.deploy("v3", &[]).await?;
    until(&house, "gha-v2", "it is over", |watch| !watch["outcome"].is_null()).await?;
    until(&house, "gha-v3", "it is measured", is_measured).await?;
    let scratch = tempfile::tempdir()?;
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/face/openapi.toml");
    let asked = tokio::process::Command::new(python("schemathesis"))
        .args(["--config-file", config, "run"])
        .arg(format!("{}/openapi.json", house.daemon.url()))
        .args(["--header", &format!("Authorization: Bearer {OPS_TOKEN}")])
        .current_dir(scratch.path())
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&asked.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&asked.stderr).into_owned();
    ensure!(asked.status.success(), "{said}{wrong}");
    ensure!(!house.daemon.has_died(), "it was asked to death:\n{said}");
    let log = house.daemon.logs();
    ensure!(!log.contains("panicked"), "{log}");
    Ok(())
}

/// A house in which everything is taken that can be, and nobody reads without a token.
async fn guarding() -> anyhow::Result<House> {
    House::open(&long_story(), |settings| {
        settings["open_reads"] = json!(false);
        settings["slack"]["signing_secret"] = json!({ "env": "SLACK_SIGNING_SECRET" });
        settings["slack"]["operators"] = json!(["U0DANA"]);
        settings["github"] = json!({
            "webhook_secrets": [{ "env": "READ_TOKEN" }],
            "repositories": { "acme/shopflow": {
                "environments": { "production": ["shopflow-api"] },
            } },
        });
    })
    .await
}

/// Waits until the watch is as it should be.
async fn until(
    house: &House,
    id: &str,
    what: &str,
    enough: impl Fn(&Value) -> bool,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/watches/{id}");
    house
        .until(&format!("{id}: {what}"), async |house| {
            let watch = house.ask(Method::GET, &path, Some(READ_TOKEN), "").await?;
            Ok((watch.status == 200 && enough(&watch.body)).then_some(()))
        })
        .await
}

fn is_measured(watch: &Value) -> bool {
    let checks = watch["checks"].as_array();
    checks.into_iter().flatten().any(|check| !check["verdict"].is_null())
}

/// A program of the tests' Python; `tests/world/install.sh` makes it.
fn python(program: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("..");
    let program = target.join("venv/bin").join(program);
    assert!(program.exists(), "{} is missing: run tests/world/install.sh", program.display());
    program
}

async fn it_is_served_to_anybody_and_not_twice(house: &House) -> anyhow::Result<Value> {
    let ask = || house.request(Method::GET, "/openapi.json", None, "");
    let first = ask().send().await?;
    let tag = first.headers().get(header::ETAG).context("a tag")?.clone();
    let again = ask().header(header::IF_NONE_MATCH, tag).send().await?;
    assert_eq!((again.status().as_u16(), again.text().await?.as_str()), (304, ""));
    let answer = Answer::to(ask()).await?;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{answer:?}");
    assert_eq!(answer.body["info"]["version"], env!("CARGO_PKG_VERSION"));
    Ok(answer.body)
}

async fn it_is_an_openapi_document(document: &Value) -> anyhow::Result<()> {
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    std::fs::write(file.path(), document.to_string())?;
    let read = tokio::process::Command::new(python("openapi-spec-validator"))
        .args(["--schema", "3.1", "--validation-errors", "all"])
        .arg(file.path())
        .output()
        .await?;
    ensure!(read.status.success(), "{read:?}");
    // What a validator does not mind: a name that two things have, and a text that is missing.
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(document) {
        let id = operation["operationId"].as_str().context("an id")?;
        ensure!(ids.insert(id), "`{id}` is the id of two operations");
        ensure!(operation["summary"].is_string(), "{method} {path} has no summary");
        ensure!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{path}");
    }
    let text = document.to_string();
    ensure!(!text.contains("[`"), "a link of rustdoc leads nowhere here: {text}");
    Ok(())
}

/// Method, address and description of each operation.
fn operations(document: &Value) -> Vec<(Method, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let methods = [("get", Method::GET), ("post", Method::POST)];
        methods
            .into_iter()
            .filter_map(move |(name, method)| Some((method, path.as_str(), item.get(name)?)))
    });
    all.collect()
}

/// The address with something in each of its places.
fn filled(path: &str) -> String {
    path.replace("{id}", "nobody")
        .replace("{command}", "ack")
        .replace("{file}", "cpu.svg")
        .replace("{job}", "nightly")
}

async fn each_address_takes_the_methods_that_are_described_and_no_others(
    house: &House,
    document: &Value,
) -> anyhow::Result<()> {
    let paths = document["paths"].as_object().context("paths")?;
    for (path, item) in paths {
        let mut described: BTreeSet<String> =
            item.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        let refused = house.request(Method::DELETE, &filled(path), None, "").send().await?;
        assert_eq!(refused.status().as_u16(), 405, "{path}");
        let allowed = refused.headers().get(header::ALLOW).context("what is allowed")?;
        let allowed: BTreeSet<String> =
            allowed.to_str()?.split(',').map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed, described, "{path}");
    }
    Ok(())
}

async fn each_operation_asks_for_the_role_that_is_described(
    house: &House,
    document: &Value,
) -> anyhow::Result<()> {
    let mut asked = BTreeSet::new();
    for (method, path, operation) in operations(document) {
        let security = operation["security"].as_array().cloned().unwrap_or_default();
        let [only] = &security[..] else { continue };
        let Some(role) = only["token"][0].as_str() else { continue };
        let least = ROLES.iter().position(|(name, _)| *name == role).context("a known role")?;
        let ask = async |token: Option<&str>| {
            let path = filled(path);
            let answer = house.request(method.clone(), &path, token, "{}").send().await?;
            Ok::<_, anyhow::Error>(answer.status().as_u16())
        };
        assert_eq!(ask(None).await?, 401, "{method} {path} without a token");
        for (index, (name, token)) in ROLES.iter().enumerate() {
            let status = ask(Some(token)).await?;
            let refused = status == 401 || status == 403;
            assert_eq!(refused, index < least, "{method} {path} as {name}: {status}");
        }
        asked.insert(role.to_owned());
    }
    assert_eq!(asked.len(), ROLES.len(), "each role is asked for somewhere: {asked:?}");
    Ok(())
}
