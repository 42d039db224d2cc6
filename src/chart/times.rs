//! The axis of time: round moments of UTC.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const DAY: i64 = 86_400;
/// Steps in seconds that people count in.
const STEPS: [i64; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY];

/// Round moments between `from` and `to` (both in unix seconds), at most `most`
/// of them, with what is written there.
pub fn ticks(from: i64, to: i64, room: f64) -> Vec<(i64, String)> {
    let step = step(to.saturating_sub(from), room);
    let first = from.div_euclid(step) + i64::from(from.rem_euclid(step) != 0);
    (first..=to.div_euclid(step))
        .filter_map(|index| {
            let at = index * step;
            Some((at, word(Timestamp::from_second(at).ok()?, step)))
        })
        .collect()
}

/// The least step whose labels have room on `room` px.
fn step(span: i64, room: f64) -> i64 {
    let fits = |step: i64| {
        let each = if step < 60 { 84.0 } else { 62.0 };
        // Far below 2^53: no span is longer than 20,000 years.
        #[expect(clippy::cast_precision_loss)]
        let labels = span as f64 / step as f64;
        labels * each <= room
    };
    let days = (0..8).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power) * DAY));
    let mut steps = STEPS.into_iter().chain(days);
    steps.find(|step| fits(*step)).unwrap_or(100_000_000 * DAY)
}

fn word(at: Timestamp, step: i64) -> String {
    if at.as_second().rem_euclid(DAY) == 0 {
        at.strftime("%-d %b").to_string()
    } else if step < 60 {
        at.strftime("%H:%M:%S").to_string()
    } else {
        at.strftime("%H:%M").to_string()
    }
}

/// "20 Nov 2026, 10:15 – 11:15 UTC".
pub fn span(from: Timestamp, to: Timestamp) -> String {
    let day = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    let clock = if to.duration_since(from) < SECONDS_SHOWN { "%H:%M:%S" } else { "%H:%M" };
    if day(from) == day(to) {
        let day = from.strftime("%-d %b %Y");
        format!("{day}, {} – {} UTC", from.strftime(clock), to.strftime(clock))
    } else {
        let first = from.strftime("%-d %b");
        let last = to.strftime("%-d %b %Y");
        format!("{first} {} – {last} {} UTC", from.strftime(clock), to.strftime(clock))
    }
}

/// Below this, moments are told to the second.
const SECONDS_SHOWN: SignedDuration = SignedDuration::from_mins(20);

/// The time of a mark in a picture from `from` to `to`.
pub fn moment(at: Timestamp, from: Timestamp, to: Timestamp) -> String {
    let clock = if to.duration_since(from) < SECONDS_SHOWN { "%H:%M:%S" } else { "%H:%M" };
    at.strftime(clock).to_string()
}
