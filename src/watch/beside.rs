//! Who is beside a deployment: services that are settled are its controls, and other
//! deployments of the same time are its rivals. The daemon and a backtest choose by
//! the same rules.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Stage, Watch};
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
/// are not `unsettled`: controls, where the policy names none itself.
pub fn settled_beside<'a>(
    own: &ServiceKey,
    policy: &Policy,
    known: impl IntoIterator<Item = &'a ServiceKey>,
    unsettled: &BTreeSet<&ServiceKey>,
) -> Vec<String> {
    let Ok(alike) = Glob::parse(&policy.matches.service) else { return Vec::new() };
    // In one order, so that the same services are chosen whoever asks.
    let beside: BTreeSet<&ServiceKey> = known
        .into_iter()
        .filter(|other| *other != own && other.target == own.target && other.cluster == own.cluster)
        .filter(|other| alike.matches(&other.service) && !unsettled.contains(other))
        .collect();
    beside.into_iter().take(MOST_BESIDE).map(|other| other.service.clone()).collect()
}

/// Whether a service that is being watched is no control at `now`: its new tasks are not
/// in service yet, or have been for a short while only.
pub fn is_unsettled(in_service_at: Option<Timestamp>, now: Timestamp) -> bool {
    in_service_at.is_none_or(|since| now.duration_since(since) < UNSETTLED)
}

impl Watch {
    /// Whether its service is no control for a deployment that begins `now`. A watch is
    /// open for a day, and where all deploy daily nobody would have a control: it is one
    /// again when it is settled, unless its own deployment has broken it.
    pub fn unsettles(&self, now: Timestamp) -> bool {
        let incident = self.incident.as_ref().filter(|_| self.has_open_incident());
        is_unsettled(self.in_service_at, now)
            || incident.is_some_and(|incident| incident.excused.is_none())
            || matches!(self.stage, Stage::RollingBack(_))
    }
}

/// Of the other deployments of the time, with their services, those that `watch` must
/// know: of its account and environment, what it needs first, and then what shows most. What looks
/// unchanged is nobody's rival.
pub fn rivals<'a>(
    watch: &Watch,
    others: impl IntoIterator<Item = (&'a Service, Rival)>,
) -> Vec<Rival> {
    let own = &watch.deployment.service;
    let needed = &watch.policy().depends_on;
    let mut rivals: Vec<Rival> = others
        .into_iter()
        .filter(|(other, _)| other.key != own.key && other.key.target == own.key.target)
        .filter(|(other, _)| other.environment == own.environment)
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
    fn controls_are_the_first_three_by_name_that_are_settled() {
        let mut policy = world::policy();
        policy.matches.service = "shop-*".into();
        let known = ["shop-e", "shop-c", "shop-b", "shop-a", "shop-d", "other", "shop-c"].map(key);
        let unsettled = BTreeSet::from([&known[2]]);
        let elsewhere = ServiceKey { target: "other".into(), ..key("shop-aa") };
        let known = known.iter().chain([&elsewhere]);
        let chosen = settled_beside(&key("shop-a"), &policy, known, &unsettled);
        assert_eq!(chosen, ["shop-c", "shop-d", "shop-e"]);
    }

    #[test]
    fn a_service_is_settled_an_hour_after_its_tasks_came_into_service() {
        assert!(is_unsettled(None, at(90_000)));
        assert!(is_unsettled(Some(at(0)), at(3599)));
        assert!(!is_unsettled(Some(at(0)), at(3600)));
    }

    #[test]
    fn a_watch_unsettles_its_service_for_an_hour_and_while_its_deployment_breaks_it() {
        let mut guard = world::Guard::settled(world::policy());
        assert!(guard.watch.unsettles(at(3599)));
        assert!(!guard.watch.unsettles(at(3600)), "a watch that is open is no reason");
        guard.breaks(40.0);
        assert!(guard.watch.unsettles(at(3600)), "being rolled back");
        let mut guard = world::Guard::settled(world::policy());
        guard.breaks(5.0);
        assert!(guard.watch.pending.is_some() && guard.watch.unsettles(at(3600)), "broken");
        let incident = guard.watch.incident.as_mut().unwrap();
        incident.excused = Some("another's".into());
        assert!(!guard.watch.unsettles(at(3600)), "not its own doing");
        incident_over(&mut guard);
        assert!(!guard.watch.unsettles(at(3600)), "over");
    }

    fn incident_over(guard: &mut world::Guard) {
        let incident = guard.watch.incident.as_mut().unwrap();
        incident.excused = None;
        incident.resolved_at = Some(at(3000));
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
        let mut abroad = rival("abroad", 99.0);
        abroad.0.key.target = "other".into();
        others.extend([elsewhere, unchanged, abroad]);
        let known = rivals(&guard.watch, others.iter().map(|(of, rival)| (of, rival.clone())));
        let known: Vec<&str> = known.iter().map(|rival| rival.service.as_str()).collect();
        let most = ["db", "s19", "s18", "s17", "s16", "s15", "s14", "s13", "s12", "s11"];
        assert_eq!(known, most);
    }
}
