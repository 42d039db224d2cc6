//! Checks that would show the same numbers for every service of a policy.

use promql_parser::label::{MatchOp, Matcher};

use jiff::SignedDuration;
use marked_yaml::Marker;

use super::cloudwatch::CloudWatchText;
use super::desk::Desk;
use super::origin::SourceText;
use super::raw::{CheckText, CountText, PolicyFile};
use super::scalar::At;
use crate::policy::diagnostic::{Mistake, Weight};
use crate::policy::glob::Glob;
use crate::policy::plain;
use crate::policy::selector::selectors;
use crate::policy::template::Template;

/// The label that is taken for the service's where the policy names none.
const USUAL: &str = "service";
/// Stands where a variable's value will.
const VALUE: &str = "value-of-a-variable";
/// Variables that are alike for all services of a policy.
const SHARED: [&str; 3] = ["window", "cluster", "environment"];

/// What a check asks, and where it is written.
struct Asked<'a> {
    text: &'a str,
    marker: Marker,
    /// `labels.service` is added to it.
    is_counter: bool,
}

/// Warns of what is asked alike for each service that a pattern stands for.
pub(super) fn check(text: &PolicyFile, desk: &mut Desk) {
    let pattern = text.matches.as_ref().and_then(|matches| matches.service.as_ref());
    let Some(pattern) = pattern.map(|pattern| pattern.value.0.as_str()) else { return };
    let Ok(glob) = Glob::parse(pattern) else { return };
    if glob.plain().is_some_and(|names| names.len() < 2) {
        return;
    }
    let label = text.labels.service.as_ref().map(|label| label.value.0.as_str());
    for (name, check) in &text.checks {
        let source = check.source.as_ref().or(text.source.as_ref());
        let own_pages = source.is_some_and(SourceText::tells_services);
        for asked in asked(check).into_iter().filter(|_| !own_pages) {
            if let Some(mistake) = shared(name, &asked, label, pattern, &glob) {
                desk.report.remark(Weight::Warning, asked.marker, mistake);
            }
        }
        for metric in metrics(check) {
            if let Some((marker, shown)) = shared_metric(metric) {
                let mistake = same_numbers(name, pattern);
                let mend =
                    format!("put `${{service}}` or `${{labels.NAME}}` into a dimension of {shown}");
                desk.report.remark(Weight::Warning, marker, mistake.mend(mend));
            }
        }
    }
}

fn asked(check: &CheckText) -> Vec<Asked<'_>> {
    let mut all = Vec::new();
    let mut ask = |text, marker, is_counter| all.push(Asked { text, marker, is_counter });
    let ratio = check.ratio.iter();
    let counts = ratio.flat_map(|ratio| [&ratio.bad, &ratio.good, &ratio.total]).flatten();
    for CountText { counter, query, cloudwatch: _, json: _ } in counts {
        if let Some(counter) = counter {
            ask(&counter.value.0, counter.marker, true);
        }
        if let Some(query) = query {
            ask(&query.value.0, query.marker, false);
        }
    }
    if let Some(counter) = check.latency.as_ref().and_then(|latency| latency.counter.as_ref()) {
        ask(&counter.value.0, counter.marker, true);
    }
    for query in [&check.query, &check.status].into_iter().flatten() {
        ask(&query.value.0, query.marker, false);
    }
    all
}

/// The metrics of CloudWatch that a check asks for.
fn metrics(check: &CheckText) -> impl Iterator<Item = &CloudWatchText> {
    let ratio = check.ratio.iter();
    let counts = ratio.flat_map(|ratio| [&ratio.bad, &ratio.good, &ratio.total]).flatten();
    let counts = counts.filter_map(|count| count.cloudwatch.as_ref());
    let latency = check.latency.iter().filter_map(|latency| latency.cloudwatch.as_ref());
    counts.chain(latency).chain(&check.cloudwatch)
}

/// Where a metric stands whose dimensions are alike for all services, and its name.
fn shared_metric(text: &CloudWatchText) -> Option<(Marker, &str)> {
    let own = text.dimensions.values();
    let all = own.chain(text.metrics.values().flat_map(|one| one.dimensions.values()));
    let tells = |value: &At<String>| plain::names(&value.value).any(|name| !SHARED.contains(&name));
    if all.into_iter().any(tells) {
        return None;
    }
    let named = text.metric.as_ref().or(text.expression.as_ref())?;
    Some((named.marker, &named.value))
}

/// Why it is the same for all of them; `None` where something tells them apart.
fn shared(
    name: &str,
    asked: &Asked,
    label: Option<&str>,
    pattern: &str,
    glob: &Glob,
) -> Option<Mistake> {
    let template = Template::of(asked.text);
    if template.names().any(|name| name == USUAL) {
        return None;
    }
    let query = template.expand(SignedDuration::from_mins(1), |_| VALUE);
    let matchers: Vec<Matcher> = selectors(&query)
        .into_iter()
        .flat_map(|selector| {
            let more = selector.matchers.or_matchers.into_iter().flatten();
            selector.matchers.matchers.into_iter().chain(more).collect::<Vec<_>>()
        })
        .collect();
    let is_added = |label: &str| matchers.iter().all(|matcher| matcher.name != label);
    if asked.is_counter && label.is_some_and(is_added) {
        return None;
    }
    if let Some(fixed) = matchers.iter().find(|matcher| names_one(matcher, label, glob)) {
        let Matcher { op, name: of, value } = fixed;
        let message = format!(
            "`{name}` asks for `{of}{op}\"{value}\"`, whichever service of `{pattern}` is deployed"
        );
        return Some(Mistake::new(message).mend(format!("write `{of}=\"${{service}}\"`")));
    }
    if template.names().any(|name| !SHARED.contains(&name)) {
        return None;
    }
    let narrow = format!("narrow it by `{}=\"${{service}}\"`", label.unwrap_or(USUAL));
    Some(same_numbers(name, pattern).mend(if asked.is_counter && label.is_none() {
        format!("add `labels: {{ service: LABEL }}`, or {narrow}")
    } else {
        narrow
    }))
}

fn same_numbers(name: &str, pattern: &str) -> Mistake {
    Mistake::new(format!(
        "`{name}` shows the same for every service of `{pattern}`: nothing narrows it to one"
    ))
}

/// Whether a matcher speaks of a service by a name that is written down.
fn names_one(matcher: &Matcher, label: Option<&str>, glob: &Glob) -> bool {
    if matcher.value.contains(VALUE) {
        return false;
    }
    let of_services = matcher.name == label.unwrap_or(USUAL);
    match matcher.op {
        MatchOp::Equal => {
            // `*` matches every word: that says nothing about what it names.
            let tells = !glob.matches(VALUE);
            of_services || (tells && matcher.name != "__name__" && glob.matches(&matcher.value))
        }
        MatchOp::Re(_) => of_services,
        MatchOp::NotEqual | MatchOp::NotRe(_) => false,
    }
}
