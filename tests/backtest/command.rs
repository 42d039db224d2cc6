//! The command as a person or a program runs it.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

pub const POLICY: &str = r#"
version: 1
policy: shop
environment: production
match: { cluster: shop, service: "shop-*" }
mode: observe
labels: { service: service, version: version, instance: instance }
phases:
  immediate: { until: 15m, interval: 15s }
  short-term: { until: 45m, interval: 30s }
grace: 1m
rollback: { known_good_after: immediate }
checks:
  errors:
    ratio:
      bad: { counter: 'requests_total{code=~"5.."}' }
      total: { counter: requests_total }
    normal: "< 0.5%"
    breach: { SEV2: "> 2%", SEV1: "> 10%" }
"#;

/// A folder with a policy and a list, and how the command runs there.
pub struct Desk {
    pub folder: TempDir,
    pub url: String,
}

/// What the command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    pub fn new(url: String, list: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("shop.yaml"), POLICY).unwrap();
        fs::write(folder.path().join("list.csv"), list).unwrap();
        Self { folder, url }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub async fn run(&self, more: &[&str]) -> Said {
        let mut list = vec!["--deployments", "list.csv"];
        list.extend(more);
        self.run_plain(&list).await
    }

    pub async fn run_plain(&self, more: &[&str]) -> Said {
        self.run_program(env!("CARGO_BIN_EXE_deployguard"), more).await
    }

    /// As [`Desk::run`], by another build in the folder.
    pub async fn run_as(&self, program: &str, more: &[&str]) -> Said {
        let program = self.path(program);
        let mut list = vec!["--deployments", "list.csv"];
        list.extend(more);
        self.run_program(program.to_str().unwrap(), &list).await
    }

    async fn run_program(&self, program: &str, more: &[&str]) -> Said {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).arg("backtest");
        command.args(["--policy", "shop.yaml", "--prometheus", &self.url]).args(more);
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        Said {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    pub async fn json(&self, more: &[&str]) -> Value {
        let mut json = vec!["--format", "json"];
        json.extend(more);
        let said = self.run(&json).await;
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(&said.out).expect("one JSON document")
    }
}
