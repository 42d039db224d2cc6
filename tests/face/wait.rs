//! `deployguard wait`, as a pipeline and as a person at a terminal run it.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::house::{BINARY, House, LONG, long_story};
use crate::terminal::{COLUMNS, screen};
use crate::world::daemon::{OPS_TOKEN, STORY, announcement};

/// A `deployguard wait` under way.
struct Waiting {
    child: Child,
    /// Where its output goes.
    folder: TempDir,
}

impl Waiting {
    /// Starts it as a job of a pipeline.
    fn job(house: &House, arguments: &[&str], github: bool) -> anyhow::Result<Self> {
        let mut command = Command::new(BINARY);
        command.arg("wait").args(arguments);
        Self::start(house, command, github)
    }

    /// Starts it on a terminal of 24 rows.
    fn on_terminal(house: &House, arguments: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("script");
        let inside = format!("stty rows 24 cols {COLUMNS}; exec {BINARY} wait {arguments}");
        command.args(["-qec", &inside, "/dev/null"]).env("TERM", "xterm-256color");
        Self::start(house, command, false)
    }

    fn start(house: &House, mut command: Command, github: bool) -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("deployguard-wait-")?;
        for variable in ["CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR"] {
            command.env_remove(variable);
        }
        if github {
            command.env("GITHUB_ACTIONS", "true");
            command.env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"));
        }
        let child = command
            .env("DEPLOYGUARD_URL", house.daemon.url())
            .env("DEPLOYGUARD_TOKEN", OPS_TOKEN)
            .stdin(Stdio::piped())
            .stdout(File::create(folder.path().join("out"))?)
            .stderr(File::create(folder.path().join("err"))?)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child, folder })
    }

    fn file(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn said(&self) -> String {
        self.file("out")
    }

    /// Waits until it has said something.
    async fn says(&self, words: &str) -> anyhow::Result<()> {
        let waited = tokio::time::timeout(LONG, async {
            while !self.said().contains(words) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let never = || format!("never {words:?} in\n{}\n{}", self.said(), self.file("err"));
        waited.await.with_context(never)
    }

    /// Waits for its end, and answers the exit code and all that it said.
    async fn ends(&mut self) -> anyhow::Result<(i32, String)> {
        let Ok(status) = tokio::time::timeout(LONG, self.child.wait()).await else {
            bail!("it never ended:\n{}", self.said());
        };
        let code = status?.code().context("it was killed")?;
        Ok((code, self.said()))
    }
}

/// Runs it to its end.
async fn wait(house: &House, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    Waiting::job(house, arguments, false)?.ends().await
}

fn has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_github_a_bad_deployment_fails_the_job_with_annotations_and_a_summary()
-> anyhow::Result<()> {
    let house = House::open(STORY, |_| ()).await?;
    let mut job = Waiting::job(&house, &["gha-bad", "--until", "short-term"], true)?;
    job.says("no watch is called `gha-bad`").await?;
    house.world.deploy("v2", &[("ERROR_RATE", "0.5")])?;
    let mut body = announcement("v2", &house.world.task_definition_in_place());
    body["id"] = json!("gha-bad");
    body["version"] = json!("v2 100% ##[error]x|\u{202e}<b>");
    let answer = house.hook(&body).await?;
    ensure!(answer.status == 202, "{answer:?}");
    let (code, said) = job.ends().await?;
    assert_eq!(code, 1, "{said}");
    let title = "::error title=shopflow-api v2 100%25 # #[error]x|\\u{202e}<b> in production::";
    has(&said, &[title, "  SEV1 incident: error rate", "::warning title=", "✗ error rate: breach"]);
    has(&said, &["did not pass: rolled back: "]);
    assert!(!said.contains("##[") && !said.contains('\u{202e}'), "{said}");
    let summary = job.file("summary.md");
    has(
        &summary,
        &[
            "### ✗ deployguard: shopflow-api v2 100% ##\\[error\\]x\\|\\<b> in production did not pass",
            "| check | verdict | value | limits | latest |",
            "| error rate | ",
            "**SEV1 incident**\n\n- error rate ",
            "decided: immediate rollback",
            "/report.md>",
        ],
    );

    // What is over already is answered at once, and by the platform's name of it as well.
    let (code, said) = wait(&house, &["gha-bad"]).await?;
    assert_eq!((code, said.contains("did not pass: rolled back")), (1, true), "{said}");
    unknown_names_are_answered(&house).await
}

async fn unknown_names_are_answered(house: &House) -> anyhow::Result<()> {
    let (code, said) = wait(house, &["gha-nobody", "--patience", "1s"]).await?;
    assert_eq!(code, 0, "{said}");
    has(&said, &["? gha-nobody not guarded: ", "nobody guards it, or it has another id"]);
    let strict = ["gha-nobody", "--patience", "1s", "--require-guarded"];
    assert_eq!(wait(house, &strict).await?.0, 2);
    let (code, said) = wait(house, &["gha-bad", "--until", "immediat"]).await?;
    assert_eq!(code, 3, "{said}");
    has(&said, &["has no phase `immediat`; it has immediate, short-term"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_passes_its_first_phase_though_the_daemon_restarts_meanwhile()
-> anyhow::Result<()> {
    let mut house = House::open(STORY, |_| ()).await?;
    let ecs = house.world.deploy("v2", &[])?;
    let mut job = Waiting::job(&house, &[&ecs, "--until", "immediate"], false)?;
    job.says("watching, immediate phase until").await?;
    let listen = house.daemon.url().trim_start_matches("http://").to_owned();
    house.daemon.settle(|settings| settings["listen"] = json!(listen))?;
    house.daemon.kill();
    job.says("it is asked again for 2m").await?;
    house.start().await?;
    let (code, said) = job.ends().await?;
    assert_eq!(code, 0, "{said}");
    has(&said, &["the daemon answers again", "the immediate phase is over without a breach"]);
    assert_eq!(said.matches("it is asked again").count(), 1, "{said}");
    let open = house.ask(Method::GET, "/api/v1/watches", None, "").await?.body;
    assert!(open["watches"][0]["outcome"].is_null(), "the watch goes on: {open:#}");

    let mut job = Waiting::job(&house, &[&ecs, "--patience", "2s"], true)?;
    job.says("watching, short-term phase until").await?;
    house.daemon.kill();
    let (code, said) = job.ends().await?;
    assert_eq!(code, 3, "{said}");
    has(&said, &["could not ask: no deployguard answers at ", "::error title="]);
    has(&job.file("summary.md"), &["could not ask"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_it_shows_how_the_watch_stands_until_it_is_interrupted_or_decided()
-> anyhow::Result<()> {
    let house = House::open(&long_story().replace("mode: auto", "mode: ask"), |_| ()).await?;
    let id = house.deploy("v2", &[]).await?;
    let mut shown = Waiting::on_terminal(&house, &id)?;
    shown.says("▁▁").await?;
    shown.says(" left, ").await?;
    let picture = screen(&shown.said());
    let all = picture.join("\n");
    println!("{all}\n----");
    has(&all, &["shopflow-api v2 in production  [ask]", "watching, immediate phase until "]);
    has(&all, &["immediate  ", "░", " of the watch", "✓ error rate", "SEV1 > 5%"]);
    assert_eq!(all.matches("✓ error rate  ").count(), 1, "a line is redrawn in place:\n{all}");
    // Ctrl-C, as the terminal makes it.
    shown.child.stdin.as_mut().context("a keyboard")?.write_all(b"\x03").await?;
    let (code, said) = shown.ends().await?;
    assert_eq!(code, 130, "{said}");
    let left = screen(&said);
    println!("{}", left.join("\n"));
    has(&left.join("\n"), &["interrupted: the deployment is watched on"]);
    let left = left.join("\n");
    assert!(!left.contains("of the watch"), "nothing that moves is left:\n{left}");
    assert_eq!(left.matches("✓ error rate  ").count(), 1, "the picture stays, once:\n{left}");

    let (code, said) = wait(&house, &[&id, "--timeout", "3s"]).await?;
    assert_eq!(code, 2, "{said}");
    has(&said, &["and time is up at", "undecided: no end within 3s"]);
    let mut job = Waiting::job(&house, &[&id], false)?;
    job.says("watching, immediate phase").await?;
    assert_eq!(house.cli(&["cancel", &id, "--reason", "enough"]).await?.code, 0);
    let (code, said) = job.ends().await?;
    assert_eq!(code, 4, "{said}");
    a_person_is_asked(&house).await
}

async fn a_person_is_asked(house: &House) -> anyhow::Result<()> {
    let id = house.deploy("v3", &[("ERROR_RATE", "0.5")]).await?;
    let mut job = Waiting::job(house, &[&id], false)?;
    job.says("a person is asked until ").await?;
    let said = job.said();
    let link = format!("{}/api/v1/watches/{id}", house.daemon.url());
    has(&said, &["as the mode is ask: answer in Slack, or with", &link]);
    assert_eq!(house.cli(&["rollback", &id, "--reason", "bad"]).await?.code, 0);
    let (code, said) = job.ends().await?;
    assert_eq!(code, 1, "{said}");
    has(&said, &["rolling back to shopflow-api:", "did not pass: rolled back"]);
    Ok(())
}
