//! The services that a policy's pattern stands for: those that the source has series of.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::Asked;
use crate::model::{Ask, Deployment, Facts, RollbackSafe, Service, ServiceKey, Unusable};
use crate::policy::{Glob, Policy, Vars, selectors};

/// Services of one policy that are asked about.
const MOST: usize = 20;
/// Stands where a service's name will: no service is called this.
const PLACE: &str = "deployguard-asks-which";

/// The services to ask about, and what there is to say of the others.
pub(super) async fn of(
    asked: &Asked<'_>,
    policy: &Policy,
    named: &[String],
) -> Result<(Vec<String>, Option<String>), Unusable> {
    let Ok(glob) = Glob::parse(&policy.matches.service) else { return Ok((Vec::new(), None)) };
    if !named.is_empty() {
        let ours = named.iter().filter(|name| glob.matches(name)).cloned().collect();
        return Ok((ours, None));
    }
    let mut names: Vec<String> = match glob.plain() {
        Some(names) => names,
        None => found(asked, policy).await?.into_iter().filter(|one| glob.matches(one)).collect(),
    };
    let pattern = &policy.matches.service;
    if names.is_empty() {
        let note = format!(
            "no series is about a service that `{pattern}` matches: name one with --service, or \
             see whether `labels.service` is the right label"
        );
        return Ok((names, Some(note)));
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let note = (more > 0).then(|| format!("{more} more services are not asked about: --service"));
    Ok((names, note))
}

/// The values of each label that the policy compares with the service's name.
async fn found(asked: &Asked<'_>, policy: &Policy) -> Result<BTreeSet<String>, Unusable> {
    let (vars, window) = (vars(asked, policy, PLACE), SignedDuration::from_mins(1));
    let mut labels = BTreeSet::new();
    for check in &policy.checks {
        for ask in policy.question(check, &vars, window, None, None).asks {
            let (Ask::Query(text) | Ask::Counter(text)) = &ask;
            for selector in selectors(text) {
                let matchers = selector.matchers.matchers.iter();
                let ours = matchers.filter(|matcher| matcher.value == PLACE);
                labels.extend(
                    ours.filter_map(|one| Some((selector.name.clone()?, one.name.clone()))),
                );
            }
        }
    }
    let mut names = BTreeSet::new();
    for (metric, label) in labels {
        names.extend(asked.source.label_values(&label, Some(&metric), asked.known_within()).await?);
    }
    Ok(names)
}

/// What a query's variables are where nothing is deployed.
pub(super) fn vars(asked: &Asked<'_>, policy: &Policy, service: &str) -> Vars {
    let key = ServiceKey {
        target: policy.matches.target.clone().unwrap_or_default(),
        cluster: policy.matches.cluster.clone(),
        service: service.to_owned(),
    };
    let environment = policy.environment.clone();
    Vars::of(&Deployment {
        id: String::new(),
        service: Service { name: service.to_owned(), environment, key },
        platform_id: None,
        revision: None,
        source: None,
        started_at: asked.now,
        baseline_end: asked.now,
        undoes: RollbackSafe::Unknown,
        facts: Facts::default(),
    })
}
