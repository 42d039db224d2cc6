//! Calendar files (iCalendar, `.ics`), as calendars export them: the holidays in them, or
//! every mistake at its line.

use std::collections::BTreeMap;

use calcard::common::PartialDateTime;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarProperty, ICalendarStatus,
    ICalendarValue,
};
use calcard::{Entry, Parser};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::source::{SourceFile, text_within};
use crate::policy::diagnostic::{Diagnostic, Mistake};
use crate::policy::gate::{Holiday, Lasts};

/// Bytes of a calendar file.
pub(super) const MAX_BYTES: usize = super::MAX_BYTES;
/// Events of one file, and those among them that come again.
const MAX_EVENTS: usize = 2_000;
const MAX_RULES: usize = 200;
/// Dates that one event may have: one a week for ninety years.
const MAX_DATES: usize = 5_000;
/// The years that are kept. A rule is followed no further.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2100;

/// Whether a file beside the policies is a calendar.
pub fn is_calendar(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|end| end.eq_ignore_ascii_case("ics"))
}

/// The holidays of a calendar, in order of time. `zone`: whose clocks times without a zone
/// are of.
pub(super) fn holidays(
    file: &SourceFile,
    zone: &TimeZone,
) -> Result<Vec<Holiday>, Vec<Diagnostic>> {
    let text = text_within(file, MAX_BYTES).map_err(|found| vec![found])?;
    let lines = Lines::of(&file.path, text);
    let (zones, groups) = parted(text, &lines).map_err(|found| vec![found])?;
    let (mut days, mut mistakes) = (Vec::new(), Vec::new());
    for group in groups.into_values() {
        match of_group(&group, &zones, zone, &lines) {
            Ok(found) => days.extend(found),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if !mistakes.is_empty() {
        mistakes.sort();
        return Err(mistakes);
    }
    days.sort_by_key(|day| match day.lasts {
        Lasts::Days { from, .. } => from.to_datetime(jiff::civil::Time::midnight()),
        Lasts::Hours { from, .. } => from.to_zoned(zone.clone()).datetime(),
    });
    Ok(days)
}

/// An event, and which of the file's it is.
type Numbered = (usize, ICalendarComponent);
type Parted = (Vec<ICalendarComponent>, BTreeMap<String, Vec<Numbered>>);

/// The zones of a calendar, and its events by what they are changes of.
fn parted(text: &str, lines: &Lines<'_>) -> Result<Parted, Diagnostic> {
    let whole = |message: &str| lines.whole(Mistake::new(message));
    if !text.trim_start().to_ascii_uppercase().starts_with("BEGIN:VCALENDAR") {
        return Err(whole("not a calendar: it does not begin with `BEGIN:VCALENDAR`"));
    }
    if !text.trim_end().to_ascii_uppercase().ends_with("END:VCALENDAR") {
        return Err(whole("the calendar breaks off: it does not end with `END:VCALENDAR`"));
    }
    let (mut zones, mut groups) = (Vec::new(), BTreeMap::<String, Vec<Numbered>>::new());
    let (mut events, mut rules) = (0, 0);
    let mut parser = Parser::new(text);
    loop {
        let calendar = match parser.entry() {
            Entry::ICalendar(calendar) => calendar,
            Entry::Eof => break,
            _ => return Err(whole("the calendar can't be read as iCalendar")),
        };
        for component in calendar.components {
            if component.component_type == ICalendarComponentType::VTimezone {
                zones.push(ICalendarComponent { component_ids: Vec::new(), ..component });
            } else if component.component_type == ICalendarComponentType::VEvent {
                rules += usize::from(component.is_recurrent());
                // One without a name of its own changes nothing else.
                let uid = component.uid().map_or_else(|| format!("#{events}"), str::to_owned);
                groups.entry(uid).or_default().push((events, component));
                events += 1;
            }
        }
    }
    if events == 0 {
        return Err(whole("no events are in the calendar"));
    }
    if events > MAX_EVENTS || rules > MAX_RULES {
        let message = format!(
            "the calendar has {events} events, {rules} of which come again; at most \
             {MAX_EVENTS} and {MAX_RULES} are read"
        );
        return Err(lines.whole(Mistake::new(message).mend("export the holidays alone")));
    }
    Ok((zones, groups))
}

/// The days of an event and of what changes single ones of them.
fn of_group(
    group: &[Numbered],
    zones: &[ICalendarComponent],
    zone: &TimeZone,
    lines: &Lines<'_>,
) -> Result<Vec<Holiday>, Diagnostic> {
    for (number, event) in group {
        check(*number, event, lines)?;
    }
    let shift = zones.len();
    let events = group.iter().map(|(_, event)| ending(event));
    let components = zones.iter().cloned().chain(events).collect();
    let calendar = ICalendar { components };
    let expanded = calendar.expand_dates(calcard::common::timezone::Tz::Floating, MAX_DATES);
    let of = |id: u32| group.get(usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(shift));
    if let Some(error) = expanded.errors.first() {
        let (number, property) = (of(error.comp_id).map_or(0, |(number, _)| *number), "DTSTART");
        return Err(lines.at(number, property, Mistake::new(error.error.to_string())));
    }
    if expanded.events.len() >= MAX_DATES {
        let number = group.first().map_or(0, |(number, _)| *number);
        let mistake = Mistake::new("the event comes too often for a holiday");
        let mend = "hours and days of the week are `avoid` and `prefer`";
        return Err(lines.at(number, "RRULE", mistake.mend(mend)));
    }
    let mut days = Vec::new();
    for found in expanded.events {
        let Some((number, event)) = of(found.comp_id) else { continue };
        let found = Found {
            local: found.start.naive_local().to_string(),
            is_floating: found.start.timezone().is_floating(),
            seconds: found.timestamps(),
        };
        let holiday = holiday(event, &found, zone)
            .map_err(|why| lines.at(*number, "DTSTART", Mistake::new(why)))?;
        let year = match holiday.lasts {
            Lasts::Days { from, .. } => from.year(),
            Lasts::Hours { from, .. } => from.to_zoned(TimeZone::UTC).year(),
        };
        if YEARS.contains(&year) && event.status() != Some(&ICalendarStatus::Cancelled) {
            days.push(holiday);
        }
    }
    Ok(days)
}

/// The event, with a rule that has no end ended after the last year that is kept.
fn ending(event: &ICalendarComponent) -> ICalendarComponent {
    let mut event = ICalendarComponent { component_ids: Vec::new(), ..event.clone() };
    for value in event.entries.iter_mut().flat_map(|entry| &mut entry.values) {
        if let ICalendarValue::RecurrenceRule(rule) = value
            && rule.count.is_none()
            && rule.until.is_none()
        {
            rule.until = Some(PartialDateTime {
                year: Some(YEARS.end().unsigned_abs()),
                month: Some(12),
                day: Some(31),
                hour: Some(23),
                minute: Some(59),
                second: Some(59),
                ..PartialDateTime::default()
            });
        }
    }
    event
}

/// What would be passed over in silence.
fn check(number: usize, event: &ICalendarComponent, lines: &Lines<'_>) -> Result<(), Diagnostic> {
    let value = |property: &ICalendarProperty| {
        event.property(property).map(|entry| entry.values.first().cloned())
    };
    for (property, name) in
        [(ICalendarProperty::Dtstart, "DTSTART"), (ICalendarProperty::Dtend, "DTEND")]
    {
        let is_time = |value: &Option<ICalendarValue>| matches!(value, Some(ICalendarValue::PartialDateTime(at)) if at.to_date_time().is_some());
        if value(&property).is_some_and(|value| !is_time(&value)) {
            let mistake = Mistake::new(format!("`{name}` is not a date or a time"));
            return Err(lines.at(number, name, mistake.mend("such as `20261225`")));
        }
    }
    let rule = value(&ICalendarProperty::Rrule);
    if rule.is_some_and(|rule| !matches!(rule, Some(ICalendarValue::RecurrenceRule(_)))) {
        let mistake = Mistake::new("`RRULE` can't be read");
        return Err(lines.at(number, "RRULE", mistake.mend("such as `FREQ=YEARLY`")));
    }
    Ok(())
}

/// One time that an event is.
struct Found {
    /// By the clocks of its zone: `2026-12-25 00:00:00`.
    local: String,
    is_floating: bool,
    /// Its beginning and end, in seconds since the epoch; of a floating one as in UTC.
    seconds: (i64, i64),
}

fn holiday(event: &ICalendarComponent, found: &Found, zone: &TimeZone) -> Result<Holiday, String> {
    let starts = event.property(&ICalendarProperty::Dtstart).and_then(|entry| entry.values.first());
    let is_day = matches!(starts, Some(ICalendarValue::PartialDateTime(at)) if !at.has_time());
    let local: DateTime = found.local.parse().map_err(|error: jiff::Error| error.to_string())?;
    let name = name(event);
    let (from_s, until_s) = found.seconds;
    let seconds = until_s.saturating_sub(from_s).max(0);
    let lasts = if is_day {
        // The end is not part of it; an event without one is a day.
        let days = (seconds / 86_400).max(1) - 1;
        let from: Date = local.date();
        let to = from.checked_add(days.days()).map_err(|error| error.to_string())?;
        Lasts::Days { from, to }
    } else {
        let from = if found.is_floating {
            local.to_zoned(zone.clone()).map_err(|error| error.to_string())?.timestamp()
        } else {
            Timestamp::from_second(from_s).map_err(|error| error.to_string())?
        };
        let until = from.checked_add(seconds.seconds()).map_err(|error| error.to_string())?;
        Lasts::Hours { from, until }
    };
    Ok(Holiday { name, lasts })
}

/// What it is called, on one line and no longer than a name.
fn name(event: &ICalendarComponent) -> String {
    let summary =
        event.property(&ICalendarProperty::Summary).and_then(|entry| entry.values.first());
    let text = summary.and_then(ICalendarValue::as_text).unwrap_or_default();
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let name: String = words.join(" ").chars().take(128).collect();
    if name.is_empty() { "a holiday without a name".to_owned() } else { name }
}

/// Where things stand in a calendar's text.
struct Lines<'a> {
    path: &'a str,
    /// By event: the lines from its `BEGIN` on, with their numbers from 1.
    events: Vec<Vec<(usize, &'a str)>>,
}

impl<'a> Lines<'a> {
    fn of(path: &'a str, text: &'a str) -> Self {
        let (mut events, mut inside) = (Vec::<Vec<(usize, &str)>>::new(), false);
        for (at, line) in text.lines().enumerate() {
            if line.trim_end().eq_ignore_ascii_case("BEGIN:VEVENT") {
                events.push(Vec::new());
                inside = true;
            }
            if let (true, Some(event)) = (inside, events.last_mut()) {
                event.push((at + 1, line));
            }
            inside &= !line.trim_end().eq_ignore_ascii_case("END:VEVENT");
        }
        Self { path, events }
    }

    fn whole(&self, mistake: Mistake) -> Diagnostic {
        Diagnostic { mend: mistake.mend, ..Diagnostic::of_file(self.path, mistake.message) }
    }

    /// At the event's line that begins with `property`, or else where the event begins.
    fn at(&self, number: usize, property: &str, mistake: Mistake) -> Diagnostic {
        let lines = self.events.get(number).map_or(&[][..], Vec::as_slice);
        let names = |line: &str| {
            let end = line.find([':', ';']).unwrap_or(line.len());
            line[..end].eq_ignore_ascii_case(property)
        };
        let found = lines.iter().find(|(_, line)| names(line)).or(lines.first());
        let line = found.map_or(1, |(line, _)| *line);
        Diagnostic { line, ..self.whole(mistake) }
    }
}
