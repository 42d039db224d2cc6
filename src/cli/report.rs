//! `deployguard report WATCH`: the incident report, as Markdown.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::client::Server;

/// With `output` its charts are put beside the file, and it links to those.
pub fn run(
    server: &Server,
    watch: &str,
    output: Option<&Path>,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let path = ["api", "v1", "watches", watch, "report.md"];
    let report = server.text(&path)?;
    match output {
        Some(file) => {
            let (report, charts) = beside(&report, file);
            for (link, chart) in charts {
                write(&chart, &server.linked(&path, &link)?)?;
            }
            write(file, &report)?;
        }
        None => out.write_all(report.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
}

/// The report with links to charts beside `file`, and each chart's own link with its file.
fn beside(report: &str, file: &Path) -> (String, Vec<(String, PathBuf)>) {
    const LINK: &str = "](chart/";
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let stem: String = stem.chars().map(plain).collect();
    let (mut text, mut charts) = (String::new(), Vec::new());
    let mut rest = report;
    while let Some((before, after)) = rest.split_once(LINK) {
        text.push_str(before);
        let Some((name, behind)) = after.split_once(')') else {
            text.push_str(LINK);
            rest = after;
            continue;
        };
        let own = format!("{stem}-chart-{}.svg", charts.len() + 1);
        text.extend(["](", &own, ")"]);
        charts.push((format!("chart/{name}"), file.with_file_name(own)));
        rest = behind;
    }
    text.push_str(rest);
    (text, charts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_charts_lie_beside_the_file_and_the_links_point_at_them() {
        let report = "# R\n\n![errors over time](chart/errors.svg)\n![a b](chart/a%20b.svg)\n";
        let (text, charts) = beside(report, Path::new("/tmp/inc 7.md"));
        assert_eq!(
            text,
            "# R\n\n![errors over time](inc-7-chart-1.svg)\n![a b](inc-7-chart-2.svg)\n"
        );
        let (links, files): (Vec<_>, Vec<_>) = charts.into_iter().unzip();
        assert_eq!(links, ["chart/errors.svg", "chart/a%20b.svg"]);
        assert_eq!(files[1], Path::new("/tmp/inc-7-chart-2.svg"));
        assert_eq!(beside("no chart](chart/", file()).0, "no chart](chart/");
    }

    fn file() -> &'static Path {
        Path::new("r.md")
    }
}
