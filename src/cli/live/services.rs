//! The services that a policy's pattern stands for: those that the source has series of.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use promql_parser::parser::VectorSelector;

use super::Asked;
use super::cause::{self, Cause};
use crate::model::{Deployment, Facts, Inherited, RollbackSafe, Service, ServiceKey, Unusable};
use crate::policy::{Check, Glob, Policy, Vars, selectors};

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
        if let Some(missing) = missing(asked, policy).await? {
            return Ok((names, Some(missing)));
        }
        let note = format!(
            "no series is about a service that `{pattern}` matches: name one with --service, or \
             see whether `labels.service` is the right label"
        );
        let note = if policy.checks.iter().any(Check::is_of_prometheus) {
            note
        } else {
            format!(
                "nothing that is asked says which services `{pattern}` matches: name one with \
                 --service"
            )
        };
        return Ok((names, Some(note)));
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let note = (more > 0).then(|| format!("{more} more services are not asked about: --service"));
    Ok((names, note))
}

/// The metrics and labels that the policy's queries about a service name and the
/// source has not, in words.
async fn missing(asked: &Asked<'_>, policy: &Policy) -> Result<Option<String>, Unusable> {
    let mut said = BTreeSet::new();
    for selector in about(asked, policy) {
        match cause::of_selector(asked, &selector).await? {
            Some(Cause::Metric(words) | Cause::Label(words)) => {
                said.insert(words);
            }
            Some(Cause::Values(_) | Cause::Around(_)) | None => {}
        }
    }
    let said: Vec<String> = said.into_iter().collect();
    let pattern = &policy.matches.service;
    Ok((!said.is_empty()).then(|| {
        format!("no series is about a service that `{pattern}` matches: {}", said.join("; "))
    }))
}

/// The selectors of the policy that have a service's name, with the place for one.
fn about(asked: &Asked<'_>, policy: &Policy) -> Vec<VectorSelector> {
    let (vars, window) = (vars(asked, policy, PLACE), SignedDuration::from_mins(1));
    let questions =
        policy.checks.iter().map(|check| policy.question(check, &vars, window, None, None));
    let asks = questions.flat_map(|question| question.asks);
    let all = asks.flat_map(|ask| ask.promql().map(selectors).unwrap_or_default());
    all.filter(|one| one.matchers.matchers.iter().any(|matcher| matcher.value == PLACE)).collect()
}

/// The values of each label that the policy compares with the service's name.
pub(super) async fn found(
    asked: &Asked<'_>,
    policy: &Policy,
) -> Result<BTreeSet<String>, Unusable> {
    let mut labels = BTreeSet::new();
    for selector in about(asked, policy) {
        let ours = selector.matchers.matchers.iter().filter(|matcher| matcher.value == PLACE);
        labels.extend(ours.filter_map(|one| Some((selector.name.clone()?, one.name.clone()))));
    }
    let mut names = BTreeSet::new();
    for (metric, label) in labels {
        // Without a Prometheus nothing is asked that has labels.
        let Some(prometheus) = &asked.sources.prometheus else { break };
        names.extend(prometheus.label_values(&label, Some(&metric), asked.known_within()).await?);
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
        inherited: Inherited::default(),
        facts: Facts { labels: asked.labels.clone(), ..Facts::default() },
    })
}
