//! Small pieces that every page is made of.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::model::{Outcome, Tone, Verdict};
use crate::watch::markdown;

/// A moment, with room for how long ago that is, which the script keeps true.
pub fn time(at: Timestamp) -> Markup {
    html! {
        time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M:%S UTC")) }
        span.ago data-own {}
    }
}

/// The time of day alone, where the day is near.
pub fn clock(at: Timestamp) -> Markup {
    html! {
        time datetime=(at) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC")) {
            (at.strftime("%H:%M:%S UTC"))
        }
        span.ago data-own {}
    }
}

/// A verdict as shape, word and colour.
pub fn verdict(verdict: Option<Verdict>) -> Markup {
    let (glyph, word, class) = match verdict {
        None => ("·", "not measured", "quiet"),
        Some(Verdict::Healthy) => ("✓", "healthy", "good"),
        Some(Verdict::Elevated) => ("▲", "elevated", "warn"),
        Some(Verdict::Breach) => ("✗", "breach", "bad"),
        Some(Verdict::LowTraffic) => ("?", "low traffic", "quiet"),
        Some(Verdict::NoData) => ("?", "no data", "quiet"),
    };
    mark(glyph, word, class)
}

/// How a watch ended, as shape, word and colour.
pub fn outcome(outcome: Option<Outcome>) -> Markup {
    let (glyph, word, class) = match outcome {
        None => ("●", "watched now", "acts"),
        Some(Outcome::Passed) => ("✓", "passed", "good"),
        Some(Outcome::RolledBack) => ("↩", "rolled back", "warn"),
        Some(Outcome::RollbackFailed) => ("✗", "NOT rolled back", "bad"),
        Some(Outcome::Breached) => ("✗", "breached", "bad"),
        Some(Outcome::Superseded) => ("→", "superseded", "quiet"),
        Some(Outcome::Cancelled) => ("■", "cancelled", "quiet"),
        Some(Outcome::Inconclusive) => ("?", "inconclusive", "warn"),
    };
    mark(glyph, word, class)
}

pub fn mark(glyph: &str, word: &str, class: &str) -> Markup {
    html! {
        span class={ "mark " (class) } { span.glyph aria-hidden="true" { (glyph) } " " (word) }
    }
}

/// The class that colours something of this tone.
pub fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Quiet => "quiet",
        Tone::Good => "good",
        Tone::Warn => "warn",
        Tone::Bad => "bad",
    }
}

/// The outcome that this word stands for in addresses.
pub fn named(word: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|one| one.as_str() == word)
}

/// What an element is called in its page: names from outside may have any characters, and
/// two of them never become one.
pub fn id(prefix: &str, name: &str) -> String {
    let mut id = format!("{prefix}-");
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => id.push(char::from(byte)),
            // Writing to a string does not fail.
            other => drop(write!(id, "_{other:02x}")),
        }
    }
    id
}

/// The address of a watch, and of what lies below it.
pub fn address(watch: &str) -> String {
    format!("/watches/{}", markdown::path(watch))
}

/// A plain web address may be followed; anything else is only shown.
pub fn link(url: &str, words: &str) -> Markup {
    let plainly = |c: char| c.is_ascii_graphic();
    let web = url.starts_with("https://") || url.starts_with("http://");
    html! {
        @if web && url.chars().all(plainly) {
            a href=(url) rel="noreferrer" { (words) }
        } @else { (url) }
    }
}

/// "12m", to the second below two minutes.
pub fn span(length: SignedDuration) -> String {
    let length = length.max(SignedDuration::ZERO);
    let step = if length < SignedDuration::from_mins(2) { 1 } else { 60 };
    format!("{:#}", SignedDuration::from_secs(length.as_secs() / step * step))
}

/// A value of an address's query.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let written = pairs.iter().filter(|(_, value)| !value.is_empty());
    let written = written.map(|(name, value)| format!("{name}={}", markdown::path(value)));
    written.collect::<Vec<_>>().join("&")
}

/// The last values of a check as a small line, with its limits where they are near.
///
/// `limits` and `values` in base units; nothing where there are fewer than two values.
pub fn sparkline(values: &[f64], limits: &[f64], class: &str) -> Markup {
    const WIDE: f64 = 100.0;
    const HIGH: f64 = 24.0;
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if values.len() < 2 {
        return html! { span.spark {} };
    }
    let most = values.iter().copied().fold(0.0, f64::max);
    let least = values.iter().copied().fold(0.0, f64::min);
    // A limit far away would press the line flat.
    let near = |limit: &&f64| limit.is_finite() && **limit <= most.abs() * 4.0 + 1e-12;
    let limits: Vec<f64> = limits.iter().filter(near).copied().collect();
    let top = limits.iter().copied().fold(most, f64::max);
    let height = if top - least > 0.0 { top - least } else { 1.0 };
    let y = |value: f64| HIGH - 2.0 - (value - least) / height * (HIGH - 4.0);
    // At most a few dozen.
    #[expect(clippy::cast_precision_loss)]
    let x = |index: usize| index as f64 / (values.len() - 1) as f64 * WIDE;
    let points = values.iter().enumerate();
    let points: Vec<String> =
        points.map(|(index, value)| format!("{:.1},{:.1}", x(index), y(*value))).collect();
    html! {
        svg.spark viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true"
            focusable="false" {
            @for limit in &limits {
                path.rule d={ "M0 " (format!("{:.1}", y(*limit))) "H100" } {}
            }
            polyline class=(class) points=(points.join(" ")) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_are_never_one_id() {
        let names = [
            "prod/shop-eu/api",
            "prod/shop/eu-api",
            "p95 latency",
            "p95-latency",
            "p95_20latency",
            "延迟",
            "错误",
        ];
        let ids: std::collections::BTreeSet<String> =
            names.iter().map(|name| id("s", name)).collect();
        assert_eq!(ids.len(), names.len(), "{ids:?}");
        let tame = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(ids.iter().all(|id| id.chars().all(tame)), "{ids:?}");
    }
}
