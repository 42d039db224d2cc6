//! Why a query finds nothing: which metric, label or value it is that isn't there.

use promql_parser::label::Matcher;
use promql_parser::parser::VectorSelector;

use super::Asked;
use crate::model::Unusable;
use crate::policy::{nearest, selectors};

/// Names and values that are listed where none is near.
const LISTED: usize = 8;

/// What is not there, in words that mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    Metric(String),
    /// No series of the metric has the label: it will never match.
    Label(String),
    /// The metric and its labels are there, and these values are not, or not together.
    Values(String),
    /// Every selector finds series.
    Around(String),
}

impl Cause {
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Metric(words)
            | Self::Label(words)
            | Self::Values(words)
            | Self::Around(words) => words,
        }
    }
}

/// Why `query` finds nothing.
pub(super) async fn of(asked: &Asked<'_>, query: &str) -> Result<Cause, Unusable> {
    for selector in selectors(query) {
        if let Some(cause) = of_selector(asked, &selector).await? {
            return Ok(cause);
        }
    }
    let words = "every selector in it finds series, and what is made of them is nothing: \
                 do both sides of an operator have the same labels?";
    Ok(Cause::Around(words.to_owned()))
}

pub(super) async fn of_selector(
    asked: &Asked<'_>,
    selector: &VectorSelector,
) -> Result<Option<Cause>, Unusable> {
    let Some(metric) = &selector.name else { return Ok(None) };
    let (Some(source), within) = (&asked.sources.prometheus, asked.known_within()) else {
        return Ok(None);
    };
    if source.label_values("__name__", Some(metric), within).await?.is_empty() {
        let all = source.label_values("__name__", None, within).await?;
        let near = nearest(metric, all.iter().map(String::as_str));
        let words = format!("no metric is called `{metric}`{}", meant(&near, &[]));
        return Ok(Some(Cause::Metric(words)));
    }
    let labels = source.label_names(metric, within).await?;
    for matcher in &selector.matchers.matchers {
        if !labels.contains(&matcher.name) && !matcher.is_match("") {
            return Ok(Some(no_label(metric, matcher, &labels)));
        }
        let values = source.label_values(&matcher.name, Some(metric), within).await?;
        // A series without the label has it empty.
        if !values.iter().any(|value| matcher.is_match(value)) && !matcher.is_match("") {
            return Ok(Some(no_value(metric, matcher, &values)));
        }
    }
    if selector.matchers.matchers.is_empty() {
        let words = format!("`{metric}` was there within the last hours, and is not now");
        return Ok(Some(Cause::Values(words)));
    }
    let text = selector_text(metric, selector);
    if source.label_values("__name__", Some(&text), within).await?.is_empty() {
        let words = format!("each matcher fits series of `{metric}`, all together fit none");
        return Ok(Some(Cause::Values(words)));
    }
    Ok(None)
}

fn selector_text(metric: &str, selector: &VectorSelector) -> String {
    let matchers: Vec<String> = selector
        .matchers
        .matchers
        .iter()
        .map(|matcher| format!("{}{}{:?}", matcher.name, matcher.op, matcher.value))
        .collect();
    format!("{metric}{{{}}}", matchers.join(","))
}

fn no_label(metric: &str, matcher: &Matcher, labels: &[String]) -> Cause {
    let others: Vec<&str> =
        labels.iter().map(String::as_str).filter(|label| *label != "__name__").collect();
    let near = nearest(&matcher.name, others.iter().copied());
    let meant = meant(&near, &others);
    Cause::Label(format!("no series of `{metric}` has the label `{}`{meant}", matcher.name))
}

fn no_value(metric: &str, matcher: &Matcher, values: &[String]) -> Cause {
    let all: Vec<&str> = values.iter().map(String::as_str).collect();
    let near = nearest(&matcher.value, all.iter().copied());
    let meant = meant(&near, &all);
    let Matcher { op, name, value } = matcher;
    Cause::Values(format!("no series of `{metric}` has `{name}{op}\"{value}\"`{meant}"))
}

/// "; did you mean `x`?", or else what there is.
fn meant(near: &[&str], all: &[&str]) -> String {
    match (near.first(), all) {
        (Some(near), _) => format!("; did you mean `{near}`?"),
        (None, []) => String::new(),
        (None, all) => {
            let listed = all.iter().take(LISTED).map(|one| format!("`{one}`"));
            let more = if all.len() > LISTED { ", ..." } else { "" };
            format!("; there are {}{more}", listed.collect::<Vec<_>>().join(", "))
        }
    }
}
