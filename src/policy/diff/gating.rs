//! What is asked before a deployment.

use std::cmp::Ordering;
use std::fmt::Display;

use super::Effect;
use super::sides::{Told, time};
use crate::policy::{Gate, Holidays, Soak, Stance, Stances, Times};

pub(super) fn gating(old: &Gate, new: &Gate, told: &mut Told) {
    let Gate { times, soak, stances } = old;
    let Times { zone, prefer, avoid, freeze, holidays, on_holiday } = times;
    told.neutral("gate.time_intervals.zone", zone, &new.times.zone);
    listed("gate.time_intervals.prefer", prefer, &new.times.prefer, Effect::Other, told);
    listed("gate.time_intervals.avoid", avoid, &new.times.avoid, Effect::Stricter, told);
    listed("gate.time_intervals.freeze", freeze, &new.times.freeze, Effect::Stricter, told);
    holiday(holidays.as_ref(), new.times.holidays.as_ref(), told);
    stance("gate.time_intervals.on_holiday", *on_holiday, new.times.on_holiday, told);
    let soaks = (words(soak.as_ref()), words(new.soak.as_ref()));
    let for_ = |soak: &Option<Soak>| soak.as_ref().map(|soak| soak.for_);
    told.changed("gate.soak", soaks.0, soaks.1, for_(&new.soak).cmp(&for_(soak)));
    let Stances { known_bad, open_incident, rollback_target, alerts } = *stances;
    stance("gate.known_bad", known_bad, new.stances.known_bad, told);
    stance("gate.open_incident", open_incident, new.stances.open_incident, told);
    stance("gate.rollback_target", rollback_target, new.stances.rollback_target, told);
    stance("gate.alerts", alerts, new.stances.alerts, told);
}

fn stance(what: &str, old: Stance, new: Stance, told: &mut Told) {
    told.changed(what, old.as_str(), new.as_str(), new.cmp(&old));
}

/// `more`: what one more entry is.
fn listed<T: Display>(what: &str, old: &[T], new: &[T], more: Effect, told: &mut Told) {
    let shown = |list: &[T]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (old, new) = (shown(old), shown(new));
    let less = if more == Effect::Stricter { Effect::Looser } else { Effect::Other };
    for gone in old.iter().filter(|entry| !new.contains(entry)) {
        told.say(format!("{what}: no longer {gone}"), less);
    }
    for come in new.iter().filter(|entry| !old.contains(entry)) {
        told.say(format!("{what}: {come}"), more);
    }
}

fn holiday(old: Option<&Holidays>, new: Option<&Holidays>, told: &mut Told) {
    let what = "gate.time_intervals.holidays";
    let name = |holidays: Option<&Holidays>| {
        holidays.map_or_else(|| "none".to_owned(), |holidays| holidays.file.clone())
    };
    let more = new.is_some().cmp(&old.is_some());
    told.changed(what, name(old), name(new), more);
    if let (Some(old), Some(new)) = (old, new)
        && old.file == new.file
    {
        let count =
            |a: &Holidays, b: &Holidays| a.days.iter().filter(|day| !b.days.contains(day)).count();
        let (gone, come) = (count(old, new), count(new, old));
        if gone + come > 0 {
            let effect = if gone == 0 { Ordering::Greater } else { Ordering::Equal };
            told.say(format!("{what}: {come} days more, {gone} days gone"), effect.into());
        }
    }
}

fn words(soak: Option<&Soak>) -> String {
    let Some(Soak { environment, for_, service, version }) = soak else {
        return "none".to_owned();
    };
    let service = service.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    let version = version.as_ref().map(|text| format!(", version {text}")).unwrap_or_default();
    format!("{} in {environment}{service}{version}", time(*for_))
}
