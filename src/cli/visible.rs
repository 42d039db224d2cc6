//! Words from outside on somebody's terminal or in a log: shown, and doing nothing there.

use std::fmt::Write as _;

/// One line: control characters, and those that turn or hide text, are written out as
/// escapes.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_deceptive(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Changes the direction of text, ends a line without being a control character, or takes
/// no room.
fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_speaks_to_a_terminal() {
        for (hostile, shown) in [
            ("v2\u{1b}[2J", "v2\\u{1b}[2J"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("c1\u{9b}31m", "c1\\u{9b}31m"),
            ("v\u{202e}2", "v\\u{202e}2"),
            ("a\u{2028}b\u{200b}", "a\\u{2028}b\\u{200b}"),
        ] {
            assert_eq!(visible(hostile), shown);
        }
    }

    #[test]
    fn usual_words_stay_as_they_are() {
        let usual = r#"p95 "slow" > 500ms · Zürich ✓ C:\x"#;
        assert_eq!(visible(usual), usual);
    }
}
