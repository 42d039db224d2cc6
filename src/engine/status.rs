//! The daemon's own state, for `/readyz` and the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::tenure::Tenure;

/// What the daemon knows of itself. Shared; every lock is held for a copy only.
#[derive(Debug, Default)]
pub struct Status {
    inner: Mutex<Health>,
}

/// Something that can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Blind {
    pub since: Timestamp,
    /// The latest try.
    pub tried_at: Timestamp,
    /// How often it was tried since.
    pub tries: u32,
    /// What came of the latest try.
    pub because: String,
}

/// Tries, or the time from the first to the latest, after which people are told.
const TRIES: u32 = 3;
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// What was not tried for so long is not wanted any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);

/// One reading of the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Mistakes of the latest policy reading; empty when it is in force.
    pub policy_mistakes: Vec<String>,
    /// Git commit of the policies in force.
    pub policy_commit: Option<String>,
    pub policies: usize,
    /// Why the store can't keep anything, while it can't.
    pub store: Option<String>,
    /// Targets and clusters that can't be looked at, with the reason.
    pub platform: BTreeMap<String, String>,
    /// Since when nothing could be seen there.
    pub blind: BTreeMap<String, Blind>,
    /// Since when a Prometheus can't be asked, by what it is called.
    pub prometheus: BTreeMap<String, Blind>,
    /// Since when presses can't come by Socket Mode.
    pub slack_socket: Option<Blind>,
    /// What policies name and the settings don't: clusters, sources, people.
    pub unseen: Vec<String>,
    /// Services in the clusters that are looked at which no policy guards.
    pub unguarded: Vec<String>,
    /// When the platform was last looked at.
    pub looked_at: Option<Timestamp>,
    /// When the engine last completed a step.
    pub stepped_at: Option<Timestamp>,
}

impl Status {
    pub fn read(&self) -> Health {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The same while the tenure lasts: what comes in after its end does not undo
    /// [`Status::stands_by`].
    pub(super) fn set_in(&self, tenure: &Tenure, change: impl FnOnce(&mut Health)) {
        self.set(|health| {
            if !tenure.is_over() {
                change(health);
            }
        });
    }

    /// Why the store can't be asked, while it can't; told by whoever stands by.
    pub fn store_fails(&self, why: Option<String>) {
        self.set(|health| health.store = why);
    }

    /// What the engine knew is forgotten once it runs elsewhere; one that begins here says
    /// anew what policies it has.
    pub fn stands_by(&self) {
        self.set(|health| *health = Health::default());
    }

    /// Forgets the trouble at the places of `target` that are not among `places`: nobody
    /// looks there any more.
    pub(super) fn keep_places(&self, target: &str, places: &BTreeSet<String>) {
        let here = format!("{target}/");
        let stays = |place: &String| !place.starts_with(&here) || places.contains(place);
        self.set(|health| {
            health.platform.retain(|place, _| stays(place));
            health.blind.retain(|place, _| stays(place));
        });
    }

    /// Whether the latest look there failed.
    pub(super) fn is_blind(&self, place: &str) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).blind.contains_key(place)
    }
}

impl Health {
    /// Why the daemon is not ready; empty: it is. Broken policies leave the last
    /// good ones in force, so they are told and do not make it unready.
    pub fn obstacles(&self) -> Vec<String> {
        let mut obstacles: Vec<String> = self.store.iter().cloned().collect();
        if self.policies == 0 && !self.policy_mistakes.is_empty() {
            obstacles.push("no policy could be read".to_owned());
        }
        obstacles
    }

    /// What keeps the daemon from guarding as it should. A restart mends none of it, so it
    /// stays ready.
    pub fn handicaps(&self, now: Timestamp) -> Vec<String> {
        let blind = self.blind.iter().filter(|(_, one)| one.is_lasting(now)).map(|(place, one)| {
            format!("{place} could not be looked at since {}: {}", clock(one.since), one.because)
        });
        let source = self.prometheus.iter().filter(|(_, one)| one.is_lasting(now));
        let source = source.map(|(name, one)| {
            format!("{name} can't be asked since {}: {}", clock(one.since), one.because)
        });
        // It is replaced within seconds, and tried again at once: tries say nothing here.
        let deaf = self.slack_socket.iter().filter(|one| now.duration_since(one.since) >= PATIENCE);
        let deaf = deaf.map(|one| {
            let since = clock(one.since);
            format!("no press can come by Slack's Socket Mode since {since}: {}", one.because)
        });
        blind.chain(source).chain(deaf).chain(self.unseen.iter().cloned()).collect()
    }

    /// What can't be asked, for so long by `now` that people are told.
    pub fn blind_places(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let all = self.blind.iter().chain(&self.prometheus);
        all.filter(move |(_, one)| one.is_lasting(now)).map(|(place, _)| place.as_str())
    }

    /// Takes in how a look at `place` went.
    pub fn looked(&mut self, place: &str, failed: Option<String>, now: Timestamp) {
        match failed {
            None => drop(self.blind.remove(place)),
            Some(because) => {
                let known = self.blind.remove(place);
                self.blind.insert(place.to_owned(), Blind::again(known, because, now));
            }
        }
    }
}

impl Blind {
    pub(super) fn again(known: Option<Self>, because: String, now: Timestamp) -> Self {
        let (since, tries) = known.map_or((now, 0), |one| (one.since, one.tries));
        Self { since, tried_at: now, tries: tries.saturating_add(1), because }
    }

    fn is_lasting(&self, now: Timestamp) -> bool {
        now.duration_since(self.tried_at) < FORGOTTEN
            && (self.tries >= TRIES || self.tried_at.duration_since(self.since) >= PATIENCE)
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_where_nobody_looks_any_more_is_forgotten_and_none_else() {
        let (status, at) = (Status::default(), Timestamp::UNIX_EPOCH);
        let all = ["default/a", "default/b", "default-2/b", "the queue default/b"];
        status.set(|health| {
            for place in all {
                health.platform.insert(place.to_owned(), "denied".to_owned());
                health.looked(place, Some("denied".to_owned()), at);
            }
        });
        status.keep_places("default", &BTreeSet::from(["default/a".to_owned()]));
        let health = status.read();
        let left = BTreeSet::from(["default/a", "default-2/b", "the queue default/b"]);
        assert_eq!(health.platform.keys().map(String::as_str).collect::<BTreeSet<_>>(), left);
        assert_eq!(health.blind.keys().map(String::as_str).collect::<BTreeSet<_>>(), left);
    }

    #[test]
    fn who_stands_by_tells_nothing_that_only_a_leader_knows() {
        let status = Status::default();
        let blind = || Blind::again(None, "down".to_owned(), Timestamp::UNIX_EPOCH);
        status.set(|health| {
            health.unguarded.push("default/prod/web".to_owned());
            health.unseen.push("cluster `prod` is not looked at".to_owned());
            health.policy_mistakes.push("p.yaml: broken".to_owned());
            health.prometheus.insert("default".to_owned(), blind());
            health.blind.insert("default/prod".to_owned(), blind());
        });
        status.stands_by();
        assert_eq!(status.read(), Health::default());
    }

    #[tokio::test]
    async fn what_ends_after_the_lead_was_lost_is_not_told() {
        let (status, tenure) = (Status::default(), Tenure::without_end());
        let fails = || {
            let at = Timestamp::UNIX_EPOCH;
            let failed = Some("throttled".to_owned());
            status.set_in(&tenure, |health| health.looked("CloudWatch of default", failed, at));
            status.read().blind.len()
        };
        assert_eq!(fails(), 1);
        tenure.end();
        status.stands_by();
        assert_eq!(fails(), 0);
    }

    #[test]
    fn a_lost_connection_to_slack_is_told_after_a_minute() {
        let (mut health, start) = (Health::default(), Timestamp::UNIX_EPOCH);
        let at = |second| start + SignedDuration::from_secs(second);
        for second in [0, 2, 5, 11] {
            let known = health.slack_socket.take();
            health.slack_socket = Some(Blind::again(known, "it was cut".to_owned(), at(second)));
        }
        assert!(health.handicaps(at(59)).is_empty());
        let told =
            "no press can come by Slack's Socket Mode since 1970-01-01 00:00:00 UTC: it was cut";
        assert_eq!(health.handicaps(at(60)), [told]);
        assert!(health.obstacles().is_empty(), "it is ready all the same");
    }

    #[test]
    fn one_failed_look_is_no_news_and_three_are() {
        let (mut health, start) = (Health::default(), Timestamp::UNIX_EPOCH);
        let fails = |health: &mut Health, second| {
            let at = start + SignedDuration::from_secs(second);
            health.looked("default/shop", Some("AccessDenied".to_owned()), at);
            health.handicaps(at)
        };
        assert!(fails(&mut health, 0).is_empty() && fails(&mut health, 5).is_empty());
        let told =
            "default/shop could not be looked at since 1970-01-01 00:00:00 UTC: AccessDenied";
        assert_eq!(fails(&mut health, 10), [told]);
        assert!(health.obstacles().is_empty(), "it is ready all the same");
        health.looked("default/shop", None, start);
        assert!(health.handicaps(start).is_empty());
        assert!(fails(&mut health, 20).is_empty());
        let minute = start + SignedDuration::from_secs(80);
        assert!(health.handicaps(minute).is_empty(), "one that was not tried again stays one");
        assert_eq!(fails(&mut health, 80).len(), 1, "twice, and for a minute");
        let later = start + SignedDuration::from_hours(2);
        assert!(health.handicaps(later).is_empty(), "nobody looks there any more");
    }
}
