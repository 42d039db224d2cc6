//! PromQL as policies write it: plain selectors, and whole queries.

use jiff::SignedDuration;
use promql_parser::parser::{Expr, VectorSelector, parse};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::diagnostic::Mistake;
use super::template::{Template, escape};

/// What the parser says where it has no better reason.
const INVALID_QUERY_INFO: &str = "invalid promql query";
/// Bytes of a query; Prometheus itself takes more.
const MAX_LENGTH: usize = 4_096;
/// Brackets within brackets: more than anybody reads.
const MAX_DEPTH: usize = 64;

/// Checks a `counter:`: a selector of series, and nothing around it.
pub(super) fn check_counter(text: &str) -> Result<(), Mistake> {
    let selector = match parsed(text)? {
        Expr::VectorSelector(selector) => selector,
        Expr::MatrixSelector(_) => {
            return Err(Mistake::new("a `counter` has no range of its own")
                .mend("leave the `[...]` away: the window is added to it"));
        }
        _ => {
            return Err(Mistake::new("a `counter` is a plain selector, without functions")
                .mend("write `http_requests_total{status=~\"5..\"}`, or use `query:`"));
        }
    };
    if selector.offset.is_some() || selector.at.is_some() {
        return Err(Mistake::new("a `counter` has no `offset` and no `@`"));
    }
    if !selector.matchers.or_matchers.is_empty() {
        return Err(
            Mistake::new("a `counter` has no `or` between its matchers").mend("use `=~\"a|b\"`")
        );
    }
    if Template::of(text).has_comment() {
        return Err(Mistake::new("a `counter` has no comment in it"));
    }
    Ok(())
}

/// Checks the `counter:` of a latency: it must select a histogram's buckets.
pub(super) fn check_buckets(text: &str) -> Result<(), Mistake> {
    check_counter(text)?;
    let Expr::VectorSelector(selector) = parsed(text)? else { return Ok(()) };
    match metric(&selector) {
        Some(name) if name.ends_with("_bucket") => {}
        Some(name) => {
            let name = name.trim_end_matches("_sum").trim_end_matches("_count");
            return Err(Mistake::new("a latency counts a histogram's buckets: `..._bucket`")
                .mend(format!("did you mean `{name}_bucket`?")));
        }
        None => {
            return Err(Mistake::new("the selector of a latency must name its metric"));
        }
    }
    if selector.matchers.find_matchers("le").is_empty() {
        return Ok(());
    }
    Err(Mistake::new("the selector of a latency must leave `le` open"))
}

/// Checks a `query:` whose answer is a count of events in the window.
pub(super) fn check_count_query(text: &str) -> Result<(), Mistake> {
    check_query(text)?;
    if Template::of(text).has_window() {
        return Ok(());
    }
    Err(Mistake::new("the query of a count must count within `[${window}]`")
        .mend("write `sum(increase(NAME[${window}]))`"))
}

/// Checks a `query:` that is read off a page: a plain selector that names its metric.
pub(super) fn check_value(text: &str) -> Result<(), Mistake> {
    let mend = "write a plain selector: `process_resident_memory_bytes{job=\"api\"}`; a share of \
                events is a `ratio` of two `counter`s, a quantile is a `latency`";
    let selector = match parsed(text)? {
        Expr::VectorSelector(selector) if selector.matchers.or_matchers.is_empty() => selector,
        _ => {
            let what = "a page of metrics is no Prometheus: it computes no PromQL";
            return Err(Mistake::new(what).mend(mend));
        }
    };
    if selector.offset.is_some() || selector.at.is_some() || Template::of(text).has_comment() {
        return Err(Mistake::new("off a page there is no `offset`, no `@` and no comment"));
    }
    match metric(&selector).as_deref() {
        Some("up") => Err(Mistake::new("`up` is Prometheus' own: no page has it")
            .mend("ask a health endpoint: `http: https://.../health`")),
        Some(_) => Ok(()),
        None => Err(Mistake::new("a selector that is read off a page must name its metric")),
    }
}

/// Checks any query that can be asked at an instant.
pub(super) fn check_query(text: &str) -> Result<(), Mistake> {
    match parsed(text)? {
        Expr::MatrixSelector(_) | Expr::Subquery(_) => {
            Err(Mistake::new("the query answers with ranges, not with values")
                .mend("put a function such as `rate(...)` around it"))
        }
        Expr::StringLiteral(_) => Err(Mistake::new("the query is a string, not a value")),
        _ => Ok(()),
    }
}

/// Adds `label="value"` to a checked selector, unless it speaks of that label
/// itself already.
pub(super) fn with_matcher(selector: &str, label: &str, value: &str) -> String {
    if let Ok(Expr::VectorSelector(parsed)) = parse(selector)
        && !parsed.matchers.find_matchers(label).is_empty()
    {
        return selector.to_owned();
    }
    let mut quoted = String::new();
    escape(value, '"', &mut quoted);
    let matcher = format!("{label}=\"{quoted}\"");
    // The name of a metric holds no brace: the first one opens the matchers.
    match selector.split_once('{') {
        Some((name, rest)) if rest.trim_start().starts_with('}') => {
            format!("{name}{{{matcher}{rest}")
        }
        Some((name, rest)) => format!("{name}{{{matcher},{rest}"),
        None => format!("{}{{{matcher}}}", selector.trim()),
    }
}

/// Every selector of a query, in its order.
pub fn selectors(query: &str) -> Vec<VectorSelector> {
    struct Selectors(Vec<VectorSelector>);
    impl ExprVisitor for Selectors {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            if let Expr::VectorSelector(selector) = expr {
                self.0.push(selector.clone());
            }
            if let Expr::MatrixSelector(matrix) = expr {
                self.0.push(matrix.vs.clone());
            }
            Ok(true)
        }
    }
    let mut found = Selectors(Vec::new());
    if let Ok(expr) = parse(query) {
        let _ = walk_expr(&mut found, &expr);
    }
    found.0
}

fn metric(selector: &VectorSelector) -> Option<String> {
    selector.name.clone().or_else(|| {
        let named = selector.matchers.find_matchers("__name__");
        named.first().map(|matcher| matcher.value.clone())
    })
}

/// The query as PromQL, its variables filled with a harmless word.
fn parsed(text: &str) -> Result<Expr, Mistake> {
    let template = Template::of(text);
    template.check()?;
    if text.len() > MAX_LENGTH {
        return Err(Mistake::new(format!("a query has at most {MAX_LENGTH} bytes")));
    }
    if deepest(text) > MAX_DEPTH {
        return Err(Mistake::new(format!("a query nests at most {MAX_DEPTH} brackets")));
    }
    let sample = template.expand(SignedDuration::from_mins(1), |_| "x");
    parse(&sample).map_err(|reason| match reason.trim() {
        INVALID_QUERY_INFO => {
            Mistake::new("not PromQL").mend("try it on Prometheus' own page, which shows the place")
        }
        reason => Mistake::new(format!("not PromQL: {reason}")),
    })
}

/// How deep brackets nest, or signs follow one another, whichever is more.
fn deepest(text: &str) -> usize {
    let (mut depth, mut signs, mut deepest) = (0_usize, 0_usize, 0_usize);
    for char in text.chars() {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '-' | '+' => signs += 1,
            char if char.is_whitespace() => {}
            _ => signs = 0,
        }
        deepest = deepest.max(depth).max(signs);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_a_plain_selector() {
        for text in ["x", "x{}", "x{a=\"b\",}", "{__name__=\"x\"}", " x { a = '${service}' } "] {
            assert_eq!(check_counter(text), Ok(()), "{text}");
        }
        for text in [
            "rate(x[5m])",
            "x[5m]",
            "x offset 5m",
            "x @ 1",
            "x + 1",
            "x{a=\"b\" or c=\"d\"}",
            "x{a=\"b\"",
            "",
            "x # why",
            "{}",
            "5",
            "\"x\"",
        ] {
            assert!(check_counter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_latency_counts_buckets_of_every_bound() {
        assert_eq!(check_buckets("x_seconds_bucket{a=\"b\"}"), Ok(()));
        let sum = check_buckets("x_seconds_sum").unwrap_err();
        assert_eq!(sum.mend.as_deref(), Some("did you mean `x_seconds_bucket`?"));
        assert!(check_buckets("x_bucket{le=\"0.5\"}").is_err());
    }

    #[test]
    fn a_count_asks_for_its_window() {
        assert_eq!(check_count_query("sum(increase(x[${window}]))"), Ok(()));
        assert!(check_count_query("sum(increase(x[5m]))").is_err());
        assert!(
            check_count_query("x{a=\"${window}\"}").is_err(),
            "a word in a string is no window"
        );
    }

    #[test]
    fn a_query_answers_with_values() {
        let long = format!("{}1", "1+".repeat(2000));
        for text in ["up", "1", "max(up) / 2", "rate(x[${window}])", &long] {
            assert_eq!(check_query(text), Ok(()), "{text}");
        }
        for text in ["up[5m]", "\"up\"", "sum(", "up ups", &"(".repeat(4000), &"-".repeat(4000)] {
            assert!(check_query(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn a_matcher_is_added_in_every_form_of_selector_and_never_twice() {
        let cases = [
            ("x", r#"x{s="a\"b"}"#),
            ("x{}", r#"x{s="a\"b"}"#),
            ("x{a=\"}\"}", r#"x{s="a\"b",a="}"}"#),
            ("x{ a=\"b\", }", r#"x{s="a\"b", a="b", }"#),
            ("{__name__=\"x\"}", r#"{s="a\"b",__name__="x"}"#),
            ("x{s=~\"z.*\"}", "x{s=~\"z.*\"}"),
        ];
        for (before, after) in cases {
            assert_eq!(with_matcher(before, "s", "a\"b"), after);
            assert_eq!(check_counter(after), Ok(()), "{after}");
        }
    }
}
