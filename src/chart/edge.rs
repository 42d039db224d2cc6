//! Values beyond the view: a triangle at its edge that says how far.

use super::LineKind;
use super::draw::Sight;
use super::frame::{Frame, Taken};
use super::range;
use super::text::{self, px};

/// Triangles, the farthest values first.
const MOST: usize = 24;

/// The farthest point of a stretch beyond the view.
struct Outlier {
    x: f64,
    value: f64,
    above: bool,
    /// How far beyond.
    by: f64,
    class: String,
}

pub fn markers(sight: &Sight<'_>, frame: &Frame, taken: &mut Taken) -> String {
    let mut outliers = Vec::new();
    for (index, (line, trace)) in sight.lines.iter().enumerate() {
        let class = match line.kind {
            LineKind::Main => format!("dg-over-{index}"),
            LineKind::Control => "dg-over-control".to_owned(),
        };
        for run in &trace.runs {
            outliers.extend(beyond(run, frame, &class));
        }
    }
    outliers.sort_by(|one, other| other.by.total_cmp(&one.by));
    let mut seen: Vec<(f64, bool)> = Vec::new();
    let mut drawn = String::new();
    for outlier in outliers {
        let near =
            |(x, above): &(f64, bool)| *above == outlier.above && (x - outlier.x).abs() < 10.0;
        if seen.len() >= MOST || seen.iter().any(near) {
            continue;
        }
        seen.push((outlier.x, outlier.above));
        drawn += &draw(&outlier, sight, frame, taken);
    }
    drawn
}

/// The farthest point of each stretch of a run that is beyond the view.
fn beyond(run: &[(f64, f64)], frame: &Frame, class: &str) -> Vec<Outlier> {
    let mut found: Vec<Outlier> = Vec::new();
    let mut before = None;
    for (at, value) in run {
        let above = *value > frame.range.high;
        let by = if above { value - frame.range.high } else { frame.range.low - value };
        let side = (by > 0.0).then_some(above);
        if side.is_some() {
            let x = frame.x(*at);
            let next = Outlier { x, value: *value, above, by, class: class.to_owned() };
            match found.last_mut().filter(|_| side == before) {
                Some(farthest) if farthest.by >= by => {}
                Some(farthest) => *farthest = next,
                None => found.push(next),
            }
        }
        before = side;
    }
    found
}

fn draw(outlier: &Outlier, sight: &Sight<'_>, frame: &Frame, taken: &mut Taken) -> String {
    let Outlier { x, value, above, class, .. } = outlier;
    let (tip, base, y) = if *above {
        (frame.top - 3.0, "l5 8h-10z", frame.top + 15.0)
    } else {
        (frame.bottom + 2.0, "l5-8h-10z", frame.bottom - 8.0)
    };
    let triangle = format!("<path class=\"{class}\" d=\"M{} {}{base}\"/>", px(*x), px(tip));
    let words = range::write(sight.chart.unit, *value);
    let wide = text::width(&words);
    let right = text::place(x + 8.0, x + 8.0 + wide, y);
    let left = text::place(x - 8.0 - wide, x - 8.0, y);
    if right.right <= frame.right && taken.take(right) {
        triangle + &text::label(x + 8.0, y, &format!("{class} dg-halo"), &words)
    } else if left.left >= frame.left && taken.take(left) {
        triangle + &text::label(x - 8.0, y, &format!("{class} dg-halo dg-end"), &words)
    } else {
        triangle
    }
}
