//! `deployguard report WATCH`: the incident report, as Markdown.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::client::Server;

pub fn run(
    server: &Server,
    watch: &str,
    output: Option<&Path>,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let report = server.text(&["api", "v1", "watches", watch, "report.md"])?;
    match output {
        Some(file) => std::fs::write(file, &report)
            .with_context(|| format!("{} can't be written", file.display()))?,
        None => out.write_all(report.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
