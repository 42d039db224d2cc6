//! Days on which nothing is deployed.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Yearly;

/// Named days, once or every year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    pub name: String,
    pub days: Days,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Days {
    /// Both included.
    Once {
        from: Date,
        to: Date,
    },
    EveryYear(Yearly),
}

impl Freeze {
    /// Those that last at some time from `first` to `last`.
    pub fn spells(&self, first: Date, last: Date, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
        let days = match self.days {
            Days::Once { from, to } => vec![(from, to)],
            Days::EveryYear(yearly) => {
                let years = first.year().saturating_sub(1)..=last.year();
                years.filter_map(|year| yearly.of(year)).collect()
            }
        };
        let near = days.into_iter().filter(|(from, to)| *to >= first && *from <= last);
        near.filter_map(|(from, to)| whole_days(from, to, zone)).collect()
    }
}

/// From the first moment of `from` to that of the day after `to`.
pub(super) fn whole_days(from: Date, to: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let begin = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp());
    Some((begin(from)?, begin(to.checked_add(1.day()).ok()?)?))
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.days {
            Days::Once { from, to } => write!(f, "{} ({from}..{to})", self.name),
            Days::EveryYear(yearly) => write!(f, "{} (every year {yearly})", self.name),
        }
    }
}
