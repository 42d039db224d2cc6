//! A series on its way to a line: cleaned, split at its gaps, thinned to what a
//! pixel can show.

use jiff::Timestamp;

use super::frame::Frame;
use super::range;
use super::text::px;

/// A series without its gaps.
pub struct Trace {
    /// Unbroken stretches of (unix ms, value), each with a point or more.
    pub runs: Vec<Vec<(f64, f64)>>,
    /// From and to where nothing is known, in unix ms.
    pub gaps: Vec<(f64, f64)>,
}

/// Points that stand alone and are drawn as such.
const MOST_DOTS: usize = 100;
/// Longer than this many steps of its neighbours is a gap, though nobody said so.
const STEPS_OF_A_GAP: f64 = 1.9;

impl Trace {
    /// What is known of `points` between `from` and `to`.
    pub fn new(points: &[(Timestamp, Option<f64>)], from: Timestamp, to: Timestamp) -> Trace {
        let seen = points.iter().filter(|(at, _)| (from..=to).contains(at));
        let mut seen: Vec<_> =
            seen.map(|(at, value)| (millis(*at), value.and_then(range::clean))).collect();
        seen.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut trace = Trace { runs: Vec::new(), gaps: Vec::new() };
        let mut open = false;
        let mut last = seen.first().map(|(at, _)| *at);
        for (index, (at, value)) in seen.iter().enumerate() {
            let Some(value) = value else {
                open = false;
                continue;
            };
            if open && is_silent(&seen, index) {
                open = false;
            }
            if let (true, Some(run)) = (open, trace.runs.last_mut()) {
                run.push((*at, *value));
            } else {
                trace.gaps.extend(last.filter(|last| last < at).map(|last| (last, *at)));
                trace.runs.push(vec![(*at, *value)]);
            }
            open = true;
            last = Some(*at);
        }
        if let (Some(known), Some((end, None))) = (last, seen.last()) {
            trace.gaps.push((known, *end));
        }
        trace
    }

    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.runs.iter().flatten().map(|(_, value)| *value)
    }

    /// The `d` of the points that stand alone, which no line shows.
    pub fn dots(&self, frame: &Frame) -> String {
        let alone = self.runs.iter().filter_map(|run| match run.as_slice() {
            [(at, value)] => Some((frame.x(*at), frame.y(*value))),
            _ => None,
        });
        alone.take(MOST_DOTS).map(|(x, y)| format!("M{} {}h.1", px(x), px(y))).collect()
    }

    /// The `d` of its path: at most four points to each of `columns`.
    pub fn path(&self, frame: &Frame, columns: f64) -> String {
        let each = (frame.right - frame.left) / columns;
        let mut path = String::new();
        let mut column: Option<Column> = None;
        for run in &self.runs {
            for (index, (at, value)) in run.iter().enumerate() {
                let point = (frame.x(*at), *value);
                let place = ((point.0 - frame.left) / each).floor();
                match &mut column {
                    Some(column) if column.place.total_cmp(&place).is_eq() => column.take(point),
                    before => {
                        let joined = index > 0;
                        let from = before.take().map(|done| done.draw(frame, &mut path));
                        *before = Some(Column::new(place, from.filter(|_| joined), point));
                    }
                }
            }
        }
        if let Some(last) = column {
            last.draw(frame, &mut path);
        }
        path
    }
}

/// Unix time in ms; whole numbers far below 2^53.
#[expect(clippy::cast_precision_loss)]
pub fn millis(at: Timestamp) -> f64 {
    at.as_millisecond() as f64
}

/// Whether there is a longer silence in front of a point than around it.
fn is_silent(seen: &[(f64, Option<f64>)], index: usize) -> bool {
    let at = |index: usize| seen.get(index).map(|(at, _)| *at);
    let step = |from: Option<usize>, to: usize| Some(at(to)? - at(from?)?);
    let Some(here) = step(index.checked_sub(1), index) else { return false };
    let around = [step(index.checked_sub(2), index.wrapping_sub(1)), step(Some(index), index + 1)];
    let longest = around.into_iter().flatten().reduce(f64::max);
    longest.is_some_and(|longest| here > STEPS_OF_A_GAP * longest)
}

type Point = (f64, f64);

/// The points that fall on one column of pixels: their first, last and extremes
/// look the same as all of them.
struct Column {
    place: f64,
    /// Where the line comes from.
    from: Option<Point>,
    first: Point,
    low: Point,
    high: Point,
    last: Point,
}

impl Column {
    fn new(place: f64, from: Option<Point>, point: Point) -> Column {
        Column { place, from, first: point, low: point, high: point, last: point }
    }

    fn take(&mut self, point: Point) {
        if point.1 < self.low.1 {
            self.low = point;
        }
        if point.1 > self.high.1 {
            self.high = point;
        }
        self.last = point;
    }

    /// Returns where the line goes on from.
    fn draw(&self, frame: &Frame, path: &mut String) -> Point {
        let mut inner = [self.low, self.high];
        inner.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut points = vec![self.first, inner[0], inner[1], self.last];
        points.dedup();
        let mut before = self.from;
        for point in &points {
            step(frame, before, *point, path);
            before = Some(*point);
        }
        if self.from.is_none() && points.len() == 1 {
            // A round cap on next to nothing is a dot.
            path.push_str("h.1");
        }
        self.last
    }
}

/// One step of a line; where it leaves the view it turns along the edge.
fn step(frame: &Frame, from: Option<Point>, to: Point, path: &mut String) {
    let draw = |verb: char, (x, value): Point| format!("{verb}{} {}", px(x), px(frame.y(value)));
    let Some(from) = from else {
        path.push_str(&draw('M', to));
        return;
    };
    let mut crossings: Vec<f64> = [frame.range.low, frame.range.high]
        .into_iter()
        .filter(|edge| (from.1 < *edge) != (to.1 < *edge))
        .map(|edge| (edge - from.1) / (to.1 - from.1))
        .filter(|part| (0.0..=1.0).contains(part))
        .collect();
    crossings.sort_by(f64::total_cmp);
    for part in crossings {
        let at = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
        path.push_str(&draw('L', at));
    }
    path.push_str(&draw('L', to));
}
