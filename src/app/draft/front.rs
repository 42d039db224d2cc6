//! What is before a service, and which alarms speak of it. Pure.

use std::collections::BTreeMap;

use crate::aws::Fault;
use crate::model::{Controller, Front, KnownAlarm, Surveyed};
use crate::policy::{Before, unnameable};

/// Its target groups, by ARNs.
pub(super) fn groups_of(one: &Surveyed) -> Vec<String> {
    let group = |front: &Front| match front {
        Front::Group { group, .. } => Some(group.clone()),
        Front::Classic(_) => None,
    };
    one.fronts.iter().filter_map(group).collect()
}

/// What is before a service, and what is beside it, in words. The first Application Load
/// Balancer counts.
pub(super) fn before(
    one: &Surveyed,
    balancers: &Result<BTreeMap<String, String>, Fault>,
) -> (Before, Vec<String>) {
    let mut found = None;
    let mut why = None;
    let mut beside = Vec::new();
    for front in &one.fronts {
        match (known(one, front, balancers), &found) {
            (Ok(before), None) => found = Some(before),
            (Ok(_), Some(_)) => beside.push(named(front, balancers)),
            (Err(reason), _) => {
                beside.push(named(front, balancers));
                why.get_or_insert(reason);
            }
        }
    }
    let unmeasured = || why.map_or(Before::Nothing, Before::Unmeasured);
    (found.unwrap_or_else(unmeasured), beside)
}

/// What counts the requests of one of them.
///
/// # Errors
/// Why nothing does, in words.
fn known(
    one: &Surveyed,
    front: &Front,
    balancers: &Result<BTreeMap<String, String>, Fault>,
) -> Result<Before, String> {
    let (group, alternate) = match front {
        Front::Group { group, alternate } => (group, alternate),
        Front::Classic(name) => return Err(format!("{name} is a Classic Load Balancer")),
    };
    let balancer = match balancers {
        Ok(balancers) => balancers.get(group),
        Err(fault) => return Err(format!("its load balancer is not known ({})", fault.words)),
    };
    let group = group.rsplit(':').next().unwrap_or_default();
    match balancer.and_then(|arn| Some(arn.split_once(":loadbalancer/")?.1)) {
        Some(balancer) if balancer.starts_with("app/") && unnameable(balancer).is_none() => {
            let swaps = alternate.is_some() || one.controller == Controller::CodeDeploy;
            let group = (!swaps).then(|| group.to_owned());
            Ok(Before::Balancer { balancer: balancer.to_owned(), group })
        }
        Some(other) => Err(format!("{other} counts no requests")),
        None => Err(format!("no load balancer sends to {group}")),
    }
}

/// `targetgroup/api/1 of app/web/1`.
fn named(front: &Front, balancers: &Result<BTreeMap<String, String>, Fault>) -> String {
    let group = match front {
        Front::Group { group, .. } => group,
        Front::Classic(name) => return name.clone(),
    };
    let balancer = balancers.as_ref().ok().and_then(|known| known.get(group));
    let balancer = balancer.and_then(|arn| Some(arn.split_once(":loadbalancer/")?.1));
    let group = group.rsplit(':').next().unwrap_or_default();
    balancer.map_or_else(|| group.to_owned(), |balancer| format!("{group} of {balancer}"))
}

/// Whom an alarm speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    It,
    OthersToo,
    Others,
}

pub(super) fn about(alarm: &KnownAlarm, cluster: &str, one: &Surveyed, before: &Before) -> About {
    let groups = groups_of(one);
    let groups: Vec<&str> = groups.iter().filter_map(|arn| arn.rsplit(':').next()).collect();
    let balancer = match before {
        Before::Balancer { balancer, .. } => Some(balancer.as_str()),
        Before::Nothing | Before::Unmeasured(_) => None,
    };
    let each = alarm.dimensions.iter().map(|dimensions| {
        let said = |name: &str| dimensions.get(name).map(String::as_str);
        match (said("ClusterName"), said("ServiceName"), said("TargetGroup"), said("LoadBalancer"))
        {
            (Some(of), Some(service), ..) if of == cluster && service == one.name => About::It,
            (Some(of), None, ..) if of == cluster => About::OthersToo,
            (None, None, Some(group), _) if groups.contains(&group) => About::It,
            (None, None, None, Some(of)) if balancer == Some(of) => About::OthersToo,
            _ => About::Others,
        }
    });
    let each: Vec<About> = each.collect();
    [About::It, About::OthersToo]
        .into_iter()
        .find(|wanted| each.contains(wanted))
        .unwrap_or(About::Others)
}
