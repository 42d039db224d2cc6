//! What a policy says about evidence: controls, baselines, leaks, statuses, and
//! how often it may be wrong.

use deployguard::model::Severity;
use deployguard::policy::{Against, LeakRule, LowTraffic, Measure, Policy, Stated, Unit};
use jiff::SignedDuration;

use super::*;

const BASE: &str = include_str!("good_base.yaml");
const MEMORY: &str = "    breach: { SEV2: \"> 85%\" }\n";

fn policy(text: impl Into<Vec<u8>>) -> Policy {
    let set = read_one(text).unwrap_or_else(|mistakes| panic!("{}", told(Err(mistakes))));
    let policy = Policy::clone(&set.iter().next().unwrap().policy);
    // What is kept of a policy is all of it.
    let kept = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&kept).unwrap(), policy);
    policy
}

fn with_head(lines: &str) -> Policy {
    policy(BASE.replace("phases:\n", &format!("{lines}\nphases:\n")))
}

fn with_memory(lines: &str) -> Policy {
    policy(BASE.replace(MEMORY, lines))
}

#[test]
fn without_a_word_one_in_a_hundred_is_rolled_back_for_nothing_and_low_traffic_passes() {
    let policy = policy(BASE);
    assert!((policy.false_rollbacks - 0.01).abs() < 1e-12);
    assert_eq!(policy.low_traffic, LowTraffic::Pass);
    assert!(policy.peers.is_empty() && policy.depends_on.is_empty());
    assert!(policy.checks.iter().all(|check| check.leak.is_none()));
}

#[test]
fn a_policy_that_was_kept_before_there_was_evidence_still_reads() {
    let policy = policy(BASE);
    let mut kept = serde_json::to_value(&policy).unwrap();
    for key in ["false_rollbacks", "low_traffic", "peers", "depends_on"] {
        assert!(kept.as_object_mut().unwrap().remove(key).is_some(), "{key}");
    }
    for check in kept["checks"].as_array_mut().unwrap() {
        assert!(check.as_object_mut().unwrap().remove("leak").is_some());
    }
    assert_eq!(serde_json::from_value::<Policy>(kept).unwrap(), policy);
}

#[test]
fn a_policy_says_how_often_it_may_be_wrong_and_what_it_looks_at_beside_itself() {
    let policy = with_head(
        "false_rollbacks: 1 in 1000\nlow_traffic: inconclusive\npeers: [web, worker]\ndepends_on: [auth]",
    );
    assert!((policy.false_rollbacks - 0.001).abs() < 1e-12);
    assert_eq!(policy.low_traffic, LowTraffic::Inconclusive);
    assert_eq!(policy.peers, ["web", "worker"]);
    assert_eq!(policy.depends_on, ["auth"]);
}

#[test]
fn a_policy_of_several_services_may_name_each_of_them_as_a_peer() {
    let text = BASE
        .replace("service: api }", "service: 'a*' }")
        .replace("phases:\n", "peers: [api, a]\nphases:\n");
    assert_eq!(policy(text).peers, ["api", "a"]);
}

#[test]
fn a_folders_defaults_say_how_often_its_policies_may_be_wrong() {
    let defaults = "false_rollbacks: 1 in 500\nlow_traffic: inconclusive\npeers: [web]\n";
    let own = BASE.replace("phases:\n", "low_traffic: pass\npeers: []\nphases:\n");
    let set = read(&[file("p/_defaults.yaml", defaults), file("p/a.yaml", own)]).unwrap();
    let written = set.named("shop").unwrap();
    assert!((written.policy.false_rollbacks - 0.002).abs() < 1e-12);
    assert_eq!(written.policy.low_traffic, LowTraffic::Pass);
    assert!(written.policy.peers.is_empty(), "a list is replaced as a whole");
    for line in ["false_rollbacks: 1 in 500\n", "low_traffic: pass\n", "peers: []\n"] {
        assert!(written.text.contains(line), "{line} in\n{}", written.text);
    }
    let again = read_one(written.text.clone()).unwrap();
    assert_eq!(again.named("shop").unwrap().policy, written.policy);
}

#[test]
fn a_baseline_is_measured_on_each_of_what_it_names() {
    let rule = "    baseline: { against: [peers, old-revision, last-week, same-hour, before], worse_by: 2x, severity: SEV1 }\n";
    let policy = with_memory(&format!("{MEMORY}{rule}"));
    let baseline = policy.check("memory").unwrap().baseline.clone().unwrap();
    let mut against = baseline.against;
    assert_eq!((against[0], against[4]), (Against::Peers, Against::Before), "in their order");
    against.sort_unstable();
    assert_eq!(
        against,
        [
            Against::Before,
            Against::SameHour,
            Against::LastWeek,
            Against::OldRevision,
            Against::Peers
        ]
    );
    assert_eq!(baseline.severity, Severity::Sev1);
}

#[test]
fn a_leak_is_as_severe_as_the_mildest_limit_or_a_sev2() {
    let leak = |lines: &str| with_memory(lines).check("memory").unwrap().leak.unwrap();
    let day = SignedDuration::from_hours(24);
    assert_eq!(
        leak(
            "    breach: { SEV1: \"> 95%\", SEV3: \"> 85%\" }\n    leak: { wall: 100%, within: 24h }\n"
        ),
        LeakRule { wall: 1.0, within: day, severity: Severity::Sev3 }
    );
    let alone = with_memory("    leak: { wall: 2 GiB, within: 1 day }\n");
    let check = alone.check("memory").unwrap();
    assert_eq!(
        check.leak,
        Some(LeakRule { wall: 2_147_483_648.0, within: day, severity: Severity::Sev2 })
    );
    assert_eq!(check.unit(), Unit::Bytes, "a wall has a unit where no limit has one");
    assert!(check.higher_is_worse());
    let down = leak(
        "    breach: { SEV2: \"< 10%\" }\n    leak: { wall: 0%, within: 24h, severity: SEV1 }\n",
    );
    assert_eq!(
        (down.wall.to_bits(), down.severity),
        (0, Severity::Sev1),
        "what runs out leaks too"
    );
}

#[test]
fn the_bundle_looks_for_leaks_of_the_memory_that_a_policy_mentions() {
    let head = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n";
    let with = |checks: &str| policy(format!("{head}extends: ecs-web\nchecks: {{ {checks} }}\n"));
    let limits = "breach: { SEV2: '> 85%' }";
    let cpu = with(&format!("cpu: {{ {limits} }}"));
    assert!(cpu.check("memory").is_none(), "a leak alone does not make memory measured");
    let memory = with(&format!("memory: {{ {limits} }}"));
    let leak = memory.check("memory").unwrap().leak.unwrap();
    assert_eq!((leak.within, leak.severity), (SignedDuration::from_hours(24), Severity::Sev2));
    let graded = with(&format!("memory: {{ {limits}, leak: {{ within: 6h, severity: SEV3 }} }}"));
    let leak = graded.check("memory").unwrap().leak.unwrap();
    assert!((leak.wall - 1.0).abs() < 1e-12);
    assert_eq!((leak.within, leak.severity), (SignedDuration::from_hours(6), Severity::Sev3));
    let own = with("memory: { query: my_bytes, breach: { SEV2: '> 2GiB' } }");
    assert_eq!(own.check("memory").unwrap().leak, None, "its wall is none of another query's");
    let both = with("memory: { query: my_bytes, leak: { wall: 2GiB, within: 1h } }");
    assert!((both.check("memory").unwrap().leak.unwrap().wall - 2_147_483_648.0).abs() < 1e-12);
}

#[test]
fn a_status_counts_failures_running() {
    let policy = with_memory(&format!(
        "{MEMORY}  alive:\n    status: probe_success{{service=\"${{service}}\"}}\n    breach: {{ SEV1: 3 failures, SEV3: 1 failure }}\n"
    ));
    let check = policy.check("alive").unwrap();
    let Measure::Status { of: Stated::Query(query) } = &check.measure else { panic!("{check:?}") };
    assert_eq!(query, "probe_success{service=\"${service}\"}");
    assert_eq!((check.unit(), check.looks_back()), (Unit::Failures, false));
    let shown: Vec<_> =
        check.breach.values().map(|limit| (limit.to_string(), limit.hold)).collect();
    assert_eq!(shown, [("3 failures".to_owned(), None), ("1 failure".to_owned(), None)]);
    let bound = check.breach[&Severity::Sev1].bound;
    assert!(bound.contains(3.0) && bound.contains(4.0) && !bound.contains(2.0));
}
