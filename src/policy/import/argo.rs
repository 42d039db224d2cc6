//! `AnalysisTemplate`s of Argo Rollouts.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::types::MarkedMappingNode;
use promql_parser::parser::{Expr, parse};

use super::condition::{self, Condition};
use super::draw::{Drawn, draw};
use super::shape::{aggregate, constant, peeled};
use super::text::{clean, stretch};
use super::tree::{at, begin, each, place, under, word};
use super::write::{bound, limit};
use super::{Argument, Check, Found, Rule, argue};
use crate::model::Severity;
use crate::policy::SourceFile;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::template::escape;

/// The template's arguments, with the value that it gives them.
type Args<'a> = BTreeMap<&'a str, Option<&'a str>>;

/// Reads the templates among the documents.
pub(super) fn read(
    file: &SourceFile,
    documents: &[MarkedMappingNode],
) -> Result<Found, Diagnostic> {
    let mut found = Found::default();
    let mut templates = 0;
    for document in documents {
        let kind = word(document, "kind").unwrap_or("document without a kind");
        if !["AnalysisTemplate", "ClusterAnalysisTemplate"].contains(&kind) {
            found.remarks.push(format!("A {kind} in the file is left aside."));
            continue;
        }
        templates += 1;
        let named = under(document, "metadata").and_then(|metadata| word(metadata, "name"));
        found.name = found.name.or_else(|| named.map(str::to_owned));
        let spec = under(document, "spec")
            .ok_or_else(|| at(file, begin(document), format!("the {kind} has no `spec:`")))?;
        for metric in each(spec, "metrics") {
            found.rules.push(measured(file, spec, metric)?);
        }
    }
    if templates == 0 {
        let top = documents.first().and_then(begin);
        return Err(at(file, top, "no `kind: AnalysisTemplate` is in the file"));
    }
    Ok(found)
}

fn measured(
    file: &SourceFile,
    spec: &MarkedMappingNode,
    metric: &MarkedMappingNode,
) -> Result<Rule, Diagnostic> {
    let top = begin(metric);
    let name = word(metric, "name").ok_or_else(|| at(file, top, "a metric without `name:`"))?;
    let place = place(metric, "name").or(top);
    let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
    let args: Args = each(spec, "args")
        .filter_map(|arg| Some((word(arg, "name")?, word(arg, "value"))))
        .collect();
    let mut arguments = Vec::new();
    let dry = each(spec, "dryRun").any(|dry| word(dry, "metricName") == Some(name));
    let check = translated(metric, &args, dry, &mut arguments);
    let was = ["successCondition", "failureCondition", "interval", "count", "failureLimit"];
    let mut was: Vec<String> =
        was.iter().filter_map(|key| Some(format!("{key}: {}", word(metric, key)?))).collect();
    was.extend(provided(metric).ok().map(|(_, query)| format!("query: {}", clean(query))));
    Ok(Rule { name: name.to_owned(), line, column, was, arguments, check })
}

/// The Prometheus query of a metric.
fn provided(metric: &MarkedMappingNode) -> Result<(&MarkedMappingNode, &str), String> {
    let provider = under(metric, "provider").ok_or("it has no `provider:`")?;
    let kind = provider.keys().next().map_or("none", |key| key.as_str());
    let prometheus = under(provider, "prometheus")
        .ok_or_else(|| format!("its provider is `{kind}`, and checks ask Prometheus"))?;
    let query = word(prometheus, "query").ok_or("it has no `query:`")?;
    Ok((prometheus, query))
}

fn translated(
    metric: &MarkedMappingNode,
    args: &Args,
    dry: bool,
    arguments: &mut Vec<Argument>,
) -> Result<Check, String> {
    let (prometheus, query) = provided(metric)?;
    if prometheus.get("rangeQuery").is_some() {
        return Err("it asks over a range (`rangeQuery`), and a check asks at an instant: put \
                    `max_over_time(...)` around it"
            .to_owned());
    }
    let query = filled(&clean(query), args, arguments)?;
    let condition = |key| match word(metric, key).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => condition::read(&filled(text, args, &mut Vec::new())?).map(Some),
    };
    let (success, failure) = (condition("successCondition")?, condition("failureCondition")?);
    let limits = (success.as_ref().and_then(|c| c.wanted), failure.as_ref().and_then(|c| c.wanted));
    let (breach, normal) = match limits {
        (None, None) => {
            return Err("it has no condition: to Argo every answer is a success".to_owned());
        }
        (Some(success), None) => (success.negated(), None),
        (None, Some(failure)) => (failure, None),
        (Some(success), Some(failure)) => (failure, Some(success)),
    };
    let drawn = draw(&query, breach)?;
    meant(success.as_ref(), failure.as_ref(), &query, arguments);
    let normal = normal.and_then(|normal| draw(&query, normal).ok());
    let hold = tries(metric, arguments);
    Ok(checked(drawn, normal, hold, dry, arguments))
}

fn checked(
    drawn: Drawn,
    normal: Option<Drawn>,
    hold: Option<SignedDuration>,
    dry: bool,
    arguments: &mut Vec<Argument>,
) -> Check {
    let Drawn { measured, wanted, unit, window, arguments: argued, beneath } = drawn;
    arguments.extend(argued);
    if beneath {
        arguments.push(argue::beneath());
    }
    let normal = normal.filter(|normal| normal.unit == unit);
    let mut severity = Severity::Sev1;
    if dry || beneath {
        severity = Severity::Sev3;
    }
    if dry {
        arguments.push(
            Argument::new("a dry run: its result changes nothing")
                .drafted("drafted as SEV3: told, never rolled back"),
        );
    }
    Check {
        measured,
        normal: normal.map(|normal| bound(normal.wanted, unit)),
        breach: BTreeMap::from([(severity, limit(wanted, unit, hold))]),
        window,
    }
}

/// What the conditions make of no data, of no number, and of several series.
fn meant(
    success: Option<&Condition>,
    failure: Option<&Condition>,
    query: &str,
    arguments: &mut Vec<Argument>,
) {
    let left = "left away: without data the verdict is `no_data`, which passes nothing";
    let on = |part: fn(&Condition) -> bool, side: Option<&Condition>| side.is_some_and(part);
    if on(|condition| condition.holds_on_empty, success) {
        let says = "an empty result is a success: a renamed metric, or a version that serves \
                    nothing, passes";
        arguments.push(Argument::new(says).drafted(left));
    }
    if on(|condition| condition.holds_on_nan, success) {
        let says = "NaN (0/0: no requests) is a success: a version that nobody reaches passes";
        arguments.push(Argument::new(says).drafted(left));
    } else if success.is_none() && !on(|condition| condition.holds_on_nan, failure) {
        let says = "NaN (0/0: no requests) is above and below nothing, so with `failureCondition` \
                    alone it is a success";
        arguments.push(Argument::new(says).drafted(left));
    }
    if on(|condition| condition.holds_on_empty || condition.holds_on_nan, failure) {
        let says = "no data is a failure: a scrape that fails rolls back a good version";
        arguments.push(Argument::new(says).drafted("left away: missing data is no guilt"));
    }
    if let Some(value) = [success, failure].into_iter().flatten().find_map(|one| one.default) {
        let says = format!("`default(..., {value})` makes the value {value} of missing data");
        arguments.push(Argument::new(says).drafted(left));
    }
    let first = [success, failure].into_iter().flatten().any(|one| one.first_only);
    if first && parse(query).is_ok_and(|expr| !is_one_series(&expr)) {
        let says = "`result[0]` is the first of the series, whichever that is, and the query can \
                    return several";
        arguments.push(Argument::new(says).drafted("of several series the worst counts here"));
    }
}

/// Whether an answer can't have more than one series.
fn is_one_series(expr: &Expr) -> bool {
    if constant(expr).is_some() {
        return true;
    }
    match peeled(expr) {
        Expr::Binary(binary) => is_one_series(&binary.lhs) && is_one_series(&binary.rhs),
        Expr::Call(call) if call.func.name == "histogram_quantile" => {
            call.args.args.last().and_then(|inner| aggregate(inner)).is_some_and(|(around, _)| {
                !around.without && around.labels.iter().all(|label| label == "le")
            })
        }
        Expr::Call(call) => {
            let name = call.func.name;
            ["scalar", "vector", "time"].contains(&name)
                || (!call.args.args.is_empty()
                    && call.args.args.iter().all(|inner| is_one_series(inner)))
        }
        other => {
            aggregate(other).is_some_and(|(around, _)| !around.without && around.labels.is_empty())
        }
    }
}

/// How many bad samples it takes, as a time that the breach must hold.
fn tries(metric: &MarkedMappingNode, arguments: &mut Vec<Argument>) -> Option<SignedDuration> {
    let number = |key| word(metric, key).and_then(|text| text.parse::<i32>().ok());
    let interval = word(metric, "interval").and_then(stretch);
    let count = number("count");
    match (interval, count) {
        (None, _) => arguments.push(
            Argument::new("without `interval` it is measured once, and never again")
                .drafted("here it is measured in every phase"),
        ),
        (Some(interval), Some(count)) if count > 0 => {
            let ends = interval.checked_mul(count - 1).unwrap_or(SignedDuration::MAX);
            arguments.push(
                Argument::new(format!(
                    "after {count} samples, {ends:#}, it looks no more: what breaks later passes"
                ))
                .drafted("here it is measured to the end of the watch"),
            );
        }
        (Some(_), _) => {}
    }
    let inconclusive = number("inconclusiveLimit").is_some();
    if inconclusive {
        arguments.push(Argument::new("`inconclusiveLimit` pauses the rollout").drafted(
            "between `normal` and `breach` a check is `elevated`: shown, and nothing is done",
        ));
    }
    match number("failureLimit").unwrap_or(0) {
        0 => {
            arguments.push(
                Argument::new("`failureLimit: 0`, which is the default: one bad sample aborts")
                    .drafted("here a breach needs three samples that agree"),
            );
            None
        }
        limit if limit < 0 => {
            arguments.push(
                Argument::new("a negative `failureLimit` never aborts, whatever is measured")
                    .drafted("drafted with its limit all the same"),
            );
            None
        }
        limit => {
            let hold = interval?.checked_mul(limit)?;
            arguments.push(
                Argument::new(format!(
                    "`failureLimit: {limit}` counts all bad samples of the run, in a row or hours \
                     apart, and aborts at the next"
                ))
                .drafted(format!("drafted as a breach that holds for {hold:#}")),
            );
            Some(hold)
        }
    }
}

/// Puts variables, or the template's own values, in the place of `{{args.x}}`.
fn filled(text: &str, args: &Args, arguments: &mut Vec<Argument>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (inner, behind) = after.split_once("}}").ok_or("a `{{` without its `}}`")?;
        let name = inner.trim();
        let name = name.strip_prefix("args.").unwrap_or(name);
        out.push_str(&value(name, open_quote(&out), args, arguments)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(
    name: &str,
    quote: Option<char>,
    args: &Args,
    arguments: &mut Vec<Argument>,
) -> Result<String, String> {
    let given = args.get(name).copied().flatten();
    let Some(quote) = quote else {
        return given.map(str::to_owned).ok_or_else(|| {
            format!("the template gives `{{{{args.{name}}}}}` no value, and a limit or a range needs one")
        });
    };
    let folded: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let variable = match folded.as_str() {
        "service" | "servicename" | "app" | "appname" | "application" | "deployment" => "service",
        "environment" | "env" => "environment",
        "cluster" | "clustername" => "cluster",
        "version" => "version",
        "revision" => "revision",
        _ => "",
    };
    if !variable.is_empty() {
        return Ok(format!("${{{variable}}}"));
    }
    if let Some(given) = given {
        let mut escaped = String::new();
        escape(given, quote, &mut escaped);
        return Ok(escaped);
    }
    let argument = Argument::new(format!("`{{{{args.{name}}}}}` is nothing that ECS knows"))
        .drafted(format!("drafted as `${{labels.{name}}}`: announce deployments with that label"));
    if !arguments.contains(&argument) {
        arguments.push(argument);
    }
    Ok(format!("${{labels.{name}}}"))
}

/// The quote of the string that `text` ends in.
fn open_quote(text: &str) -> Option<char> {
    let (mut quote, mut escaped) = (None, false);
    for char in text.chars() {
        match quote {
            Some(open) => {
                if char == open && !escaped {
                    quote = None;
                }
                escaped = char == '\\' && !escaped && open != '`';
            }
            None if "\"'`".contains(char) => quote = Some(char),
            None => {}
        }
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_a_template_become_variables_inside_of_strings_only() {
        let args: Args = [("service-name", None), ("w", Some("5m")), ("ns", None)].into();
        let mut argued = Vec::new();
        let text = "rate(x{s=\"{{args.service-name}}\",n='{{ args.ns }}'}[{{args.w}}])";
        let expected = "rate(x{s=\"${service}\",n='${labels.ns}'}[5m])";
        assert_eq!(filled(text, &args, &mut argued), Ok(expected.to_owned()));
        assert_eq!(argued.len(), 1);
        assert!(filled("result[0] < {{args.limit}}", &args, &mut argued).is_err());
    }

    #[test]
    fn only_a_sum_over_everything_is_surely_one_series() {
        for (text, one) in [
            ("sum(rate(x[5m])) / sum(rate(y[5m]))", true),
            ("sum by (pod) (rate(x[5m]))", false),
            ("rate(x[5m])", false),
            ("histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", true),
        ] {
            assert_eq!(is_one_series(&parse(text).unwrap()), one, "{text}");
        }
    }
}
