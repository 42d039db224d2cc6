//! Words from outside, made harmless and short enough.

/// Keeps `*x*` from formatting: invisible, not a space and not a word boundary.
const JOINER: char = '\u{2060}';

/// One line of at most `max` characters: control characters become spaces,
/// marks that turn the writing direction go, an ellipsis shows what was cut.
pub(in crate::notify) fn line(text: &str, max: usize) -> String {
    let visible: String = text
        .chars()
        .filter(|c| !turns_direction(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    shorten(&words.join(" "), max)
}

/// The same line for a place that Slack reads as mrkdwn: nothing in it formats,
/// links or mentions. `max` counts what is sent, so no entity is cut in half.
pub(super) fn mrkdwn(text: &str, max: usize) -> String {
    let text = line(text, usize::MAX);
    let pieces = escape(&text);
    let total: usize = pieces.iter().map(|piece| piece.chars().count()).sum();
    if total <= max {
        return pieces.concat();
    }
    let mut kept = String::new();
    let mut room = max.saturating_sub(1);
    for piece in pieces {
        let size = piece.chars().count();
        if size > room {
            break;
        }
        room -= size;
        kept.push_str(&piece);
    }
    kept.push('…');
    kept
}

/// A link that can stand in `<...|...>`, or none: http(s) only, nobody's
/// password in it, and not longer than `max`.
pub(super) fn link(url: &str, max: usize) -> Option<Link> {
    let url = url.trim();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || turns_direction(c);
    if authority.is_empty() || authority.contains('@') || url.contains(forbidden) {
        return None;
    }
    let mut target = String::new();
    for c in url.chars() {
        match c {
            '&' => target.push_str("&amp;"),
            '<' => target.push_str("%3C"),
            '>' => target.push_str("%3E"),
            '|' => target.push_str("%7C"),
            c => target.push(c),
        }
    }
    let fits = target.chars().count() <= max;
    fits.then(|| Link { target, host: mrkdwn(authority, 80) })
}

/// A checked link, ready to stand in mrkdwn.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    pub target: String,
    pub host: String,
}

fn shorten(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The text in pieces that must not be cut.
fn escape(text: &str) -> Vec<String> {
    let mut pieces = Vec::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let after = rest.clone().next().unwrap_or(' ');
        pieces.push(match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '`' => format!("{JOINER}`{JOINER}"),
            // Inside a word (`order_success`) they format nothing.
            '*' | '_' | '~' if !(before.is_alphanumeric() && after.is_alphanumeric()) => {
                format!("{JOINER}{c}{JOINER}")
            }
            ':' if opens_emoji(rest.as_str()) => format!(":{JOINER}"),
            c => c.to_string(),
        });
        before = c;
    }
    pieces
}

/// Whether a colon in front of `rest` would begin an emoji such as `:100:`.
fn opens_emoji(rest: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+' | '-' | '\'');
    let name = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
    name > 0 && rest[name..].starts_with(':')
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_breaks_and_no_turned_text() {
        assert_eq!(line(" v1\r\n\t2\u{202e}3\u{0} ", 80), "v1 23");
    }

    #[test]
    fn a_long_line_ends_in_an_ellipsis_on_a_character_boundary() {
        assert_eq!(line("äöüß", 4), "äöüß");
        assert_eq!(line("äöüßé", 4), "äöü…");
    }

    #[test]
    fn mrkdwn_can_neither_ping_nor_format() {
        assert_eq!(mrkdwn("<!channel> & <@U1>", 80), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
        assert_eq!(mrkdwn("*x*", 80), "\u{2060}*\u{2060}x\u{2060}*\u{2060}");
        assert_eq!(mrkdwn("a `b`", 80), "a \u{2060}`\u{2060}b\u{2060}`\u{2060}");
        assert_eq!(mrkdwn("repo:100:x", 80), "repo:\u{2060}100:x");
    }

    #[test]
    fn names_that_cannot_format_stay_as_they_are_and_can_be_copied() {
        for name in ["order_success", "shopflow-api:41", "a*b", "2026-11-20 10:34 UTC", "~"] {
            let sent = mrkdwn(name, 80);
            assert_eq!(sent.contains('\u{2060}'), name == "~", "{name}");
        }
    }

    #[test]
    fn mrkdwn_never_cuts_an_entity() {
        assert_eq!(mrkdwn("<<<<", 12), "&lt;&lt;…");
        assert_eq!(mrkdwn("<<<<", 16), "&lt;&lt;&lt;&lt;");
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        let good = link("https://ci.example/run?a=1&b=<x|y>", 200).unwrap();
        assert_eq!(good.target, "https://ci.example/run?a=1&amp;b=%3Cx%7Cy%3E");
        assert_eq!(good.host, "ci.example");
        let bad = ["javascript:alert(1)", "https://", "https://u:p@h/", "ftp://h/", "https://a b"];
        for url in bad {
            assert_eq!(link(url, 200), None, "{url}");
        }
        assert_eq!(link(&format!("https://h/{}", "x".repeat(200)), 200), None);
    }
}
