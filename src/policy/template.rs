//! PromQL with `${variables}`: finding them, and putting values in so that no
//! value can change anything but the string it stands in.

use std::fmt::Write;

use jiff::SignedDuration;

use super::diagnostic::Mistake;

/// What may stand between `${` and `}`, besides `labels.NAME`.
const NAMES: [&str; 6] = ["service", "environment", "cluster", "version", "revision", "window"];

/// A query cut at its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    has_comment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Var { name: String, place: Place },
}

/// Where a variable stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a string literal; `regex` when a `=~` or `!~` comes before it.
    Quoted { quote: char, regex: bool },
    /// Between `[` and `]`.
    Range,
    /// Anywhere else.
    Bare,
    /// Behind a backslash that would swallow the value's first character.
    Escaped,
}

/// What is wrong with a variable of this name, if anything is.
pub(super) fn unknown_variable(name: &str) -> Option<Mistake> {
    unknown_variable_beside(name, &[])
}

/// The same where others are known, too.
pub(super) fn unknown_variable_beside(name: &str, others: &[&str]) -> Option<Mistake> {
    let label = name.strip_prefix("labels.").is_some_and(|label| !label.is_empty());
    if label || NAMES.contains(&name) {
        return None;
    }
    let unknown = Mistake::new(format!("unknown variable `${{{name}}}`"));
    Some(match name {
        "" => Mistake::new("a `${` without a name, or without its `}`"),
        _ => unknown.mend_from(name, &[&NAMES[..], &["labels.NAME"], others].concat()),
    })
}

impl Template {
    /// Finds the variables of `text`. What is no PromQL is left as it is: the
    /// parser of PromQL says so better.
    pub fn of(text: &str) -> Self {
        let mut template = Self { pieces: Vec::new(), has_comment: false };
        let mut rest = text;
        let mut depth = 0_u32;
        while let Some(at) = rest.find(['"', '\'', '`', '#', '[', ']', '$']) {
            template.text(&rest[..at]);
            let before = &text[..text.len() - rest.len() + at];
            rest = &rest[at..];
            let taken = match rest.as_bytes()[0] {
                quote @ (b'"' | b'\'' | b'`') => template.literal(rest, char::from(quote), before),
                b'#' => template.comment(rest),
                b'[' => {
                    depth += 1;
                    template.text("[")
                }
                b']' => {
                    depth = depth.saturating_sub(1);
                    template.text("]")
                }
                _ => template.variable(rest, if depth > 0 { Place::Range } else { Place::Bare }),
            };
            rest = &rest[taken..];
        }
        template.text(rest);
        template
    }

    /// With every variable's value in its place. `value` is asked for each name
    /// but `window`.
    pub fn expand<'v>(&self, window: SignedDuration, value: impl Fn(&str) -> &'v str) -> String {
        let span = range(window);
        let mut query = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => query.push_str(text),
                Piece::Var { name, place } => {
                    let value = if name == "window" { span.as_str() } else { value(name) };
                    match place {
                        Place::Quoted { quote, regex: true } => {
                            escape(&quote_regex(value), *quote, &mut query);
                        }
                        Place::Quoted { quote, regex: false } => escape(value, *quote, &mut query),
                        Place::Range if name == "window" => query.push_str(value),
                        // Refused by `check`; a value never goes here.
                        Place::Range | Place::Bare | Place::Escaped => {}
                    }
                }
            }
        }
        query
    }

    /// Whether every variable is known and stands where its value is safe.
    pub fn check(&self) -> Result<(), Mistake> {
        for piece in &self.pieces {
            let Piece::Var { name, place } = piece else { continue };
            if let Some(mistake) = unknown_variable(name) {
                return Err(mistake);
            }
            match place {
                Place::Quoted { .. } => {}
                Place::Range if name == "window" => {}
                Place::Range | Place::Bare => {
                    return Err(Mistake::new(format!("`${{{name}}}` stands outside a string"))
                        .mend(if name == "window" {
                            "it goes between `[` and `]`"
                        } else {
                            "put it between quotes: `service=\"${service}\"`"
                        }));
                }
                Place::Escaped => {
                    return Err(Mistake::new(format!("a backslash stands before `${{{name}}}`")));
                }
            }
        }
        Ok(())
    }

    /// The variables, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Var { name, .. } => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Whether `${window}` is asked for.
    pub fn has_window(&self) -> bool {
        self.pieces.iter().any(
            |piece| matches!(piece, Piece::Var { name, place: Place::Range } if name == "window"),
        )
    }

    pub fn has_comment(&self) -> bool {
        self.has_comment
    }

    fn text(&mut self, text: &str) -> usize {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
        text.len()
    }

    fn comment(&mut self, rest: &str) -> usize {
        self.has_comment = true;
        let end = rest.find('\n').unwrap_or(rest.len());
        self.text(&rest[..end])
    }

    /// `rest` starts with `$`. Returns how much of it was taken.
    fn variable(&mut self, rest: &str, place: Place) -> usize {
        let Some(inner) = rest.strip_prefix("${") else {
            return self.text("$");
        };
        let name = inner.split_once('}').map_or("", |(name, _)| name);
        self.pieces.push(Piece::Var { name: name.to_owned(), place });
        if inner.contains('}') { name.len() + 3 } else { rest.len() }
    }

    /// `rest` starts with `quote`. Returns how much of it was taken.
    fn literal(&mut self, rest: &str, quote: char, before: &str) -> usize {
        let Some(end) = closing(rest, quote) else {
            return self.text(rest);
        };
        let body = &rest[1..end];
        if !body.contains("${") {
            return self.text(&rest[..=end]);
        }
        // A raw string can't hold every value: it becomes a quoted one.
        let raw = quote == '`';
        let quote = if raw { '"' } else { quote };
        let before = before.trim_end();
        let regex = before.ends_with("=~") || before.ends_with("!~");
        self.text(&quote.to_string());
        let mut body = body;
        while let Some(at) = body.find("${") {
            self.body(&body[..at], raw);
            let slashes = body[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
            let swallowed = !raw && slashes % 2 == 1;
            let place = if swallowed { Place::Escaped } else { Place::Quoted { quote, regex } };
            body = &body[at..];
            body = &body[self.variable(body, place)..];
        }
        self.body(body, raw);
        self.text(&quote.to_string());
        end + 1
    }

    fn body(&mut self, text: &str, raw: bool) {
        if raw {
            let mut escaped = String::new();
            escape(text, '"', &mut escaped);
            self.text(&escaped);
        } else {
            self.text(text);
        }
    }
}

/// Where the literal that `text` starts with ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            char if char == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Appends `value` as it stands between two `quote`s.
pub(super) fn escape(value: &str, quote: char, out: &mut String) {
    for char in value.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            char if char == quote => out.extend(['\\', quote]),
            // Prometheus refuses the replacement character, taking it for broken UTF-8.
            char if char.is_control() || char == '\u{fffd}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
}

/// A regular expression (RE2) that matches `value` and nothing else.
fn quote_regex(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for char in value.chars() {
        if "\\.+*?()|[]{}^$".contains(char) {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted
}

/// A duration as PromQL writes it: `90s`, `1m`. At least a millisecond.
pub(super) fn range(window: SignedDuration) -> String {
    match window.as_millis().max(1) {
        millis if millis % 1000 != 0 => format!("{millis}ms"),
        millis if millis % 60_000 != 0 => format!("{}s", millis / 1000),
        millis if millis % 3_600_000 != 0 => format!("{}m", millis / 60_000),
        millis => format!("{}h", millis / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use promql_parser::label::MatchOp;
    use promql_parser::parser::{Expr, parse};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    /// The one matcher of a selector whose value is `value`, in every way to quote it.
    fn in_every_quote(value: &str) -> Vec<(MatchOp, String)> {
        ["x{a=\"${v}\"}", "x{a='${v}'}", "x{a=`${v}`}", "x{a=~\"${v}\"}", "x{a =~ `${v}`}"]
            .iter()
            .map(|text| {
                let query = Template::of(text).expand(MINUTE, |_| value);
                let parsed = parse(&query).unwrap_or_else(|e| panic!("{query}: {e}"));
                let Expr::VectorSelector(selector) = parsed else { panic!("{query}") };
                let [matcher] = &selector.matchers.matchers[..] else { panic!("{query}") };
                (matcher.op.clone(), matcher.value.clone())
            })
            .collect()
    }

    fn stays_inside(value: &str) {
        for (op, found) in in_every_quote(value) {
            match op {
                MatchOp::Re(regex) => {
                    assert!(regex.is_match(value), "{regex} matches {value:?}");
                    assert!(!regex.is_match(&format!("{value}x")), "{regex} matches more");
                }
                _ => assert_eq!(found, value),
            }
        }
    }

    #[test]
    fn no_nasty_value_leaves_its_string() {
        for value in [
            "\"",
            "'",
            "`",
            "\\",
            "\\\"",
            "\"} or up{a=\"",
            ".*",
            "}",
            "${service}",
            "a|b",
            "\n",
            "\r\n",
            "\t",
            "\u{7f}",
            "\u{fffd}",
            "ü",
            "\\n",
            "[",
            "(",
            "",
            "a\\",
            "$",
            "{2}",
            "#",
        ] {
            stays_inside(value);
        }
    }

    proptest! {
        #[test]
        fn no_value_at_all_leaves_its_string(value in any::<String>()) {
            prop_assume!(!value.contains('\0'));
            stays_inside(&value);
        }
    }

    #[test]
    fn a_variable_is_escaped_for_where_it_stands() {
        let text = r#"sum(rate(x{a="${service}",b=~"v${version}.*"}[${window}]))"#;
        let template = Template::of(text);
        assert_eq!(template.check(), Ok(()));
        assert!(template.has_window());
        let value = |name: &str| if name == "service" { "a\"b" } else { "1.5" };
        assert_eq!(
            template.expand(SignedDuration::from_secs(90), value),
            r#"sum(rate(x{a="a\"b",b=~"v1\\.5.*"}[90s]))"#
        );
    }

    #[test]
    fn a_variable_that_is_unknown_or_stands_unsafely_is_refused() {
        let cases = [
            ("x{a=\"${servise}\"}", "unknown variable `${servise}`"),
            ("x{a=\"${labels.}\"}", "unknown variable `${labels.}`"),
            ("${service}_total", "`${service}` stands outside a string"),
            ("x[${service}]", "`${service}` stands outside a string"),
            ("x offset ${window}", "`${window}` stands outside a string"),
            ("x{a=\"\\${service}\"}", "a backslash stands before `${service}`"),
            ("x{a=\"${service\"}", "a `${` without a name, or without its `}`"),
            ("x ${service", "a `${` without a name, or without its `}`"),
        ];
        for (text, message) in cases {
            assert_eq!(Template::of(text).check().map_err(|m| m.message), Err(message.to_owned()));
        }
    }

    #[test]
    fn a_comment_and_a_lone_dollar_are_left_alone() {
        let text = "x{a=~\"b$\"} # ${servise} isn't asked for\n > 1";
        let template = Template::of(text);
        assert_eq!(template.check(), Ok(()));
        assert_eq!(template.expand(MINUTE, |_| "y"), text);
    }

    #[test]
    fn a_window_is_written_as_promql_writes_it() {
        let shown = [1, 90, 60, 3600, 5400].map(|s| range(SignedDuration::from_secs(s)));
        assert_eq!(shown, ["1s", "90s", "1m", "1h", "90m"]);
    }
}
