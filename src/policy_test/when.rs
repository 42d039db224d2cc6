//! Times of a test: from the start of its series, from the deployment, or its end.

use jiff::Timestamp;

use super::file::Text;
use super::places::{Mistaken, Places, place, plain};
use crate::policy::duration;

/// The times of one test.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub start: Timestamp,
    pub deployed: Timestamp,
    pub end: Timestamp,
}

/// `2h5m` from the start of the series, `+5m` from the deployment, or `end`.
pub(super) fn moment(text: &Text, clock: Clock, places: &mut Places) -> Option<Timestamp> {
    let at = places.parse(Some(text), |text| of_moment(text, clock))?;
    within(at, clock, text, places)
}

fn of_moment(text: &str, clock: Clock) -> Result<Timestamp, Mistaken> {
    let (from, text) = match text.strip_prefix('+') {
        Some(rest) => (clock.deployed, rest),
        None if text == "end" => return Ok(clock.end),
        None => (clock.start, text),
    };
    let after = duration(text)?;
    from.checked_add(after).map_err(|error| plain(error.to_string()))
}

/// `2h..2h30m`.
pub(super) fn range(
    text: &Text,
    clock: Clock,
    places: &mut Places,
) -> Option<(Timestamp, Timestamp)> {
    let (from, to) = places.parse(Some(text), |text| {
        let mend = || Some("write `2h..2h30m`, `+5m..end`".to_owned());
        let (from, to) = text
            .split_once("..")
            .ok_or_else(|| (format!("`{text}` is no stretch of time"), mend()))?;
        let (from, to) = (of_moment(from.trim(), clock)?, of_moment(to.trim(), clock)?);
        if to < from {
            Err(("it ends before it begins".to_owned(), mend()))
        } else {
            Ok((from, to))
        }
    })?;
    within(to, clock, text, places).map(|to| (from, to))
}

fn within(at: Timestamp, clock: Clock, text: &Text, places: &mut Places) -> Option<Timestamp> {
    if at <= clock.end {
        return Some(at);
    }
    let after = clock.end.duration_since(clock.start);
    let why = format!("that is after the end of the series, {after:#}");
    places.tell(place(text), (why, Some("give the series more samples".to_owned())));
    None
}
