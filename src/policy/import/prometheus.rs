//! Alerting rules of Prometheus.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::types::MarkedMappingNode;
use promql_parser::parser::parse;

use super::draw::{Drawn, Wanted, draw};
use super::shape::constant;
use super::text::{at_word, bare, clean, comparison, stretch, without_fallback};
use super::tree::{at, begin, each, place, under, word};
use super::write::limit;
use super::{Argument, Check, Found, Measured, Rule, argue};
use crate::model::Severity;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::selector::check_query;
use crate::policy::{Side, SourceFile, Unit};

/// Reads the groups of every document; `PrometheusRule` of Kubernetes too.
pub(super) fn read(
    file: &SourceFile,
    documents: &[MarkedMappingNode],
) -> Result<Found, Diagnostic> {
    let mut found = Found::default();
    let mut any = false;
    for document in documents {
        let root = under(document, "spec").unwrap_or(document);
        any |= root.get("groups").is_some();
        for group in each(root, "groups") {
            found.name = found.name.or_else(|| word(group, "name").map(str::to_owned));
            for rule in each(group, "rules") {
                if let Some(name) = word(rule, "record") {
                    let remark =
                        format!("`{name}` is a recording rule:a check can ask for it by name");
                    found.remarks.push(remark);
                } else {
                    found.rules.push(alert(file, rule)?);
                }
            }
        }
    }
    if !any {
        let top = documents.first().and_then(begin);
        return Err(at(file, top, "no rules of Prometheus: there is no `groups:`"));
    }
    Ok(found)
}

fn alert(file: &SourceFile, rule: &MarkedMappingNode) -> Result<Rule, Diagnostic> {
    let top = begin(rule);
    let name = word(rule, "alert").ok_or_else(|| at(file, top, "a rule without `alert:`"))?;
    let expr =
        word(rule, "expr").ok_or_else(|| at(file, top, format!("`{name}` has no `expr:`")))?;
    let hold = match word(rule, "for") {
        None => None,
        Some(text) => match stretch(text) {
            None if text.trim_start_matches('0').trim_end_matches(['s', 'm', 'h']).is_empty() => {
                None
            }
            None => {
                let message = format!("`for: {text}` is not a duration");
                return Err(at(file, place(rule, "for"), message));
            }
            hold => hold,
        },
    };
    let labelled = under(rule, "labels").and_then(|labels| word(labels, "severity"));
    let mut was = vec![told(expr, hold, labelled)];
    let annotations = under(rule, "annotations");
    let said = |key| annotations.and_then(|annotations| word(annotations, key));
    was.extend(said("summary").or_else(|| said("description")).map(|text| format!("\"{text}\"")));
    let mut arguments = Vec::new();
    let check = condition(expr, &mut arguments).and_then(|(query, wanted)| {
        let drawn = draw(&query, wanted)?;
        Ok(checked(drawn, hold, labelled, &mut arguments))
    });
    let place = place(rule, "expr").or(top);
    let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
    Ok(Rule { name: name.to_owned(), line, column, was, arguments, check })
}

fn told(expr: &str, hold: Option<SignedDuration>, severity: Option<&str>) -> String {
    let hold = hold.map(|hold| format!(" for {hold:#}")).unwrap_or_default();
    let severity = severity.map_or("no severity".to_owned(), |word| format!("severity {word}"));
    format!("{}{hold}, {severity}", clean(expr))
}

/// The rule's query and its limit.
fn condition(expr: &str, arguments: &mut Vec<Argument>) -> Result<(String, Wanted), String> {
    let cleaned = clean(expr);
    check_query(&cleaned).map_err(|mistake| mistake.message)?;
    let (text, fallback) = without_fallback(&cleaned);
    let mut text = bare(&text);
    check_query(text).map_err(|mistake| mistake.message)?;
    if at_word(text, &["or"]).is_some() {
        return Err("it is two rules in one (`or`): make each a check".to_owned());
    }
    if let Some((left, right)) = at_word(text, &["and", "unless"]) {
        arguments.push(dropped(right));
        text = bare(left);
        if at_word(text, &["or", "and", "unless"]).is_some() {
            return Err("it joins several conditions: make each a check".to_owned());
        }
    }
    let (left, sign, right) = comparison(text).map_err(|signs| match signs {
        0 if bare(text).starts_with("absent") => "it asks whether data is missing: deployguard \
             tells that of every check (`no_data: { notify_after: 3m }`) and never takes it for guilt"
            .to_owned(),
        0 => "it compares with nothing: any series at all fires it".to_owned(),
        _ => "it compares more than once".to_owned(),
    })?;
    let number = |text: &str| parse(text).ok().as_ref().and_then(constant);
    let right = match right.strip_prefix("bool") {
        Some(rest) => {
            arguments.push(
                Argument::new(
                    "with `bool` the comparison always has a result, 0 or 1: the rule always fires",
                )
                .drafted("drafted without it"),
            );
            rest.trim()
        }
        None => right,
    };
    let (query, sign, value) = match (number(left), number(right)) {
        (None, Some(value)) => (left, sign, value),
        (Some(value), None) => (right, turned(sign), value),
        (Some(_), Some(_)) => return Err("it compares two numbers".to_owned()),
        (None, None) => {
            return Err(
                "it compares two series: write their difference against 0, or a `baseline`"
                    .to_owned(),
            );
        }
    };
    if fallback {
        arguments.push(argue::fallback(sign.starts_with('>')));
    }
    Ok(limited(query, sign, value))
}

fn turned(sign: &str) -> &str {
    match sign {
        ">" => "<",
        "<" => ">",
        ">=" => "<=",
        "<=" => ">=",
        same => same,
    }
}

/// A limit knows no `==`: `up == 0` is `up < 1`, anything else is asked as a bool.
fn limited(query: &str, sign: &str, value: f64) -> (String, Wanted) {
    let wanted = |side| Wanted { side, value };
    match sign {
        ">" => (query.to_owned(), wanted(Side::Above)),
        ">=" => (query.to_owned(), wanted(Side::AtLeast)),
        "<" => (query.to_owned(), wanted(Side::Below)),
        "<=" => (query.to_owned(), wanted(Side::AtMost)),
        _ => {
            let is_up = bare(query).split(['{', ' ']).next() == Some("up");
            let down =
                (sign == "==" && value == 0.0) || (sign == "!=" && (value - 1.0).abs() < 1e-9);
            if is_up && down {
                return (query.to_owned(), Wanted { side: Side::Below, value: 1.0 });
            }
            let asked = format!("({query}) {sign} bool {value}");
            (asked, Wanted { side: Side::Above, value: 0.0 })
        }
    }
}

fn dropped(right: &str) -> Argument {
    let traffic = ["rate(", "increase("].iter().any(|call| right.contains(call));
    let instead = if traffic {
        "left away: `min_traffic` (20 events in the window) says from when on a ratio or latency counts"
    } else {
        "left away: a check has one limit, so it is crossed more often than the rule"
    };
    Argument::new(format!("the rule also asks for `{right}`")).drafted(instead)
}

fn checked(
    drawn: Drawn,
    hold: Option<SignedDuration>,
    labelled: Option<&str>,
    arguments: &mut Vec<Argument>,
) -> Check {
    let Drawn { measured, wanted, unit, window, arguments: argued, beneath } = drawn;
    arguments.extend(argued);
    arguments.extend(argue::slow(window, hold));
    let mut severity = graded(labelled, arguments);
    if beneath {
        arguments.push(argue::beneath());
        severity = Severity::Sev3;
    }
    let unit = match measured {
        Measured::Ratio { .. } => Unit::Ratio,
        Measured::Latency { .. }
        | Measured::Query(_)
        | Measured::Metric { .. }
        | Measured::MetricRatio { .. } => unit,
    };
    let breach = BTreeMap::from([(severity, limit(wanted, unit, hold))]);
    Check { measured, normal: None, breach, window }
}

/// The severity that the rule's label means.
fn graded(labelled: Option<&str>, arguments: &mut Vec<Argument>) -> Severity {
    let word = labelled.unwrap_or_default().to_lowercase();
    match word.as_str() {
        "critical" | "crit" | "page" | "pager" | "emergency" | "fatal" | "disaster" | "sev1"
        | "p1" | "p0" | "1" => Severity::Sev1,
        "warning" | "warn" | "error" | "major" | "high" | "ticket" | "sev2" | "p2" | "2" | "" => {
            Severity::Sev2
        }
        "info" | "information" | "notice" | "minor" | "low" | "none" | "sev3" | "p3" | "p4"
        | "3" => Severity::Sev3,
        other => {
            let says = format!("the severity `{other}` is not known here");
            arguments.push(Argument::new(says).drafted("drafted as SEV2"));
            Severity::Sev2
        }
    }
}
