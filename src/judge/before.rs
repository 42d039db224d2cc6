//! What was down before the deployment counts only once it has been up.
//!
//! A health endpoint and a probe have no past: they are looked at from the start of the
//! roll-out. A deployment that is in service when it is first seen takes over what the watch
//! before it saw of an endpoint right before. What nobody saw before counts as well only once
//! it has been up, with one exception: a check that the endpoint did not name before, though
//! it answered and was up, came with the new version, and is its own.
//!
//! The past of a query is asked for. What it did not show then is new, and counts at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{CHECK, Measurement, Reading, Unusable};
use crate::policy::BeforeRule;

/// Series that are remembered.
const MOST: usize = 200;

/// What has been seen of a status since the roll-out began, by series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Whether it was seen up before the first new task was in service, in any part.
    answered: bool,
    up: BTreeSet<String>,
    /// Down before, and not up since.
    down: BTreeSet<String>,
    /// Whether its past has been asked for.
    #[serde(default)]
    asked: bool,
    /// Of the newest two answers, oldest first, which series were up.
    #[serde(default)]
    newest: Vec<(Timestamp, BTreeMap<String, bool>)>,
}

impl Before {
    /// What is known where a watch over what was in place before looked up to a moment ago, by
    /// series.
    pub fn after(looks: &BTreeMap<String, bool>) -> Self {
        let value = |up: &bool| f64::from(u8::from(*up));
        let values = looks.iter().map(|(name, up)| (name.clone(), value(up))).collect();
        let mut before = Self::default();
        let _ = before.sift(&Ok(Measurement::Gauge { values }), true, BeforeRule::Watched);
        before
    }

    /// Keeps what was seen at `at`, for the deployment that comes next.
    pub fn keep(&mut self, reading: &Reading, at: Timestamp) {
        let Ok(Measurement::Gauge { values }) = reading else { return };
        let up = values.iter().take(MOST).map(|(name, value)| (name.clone(), *value > 0.0));
        self.newest.push((at, up.collect()));
        let older = self.newest.len().saturating_sub(2);
        self.newest.drain(..older);
    }

    /// Which series were up in one of the newest two answers, if that is `within` so long before
    /// `now`: the last one may have met what comes next already.
    pub fn lately(&self, now: Timestamp, within: SignedDuration) -> Option<BTreeMap<String, bool>> {
        let (at, _) = self.newest.last()?;
        if now.duration_since(*at) > within {
            return None;
        }
        let mut lately = BTreeMap::new();
        for (name, up) in self.newest.iter().flat_map(|(_, all)| all) {
            *lately.entry(name.clone()).or_default() |= *up;
        }
        Some(lately)
    }

    /// `reading` without the series that do not count, and their names. `is_before`: the first
    /// new task is not in service yet. Nothing left is no data.
    pub fn sift(
        &mut self,
        reading: &Reading,
        is_before: bool,
        rule: BeforeRule,
    ) -> (Reading, Vec<String>) {
        let Ok(Measurement::Gauge { values }) = reading else {
            return (reading.clone(), Vec::new());
        };
        for (name, value) in values {
            if *value > 0.0 {
                self.down.remove(name);
                if self.up.len() < MOST {
                    self.up.insert(name.clone());
                }
            } else if is_before && !self.up.contains(name) && self.down.len() < MOST {
                self.down.insert(name.clone());
            }
        }
        self.answered |= is_before && values.values().any(|value| *value > 0.0);
        let (kept, left): (BTreeMap<String, f64>, BTreeMap<String, f64>) = values
            .iter()
            .map(|(name, value)| (name.clone(), *value))
            .partition(|(name, value)| *value > 0.0 || self.counts(name, rule));
        let left: Vec<String> = left.keys().map(|name| shown(name)).collect();
        if kept.is_empty() {
            let why = "down since before the deployment, or never seen up: it counts once it has \
                       been up";
            return (Err(Unusable::Refused(why.to_owned())), left);
        }
        (Ok(Measurement::Gauge { values: kept }), left)
    }

    fn counts(&self, name: &str, rule: BeforeRule) -> bool {
        let is_known = match rule {
            BeforeRule::Watched => self.answered,
            // Until its past has come, or can't be had, nobody knows what was down before.
            BeforeRule::Asked => self.answered || self.asked,
        };
        self.up.contains(name) || (is_known && !self.down.contains(name))
    }

    /// What the past said just before the deployment; `None`: it can't be had.
    pub fn look_back(&mut self, look: Option<&Reading>) {
        self.asked = true;
        if let Some(look) = look {
            let _ = self.sift(look, true, BeforeRule::Asked);
        }
    }

    pub fn is_asked(&self) -> bool {
        self.asked
    }
}

/// A series of a health endpoint by the name of its check.
fn shown(name: &str) -> String {
    let inner = name.strip_prefix("{").and_then(|name| name.strip_suffix("\"}"));
    let check = inner.and_then(|name| name.strip_prefix(CHECK)?.strip_prefix("=\""));
    check.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> String {
        format!("{{check={name:?}}}")
    }

    #[expect(clippy::unnecessary_wraps, reason = "it stands for what a source says")]
    fn reading(values: &[(&str, f64)]) -> Reading {
        let values = values.iter().map(|(name, value)| (named(name), *value)).collect();
        Ok(Measurement::Gauge { values })
    }

    /// What is left of `after`, the task in service, and what is not counted.
    fn sifted(before: &mut Before, after: &[(&str, f64)]) -> (Vec<String>, Vec<String>) {
        let (left, out) = before.sift(&reading(after), false, BeforeRule::Watched);
        let kept = match left {
            Ok(Measurement::Gauge { values }) => values.keys().map(|name| shown(name)).collect(),
            Ok(Measurement::Counts(_) | Measurement::Histogram(_)) | Err(_) => Vec::new(),
        };
        (kept, out)
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_up_before_counts_when_it_goes_down() {
        let mut before = Before::default();
        let _ = before.sift(&reading(&[("status", 1.0), ("db", 1.0)]), true, BeforeRule::Watched);
        let down = sifted(&mut before, &[("status", 1.0), ("db", 0.0)]);
        assert_eq!(down, (texts(&["db", "status"]), texts(&[])));
    }

    #[test]
    fn what_was_down_before_counts_only_once_it_has_been_up() {
        let mut before = Before::default();
        let _ = before.sift(&reading(&[("status", 1.0), ("db", 0.0)]), true, BeforeRule::Watched);
        let down = [("status", 1.0), ("db", 0.0)];
        assert_eq!(sifted(&mut before, &down), (texts(&["status"]), texts(&["db"])));
        let _ = sifted(&mut before, &[("status", 1.0), ("db", 1.0)]);
        assert_eq!(sifted(&mut before, &down), (texts(&["db", "status"]), texts(&[])));
    }

    #[test]
    fn an_endpoint_that_was_down_as_a_whole_excuses_all_of_it() {
        let mut before = Before::default();
        let _ = before.sift(&reading(&[("status", 0.0)]), true, BeforeRule::Watched);
        let (kept, out) = sifted(&mut before, &[("status", 0.0)]);
        assert_eq!((kept, out), (texts(&[]), texts(&["status"])));
        // It answers for the first time, and its database is down: nobody knows since when.
        let answers = sifted(&mut before, &[("status", 1.0), ("db", 0.0)]);
        assert_eq!(answers, (texts(&["status"]), texts(&["db"])));
    }

    #[test]
    fn a_check_that_came_with_the_new_version_is_its_own() {
        let mut before = Before::default();
        let _ = before.sift(&reading(&[("status", 1.0)]), true, BeforeRule::Watched);
        let down = sifted(&mut before, &[("status", 1.0), ("queue", 0.0)]);
        assert_eq!(down, (texts(&["queue", "status"]), texts(&[])));
    }

    #[test]
    fn what_nobody_looked_at_before_counts_only_once_it_has_been_up() {
        let mut before = Before::default();
        let down = [("db", 0.0), ("status", 0.0)];
        assert_eq!(sifted(&mut before, &down), (texts(&[]), texts(&["db", "status"])));
        let _ = sifted(&mut before, &[("db", 1.0), ("status", 1.0)]);
        assert_eq!(sifted(&mut before, &down), (texts(&["db", "status"]), texts(&[])));
    }

    #[test]
    fn before_its_past_has_come_nobody_knows_what_a_query_said_before() {
        let mut before = Before::default();
        let down = reading(&[("postgres", 0.0)]);
        assert!(before.sift(&down, false, BeforeRule::Asked).0.is_err());
        before.look_back(None);
        assert_eq!(before.sift(&down, false, BeforeRule::Asked).0, down, "and none is to be had");
    }

    #[test]
    fn the_next_deployment_takes_over_what_was_up_in_one_of_the_newest_two_answers() {
        let at = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let minute = SignedDuration::from_mins(1);
        let mut seen = Before::default();
        assert_eq!(seen.lately(at(0), minute), None);
        seen.keep(&reading(&[("db", 1.0), ("status", 1.0)]), at(0));
        seen.keep(&reading(&[("db", 0.0), ("status", 1.0)]), at(10));
        // This one may have met the next deployment already.
        seen.keep(&reading(&[("db", 0.0), ("status", 0.0)]), at(20));
        seen.keep(&Err(Unusable::NothingNew), at(30));
        let lately = seen.lately(at(80), minute).unwrap();
        assert_eq!(lately, [(named("db"), false), (named("status"), true)].into());
        assert_eq!(seen.lately(at(81), minute), None, "too long ago");
        let down = [("db", 0.0), ("status", 0.0)];
        let counted = sifted(&mut Before::after(&lately), &down);
        assert_eq!(counted, (texts(&["status"]), texts(&["db"])));
        assert_eq!(Before::after(&BTreeMap::new()), Before::default());
    }

    #[test]
    fn what_a_query_said_before_is_known_and_what_it_did_not_say_is_new() {
        let mut before = Before::default();
        assert!(!before.is_asked());
        before.look_back(Some(&reading(&[("postgres", 0.0), ("redis", 1.0)])));
        assert!(before.is_asked());
        let now = reading(&[("postgres", 0.0), ("redis", 0.0), ("api", 0.0)]);
        let (left, out) = before.sift(&now, false, BeforeRule::Asked);
        assert_eq!(out, texts(&["postgres"]));
        assert_eq!(left, reading(&[("api", 0.0), ("redis", 0.0)]));
        // Up meanwhile, it counts as every other.
        let _ = before.sift(&reading(&[("postgres", 1.0)]), false, BeforeRule::Asked);
        assert_eq!(before.sift(&now, false, BeforeRule::Asked).1, texts(&[]));
    }
}
