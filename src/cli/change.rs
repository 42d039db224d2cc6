//! `deployguard check --diff`: what a change to the policies does, in words.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::check::{count, told};
use crate::policy::{Change, Diagnostic, Effect, Policy, PolicySet, SourceFile, check, diff};
use crate::policy_repo::{collect, collect_at};

/// Compares the policies at `paths` with those of a git revision. Exit 1 if
/// either side has mistakes. No path is `policies`.
pub fn run(revision: &str, paths: &[PathBuf], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let usual = [PathBuf::from("policies")];
    let paths = if paths.is_empty() { &usual } else { paths };
    let before = collect_at(revision, paths)?;
    // What is there no longer was removed.
    let there: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
    if before.is_empty() && there.is_empty() {
        anyhow::bail!("no policies are here, and none were at `{revision}`");
    }
    let sides = [read(Ok(before)), read(collect(&there))];
    for mistakes in sides.iter().filter_map(|side| side.as_ref().err()) {
        told(mistakes, out)?;
    }
    let [Ok(before), Ok(after)] = &sides else { return Ok(ExitCode::FAILURE) };
    let changes = diff(&policies(before), &policies(after));
    written(revision, &changes, out)?;
    Ok(ExitCode::SUCCESS)
}

fn read(files: Result<Vec<SourceFile>, Vec<Diagnostic>>) -> Result<PolicySet, Vec<Diagnostic>> {
    files.and_then(|files| check(&files))
}

fn policies(set: &PolicySet) -> Vec<&Policy> {
    set.iter().map(|written| &*written.policy).collect()
}

/// First what lets the guard act by itself, then everything, policy by policy.
fn written(revision: &str, changes: &[Change], out: &mut impl Write) -> std::io::Result<()> {
    if changes.is_empty() {
        return writeln!(out, "no policy means anything else than at {revision}");
    }
    let mut freed: Vec<&Change> =
        changes.iter().filter(|change| change.effect == Effect::Unattended).collect();
    freed.dedup_by_key(|change| &change.policy);
    for change in freed {
        let (policy, guards) = (&change.policy, &change.guards);
        writeln!(out, "!! {policy} LETS THE GUARD ACT UNATTENDED on services like {guards}")?;
    }
    let mut last = None;
    for change in changes {
        if last != Some(&change.policy) {
            writeln!(out, "{} (guards {})", change.policy, change.guards)?;
            last = Some(&change.policy);
        }
        writeln!(out, "  {change}")?;
    }
    let of = |effect: Effect| changes.iter().filter(|change| change.effect == effect).count();
    let (looser, stricter) = (of(Effect::Looser), of(Effect::Stricter));
    writeln!(
        out,
        "{} since {revision}: {stricter} stricter, {looser} looser",
        count(changes.len(), "change", "changes")
    )
}
