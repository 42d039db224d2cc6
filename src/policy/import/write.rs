//! The draft as YAML, with its arguments beside the checks.

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::SignedDuration;

use super::draw::Wanted;
use super::{
    Argument, Check, Found, Frame, ImportFrom, Imported, Measured, Read, Rule, cloudwatch,
};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::{Part, Side, SourceFile, Unit, check};

/// Columns of a comment.
const WIDTH: usize = 96;

/// Checks of the bundles: another of the same name would change theirs.
const OF_BUNDLES: [&str; 5] =
    ["task failures", "running tasks", "healthy targets", "cpu", "memory"];

/// Writes the policy. Read alone, what deployguard itself would refuse becomes a comment
/// with the reason.
pub(super) fn policy(
    from: ImportFrom,
    file: &SourceFile,
    frame: &Frame,
    found: Found,
    read: Read,
) -> Imported {
    let Found { name, service, rules, remarks } = found;
    let mut frame = frame.clone();
    if let Some((cluster, service)) = service.filter(|_| frame.service == UNSAID) {
        (frame.cluster, frame.service) = (cluster, service);
    }
    let name = frame.policy.clone().or(name).unwrap_or_else(|| "imported".to_owned());
    let mut head = String::new();
    opening(from, file, &mut head);
    let (mut checks, mut kept) = (Vec::<Rule>::new(), Vec::new());
    for mut rule in rules {
        let refused = match &rule.check {
            Err(reason) => Some(reason.clone()),
            Ok(_) if read == Read::Together => None,
            Ok(check) => refusal(from, check),
        };
        match refused {
            Some(reason) => {
                rule.check = Err(reason);
                kept.push(rule);
            }
            None if joined(from, &mut checks, &rule) => {}
            None => checks.push(rule),
        }
    }
    let labels = labels(&checks);
    let mut text = head;
    for remark in &remarks {
        comment(&mut text, "", remark);
    }
    if checks.is_empty() {
        comment(&mut text, "", "No rule could be made a check.");
    } else {
        text.push_str(&framed(&frame, &name, bundle(from), labels));
        let mut names = OF_BUNDLES.map(str::to_owned).into();
        for rule in &checks {
            entry(&mut text, file, rule, &mut names);
        }
    }
    remains(&mut text, file, &kept);
    let arguments = checks.iter().chain(&kept).flat_map(|rule| said(file, rule)).collect();
    Imported { text, arguments, checks: checks.len(), kept: kept.len() }
}

fn opening(from: ImportFrom, file: &SourceFile, out: &mut String) {
    let kind = match from {
        ImportFrom::PrometheusRules => "prometheus-rules",
        ImportFrom::Argo => "argo",
        ImportFrom::CloudWatchAlarms => "cloudwatch-alarms",
    };
    comment(
        out,
        "",
        &format!(
            "Drafted from {} by `deployguard import {kind}`. (!) marks where a rule does not mean \
             what it says, and => what is drafted instead. Read each, then `deployguard check` the file.",
            file.path
        ),
    );
    if from == ImportFrom::PrometheusRules {
        comment(
            out,
            "",
            "- Of the severities, `critical` and `page` are drafted as SEV1, `info` as SEV3, and \
             every other, or none, as SEV2.",
        );
    }
    if from == ImportFrom::CloudWatchAlarms {
        for line in [
            "An alarm's severity is guessed from the words of its name, its description and whom it tells; \
             where none says, it is drafted as SEV2.",
            "An alarm without data is in INSUFFICIENT_DATA and tells nobody, unless it has actions for \
             that; here it is `no_data`: people are told, and nothing is rolled back.",
            "An alarm looks at the newest data points, which may be incomplete; a check waits until a \
             period is over and has arrived.",
            "In a blue/green deployment a service has two target groups that change places: an alarm \
             on one of them looks at the old version every other time.",
        ] {
            comment(out, "", &format!("- {line}"));
        }
    }
    if from == ImportFrom::Argo {
        for line in [
            "Argo's analysis ends with its `count`, or when the rollout is promoted; a watch goes on to \
             the end of its last phase, and rolls back after the promotion too.",
            "To Argo, a query that can't be asked or has no result is an error, and the fifth running \
             aborts the rollout; here it is `no_data`: people are told, nothing is rolled back.",
            "An aborted rollout goes back to the stable version: drafted as SEV1, with mode observe \
             until you trust it.",
        ] {
            comment(out, "", &format!("- {line}"));
        }
    }
}

fn bundle(from: ImportFrom) -> &'static str {
    match from {
        ImportFrom::CloudWatchAlarms => "ecs-cloudwatch",
        ImportFrom::PrometheusRules | ImportFrom::Argo => "ecs-web",
    }
}

/// Everything but the checks.
fn framed(frame: &Frame, name: &str, bundle: &str, labels: Option<&str>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "version: 1");
    let _ = writeln!(out, "policy: {}", quoted(name));
    let _ = writeln!(out, "environment: {}", quoted(&frame.environment));
    if frame.cluster == UNSAID || frame.service == UNSAID {
        comment(&mut out, "", "The file does not say which services it is about: fill it in.");
    }
    let (cluster, service) = (quoted(&frame.cluster), quoted(&frame.service));
    let _ = writeln!(out, "match: {{ cluster: {cluster}, service: {service} }}");
    let _ = writeln!(out, "extends: {bundle}");
    comment(&mut out, "", "It only says what it would do, until people have seen it be right.");
    let _ = writeln!(out, "mode: observe");
    if let Some(label) = labels {
        comment(
            &mut out,
            "",
            "Narrows every `counter` to the one service that is judged: name the label that your \
             series carry. A `query` is asked as it stands: narrow it by `${service}` yourself.",
        );
        let _ = writeln!(out, "labels: {{ service: {label} }}");
    }
    let _ = writeln!(out, "checks:");
    out
}

/// What stands for a name that nobody gave.
pub const UNSAID: &str = "CHANGE-ME";

/// The draft as if its author had filled in what nobody said. A dimension may be of any
/// shape, as one that comes with the deployment.
pub(super) fn filled(text: &str) -> String {
    let dimension = |line: &str| {
        let key = line.strip_suffix(UNSAID).filter(|key| key.starts_with("        "))?;
        Some(format!("{key}\"${{labels.said}}\"\n"))
    };
    let line = |line: &str| dimension(line).unwrap_or_else(|| line.replace(UNSAID, "said") + "\n");
    text.lines().map(line).collect()
}

/// The label that the series name their service by. `None` where every check
/// speaks of `${service}` itself.
fn labels(checks: &[Rule]) -> Option<&'static str> {
    let texts: Vec<&str> = checks
        .iter()
        .filter_map(|rule| rule.check.as_ref().ok())
        .flat_map(|check| match &check.measured {
            Measured::Ratio { of, total, .. } => vec![of.as_str(), total.as_str()],
            Measured::Latency { counter, .. } => vec![counter.as_str()],
            Measured::Query(query) => vec![query.as_str()],
            Measured::Metric { .. } | Measured::MetricRatio { .. } => Vec::new(),
        })
        .collect();
    if texts.iter().all(|text| text.contains("${service}")) {
        return None;
    }
    let known = ["service_name", "app"];
    let used = |label: &&str| {
        texts
            .iter()
            .any(|text| ["{", ","].iter().any(|before| text.contains(&format!("{before}{label}="))))
    };
    Some(known.into_iter().find(used).unwrap_or("service"))
}

/// Puts a rule into the check that measures the same at another severity.
fn joined(from: ImportFrom, checks: &mut [Rule], rule: &Rule) -> bool {
    let Ok(new) = &rule.check else { return false };
    for old in checks {
        let Ok(check) = &mut old.check else { continue };
        let mut both = check.clone();
        both.breach.extend(new.breach.clone());
        let alike = both.measured == new.measured && both.window == new.window;
        let apart = both.breach.len() == check.breach.len() + new.breach.len();
        if alike && apart && check.normal == new.normal && refusal(from, &both).is_none() {
            *check = both;
            old.was.push(format!("and {}, line {}:", rule.name, rule.line));
            old.was.extend(rule.was.clone());
            for argument in &rule.arguments {
                if !old.arguments.contains(argument) {
                    old.arguments.push(argument.clone());
                }
            }
            return true;
        }
    }
    false
}

/// Why deployguard would refuse a policy with this check.
fn refusal(from: ImportFrom, drafted: &Check) -> Option<String> {
    let frame = Frame {
        policy: None,
        environment: "draft".to_owned(),
        cluster: "draft".to_owned(),
        service: "draft".to_owned(),
    };
    let mut text = framed(&frame, "draft", bundle(from), Some("service"));
    body(&mut text, "check", drafted);
    let bytes = filled(&text).into_bytes();
    let file = SourceFile { path: "draft.yaml".to_owned(), bytes };
    let mistake = check(&[file]).err()?.into_iter().next()?;
    let mend = mistake.mend.map(|mend| format!("; {mend}")).unwrap_or_default();
    Some(format!("{}{mend}", mistake.message))
}

/// A check with what is argued about it.
pub(super) fn entry(
    out: &mut String,
    file: &SourceFile,
    rule: &Rule,
    names: &mut BTreeSet<String>,
) {
    let Ok(check) = &rule.check else { return };
    out.push('\n');
    about(out, "  ", file, rule);
    let mut name: String = rule.name.chars().filter(|char| !char.is_control()).take(100).collect();
    if name.trim().is_empty() {
        "unnamed".clone_into(&mut name);
    }
    let base = name.clone();
    let mut number = 1;
    while !names.insert(name.clone()) {
        number += 1;
        name = format!("{base} {number}");
    }
    body(out, &name, check);
}

pub(super) fn about(out: &mut String, margin: &str, file: &SourceFile, rule: &Rule) {
    let Rule { name, line, was, arguments, .. } = rule;
    comment(out, margin, &format!("{name}, {}:{line}:", file.path));
    for line in was {
        comment(out, margin, &format!("  {line}"));
    }
    for Argument { says, drafted } in arguments {
        comment(out, margin, &format!("(!) {says}."));
        if let Some(drafted) = drafted {
            comment(out, margin, &format!("    => {drafted}."));
        }
    }
}

fn body(out: &mut String, name: &str, check: &Check) {
    let Check { measured, normal, breach, window } = check;
    let _ = writeln!(out, "  {}:", quoted(name));
    match measured {
        Measured::Ratio { part, of, total } => {
            let part = match part {
                Part::Bad => "bad",
                Part::Good => "good",
            };
            let _ = writeln!(out, "    ratio:");
            let _ = writeln!(out, "      {part}: {{ counter: {} }}", quoted(of));
            let _ = writeln!(out, "      total: {{ counter: {} }}", quoted(total));
        }
        Measured::Latency { quantile, counter } => {
            let counter = quoted(counter);
            let _ = writeln!(out, "    latency: {{ counter: {counter}, quantile: {quantile} }}");
        }
        Measured::Query(query) => {
            let _ = writeln!(out, "    query: {}", quoted(query));
        }
        Measured::Metric { of, quantile } => cloudwatch::metric(out, of, *quantile),
        Measured::MetricRatio { part, of, total } => cloudwatch::ratio(out, *part, of, total),
    }
    if let Some(window) = window {
        let _ = writeln!(out, "    window: {window:#}");
    }
    if let Some(normal) = normal {
        let _ = writeln!(out, "    normal: \"{normal}\"");
    }
    let limits: Vec<String> =
        breach.iter().map(|(severity, limit)| format!("{severity}: \"{limit}\"")).collect();
    let _ = writeln!(out, "    breach: {{ {} }}", limits.join(", "));
}

fn remains(out: &mut String, file: &SourceFile, kept: &[Rule]) {
    if kept.is_empty() {
        return;
    }
    out.push('\n');
    comment(out, "", "Not translated, each with its reason:");
    for rule in kept {
        out.push_str("#\n");
        about(out, "", file, rule);
        if let Err(reason) = &rule.check {
            comment(out, "", &format!("=> {reason}."));
        }
    }
}

/// The arguments of a rule, for people who read along.
fn said(file: &SourceFile, rule: &Rule) -> Vec<Diagnostic> {
    let tell = |message: String, mend: Option<String>| Diagnostic {
        file: file.path.clone(),
        line: rule.line,
        column: rule.column,
        message: format!("{}: {message}", rule.name),
        mend,
    };
    let argued = rule.arguments.iter().map(|one| tell(one.says.clone(), one.drafted.clone()));
    let kept = rule.check.as_ref().err();
    argued.chain(kept.map(|reason| tell(format!("not translated: {reason}"), None))).collect()
}

/// A limit as a policy writes it.
pub(super) fn limit(wanted: Wanted, unit: Unit, hold: Option<SignedDuration>) -> String {
    let hold = hold.map(|hold| format!(" for {hold:#}")).unwrap_or_default();
    format!("{}{hold}", bound(wanted, unit))
}

pub(super) fn bound(wanted: Wanted, unit: Unit) -> String {
    let Wanted { side, value } = wanted;
    let side = match side {
        Side::Above => ">",
        Side::AtLeast => ">=",
        Side::Below => "<",
        Side::AtMost => "<=",
    };
    let amount = match unit {
        Unit::Ratio => format!("{}%", round(value * 100.0)),
        Unit::Seconds if value.abs() < 1.0 => format!("{}ms", round(value * 1000.0)),
        Unit::Seconds => format!("{}s", round(value)),
        Unit::Bytes | Unit::Number | Unit::Failures => round(value),
    };
    format!("{side} {amount}")
}

/// Without what binary fractions leave behind: `7`, not `7.000000000000001`.
pub(in crate::policy) fn round(value: f64) -> String {
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "0" || text == "-0" { format!("{value}") } else { text.to_owned() }
}

/// Lines of a comment, wrapped; no text gets out of it.
pub(in crate::policy) fn comment(out: &mut String, margin: &str, text: &str) {
    let indent: String = text.chars().take_while(|char| *char == ' ').collect();
    let mut line = String::new();
    let mut flush = |line: &mut String| {
        let _ = writeln!(out, "{margin}#{line}");
        line.clear();
    };
    for word in text.split(|char: char| char.is_whitespace() || char.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() && line.chars().count() + word.chars().count() + margin.len() > WIDTH {
            flush(&mut line);
        }
        if line.is_empty() {
            line.push_str(&indent);
        }
        line.push(' ');
        line.push_str(word);
    }
    if !line.is_empty() {
        flush(&mut line);
    }
}

/// Plain where nothing in it means anything to YAML, quoted otherwise.
pub(in crate::policy) fn quoted(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_- /.".contains(char);
    let word = !["null", "~", "true", "false"].contains(&text.to_lowercase().as_str());
    let ends = text.starts_with(|char: char| char.is_ascii_alphabetic()) && !text.ends_with(' ');
    if word && ends && text.chars().all(plain) {
        return text.to_owned();
    }
    if text.chars().any(char::is_control) {
        return serde_json::Value::from(text).to_string();
    }
    format!("'{}'", text.replace('\'', "''"))
}
