//! When a check is on its way to a wall.

use jiff::SignedDuration;

use super::check::{Kind, Limits};
use super::desk::Desk;
use super::limits::in_words;
use super::raw::LeakText;
use crate::model::Severity;
use crate::policy::LeakRule;
use crate::policy::diagnostic::Mistake;

/// What lies further ahead is not foreseen.
const FURTHEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The leak rule of the check named `name`. `None`: the report says why.
pub(super) fn leak(
    name: &str,
    text: &LeakText,
    kind: Option<Kind>,
    limits: &Limits,
    desk: &mut Desk,
) -> Option<LeakRule> {
    for (key, there, example) in
        [("wall", text.wall.is_some(), "100%"), ("within", text.within.is_some(), "24h")]
    {
        if !there {
            let mistake = Mistake::new(format!("the leak of `{name}` has no `{key}`"))
                .mend(format!("write `{key}: {example}`"));
            desk.missing(&["checks", name, "leak", key], mistake);
        }
    }
    if let Some(within) = &text.within {
        if within.value.0.is_zero() {
            desk.at(within.marker, Mistake::new("a leak takes time: `within` is more than none"));
        } else if within.value.0 > FURTHEST {
            desk.at(within.marker, Mistake::new("a leak is foreseen `within: 30d` at most"));
        }
    }
    if let Some(Kind::Gauge(_)) = kind {
        wall(limits, desk);
    }
    let mildest = limits.breach.last().map_or(Severity::Sev2, |(severity, _)| *severity);
    Some(LeakRule {
        wall: text.wall.as_ref()?.value.value,
        within: text.within.as_ref()?.value.0,
        severity: text.severity.as_ref().map_or(mildest, |severity| severity.value),
    })
}

/// The wall is in the unit of the limits, and nothing that is normal.
fn wall(limits: &Limits, desk: &mut Desk) {
    let (Some(at), unit) = (&limits.wall, limits.unit()) else { return };
    let (wall, marker) = (at.value, at.marker);
    let shown = wall.unit.show(wall.value);
    let mistake = if wall.unit != unit {
        Mistake::new(format!(
            "the limits of this check are {}, and its wall `{shown}` is not",
            in_words(unit)
        ))
    } else if let Some(normal) = &limits.normal
        && normal.value.contains(wall.value)
    {
        let normal = normal.value;
        Mistake::new(format!(
            "normal is `{normal}` and the wall is `{shown}`: it would be healthy at the wall"
        ))
    } else if wall.value <= 0.0 && limits.look_up() {
        Mistake::new(format!("nothing grows to a wall of `{shown}`"))
    } else {
        return;
    };
    desk.at(marker, mistake);
}
