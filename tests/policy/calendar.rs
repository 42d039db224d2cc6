//! Holidays from calendar files, as calendars export them.

use std::path::Path;

use deployguard::policy::{Holidays, Lasts};
use deployguard::policy_repo::{PolicyRepo, collect};

use super::folder::commit;
use super::*;

const BASE: &str = include_str!("good_base.yaml");

/// The base with a gate whose holidays are `calendar`.
fn with(calendar: &str) -> Result<PolicySet, Vec<Diagnostic>> {
    let gate = "gate: { time_intervals: { zone: Europe/Berlin, holidays: holidays.ics } }\n";
    let policy = file("policies/shop.yaml", format!("{BASE}{gate}"));
    read(&[policy, file("policies/holidays.ics", calendar)])
}

fn holidays(set: &PolicySet) -> &Holidays {
    set.iter().next().unwrap().policy.gate.times.holidays.as_ref().unwrap()
}

/// Events of a calendar with nothing else in it.
fn calendar(events: &[&str]) -> String {
    let events = events.join("\nEND:VEVENT\nBEGIN:VEVENT\n");
    let events =
        if events.is_empty() { events } else { format!("BEGIN:VEVENT\n{events}\nEND:VEVENT\n") };
    let text = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//y//EN\n{events}END:VCALENDAR\n");
    text.replace('\n', "\r\n")
}

/// The days in those years, one a line: `2026-12-25 Christmas`.
fn days(calendar: &str, years: std::ops::RangeInclusive<i16>) -> Vec<String> {
    let set = with(calendar).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let shown = holidays(&set).days.iter().filter_map(|day| match day.lasts {
        Lasts::Days { from, .. } if !years.contains(&from.year()) => None,
        Lasts::Days { from, to } if from == to => Some(format!("{from} {}", day.name)),
        Lasts::Days { from, to } => Some(format!("{from}..{to} {}", day.name)),
        Lasts::Hours { from, until } => Some(format!("{from}..{until} {}", day.name)),
    });
    shown.collect()
}

#[test]
fn whole_days_are_read_with_their_end_left_out_and_their_names_unescaped() {
    let text = calendar(&[
        "UID:a\nDTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\nSUMMARY:Christmas\\, both\n  days",
        "UID:b\nDTSTART;VALUE=DATE:20260501\nSUMMARY:Tag der Arbeit",
        "UID:c\nDTSTART;VALUE=DATE:20261003\nDURATION:P1D\nSUMMARY:Tag der Deutschen Einheit",
        "UID:d\nDTSTART;VALUE=DATE:20261004\nSTATUS:CANCELLED\nSUMMARY:moved",
        "UID:e\nDTSTART;VALUE=DATE:20261101",
    ]);
    let expected = [
        "2026-05-01 Tag der Arbeit",
        "2026-10-03 Tag der Deutschen Einheit",
        "2026-11-01 a holiday without a name",
        "2026-12-25..2026-12-26 Christmas, both days",
    ];
    assert_eq!(days(&text, 2000..=2100), expected);
}

#[test]
fn what_comes_every_year_comes_with_its_exceptions_and_changes() {
    let text = calendar(&[
        "UID:a\nDTSTART;VALUE=DATE:20101126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH\nSUMMARY:Thanksgiving",
        "UID:b\nDTSTART;VALUE=DATE:20200229\nRRULE:FREQ=YEARLY\nSUMMARY:leap day",
        "UID:c\nDTSTART;VALUE=DATE:20240101\nRRULE:FREQ=YEARLY;UNTIL=20270101\nEXDATE;VALUE=DATE:20260101\nSUMMARY:New Year",
        "UID:d\nDTSTART;VALUE=DATE:20250601\nRRULE:FREQ=YEARLY;COUNT=3\nSUMMARY:party",
        "UID:d\nRECURRENCE-ID;VALUE=DATE:20260601\nDTSTART;VALUE=DATE:20260602\nSUMMARY:party (moved)",
    ]);
    let expected = [
        "2025-01-01 New Year",
        "2025-06-01 party",
        "2025-11-27 Thanksgiving",
        "2026-06-02 party (moved)",
        "2026-11-26 Thanksgiving",
        "2027-01-01 New Year",
        "2027-06-01 party",
        "2027-11-25 Thanksgiving",
        "2028-02-29 leap day",
        "2028-11-23 Thanksgiving",
    ];
    assert_eq!(days(&text, 2025..=2028), expected);
    let far = days(&text, 2099..=2100);
    assert_eq!(far, ["2099-11-26 Thanksgiving", "2100-11-25 Thanksgiving"], "no leap day in 2100");
}

#[test]
fn times_are_of_their_own_zone_of_outlooks_or_of_the_gates() {
    let text = calendar(&[
        "UID:a\nDTSTART;TZID=America/New_York:20261127T130000\nDTEND;TZID=America/New_York:20261127T170000\nSUMMARY:half day",
        "UID:b\nDTSTART:20261201T090000Z\nDTEND:20261201T100000Z\nSUMMARY:utc",
        "UID:c\nDTSTART:20260701T090000\nDTEND:20260701T100000\nSUMMARY:by the clocks here",
    ]);
    let outlook = "BEGIN:VTIMEZONE\r\nTZID:W. Europe Standard Time\r\nBEGIN:STANDARD\r\n\
        DTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\n\
        END:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:d\r\n\
        DTSTART;TZID=W. Europe Standard Time:20260702T090000\r\nDURATION:PT1H\r\n\
        SUMMARY:outlook\r\nEND:VEVENT\r\nBEGIN:VEVENT";
    let text = text.replacen("BEGIN:VEVENT", outlook, 1);
    let expected = [
        "2026-07-01T07:00:00Z..2026-07-01T08:00:00Z by the clocks here",
        "2026-07-02T07:00:00Z..2026-07-02T08:00:00Z outlook",
        "2026-11-27T18:00:00Z..2026-11-27T22:00:00Z half day",
        "2026-12-01T09:00:00Z..2026-12-01T10:00:00Z utc",
    ];
    assert_eq!(days(&text, 2000..=2100), expected);
}

#[test]
fn each_mistake_of_a_calendar_is_told_at_its_line() {
    let mistake = |text: &str| told(with(text)).trim_end().to_owned();
    let of = |events: &[&str]| mistake(&calendar(events));
    let good = "UID:a\nDTSTART;VALUE=DATE:20260501\nSUMMARY:x";
    let at = |line: usize, said: &str| format!("policies/holidays.ics:{line}:1: {said}");
    assert_eq!(mistake("hello"), at(1, "not a calendar: it does not begin with `BEGIN:VCALENDAR`"));
    assert_eq!(
        mistake(&calendar(&[good]).replace("END:VCALENDAR", "")),
        at(1, "the calendar breaks off: it does not end with `END:VCALENDAR`")
    );
    assert_eq!(mistake(&calendar(&[])), at(1, "no events are in the calendar"));
    assert_eq!(
        of(&[good, "UID:b\nSUMMARY:y\nDTSTART;VALUE=DATE:20261399"]),
        at(12, "`DTSTART` is not a date or a time; such as `20261225`")
    );
    assert_eq!(of(&["UID:b\nSUMMARY:y"]), at(4, "Missing DTSTART property"));
    assert_eq!(
        of(&["UID:b\nDTSTART;VALUE=DATE:20260501\nRRULE:FREQ=SOMETIMES"]),
        at(7, "`RRULE` can't be read; such as `FREQ=YEARLY`")
    );
    assert_eq!(
        of(&["UID:b\nDTSTART;VALUE=DATE:20260501\nRRULE:FREQ=DAILY"]),
        at(
            7,
            "the event comes too often for a holiday; hours and days of the week are `avoid` and `prefer`"
        )
    );
    let many: Vec<String> = (0..2001).map(|n| format!("UID:{n}\nDTSTART:20260501")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let said = of(&many);
    assert!(said.contains("at most 2000 and 200 are read; export the holidays alone"), "{said}");
    let said = mistake(&calendar(&[good]).replace("SUMMARY:x", &"x".repeat(300_000)));
    assert_eq!(said, at(1, "the file is larger than 256 KiB"));
}

#[test]
fn a_calendar_lies_beside_the_file_that_names_it_and_is_part_of_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("policies/team/shop.yaml", BASE);
    write("policies/_defaults.yaml", "gate: { time_intervals: { holidays: days.ics } }\n");
    write("policies/days.ics", &calendar(&["UID:a\nDTSTART;VALUE=DATE:20260501\nSUMMARY:x"]));
    commit(folder.path());
    let repo = PolicyRepo::open(folder.path().join("policies"));
    let loaded = repo.load().unwrap();
    assert!(!loaded.dirty, "the calendar is in the commit");
    assert_eq!(holidays(&loaded.set).days.len(), 1);

    let alone = collect(&[folder.path().join("policies/team/shop.yaml")]).unwrap();
    assert_eq!(read(&alone).unwrap().len(), 1, "a single file brings what it names");
    write("policies/days.ics", &calendar(&["UID:a\nDTSTART;VALUE=DATE:20260502\nSUMMARY:x"]));
    assert!(repo.load().unwrap().dirty, "a holiday that nobody committed");
    std::fs::remove_file(folder.path().join("policies/days.ics")).unwrap();
    let missing = told(repo.load().map(|loaded| loaded.set));
    assert!(missing.contains("_defaults.yaml:1:37: there is no calendar `"), "{missing}");
    assert!(Path::new(&missing[..missing.find(':').unwrap()]).ends_with("policies/_defaults.yaml"));
}
