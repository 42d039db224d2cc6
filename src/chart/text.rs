//! Text from outside on its way into XML: made harmless, measured, cut to fit.

use super::frame::Place;

/// The height of text, in px; what is measured here is measured at this.
pub const SIZE: f64 = 12.0;

/// For a text node and for an attribute in double quotes. What XML cannot hold
/// becomes a space, and marks that turn the writing direction go.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '\u{fffe}' | '\u{ffff}' => safe.push(' '),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// About how wide `text` is, in px; rather too wide than too narrow, because
/// the font is the reader's.
pub fn width(text: &str) -> f64 {
    text.chars().map(em).sum::<f64>() * SIZE
}

/// `text`, or as much of its beginning as fits into `room` px with an ellipsis.
pub fn fit(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut used = em('…') * SIZE;
    let mut kept = String::new();
    for c in text.chars() {
        used += em(c) * SIZE;
        if used > room {
            break;
        }
        kept.push(c);
    }
    let mut cut = kept.trim_end().to_owned();
    cut.push('…');
    cut
}

/// A coordinate or a length in px, to a tenth.
pub fn px(value: f64) -> String {
    let tenths = if value.is_finite() { (value * 10.0).round() / 10.0 } else { 0.0 };
    // No "-0".
    format!("{}", tenths + 0.0)
}

/// The width of a character in em, by the widest of the usual fonts.
fn em(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' => 0.34,
        ' ' | 'f' | 'r' | 't' | '(' | ')' | '-' | '/' | '[' | ']' => 0.41,
        '%' | 'm' | 'w' | 'M' | 'W' | '@' | '…' => 0.97,
        '<' | '>' | '=' | '+' | '~' => 0.84,
        c if c.is_ascii_uppercase() => 0.72,
        c if c.is_ascii() => 0.63,
        c if c < '\u{2e80}' => 0.72,
        _ => 1.1,
    }
}

/// A text element; `y` is its base line.
pub fn label(x: f64, y: f64, class: &str, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>", px(x), px(y), escape(words))
}

/// The box of a text on the base line `y`.
pub fn place(left: f64, right: f64, y: f64) -> Place {
    Place { left, right, top: y - SIZE, bottom: y + 3.0 }
}
