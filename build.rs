//! What `deployguard_build_info` says: the commit and the compiler. Whatever can't be found out
//! is `unknown`; no build fails for it.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEPLOYGUARD_COMMIT");
    let unknown = || "unknown".to_owned();
    println!("cargo::rustc-env=DEPLOYGUARD_COMMIT={}", commit().unwrap_or_else(unknown));
    println!("cargo::rustc-env=DEPLOYGUARD_RUSTC={}", compiler().unwrap_or_else(unknown));
}

/// As it is given, where there is no repository; otherwise git's. Only of a release: a build
/// for tests would have to be made anew after every commit.
fn commit() -> Option<String> {
    if let Some(given) = env::var("DEPLOYGUARD_COMMIT").ok().filter(|given| !given.is_empty()) {
        return Some(given);
    }
    if env::var("PROFILE").ok()? != "release" {
        return None;
    }
    // Of this repository, and of none that it was unpacked into.
    if !Path::new(".git").exists() {
        return None;
    }
    // Written whenever HEAD moves. A path that is not there would mean a build each time.
    let moves = said("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&moves).exists() {
        println!("cargo::rerun-if-changed={moves}");
    }
    said("git", &["rev-parse", "--short=12", "HEAD"])
}

/// `1.95.0`.
fn compiler() -> Option<String> {
    let words = said(&env::var("RUSTC").ok()?, &["--version"])?;
    Some(words.split_whitespace().nth(1)?.to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let done = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    (done.status.success() && !text.is_empty()).then_some(text)
}
