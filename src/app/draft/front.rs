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

/// What is before a service. The first Application Load Balancer counts.
pub(super) fn before(
    one: &Surveyed,
    balancers: &Result<BTreeMap<String, String>, Fault>,
) -> Before {
    let mut why = None;
    for front in &one.fronts {
        let (group, alternate) = match front {
            Front::Group { group, alternate } => (group, alternate),
            Front::Classic(name) => {
                why.get_or_insert(format!("{name} is a Classic Load Balancer"));
                continue;
            }
        };
        let balancer = match balancers {
            Ok(balancers) => balancers.get(group),
            Err(fault) => {
                why.get_or_insert(format!("its load balancer is not known ({})", fault.words));
                continue;
            }
        };
        let group = group.rsplit(':').next().unwrap_or_default();
        let named = balancer.and_then(|arn| Some(arn.split_once(":loadbalancer/")?.1));
        match named {
            Some(balancer) if balancer.starts_with("app/") && unnameable(balancer).is_none() => {
                let swaps = alternate.is_some() || one.controller == Controller::CodeDeploy;
                let group = (!swaps).then(|| group.to_owned());
                return Before::Balancer { balancer: balancer.to_owned(), group };
            }
            Some(other) => {
                why.get_or_insert(format!("{other} counts no requests"));
            }
            None => {
                why.get_or_insert(format!("no load balancer sends to {group}"));
            }
        }
    }
    why.map_or(Before::Nothing, Before::Unmeasured)
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
