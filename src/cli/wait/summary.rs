//! What a wait came to, as Markdown for the summary of a step.

use super::news::title;
use super::ruling::{End, Ruling};
use super::trace::Traces;
use crate::cli::watches::sign;
use crate::watch::markdown::{link, plain, table, time};
use crate::web::{CheckView, WatchDetail};

/// Rows of checks.
const MOST_CHECKS: usize = 100;
/// Lines of what was done: the last.
const MOST_LINES: usize = 15;

/// `id`: what was waited for; `page`: where people find the watch.
pub fn summary(
    id: &str,
    detail: Option<&WatchDetail>,
    end: &End,
    traces: &Traces,
    page: &str,
) -> String {
    let of = detail.map_or_else(|| id.to_owned(), |detail| title(&detail.watch));
    let (sign, word) = (end.ruling.sign(), end.ruling.as_str());
    let head =
        format!("### {sign} deployguard: {} {word}\n\n{}\n", plain(&of), plain(&end.because));
    let Some(detail) = detail else { return head };
    let checks = detail.watch.checks.iter().take(MOST_CHECKS);
    let rows: Vec<Vec<String>> = checks.map(|check| row(check, traces)).collect();
    let checks = table(&["check", "verdict", "value", "limits", "latest"], &rows);
    let incident = detail.watch.incident.as_ref();
    let evidence = incident.map(|incident| listed(incident.evidence.iter())).unwrap_or_default();
    let evidence = match (incident, evidence.as_str()) {
        (Some(incident), listed) if !listed.is_empty() => {
            format!("\n**{} incident**\n\n{listed}", incident.severity)
        }
        (_, _) => String::new(),
    };
    let skip = detail.timeline.len().saturating_sub(MOST_LINES);
    let entries = detail.timeline.iter().skip(skip);
    let done: Vec<String> =
        entries.map(|entry| format!("- {} {}\n", time(entry.at), plain(&entry.text))).collect();
    let report = match end.ruling {
        Ruling::Harmed => format!(" · incident report: {}", link(&format!("{page}/report.md"))),
        Ruling::Passed
        | Ruling::Unguarded
        | Ruling::Undecided
        | Ruling::NotAsked
        | Ruling::Replaced
        | Ruling::Interrupted => String::new(),
    };
    let run = detail.facts.url.as_deref();
    let run = run.map(|url| format!(" · deployed by {}", link(url))).unwrap_or_default();
    format!(
        "{head}{evidence}\n{checks}\n**What happened (UTC)**\n\n{}\nmode {} · watch {}{report}{run}\n",
        done.concat(),
        detail.watch.mode,
        link(page),
    )
}

fn listed<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    let lines: Vec<String> =
        lines.take(MOST_LINES).map(|line| format!("- {}\n", plain(line))).collect();
    lines.concat()
}

fn row(check: &CheckView, traces: &Traces) -> Vec<String> {
    let verdict = check.verdict.map_or("not measured", |verdict| verdict.as_str());
    let value = check.shown.as_deref().unwrap_or(&check.reason);
    vec![
        plain(&check.name),
        format!("{} {verdict}", sign(check.verdict)),
        plain(value),
        plain(&check.limits),
        traces.spark(&check.name),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::made::{at, check, detail, incident};
    use crate::model::Verdict;
    use crate::watch::Entry;

    #[test]
    fn a_summary_has_verdict_checks_deeds_and_links() {
        let mut detail = detail();
        detail.watch.checks[0] = check("error rate", Verdict::Breach, 0.3);
        detail.watch.checks.push(check("orders | <b>", Verdict::Healthy, 0.5));
        let text = "decided: immediate rollback".to_owned();
        detail.timeline.push(Entry { at: at(61), text });
        detail.watch.incident = Some(incident());
        let mut traces = Traces::default();
        traces.take(&detail.watch);
        let end = End::new(Ruling::Harmed, "rolled back: error rate 30%");
        let said = summary("gha-v2", Some(&detail), &end, &traces, "http://d/w");
        assert_eq!(
            said,
            "### ✗ deployguard: shopflow-api v2 in production did not pass\n\n\
             rolled back: error rate 30%\n\n\
             **SEV2 incident**\n\n\
             - error rate 3% (limit > 1%)\n\n\
             | check | verdict | value | limits | latest |\n\
             | --- | --- | --- | --- | --- |\n\
             | error rate | ✗ breach | 30% | normal < 0.1% · SEV2 > 1% | █ |\n\
             | orders \\| \\<b> | ✓ healthy | 50% | normal < 0.1% · SEV2 > 1% | █ |\n\n\
             **What happened (UTC)**\n\n\
             - 2026-11-20 10:31:01 decided: immediate rollback\n\n\
             mode auto · watch <http://d/w> · incident report: <http://d/w/report.md> \
             · deployed by <https://ci.example/1>\n"
        );
    }

    #[test]
    fn where_nothing_was_seen_it_says_why() {
        let end = End::new(Ruling::NotAsked, "no deployguard answers at http://d");
        let said = summary("gha\n# v2", None, &end, &Traces::default(), "");
        assert_eq!(
            said,
            "### ? deployguard: gha # v2 could not ask\n\nno deployguard answers at http\\://d\n"
        );
    }

    #[test]
    fn of_a_long_story_the_end_is_told() {
        let mut detail = detail();
        for second in 0..500 {
            let text = format!("line {second}");
            detail.timeline.push(Entry { at: at(second), text });
        }
        let end = End::new(Ruling::Passed, "it passed");
        let said = summary("w", Some(&detail), &end, &Traces::default(), "http://d/w");
        assert_eq!(said.matches("line ").count(), MOST_LINES);
        assert!(said.contains("line 499") && !said.contains("incident report"), "{said}");
    }
}
