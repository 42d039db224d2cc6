//! Whether an expression of metric math can be one. No parser: words, brackets, and what
//! stands between two values.

use crate::policy::diagnostic::Mistake;

const FUNCTIONS: [&str; 39] = [
    "ABS",
    "ANOMALY_DETECTION_BAND",
    "AVG",
    "CEIL",
    "DATAPOINT_COUNT",
    "DATE",
    "DAY",
    "DB_PERF_INSIGHTS",
    "DIFF",
    "DIFF_TIME",
    "EPOCH",
    "FILL",
    "FIRST",
    "FLOOR",
    "HOUR",
    "IF",
    "INSIGHT_RULE_METRIC",
    "LAMBDA",
    "LAST",
    "LOG",
    "LOG10",
    "MAX",
    "METRICS",
    "METRIC_COUNT",
    "MIN",
    "MINUTE",
    "MONTH",
    "PERIOD",
    "RATE",
    "REMOVE_EMPTY",
    "RUNNING_SUM",
    "SEARCH",
    "SERVICE_QUOTA",
    "SLICE",
    "SORT",
    "STDDEV",
    "SUM",
    "TIME_SERIES",
    "YEAR",
];
/// Words that are arguments of functions.
const ARGUMENTS: [&str; 4] = ["REPEAT", "LINEAR", "ASC", "DESC"];
/// The longest first.
const OPERATORS: [&str; 13] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "^"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// A number, or a text between quotes.
    Value(&'a str),
    Operator(&'a str),
    Open(char),
    Close(char),
    Comma,
}

/// What is wrong with the shape of `expression`, and every word in it that is no function.
pub(in crate::policy) fn check(expression: &str) -> Vec<Mistake> {
    match tokens(expression) {
        Ok(tokens) => {
            let shape = shape(expression, &tokens).err();
            shape.into_iter().chain(unknown(expression, &tokens)).collect()
        }
        Err(mistake) => vec![mistake],
    }
}

/// The metrics that `expression` names, as far as it can be read.
pub(in crate::policy) fn metrics(expression: &str) -> Vec<&str> {
    let tokens = tokens(expression).unwrap_or_default();
    let named = tokens.iter().enumerate().filter_map(|(index, (_, token))| {
        let Token::Word(word) = token else { return None };
        let called = matches!(tokens.get(index + 1), Some((_, Token::Open('('))));
        (!called && word.starts_with(|c: char| c.is_ascii_lowercase())).then_some(*word)
    });
    named.collect()
}

/// Whether `name` stands outside of quotes in it, or is one that `METRICS` stands for.
pub(in crate::policy) fn uses(expression: &str, name: &str) -> bool {
    let tokens = tokens(expression).unwrap_or_default();
    let plain: Vec<Token> = tokens.into_iter().map(|(_, token)| token).collect();
    let all = plain.windows(3).any(|three| match three {
        [Token::Word("METRICS"), Token::Open('('), Token::Close(')')] => true,
        // Of those with the text in their names.
        [Token::Word("METRICS"), Token::Open('('), Token::Value(text)] => {
            name.contains(text.trim_matches(['"', '\'']))
        }
        _ => false,
    });
    if all {
        return true;
    }
    // What stands between quotes is text: every second piece.
    let outside = expression.split(['"', '\'']).step_by(2);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    outside.flat_map(|part| part.split(move |c| !is_part(c))).any(|word| word == name)
}

/// Where something stands, in characters from 1.
fn place(expression: &str, at: usize) -> String {
    format!("character {}", expression[..at].chars().count() + 1)
}

fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, Mistake> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        let rest = &text[at..];
        let whole = |more: fn(char) -> bool| rest.find(|c| !more(c)).unwrap_or(rest.len());
        let (length, token) = match char {
            ' ' | '\t' | '\n' | '\r' => {
                at += 1;
                continue;
            }
            '"' | '\'' => {
                let Some(end) = rest[1..].find(char) else {
                    let begun = place(text, at);
                    return Err(Mistake::new(format!(
                        "the text that begins at {begun} of the `expression` has no end"
                    ))
                    .mend(format!("add a `{char}`")));
                };
                (end + 2, Token::Value(&rest[..end + 2]))
            }
            '(' | '[' => (1, Token::Open(char)),
            ')' | ']' => (1, Token::Close(char)),
            ',' => (1, Token::Comma),
            '0'..='9' | '.' => {
                let length = whole(|c| c.is_ascii_digit() || c == '.');
                (length, Token::Value(&rest[..length]))
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = whole(|c| c.is_ascii_alphanumeric() || c == '_');
                let word = &rest[..length];
                let joins = matches!(word, "AND" | "OR");
                (length, if joins { Token::Operator(word) } else { Token::Word(word) })
            }
            char => {
                let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator));
                let Some(operator) = operator else {
                    let there = place(text, at);
                    let what = format!("`{char}` at {there} of the `expression` means nothing");
                    return Err(Mistake::new(what));
                };
                (operator.len(), Token::Operator(operator))
            }
        };
        found.push((at, token));
        at += length;
    }
    Ok(found)
}

/// Whether brackets close, and values and operators take turns.
fn shape(text: &str, tokens: &[(usize, Token<'_>)]) -> Result<(), Mistake> {
    let mut open: Vec<(usize, char)> = Vec::new();
    // Whether a value may follow, and what stood before.
    let (mut wants_value, mut before) = (true, "the beginning".to_owned());
    for (index, (at, token)) in tokens.iter().enumerate() {
        let here = place(text, *at);
        let shown = shown(*token);
        let called = matches!(tokens.get(index.wrapping_sub(1)), Some((_, Token::Word(_))));
        match token {
            Token::Open('(') if called && !wants_value => wants_value = true,
            Token::Word(_) | Token::Value(_) | Token::Open(_) if !wants_value => {
                let what = format!("nothing joins {before} and {shown} at {here}");
                return Err(wrong(&what).mend("put an operator such as `+` or `/` between them"));
            }
            Token::Word(_) | Token::Value(_) => wants_value = false,
            Token::Open(_) => {}
            Token::Operator("-" | "+") if wants_value => {}
            Token::Operator(_) | Token::Comma if wants_value => {
                return Err(wrong(&format!("a value is missing before {shown} at {here}")));
            }
            Token::Comma if open.is_empty() => {
                return Err(wrong(&format!("the {shown} at {here} stands outside of brackets")));
            }
            Token::Operator(_) | Token::Comma => wants_value = true,
            Token::Close(close) => {
                let empty = matches!(tokens.get(index.wrapping_sub(1)), Some((_, Token::Open(_))));
                let Some((_, opened)) = open.pop() else {
                    let what = format!("the {shown} at {here} closes nothing");
                    return Err(wrong(&what).mend("remove it"));
                };
                if (opened == '(') != (*close == ')') {
                    return Err(wrong(&format!("the {shown} at {here} closes a `{opened}`")));
                }
                if wants_value && !empty {
                    return Err(wrong(&format!("a value is missing before {shown} at {here}")));
                }
                wants_value = false;
            }
        }
        if let Token::Open(bracket) = token {
            open.push((*at, *bracket));
        }
        before = shown;
    }
    if let Some((at, bracket)) = open.last() {
        let close = if *bracket == '(' { ')' } else { ']' };
        let what = format!("the `{bracket}` at {} is never closed", place(text, *at));
        return Err(wrong(&what).mend(format!("add a `{close}`")));
    }
    if wants_value {
        return Err(wrong(&format!("a value is missing behind {before}")));
    }
    Ok(())
}

fn wrong(what: &str) -> Mistake {
    Mistake::new(format!("no metric math: {what}"))
}

fn shown(token: Token<'_>) -> String {
    match token {
        Token::Word(text) | Token::Value(text) | Token::Operator(text) => format!("`{text}`"),
        Token::Open(char) | Token::Close(char) => format!("`{char}`"),
        Token::Comma => "`,`".to_owned(),
    }
}

/// Words that are neither a metric's name, which begins with a small letter, nor known.
fn unknown<'a>(
    text: &'a str,
    tokens: &'a [(usize, Token<'a>)],
) -> impl Iterator<Item = Mistake> + 'a {
    tokens.iter().enumerate().filter_map(move |(index, (at, token))| {
        let Token::Word(word) = token else { return None };
        let called = matches!(tokens.get(index + 1), Some((_, Token::Open('('))));
        let here = place(text, *at);
        if called && !FUNCTIONS.contains(word) {
            let mistake = Mistake::new(format!("metric math has no function `{word}` ({here})"));
            return Some(match near(word, &FUNCTIONS) {
                Some(near) => mistake.mend(format!("did you mean `{near}`?")),
                None => mistake,
            });
        }
        let known = || FUNCTIONS.iter().chain(&ARGUMENTS).any(|known| known == word);
        let is_metric = word.starts_with(|c: char| c.is_ascii_lowercase());
        (!called && !is_metric && !known()).then(|| {
            Mistake::new(format!("`{word}` ({here}) is no metric of the `expression`"))
                .mend("the names of `metrics` begin with a small letter")
        })
    })
}

fn near<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    crate::policy::diagnostic::nearest(word, known.iter().copied()).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloudwatch_takes_has_no_mistake() {
        for good in [
            "m1",
            "100 * errors / requests",
            "(m1 + m2) / -m3 ^ 2",
            "100 * used / IF(all > 0, all, 1)",
            "FILL(m1, REPEAT) - FILL(m2, 0)",
            "SUM([m1, m2]) >= 1.5 AND NOT_OVER == 0 || m3 != 2",
            "MAX(METRICS())",
            "SUM(METRICS('err)ors'))",
            "SORT(m1, AVG, DESC, 5)",
            "IF(m1 < .5 && m2, m1, 0)",
        ] {
            let good = good.replace("NOT_OVER", "m2");
            assert_eq!(check(&good), Vec::new(), "{good}");
        }
    }

    #[test]
    fn a_metric_is_used_by_its_name_or_by_what_stands_for_all() {
        for (expression, used) in [
            ("errors / all", [true, false]),
            ("SUM(METRICS())", [true, true]),
            ("SUM( METRICS( ) ) > 1", [true, true]),
            ("SUM(METRICS('err'))", [true, false]),
            ("FILL('requests', 0) + \"errors\"", [false, false]),
        ] {
            let found = ["errors", "requests"].map(|name| uses(expression, name));
            assert_eq!(found, used, "{expression}");
        }
    }

    #[test]
    fn what_it_does_not_take_is_told_with_its_place() {
        for (bad, told) in [
            ("(m1/m2", "`(` at character 1 is never closed"),
            ("m1/m2)", "`)` at character 6 closes nothing"),
            ("SUM([m1, m2)]", "`)` at character 12 closes a `[`"),
            ("m1 m2", "nothing joins `m1` and `m2` at character 4"),
            ("100 m1", "nothing joins `100` and `m1`"),
            ("2(m1)", "nothing joins `2` and `(`"),
            ("m1 / ", "missing behind `/`"),
            ("m1 / * m2", "missing before `*` at character 6"),
            ("(m1, )", "missing before `)`"),
            ("m1, m2", "outside of brackets"),
            ("", "missing behind the beginning"),
            ("m1 # m2", "`#` at character 4"),
            ("FILL('m1, 0)", "at character 6 of the `expression` has no end"),
            ("SUMM(m1)", "no function `SUMM` (character 1)"),
            ("sum(m1)", "no function `sum`"),
            ("Errors / m1", "`Errors` (character 1) is no metric"),
        ] {
            let said: Vec<String> = check(bad).into_iter().map(|one| one.message).collect();
            assert!(said.len() == 1 && said[0].contains(told), "{bad}: {said:?}");
        }
        assert_eq!(metrics("max(x) / FILL(errors, REPEAT) + all"), ["x", "errors", "all"]);
        assert_eq!(check("sum(m1)")[0].mend.as_deref(), Some("did you mean `SUM`?"));
    }
}
