//! Where a service runs that nobody has seen yet: what the policies say.

use std::collections::BTreeSet;

use crate::model::ServiceKey;
use crate::policy::{Glob, Matches, PolicySet};

/// The service in the one cluster that the policies name for it; `None`: they don't
/// guard it.
///
/// # Errors
/// It may run in several, in words.
pub(super) fn of(
    policies: &PolicySet,
    target: &str,
    service: &str,
    environment: &str,
) -> Result<Option<ServiceKey>, String> {
    let means =
        |pattern: &str, name: &str| Glob::parse(pattern).is_ok_and(|glob| glob.matches(name));
    let key = |cluster: &str| ServiceKey {
        target: target.to_owned(),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
    };
    let (mut clusters, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    for policy in policies.iter().map(|written| &written.policy) {
        let place = &policy.matches;
        if policy.environment != environment
            || !means(&place.service, service)
            || place.target.as_ref().is_some_and(|pattern| !means(pattern, target))
        {
            continue;
        }
        match Glob::parse(&place.cluster).ok().and_then(|glob| glob.plain()) {
            Some(names) => clusters.extend(names),
            None => drop(patterns.insert(place.cluster.clone())),
        }
    }
    // deployguard's own name is meant by no wildcard.
    clusters.retain(|cluster| !matches!(policies.matching(&key(cluster)), Matches::None));
    match (clusters.first(), clusters.len() + patterns.len()) {
        (_, 0) => Ok(None),
        (Some(only), 1) => Ok(Some(key(only))),
        (_, _) => {
            let places: Vec<String> =
                clusters.iter().chain(&patterns).map(|place| format!("`{place}`")).collect();
            Err(format!(
                "give it: the policies guard `{service}` of {environment} in {}",
                places.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, check};

    /// Policies of the environment production, by what they match.
    fn policies(matches: &[(&str, &str)]) -> PolicySet {
        let file = |(number, (cluster, service)): (usize, &(&str, &str))| {
            let text = format!(
                "version: 1\npolicy: p{number}\nenvironment: production\n\
                 match: {{ cluster: '{cluster}', service: '{service}' }}\n\
                 phases: {{ all: {{ until: 1h, interval: 1m }} }}\n\
                 checks: {{ depth: {{ query: queue_depth, breach: {{ SEV2: '> 10' }} }} }}\n"
            );
            SourceFile { path: format!("p{number}.yaml"), bytes: text.into_bytes() }
        };
        check(&matches.iter().enumerate().map(file).collect::<Vec<_>>()).unwrap()
    }

    fn cluster(matches: &[(&str, &str)], service: &str) -> Result<Option<String>, String> {
        let found = of(&policies(matches), "default", service, "production")?;
        Ok(found.map(|key| key.cluster))
    }

    #[test]
    fn the_one_cluster_that_fits_is_taken_and_of_several_none() {
        let shop = ("shop-production", "shop-*");
        assert_eq!(cluster(&[shop, ("other", "task-*")], "shop-web").unwrap().unwrap(), shop.0);
        assert_eq!(cluster(&[shop], "task-web"), Ok(None));
        assert_eq!(of(&policies(&[shop]), "default", "shop-web", "staging"), Ok(None));
        let several = cluster(&[shop, ("b", "shop-web")], "shop-web").unwrap_err();
        assert!(several.ends_with("in `b`, `shop-production`"), "{several}");
        let either = cluster(&[("{a,b}", "shop-*")], "shop-web").unwrap_err();
        assert!(either.ends_with("in `a`, `b`"), "{either}");
        let any = cluster(&[("prod-*", "shop-*")], "shop-web").unwrap_err();
        assert!(any.ends_with("of production in `prod-*`"), "{any}");
        assert_eq!(cluster(&[("shop", "*")], "deployguard"), Ok(None), "never its own");
    }
}
