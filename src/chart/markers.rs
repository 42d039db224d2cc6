//! Moments: a stem through the plot, a shape and words above it.

use super::draw::Sight;
use super::frame::Frame;
use super::text::{self, escape, fit, px};
use super::trace::millis;
use super::{Mark, MarkKind, header, times};

const MOST_MARKS: usize = 12;
const LANE: f64 = 18.0;

/// All marks in lanes: a mark is below those whose words its stem would go through.
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
    /// From the top.
    lane: u8,
    words: String,
    time: String,
    /// What the words cover.
    from: f64,
    to: f64,
}

impl<'a> Marks<'a> {
    pub fn new(sight: &Sight<'a>, frame: &Frame, above: f64) -> Marks<'a> {
        let inside = |mark: &&Mark| (sight.from..=sight.to).contains(&mark.at);
        let mut marks: Vec<&Mark> = sight.chart.marks.iter().filter(inside).collect();
        marks.sort_by_key(|mark| mark.at);
        marks.truncate(MOST_MARKS);
        let mut waiting: Vec<Placed<'_>> =
            marks.into_iter().map(|mark| Placed::new(mark, sight, frame)).collect();
        turn_away(&mut waiting, frame);
        let mut placed: Vec<Placed<'_>> = Vec::new();
        while let Some(mut next) = highest(&mut waiting) {
            let free = |lane: &u8| placed.iter().all(|other| next.fits(*lane, other));
            next.lane = (0..u8::MAX).find(free).unwrap_or_default();
            next.y = above + LANE * (f64::from(next.lane) + 0.5) + 3.0;
            placed.push(next);
        }
        let bottom = placed.iter().map(|mark| mark.y + LANE / 2.0).fold(above, f64::max);
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

/// Words that meet those of a later mark, which has no room on its right, turn left too.
fn turn_away(marks: &mut [Placed<'_>], frame: &Frame) {
    for index in (0..marks.len()).rev() {
        let (before, after) = marks.split_at_mut(index + 1);
        let Some(mark) = before.last_mut() else { continue };
        let wide = mark.to - mark.from;
        let meets = after.iter().any(|other| mark.covers(other) && other.covers(mark));
        if meets && mark.x - wide >= frame.left - ROOM_ON_THE_LEFT {
            (mark.from, mark.to) = (mark.x - wide, mark.x);
        }
    }
}

/// How far words may reach over the axis of values, in px.
const ROOM_ON_THE_LEFT: f64 = 20.0;

/// The first mark whose stem goes through no words of those that wait with it.
fn highest<'a>(waiting: &mut Vec<Placed<'a>>) -> Option<Placed<'a>> {
    let free = |mark: &Placed<'_>| !waiting.iter().any(|other| other.covers(mark));
    let index = waiting.iter().position(free).unwrap_or_default();
    (index < waiting.len()).then(|| waiting.remove(index))
}

impl<'a> Placed<'a> {
    fn new(mark: &'a Mark, sight: &Sight<'_>, frame: &Frame) -> Placed<'a> {
        let x = frame.x(millis(mark.at));
        let time = times::moment(mark.at, sight.from, sight.to);
        let words = fit(&mark.label, frame.width() * 0.6);
        let wide = text::width(&words) + text::width(&time) + 16.0;
        let right = x + wide <= frame.right + 14.0 || x - wide < frame.left - ROOM_ON_THE_LEFT;
        let (from, to) = if right { (x, x + wide) } else { (x - wide, x) };
        Placed { mark, x, y: 0.0, lane: 0, words, time, from, to }
    }

    /// Whether the stem of another would go through its words from above.
    fn covers(&self, other: &Placed<'_>) -> bool {
        let itself = self.mark == other.mark;
        !itself && self.from - 5.0 < other.x && other.x < self.to + 2.0
    }

    fn fits(&self, lane: u8, other: &Placed<'_>) -> bool {
        let apart = other.to + 6.0 <= self.from || other.from - 6.0 >= self.to;
        let below = !other.covers(self) || lane > other.lane;
        below && (apart || lane != other.lane)
    }

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
