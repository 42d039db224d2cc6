//! How soon a service may be looked at again.
//!
//! What holds for the whole account slows its poller down; what is about one service slows
//! only its own looks. A hint is news: it rests for neither, and is only kept from coming
//! more often than once a second.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::handle::Look;
use crate::model::ServiceKey;
use crate::platform::LookError;

/// The longest pause after failures that pass, in looks.
const SLOWEST: u32 = 8;
/// The longest pause that is due to failures.
const LONGEST: Duration = Duration::from_mins(5);
/// Between two looks at one service that hints cause.
const APART: Duration = Duration::from_secs(1);
/// A service that was not looked at for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// Of one account and region.
#[derive(Debug)]
pub(super) struct Pacing {
    slow: u32,
    services: BTreeMap<ServiceKey, Pace>,
}

#[derive(Debug)]
struct Pace {
    looked: Instant,
    slow: u32,
    /// When its pause after a failure ends.
    rested: Instant,
}

/// What was looked at together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// All that is guarded there. `listed`: whether no listing failed for a reason that
    /// holds for the whole account.
    Full { listed: bool },
    /// What moves, or what hints are about.
    Part,
}

impl Pacing {
    pub(super) fn new() -> Self {
        Self { slow: 1, services: BTreeMap::new() }
    }

    /// How long to pause between looks at the account that are `usual` apart: up to
    /// [`SLOWEST`] times as long, and up to [`LONGEST`] where it is not longer anyway.
    pub(super) fn pause(&self, usual: Duration) -> Duration {
        slowed(usual, self.slow)
    }

    /// Whether the service does not pause after a failure of its own.
    pub(super) fn is_rested(&self, key: &ServiceKey, now: Instant) -> bool {
        self.services.get(key).is_none_or(|pace| pace.rested <= now)
    }

    /// When a hint may cause a look at it, however it rests; `None`: at once.
    pub(super) fn hinted(&self, key: &ServiceKey) -> Option<Instant> {
        self.services.get(key).map(|pace| pace.looked + APART)
    }

    /// Takes in how looks went that began at `begun`. `usual`: how long after one look at a
    /// service the next one is made. One good look says little of an account that
    /// throttles: only full rounds quicken, by halves.
    pub(super) fn looked(
        &mut self,
        looks: &[Look],
        round: Round,
        begun: Instant,
        now: Instant,
        usual: impl Fn(&ServiceKey) -> Duration,
    ) {
        let slower = |slow: u32| (slow * 2).min(SLOWEST);
        let everywhere = |(_, look): &Look| matches!(look, Err(LookError::Everywhere(_)));
        let failed = looks.iter().any(everywhere) || round == Round::Full { listed: false };
        self.slow = match round {
            _ if failed => slower(self.slow),
            Round::Full { .. } => (self.slow / 2).max(1),
            Round::Part => self.slow,
        };
        for (key, look) in looks {
            let known = self.services.get(key).map_or(1, |pace| pace.slow);
            let (slow, rested) = match look {
                Err(LookError::Transient(_)) => {
                    let slow = slower(known);
                    (slow, now + slowed(usual(key), slow))
                }
                // It says nothing about the service.
                Err(LookError::Everywhere(_)) => (known, now),
                // People mend what was refused: there is nothing to be spared.
                Ok(_) | Err(LookError::Permanent(_)) => (1, now),
            };
            self.services.insert(key.clone(), Pace { looked: begun, slow, rested });
        }
        self.services.retain(|_, pace| now < pace.rested.max(pace.looked) + FORGOTTEN);
    }
}

fn slowed(usual: Duration, slow: u32) -> Duration {
    usual.max((usual * slow).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::world::key;

    const USUAL: Duration = Duration::from_secs(5);

    fn named(name: &str) -> ServiceKey {
        ServiceKey { service: name.to_owned(), ..key() }
    }

    fn failed(error: fn(String) -> LookError) -> Result<Option<crate::model::Sighting>, LookError> {
        Err(error("why".to_owned()))
    }

    #[tokio::test]
    async fn what_is_about_one_service_slows_only_its_own_looks() {
        let (mut pacing, start) = (Pacing::new(), Instant::now());
        let (odd, well) = (named("odd"), named("well"));
        let mut now = start;
        for pause in [10, 20, 40, 40] {
            let looks = [(odd.clone(), failed(LookError::Transient)), (well.clone(), Ok(None))];
            pacing.looked(&looks, Round::Part, now, now, |_| USUAL);
            let rested = now + Duration::from_secs(pause);
            assert!(!pacing.is_rested(&odd, rested - Duration::from_millis(1)), "{pause} s");
            assert!(pacing.is_rested(&odd, rested), "{pause} s");
            assert_eq!(pacing.hinted(&odd), Some(now + APART), "a hint does not rest");
            assert!(pacing.is_rested(&well, now));
            assert_eq!(pacing.pause(USUAL), USUAL);
            now = rested;
        }
        pacing.looked(&[(odd.clone(), Ok(None))], Round::Part, now, now, |_| USUAL);
        assert!(pacing.is_rested(&odd, now));
        assert_eq!(pacing.hinted(&odd), Some(now + APART), "hints that come together are one look");
        let again = [(odd.clone(), failed(LookError::Transient))];
        pacing.looked(&again, Round::Part, now, now, |_| USUAL);
        assert!(pacing.is_rested(&odd, now + USUAL * 2), "it begins anew");
        let later = now + USUAL * 2 + FORGOTTEN;
        pacing.looked(&[], Round::Part, later, later, |_| USUAL);
        assert!(pacing.services.is_empty(), "nobody looks at it any more");
    }

    #[tokio::test]
    async fn what_is_about_the_account_slows_all_looks_and_what_is_refused_none() {
        let (mut pacing, now) = (Pacing::new(), Instant::now());
        for slow in [2, 4, 8, 8] {
            let looks = [(key(), failed(LookError::Everywhere)), (named("well"), Ok(None))];
            pacing.looked(&looks, Round::Part, now, now, |_| USUAL);
            assert_eq!(pacing.pause(USUAL), USUAL * slow);
            assert!(pacing.is_rested(&key(), now), "it is no fault of the service");
        }
        let hour = Duration::from_hours(1);
        assert_eq!((pacing.pause(USUAL * 12), pacing.pause(hour)), (LONGEST, hour));
        let refused = [(key(), failed(LookError::Permanent))];
        pacing.looked(&refused, Round::Part, now, now, |_| USUAL);
        assert_eq!(pacing.pause(USUAL), USUAL * 8, "one look by a hint says little");
        for slow in [4, 2, 1, 1] {
            pacing.looked(&refused, Round::Full { listed: true }, now, now, |_| USUAL);
            assert_eq!(pacing.pause(USUAL), USUAL * slow);
            assert!(pacing.is_rested(&key(), now));
        }
        pacing.looked(&refused, Round::Full { listed: false }, now, now, |_| USUAL);
        assert_eq!(pacing.pause(USUAL), USUAL * 2, "a listing is throttled like a look");
    }
}
