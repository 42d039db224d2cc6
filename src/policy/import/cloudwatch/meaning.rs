//! What the number of an alarm means: percent, times, bytes.

use super::super::Argument;
use super::super::argue::share as argue_share;
use super::super::draw::Wanted;
use super::super::write::bound;
use super::alarm::Alarm;
use super::{Asked, MetricStat, math};
use crate::model::MetricUnit;
use crate::policy::cloudwatch::units::{Known, MetricWord, known};
use crate::policy::{Part, Side, Unit};

/// A check that an alarm comes to.
pub(super) struct Drawn {
    pub measured: Shape,
    /// The metric's unit as a policy names it.
    pub word: Option<&'static str>,
    /// Without `for`.
    pub limit: String,
}

pub(super) enum Shape {
    /// With the quantile, where it is one of times.
    Value(Asked, Option<f64>),
    Share {
        part: Part,
        of: MetricStat,
        total: MetricStat,
    },
}

/// The unit that CloudWatch keeps a metric in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    Percent,
    /// As a policy names it, and how many of it are a second.
    Time(&'static str, f64),
    /// As a policy names it, and how many bytes it is.
    Size(&'static str, f64),
    Number,
}

/// Draws the check that `asked` with its limit means.
///
/// # Errors
/// Why no check can say it.
pub(super) fn draw(
    alarm: &Alarm,
    asked: Asked,
    side: Side,
    threshold: f64,
    arguments: &mut Vec<Argument>,
) -> Result<Drawn, String> {
    let wanted = Wanted { side, value: threshold };
    let stat = match asked {
        Asked::Stat(stat) => stat,
        Asked::Math { expression, metrics } => {
            return Ok(of_math(expression, metrics, wanted, arguments));
        }
    };
    Ok(match kept(&stat, alarm) {
        Kept::Number => value(stat, None, bound(wanted, Unit::Number)),
        Kept::Percent => {
            let percent = percent(&stat, wanted, arguments);
            let share = Wanted { value: percent / 100.0, ..wanted };
            value(stat, Some("percent"), bound(share, Unit::Ratio))
        }
        Kept::Time(_, _) | Kept::Size(_, _) if threshold < 0.0 => {
            return Err("its threshold is below zero".to_owned());
        }
        Kept::Time(word, each) => {
            let seconds = time(&stat, word, each, wanted, arguments);
            let limit = bound(Wanted { value: seconds, ..wanted }, Unit::Seconds);
            let share = stat.stat.strip_prefix('p').and_then(|text| text.parse::<f64>().ok());
            // A check knows no quantile of everything.
            let quantile = share.filter(|share| *share < 100.0).map(|share| share / 100.0);
            let measured = Shape::Value(Asked::Stat(stat), quantile);
            Drawn { measured, word: Some(word), limit }
        }
        Kept::Size(word, each) => {
            let bytes = size(&stat, wanted.value * each, arguments);
            let sign = bound(Wanted { value: 1.0, ..wanted }, Unit::Number);
            let sign = sign.split(' ').next().unwrap_or_default().to_owned();
            value(stat, Some(word), format!("{sign} {}", in_bytes(bytes)))
        }
    })
}

fn value(stat: MetricStat, word: Option<&'static str>, limit: String) -> Drawn {
    Drawn { measured: Shape::Value(Asked::Stat(stat), None), word, limit }
}

fn of_math(
    expression: String,
    metrics: std::collections::BTreeMap<String, MetricStat>,
    wanted: Wanted,
    arguments: &mut Vec<Argument>,
) -> Drawn {
    let Some((part, total, percent)) = math::share(&expression, &metrics) else {
        let limit = bound(wanted, Unit::Number);
        let measured = Shape::Value(Asked::Math { expression, metrics }, None);
        return Drawn { measured, word: None, limit };
    };
    let value = if percent { wanted.value / 100.0 } else { wanted.value };
    let (share, argued) = argue_share(Wanted { value, ..wanted }, percent);
    arguments.extend(argued);
    arguments.push(
        Argument::new("a share without a floor: one failure of two requests at night is 50 %")
            .drafted(
                "drafted as a ratio, which counts from 20 events in the window (`min_traffic`)",
            ),
    );
    let side = match share.side {
        Side::Above | Side::AtLeast => Part::Bad,
        Side::Below | Side::AtMost => Part::Good,
    };
    let measured = Shape::Share { part: side, of: part.clone(), total: total.clone() };
    Drawn { measured, word: None, limit: bound(share, Unit::Ratio) }
}

/// Where it is not known for sure, the alarm's own `Unit` says it.
fn kept(stat: &MetricStat, alarm: &Alarm) -> Kept {
    let said = alarm.unit.as_deref().filter(|_| stat.stat != "SampleCount");
    let said = said.and_then(|unit| MetricWord::named(&unit.to_lowercase()));
    let word = match known(&stat.namespace, &stat.metric, &stat.stat) {
        Some(Known { word, is_sure: true }) => Some(word),
        guess => said.or(guess.map(|known| known.word)),
    };
    let Some(word) = word else { return Kept::Number };
    match (word.measures(), word.unit()) {
        (Unit::Ratio, MetricUnit::Percent) if stat.stat != "Sum" => Kept::Percent,
        (Unit::Seconds, _) => Kept::Time(word.as_str(), word.factor()),
        (Unit::Bytes, _) => Kept::Size(word.as_str(), word.factor()),
        (Unit::Ratio | Unit::Number | Unit::Failures, _) => Kept::Number,
    }
}

/// The percent that were meant.
fn percent(stat: &MetricStat, wanted: Wanted, arguments: &mut Vec<Argument>) -> f64 {
    let Wanted { side, value } = wanted;
    let metric = &stat.metric;
    let upper = matches!(side, Side::Above | Side::AtLeast);
    if upper && value > 0.0 && value <= 1.0 {
        let meant = value * 100.0;
        let says = format!("`{metric}` goes from 0 to 100: {value} is {value} %, and rings always");
        arguments.push(Argument::new(says).drafted(format!("drafted as {meant}%")));
        return meant;
    }
    if upper && value >= 100.0 && metric.contains("Memory") {
        let says = format!(
            "`{metric}` ends at 100 %: by then the task is killed, and it rings late or never"
        );
        arguments.push(Argument::new(says).drafted("kept; 85% leaves time"));
    }
    value
}

/// The seconds that were meant.
fn time(
    stat: &MetricStat,
    word: &str,
    each: f64,
    wanted: Wanted,
    arguments: &mut Vec<Argument>,
) -> f64 {
    let value = wanted.value;
    let seconds = value / each;
    let answers = stat.metric.ends_with("ResponseTime") || stat.metric.ends_with("Latency");
    if !answers {
        return seconds;
    }
    let meant = match word {
        "seconds" if value >= 50.0 => value / 1e3,
        "milliseconds" if value > 0.0 && value <= 5.0 => value,
        _ => return seconds,
    };
    let (was, probably) = (Unit::Seconds.show(seconds), Unit::Seconds.show(meant));
    let says = format!("`{}` is in {word}: {value} is {was}", stat.metric);
    let meant_as = format!("drafted as {probably}, which is what was probably meant");
    arguments.push(Argument::new(says).drafted(meant_as));
    meant
}

/// The bytes that were meant.
fn size(stat: &MetricStat, bytes: f64, arguments: &mut Vec<Argument>) -> f64 {
    if bytes <= 0.0 || bytes >= 1e5 {
        return bytes;
    }
    let says = format!("`{}` is in bytes: the limit is at {bytes} bytes", stat.metric);
    let meant = if bytes < 1e3 { bytes * 1e9 } else { bytes * 1e6 };
    let meant_as = format!("drafted as {}, which is what was probably meant", in_bytes(meant));
    arguments.push(Argument::new(says).drafted(meant_as));
    meant
}

/// In the largest unit that needs no fraction.
fn in_bytes(bytes: f64) -> String {
    let units = [
        ("GiB", 1_073_741_824.0),
        ("GB", 1e9),
        ("MiB", 1_048_576.0),
        ("MB", 1e6),
        ("KiB", 1024.0),
        ("kB", 1e3),
    ];
    let whole = |each: &f64| bytes >= *each && (bytes / each).fract() == 0.0;
    match units.iter().find(|(_, each)| whole(each)) {
        Some((unit, each)) => format!("{} {unit}", bytes / each),
        None => format!("{bytes} B"),
    }
}
