//! How soon a service may be looked at again.
//!
//! What holds for the whole account slows its poller down; what is about one service slows
//! only its own looks.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::handle::Look;
use crate::model::ServiceKey;
use crate::platform::LookError;

/// The longest pause after failures that pass, in looks.
const SLOWEST: u32 = 8;
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

impl Pacing {
    pub(super) fn new() -> Self {
        Self { slow: 1, services: BTreeMap::new() }
    }

    /// How many times longer than usual to pause between looks at the account; 1 to
    /// [`SLOWEST`].
    pub(super) fn slow(&self) -> u32 {
        self.slow
    }

    /// Whether the service does not pause after a failure of its own.
    pub(super) fn is_rested(&self, key: &ServiceKey, now: Instant) -> bool {
        self.services.get(key).is_none_or(|pace| pace.rested <= now)
    }

    /// When a hint may cause a look at it; `None`: at once.
    pub(super) fn hinted(&self, key: &ServiceKey) -> Option<Instant> {
        self.services.get(key).map(|pace| pace.rested.max(pace.looked + APART))
    }

    /// Takes in how looks went that began at `begun`. `usual`: how long after one look at a
    /// service the next one is made.
    pub(super) fn looked(
        &mut self,
        looks: &[Look],
        begun: Instant,
        now: Instant,
        usual: impl Fn(&ServiceKey) -> Duration,
    ) {
        let slower = |slow: u32| (slow * 2).min(SLOWEST);
        let everywhere = |(_, look): &Look| matches!(look, Err(LookError::Everywhere(_)));
        self.slow = if looks.iter().any(everywhere) { slower(self.slow) } else { 1 };
        for (key, look) in looks {
            let known = self.services.get(key).map_or(1, |pace| pace.slow);
            let (slow, rested) = match look {
                Err(LookError::Transient(_)) => {
                    let slow = slower(known);
                    (slow, now + usual(key) * slow)
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
            pacing.looked(&looks, now, now, |_| USUAL);
            let rested = now + Duration::from_secs(pause);
            assert!(!pacing.is_rested(&odd, rested - Duration::from_millis(1)), "{pause} s");
            assert!(pacing.is_rested(&odd, rested), "{pause} s");
            assert_eq!(pacing.hinted(&odd), Some(rested), "a hint waits too");
            assert!(pacing.is_rested(&well, now));
            assert_eq!(pacing.slow(), 1);
            now = rested;
        }
        pacing.looked(&[(odd.clone(), Ok(None))], now, now, |_| USUAL);
        assert!(pacing.is_rested(&odd, now));
        assert_eq!(pacing.hinted(&odd), Some(now + APART), "hints that come together are one look");
        pacing.looked(&[(odd.clone(), failed(LookError::Transient))], now, now, |_| USUAL);
        assert_eq!(pacing.hinted(&odd), Some(now + USUAL * 2), "it begins anew");
        let later = now + USUAL * 2 + FORGOTTEN;
        pacing.looked(&[], later, later, |_| USUAL);
        assert!(pacing.services.is_empty(), "nobody looks at it any more");
    }

    #[tokio::test]
    async fn what_is_about_the_account_slows_all_looks_and_what_is_refused_none() {
        let (mut pacing, now) = (Pacing::new(), Instant::now());
        for slow in [2, 4, 8, 8] {
            let looks = [(key(), failed(LookError::Everywhere)), (named("well"), Ok(None))];
            pacing.looked(&looks, now, now, |_| USUAL);
            assert_eq!(pacing.slow(), slow);
            assert!(pacing.is_rested(&key(), now), "it is no fault of the service");
        }
        pacing.looked(&[(key(), failed(LookError::Permanent))], now, now, |_| USUAL);
        assert_eq!((pacing.slow(), pacing.is_rested(&key(), now)), (1, true));
    }
}
