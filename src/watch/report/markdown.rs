//! Words from outside as Markdown that shows them and does nothing.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

/// Characters of one piece of text.
const MOST: usize = 400;

/// One line that is shown as it is written: nothing in it formats, links, breaks a table or
/// begins a block.
pub fn plain(text: &str) -> String {
    let visible = text.chars().filter(|c| !turns_direction(*c));
    let visible: String = visible.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let line = words.join(" ");
    let mut safe = String::with_capacity(line.len());
    let mut before = ' ';
    let mut rest = line.chars();
    let mut count = 0;
    while let Some(c) = rest.next() {
        if count == MOST {
            safe.push('…');
            break;
        }
        count += 1;
        if is_mark(c, before, rest.as_str(), &safe) {
            safe.push('\\');
        }
        safe.push(c);
        before = c;
    }
    safe
}

/// Whether a character would be more than itself there.
fn is_mark(c: char, before: char, rest: &str, line: &str) -> bool {
    let after = rest.chars().next().unwrap_or(' ');
    match c {
        '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => true,
        // Inside a word (`order_success`) it formats nothing.
        '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
        // Only where a tag, a comment or an address could follow.
        '<' => after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?'),
        '&' => after == '#' || after.is_ascii_alphanumeric(),
        ':' => rest.starts_with("//"),
        '#' | '>' | '-' | '+' | '=' => line.is_empty(),
        // `1. ` at the beginning would be a list.
        '.' | ')' => {
            before.is_ascii_digit() && after == ' ' && line.chars().all(|c| c.is_ascii_digit())
        }
        _ => false,
    }
}

/// A place that people may follow: a plain web address, or else just its words.
pub fn link(url: &str) -> String {
    let plainly = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '\\' | '`' | '|');
    let web = url.starts_with("https://") || url.starts_with("http://");
    if web && url.len() <= MOST && url.chars().all(plainly) {
        format!("<{url}>")
    } else {
        plain(url)
    }
}

/// A step of a path in an address.
pub fn path(name: &str) -> String {
    let mut path = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// A table; cells are Markdown already. Nothing where there are no rows.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{}{rows}", line(&names), line(&rule))
}

/// "2026-11-20 10:30:00", in UTC as everything here.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// From one time to another in words, to the second: "1m 12s".
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs();
    let words = format!("{:#}", SignedDuration::from_secs(seconds.abs()));
    if seconds < 0 { format!("{words} before") } else { words }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_are_shown_and_do_nothing() {
        for (hostile, shown) in [
            ("a | b", "a \\| b"),
            ("<script>alert(1)</script>", "\\<script>alert(1)\\</script>"),
            ("`rm -rf`", "\\`rm -rf\\`"),
            ("![x](http://e)", "!\\[x\\](http\\://e)"),
            ("# no title\n\n- no list", "\\# no title - no list"),
            ("**bold** _x_", "\\*\\*bold\\*\\* \\_x\\_"),
            ("&lt;b&gt; R&D", "\\&lt;b\\&gt; R\\&D"),
            ("1. one", "1\\. one"),
            ("v1\u{202e}2\u{0}3", "v12 3"),
        ] {
            assert_eq!(plain(hostile), shown);
        }
    }

    #[test]
    fn usual_words_stay_as_they_are() {
        for usual in ["order_success", "normal < 0.1% · SEV2 > 1%", "shopflow-api:42", "p95 2.5s"]
        {
            assert_eq!(plain(usual), usual);
        }
        assert_eq!(plain(&"x".repeat(9_000)).chars().count(), MOST + 1);
    }

    #[test]
    fn only_web_addresses_are_links() {
        assert_eq!(link("https://ci.example/run?a=1"), "<https://ci.example/run?a=1>");
        assert_eq!(link("javascript:alert(1)"), "javascript:alert(1)");
        assert_eq!(link("https://a> b"), "https\\://a> b");
        assert_eq!(path("error rate/5xx"), "error%20rate%2F5xx");
    }
}
