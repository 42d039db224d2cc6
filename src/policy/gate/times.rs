//! When a deployment may be: windows, freezes and holidays, at a moment and from it on.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::{Freeze, Holidays, Interval, Stance};

/// The policy's `time_intervals`.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Whose days the dates are, by its IANA name.
    pub zone: String,
    /// Outside all of them is a warning; empty: any time will do.
    pub prefer: Vec<Interval>,
    /// Within one of them is a warning.
    pub avoid: Vec<Interval>,
    /// Within one of them is a refusal.
    pub freeze: Vec<Freeze>,
    pub holidays: Option<Holidays>,
    pub on_holiday: Stance,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            zone: "UTC".to_owned(),
            prefer: Vec::new(),
            avoid: Vec::new(),
            freeze: Vec::new(),
            holidays: None,
            on_holiday: Stance::Warn,
        }
    }
}

/// A rule that speaks against a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub by: HeldBy,
    pub stance: Stance,
    /// When it speaks no longer; `None`: not within the next year.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
    /// The freeze's name.
    Freeze(String),
    Holiday(String),
    /// The interval that is to be avoided.
    Avoid(String),
    /// The windows, none of which is open.
    Outside(String),
}

/// How far ahead is looked, in days: every yearly rule has had its turn by then. What is
/// said of is nearer.
const AHEAD: i32 = 400;
const SAID: SignedDuration = SignedDuration::from_hours(24 * 390);
/// Steps of the search for an open moment.
const STEPS: usize = 2000;

/// A stretch in which a rule speaks, and which.
type Spell = (Timestamp, Timestamp, HeldBy, Stance);

impl Times {
    /// Everything that speaks against `now`.
    pub fn at(&self, now: Timestamp) -> Vec<Held> {
        let (against, windows) = self.laid_out(now);
        let mut held: Vec<Held> = Vec::new();
        for (_, until, by, stance) in lasting(&against, now) {
            // Days that follow one another are one holiday to whoever waits for its end.
            let until = Some(through(&against, *until, by)).filter(|until| is_near(now, *until));
            if !held.iter().any(|known| known.by == *by) {
                held.push(Held { by: by.clone(), stance: *stance, until });
            }
        }
        let inside = windows.iter().any(|(from, until)| *from <= now && now < *until);
        if !self.prefer.is_empty() && !inside {
            let names: Vec<String> = self.prefer.iter().map(ToString::to_string).collect();
            let until = windows.iter().map(|(from, _)| *from).filter(|from| *from > now).min();
            let by = HeldBy::Outside(names.join(", "));
            held.push(Held { by, stance: Stance::Warn, until });
        }
        held
    }

    /// The first moment from `now` on against which nothing of at least this stance
    /// speaks; `None`: there is none within a year.
    pub fn open_from(&self, now: Timestamp, least: Stance) -> Option<Timestamp> {
        let (mut against, windows) = self.laid_out(now);
        against.retain(|(.., stance)| *stance >= least);
        let needs_window = !self.prefer.is_empty() && least <= Stance::Warn;
        let mut at = now;
        for _ in 0..STEPS {
            if let Some(end) = lasting(&against, at).map(|(_, until, ..)| *until).max() {
                at = end;
            } else if needs_window && !windows.iter().any(|(from, to)| *from <= at && at < *to) {
                at = windows.iter().map(|(from, _)| *from).filter(|from| *from > at).min()?;
            } else {
                return is_near(now, at).then_some(at);
            }
        }
        None
    }

    /// What speaks against moments from `now` on, and the windows that are preferred.
    fn laid_out(&self, now: Timestamp) -> (Vec<Spell>, Vec<(Timestamp, Timestamp)>) {
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        let today = now.to_zoned(TimeZone::UTC).date();
        // A day is another one elsewhere, and what began may last.
        let first = today.checked_sub(2.days()).unwrap_or(today);
        let last = today.checked_add(AHEAD.days()).unwrap_or(today);
        let mut against: Vec<Spell> = Vec::new();
        for freeze in &self.freeze {
            let by = HeldBy::Freeze(freeze.name.clone());
            let spells = freeze.spells(first, last, &zone).into_iter();
            against.extend(spells.map(|(from, to)| (from, to, by.clone(), Stance::Refuse)));
        }
        if self.on_holiday > Stance::Ignore {
            for holiday in self.holidays.iter().flat_map(|all| &all.days) {
                let by = HeldBy::Holiday(holiday.name.clone());
                let spell = holiday.spell(first, last, &zone);
                against.extend(spell.map(|(from, to)| (from, to, by, self.on_holiday)));
            }
        }
        for interval in &self.avoid {
            let by = HeldBy::Avoid(interval.to_string());
            let spells = interval.spells(first, last).into_iter();
            against.extend(spells.map(|(from, to)| (from, to, by.clone(), Stance::Warn)));
        }
        let windows = self.prefer.iter().flat_map(|interval| interval.spells(first, last));
        (against, windows.collect())
    }
}

fn is_near(now: Timestamp, at: Timestamp) -> bool {
    at.duration_since(now) < SAID
}

fn lasting(spells: &[Spell], at: Timestamp) -> impl Iterator<Item = &Spell> {
    spells.iter().filter(move |(from, until, ..)| *from <= at && at < *until)
}

/// The end of what goes on under the same name at `until`.
fn through(spells: &[Spell], until: Timestamp, by: &HeldBy) -> Timestamp {
    let mut end = until;
    while let Some((_, later, ..)) = lasting(spells, end).find(|(.., name, _)| name == by) {
        end = *later;
    }
    end
}
