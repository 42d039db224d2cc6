//! `deployguard check`: every mistake of the policies, before they are merged.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::policy::{Diagnostic, PolicySet, Weight, check};
use crate::policy_repo::collect;

/// Checks files and folders; with `expand`, prints each policy as one file with
/// everything that it inherits. Exit 1 if there is any mistake.
pub fn run(paths: &[PathBuf], expand: bool, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    match collect(paths).and_then(|files| check(&files)) {
        Ok(set) if expand => expanded(&set, out)?,
        Ok(set) => {
            let checks = set.iter().map(|written| written.policy.checks.len()).sum();
            let (policies, checks) =
                (count(set.len(), "policy", "policies"), count(checks, "check", "checks"));
            remarked(&set, "", out)?;
            let warnings =
                set.remarks().iter().filter(|remark| remark.weight == Weight::Warning).count();
            let warnings = match warnings {
                0 => String::new(),
                some => format!(", {}", count(some, "warning", "warnings")),
            };
            writeln!(out, "{policies}, {checks}: no mistakes{warnings}")?;
        }
        Err(mistakes) => {
            told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Each mistake on its line, and their number.
pub(super) fn told(mistakes: &[Diagnostic], out: &mut impl Write) -> std::io::Result<()> {
    for mistake in mistakes {
        writeln!(out, "{mistake}")?;
    }
    writeln!(out, "{}", count(mistakes.len(), "mistake", "mistakes"))
}

/// Each remark on its line, behind `lead`.
pub(super) fn remarked(set: &PolicySet, lead: &str, out: &mut impl Write) -> std::io::Result<()> {
    set.remarks().iter().try_for_each(|remark| writeln!(out, "{lead}{remark}"))
}

fn expanded(set: &PolicySet, out: &mut impl Write) -> std::io::Result<()> {
    remarked(set, "# ", out)?;
    for (index, written) in set.iter().enumerate() {
        if index > 0 {
            writeln!(out, "---")?;
        }
        writeln!(out, "# {}, sha256 {}", written.file, written.digest)?;
        write!(out, "{}", written.text)?;
    }
    Ok(())
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
