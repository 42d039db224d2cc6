//! PromQL as text: cut where nothing but strings and brackets must be known.

use jiff::SignedDuration;

/// Without comments, on one line.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::new();
    let (mut quote, mut escaped, mut comment) = (None, false, false);
    for char in text.chars() {
        if comment {
            comment = char != '\n';
            continue;
        }
        if let Some(open) = quote {
            out.push(char);
            if char == open && !escaped {
                quote = None;
            }
            escaped = char == '\\' && !escaped && open != '`';
            continue;
        }
        match char {
            '"' | '\'' | '`' => {
                quote = Some(char);
                out.push(char);
            }
            '#' => comment = true,
            char if char.is_whitespace() => {
                if !out.ends_with([' ', '(', '[', '{']) {
                    out.push(' ');
                }
            }
            ')' | ']' | '}' => {
                out.truncate(out.trim_end().len());
                out.push(char);
            }
            char => out.push(char),
        }
    }
    out.trim().to_owned()
}

/// Each character outside of strings, with its place and how many brackets are
/// open around it.
fn outside(text: &str) -> Vec<(usize, char, usize)> {
    let mut found = Vec::new();
    let (mut quote, mut escaped, mut depth) = (None, false, 0_usize);
    for (at, char) in text.char_indices() {
        if let Some(open) = quote {
            if char == open && !escaped {
                quote = None;
            }
            escaped = char == '\\' && !escaped && open != '`';
            continue;
        }
        match char {
            '"' | '\'' | '`' => quote = Some(char),
            '(' | '[' | '{' => {
                found.push((at, char, depth));
                depth += 1;
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                found.push((at, char, depth));
            }
            char => found.push((at, char, depth)),
        }
    }
    found
}

/// Without brackets around the whole.
pub(super) fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while text.starts_with('(') {
        let close = outside(text).into_iter().find(|(_, char, depth)| *char == ')' && *depth == 0);
        match close {
            Some((at, _, _)) if at + 1 == text.len() => text = text[1..at].trim(),
            Some(_) | None => break,
        }
    }
    text
}

/// Before and behind the first of `words` that stands outside of brackets.
pub(super) fn at_word<'a>(text: &'a str, words: &[&str]) -> Option<(&'a str, &'a str)> {
    let part = |char: Option<char>| char.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c));
    outside(text).into_iter().filter(|(_, _, depth)| *depth == 0).find_map(|(at, _, _)| {
        let (before, rest) = text.split_at(at);
        let word = words.iter().find(|word| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        })?;
        let behind = &rest[word.len()..];
        let alone = !part(before.chars().next_back()) && !part(behind.chars().next());
        alone.then(|| (before.trim(), behind.trim()))
    })
}

/// A comparison that stands outside of brackets: left, sign, right. `Err` tells
/// how many there are instead of one.
pub(super) fn comparison(text: &str) -> Result<(&str, &str, &str), usize> {
    let mut found = Vec::new();
    let mut skip = 0;
    for (at, _, depth) in outside(text) {
        if depth > 0 || at < skip {
            continue;
        }
        let rest = &text[at..];
        let sign = ["==", "!=", ">=", "<=", ">", "<"].into_iter().find(|s| rest.starts_with(s));
        if let Some(sign) = sign {
            skip = at + sign.len();
            found.push((text[..at].trim(), sign, text[skip..].trim()));
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        several => Err(several.len()),
    }
}

/// Without any `or vector(N)`, and whether there was one.
pub(super) fn without_fallback(text: &str) -> (String, bool) {
    let mut out = text.to_owned();
    let mut found = false;
    while let Some(range) = fallback(&out) {
        out.replace_range(range, "");
        found = true;
    }
    (out.trim().to_owned(), found)
}

fn fallback(text: &str) -> Option<std::ops::Range<usize>> {
    outside(text).into_iter().find_map(|(at, _, _)| {
        let after = text[at..].strip_prefix(" or ")?.trim_start();
        let after = after.strip_prefix("on").map_or(after, |rest| {
            rest.trim_start()
                .strip_prefix('(')
                .and_then(|rest| rest.trim_start().strip_prefix(')'))
                .unwrap_or(after)
                .trim_start()
        });
        let inner = after.strip_prefix("vector")?.trim_start().strip_prefix('(')?;
        let (number, rest) = inner.split_once(')')?;
        number.trim().parse::<f64>().ok()?;
        Some(at..text.len() - rest.len())
    })
}

/// With `[${window}]` for its range, if it has one range only, and which.
pub(super) fn ranged(text: &str) -> (String, Option<SignedDuration>) {
    let opened: Vec<usize> = outside(text)
        .into_iter()
        .filter(|(_, char, _)| *char == '[')
        .map(|(at, _, _)| at)
        .collect();
    let ranges: Vec<&str> =
        opened.iter().filter_map(|at| Some(text[at + 1..].split_once(']')?.0.trim())).collect();
    let Some(first) = ranges.first() else { return (text.to_owned(), None) };
    let window = stretch(first);
    if window.is_none() || ranges.iter().any(|range| range != first) {
        return (text.to_owned(), None);
    }
    let mut out = text.to_owned();
    for at in opened.into_iter().rev() {
        if let Some(length) = out[at..].find(']') {
            out.replace_range(at..=at + length, "[${window}]");
        }
    }
    (out, window)
}

/// A duration as Prometheus writes it. `None` where it is none.
pub(super) fn stretch(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    (duration > SignedDuration::ZERO).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_cut_outside_of_strings_and_brackets_only() {
        assert_eq!(clean("sum( # why\n  x{a=\"# (\"} )\n > 5"), "sum(x{a=\"# (\"}) > 5");
        assert_eq!(bare("((a) / (b))"), "(a) / (b)");
        assert_eq!(comparison("sum(a > 1) >= 2"), Ok(("sum(a > 1)", ">=", "2")));
        assert_eq!(comparison("a > 1 > 2"), Err(2));
        assert_eq!(comparison("a{b=\">\"}"), Err(0));
        assert_eq!(at_word("order and(b)", &["or", "and"]), Some(("order", "(b)")));
        assert_eq!(at_word("(a or b)", &["or"]), None);
    }

    #[test]
    fn a_fallback_is_taken_out_wherever_it_stands() {
        assert_eq!(without_fallback("(a or vector(0)) / b"), ("(a) / b".to_owned(), true));
        assert_eq!(without_fallback("a or on() vector( 0 ) > 1"), ("a > 1".to_owned(), true));
        assert_eq!(without_fallback("a or b"), ("a or b".to_owned(), false));
    }

    #[test]
    fn one_range_is_the_window_and_two_are_left() {
        let five = Some(SignedDuration::from_mins(5));
        assert_eq!(ranged("rate(a[5m])"), ("rate(a[${window}])".to_owned(), five));
        assert_eq!(ranged("rate(a[5m])-rate(a[1h])").1, None);
        assert_eq!(ranged("max_over_time(a[5m:1m])").0, "max_over_time(a[5m:1m])");
    }
}
