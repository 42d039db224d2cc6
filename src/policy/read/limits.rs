//! Whether a check's limits fit what it measures, and one another.

use marked_yaml::Marker;

use super::check::{Kind, Limits};
use super::desk::Desk;
use super::scalar::At;
use crate::model::{Severity, TaskGauge};
use crate::policy::diagnostic::Mistake;
use crate::policy::{Bound, Limit, Side, Unit};

pub(super) fn check(kind: Kind, limits: &Limits, desk: &mut Desk) {
    let before = desk.report.count();
    for (bound, marker) in limits.bounds() {
        if let Some(mistake) = unit_mistake(kind, &bound) {
            desk.at(marker, mistake);
        }
    }
    if desk.report.count() == before {
        directions(limits, desk);
        steps(&limits.breach, desk);
    }
}

fn unit_mistake(kind: Kind, bound: &Bound) -> Option<Mistake> {
    let (what, unit) = match kind {
        Kind::Ratio => ("a ratio", Unit::Ratio),
        Kind::Latency => ("a latency", Unit::Seconds),
        Kind::Gauge(unit) => ("this check", unit),
        Kind::Status => ("a status", Unit::Failures),
    };
    if bound.unit == unit {
        return out_of_range(kind, bound);
    }
    let mistake = Mistake::new(format!(
        "the limits of {what} are {}, and `{bound}` is {}",
        in_words(unit),
        one_in_words(bound.unit)
    ));
    let (sign, value) = (sign(bound.side), bound.value);
    Some(match (unit, bound.unit) {
        (Unit::Ratio, Unit::Number) if value > 0.0 && value < 1.0 => mistake.mend(format!(
            "did you mean `{sign} {value}%` or `{sign} {}`?",
            Unit::Ratio.show(value)
        )),
        (Unit::Ratio, Unit::Number) => mistake.mend(format!("did you mean `{sign} {value}%`?")),
        (Unit::Seconds, Unit::Number) => {
            mistake.mend(format!("did you mean `{sign} {value}s` or `{sign} {value}ms`?"))
        }
        (Unit::Failures, _) => mistake.mend("write `3 failures`: so many samples running are down"),
        (Unit::Ratio | Unit::Seconds | Unit::Bytes | Unit::Number, Unit::Failures) => {
            mistake.mend("only a `status` counts failures")
        }
        (Unit::Ratio | Unit::Seconds | Unit::Bytes | Unit::Number, _) => mistake,
    })
}

/// What a gauge of tasks is in.
pub(super) fn of_tasks(gauge: TaskGauge) -> Unit {
    match gauge {
        TaskGauge::Failures => Unit::Number,
        TaskGauge::Running | TaskGauge::HealthyTargets => Unit::Ratio,
    }
}

pub(super) fn in_words(unit: Unit) -> &'static str {
    match unit {
        Unit::Ratio => "in percent",
        Unit::Seconds => "times (`ms`, `s`)",
        Unit::Bytes => "in bytes (`MB`, `GiB`)",
        Unit::Number => "numbers without a unit",
        Unit::Failures => "numbers of failures",
    }
}

fn one_in_words(unit: Unit) -> &'static str {
    match unit {
        Unit::Ratio => "in percent",
        Unit::Seconds => "a time",
        Unit::Bytes => "in bytes",
        Unit::Number => "a number without a unit",
        Unit::Failures => "a number of failures",
    }
}

/// A ratio stays between 0% and 100%, and a limit that it always or never
/// crosses says nothing.
fn out_of_range(kind: Kind, bound: &Bound) -> Option<Mistake> {
    let Kind::Ratio = kind else { return None };
    let always_or_never = match bound.side {
        Side::Above | Side::AtMost => bound.value >= 1.0 || bound.value < 0.0,
        Side::AtLeast | Side::Below => bound.value > 1.0 || bound.value <= 0.0,
    };
    always_or_never.then(|| {
        Mistake::new(format!("a ratio is always or never `{bound}`: it goes from 0% to 100%"))
    })
}

/// All breaches look one way, normal the other, and they do not touch.
fn directions(limits: &Limits, desk: &mut Desk) {
    let Some((worst, first)) = limits.breach.first() else { return };
    let upper = first.value.bound.is_upper();
    for (severity, limit) in &limits.breach {
        if limit.value.bound.is_upper() != upper {
            let mistake = Mistake::new(format!(
                "{worst} is `{}` and {severity} is `{}`: they look in opposite directions",
                first.value.bound, limit.value.bound
            ));
            desk.at(limit.marker, mistake);
            return;
        }
    }
    let Some(At { value: normal, .. }) = &limits.normal else { return };
    for (severity, limit) in &limits.breach {
        let bound = limit.value.bound;
        if bound.is_upper() == normal.is_upper() {
            let mistake = Mistake::new(format!(
                "normal is `{normal}` and {severity} is `{bound}`: they look in the same direction"
            ));
            let turned = Bound { side: opposite(bound.side), ..bound };
            desk.at(limit.marker, mistake.mend(format!("did you mean `{turned}`?")));
        } else if overlap(*normal, bound) {
            let mistake = Mistake::new(format!(
                "normal is `{normal}` and {severity} is `{bound}`: some values would be both"
            ));
            desk.at(limit.marker, mistake);
        }
    }
}

/// Whether two bounds that look in opposite directions share a value.
fn overlap(a: Bound, b: Bound) -> bool {
    let (upper, lower) = if a.is_upper() { (a, b) } else { (b, a) };
    upper.value < lower.value || (upper.contains(upper.value) && lower.contains(upper.value))
}

/// A worse severity needs a worse value, or the same for longer.
fn steps(breach: &[(Severity, At<Limit>)], desk: &mut Desk) {
    for pair in breach.windows(2) {
        let [(worse, upper), (milder, lower)] = pair else { continue };
        let (first, second) = (upper.value, lower.value);
        if first.bound.is_upper() != second.bound.is_upper() {
            continue;
        }
        let difference = first.bound.value - second.bound.value;
        let step = if first.bound.is_upper() { difference } else { -difference };
        let longer = first.hold.unwrap_or_default() > second.hold.unwrap_or_default();
        if step < 0.0 {
            told(
                desk,
                upper.marker,
                format!("{worse} (`{first}`) is milder than {milder} (`{second}`)"),
            );
        } else if step == 0.0 && first.bound.side == second.bound.side && !longer {
            told(
                desk,
                upper.marker,
                format!("{worse} (`{first}`) leaves nothing for {milder} (`{second}`)"),
            );
        }
    }
}

fn told(desk: &mut Desk, marker: Marker, message: String) {
    desk.at(marker, Mistake::new(message));
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Above => Side::Below,
        Side::AtLeast => Side::AtMost,
        Side::Below => Side::Above,
        Side::AtMost => Side::AtLeast,
    }
}

fn sign(side: Side) -> &'static str {
    match side {
        Side::Above => ">",
        Side::AtLeast => ">=",
        Side::Below => "<",
        Side::AtMost => "<=",
    }
}
