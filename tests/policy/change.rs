//! What a change to the policies does, as a reviewer reads it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use deployguard::cli::change::run;
use deployguard::policy::{Policy, diff};
use tempfile::TempDir;

use super::folder::commit;
use super::*;

const BASE: &str = include_str!("good_base.yaml");

/// The changes between the base and its edits, each on its line.
fn changes(edits: &[(&str, &str)]) -> Vec<String> {
    let mut text = BASE.to_owned();
    for (old, new) in edits {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    let (before, after) = (read_one(BASE).unwrap(), read_one(text).unwrap());
    let changes = diff(&policies(&before), &policies(&after));
    changes.iter().map(ToString::to_string).collect()
}

fn policies(set: &PolicySet) -> Vec<&Policy> {
    set.iter().map(|written| &*written.policy).collect()
}

fn said(revision: &str, path: PathBuf) -> (bool, String) {
    let mut out = Vec::new();
    let code = run(revision, &[path], &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

/// A repository whose first commit holds the base, below a `_defaults.yaml`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).unwrap();
    std::fs::write(policies.join("shop.yaml"), BASE).unwrap();
    std::fs::write(policies.join("_defaults.yaml"), "grace: 3m\n").unwrap();
    // Tests lie beside the policies, and are none.
    std::fs::write(policies.join("shop_test.yaml"), "policy: shop.yaml\ntests: []\n").unwrap();
    commit(folder.path());
    folder
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    std::fs::write(folder.join("policies").join(name), text).unwrap();
}

#[test]
fn what_the_gate_asks_is_said_rule_by_rule() {
    let gated = |text: &str| {
        changes(&[("environment: production", &format!("environment: production\n{text}"))])
    };
    let all = "gate:\n  time_intervals:\n    zone: Europe/Berlin\n    prefer: [\"Tue-Thu 10:00-14:00 UTC\"]\n    \
        avoid: [Fri UTC]\n    freeze: [{ name: year end, every_year: 12-20..12-26 }]\n  \
        soak: { environment: staging, for: 24h }\n  known_bad: warn\n  rollback_target: refuse";
    let expected = [
        "gate.time_intervals.zone: UTC -> Europe/Berlin",
        "gate.time_intervals.prefer: Tue-Thu 10:00-14:00 UTC",
        "gate.time_intervals.avoid: Fri UTC: stricter",
        "gate.time_intervals.freeze: year end (every year 12-20..12-26): stricter",
        "gate.soak: none -> 24h in staging: stricter",
        "gate.known_bad: refuse -> warn: looser",
        "gate.rollback_target: warn -> refuse: stricter",
    ];
    assert_eq!(gated(all), expected);
}

#[test]
fn every_change_is_said_with_the_way_it_goes() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("policy: shop", "policy: shop # x", &[]),
        ("> 1%", "> 2%", &["errors: SEV2: > 1% -> > 2%: looser"]),
        ("> 1%", "> 0.5%", &["errors: SEV2: > 1% -> > 0.5%: stricter"]),
        ("> 1%", ">= 1%", &["errors: SEV2: > 1% -> >= 1%: stricter"]),
        ("> 1%", "> 1% for 5m", &["errors: SEV2: > 1% -> > 1% for 5m: looser"]),
        ("> 1%", "> 0.5% for 5m", &["errors: SEV2: > 1% -> > 0.5% for 5m"]),
        (
            "SEV2: \"> 1%\"",
            "SEV1: \"> 1%\"",
            &["errors: SEV1 > 1% added: stricter", "errors: SEV2 > 1% removed: looser"],
        ),
        ("< 0.1%", "< 0.5%", &["errors: normal: < 0.1% -> < 0.5%: looser"]),
        ("    normal: \"< 0.1%\"\n", "", &["errors: normal: < 0.1% -> none: stricter"]),
        ("quantile: 0.95", "quantile: 0.99", &["latency: quantile: 0.95 -> 0.99: stricter"]),
        (
            "max(memory",
            "min(memory",
            &["memory: query: max(memory_ratio{service=\"${service}\"}) -> \
             min(memory_ratio{service=\"${service}\"})"],
        ),
        (
            "  latency:\n",
            "  p95:\n",
            &[
                "added check p95: SEV2 > 500ms: stricter",
                "removed check latency: SEV2 > 500ms: looser",
            ],
        ),
        ("interval: 30s", "interval: 1m", &["phase short-term: interval: 30s -> 1m: looser"]),
        (
            "until: 1h",
            "until: 2h",
            &["phase short-term: until: 1h -> 2h: stricter", "watches for: 1h -> 2h: stricter"],
        ),
        ("service: api", "service: api-*", &["match.service: api -> api-*"]),
        ("service: api", "service: \"{api,web}\"", &["match.service: api -> {api,web}: stricter"]),
        ("cluster: shop", "target: eu, cluster: shop", &["match.target: any -> eu: looser"]),
        ("policy: shop", "policy: store", &["name: shop -> store"]),
        ("checks:\n", "mode: ask\nchecks:\n", &["mode: observe -> ask: stricter"]),
        (
            "checks:\n",
            "actions: { SEV2: notify }\nchecks:\n",
            &["SEV2: ask for 15m, then escalate -> notify: looser"],
        ),
        (
            "checks:\n",
            "rollback: { cooldown: 10m, max_age: 1d }\nchecks:\n",
            &["rollback.max_age: 168h -> 24h: looser", "rollback.cooldown: 1h -> 10m: stricter"],
        ),
        (
            "checks:\n",
            "rollback: { pin_digests: true }\nchecks:\n",
            &["rollback.pin_digests: false -> true: stricter"],
        ),
        (
            "checks:\n",
            "notify: { slack: { channel: C0123ABC, page: [S0ONCALL] } }\nchecks:\n",
            &[
                "notify.slack.channel: none -> C0123ABC: stricter",
                "a page mentions S0ONCALL too: stricter",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(changes(&[(old, new)]), *expected, "{old} -> {new}");
    }
}

#[test]
fn quiet_hours_are_looser() {
    let new = "notify: { quiet: { SEV3: \"22:00-07:00 Europe/Berlin\" } }\nchecks:\n";
    let told = ["notify.quiet.SEV3: none -> 22:00-07:00 Europe/Berlin: looser"];
    assert_eq!(changes(&[("checks:\n", new)]), told);
}

#[test]
fn a_pattern_that_leaves_services_out_is_looser() {
    let with = |service: &str| {
        read_one(BASE.replace("service: api", &format!("service: \"{service}\""))).unwrap()
    };
    let between = |old: &str, new: &str| {
        let (before, after) = (with(old), with(new));
        diff(&policies(&before), &policies(&after))[0].to_string()
    };
    assert_eq!(between("shop-*", "shop-a*"), "match.service: shop-* -> shop-a*: looser");
    assert_eq!(between("shop-a*", "shop-*"), "match.service: shop-a* -> shop-*: stricter");
    assert_eq!(between("shop-*", "*-api"), "match.service: shop-* -> *-api");
}

#[test]
fn what_lets_the_guard_act_by_itself_is_said_before_all_else() {
    let auto = ("checks:\n", "mode: auto\nchecks:\n");
    assert_eq!(
        changes(&[auto]),
        ["mode: observe -> auto: LETS THE GUARD ACT UNATTENDED"],
        "no breach of it is a SEV1"
    );
    assert_eq!(
        changes(&[auto, ("SEV2: \"> 1%\"", "SEV1: \"> 1%\"")])[..2],
        [
            "mode: observe -> auto: LETS THE GUARD ACT UNATTENDED",
            "rolls back by itself on errors (SEV1) in the first 1h, of deployments that are \
             announced as safe to roll back: LETS THE GUARD ACT UNATTENDED",
        ]
    );
    let free = "actions: { SEV2: { ask: 15m, on_timeout: rollback } }\nmode: auto\nchecks:\n";
    let said = changes(&[("checks:\n", free)]);
    assert!(
        said[1].starts_with("rolls back by itself on errors (SEV2), latency (SEV2)"),
        "{said:?}"
    );
}

#[test]
fn a_reviewer_reads_what_changed_since_a_revision() {
    let folder = folder();
    let path = folder.path().join("policies");
    assert_eq!(
        said("HEAD", path.clone()),
        (true, "no policy means anything else than at HEAD\n".into())
    );
    let text = BASE.replace("> 1%", "> 10%").replace("checks:\n", "mode: auto\nchecks:\n");
    write(folder.path(), "shop.yaml", text.replace("SEV2: \"> 10%\"", "SEV1: \"> 10%\""));
    let other =
        BASE.replace("policy: shop", "policy: web").replace("service: api", "service: web-*");
    write(folder.path(), "web.yaml", other);
    write(folder.path(), "_defaults.yaml", "grace: 5m\n");
    let expected = "\
!! shop LETS THE GUARD ACT UNATTENDED on services like shop/api
shop (guards shop/api)
  mode: observe -> auto: LETS THE GUARD ACT UNATTENDED
  rolls back by itself on errors (SEV1) in the first 1h, of deployments that are announced as safe to roll back: LETS THE GUARD ACT UNATTENDED
  errors: SEV1 > 10% added: stricter
  errors: SEV2 > 1% removed: looser
  grace: 3m -> 5m: looser
web (guards shop/web-*)
  added, mode observe: stricter
  check errors: SEV2 > 1%: stricter
  check latency: SEV2 > 500ms: stricter
  check memory: SEV2 > 85%: stricter
9 changes since HEAD: 5 stricter, 2 looser
";
    assert_eq!(said("HEAD", path.clone()), (true, expected.to_owned()));
    let (good, one) = said("HEAD", path.join("shop.yaml"));
    assert!(good && one.contains("grace: 3m -> 5m") && !one.contains("web"), "{one}");
    commit(folder.path());
    std::fs::remove_file(path.join("web.yaml")).unwrap();
    let (good, gone) = said("HEAD", path.clone());
    assert!(
        good && gone.contains("  removed (mode observe): it guards its services no longer: looser"),
        "{gone}"
    );
    std::fs::remove_file(path.join("shop.yaml")).unwrap();
    std::fs::remove_file(path.join("_defaults.yaml")).unwrap();
    let (good, none) = said("HEAD~1", path.clone());
    assert!(good && none.starts_with("shop (guards shop/api)\n  removed"), "{none}");
    std::fs::remove_dir_all(&path).unwrap();
    let (good, none) = said("HEAD~1", path);
    assert!(good && none.starts_with("shop (guards shop/api)\n  removed"), "{none}");
}

#[test]
fn a_check_that_becomes_optional_is_looser() {
    let old = "breach: { SEV2: \"> 500ms\" }";
    let optional = format!("{old}\n    optional: true");
    assert_eq!(changes(&[(old, &optional)]), ["latency: optional: false -> true: looser"]);
}

#[test]
fn mistakes_of_either_side_are_told_at_their_place() {
    let folder = folder();
    let path = folder.path().join("policies");
    write(folder.path(), "shop.yaml", BASE.replace("breach: { SEV2: \"> 1%\" }", "braech: {}"));
    let (good, told) = said("HEAD", path.clone());
    assert!(!good && told.contains("shop.yaml:14:5: unknown key `braech`"), "{told}");
    commit(folder.path());
    write(folder.path(), "shop.yaml", BASE);
    let (good, told) = said("HEAD", path.clone());
    let broken = "at HEAD it could not be read: HEAD:policies/shop.yaml:14:5: unknown key `braech`";
    assert!(good && told.starts_with(broken), "{told}");
    assert!(told.contains("\ncompared with nothing\nshop (guards shop/api)\n  added"), "{told}");
    assert!(said("HEAD~1", path.clone()).0);
    let unknown = run("nothing", &[path], &mut Vec::new()).unwrap_err();
    assert_eq!(unknown.to_string(), "git knows no revision `nothing`");
}
