//! Moments against rules: what speaks against each, and when it opens.

use jiff::{SignedDuration, Timestamp};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn intervals(texts: &[&str]) -> Vec<Interval> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn every_year(name: &str, days: &str) -> Freeze {
    Freeze { name: name.to_owned(), days: Days::EveryYear(days.parse().unwrap()) }
}

/// ShopFlow's: preferred Tuesday to Thursday, not on Fridays, two freezes.
fn shopflow() -> Times {
    Times {
        prefer: intervals(&["Tue-Thu 10:00-14:00 UTC"]),
        avoid: intervals(&["Fri UTC"]),
        freeze: vec![
            every_year("Black Friday week", "week of 4th Thu of Nov"),
            every_year("year end", "12-20..12-26"),
        ],
        ..Times::default()
    }
}

/// `freeze Black Friday week until ...`, one a line.
fn told(times: &Times, now: &str) -> String {
    let held = times.at(at(now)).into_iter().map(|held| {
        let by = match held.by {
            HeldBy::Freeze(name) => format!("freeze {name}"),
            HeldBy::Holiday(name) => format!("holiday {name}"),
            HeldBy::Avoid(text) => format!("avoid {text}"),
            HeldBy::Outside(_) => "outside".to_owned(),
        };
        let until = held.until.map_or("never".to_owned(), |until| until.to_string());
        format!("{} {by} until {until}", held.stance.as_str())
    });
    held.collect::<Vec<_>>().join("; ")
}

fn is(times: &Times, table: &[(&str, &str)]) {
    for (now, expected) in table {
        assert_eq!(told(times, now), *expected, "at {now}");
    }
}

#[test]
fn each_moment_of_shopflows_year_is_told_with_its_rule_and_its_end() {
    let friday = "warn avoid Fri UTC until";
    let outside = "warn outside until";
    let black = "refuse freeze Black Friday week until 2026-11-30T00:00:00Z";
    let end = "refuse freeze year end until 2026-12-27T00:00:00Z";
    is(
        &shopflow(),
        &[
            ("2026-11-17T10:00:00Z", ""),
            ("2026-11-17T13:59:59Z", ""),
            ("2026-11-17T14:00:00Z", &format!("{outside} 2026-11-18T10:00:00Z")),
            ("2026-11-17T09:59:59Z", &format!("{outside} 2026-11-17T10:00:00Z")),
            // A Monday, and a Friday: the next window is after the freeze and known for itself.
            ("2026-11-16T11:00:00Z", &format!("{outside} 2026-11-17T10:00:00Z")),
            (
                "2026-11-20T11:00:00Z",
                &format!("{friday} 2026-11-21T00:00:00Z; {outside} 2026-11-24T10:00:00Z"),
            ),
            // Black Friday week begins on Monday and ends on Sunday.
            ("2026-11-22T23:59:59Z", &format!("{outside} 2026-11-24T10:00:00Z")),
            ("2026-11-23T00:00:00Z", &format!("{black}; {outside} 2026-11-24T10:00:00Z")),
            ("2026-11-24T11:00:00Z", black),
            ("2026-11-29T23:59:59Z", &format!("{black}; {outside} 2026-12-01T10:00:00Z")),
            ("2026-11-30T00:00:00Z", &format!("{outside} 2026-12-01T10:00:00Z")),
            ("2026-12-22T11:00:00Z", end),
            ("2026-12-26T23:59:59Z", &format!("{end}; {outside} 2026-12-29T10:00:00Z")),
            ("2026-12-27T00:00:00Z", &format!("{outside} 2026-12-29T10:00:00Z")),
        ],
    );
}

#[test]
fn the_next_open_moment_lies_behind_everything_that_speaks_against_it() {
    let times = shopflow();
    let opens = |now: &str, least| times.open_from(at(now), least).unwrap().to_string();
    for (now, allowed, preferred) in [
        ("2026-11-17T11:00:00Z", "2026-11-17T11:00:00Z", "2026-11-17T11:00:00Z"),
        ("2026-11-20T11:00:00Z", "2026-11-20T11:00:00Z", "2026-12-01T10:00:00Z"),
        ("2026-11-24T11:00:00Z", "2026-11-30T00:00:00Z", "2026-12-01T10:00:00Z"),
        ("2026-12-19T11:00:00Z", "2026-12-19T11:00:00Z", "2026-12-29T10:00:00Z"),
        ("2026-12-20T00:00:00Z", "2026-12-27T00:00:00Z", "2026-12-29T10:00:00Z"),
    ] {
        assert_eq!(opens(now, Stance::Refuse), allowed, "allowed from {now}");
        assert_eq!(opens(now, Stance::Warn), preferred, "preferred from {now}");
    }
    let never = Times { freeze: vec![every_year("ever", "01-01..12-31")], ..Times::default() };
    assert_eq!(never.open_from(at("2026-05-01T00:00:00Z"), Stance::Refuse), None);
    let held = never.at(at("2026-05-01T00:00:00Z"));
    assert_eq!(held[0].until, None, "not as far as is looked");
}

#[test]
fn windows_keep_to_the_clocks_of_their_zone_when_those_change() {
    let berlin = Times { prefer: intervals(&["10:00-14:00 Europe/Berlin"]), ..Times::default() };
    let york = Times { prefer: intervals(&["10:00-14:00 America/New_York"]), ..Times::default() };
    let opens =
        |times: &Times, now: &str| times.open_from(at(now), Stance::Warn).unwrap().to_string();
    for (times, before, first, then) in [
        // The last Sunday of March and of October.
        (&berlin, "2026-03-27T20:00:00Z", "2026-03-28T09:00:00Z", "2026-03-29T08:00:00Z"),
        (&berlin, "2026-10-23T20:00:00Z", "2026-10-24T08:00:00Z", "2026-10-25T09:00:00Z"),
        // The second Sunday of March and the first of November.
        (&york, "2026-03-06T20:00:00Z", "2026-03-07T15:00:00Z", "2026-03-08T14:00:00Z"),
        (&york, "2026-10-30T20:00:00Z", "2026-10-31T14:00:00Z", "2026-11-01T15:00:00Z"),
    ] {
        assert_eq!(opens(times, before), first);
        let after_first = at(first) + SignedDuration::from_hours(5);
        assert_eq!(opens(times, &after_first.to_string()), then);
    }
}

#[test]
fn an_hour_that_is_left_out_or_comes_twice_neither_loses_nor_doubles_a_window() {
    let night = |text: &str| Times { avoid: intervals(&[text]), ..Times::default() };
    // At 02:00 the clocks of Berlin go to 03:00: the window of that hour is none that day.
    let hour = night("02:00-03:00 Europe/Berlin");
    is(&hour, &[("2026-03-29T00:59:59Z", ""), ("2026-03-29T01:00:00Z", "")]);
    let longer = night("01:30-03:30 Europe/Berlin");
    is(
        &longer,
        &[
            ("2026-03-29T00:29:59Z", ""),
            (
                "2026-03-29T00:30:00Z",
                "warn avoid 01:30-03:30 Europe/Berlin until 2026-03-29T01:30:00Z",
            ),
            ("2026-03-29T01:30:00Z", ""),
            // In October it lasts from the first 01:30 over both hours to 03:30.
            (
                "2026-10-24T23:30:00Z",
                "warn avoid 01:30-03:30 Europe/Berlin until 2026-10-25T02:30:00Z",
            ),
            (
                "2026-10-25T02:29:59Z",
                "warn avoid 01:30-03:30 Europe/Berlin until 2026-10-25T02:30:00Z",
            ),
            ("2026-10-25T02:30:00Z", ""),
        ],
    );
    let york = night("01:00-03:00 America/New_York");
    is(
        &york,
        &[
            (
                "2026-03-08T06:00:00Z",
                "warn avoid 01:00-03:00 America/New_York until 2026-03-08T07:00:00Z",
            ),
            ("2026-03-08T07:00:00Z", ""),
            (
                "2026-11-01T05:00:00Z",
                "warn avoid 01:00-03:00 America/New_York until 2026-11-01T08:00:00Z",
            ),
            ("2026-11-01T08:00:00Z", ""),
        ],
    );
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_begins_and_days_may_go_over_the_week() {
    let nights = Times { avoid: intervals(&["Fri 22:00-06:00 Europe/Berlin"]), ..Times::default() };
    let until = "warn avoid Fri 22:00-06:00 Europe/Berlin until 2026-07-04T04:00:00Z";
    is(
        &nights,
        &[
            ("2026-07-03T19:59:59Z", ""),
            ("2026-07-03T20:00:00Z", until),
            ("2026-07-04T03:59:59Z", until),
            ("2026-07-04T04:00:00Z", ""),
            ("2026-07-04T20:00:00Z", ""),
        ],
    );
    let weekend = Times { avoid: intervals(&["Fri-Mon UTC"]), ..Times::default() };
    let until = "warn avoid Fri-Mon UTC until 2026-07-07T00:00:00Z";
    is(
        &weekend,
        &[
            ("2026-07-02T23:59:59Z", ""),
            ("2026-07-03T00:00:00Z", until),
            ("2026-07-06T23:59:59Z", until),
            ("2026-07-07T00:00:00Z", ""),
        ],
    );
    let late = Times { avoid: intervals(&["Fri 15:00-24:00 UTC"]), ..Times::default() };
    let until = "warn avoid Fri 15:00-24:00 UTC until 2026-07-04T00:00:00Z";
    is(&late, &[("2026-07-03T23:59:59Z", until), ("2026-07-04T00:00:00Z", "")]);
}

#[test]
fn the_days_of_a_freeze_are_those_of_its_zone() {
    let in_zone = |zone: &str| Times {
        zone: zone.to_owned(),
        freeze: vec![every_year("leap", "02-29"), every_year("year end", "12-31..01-01")],
        ..Times::default()
    };
    let york = in_zone("America/New_York");
    is(
        &york,
        &[
            ("2028-02-29T04:59:59Z", ""),
            ("2028-02-29T05:00:00Z", "refuse freeze leap until 2028-03-01T05:00:00Z"),
            ("2028-03-01T04:59:59Z", "refuse freeze leap until 2028-03-01T05:00:00Z"),
            ("2028-03-01T05:00:00Z", ""),
            ("2027-03-01T06:00:00Z", ""),
            ("2027-01-02T04:59:59Z", "refuse freeze year end until 2027-01-02T05:00:00Z"),
        ],
    );
    let far = in_zone("Pacific/Kiritimati");
    is(&far, &[("2026-12-30T10:00:00Z", "refuse freeze year end until 2027-01-01T10:00:00Z")]);
}

#[test]
fn holidays_are_days_wherever_one_is_or_hours_as_they_are() {
    let day = |text: &str| text.parse().unwrap();
    let holiday = |name: &str, lasts| Holiday { name: name.to_owned(), lasts };
    let days = vec![
        holiday("Christmas", Lasts::Days { from: day("2026-12-25"), to: day("2026-12-25") }),
        holiday(
            "all hands",
            Lasts::Hours { from: at("2026-07-01T12:00:00Z"), until: at("2026-07-01T13:00:00Z") },
        ),
    ];
    let holidays = Some(Holidays { file: "holidays.ics".to_owned(), days });
    let zone = "Europe/Berlin".to_owned();
    let times = Times { zone, holidays, on_holiday: Stance::Refuse, ..Times::default() };
    is(
        &times,
        &[
            ("2026-12-24T22:59:59Z", ""),
            ("2026-12-24T23:00:00Z", "refuse holiday Christmas until 2026-12-25T23:00:00Z"),
            ("2026-12-25T23:00:00Z", ""),
            ("2026-07-01T12:30:00Z", "refuse holiday all hands until 2026-07-01T13:00:00Z"),
            ("2026-07-01T13:00:00Z", ""),
        ],
    );
    let ignored = Times { on_holiday: Stance::Ignore, ..times };
    is(&ignored, &[("2026-12-25T12:00:00Z", "")]);
}

#[test]
fn an_interval_is_written_as_it_is_read_and_what_is_none_is_refused() {
    for text in
        ["Tue-Thu 10:00-14:00 UTC", "Fri Europe/Berlin", "22:00-06:00 UTC", "Mon,Wed-Fri UTC"]
    {
        assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
    }
    for bad in [
        "Tue-Thu 10:00-14:00",
        "UTC",
        "10:00-10:00 UTC",
        "00:00-00:00 UTC",
        "24:00-01:00 UTC",
        "Tuesday UTC",
        "Tue 10-14 UTC",
        "Tue 10:00-14:00 Europe/Berlim",
        "Tue, Thu 10:00-14:00 UTC",
    ] {
        assert!(bad.parse::<Interval>().is_err(), "{bad}");
    }
}

#[test]
fn a_service_and_a_version_may_be_called_otherwise_where_they_soak() {
    let soak = |service: Option<&str>, version: Option<&str>| Soak {
        environment: "stage".to_owned(),
        for_: SignedDuration::from_hours(24),
        service: service.map(str::to_owned),
        version: version.map(str::to_owned),
    };
    assert_eq!(soak(None, None).service_of("api", "*"), "api");
    let renamed = soak(Some("stage-*-svc"), Some("${version}-stage"));
    assert_eq!(renamed.service_of("prod-api-svc", "prod-*-svc"), "stage-api-svc");
    assert_eq!(renamed.version_of("v1.2.3"), "v1.2.3-stage");
    assert_eq!(soak(Some("stage-api"), None).service_of("prod-api", "prod-api"), "stage-api");
}
