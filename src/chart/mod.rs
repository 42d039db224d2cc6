//! One check of one deployment as a picture: pure, deterministic SVG, the same
//! for the web, a report and, as pixels, a message.
//!
//! What is not known is not drawn: a gap in the data is a gap in the line, and a
//! number that is none (NaN, infinite) counts as a gap. Text from outside is
//! escaped here and nowhere else.

#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a drawing is small, and easier to read made of pieces"
)]

mod draw;
mod edge;
mod frame;
mod header;
mod listing;
mod markers;
mod page;
#[cfg(test)]
mod pixels;
mod range;
mod raster;
mod text;
mod theme;
mod times;
mod trace;

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::policy::{Bound, Check, Measure, Unit};

pub use listing::{Cell, Listing, listing};
pub use page::{Link, Section, colours, figure, linked_page, page, style};
pub use raster::{Undrawn, png};
pub use theme::Theme;

/// What is drawn. Values are in the base unit of `unit`: ratio 0-1, seconds, bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    pub unit: Unit,
    /// The left edge; points before it are not drawn.
    pub from: Timestamp,
    /// The right edge; points after it are not drawn.
    pub to: Timestamp,
    /// The first four are drawn.
    pub lines: Vec<Line>,
    /// Always in view. The first eight are drawn.
    pub limits: Vec<Limit>,
    /// Shaded on the side that is normal; always in view.
    pub normal: Option<Bound>,
    pub baseline: Option<Band>,
    /// The first twelve in time are drawn.
    pub marks: Vec<Mark>,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub kind: LineKind,
    /// In any order. `None`: asked and not known.
    pub points: Vec<(Timestamp, Option<f64>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// What is judged.
    Main,
    /// What it is compared with: grey and dashed.
    Control,
}

/// A horizontal line: "SEV2 > 1%".
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub label: String,
    pub value: f64,
}

/// What was usual before.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// "before", "last week".
    pub label: String,
    pub low: f64,
    pub high: f64,
}

/// A moment: "deployed".
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub at: Timestamp,
    /// Without the time, which is written behind it.
    pub label: String,
    pub kind: MarkKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    Deployed,
    InService,
    /// The truth of a backtest: from here on it was bad.
    BadFrom,
    Breach,
    WouldAct,
    RolledBack,
    Recovered,
}

/// For which view it is laid out; text is 12 px high in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 360 px.
    Phone,
    /// 760 px.
    Desktop,
}

/// Where the plot lies in a drawing, and what its edges mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plot {
    /// In px of the drawing.
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Unix ms at `left` and `right`.
    pub from: f64,
    pub to: f64,
    /// In base units, at `bottom` and `top`.
    pub low: f64,
    pub high: f64,
}

/// The limits of a check; none of a status, whose limits count failures and have no place
/// between down and up.
pub fn limits(check: &Check) -> Vec<Limit> {
    if matches!(check.measure, Measure::Status { .. }) {
        return Vec::new();
    }
    let limits = check.breach.iter().map(|(severity, limit)| Limit {
        label: format!("{severity} {limit}"),
        value: limit.bound.value,
    });
    let wall = check
        .leak
        .map(|leak| Limit { label: format!("wall {}", check.show(leak.wall)), value: leak.wall });
    limits.chain(wall).collect()
}

/// What a chart shows, in sentences.
pub fn words(chart: &Chart) -> String {
    draw::words(chart)
}

/// A whole SVG document, under 60 kB however many points there are.
pub fn svg(chart: &Chart, theme: Theme, width: Width) -> String {
    draw::document(chart, width, Some(theme))
}

/// An SVG for a page that has [`style`], and where its plot is: for what shows values there.
pub fn plotted(chart: &Chart, width: Width) -> (String, Plot) {
    let (svg, frame) = draw::drawing(chart, width, None);
    let plot = Plot {
        left: frame.left,
        right: frame.right,
        top: frame.top,
        bottom: frame.bottom,
        from: frame.from,
        to: frame.to,
        low: frame.range.low,
        high: frame.range.high,
    };
    (svg, plot)
}
