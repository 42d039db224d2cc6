//! The section `gate`: as it is written, and what it means.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use marked_yaml::Marker;
use schemars::JsonSchema;
use serde::Deserialize;

use super::amount::Stretch;
use super::calendar::holidays;
use super::desk::Desk;
use super::raw::PolicyFile;
use super::scalar::{At, Pattern, Scalar};
use crate::policy::diagnostic::Mistake;
use crate::policy::gate::{
    Days, Freeze, Gate, Holidays, Interval, Soak, Stance, Stances, Times, Yearly,
};

/// Entries of one list.
const MAX_ENTRIES: usize = 50;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of `gate`")]
pub(super) struct GateText {
    /// When a deployment may be.
    pub time_intervals: TimesText,
    /// Where the same must have been first, and for how long without a breach. Default: nowhere.
    pub soak: Option<SoakText>,
    /// What it means that a watch found the revision bad. Default: refuse.
    pub known_bad: Option<At<Stance>>,
    /// What it means that the service has an incident that is not over. Default: refuse.
    pub open_incident: Option<At<Stance>>,
    /// What it means that nothing is known that a rollback could go to. Default: warn.
    pub rollback_target: Option<At<Stance>>,
    /// What it means that a critical alert about the service fires, as Alertmanager says. Default: warn.
    pub alerts: Option<At<Stance>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of `time_intervals`")]
pub(super) struct TimesText {
    /// Whose days freezes and holidays are. Default: UTC.
    pub zone: Option<At<Zone>>,
    /// A deployment outside all of these is warned of; 50 at most. Default: none.
    #[schemars(length(max = 50))]
    pub prefer: Option<Vec<At<Interval>>>,
    /// A deployment within one of these is warned of; 50 at most. Default: none.
    #[schemars(length(max = 50))]
    pub avoid: Option<Vec<At<Interval>>>,
    /// Within one of these the answer is no; 50 at most. Default: none.
    #[schemars(length(max = 50))]
    pub freeze: Option<Vec<FreezeText>>,
    /// A calendar file (iCalendar, `.ics`) beside the file that names it, with the holidays. Default: none.
    pub holidays: Option<At<CalendarName>>,
    /// What a holiday means. Default: warn.
    pub on_holiday: Option<At<Stance>>,
}

/// Named days: `from` and `to`, both included, or `every_year`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ name: ..., from: DATE, to: DATE }` or `{ name: ..., every_year: 12-20..12-26 }`"
)]
pub(super) struct FreezeText {
    /// What it is called where people are told of it. Required.
    pub name: Option<At<String>>,
    /// The first day. Required with `to`, or `every_year`.
    pub from: Option<At<Day>>,
    /// The last day, which is within it. Required with `from`, or `every_year`.
    pub to: Option<At<Day>>,
    /// `12-20..12-26`, `12-24`, `4th Thu of Nov`, or the week, Monday to Sunday, that holds such a day: `week of 4th Thu of Nov`. Required, or `from` and `to`.
    pub every_year: Option<At<Yearly>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ environment: staging, for: 24h }`")]
pub(super) struct SoakText {
    /// Another policy's environment. Required.
    pub environment: Option<At<String>>,
    /// How long it must have been in service there without a breach. At most 30d. Required.
    #[serde(rename = "for")]
    pub for_: Option<At<Stretch>>,
    /// What the service is called there; a `*` stands for what the one of `match.service` matched. Default: as here.
    pub service: Option<At<Pattern>>,
    /// What the version is called there, such as `${version}-stage`. Default: as here.
    pub version: Option<At<VersionThere>>,
}

/// A time zone's name.
#[derive(Debug, Clone)]
pub(super) struct Zone(pub String);

impl Scalar for Zone {
    const EXPECTED: &'static str = "a time zone such as `Europe/Berlin`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let no = |_| {
            Mistake::new(format!("`{text}` is not a time zone"))
                .mend("write its name, such as `Europe/Berlin`, or `UTC`")
        };
        TimeZone::get(text).map(|_| Self(text.to_owned())).map_err(no)
    }
}

/// A date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day(pub Date);

impl Scalar for Day {
    const EXPECTED: &'static str = "a date such as `2026-11-23`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let is_plain = text.len() == 10;
        let day = text.parse().ok().filter(|_| is_plain).map(Self);
        day.ok_or_else(|| {
            Mistake::new(format!("`{text}` is not a date")).mend("write it as `2026-11-23`")
        })
    }
}

/// The name of a calendar file.
#[derive(Debug, Clone)]
pub(super) struct CalendarName(pub String);

impl Scalar for CalendarName {
    const EXPECTED: &'static str = "a calendar file such as `holidays.ics`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let is_name = !text.contains(['/', '\\', ':']) && !text.starts_with('.');
        if is_name && super::is_calendar(text) && text.len() <= 255 {
            return Ok(Self(text.to_owned()));
        }
        Err(Mistake::new(format!("`{text}` is not the name of a calendar file"))
            .mend("a file `*.ics` in the same folder: `holidays.ics`"))
    }
}

/// What a version is called elsewhere.
#[derive(Debug, Clone)]
pub(super) struct VersionThere(pub String);

impl Scalar for VersionThere {
    const EXPECTED: &'static str = "a version such as `${version}-stage`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let rest = text.replacen("${version}", "", 1);
        if rest.len() != text.len() && !rest.contains("${") && text.len() <= 128 {
            return Ok(Self(text.to_owned()));
        }
        Err(Mistake::new(format!("`{text}` does not say the version"))
            .mend("write it with `${version}` once, such as `\"${version}-stage\"`"))
    }
}

impl Scalar for Interval {
    const EXPECTED: &'static str = "days, hours and a zone, such as `Tue-Thu 10:00-14:00 UTC`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(|why: String| {
            Mistake::new(why)
                .mend("write `Tue-Thu 10:00-14:00 UTC`, `Fri Europe/Berlin` or `22:00-06:00 UTC`")
        })
    }
}

impl Scalar for Yearly {
    const EXPECTED: &'static str = "days of every year, such as `12-20..12-26`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(|why: String| {
            Mistake::new(why)
                .mend("write `12-20..12-26`, `12-24`, `4th Thu of Nov` or `week of 4th Thu of Nov`")
        })
    }
}

/// The gate that `text` means. `None`: the report says why.
pub(super) fn gate(text: &PolicyFile, desk: &mut Desk) -> Option<Gate> {
    let before = desk.report.count();
    let gate = &text.gate;
    let times = times(&gate.time_intervals, desk);
    let soak = gate.soak.as_ref().map(|soak| self::soak(soak, text, desk));
    let usual = Stances::default();
    let stance = |said: &Option<At<Stance>>, usual| said.as_ref().map_or(usual, |said| said.value);
    let stances = Stances {
        known_bad: stance(&gate.known_bad, usual.known_bad),
        open_incident: stance(&gate.open_incident, usual.open_incident),
        rollback_target: stance(&gate.rollback_target, usual.rollback_target),
        alerts: stance(&gate.alerts, usual.alerts),
    };
    if desk.report.count() > before {
        return None;
    }
    Some(Gate { times, soak: soak.flatten(), stances })
}

fn times(text: &TimesText, desk: &mut Desk) -> Times {
    let zone = text.zone.as_ref().map_or("UTC", |zone| zone.value.0.as_str());
    let intervals = |list: &Option<Vec<At<Interval>>>| {
        list.iter().flatten().map(|interval| interval.value.clone()).collect()
    };
    for (key, list) in [("prefer", &text.prefer), ("avoid", &text.avoid)] {
        if let Some(far) = list.as_ref().and_then(|list| list.get(MAX_ENTRIES)) {
            let mistake = format!("`{key}` has more than {MAX_ENTRIES} entries");
            desk.at(far.marker, Mistake::new(mistake));
        }
    }
    let all = text.freeze.as_deref().unwrap_or_default();
    if all.len() > MAX_ENTRIES {
        let place = desk.key(&["gate", "time_intervals", "freeze"]);
        let mistake = format!("`freeze` has more than {MAX_ENTRIES} entries");
        desk.at(place, Mistake::new(mistake).mend("days of a calendar file are `holidays`"));
    }
    // What could not be read of one is told already.
    let is_whole = !desk.left_out.iter().any(|left| left.iter().any(|key| key == "freeze"));
    let all = if is_whole { all } else { &[] };
    let freeze = all.iter().take(MAX_ENTRIES).filter_map(|one| freeze(one, desk)).collect();
    let on_holiday = match (&text.on_holiday, &text.holidays) {
        (Some(said), None) => {
            let mistake = Mistake::new("there are no `holidays`");
            desk.at(said.marker, mistake.mend("name their calendar: `holidays: holidays.ics`"));
            said.value
        }
        (Some(said), Some(_)) => said.value,
        (None, _) => Stance::Warn,
    };
    let holidays = text.holidays.as_ref().and_then(|name| calendar(name, zone, desk));
    Times {
        zone: zone.to_owned(),
        prefer: intervals(&text.prefer),
        avoid: intervals(&text.avoid),
        freeze,
        holidays,
        on_holiday,
    }
}

fn freeze(text: &FreezeText, desk: &mut Desk) -> Option<Freeze> {
    let places = [
        text.name.as_ref().map(|at| at.marker),
        text.every_year.as_ref().map(|at| at.marker),
        text.from.as_ref().map(|at| at.marker),
        text.to.as_ref().map(|at| at.marker),
    ];
    let list = desk.key(&["gate", "time_intervals", "freeze"]);
    let place: Marker = places.into_iter().flatten().next().unwrap_or(list);
    let Some(name) = &text.name else {
        let mistake = Mistake::new("the freeze has no `name`");
        desk.at(place, mistake.mend("people are told it: `name: Black Friday week`"));
        return None;
    };
    let days = match (&text.every_year, &text.from, &text.to) {
        (Some(yearly), None, None) => Days::EveryYear(yearly.value),
        (None, Some(from), Some(to)) if from.value.0 <= to.value.0 => {
            Days::Once { from: from.value.0, to: to.value.0 }
        }
        (None, Some(_), Some(to)) => {
            desk.at(to.marker, Mistake::new("the freeze ends before it begins"));
            return None;
        }
        _ => {
            let mistake = Mistake::new(format!("when `{}` is can't be told", name.value));
            desk.at(place, mistake.mend("give either `from` and `to`, or `every_year`"));
            return None;
        }
    };
    Some(Freeze { name: name.value.clone(), days })
}

/// The calendar that lies beside the file which names it.
fn calendar(name: &At<CalendarName>, zone: &str, desk: &mut Desk) -> Option<Holidays> {
    let says = desk.report.name(name.marker).to_owned();
    let folder = says.rfind('/').or_else(|| says.rfind(':')).map_or("", |at| &says[..=at]);
    let path = format!("{folder}{}", name.value.0);
    let Some(file) = desk.calendars.iter().find(|file| file.path == path).copied() else {
        let mistake = Mistake::new(format!("there is no calendar `{path}`"));
        desk.at(name.marker, mistake.mend("it lies in the same folder as the file that names it"));
        return None;
    };
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    match holidays(file, &zone) {
        Ok(days) => Some(Holidays { file: name.value.0.clone(), days }),
        Err(mistakes) => {
            for mistake in mistakes {
                desk.report.push(mistake);
            }
            None
        }
    }
}

fn soak(soak: &SoakText, text: &PolicyFile, desk: &mut Desk) -> Option<Soak> {
    let mut lacks = |key: &str, there: bool, example: &str| {
        if !there {
            let mistake = Mistake::new(format!("`soak` has no `{key}`"));
            desk.missing(&["gate", "soak", key], mistake.mend(format!("add `{key}: {example}`")));
        }
    };
    lacks("environment", soak.environment.is_some(), "staging");
    lacks("for", soak.for_.is_some(), "24h");
    if let Some(for_) = soak.for_.as_ref().filter(|for_| for_.value.0.as_hours() > 30 * 24) {
        desk.at(for_.marker, Mistake::new("a soak is 30 days at most"));
    }
    let own = text.environment.as_ref().map(|own| &own.value);
    if let Some(there) = soak.environment.as_ref().filter(|there| Some(&there.value) == own) {
        let mistake = Mistake::new("a deployment can't soak in its own environment");
        desk.at(there.marker, mistake.mend("name the one that it comes through before"));
    }
    if let Some(service) = &soak.service {
        let stars = |text: &str| text.matches('*').count();
        let pattern = text.matches.as_ref().and_then(|matches| matches.service.as_ref());
        let here = pattern.map_or(0, |pattern| stars(&pattern.value.0));
        let plain = !service.value.0.contains(['?', '{', '[']);
        let there = stars(&service.value.0);
        if !plain || there > 1 || (there == 1 && here != 1) {
            let mistake = Mistake::new(format!("`{}` stands for no one service", service.value.0));
            let mend = "a name, or one `*` for what the one `*` of `match.service` matched";
            desk.at(service.marker, mistake.mend(mend));
        }
    }
    Some(Soak {
        environment: soak.environment.as_ref()?.value.clone(),
        for_: soak.for_.as_ref()?.value.0,
        service: soak.service.as_ref().map(|service| service.value.0.clone()),
        version: soak.version.as_ref().map(|version| version.value.0.clone()),
    })
}
