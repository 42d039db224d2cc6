//! Where a service runs that nobody has seen yet: what the policies say.

use std::collections::BTreeSet;

use crate::model::ServiceKey;
use crate::policy::{Glob, Match, Matches, PolicySet};

/// The service in the cluster that the hook names. Of several targets it is in the one
/// for which a policy guards it; `None`: none does.
///
/// # Errors
/// It may be in several, in words.
pub(super) fn in_cluster(
    policies: &PolicySet,
    targets: &[&str],
    cluster: &str,
    service: &str,
) -> Result<Option<ServiceKey>, String> {
    let key = |target: &&str| ServiceKey {
        target: (*target).to_owned(),
        cluster: cluster.to_owned(),
        service: service.to_owned(),
    };
    // One that nothing guards is told so by the engine.
    if let [only] = targets {
        return Ok(Some(key(only)));
    }
    let guarded: Vec<ServiceKey> = targets
        .iter()
        .map(key)
        .filter(|key| !matches!(policies.matching(key), Matches::None))
        .collect();
    match guarded.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => {
            let names: Vec<String> =
                several.iter().map(|key| format!("`{}`", key.target)).collect();
            Err(format!("give it: the policies guard {cluster}/{service} in {}", names.join(", ")))
        }
    }
}

/// The service in the one cluster that the policies name for it; `None`: they don't
/// guard it.
///
/// # Errors
/// It may run in several, in words.
pub(super) fn of(
    policies: &PolicySet,
    targets: &[&str],
    service: &str,
    environment: &str,
) -> Result<Option<ServiceKey>, String> {
    let (mut places, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    for target in targets {
        let (clusters, unnamed) = clusters_of(policies, target, service, environment);
        let key = |cluster: String| ServiceKey {
            target: (*target).to_owned(),
            cluster,
            service: service.to_owned(),
        };
        // deployguard's own name is meant by no wildcard.
        let guarded = |key: &ServiceKey| !matches!(policies.matching(key), Matches::None);
        places.extend(clusters.into_iter().map(key).filter(guarded));
        patterns.extend(unnamed.into_iter().map(|pattern| ((*target).to_owned(), pattern)));
    }
    match (places.first(), places.len() + patterns.len()) {
        (_, 0) => Ok(None),
        (Some(only), 1) => Ok(Some(only.clone())),
        (_, _) => {
            let shown = |target: &str, cluster: &str| match targets {
                [_] => format!("`{cluster}`"),
                _ => format!("`{cluster}` of {target}"),
            };
            let named = places.iter().map(|key| shown(&key.target, &key.cluster));
            let patterns = patterns.iter().map(|(target, pattern)| shown(target, pattern));
            let told: Vec<String> = named.chain(patterns).collect();
            Err(format!(
                "give it: the policies guard `{service}` of {environment} in {}",
                told.join(", ")
            ))
        }
    }
}

/// Of a service that no policy guards, as far as it was said where it is.
pub(super) struct Unguarded<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    pub target: Option<&'a str>,
    pub cluster: Option<&'a str>,
}

/// Whether the name may be a slip of one that the pattern spells out, or of how it begins.
fn is_slip(name: &str, pattern: &str) -> bool {
    let Ok(glob) = Glob::parse(pattern) else { return false };
    if let Some(names) = glob.plain() {
        return !crate::policy::nearest(name, names.iter().map(String::as_str)).is_empty();
    }
    let begins = pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default();
    let as_long: String = name.chars().take(begins.chars().count()).collect();
    !begins.is_empty() && !crate::policy::nearest(&as_long, [begins]).is_empty()
}

/// The policy that comes nearest to it, and what keeps it from guarding it; `None`: it is
/// about another service altogether.
pub(super) fn nearest(policies: &PolicySet, asked: &Unguarded<'_>) -> Option<String> {
    let fits = |pattern: &str, name: Option<&str>| {
        name.is_none_or(|name| Glob::parse(pattern).is_ok_and(|glob| glob.matches(name)))
    };
    let all = policies.iter().filter_map(|written| {
        let policy = &written.policy;
        let Match { target, cluster, service } = &policy.matches;
        let is_it = fits(service, Some(asked.service));
        let same_cluster = asked.cluster.is_some() && fits(cluster, asked.cluster);
        if !(is_it || same_cluster || is_slip(asked.service, service)) {
            return None;
        }
        let parts = [
            ("service", is_it),
            ("environment", policy.environment == asked.environment),
            ("cluster", fits(cluster, asked.cluster)),
            ("target", target.as_deref().is_none_or(|pattern| fits(pattern, asked.target))),
        ];
        let differs: Vec<&str> =
            parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect();
        let at = target.as_ref().map(|target| format!(", target `{target}`")).unwrap_or_default();
        let place = format!("environment `{}`, cluster `{cluster}`{at}", policy.environment);
        let what = match differs.as_slice() {
            [] => String::new(),
            some => format!("; what differs: {}", some.join(", ")),
        };
        let words = format!("`{}` guards `{service}` in {place}{what}", policy.name);
        Some(((!is_it, differs.len()), words))
    });
    all.min_by_key(|(distance, _)| *distance).map(|(_, words)| words)
}

/// The clusters of a target that the policies name for a service, and the patterns.
fn clusters_of(
    policies: &PolicySet,
    target: &str,
    service: &str,
    environment: &str,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let means =
        |pattern: &str, name: &str| Glob::parse(pattern).is_ok_and(|glob| glob.matches(name));
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
    (clusters, patterns)
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
        let found = of(&policies(matches), &["default"], service, "production")?;
        Ok(found.map(|key| key.cluster))
    }

    #[test]
    fn what_no_policy_guards_is_told_by_the_nearest_one_and_what_differs() {
        let shop = policies(&[("billing", "invoices"), ("shop", "{api,web}")]);
        let near = |service: &str, environment: &str, cluster: Option<&str>| {
            nearest(&shop, &Unguarded { service, environment, target: Some("eu"), cluster })
        };
        let guards = "`p1` guards `{api,web}` in environment `production`, cluster `shop`";
        let told = format!("{guards}; what differs: environment");
        assert_eq!(near("api", "staging", Some("shop")), Some(told.clone()));
        assert_eq!(near("api", "staging", None), Some(told));
        let told = format!("{guards}; what differs: cluster");
        assert_eq!(near("api", "production", Some("billing")), Some(told));
        let told = format!("{guards}; what differs: service");
        assert_eq!(near("apu", "production", None), Some(told));
        assert_eq!(near("elsewhere", "production", Some("other")), None);
        assert!(is_slip("shpflow-api", "shopflow-*") && !is_slip("billing-api", "shopflow-*"));
    }

    #[test]
    fn of_several_targets_the_one_that_the_policies_mean_is_taken() {
        let named = policies(&[("us", "shop-*"), ("eu", "shop-*")]);
        let found = in_cluster(&named, &["a", "b"], "us", "shop-web");
        assert_eq!(found.unwrap_err(), "give it: the policies guard us/shop-web in `a`, `b`");
        let found = in_cluster(&named, &["b"], "us", "shop-web").unwrap().unwrap();
        assert_eq!(found.target, "b");
        assert_eq!(in_cluster(&named, &["a", "b"], "ap", "shop-web"), Ok(None));
        let several = of(&named, &["a", "b"], "shop-web", "production").unwrap_err();
        assert!(several.ends_with("`eu` of a, `us` of a, `eu` of b, `us` of b"), "{several}");
    }

    #[test]
    fn the_one_cluster_that_fits_is_taken_and_of_several_none() {
        let shop = ("shop-production", "shop-*");
        assert_eq!(cluster(&[shop, ("other", "task-*")], "shop-web").unwrap().unwrap(), shop.0);
        assert_eq!(cluster(&[shop], "task-web"), Ok(None));
        assert_eq!(of(&policies(&[shop]), &["default"], "shop-web", "staging"), Ok(None));
        let several = cluster(&[shop, ("b", "shop-web")], "shop-web").unwrap_err();
        assert!(several.ends_with("in `b`, `shop-production`"), "{several}");
        let either = cluster(&[("{a,b}", "shop-*")], "shop-web").unwrap_err();
        assert!(either.ends_with("in `a`, `b`"), "{either}");
        let any = cluster(&[("prod-*", "shop-*")], "shop-web").unwrap_err();
        assert!(any.ends_with("of production in `prod-*`"), "{any}");
        assert_eq!(cluster(&[("shop", "*")], "deployguard"), Ok(None), "never its own");
    }
}
