//! Policies from the outside: files in, words out.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

mod alarms;
mod aside;
mod audience;
mod bad;
mod calendar;
mod change;
mod cloudwatch;
mod commands;
mod coverage;
mod doubts;
mod evidence;
mod folder;
mod good;
mod import;
mod links;
mod logs;
mod probe;
mod reference;
mod tasks;
mod variants;
mod web;

use deployguard::policy::{Diagnostic, PolicySet, SourceFile, check, read};

fn file(path: &str, text: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { path: path.to_owned(), bytes: text.into() }
}

fn told(result: Result<PolicySet, Vec<Diagnostic>>) -> String {
    match result {
        Ok(set) => format!("{} policies\n", set.len()),
        Err(mistakes) => {
            mistakes.iter().flat_map(|mistake| [mistake.to_string(), "\n".to_owned()]).collect()
        }
    }
}

fn read_one(text: impl Into<Vec<u8>>) -> Result<PolicySet, Vec<Diagnostic>> {
    read(&[file("policies/x.yaml", text)])
}
