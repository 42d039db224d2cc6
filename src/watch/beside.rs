//! Who is beside a deployment: services that nobody deploys are its controls, and other
//! deployments of the same time are its rivals. The daemon and a backtest choose by
//! the same rules.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Watch;
use crate::judge::Rival;
use crate::model::{Service, ServiceKey};
use crate::policy::{Glob, Policy};

/// Services that are looked at beside a deployment where its policy names none.
const MOST_BESIDE: usize = 3;
/// A service that was deployed this recently is no control.
const UNSETTLED: SignedDuration = SignedDuration::from_hours(1);
/// Other deployments that a watch is told of.
const MOST_RIVALS: usize = 10;

/// Of the services that are `known`, those that the policy guards beside `own` and that
/// are not `deploying`: controls, where the policy names none itself.
pub fn undeployed_beside<'a>(
    own: &ServiceKey,
    policy: &Policy,
    known: impl IntoIterator<Item = &'a ServiceKey>,
    deploying: &BTreeSet<&ServiceKey>,
) -> Vec<String> {
    let Ok(alike) = Glob::parse(&policy.matches.service) else { return Vec::new() };
    // In one order, so that the same services are chosen whoever asks.
    let beside: BTreeSet<&ServiceKey> = known
        .into_iter()
        .filter(|other| *other != own && other.cluster == own.cluster)
        .filter(|other| alike.matches(&other.service) && !deploying.contains(other))
        .collect();
    beside.into_iter().take(MOST_BESIDE).map(|other| other.service.clone()).collect()
}

/// Whether a service that is being watched is no control at `now`: its new tasks are not
/// in service yet, or have been for a short while only.
pub fn is_unsettled(in_service_at: Option<Timestamp>, now: Timestamp) -> bool {
    in_service_at.is_none_or(|since| now.duration_since(since) < UNSETTLED)
}

/// Of the other deployments of the time, with their services, those that `watch` must
/// know: of its environment, what it needs first, and then what shows most. What looks
/// unchanged is nobody's rival.
pub fn rivals<'a>(
    watch: &Watch,
    others: impl IntoIterator<Item = (&'a Service, Rival)>,
) -> Vec<Rival> {
    let own = &watch.deployment.service;
    let needed = &watch.policy().depends_on;
    let mut rivals: Vec<Rival> = others
        .into_iter()
        .filter(|(other, _)| other.key != own.key && other.environment == own.environment)
        .filter(|(_, rival)| rival.since.is_some())
        .map(|(_, rival)| Rival { needed: needed.contains(&rival.service), ..rival })
        .collect();
    rivals.sort_by(|a, b| b.needed.cmp(&a.needed).then(b.ln_e.total_cmp(&a.ln_e)));
    rivals.truncate(MOST_RIVALS);
    rivals
}

#[cfg(test)]
mod tests {
    use super::super::tests::{world, world::at};
    use super::*;

    fn key(service: &str) -> ServiceKey {
        ServiceKey { service: service.into(), ..world::key() }
    }

    fn rival(service: &str, ln_e: f64) -> (Service, Rival) {
        let key = key(service);
        let of = Service { name: service.into(), key, ..world::service() };
        let rival = Rival {
            service: service.into(),
            deployment: "v2".into(),
            in_service_at: at(0),
            ln_e,
            rise: 1.0,
            since: Some(at(60)),
            needed: false,
        };
        (of, rival)
    }

    #[test]
    fn controls_are_the_first_three_by_name_that_nobody_deploys() {
        let mut policy = world::policy();
        policy.matches.service = "shop-*".into();
        let known = ["shop-e", "shop-c", "shop-b", "shop-a", "shop-d", "other", "shop-c"].map(key);
        let deploying = BTreeSet::from([&known[2]]);
        let chosen = undeployed_beside(&key("shop-a"), &policy, &known, &deploying);
        assert_eq!(chosen, ["shop-c", "shop-d", "shop-e"]);
    }

    #[test]
    fn a_service_is_settled_an_hour_after_its_tasks_came_into_service() {
        assert!(is_unsettled(None, at(90_000)));
        assert!(is_unsettled(Some(at(0)), at(3599)));
        assert!(!is_unsettled(Some(at(0)), at(3600)));
    }

    #[test]
    fn of_many_rivals_those_that_are_needed_or_show_most_are_known() {
        let mut guard = world::Guard::over(world::policy());
        guard.watch.pinned.policy.depends_on = vec!["db".into()];
        let names: Vec<String> = (0..20).map(|number| format!("s{number:02}")).collect();
        let mut others: Vec<_> =
            names.iter().zip(0..).map(|(name, ln_e)| rival(name, f64::from(ln_e))).collect();
        others.push(rival("db", 0.0));
        let own = guard.watch.deployment.service.name.clone();
        others.push(rival(&own, 99.0));
        let (mut elsewhere, mut unchanged) = (rival("far", 99.0), rival("calm", 99.0));
        elsewhere.0.environment = "staging".into();
        unchanged.1.since = None;
        others.extend([elsewhere, unchanged]);
        let known = rivals(&guard.watch, others.iter().map(|(of, rival)| (of, rival.clone())));
        let known: Vec<&str> = known.iter().map(|rival| rival.service.as_str()).collect();
        let most = ["db", "s19", "s18", "s17", "s16", "s15", "s14", "s13", "s12", "s11"];
        assert_eq!(known, most);
    }
}
