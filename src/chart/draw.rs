//! The picture, from the back to the front.

use jiff::{SignedDuration, Timestamp};

use super::frame::{Frame, Taken};
use super::text::{self, escape, px};
use super::theme::{Theme, css};
use super::trace::{Trace, millis};
use super::{Chart, Limit, Line, LineKind, Width, edge, header, markers, range, times};

/// More lines than this cannot be told apart.
const MOST_LINES: usize = 4;
/// Columns of pixels of all lines together: what keeps the text short.
const MOST_COLUMNS: f64 = 900.0;
/// Gaps that are shaded, the longest first.
const MOST_GAPS: usize = 40;

/// A chart with what follows from it.
pub struct Sight<'a> {
    pub chart: &'a Chart,
    pub from: Timestamp,
    /// After `from`.
    pub to: Timestamp,
    pub lines: Vec<(&'a Line, Trace)>,
    pub limits: Vec<&'a Limit>,
    /// In order, finite.
    pub baseline: Option<(f64, f64)>,
    pub range: range::Range,
}

impl<'a> Sight<'a> {
    fn new(chart: &'a Chart) -> Sight<'a> {
        let later = chart.from.saturating_add(SignedDuration::from_secs(1));
        let to = chart.to.max(later.unwrap_or(chart.to));
        let from = chart.from.min(to - SignedDuration::from_millis(1));
        let drawn = chart.lines.iter().take(MOST_LINES);
        let lines: Vec<_> = drawn.map(|line| (line, Trace::new(&line.points, from, to))).collect();
        let limits: Vec<_> = chart
            .limits
            .iter()
            .filter(|limit| limit.value.is_finite())
            .take(header::MOST_LIMITS)
            .collect();
        let baseline = chart.baseline.as_ref().and_then(|band| {
            let (one, other) = (range::clean(band.low)?, range::clean(band.high)?);
            Some((one.min(other), one.max(other)))
        });
        let mut anchors: Vec<f64> =
            limits.iter().filter_map(|limit| range::clean(limit.value)).collect();
        anchors.extend(chart.normal.and_then(|bound| range::clean(bound.value)));
        anchors.extend(baseline.into_iter().flat_map(|(low, high)| [low, high]));
        let values: Vec<f64> = lines.iter().flat_map(|(_, trace)| trace.values()).collect();
        let range = range::range(&anchors, &values);
        Sight { chart, from, to, lines, limits, baseline, range }
    }
}

/// Title and description.
pub fn words(chart: &Chart) -> String {
    format!("{}. {}", chart.title, header::description(&Sight::new(chart)))
}

/// The whole picture; with a style sheet of its own if there is a theme.
pub fn document(chart: &Chart, width: Width, theme: Option<Theme>) -> String {
    drawing(chart, width, theme).0
}

/// The same with where the plot is in it.
pub fn drawing(chart: &Chart, width: Width, theme: Option<Theme>) -> (String, Frame) {
    let sight = Sight::new(chart);
    let (whole, plot) = match width {
        Width::Phone => (360.0, 190.0),
        Width::Desktop => (760.0, 230.0),
    };
    let rows = range::ticks(sight.range, chart.unit, plot / 44.0);
    let widest = rows.iter().map(|(_, label)| text::width(label)).fold(0.0, f64::max);
    let gutter = match width {
        Width::Phone => 0.0,
        Width::Desktop => header::gutter(&sight.limits),
    };
    let mut frame = Frame {
        left: 18.0 + widest,
        right: whole - gutter.max(22.0),
        top: 0.0,
        bottom: 0.0,
        from: millis(sight.from),
        to: millis(sight.to),
        range: sight.range,
    };
    let (head, below) = header::head(&sight, whole, width);
    let marks = markers::Marks::new(&sight, &frame, below);
    frame.top = marks.bottom + 6.0;
    frame.bottom = frame.top + plot;
    let height = frame.bottom + 28.0;
    let mut taken = Taken::default();
    let words = header::limit_words(&sight, &frame, width, &mut taken);
    let pieces = [
        start(&sight, whole, height, theme),
        head,
        bands(&sight, &frame),
        gaps(&sight, &frame, &mut taken),
        grid(&sight, &frame, &rows),
        rules(&sight, &frame),
        marks.stems(&frame),
        lines(&sight, &frame),
        words,
        edge::markers(&sight, &frame, &mut taken),
        marks.labels(),
        nothing(&sight, &frame),
        "</svg>".to_owned(),
    ];
    let drawn = pieces.concat();
    (drawn, frame)
}

fn start(sight: &Sight<'_>, width: f64, height: f64, theme: Option<Theme>) -> String {
    let style = theme.map(|theme| format!("<style>{}</style>", css(theme))).unwrap_or_default();
    let (width, height) = (px(width), px(height));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"dg\" role=\"img\" \
         viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\
         <title>{}</title><desc>{}</desc>{style}\
         <rect class=\"dg-face\" width=\"{width}\" height=\"{height}\"/>",
        escape(&sight.chart.title),
        escape(&header::description(sight))
    )
}

/// A rectangle over a range of values, the whole width.
fn band(frame: &Frame, class: &str, low: f64, high: f64) -> String {
    let (top, bottom) = (frame.y(high), frame.y(low));
    format!(
        "<rect class=\"dg-band {class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
        px(frame.left),
        px(top),
        px(frame.width()),
        // A band of one value is still seen.
        px((bottom - top).max(1.0))
    )
}

/// A horizontal line at a value.
fn level(frame: &Frame, class: &str, value: f64) -> String {
    let (y, left, right) = (px(frame.y(value)), px(frame.left), px(frame.right));
    format!("<path class=\"{class}\" d=\"M{left} {y}H{right}\"/>")
}

fn bands(sight: &Sight<'_>, frame: &Frame) -> String {
    let mut drawn = String::new();
    if let Some(bound) = sight.chart.normal
        && let Some(value) = range::clean(bound.value)
    {
        let (low, high) = if header::is_above(bound.side) {
            (value, frame.range.high)
        } else {
            (frame.range.low, value)
        };
        drawn += &band(frame, "dg-normal", low, high);
        drawn += &level(frame, "dg-edge dg-normal", value);
    }
    if let Some((low, high)) = sight.baseline {
        drawn += &band(frame, "dg-baseline", low, high);
        drawn += &level(frame, "dg-edge dg-baseline", low);
        drawn += &level(frame, "dg-edge dg-baseline", high);
    }
    drawn
}

/// Where the first line knows nothing.
fn gaps(sight: &Sight<'_>, frame: &Frame, taken: &mut Taken) -> String {
    let known = sight.lines.first().filter(|(_, trace)| !trace.runs.is_empty());
    let gaps = known.map(|(_, trace)| trace.gaps.as_slice()).unwrap_or_default();
    let mut seen: Vec<(f64, f64)> =
        gaps.iter().map(|(from, to)| (frame.x(*from), frame.x(*to))).collect();
    seen.retain(|(left, right)| right - left >= 3.0);
    seen.sort_by(|one, other| (other.1 - other.0).total_cmp(&(one.1 - one.0)));
    seen.truncate(MOST_GAPS);
    let draw = |(left, right): (f64, f64)| {
        let rect = format!(
            "<rect class=\"dg-gap\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            px(left),
            px(frame.top),
            px(right - left),
            px(frame.bottom - frame.top)
        );
        let half = text::width(NO_DATA) / 2.0;
        let middle = f64::midpoint(left, right);
        let place = text::place(middle - half, middle + half, frame.bottom - 10.0);
        if right - left < 2.0 * half + 6.0 || !taken.take(place) {
            return rect;
        }
        rect + &text::label(middle, frame.bottom - 10.0, "dg-mid dg-quiet dg-halo", NO_DATA)
    };
    seen.into_iter().map(draw).collect()
}

const NO_DATA: &str = "no data";

fn grid(sight: &Sight<'_>, frame: &Frame, rows: &[(f64, String)]) -> String {
    let mut drawn = String::new();
    for (value, label) in rows {
        drawn += &level(frame, "dg-grid", *value);
        let y = frame.y(*value) + 4.0;
        drawn += &text::label(frame.left - 8.0, y, "dg-end dg-quiet dg-num", label);
    }
    let (left, right, bottom) = (px(frame.left), px(frame.right), px(frame.bottom));
    drawn += &format!("<path class=\"dg-axis\" d=\"M{left} {bottom}H{right}");
    let columns = times::ticks(sight.from.as_second(), sight.to.as_second(), frame.width());
    // A second in unix ms: whole numbers far below 2^53.
    #[expect(clippy::cast_precision_loss)]
    let at = |second: i64| second as f64 * 1000.0;
    let inside = |second: i64| (frame.from..=frame.to).contains(&at(second));
    let columns: Vec<_> = columns.into_iter().filter(|(second, _)| inside(*second)).collect();
    for (second, _) in &columns {
        drawn += &format!("M{} {bottom}v4", px(frame.x(at(*second))));
    }
    drawn += "\"/>";
    for (second, label) in &columns {
        let x = frame.x(at(*second));
        drawn += &text::label(x, frame.bottom + 18.0, "dg-mid dg-quiet dg-num", label);
    }
    drawn
}

fn rules(sight: &Sight<'_>, frame: &Frame) -> String {
    let values = sight.limits.iter().filter_map(|limit| range::clean(limit.value));
    values.map(|value| level(frame, "dg-rule", value)).collect()
}

fn lines(sight: &Sight<'_>, frame: &Frame) -> String {
    #[expect(clippy::cast_precision_loss, reason = "at most four")]
    let share = MOST_COLUMNS / sight.lines.len().max(1) as f64;
    let columns = share.min(frame.width());
    // The first is drawn last, over the others.
    let drawn = sight.lines.iter().enumerate().rev();
    drawn
        .map(|(index, (line, trace))| {
            let (path, dots) = (trace.path(frame, columns), trace.dots(frame));
            let class = class(line, index);
            let dots = if dots.is_empty() {
                dots
            } else {
                format!("<path class=\"dg-line {class} dg-dot\" d=\"{dots}\"/>")
            };
            format!("{dots}<path class=\"dg-line {class}\" d=\"{path}\"/>")
        })
        .collect()
}

/// The class of the stroke of a line.
pub fn class(line: &Line, index: usize) -> String {
    match line.kind {
        LineKind::Main => format!("dg-l{index}"),
        LineKind::Control => "dg-control".to_owned(),
    }
}

fn nothing(sight: &Sight<'_>, frame: &Frame) -> String {
    if sight.lines.iter().any(|(_, trace)| !trace.runs.is_empty()) {
        return String::new();
    }
    let x = f64::midpoint(frame.left, frame.right);
    let y = f64::midpoint(frame.top, frame.bottom);
    text::label(x, y, "dg-title dg-mid dg-quiet dg-halo", NO_DATA)
}
