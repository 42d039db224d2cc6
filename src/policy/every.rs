//! A time that comes again every week or every day.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::quiet::time;

/// "Mon 09:00 Europe/Berlin", or "daily 09:00 UTC": by the zone's clocks, summer or winter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    /// `None`: every day.
    day: Option<Weekday>,
    at: Time,
    zone: TimeZone,
}

/// The stretch between two of those times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Unique among the periods of its kind: "2026-W47", or "2026-11-21".
    pub name: String,
    pub from: Timestamp,
    /// Not included.
    pub until: Timestamp,
}

pub(super) const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

impl Every {
    pub fn is_daily(&self) -> bool {
        self.day.is_none()
    }

    /// The period that ended last at `now`; `None` only at the ends of time.
    pub fn ended_last(&self, now: Timestamp) -> Option<Period> {
        let today = now.to_zoned(self.zone.clone()).date();
        let mut day = today;
        // Today's may still be to come, and a week has seven days.
        for _ in 0..=7 {
            let fits = self.day.is_none_or(|wanted| day.weekday() == wanted);
            if fits && self.of(day)? <= now {
                return self.period(day);
            }
            day = day.yesterday().ok()?;
        }
        None
    }

    /// When the period ends that lasts at `now`.
    pub fn ends_next(&self, now: Timestamp) -> Option<Timestamp> {
        let mut day = now.to_zoned(self.zone.clone()).date();
        for _ in 0..=7 {
            let at = self.of(day)?;
            if self.day.is_none_or(|wanted| day.weekday() == wanted) && at > now {
                return Some(at);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn period(&self, last: Date) -> Option<Period> {
        let days = if self.is_daily() { 1 } else { 7 };
        let first = last.checked_sub(days.days()).ok()?;
        // The week that it tells of, and not the one in which it is told.
        let week = first.iso_week_date();
        let name = match self.day {
            None => first.to_string(),
            Some(_) => format!("{}-W{:02}", week.year(), week.week()),
        };
        Some(Period { name, from: self.of(first)?, until: self.of(last)? })
    }

    fn of(&self, day: Date) -> Option<Timestamp> {
        let zoned = day.to_datetime(self.at).to_zoned(self.zone.clone()).ok()?;
        Some(zoned.timestamp())
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [day, at, zone] = words.as_slice() else {
            return Err(format!("`{text}` is not such as `Mon 09:00 Europe/Berlin`"));
        };
        let known = DAYS.iter().find(|(name, _)| name == day).map(|(_, day)| *day);
        if known.is_none() && *day != "daily" {
            return Err(format!("`{day}` is not Mon, Tue, Wed, Thu, Fri, Sat, Sun or daily"));
        }
        let zone = TimeZone::get(zone).map_err(|_| format!("`{zone}` is not a time zone"))?;
        Ok(Self { day: known, at: time(at)?, zone })
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS.iter().find(|(_, day)| Some(*day) == self.day).map_or("daily", |one| one.0);
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{day} {} {zone}", self.at.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Every {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_ends_on_its_day_by_the_clocks_of_its_zone() {
        let weekly = every("Mon 09:00 Europe/Berlin");
        let last = weekly.ended_last(at("2026-11-23T08:00:00Z")).unwrap();
        assert_eq!(last.name, "2026-W47");
        assert_eq!(
            (last.from, last.until),
            (at("2026-11-16T08:00:00Z"), at("2026-11-23T08:00:00Z"))
        );
        let before = weekly.ended_last(at("2026-11-23T07:59:59Z")).unwrap();
        assert_eq!(before.name, "2026-W46");
        assert_eq!(weekly.ends_next(at("2026-11-23T07:59:59Z")), Some(last.until));
        assert_eq!(weekly.ends_next(last.until), Some(at("2026-11-30T08:00:00Z")));
        // The week of the change to winter is an hour longer.
        let change = weekly.ended_last(at("2026-10-26T12:00:00Z")).unwrap();
        assert_eq!(change.until.duration_since(change.from).as_hours(), 7 * 24 + 1);
    }

    #[test]
    fn a_day_is_named_by_its_date() {
        let daily = every("daily 09:00 UTC");
        let last = daily.ended_last(at("2026-11-21T10:00:00Z")).unwrap();
        assert_eq!(last.name, "2026-11-20");
        assert_eq!(last.until, at("2026-11-21T09:00:00Z"));
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in ["Mon 09:00 Europe/Berlin", "daily 23:30 UTC"] {
            assert_eq!(every(text).to_string(), text);
        }
        for bad in ["Mon 09:00", "Monday 09:00 UTC", "Mon 9 UTC", "Mon 09:00 Berlin"] {
            assert!(bad.parse::<Every>().is_err(), "{bad}");
        }
    }
}
