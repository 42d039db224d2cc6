//! The services that a policy compares with or needs: whether the source knows them.

use std::collections::BTreeSet;

use super::Asked;
use super::look::{of_a_deployment, question};
use super::services::found;
use crate::model::Unusable;
use crate::policy::{Policy, nearest};

/// What is to be said of `peers` and `depends_on` of which no check has series.
pub(super) async fn unknown(asked: &Asked<'_>, policy: &Policy) -> Result<Vec<String>, Unusable> {
    let mut said = Vec::new();
    let mut known: Option<BTreeSet<String>> = None;
    for (key, name) in named(policy) {
        if is_known(asked, policy, name).await? {
            continue;
        }
        let others = match &known {
            Some(known) => known,
            None => known.insert(found(asked, policy).await?),
        };
        let near = nearest(name, others.iter().map(String::as_str));
        let meant =
            near.first().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        said.push(format!(
            "doubt: `{key}` names `{name}`, and no check has a series about it: it can excuse \
             nothing{meant}"
        ));
    }
    Ok(said)
}

fn named(policy: &Policy) -> impl Iterator<Item = (&'static str, &str)> {
    let peers = policy.peers.iter().map(|name| ("peers", name.as_str()));
    peers.chain(policy.depends_on.iter().map(|name| ("depends_on", name.as_str())))
}

/// Whether one check at least has an answer about the service, or none could tell.
async fn is_known(asked: &Asked<'_>, policy: &Policy, name: &str) -> Result<bool, Unusable> {
    let mut could_tell = false;
    for check in policy.checks.iter().filter(|check| !check.is_of_tasks() && !check.is_of_probe()) {
        if of_a_deployment(check, &asked.labels).is_some() {
            continue;
        }
        let (question, ticks) = question(asked, policy, check, name);
        // What is asked alike for every service says nothing about this one.
        let alike = question.asks == super::look::question(asked, policy, check, "").0.asks;
        for ask in question.asks.iter().filter(|_| !alike) {
            let answer = asked.sources.fetch(ask, ticks).await;
            match answer.failed.into_iter().next() {
                // That is said of the checks themselves.
                Some((_, Unusable::Unreachable(_))) => return Ok(true),
                Some(_) => {}
                None if answer.tracks.is_empty() => could_tell = true,
                None => return Ok(true),
            }
        }
    }
    Ok(!could_tell)
}
