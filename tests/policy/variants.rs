//! `policies-cloudwatch/`: what `policies/` says of the same systems, from another source.

use std::collections::BTreeMap;
use std::path::Path;

use deployguard::policy::{Check, Counted, Gauged, LabelNames, Measure, Policy, Stated};
use jiff::SignedDuration;

use super::*;

/// What CloudWatch alone can say, where Prometheus has nothing in its place.
const ONLY_THERE: [&str; 1] = ["unhealthy targets"];

/// The policies of a folder by their names.
fn policies(folder: &str) -> BTreeMap<String, Policy> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = deployguard::policy_repo::collect(&[folder]).unwrap();
    let set = read(&files).unwrap_or_else(|mistakes| panic!("{}", told(Err(mistakes))));
    set.iter().map(|one| (one.policy.name.clone(), Policy::clone(&one.policy))).collect()
}

/// Whether the numbers are Prometheus'.
fn is_of_prometheus(check: &Check) -> bool {
    matches!(
        check.measure,
        Measure::Ratio { of: Counted::Counter(_) | Counted::Query(_), .. }
            | Measure::Latency { .. }
            | Measure::Gauge { of: Gauged::Query(_), .. }
            | Measure::Status { of: Stated::Query(_) }
    )
}

/// All but the checks, the labels of series, and how often is looked.
fn beside_the_source(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.checks.clear();
    policy.labels = LabelNames::default();
    for phase in &mut policy.phases {
        phase.interval = SignedDuration::ZERO;
    }
    policy
}

/// What the two say otherwise of a check, though it does not come from the source.
fn apart(here: &Check, there: &Check) -> Option<String> {
    let limits =
        |check: &Check| (check.normal, check.breach.clone(), check.baseline.clone(), check.leak);
    if limits(here) != limits(there) || here.min_traffic.to_bits() != there.min_traffic.to_bits() {
        return Some(format!("`{}` has other limits", here.name));
    }
    (!is_of_prometheus(here) && here != there)
        .then(|| format!("`{}` needs no Prometheus, and asks for something else", here.name))
}

#[test]
fn what_is_no_matter_of_the_source_is_the_same_on_cloudwatch() {
    let mut wrong = Vec::new();
    for system in ["shopflow", "taskflow"] {
        let (here, there) = (
            policies(&format!("policies/{system}")),
            policies(&format!("policies-cloudwatch/{system}")),
        );
        assert!(here.keys().eq(there.keys()), "{system}: {:?}", there.keys());
        for (name, here) in &here {
            let there = &there[name];
            assert_eq!(beside_the_source(here), beside_the_source(there), "{name}");
            let of = |check: &Check| there.check(&check.name).cloned();
            wrong.extend(here.checks.iter().filter_map(|check| match of(check) {
                None => Some(format!("{name}: `{}` is missing", check.name)),
                Some(other) => apart(check, &other).map(|apart| format!("{name}: {apart}")),
            }));
            let more = there.checks.iter().map(|check| check.name.as_str());
            let more = more.filter(|check| here.check(check).is_none());
            wrong.extend(
                more.filter(|check| !ONLY_THERE.contains(check))
                    .map(|check| format!("{name}: `{check}` is only there")),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn another_limit_and_another_page_are_seen() {
    let here = &policies("policies/shopflow")["shopflow-production"];
    let check = |name: &str| here.check(name).unwrap().clone();
    let other = Check { normal: None, ..check("error rate") };
    assert_eq!(apart(&check("error rate"), &other).unwrap(), "`error rate` has other limits");
    let other = Check { measure: check("cache health").measure, ..check("database health") };
    assert!(apart(&check("database health"), &other).unwrap().contains("asks for something else"));
    assert_eq!(apart(&check("health"), &check("health")), None);
}
