//! Alarms on metric math.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::super::text::bare;
use super::alarm::Query;
use super::{Asked, MetricStat};

/// Expressions within one another.
const DEEPEST: usize = 8;
/// Characters of an expression that CloudWatch takes.
const LONGEST: usize = 2048;

/// What an alarm over several queries asks for, and by which period.
///
/// # Errors
/// Why no check can ask it.
pub(super) fn asked(queries: &[Query]) -> Result<(Asked, Option<SignedDuration>), String> {
    let mut returned = queries.iter().filter(|query| query.returned);
    let (Some(rings), None) = (returned.next(), returned.next()) else {
        return Err("it has no metric, or several that are returned".to_owned());
    };
    if queries.iter().any(|query| query.foreign) {
        return Err("it is about metrics of another account".to_owned());
    }
    if let Some((stat, period)) = &rings.stat {
        return Ok((Asked::Stat(stat.clone()), *period));
    }
    let text = rings.expression.as_deref().unwrap_or_default();
    let upper = text.trim_start().to_ascii_uppercase();
    if upper.contains("ANOMALY_DETECTION_BAND") {
        return Err("it compares with a band that CloudWatch learned".to_owned());
    }
    if ["SEARCH(", "SELECT "].iter().any(|word| upper.contains(word)) {
        return Err("it searches for its metrics: name those that are meant".to_owned());
    }
    let expression = inlined(text, queries, 0)?;
    let used = |id: &str| words(&expression).any(|(_, word)| word == id);
    let stats = queries.iter().filter(|query| used(&query.id));
    let stats: Vec<_> =
        stats.filter_map(|query| Some((query.id.clone(), query.stat.clone()?))).collect();
    let mut periods = stats.iter().map(|(_, (_, period))| *period);
    let period = periods.next().ok_or("its expression uses no metric")?;
    if periods.any(|other| other != period) {
        return Err("its metrics have different periods".to_owned());
    }
    let metrics = stats.into_iter().map(|(id, (stat, _))| (id, stat)).collect();
    Ok((Asked::Math { expression, metrics }, period))
}

/// The expression with every other expression that it names written out.
fn inlined(text: &str, queries: &[Query], depth: usize) -> Result<String, String> {
    let mut out = String::new();
    let mut done = 0;
    for (start, word) in words(text) {
        let Some(query) = queries.iter().find(|query| query.id == word) else { continue };
        let Some(inner) = &query.expression else { continue };
        if depth >= DEEPEST || out.len() > LONGEST {
            return Err("its expressions are within one another too deeply".to_owned());
        }
        out.push_str(&text[done..start]);
        out.extend(["(", &inlined(inner, queries, depth + 1)?, ")"]);
        done = start + word.len();
    }
    out.push_str(&text[done..]);
    if out.len() > LONGEST {
        return Err("its expression is too long with all that it refers to".to_owned());
    }
    Ok(out.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The words of an expression with their places; what is between quotes is text.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let (mut quote, mut begin) = (None, None);
    for (at, char) in text.char_indices().chain([(text.len(), ' ')]) {
        if quote.is_none() && is_part(char) {
            begin = begin.or(Some(at));
            continue;
        }
        if let Some(begin) = begin.take() {
            found.push((begin, &text[begin..at]));
        }
        match quote {
            Some(open) if open == char => quote = None,
            None if char == '"' || char == '\'' => quote = Some(char),
            Some(_) | None => {}
        }
    }
    found.into_iter()
}

/// `100 * errors / requests`, and its like: the two metrics, and whether it is in percent.
pub(super) fn share<'a>(
    expression: &str,
    metrics: &'a BTreeMap<String, MetricStat>,
) -> Option<(&'a MetricStat, &'a MetricStat, bool)> {
    let text: String = expression.split_whitespace().collect();
    let (text, outer) = unscaled(&text);
    let at = divided(text)?;
    let (part, inner) = unscaled(&text[..at]);
    let part = part.strip_prefix("FILL(").and_then(|rest| rest.strip_suffix(",0)")).unwrap_or(part);
    let total = bare(&text[at + 1..]);
    let (part, total) = (metrics.get(part)?, metrics.get(total)?);
    let summed = part.stat == "Sum" && total.stat == "Sum";
    (summed && !(outer && inner)).then_some((part, total, outer || inner))
}

/// Without brackets and a factor of 100.
fn unscaled(text: &str) -> (&str, bool) {
    let text = bare(text);
    if let Some(rest) = text.strip_prefix("100*") {
        return (bare(rest), true);
    }
    match text.strip_suffix("*100") {
        Some(rest) => (bare(rest), true),
        None => (text, false),
    }
}

/// Where the one division outside of brackets stands.
fn divided(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => found.push(at),
            _ => {}
        }
    }
    let [at] = found.as_slice() else { return None };
    Some(*at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> BTreeMap<String, MetricStat> {
        let stat = |metric: &str| MetricStat {
            namespace: "AWS/ApplicationELB".to_owned(),
            metric: metric.to_owned(),
            dimensions: BTreeMap::new(),
            stat: "Sum".to_owned(),
        };
        ["e", "r"].map(|id| (id.to_owned(), stat(id))).into()
    }

    #[test]
    fn a_share_is_found_however_it_is_written() {
        let metrics = metrics();
        let found = |text: &str| {
            let (part, total, percent) = share(text, &metrics)?;
            Some((part.metric.clone(), total.metric.clone(), percent))
        };
        let wanted = |percent| Some(("e".to_owned(), "r".to_owned(), percent));
        for text in ["e / r", "(e/r)", "FILL(e, 0) / r", "((e) / (r))"] {
            assert_eq!(found(text), wanted(false), "{text}");
        }
        for text in ["100 * e / r", "(e / r) * 100", "e/r*100", "100*(FILL(e,0)/r)", "(100*e)/r"] {
            assert_eq!(found(text), wanted(true), "{text}");
        }
        for text in ["e + r", "e / (e + r)", "e / r / r", "100*(100*e/r)", "x / r", "1 - e / r"] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn expressions_are_written_out_where_they_are_named() {
        let query = |id: &str, expression: Option<&str>| Query {
            id: id.to_owned(),
            stat: None,
            expression: expression.map(str::to_owned),
            returned: false,
            foreign: false,
        };
        let queries = [query("m", None), query("a", Some("m + 1")), query("b", Some("a * a"))];
        assert_eq!(inlined("b / m", &queries, 0), Ok("((m + 1) * (m + 1)) / m".to_owned()));
        assert_eq!(inlined("FILL(a, 'a')", &queries, 0), Ok("FILL((m + 1), 'a')".to_owned()));
        let circle = [query("a", Some("b")), query("b", Some("a"))];
        assert!(inlined("a", &circle, 0).is_err());
    }
}
