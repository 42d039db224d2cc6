//! Moments: a stem through the plot, a shape and words above it.

use super::draw::Sight;
use super::frame::Frame;
use super::text::{self, escape, fit, px};
use super::trace::millis;
use super::{Mark, MarkKind, header, times};

const MOST_MARKS: usize = 12;
const LANE: f64 = 18.0;

/// All marks in their lanes, one lane below another.
pub struct Marks<'a> {
    placed: Vec<Placed<'a>>,
    /// Of the lowest lane.
    pub bottom: f64,
}

struct Placed<'a> {
    mark: &'a Mark,
    x: f64,
    /// The middle of its lane.
    y: f64,
    words: String,
    time: String,
    /// What the words cover.
    from: f64,
    to: f64,
}

impl<'a> Marks<'a> {
    /// A later mark goes into a lower lane where the words of an earlier one are
    /// in its way, so no stem goes through them.
    pub fn new(sight: &Sight<'a>, frame: &Frame, above: f64) -> Marks<'a> {
        let inside = |mark: &&Mark| (sight.from..=sight.to).contains(&mark.at);
        let mut marks: Vec<&Mark> = sight.chart.marks.iter().filter(inside).collect();
        marks.sort_by_key(|mark| mark.at);
        marks.truncate(MOST_MARKS);
        let mut placed: Vec<Placed<'_>> = Vec::new();
        let mut bottom = above;
        for mark in marks {
            let x = frame.x(millis(mark.at));
            let time = times::moment(mark.at, sight.from, sight.to);
            let words = fit(&mark.label, frame.width() * 0.6);
            let wide = text::width(&words) + text::width(&time) + 16.0;
            let end = frame.right + 16.0;
            let (from, to) = if x + wide <= end || x - wide < frame.left - 20.0 {
                (x, x + wide)
            } else {
                (x - wide, x)
            };
            let meets = |other: &&Placed<'_>| other.to + 8.0 > from && other.from - 8.0 < to;
            let lowest = placed.iter().filter(meets).map(|other| other.y).fold(above, f64::max);
            let y = if lowest > above { lowest + LANE } else { above + LANE / 2.0 + 2.0 };
            bottom = bottom.max(y + LANE / 2.0);
            placed.push(Placed { mark, x, y, words, time, from, to });
        }
        Marks { placed, bottom }
    }

    pub fn stems(&self, frame: &Frame) -> String {
        let stem = |placed: &Placed<'_>| {
            let (class, dashes) = stroke(placed.mark.kind);
            let (x, y, bottom) = (px(placed.x), px(placed.y + 7.0), px(frame.bottom));
            format!("<path class=\"dg-mark {class}\"{dashes} d=\"M{x} {y}V{bottom}\"/>")
        };
        self.placed.iter().map(stem).collect()
    }

    pub fn labels(&self) -> String {
        self.placed.iter().map(Placed::label).collect()
    }
}

impl Placed<'_> {
    fn label(&self) -> String {
        let said = header::kind(self.mark.kind);
        let hint = format!("{said} at {} UTC", self.mark.at.strftime("%Y-%m-%d %H:%M:%S"));
        let (x, class) =
            if self.from < self.x { (self.x - 9.0, " dg-end") } else { (self.x + 9.0, "") };
        format!(
            "<g>{}<text class=\"dg-ink dg-halo dg-num{class}\" x=\"{}\" y=\"{}\">{} \
             <tspan class=\"dg-quiet\">{}</tspan></text>{}</g>",
            header::hint(&hint),
            px(x),
            px(self.y + 4.0),
            escape(&self.words),
            escape(&self.time),
            shape(self.mark.kind, self.x, self.y)
        )
    }
}

/// The class and dashes of a stem.
fn stroke(kind: MarkKind) -> (&'static str, &'static str) {
    match kind {
        MarkKind::Deployed | MarkKind::InService => ("dg-plain", ""),
        MarkKind::BadFrom => ("dg-bad", " stroke-dasharray=\"2 3\""),
        MarkKind::Breach => ("dg-bad", ""),
        MarkKind::WouldAct => ("dg-acts", " stroke-dasharray=\"6 3\""),
        MarkKind::RolledBack => ("dg-acts", ""),
        MarkKind::Recovered => ("dg-good", ""),
    }
}

/// A shape of its own for each kind, about 8 px high.
fn shape(kind: MarkKind, x: f64, y: f64) -> String {
    let (class, _) = stroke(kind);
    let (full, path) = match kind {
        MarkKind::Deployed => (" dg-full", "m-4 3.5l4-7 4 7z"),
        MarkKind::InService => (" dg-full", "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z"),
        MarkKind::BadFrom => ("", "m-4-3.5l4 7 4-7z"),
        MarkKind::Breach => ("", "m-3.5-3.5l7 7m0-7l-7 7"),
        MarkKind::WouldAct => ("", "m-4.5 0l4.5-4.5 4.5 4.5-4.5 4.5z"),
        MarkKind::RolledBack => (" dg-full", "m3.5-4l-7 4 7 4z"),
        MarkKind::Recovered => ("", "m-4 0l3 3.5 5.5-7"),
    };
    format!("<path class=\"dg-glyph {class}{full}\" d=\"M{} {}{path}\"/>", px(x), px(y))
}
