//! Hours of the day in which little is said.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// "22:00-07:00 Europe/Berlin": every day, over midnight where the end lies before the
/// beginning. The times are those of the zone's clocks, summer or winter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    pub from: Time,
    /// Not included.
    pub until: Time,
    /// By its IANA name.
    pub zone: String,
}

impl Hours {
    /// When the hours end that `at` lies in; `None` where it lies in none, and where the
    /// zone is not known on this machine: then nothing is kept quiet.
    pub fn end_of(&self, at: Timestamp) -> Option<Timestamp> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let today = at.to_zoned(zone.clone()).date();
        // A night that began yesterday may still last.
        let days = [today.checked_sub(1.day()).ok()?, today];
        days.into_iter().find_map(|day| {
            let (from, until) = self.of(day, &zone)?;
            (from <= at && at < until).then_some(until)
        })
    }

    /// Those that begin on `day`. A time that the clocks leave out is as much later.
    pub(super) fn of(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let last = if self.until <= self.from { day.checked_add(1.day()).ok()? } else { day };
        let from = day.to_datetime(self.from).to_zoned(zone.clone()).ok()?;
        let until = last.to_datetime(self.until).to_zoned(zone.clone()).ok()?;
        Some((from.timestamp(), until.timestamp()))
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(hours), Some(zone), None) = (words.next(), words.next(), words.next()) else {
            return Err(format!("`{text}` is not hours and a zone"));
        };
        let (from, until) =
            hours.split_once('-').ok_or_else(|| format!("`{hours}` has no beginning and end"))?;
        let (from, until) = (time(from)?, time(until)?);
        if from == until {
            return Err(format!("`{hours}` begins when it ends"));
        }
        TimeZone::get(zone).map_err(|_| format!("`{zone}` is not a time zone"))?;
        Ok(Self { from, until, zone: zone.to_owned() })
    }
}

/// "22:00".
pub(super) fn time(text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text).map_err(|_| format!("`{text}` is not a time of day"))
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from.strftime("%H:%M"), self.until.strftime("%H:%M"));
        write!(f, "{from}-{until} {}", self.zone)
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        hours.to_string()
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A watch is read again on a machine that may not know the zone.
        let (hours, zone) = text.rsplit_once(' ').ok_or("no zone")?;
        let (from, until) = hours.split_once('-').ok_or("no hours")?;
        Ok(Self { from: time(from)?, until: time(until)?, zone: zone.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(hours: &str, at: &str) -> Option<String> {
        let hours: Hours = hours.parse().unwrap();
        let at: Timestamp = at.parse().unwrap();
        hours.end_of(at).map(|end| end.to_string())
    }

    #[test]
    fn a_night_lasts_over_midnight_and_ends_in_the_morning() {
        let night = "22:00-07:00 Europe/Berlin";
        let morning = Some("2026-07-02T05:00:00Z".to_owned());
        assert_eq!(end_of(night, "2026-07-01T19:59:59Z"), None);
        assert_eq!(end_of(night, "2026-07-01T20:00:00Z"), morning);
        assert_eq!(end_of(night, "2026-07-02T04:59:59Z"), morning);
        assert_eq!(end_of(night, "2026-07-02T05:00:00Z"), None);
        let noon = "12:00-13:00 UTC";
        assert_eq!(end_of(noon, "2026-07-01T12:30:00Z"), Some("2026-07-01T13:00:00Z".to_owned()));
        assert_eq!(end_of(noon, "2026-07-01T13:00:00Z"), None);
    }

    #[test]
    fn the_clocks_that_change_in_a_night_change_its_end() {
        let night = "22:00-07:00 Europe/Berlin";
        let end = |at| end_of(night, at).unwrap();
        // In March an hour is left out, in October one comes twice.
        assert_eq!(end("2026-03-28T21:00:00Z"), "2026-03-29T05:00:00Z");
        assert_eq!(end("2026-10-24T20:00:00Z"), "2026-10-25T06:00:00Z");
        // 02:30 is left out on that day: half past three it is.
        assert_eq!(end_of("02:30-04:00 Europe/Berlin", "2026-03-29T01:29:00Z"), None);
        assert!(end_of("02:30-04:00 Europe/Berlin", "2026-03-29T01:31:00Z").is_some());
    }

    #[test]
    fn hours_are_written_as_they_are_read() {
        let hours: Hours = "22:00-07:30 Europe/Berlin".parse().unwrap();
        let kept = serde_json::to_string(&hours).unwrap();
        assert_eq!(kept, "\"22:00-07:30 Europe/Berlin\"");
        assert_eq!(serde_json::from_str::<Hours>(&kept).unwrap(), hours);
        for bad in ["22:00-07:00", "22-7 UTC", "22:00 UTC", "25:00-07:00 UTC", "07:00-07:00 UTC"] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
        assert!("22:00-07:00 Europe/Berlim".parse::<Hours>().is_err());
    }
}
