//! From a query with its limit to what a check would measure, and what the two
//! do not mean although they look like it.

use jiff::SignedDuration;
use promql_parser::parser::{Expr, VectorSelector, parse};

use super::argue;
use super::shape::{
    Counting, aggregate, call, complement, constant, counting, division, metric, picks_errors,
    plain, selectors, unscaled, written,
};
use super::text::{clean, ranged, without_fallback};
use super::{Argument, Measured};
use crate::policy::selector::check_query;
use crate::policy::{Part, Side, Unit};

/// A limit as the source has it, in its own number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wanted {
    pub side: Side,
    pub value: f64,
}

/// What a query with its limit comes to.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub measured: Measured,
    pub wanted: Wanted,
    pub unit: Unit,
    pub window: Option<SignedDuration>,
    pub arguments: Vec<Argument>,
    /// It speaks of what the service stands on.
    pub beneath: bool,
}

impl Wanted {
    pub fn flipped(self) -> Self {
        let side = match self.side {
            Side::Above => Side::Below,
            Side::AtLeast => Side::AtMost,
            Side::Below => Side::Above,
            Side::AtMost => Side::AtLeast,
        };
        Self { side, ..self }
    }

    /// The values on the other side.
    pub fn negated(self) -> Self {
        let side = match self.side {
            Side::Above => Side::AtMost,
            Side::AtLeast => Side::Below,
            Side::Below => Side::AtLeast,
            Side::AtMost => Side::Above,
        };
        Self { side, ..self }
    }

    fn is_upper(self) -> bool {
        match self.side {
            Side::Above | Side::AtLeast => true,
            Side::Below | Side::AtMost => false,
        }
    }
}

/// Draws the check that `query` with its limit means.
///
/// # Errors
/// Why no check can say it.
pub(super) fn draw(query: &str, wanted: Wanted) -> Result<Drawn, String> {
    let cleaned = clean(query);
    check_query(&cleaned).map_err(|mistake| mistake.message)?;
    let (text, fallback) = without_fallback(&cleaned);
    check_query(&text).map_err(|mistake| mistake.message)?;
    let expr = parse(&text).map_err(|reason| format!("not PromQL: {}", reason.trim()))?;
    let mut drawn = shaped(&expr, &text, wanted)?;
    if fallback {
        drawn.arguments.push(argue::fallback(drawn.wanted.is_upper()));
    }
    drawn.beneath = argue::is_beneath(&selectors(&expr));
    drawn.arguments.extend(argue::window(drawn.window));
    Ok(drawn)
}

fn shaped(expr: &Expr, text: &str, wanted: Wanted) -> Result<Drawn, String> {
    if constant(expr).is_some() {
        return Err("it compares two numbers".to_owned());
    }
    let (inner, percent) = unscaled(expr);
    let wanted = if percent { Wanted { value: wanted.value / 100.0, ..wanted } } else { wanted };
    if let Some(share) = complement(inner)
        && let Some((part, total)) = division(share)
        && let (Some(part), Some(total)) = (counting(part), counting(total))
    {
        let rest = Wanted { value: 1.0 - wanted.value, ..wanted.flipped() };
        return Ok(ratio(&part, &total, rest, percent));
    }
    if let Some((left, right)) = division(inner) {
        // `100 * a / b` multiplies first.
        let (left, scaled) = unscaled(left);
        let value = if scaled { wanted.value / 100.0 } else { wanted.value };
        return Ok(divided(text, left, right, Wanted { value, ..wanted }, percent || scaled));
    }
    if let Some(found) = quantile(inner, text, wanted) {
        return found;
    }
    if let Some(counting) = counting(inner) {
        return Ok(alone(&counting, text, wanted));
    }
    gauge(
        inner,
        text,
        if percent { Wanted { value: wanted.value * 100.0, ..wanted } } else { wanted },
    )
}

fn divided(text: &str, left: &Expr, right: &Expr, wanted: Wanted, percent: bool) -> Drawn {
    match (counting(left), counting(right)) {
        (Some(part), Some(total)) if part.function == total.function => {
            if is_mean(&part, &total) {
                mean(text, &part, wanted)
            } else {
                ratio(&part, &total, wanted, percent)
            }
        }
        (_, _) => quotient(text, left, right, wanted, percent),
    }
}

/// `sum(rate(bad)) / sum(rate(total))`.
fn ratio(part: &Counting, total: &Counting, wanted: Wanted, percent: bool) -> Drawn {
    let (wanted, mut arguments) = argue::share(wanted, percent);
    arguments.extend(argue::division(part, total));
    let side = if wanted.is_upper() { Part::Bad } else { Part::Good };
    let of = written(&metric(part.selector), part.selector, |_| false);
    let total_text = written(&metric(total.selector), total.selector, |_| false);
    Drawn {
        measured: Measured::Ratio { part: side, of, total: total_text },
        wanted,
        unit: Unit::Ratio,
        window: SignedDuration::try_from(part.range).ok(),
        arguments,
        beneath: false,
    }
}

fn is_mean(part: &Counting, total: &Counting) -> bool {
    let (sum, count) = (metric(part.selector), metric(total.selector));
    sum.strip_suffix("_sum").is_some_and(|base| count.strip_suffix("_count") == Some(base))
}

fn mean(text: &str, sum: &Counting, wanted: Wanted) -> Drawn {
    let base = metric(sum.selector).trim_end_matches("_sum").to_owned();
    let unit = if base.ends_with("_seconds") { Unit::Seconds } else { Unit::Number };
    let mut drawn = asked(text, wanted, unit);
    drawn.arguments.push(argue::mean(&base));
    drawn
}

/// A division of anything else: a share, if both sides have one unit.
fn quotient(text: &str, left: &Expr, right: &Expr, wanted: Wanted, percent: bool) -> Drawn {
    let unit_of = |expr: &Expr| {
        let names: Vec<String> = selectors(expr).into_iter().map(metric).collect();
        let ends = ["_bytes", "_seconds", "_total", "_cores"];
        let of = |name: &String| ends.iter().find(|end| name.ends_with(*end)).copied();
        let first = names.first().and_then(of);
        first.filter(|unit| names.iter().all(|name| of(name) == Some(*unit)))
    };
    let alike = unit_of(left).is_some() && unit_of(left) == unit_of(right);
    let share = alike && wanted.value > 0.0 && wanted.value < 1.0 && !percent;
    let value = if percent { wanted.value * 100.0 } else { wanted.value };
    let unit = if share { Unit::Ratio } else { Unit::Number };
    let mut drawn = asked(text, Wanted { value, ..wanted }, unit);
    if let (Some(part), Some(total)) = (counting(left), counting(right)) {
        drawn.arguments.push(argue::mixed(&part, &total));
    }
    drawn
}

fn quantile(expr: &Expr, text: &str, wanted: Wanted) -> Option<Result<Drawn, String>> {
    if let Some((around, inner)) = aggregate(expr)
        && around.operator == "avg"
        && call(inner).is_some_and(|(name, _)| name == "histogram_quantile")
    {
        let mut drawn = asked(text, wanted, Unit::Seconds);
        drawn.arguments.push(argue::mean_of_quantiles());
        return Some(Ok(drawn));
    }
    let (name, arguments) = call(expr)?;
    let ("histogram_quantile", [quantile, inner]) = (name, arguments.as_slice()) else {
        return None;
    };
    let Some(q) = constant(quantile).filter(|q| *q > 0.0 && *q < 1.0) else {
        return Some(Err("its quantile is not between 0 and 1".to_owned()));
    };
    let rated = counting(inner);
    let (around, plain_inner) = match aggregate(inner) {
        Some((around, inner)) => (Some(around), inner),
        None => (None, *inner),
    };
    let selector = match (&rated, plain_inner) {
        (Some(counting), _) => counting.selector,
        (None, Expr::VectorSelector(selector)) if plain(selector) => selector,
        (None, _) => return Some(Ok(asked(text, wanted, Unit::Seconds))),
    };
    let name = metric(selector);
    let by_more = around
        .as_ref()
        .is_some_and(|around| around.without || around.labels.iter().any(|label| label != "le"));
    let has_le = around
        .as_ref()
        .is_some_and(|around| around.without != around.labels.iter().any(|label| label == "le"));
    let in_seconds = !(name.contains("millis") || name.contains("_ms"));
    let mut arguments = argue::quantile(&name, rated.as_ref(), around.as_ref(), has_le);
    if rated.is_some() && ((by_more && has_le) || !in_seconds) {
        let unit = if in_seconds { Unit::Seconds } else { Unit::Number };
        let mut drawn = asked(text, wanted, unit);
        drawn.arguments.append(&mut arguments);
        return Some(Ok(drawn));
    }
    let bucket = if name.ends_with("_bucket") { name } else { format!("{name}_bucket") };
    Some(Ok(Drawn {
        measured: Measured::Latency {
            quantile: q,
            counter: written(&bucket, selector, |matcher| matcher.name == "le"),
        },
        wanted,
        unit: Unit::Seconds,
        window: rated.and_then(|counting| SignedDuration::try_from(counting.range).ok()),
        arguments,
        beneath: false,
    }))
}

/// One rate against a number.
fn alone(counting: &Counting, text: &str, wanted: Wanted) -> Drawn {
    let selector = counting.selector;
    let errors = selector.matchers.matchers.iter().any(picks_errors);
    let looks_like_a_share = wanted.is_upper() && wanted.value > 0.0 && wanted.value < 1.0;
    let Drawn { measured: query, window, .. } = asked(text, wanted, Unit::Number);
    let mut drawn = Drawn {
        measured: query,
        wanted,
        unit: Unit::Number,
        window,
        arguments: Vec::new(),
        beneath: false,
    };
    if errors && looks_like_a_share && counting.function != "increase" {
        let name = metric(selector);
        drawn.measured = Measured::Ratio {
            part: Part::Bad,
            of: written(&name, selector, |_| false),
            total: written(&name, selector, picks_errors),
        };
        drawn.unit = Unit::Ratio;
        drawn.arguments.push(argue::rate_for_a_share(counting, wanted.value));
    } else {
        drawn.arguments.push(argue::lone(counting));
    }
    drawn
}

/// Anything else that has a value.
fn gauge(expr: &Expr, text: &str, wanted: Wanted) -> Result<Drawn, String> {
    if let Some((name, _)) = call(expr)
        && name.starts_with("absent")
    {
        return Err("it asks whether data is missing: deployguard tells that of every check \
                    (`no_data: { notify_after: 3m }`) and never takes it for guilt"
            .to_owned());
    }
    let inner = aggregate(expr).map_or(expr, |(_, inner)| inner);
    if let Expr::VectorSelector(selector) = inner
        && is_counter(selector)
    {
        return Err(format!(
            "`{}` counts since its process began, and every deployment begins at 0: say how many \
             in which time, as in `increase({}[5m])`",
            metric(selector),
            metric(selector)
        ));
    }
    let mut drawn = asked(text, wanted, unit_of(inner));
    if let Some((around, inner)) = aggregate(expr)
        && around.operator == "avg"
        && selectors(inner).iter().any(|s| s.matchers.matchers.iter().any(|m| m.name == "quantile"))
    {
        drawn.arguments.push(argue::mean_of_quantiles());
    }
    Ok(drawn)
}

/// The unit that the name of a single series says.
fn unit_of(expr: &Expr) -> Unit {
    let Expr::VectorSelector(selector) = expr else { return Unit::Number };
    match metric(selector) {
        name if name.ends_with("_seconds") => Unit::Seconds,
        name if name.ends_with("_bytes") => Unit::Bytes,
        _ => Unit::Number,
    }
}

fn is_counter(selector: &VectorSelector) -> bool {
    let name = metric(selector);
    ["_total", "_count", "_bucket", "_sum"].iter().any(|end| name.ends_with(end))
}

/// A query as it stands, its one range made the window.
fn asked(text: &str, wanted: Wanted, unit: Unit) -> Drawn {
    let (query, window) = ranged(text);
    Drawn {
        measured: Measured::Query(query),
        wanted,
        unit,
        window,
        arguments: Vec::new(),
        beneath: false,
    }
}
