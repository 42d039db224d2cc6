//! A real Postgres of its own: Debian's server on a free loopback port, with a folder that
//! is gone afterwards. The server refuses to run as root, so root lends it to `postgres`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use super::leash::Leashed;
use super::prometheus::free_port;

/// A port that was free a moment ago can be taken by somebody else in between.
const PORTS_TO_TRY: usize = 5;
const STARTS: u32 = 10;
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The password of the one user, `guard`.
pub const PASSWORD: &str = "pg-password-0123456789";

/// A running server; killed, and its folder removed, when dropped.
pub struct Postgres {
    process: Option<Leashed>,
    port: u16,
    as_root: bool,
    folder: TempDir,
}

impl Postgres {
    /// Starts an empty one, and returns once it takes connections.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("deployguard-postgres-")?;
        let as_root = folder.path().metadata()?.uid() == 0;
        if as_root {
            let owned = Command::new("chown").arg("postgres").arg(folder.path()).status()?;
            ensure!(owned.success(), "the folder can't be given to postgres");
        }
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD)?;
        let mut postgres = Self { process: None, port: 0, as_root, folder };
        let command = postgres.as_its_user(
            "initdb",
            &[
                "--no-sync".into(),
                "--username=guard".into(),
                "--auth=scram-sha-256".into(),
                format!("--pwfile={}", password.display()).into(),
                "--encoding=UTF8".into(),
                "--locale=C".into(),
                format!("--pgdata={}", postgres.data().display()).into(),
            ],
        );
        let made = tokio::process::Command::new("env").args(&command[1..]).output().await?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..PORTS_TO_TRY {
            postgres.port = free_port()?;
            if postgres.start_once().await.is_ok() {
                return Ok(postgres);
            }
        }
        let log = fs::read_to_string(postgres.log()).unwrap_or_default();
        bail!("Postgres did not start on any of {PORTS_TO_TRY} ports; its log says:\n{log}")
    }

    /// Without the password, as settings write it.
    pub fn url(&self) -> String {
        format!("postgres://guard@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// With the password, for a store that is opened by the test itself.
    pub fn whole_url(&self) -> String {
        self.url().replace("guard@", &format!("guard:{PASSWORD}@"))
    }

    /// Makes a database beside the one called `postgres`.
    pub async fn create(&self, database: &str) -> anyhow::Result<()> {
        self.sql(&format!("CREATE DATABASE {database}")).await.map(drop)
    }

    /// Runs a statement as somebody else would; answers what comes of it, as `psql` prints it.
    pub async fn sql(&self, statement: &str) -> anyhow::Result<String> {
        let done = tokio::process::Command::new(program("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement])
            .arg(self.whole_url())
            .output()
            .await?;
        ensure!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8(done.stdout)?.trim().to_owned())
    }

    /// As when its machine goes: nothing is finished, what was committed stays.
    pub fn stop(&mut self) {
        drop(self.process.take());
    }

    /// On the same port, with what it had.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.stop();
        // The children of a server that was killed need a moment to notice.
        for _ in 0..STARTS {
            if self.start_once().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.start_once().await
    }

    async fn start_once(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let settings = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            format!("unix_socket_directories={}", self.folder.path().display()),
            "fsync=off".into(),
            "max_connections=60".into(),
            "shared_buffers=16MB".into(),
        ];
        let mut arguments: Vec<OsString> = vec!["-D".into(), self.data().into()];
        for setting in settings {
            arguments.extend(["-c".into(), setting.into()]);
        }
        let command = self.as_its_user("postgres", &arguments);
        self.process = Some(Leashed::start(command, log)?);
        let ready = tokio::time::timeout(READY_WITHIN, self.ready()).await;
        ready.context("Postgres did not become ready").flatten()
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        loop {
            if let Some(ended) = self.process.as_mut().map(Leashed::ended).transpose()?.flatten() {
                bail!("Postgres ended: {ended}");
            }
            let port = format!("--port={}", self.port);
            let asked = tokio::process::Command::new(program("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1", &port])
                .status()
                .await?;
            if asked.success() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn as_its_user(&self, name: &str, arguments: &[OsString]) -> Vec<OsString> {
        // The folder of whoever runs the tests may be closed to it.
        let mut command: Vec<OsString> = ["env", "-C", "/"].map(OsString::from).into();
        if self.as_root {
            // `setpriv` becomes the server, so that what is killed is the server itself.
            let words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"];
            command.extend(words.map(OsString::from));
        }
        command.push(program(name).into());
        command.extend(arguments.iter().cloned());
        command
    }
}

/// Debian keeps the server's programs out of the path.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin").join(name))
        .filter(|program| program.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| Path::new(name).to_owned())
}
