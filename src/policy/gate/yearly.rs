//! Days that come again every year.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::policy::every::DAYS;

/// "12-20..12-26", "12-24", "4th Thu of Nov", "week of 4th Thu of Nov".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yearly {
    /// Month and day, both included; over the new year where the end lies before the
    /// beginning. In a year without a 29 February it ends on the 28th, and begins on 1 March.
    Between {
        from: (i8, i8),
        to: (i8, i8),
    },
    Day(NthDay),
    /// The week, Monday to Sunday, that holds the day.
    WeekOf(NthDay),
}

/// The fourth Thursday of November, or the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NthDay {
    /// 1 to 4, or -1 for the last.
    pub nth: i8,
    pub weekday: Weekday,
    pub month: i8,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const NTH: [(&str, i8); 5] = [("1st", 1), ("2nd", 2), ("3rd", 3), ("4th", 4), ("last", -1)];

impl Yearly {
    /// The first and the last day of the ones that begin in `year`; `None`: there are none.
    pub fn of(self, year: i16) -> Option<(Date, Date)> {
        match self {
            Self::Between { from, to } => {
                let until = if to < from { year.checked_add(1)? } else { year };
                let first = Date::new(year, from.0, from.1).or_else(|_| Date::new(year, 3, 1));
                let last = Date::new(until, to.0, to.1).or_else(|_| Date::new(until, 2, 28));
                let (first, last) = (first.ok()?, last.ok()?);
                (first <= last).then_some((first, last))
            }
            Self::Day(day) => day.of(year).map(|day| (day, day)),
            Self::WeekOf(day) => {
                let day = day.of(year)?;
                let monday = day.checked_sub(day.weekday().to_monday_zero_offset().days()).ok()?;
                Some((monday, monday.checked_add(6.days()).ok()?))
            }
        }
    }
}

impl NthDay {
    fn of(self, year: i16) -> Option<Date> {
        Date::new(year, self.month, 1).ok()?.nth_weekday_of_month(self.nth, self.weekday).ok()
    }
}

impl FromStr for Yearly {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [one] => {
                let (from, to) = one.split_once("..").unwrap_or((*one, *one));
                Ok(Self::Between { from: month_day(from)?, to: month_day(to)? })
            }
            ["week", "of", nth, day, "of", month] => Ok(Self::WeekOf(nth_day(nth, day, month)?)),
            [nth, day, "of", month] => Ok(Self::Day(nth_day(nth, day, month)?)),
            _ => Err(format!("`{text}` are no days of a year")),
        }
    }
}

/// "12-20"; of a leap year, so that every day that there ever is can be said.
fn month_day(text: &str) -> Result<(i8, i8), String> {
    let no = || format!("`{text}` is not a month and a day");
    let (month, day) = text.split_once('-').ok_or_else(no)?;
    if month.len() != 2 || day.len() != 2 {
        return Err(no());
    }
    let (month, day) = (month.parse().map_err(|_| no())?, day.parse().map_err(|_| no())?);
    Date::new(2024, month, day).map_err(|_| format!("there is no day `{text}`"))?;
    Ok((month, day))
}

fn nth_day(nth: &str, day: &str, month: &str) -> Result<NthDay, String> {
    let known = NTH.iter().find(|(name, _)| *name == nth).map(|(_, nth)| *nth);
    let nth = known.ok_or_else(|| format!("`{nth}` is not 1st, 2nd, 3rd, 4th or last"))?;
    let known = DAYS.iter().find(|(name, _)| *name == day).map(|(_, day)| *day);
    let weekday =
        known.ok_or_else(|| format!("`{day}` is not Mon, Tue, Wed, Thu, Fri, Sat or Sun"))?;
    let place = MONTHS.iter().position(|name| *name == month);
    let place = place.ok_or_else(|| format!("`{month}` is no month such as `Nov`"))?;
    Ok(NthDay { nth, weekday, month: i8::try_from(place).unwrap_or(0) + 1 })
}

impl fmt::Display for Yearly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between { from, to } if from == to => write!(f, "{:02}-{:02}", from.0, from.1),
            Self::Between { from, to } => {
                write!(f, "{:02}-{:02}..{:02}-{:02}", from.0, from.1, to.0, to.1)
            }
            Self::Day(day) => write!(f, "{day}"),
            Self::WeekOf(day) => write!(f, "week of {day}"),
        }
    }
}

impl fmt::Display for NthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nth = NTH.iter().find(|(_, nth)| *nth == self.nth).map_or("", |(name, _)| name);
        let day = DAYS.iter().find(|(_, day)| *day == self.weekday).map_or("", |(name, _)| name);
        let place = usize::try_from(self.month - 1).unwrap_or(0);
        let month = MONTHS.get(place).copied().unwrap_or_default();
        write!(f, "{nth} {day} of {month}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, year: i16) -> Option<String> {
        let (first, last) = text.parse::<Yearly>().unwrap().of(year)?;
        Some(format!("{first} {last}"))
    }

    fn are(text: &str, year: i16, days: &str) {
        assert_eq!(of(text, year).as_deref(), Some(days), "{text} in {year}");
    }

    #[test]
    fn black_friday_week_is_the_week_of_thanksgiving_in_every_year() {
        let week = "week of 4th Thu of Nov";
        are(week, 2024, "2024-11-25 2024-12-01");
        are(week, 2026, "2026-11-23 2026-11-29");
        are(week, 2029, "2029-11-19 2029-11-25");
        are("4th Thu of Nov", 2028, "2028-11-23 2028-11-23");
        are("last Fri of May", 2026, "2026-05-29 2026-05-29");
    }

    #[test]
    fn days_of_a_year_go_over_its_end_and_over_a_29_february_that_is_not() {
        are("12-20..12-26", 2026, "2026-12-20 2026-12-26");
        are("12-24..01-02", 2026, "2026-12-24 2027-01-02");
        are("02-20..02-29", 2027, "2027-02-20 2027-02-28");
        are("02-29..03-05", 2027, "2027-03-01 2027-03-05");
        are("02-29", 2028, "2028-02-29 2028-02-29");
        assert_eq!(of("02-29", 2027), None);
    }

    #[test]
    fn what_is_no_day_of_a_year_is_refused_and_the_rest_is_written_as_it_is_read() {
        for text in ["12-20..12-26", "12-24", "4th Thu of Nov", "week of last Mon of May"] {
            assert_eq!(text.parse::<Yearly>().unwrap().to_string(), text);
        }
        for bad in ["13-01", "02-30", "1-1", "12-20-12-26", "5th Mon of May", "4th Thu of Now"] {
            assert!(bad.parse::<Yearly>().is_err(), "{bad}");
        }
        assert!("week of Thu of Nov".parse::<Yearly>().is_err());
    }
}
