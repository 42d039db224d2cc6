//! `deployguard check --diff`: what a change to the policies does, in words.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::check::{count, told};
use crate::policy::{
    Change, Diagnostic, Effect, Policy, PolicySet, SourceFile, check, diff, nothing_there,
};
use crate::policy_repo::{collect, collect_at};

/// Compares the policies at `paths` with those of a git revision. Exit 1 if
/// there are mistakes now; mistakes of then are told. No path is `policies`.
pub fn run(revision: &str, paths: &[PathBuf], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let usual = [PathBuf::from("policies")];
    let paths = if paths.is_empty() { &usual } else { paths };
    let before = collect_at(revision, paths)?;
    // What is there no longer was removed; so was the last policy of a folder.
    let there = paths.iter().filter(|path| path.exists() && (before.is_empty() || holds_any(path)));
    let there: Vec<PathBuf> = there.cloned().collect();
    if before.is_empty() && there.is_empty() {
        anyhow::bail!("no policies are here, and none were at `{revision}`");
    }
    let after = match read(collect(&there)) {
        Ok(after) => after,
        Err(mistakes) => {
            told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    // Whoever mends what was broken is not to blame for it.
    let before = match read(Ok(before)) {
        Ok(before) => before,
        Err(mistakes) => {
            for mistake in &mistakes {
                writeln!(out, "at {revision} it could not be read: {mistake}")?;
            }
            writeln!(out, "compared with nothing")?;
            PolicySet::default()
        }
    };
    let changes = diff(&policies(&before), &policies(&after));
    written(revision, &changes, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is any policy file at `path`, or something that can't be read.
fn holds_any(path: &Path) -> bool {
    let nothing = |found: &Diagnostic| *found == nothing_there(&found.file);
    collect(&[path.to_owned()]).err().is_none_or(|mistakes| !mistakes.iter().all(nothing))
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
