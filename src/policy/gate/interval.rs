//! Hours that come again on days of the week.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::policy::every::DAYS;
use crate::policy::quiet::{Hours, time};

/// "Tue-Thu 10:00-14:00 UTC": on those days, from and until by the zone's clocks. Hours
/// that go over midnight belong to the day on which they begin. Without hours whole days,
/// without days every day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// From Monday on.
    days: [bool; 7],
    /// From and until midnight: the whole day.
    hours: Hours,
    text: String,
}

impl Interval {
    /// Those that last at some time from the day before `first` to `last`, in order.
    pub fn spells(&self, first: Date, last: Date) -> Vec<(Timestamp, Timestamp)> {
        let Ok(zone) = TimeZone::get(&self.hours.zone) else { return Vec::new() };
        let Ok(before) = first.checked_sub(1.day()) else { return Vec::new() };
        let days = before.series(1.day()).take_while(|day| *day <= last);
        days.filter(|day| self.days[place(day.weekday())])
            .filter_map(|day| self.hours.of(day, &zone))
            .filter(|(from, until)| from < until)
            .collect()
    }
}

fn place(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours, zone) = match words.as_slice() {
            [days, hours, zone] => (Some(*days), Some(*hours), *zone),
            [hours, zone] if hours.contains(':') => (None, Some(*hours), *zone),
            [days, zone] => (Some(*days), None, *zone),
            _ => return Err(format!("`{text}` is not days, hours and a zone")),
        };
        TimeZone::get(zone).map_err(|_| format!("`{zone}` is not a time zone"))?;
        let (from, until) = hours.map_or(Ok((Time::midnight(), Time::midnight())), of_day)?;
        Ok(Self {
            days: days.map_or(Ok([true; 7]), of_week)?,
            hours: Hours { from, until, zone: zone.to_owned() },
            text: words.join(" "),
        })
    }
}

/// "10:00-14:00"; a day may end at 24:00.
fn of_day(text: &str) -> Result<(Time, Time), String> {
    let (from, until) =
        text.split_once('-').ok_or_else(|| format!("`{text}` has no beginning and end"))?;
    let begins = time(from)?;
    let ends = if until == "24:00" { Time::midnight() } else { time(until)? };
    if from == until || (begins == ends && until != "24:00") {
        return Err(format!("`{text}` begins when it ends"));
    }
    Ok((begins, ends))
}

/// "Tue-Thu", "Fri", "Sat-Mon", "Mon,Wed-Fri".
fn of_week(text: &str) -> Result<[bool; 7], String> {
    let named = |name: &str| {
        let found = DAYS.iter().position(|(known, _)| *known == name);
        found.ok_or_else(|| format!("`{name}` is not Mon, Tue, Wed, Thu, Fri, Sat or Sun"))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (named(first)?, named(last)?);
        let length = (last + 7 - first) % 7;
        for day in first..=first + length {
            days[day % 7] = true;
        }
    }
    Ok(days)
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
