//! Wrong log-ins, so that whoever sends many is not answered each time.
//!
//! This keeps the log quiet and no more: behind a proxy everybody has one address, so a right
//! token is never kept out by it. What keeps guessers out is the length of the tokens.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Wrong ones of an address within `WITHIN` that are answered as such.
const MOST: usize = 5;
const WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// Addresses that are remembered; beyond them every other one is too many.
const ADDRESSES: usize = 10_000;

/// Who was wrong, and when.
#[derive(Debug, Default)]
pub struct Tries(Mutex<BTreeMap<Option<IpAddr>, Vec<Timestamp>>>);

impl Tries {
    /// Notes a wrong log-in; whether it is one too many.
    pub fn are_too_many(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < WITHIN);
            !times.is_empty()
        });
        let address = address.map(neighbours);
        if wrong.len() >= ADDRESSES && !wrong.contains_key(&address) {
            return true;
        }
        let times = wrong.entry(address).or_default();
        let too_many = times.len() >= MOST;
        if !too_many {
            times.push(now);
        }
        too_many
    }
}

/// Whoever has one address of IPv6 has the 2^64 beside it.
fn neighbours(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6((six.to_bits() >> 64 << 64).into()),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_wrong_five_times_a_minute_and_hinders_no_other() {
        let tries = Tries::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let one = Some("2001:db8::1".parse().unwrap());
        let beside = Some("2001:db8::ffff".parse().unwrap());
        let other = Some("192.0.2.1".parse().unwrap());
        for second in 0..5 {
            assert!(!tries.are_too_many(one, at(second)));
        }
        assert!(tries.are_too_many(one, at(5)) && tries.are_too_many(beside, at(5)));
        assert!(!tries.are_too_many(other, at(5)) && !tries.are_too_many(None, at(5)));
        assert!(!tries.are_too_many(beside, at(60)), "the first of them is a minute old");
        assert!(tries.are_too_many(one, at(60)));
    }
}
