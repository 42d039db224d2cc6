//! `deployguard doctor`: tries everything that the daemon will need.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::app::doctor::{Grade, Line, examine};
use crate::model::Recipient;
use crate::settings::Settings;

/// 0: all of it is as it has to be, warnings aside; 1: something fails.
pub fn run(
    config: &Path,
    slack_post: bool,
    call: &[Recipient],
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut lines = vec![Line {
        part: "settings".to_owned(),
        grade: Grade::Ok,
        what: format!("{} read", config.display()),
        mend: None,
    }];
    lines.extend(runtime.block_on(examine(&settings, slack_post, call)));
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&lines)?)?;
    } else {
        tell(&lines, out)?;
    }
    let fails = lines.iter().any(|line| line.grade == Grade::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    for Line { part, grade, what, mend } in lines {
        let grade = match grade {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "FAIL",
        };
        writeln!(out, "{grade:4}  {part}: {what}")?;
        if let Some(mend) = mend {
            writeln!(out, "      mend: {mend}")?;
        }
    }
    Ok(())
}
