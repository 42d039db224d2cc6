//! The templates against CloudFormation's own schemas.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::template::{DAEMON, TARGET};

/// Where people run it first; the types and properties are looked up for each.
const REGIONS: [&str; 6] =
    ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2", "ap-northeast-1"];

/// A program of the tests' Python; `tests/world/install.sh` makes it.
pub fn python(program: &str) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_deployguard")).ancestors().nth(2).unwrap();
    let found: PathBuf = built.join("venv/bin").join(program);
    assert!(found.exists(), "{} is not there: run `make install`", found.display());
    Command::new(found)
}

#[test]
fn the_templates_are_valid_in_every_region_where_people_run_it_first() {
    let linted = python("cfn-lint")
        .arg("--regions")
        .args(REGIONS)
        .args(["--", DAEMON, TARGET])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&linted.stdout).into_owned();
    assert!(linted.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_template_names_no_account_and_no_password() {
    let account = regex::Regex::new(r"\b[0-9]{12}\b").unwrap();
    for path in [DAEMON, TARGET] {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(!account.is_match(&text), "{path}: {:?}", account.find(&text));
        let wordy = text.lines().filter(|line| {
            let line = line.trim();
            let given = line.strip_prefix("MasterUserPassword:").map(str::trim);
            given.is_some_and(|given| !given.contains("{{resolve:secretsmanager:"))
        });
        assert_eq!(wordy.collect::<Vec<_>>(), Vec::<&str>::new(), "{path}");
    }
}
