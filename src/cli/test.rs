//! `deployguard test`: the tests of policies.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::policy;
use crate::policy_repo::{collect, tests_at};
use crate::policy_test::{Paint, read, run, told};

/// Runs the test files at `paths`, and those in folders. Exit 1 if any test fails or
/// any file has a mistake.
pub fn run_tests(paths: &[PathBuf], out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let paint = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Paint::Colours
    } else {
        Paint::Plain
    };
    let files = match tests_at(paths) {
        Ok(files) => files,
        Err(mistakes) => {
            super::check::told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let (mut tests, mut failed, mut unread) = (0_usize, 0_usize, 0_usize);
    for file in &files {
        writeln!(out, "{}", file.path)?;
        let load = |path: &Path| collect(&[path.to_owned()]).and_then(|found| policy::read(&found));
        match read(file, load) {
            Err(mistakes) => {
                unread += 1;
                super::check::told(&mistakes, out)?;
            }
            Ok(found) => {
                for test in &found.tests {
                    let outcome = run(test);
                    tests += 1;
                    failed += usize::from(!outcome.failures.is_empty());
                    write!(out, "{}", told(&found.path, test, &outcome, paint))?;
                }
            }
        }
    }
    let noun = if tests == 1 { "test" } else { "tests" };
    let unread_words = match unread {
        0 => String::new(),
        1 => ", 1 file with mistakes".to_owned(),
        many => format!(", {many} files with mistakes"),
    };
    writeln!(out, "{tests} {noun}, {failed} failed{unread_words}")?;
    Ok(if failed == 0 && unread == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
