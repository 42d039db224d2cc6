//! The shapes of PromQL that a check can say better than a query.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier, VectorSelector, token};

use crate::policy::template::escape;

/// `sum by (x) (rate(selector[5m]))`, with or without the sum.
#[derive(Debug, Clone)]
pub(super) struct Counting<'a> {
    /// `rate`, `irate` or `increase`.
    pub function: &'a str,
    pub selector: &'a VectorSelector,
    pub range: std::time::Duration,
    pub around: Option<Around>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Around {
    pub operator: String,
    /// `by`, or with `without: true` the labels that go.
    pub labels: Vec<String>,
    pub without: bool,
}

/// A number, calculated where it is written as a calculation.
pub(super) fn constant(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(inner) => constant(&inner.expr),
        Expr::Unary(inner) => constant(&inner.expr).map(|number| -number),
        Expr::Binary(binary) => {
            let (left, right) = (constant(&binary.lhs)?, constant(&binary.rhs)?);
            match binary.op.id() {
                token::T_ADD => Some(left + right),
                token::T_SUB => Some(left - right),
                token::T_MUL => Some(left * right),
                token::T_DIV => Some(left / right),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn peeled(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => peeled(&inner.expr),
        _ => expr,
    }
}

/// What is left of a `* 100`, in percent then.
pub(super) fn unscaled(expr: &Expr) -> (&Expr, bool) {
    let expr = peeled(expr);
    if let Expr::Binary(binary) = expr
        && binary.op.id() == token::T_MUL
    {
        let hundred = |side: &Expr| constant(side).is_some_and(|n| (n - 100.0).abs() < 1e-9);
        if hundred(&binary.lhs) {
            return (peeled(&binary.rhs), true);
        }
        if hundred(&binary.rhs) {
            return (peeled(&binary.lhs), true);
        }
    }
    (expr, false)
}

/// The share that is taken from one: `1 - share`.
pub(super) fn complement(expr: &Expr) -> Option<&Expr> {
    let Expr::Binary(binary) = peeled(expr) else { return None };
    let one = constant(&binary.lhs).is_some_and(|n| (n - 1.0).abs() < 1e-9);
    (binary.op.id() == token::T_SUB && one).then(|| peeled(&binary.rhs))
}

pub(super) fn division(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::Binary(binary) = peeled(expr) else { return None };
    (binary.op.id() == token::T_DIV).then(|| (peeled(&binary.lhs), peeled(&binary.rhs)))
}

pub(super) fn aggregate(expr: &Expr) -> Option<(Around, &Expr)> {
    let Expr::Aggregate(AggregateExpr { op, expr, modifier, .. }) = peeled(expr) else {
        return None;
    };
    let (labels, without) = match modifier {
        None => (Vec::new(), false),
        Some(LabelModifier::Include(labels)) => (labels.labels.clone(), false),
        Some(LabelModifier::Exclude(labels)) => (labels.labels.clone(), true),
    };
    Some((Around { operator: op.to_string(), labels, without }, peeled(expr)))
}

pub(super) fn counting(expr: &Expr) -> Option<Counting<'_>> {
    let (around, inner) = match aggregate(expr) {
        Some((around, inner)) => (Some(around), inner),
        None => (None, peeled(expr)),
    };
    let Expr::Call(call) = inner else { return None };
    let function = call.func.name;
    if !["rate", "irate", "increase"].contains(&function) {
        return None;
    }
    let Expr::MatrixSelector(matrix) = peeled(call.args.args.first()?) else { return None };
    let plain = plain(&matrix.vs);
    plain.then_some(Counting { function, selector: &matrix.vs, range: matrix.range, around })
}

/// Whether a `counter:` can say it.
pub(super) fn plain(selector: &VectorSelector) -> bool {
    selector.offset.is_none() && selector.at.is_none() && selector.matchers.or_matchers.is_empty()
}

/// The name of a call, with its arguments.
pub(super) fn call(expr: &Expr) -> Option<(&str, Vec<&Expr>)> {
    let Expr::Call(call) = peeled(expr) else { return None };
    Some((call.func.name, call.args.args.iter().map(|arg| peeled(arg)).collect()))
}

pub(super) fn metric(selector: &VectorSelector) -> String {
    let inside = || {
        let named = selector.matchers.matchers.iter().find(|m| m.name == "__name__");
        named.map(|matcher| matcher.value.clone())
    };
    selector.name.clone().or_else(inside).unwrap_or_default()
}

/// Every selector in `expr`.
pub(super) fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    match expr {
        Expr::Aggregate(inner) => selectors(&inner.expr),
        Expr::Unary(inner) => selectors(&inner.expr),
        Expr::Binary(binary) => [selectors(&binary.lhs), selectors(&binary.rhs)].concat(),
        Expr::Paren(inner) => selectors(&inner.expr),
        Expr::Subquery(inner) => selectors(&inner.expr),
        Expr::VectorSelector(selector) => vec![selector],
        Expr::MatrixSelector(matrix) => vec![&matrix.vs],
        Expr::Call(call) => call.args.args.iter().flat_map(|arg| selectors(arg)).collect(),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Vec::new(),
    }
}

/// A selector as it would be written, without the matchers that `drop` names.
pub(super) fn written(
    name: &str,
    selector: &VectorSelector,
    drop: impl Fn(&Matcher) -> bool,
) -> String {
    let kept = selector
        .matchers
        .matchers
        .iter()
        .filter(|matcher| !(drop(matcher) || matcher.name == "__name__"));
    let matchers: Vec<String> = kept.map(matcher).collect();
    if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
}

fn matcher(matcher: &Matcher) -> String {
    let sign = match &matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Re(_) => "=~",
        MatchOp::NotRe(_) => "!~",
    };
    let mut value = String::new();
    escape(&matcher.value, '"', &mut value);
    format!("{}{sign}\"{value}\"", matcher.name)
}

/// Whether the matcher picks out what failed.
pub(super) fn picks_errors(matcher: &Matcher) -> bool {
    let positive = match &matcher.op {
        MatchOp::Equal | MatchOp::Re(_) => true,
        MatchOp::NotEqual | MatchOp::NotRe(_) => false,
    };
    let name = matcher.name.to_lowercase();
    let value = matcher.value.to_lowercase();
    let value = value.trim_start_matches(['^', '(']);
    let by_code = ["status", "code"].iter().any(|part| name.contains(part))
        && (value.starts_with(['4', '5']) || value.starts_with("[45]"));
    let by_word = ["error", "fail", "exception"].iter().any(|word| value.contains(word));
    positive && (by_code || by_word)
}
