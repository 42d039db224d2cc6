//! Policies from the outside: files in, words out.

mod bad;
mod commands;
mod folder;
mod good;

use deployguard::policy::{Diagnostic, PolicySet, SourceFile, read};

fn file(path: &str, text: impl Into<Vec<u8>>) -> SourceFile {
    SourceFile { path: path.to_owned(), bytes: text.into() }
}

fn told(result: Result<PolicySet, Vec<Diagnostic>>) -> String {
    match result {
        Ok(set) => format!("{} policies\n", set.len()),
        Err(mistakes) => mistakes.iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

fn read_one(text: impl Into<Vec<u8>>) -> Result<PolicySet, Vec<Diagnostic>> {
    read(&[file("policies/x.yaml", text)])
}
