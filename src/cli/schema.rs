//! `deployguard schema`: the JSON Schema of a policy file.

use std::io::Write;
use std::process::ExitCode;

/// Prints the schema; editors complete and check policies with it.
pub fn run(out: &mut impl Write) -> anyhow::Result<ExitCode> {
    writeln!(out, "{}", serde_json::to_string_pretty(&crate::policy::schema())?)?;
    Ok(ExitCode::SUCCESS)
}
