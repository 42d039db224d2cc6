//! The axis of values: what is in view, round steps, and how numbers are written.

use crate::policy::{Unit, up_or_down};

/// What is in view, in base units; `low < high`, both finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

/// How far values may stretch the view beyond what must be in it, in heights of
/// that: more would press the limits flat.
const STRETCH: f64 = 1.5;
/// The same for what lasted: an incident is to be seen whole, a spike is not.
const LASTING_STRETCH: f64 = 4.0;
/// Values as far out or farther that make it lasting.
const LASTS: usize = 4;
/// Beyond these a number is drawn at the edge and written in powers of ten.
const HUGE: f64 = 1e30;
const TINY: f64 = 1e-15;

/// The value to draw: none if it is no number, and within what can be drawn.
pub fn clean(value: f64) -> Option<f64> {
    let seen = if value.abs() < TINY { 0.0 } else { value.clamp(-HUGE, HUGE) };
    value.is_finite().then_some(seen)
}

/// All of `anchors`, and of `values` what does not press the anchors flat.
pub fn range(anchors: &[f64], values: &[f64]) -> Range {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let core = core(anchors, &sorted);
    let height = core.high - core.low;
    let (reach, lasting) = (STRETCH * height, LASTING_STRETCH * height);
    let least = sorted.first().copied().unwrap_or(core.low);
    let most = sorted.last().copied().unwrap_or(core.high);
    let lowest = sorted.get(LASTS - 1).copied().unwrap_or(core.low);
    let highest = sorted.iter().rev().nth(LASTS - 1).copied().unwrap_or(core.high);
    let seen = Range {
        low: core.low.min(least.max(core.low - reach)).min(lowest.max(core.low - lasting)),
        high: core.high.max(most.min(core.high + reach)).max(highest.min(core.high + lasting)),
    };
    padded(from_zero(seen), least, most)
}

/// What must be in view, and high enough to be a measure.
fn core(anchors: &[f64], sorted: &[f64]) -> Range {
    let Some(hull) = hull(anchors) else {
        let quarter = |part: usize| sorted.get(sorted.len().saturating_sub(1) * part / 4);
        return match (quarter(1), quarter(3)) {
            (Some(low), Some(high)) => high_enough(from_zero(Range { low: *low, high: *high })),
            (_, _) => Range { low: 0.0, high: 1.0 },
        };
    };
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(hull.low);
    let usual = usual.clamp(hull.low - hull.low.abs(), hull.high + hull.high.abs());
    let with = from_zero(Range { low: hull.low.min(usual), high: hull.high.max(usual) });
    if with.high > with.low {
        return high_enough(with);
    }
    let most = sorted.last().copied().unwrap_or(with.high).max(with.high);
    high_enough(Range { low: with.low, high: most })
}

fn hull(values: &[f64]) -> Option<Range> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some(Range { low, high })
}

/// Zero is in view where it is near.
fn from_zero(range: Range) -> Range {
    let Range { low, high } = range;
    if low > 0.0 && low <= 0.5 * high {
        Range { low: 0.0, high }
    } else if high < 0.0 && high >= 0.5 * low {
        Range { low, high: 0.0 }
    } else {
        range
    }
}

/// Wide enough that a float can tell its steps apart.
fn high_enough(range: Range) -> Range {
    let Range { low, high } = range;
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-6 {
        range
    } else if size == 0.0 {
        Range { low: 0.0, high: 1.0 }
    } else {
        Range { low: low - size * 0.1, high: high + size * 0.1 }
    }
}

/// Some air at the ends, but none beyond zero if no value is there.
fn padded(range: Range, least: f64, most: f64) -> Range {
    let air = (range.high - range.low) * 0.07;
    let at_floor = range.low == 0.0 && least >= 0.0;
    let at_ceiling = range.high == 0.0 && most <= 0.0;
    Range {
        low: if at_floor { 0.0 } else { range.low - air },
        high: if at_ceiling { 0.0 } else { range.high + air },
    }
}

/// Round values in view, about `about` of them, with what is written there.
pub fn ticks(range: Range, unit: Unit, about: f64) -> Vec<(f64, String)> {
    let step = step((range.high - range.low) / about, unit);
    let first = (range.low / step).ceil();
    (0..20)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|value| *value <= range.high)
        .map(|value| (value, tick(unit, value, step)))
        .collect()
}

/// The least round step that is not below `rough`.
fn step(rough: f64, unit: Unit) -> f64 {
    if unit == Unit::Bytes && rough >= 1.0 {
        return 2_f64.powf(rough.log2().ceil());
    }
    // Between down and up there is nothing.
    let rough = if unit == Unit::Failures { rough.max(1.0) } else { rough };
    let power = 10_f64.powf(rough.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0];
    let digit = digits.into_iter().find(|digit| digit * power >= rough * 0.999);
    digit.unwrap_or(10.0) * power
}

/// `value` as people write it, with as many digits as its step needs.
fn tick(unit: Unit, value: f64, step: f64) -> String {
    if value.abs() < step * 0.5 {
        return if unit == Unit::Seconds { "0".to_owned() } else { write(unit, 0.0) };
    }
    if value.abs() < step * 100.0 && unit != Unit::Bytes || value.abs() >= 1e6 * step {
        return write(unit, value);
    }
    let (scale, suffix) = scale(unit, value);
    let extra = if unit == Unit::Bytes { 2.0 } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let decimals = (-(step / scale * 1.001).log10().floor() + extra).clamp(0.0, 9.0) as usize;
    let text = format!("{:.decimals$}", value / scale);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text.as_str()
    };
    format!("{text}{suffix}")
}

fn scale(unit: Unit, value: f64) -> (f64, &'static str) {
    let size = value.abs();
    match unit {
        Unit::Ratio => (0.01, "%"),
        Unit::Seconds if size < 1.0 => (0.001, "ms"),
        Unit::Seconds => (1.0, "s"),
        Unit::Bytes => {
            let scales = [(1_f64, " B"), (1024.0, " KiB"), (1024_f64.powi(2), " MiB")];
            let larger = [(1024_f64.powi(3), " GiB"), (1024_f64.powi(4), " TiB")];
            let all = scales.into_iter().chain(larger);
            all.rev().find(|(scale, _)| size >= *scale).unwrap_or((1.0, " B"))
        }
        Unit::Number if size >= 1e12 => (1e12, "T"),
        Unit::Number if size >= 1e9 => (1e9, "G"),
        Unit::Number if size >= 1e6 => (1e6, "M"),
        Unit::Number | Unit::Failures => (1.0, ""),
    }
}

/// `value` as people write it, and short however large it is.
pub fn write(unit: Unit, value: f64) -> String {
    // A check that is limited by failures is drawn as what it measures.
    if unit == Unit::Failures {
        return up_or_down(value).to_owned();
    }
    let (scale, suffix) = scale(unit, value);
    match (value / scale).abs() {
        size if size >= 1e6 => format!("{:.1e}{suffix}", value / scale),
        size if size > 0.0 && size < 1e-6 => format!("{:.1e}{suffix}", value / scale),
        _ if unit == Unit::Number => format!("{}{suffix}", unit.show(value / scale)),
        _ => unit.show(value),
    }
}
