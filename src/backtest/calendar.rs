//! What was deployed when, and who was watched beside whom.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::deployments::Past;
use super::setup::Setup;
use crate::model::ServiceKey;
use crate::watch::is_unsettled;

/// All deployments, by service and by time. Where one would have ended early by what
/// was found, the calendar doesn't know: a watch lasts to its horizon, or to the next
/// deployment of the service.
pub(super) struct Calendar<'a> {
    setup: &'a Setup,
    all: &'a [Past],
    environments: BTreeMap<&'a str, Environment>,
    /// How long a watch lasts at most.
    lasts: SignedDuration,
}

/// Deployments are known by their places in the list, oldest first.
#[derive(Default)]
struct Environment {
    services: BTreeMap<ServiceKey, OfOne>,
    /// What the policy guards.
    guarded: Vec<usize>,
}

#[derive(Default)]
struct OfOne {
    guarded: bool,
    deployed: Vec<usize>,
}

impl<'a> Calendar<'a> {
    pub fn of(setup: &'a Setup, all: &'a [Past]) -> Self {
        let mut environments: BTreeMap<&str, Environment> = BTreeMap::new();
        let mut places: Vec<usize> = (0..all.len()).collect();
        places.sort_by_key(|place| all[*place].at);
        for place in places {
            let past = &all[place];
            let environment = environments.entry(&past.environment).or_default();
            let of_one = environment.services.entry(setup.service(past).key).or_default();
            of_one.deployed.push(place);
            if setup.mismatch(past).is_none() {
                of_one.guarded = true;
                environment.guarded.push(place);
            }
        }
        let lasts = setup.in_service_after + setup.written.policy.horizon();
        Self { setup, all, environments, lasts }
    }

    fn deployed(&self, past: &Past) -> &[usize] {
        let here = self.environments.get(past.environment.as_str());
        let one = here.and_then(|here| here.services.get(&self.setup.service(past).key));
        one.map_or(&[], |one| &one.deployed)
    }

    pub fn past(&self, place: usize) -> &'a Past {
        &self.all[place]
    }

    /// Earlier deployments of the same service, latest first.
    pub fn before(&self, past: &Past) -> impl Iterator<Item = &'a Past> {
        let all = self.deployed(past);
        let earlier = &all[..all.partition_point(|place| self.all[*place].at < past.at)];
        earlier.iter().rev().map(|place| &self.all[*place])
    }

    /// The deployment that takes its place.
    pub fn next(&self, past: &Past) -> Option<&'a Past> {
        let all = self.deployed(past);
        let next = all.partition_point(|place| self.all[*place].at <= past.at);
        all.get(next).map(|place| &self.all[*place])
    }

    /// When it is watched no longer.
    pub fn until(&self, past: &Past) -> Timestamp {
        let end = past.at.checked_add(self.lasts).unwrap_or(past.at);
        self.next(past).map_or(end, |next| next.at.min(end))
    }

    /// The guarded deployments of other services of its environment whose watches
    /// overlap with its own, oldest first.
    pub fn beside(&self, past: &Past) -> Vec<usize> {
        let here = self.environments.get(past.environment.as_str());
        let places = here.map_or(&[][..], |here| &here.guarded);
        let earliest = past.at.checked_sub(self.lasts).unwrap_or(past.at);
        let (own, until) = (self.setup.service(past).key, self.until(past));
        let first = places.partition_point(|place| self.all[*place].at < earliest);
        places[first..]
            .iter()
            .copied()
            .take_while(|place| self.all[*place].at < until)
            .filter(|place| self.setup.service(&self.all[*place]).key != own)
            .filter(|place| self.until(&self.all[*place]) > past.at)
            .collect()
    }

    /// Guarded services of its environment, and those of them that are unsettled when it
    /// begins; that one was broken by then, the calendar doesn't know.
    pub fn services(&self, past: &Past) -> (Vec<&ServiceKey>, BTreeSet<ServiceKey>) {
        let here = self.environments.get(past.environment.as_str());
        let services = here.into_iter().flat_map(|here| &here.services);
        let known = services.filter(|(_, one)| one.guarded).map(|(key, _)| key).collect();
        let open = self.beside(past).into_iter().map(|place| &self.all[place]);
        let begun = open.filter(|other| other.at <= past.at);
        let unsettled =
            begun.filter(|other| is_unsettled(Some(self.setup.in_service_at(other)), past.at));
        let unsettled = unsettled.map(|other| self.setup.service(other).key).collect();
        (known, unsettled)
    }
}
