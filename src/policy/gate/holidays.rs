//! Holidays, as a calendar file gives them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::freeze::whole_days;

/// The days of one calendar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holidays {
    /// As the policy names it.
    pub file: String,
    /// In order of time.
    pub days: Vec<Holiday>,
}

/// One holiday of one year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    pub name: String,
    pub lasts: Lasts,
}

/// How long a holiday is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Whole days, both included, wherever one is.
    Days { from: Date, to: Date },
    /// From one moment to another.
    Hours { from: Timestamp, until: Timestamp },
}

impl Holiday {
    /// When it is, if that is near `first` to `last`.
    pub(super) fn spell(
        &self,
        first: Date,
        last: Date,
        zone: &TimeZone,
    ) -> Option<(Timestamp, Timestamp)> {
        match self.lasts {
            Lasts::Days { from, to } => {
                if to < first || from > last {
                    return None;
                }
                whole_days(from, to, zone)
            }
            Lasts::Hours { from, until } => {
                let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
                (day(until) >= first && day(from) <= last).then_some((from, until))
            }
        }
    }
}
