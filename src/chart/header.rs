//! Words: above the plot, at the limits, and for those who cannot see it.

use super::draw::{Sight, class};
use super::frame::{Frame, Place, Taken, spread};
use super::text::{self, escape, fit, px};
use super::trace::millis;
use super::{Limit, MarkKind, Width, range, times};
use crate::policy::Side;

/// More limits than this have no room for their words.
pub const MOST_LIMITS: usize = 8;
const ROW: f64 = 19.0;
/// Between the words of limits, in px.
const APART: f64 = 15.0;
const MARGIN: f64 = 14.0;

/// Title, time and legend, and the y below them.
pub fn head(sight: &Sight<'_>, whole: f64, width: Width) -> (String, f64) {
    let span = times::span(sight.from, sight.to);
    let room = whole - 2.0 * MARGIN;
    // The title is larger than what `text::width` measures.
    let title = |room: f64| {
        let words = fit(&sight.chart.title, room / 1.25);
        text::label(MARGIN, 24.0, "dg-title dg-ink", &words)
    };
    let (words, y) = match width {
        Width::Phone => (title(room) + &text::label(MARGIN, 42.0, "dg-quiet dg-num", &span), 50.0),
        Width::Desktop => {
            let rest = room - text::width(&span) - 16.0;
            let span = text::label(whole - MARGIN, 24.0, "dg-end dg-quiet dg-num", &span);
            (title(rest) + &span, 32.0)
        }
    };
    let (legend, y) = legend(sight, room, y);
    (words + &legend, y)
}

/// What the dashes and shades mean; nothing where one line is alone.
fn legend(sight: &Sight<'_>, room: f64, above: f64) -> (String, f64) {
    let items = items(sight);
    if items.len() < 2 {
        return (String::new(), above);
    }
    let (mut drawn, mut x, mut y) = (String::new(), MARGIN, above + ROW - 5.0);
    for (swatch, words) in items {
        let words = fit(&words, room - 32.0);
        let wide = 30.0 + text::width(&words);
        if x > MARGIN && x + wide > MARGIN + room {
            (x, y) = (MARGIN, y + ROW);
        }
        drawn += &swatch(x, y - 4.0);
        drawn += &text::label(x + 30.0, y, "dg-quiet", &words);
        x += wide + 16.0;
    }
    (drawn, y + 5.0)
}

type Swatch = Box<dyn Fn(f64, f64) -> String>;

fn items(sight: &Sight<'_>) -> Vec<(Swatch, String)> {
    let mut items: Vec<(Swatch, String)> = Vec::new();
    for (index, (line, _)) in sight.lines.iter().enumerate() {
        let class = class(line, index);
        let swatch =
            move |x, y| format!("<path class=\"dg-line {class}\" d=\"M{} {}h22\"/>", px(x), px(y));
        items.push((Box::new(swatch), line.name.clone()));
    }
    let shade = |class: &'static str| -> Swatch {
        Box::new(move |x, y| {
            let (x, above, below) = (px(x), px(y - 5.0), px(y + 5.0));
            format!(
                "<rect class=\"dg-band {class}\" x=\"{x}\" y=\"{above}\" width=\"22\" \
                 height=\"10\"/><path class=\"dg-edge {class}\" d=\"M{x} {above}h22M{x} {below}h22\"/>"
            )
        })
    };
    if let Some(bound) = sight.chart.normal.filter(|bound| bound.value.is_finite()) {
        let words = format!("normal {} {}", sign(bound.side), show(sight, bound.value));
        items.push((shade("dg-normal"), words));
    }
    if let (Some(words), Some(_)) = (baseline(sight), sight.baseline) {
        items.push((shade("dg-baseline"), words));
    }
    items
}

fn baseline(sight: &Sight<'_>) -> Option<String> {
    let (low, high) = sight.baseline?;
    let label = &sight.chart.baseline.as_ref()?.label;
    let (low, high) = (show(sight, low), show(sight, high));
    Some(if low == high { format!("{label} {low}") } else { format!("{label} {low} – {high}") })
}

fn show(sight: &Sight<'_>, value: f64) -> String {
    range::clean(value).map(|value| range::write(sight.chart.unit, value)).unwrap_or_default()
}

fn sign(side: Side) -> &'static str {
    match side {
        Side::Above => ">",
        Side::AtLeast => "≥",
        Side::Below => "<",
        Side::AtMost => "≤",
    }
}

pub fn is_above(side: Side) -> bool {
    match side {
        Side::Above | Side::AtLeast => true,
        Side::Below | Side::AtMost => false,
    }
}

const WIDEST_LIMIT: f64 = 150.0;

/// The room that the words of limits need beside the plot, in px.
pub fn gutter(limits: &[&Limit]) -> f64 {
    let widest = limits.iter().map(|limit| text::width(&limit.label)).fold(0.0, f64::max);
    if limits.is_empty() { 0.0 } else { widest.min(WIDEST_LIMIT) + 24.0 }
}

/// The words of the limits: beside the plot, or within it where it is narrow.
pub fn limit_words(sight: &Sight<'_>, frame: &Frame, width: Width, taken: &mut Taken) -> String {
    let known = sight.limits.iter().filter_map(|limit| Some((range::clean(limit.value)?, limit)));
    let mut limits: Vec<_> = known.collect();
    limits.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let lift = match width {
        Width::Phone => -5.0,
        Width::Desktop => 4.0,
    };
    let mut places: Vec<f64> = limits.iter().map(|(value, _)| frame.y(*value) + lift).collect();
    spread(&mut places, APART, frame.top + 7.0, frame.bottom - 3.0);
    let mut drawn = String::new();
    for ((value, limit), y) in limits.iter().zip(places) {
        let words = fit(&limit.label, WIDEST_LIMIT);
        match width {
            Width::Phone => {
                let wide = text::width(&words);
                let (left, right) = (frame.left + 3.0, frame.right - 3.0);
                let at_right = text::place(right - wide, right, y);
                let at_left = text::place(left, left + wide, y);
                // What happened last stands at the right: words go where less is to see.
                let place = if busy(sight, frame, at_left) < busy(sight, frame, at_right) {
                    drawn += &veil(at_left);
                    drawn += &text::label(left, y, "dg-word dg-halo", &words);
                    at_left
                } else {
                    drawn += &veil(at_right);
                    drawn += &text::label(right, y, "dg-end dg-word dg-halo", &words);
                    at_right
                };
                taken.take(place);
            }
            Width::Desktop => {
                let (from, to) = (px(frame.y(*value)), px(y - 4.0));
                let right = px(frame.right);
                let end = px(frame.right + 6.0);
                drawn += &format!("<path class=\"dg-lead\" d=\"M{right} {from}L{end} {to}\"/>");
                drawn += &text::label(frame.right + 10.0, y, "dg-word", &words);
            }
        }
    }
    drawn
}

/// Steps of lines and stems of marks that words in a place would stand on.
fn busy(sight: &Sight<'_>, frame: &Frame, place: Place) -> usize {
    let meets =
        |from: f64, to: f64, low: f64, high: f64| from.min(to) <= high && from.max(to) >= low;
    let steps =
        sight.lines.iter().flat_map(|(_, trace)| &trace.runs).flat_map(|run| run.windows(2));
    let steps = steps.filter(|pair| {
        let x = |index: usize| pair.get(index).map_or(0.0, |(at, _)| frame.x(*at));
        let y = |index: usize| pair.get(index).map_or(0.0, |(_, value)| frame.y(*value));
        meets(x(0), x(1), place.left, place.right) && meets(y(0), y(1), place.top, place.bottom)
    });
    let inside = |at: f64| (place.left..=place.right).contains(&frame.x(at));
    let marks = sight.chart.marks.iter().filter(|mark| inside(millis(mark.at)));
    steps.count() + marks.count()
}

/// Behind words that stand on lines.
fn veil(place: Place) -> String {
    format!(
        "<rect class=\"dg-face dg-veil\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
        px(place.left),
        px(place.top),
        px(place.right - place.left),
        px(place.bottom - place.top)
    )
}

/// The picture in sentences.
pub fn description(sight: &Sight<'_>) -> String {
    let mut said = vec![format!("{}.", times::span(sight.from, sight.to))];
    for (line, trace) in &sight.lines {
        let least = trace.values().reduce(f64::min);
        let most = trace.values().reduce(f64::max);
        said.push(match (least, most) {
            (Some(least), Some(most)) => {
                let (least, most) = (show(sight, least), show(sight, most));
                format!("{}: {} values, {least} to {most}.", line.name, trace.values().count())
            }
            (_, _) => format!("{}: no data.", line.name),
        });
        if !trace.runs.is_empty() && !trace.gaps.is_empty() {
            said.push(format!("Gaps in it: {}.", trace.gaps.len()));
        }
    }
    let limits: Vec<&str> = sight.limits.iter().map(|limit| limit.label.as_str()).collect();
    if !limits.is_empty() {
        said.push(format!("Limits: {}.", limits.join(", ")));
    }
    said.extend(baseline(sight).map(|words| format!("Baseline: {words}.")));
    for mark in sight.chart.marks.iter().take(12) {
        let at = mark.at.strftime("%H:%M:%S");
        said.push(format!("{} at {at} UTC: {}.", kind(mark.kind), mark.label));
    }
    said.join(" ")
}

/// What a kind of mark is called.
pub fn kind(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Deployed => "Deployed",
        MarkKind::InService => "In service",
        MarkKind::BadFrom => "Bad from",
        MarkKind::Breach => "Breach",
        MarkKind::WouldAct => "Would act",
        MarkKind::RolledBack => "Rolled back",
        MarkKind::Recovered => "Recovered",
    }
}

/// `<title>` of an element: what is said where the pointer rests.
pub fn hint(words: &str) -> String {
    format!("<title>{}</title>", escape(words))
}
