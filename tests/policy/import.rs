//! What `deployguard import` makes of rules as people write them: the files in
//! `import/`, with what it prints beside them. `UPDATE_EXPECTED=1` writes those
//! texts anew: read them.

use std::path::PathBuf;
use std::process::ExitCode;

use deployguard::cli::import::{Import, Kind, run};
use deployguard::policy::{Frame, ImportFrom, Measure, Part, SourceFile, UNSAID, import};
use proptest::prelude::*;

use super::*;

const TASKFLOW: &str = include_str!("import/taskflow.yaml");
const RULES: &str = include_str!("import/shop-rules.yaml");
const TEMPLATES: &str = include_str!("import/templates.yaml");

fn imported(kind: Kind, path: &str) -> (bool, String, String) {
    let wanted = Import {
        kind,
        file: PathBuf::from(path),
        policy: None,
        environment: "production".into(),
        matches: None,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&wanted, &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code == ExitCode::SUCCESS, text(out), text(err))
}

fn drafted(from: ImportFrom, text: &str) -> Result<String, String> {
    let frame = Frame {
        policy: None,
        environment: "production".into(),
        cluster: UNSAID.into(),
        service: UNSAID.into(),
    };
    import(from, &file("rules.yaml", text), &frame)
        .map(|drafted| drafted.text)
        .map_err(|mistake| mistake.to_string())
}

#[test]
fn each_file_of_rules_gives_the_policy_and_the_arguments_beside_it() {
    for (kind, name) in [
        (Kind::PrometheusRules, "taskflow"),
        (Kind::PrometheusRules, "shop-rules"),
        (Kind::Argo, "templates"),
    ] {
        let path = format!("tests/policy/import/{name}.yaml");
        let (good, out, err) = imported(kind, &path);
        assert!(good);
        let raw = told(check(&[file("draft.yaml", out.as_str())]));
        assert_eq!(
            raw.matches("`CHANGE-ME` stands for a name that nobody gave").count(),
            2,
            "{raw}"
        );
        assert_eq!(raw.lines().count(), 2, "{raw}");
        let set = check(&[file("draft.yaml", out.replace(UNSAID, "shop"))]);
        assert_eq!(told(set), "1 policies\n", "{out}");
        let said = format!("{out}\n--- and on stderr\n{err}");
        let beside = format!("tests/policy/import/{name}.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&beside, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(&beside).unwrap_or_default(), "{name}");
    }
}

#[test]
fn the_rules_of_taskflow_become_what_was_meant_and_both_mistakes_are_said() {
    let (_, out, err) = imported(Kind::PrometheusRules, "tests/policy/import/taskflow.yaml");
    let set = check(&[file("draft.yaml", out.replace(UNSAID, "shop"))]).unwrap();
    let policy = &set.named("taskflow-alerts").unwrap().policy;
    let errors = policy.check("HighErrorRate").unwrap();
    assert!(matches!(errors.measure, Measure::Ratio { part: Part::Bad, .. }));
    assert_eq!(errors.breach.values().next().unwrap().to_string(), "> 5% for 5m");
    let latency = policy.check("HighLatency").unwrap();
    let Measure::Latency { counter, quantile } = &latency.measure else { panic!("a latency") };
    assert_eq!(counter, "http_request_duration_seconds_bucket");
    assert!((quantile - 0.95).abs() < 1e-12);
    for mistake in ["errors a second, not a share", "without `rate`", "has no label `le`"] {
        assert!(err.contains(mistake), "{mistake} in\n{err}");
    }
}

#[test]
fn what_is_no_file_of_the_kind_is_told_at_its_place() {
    let rules = |text| drafted(ImportFrom::PrometheusRules, text).unwrap_err();
    assert_eq!(
        rules("spec:\n  x: 1\n"),
        "rules.yaml:1:1: no rules of Prometheus: there is no `groups:`"
    );
    let nameless = "groups:\n- rules:\n  - expr: up == 0\n";
    assert_eq!(rules(nameless), "rules.yaml:3:5: a rule without `alert:`");
    let bad = "groups:\n- rules:\n  - alert: A\n    expr: up == 0\n    for: soon\n";
    assert_eq!(rules(bad), "rules.yaml:5:10: `for: soon` is not a duration");
    assert!(rules("groups: [").starts_with("rules.yaml:"));
    let argo = |text| drafted(ImportFrom::Argo, text).unwrap_err();
    let second = "kind: AnalysisTemplate\nspec: {}\n---\nkind: AnalysisTemplate\n";
    assert_eq!(argo(second), "rules.yaml:4:1: the AnalysisTemplate has no `spec:`");
    let (good, out, _) = imported(Kind::Argo, "tests/policy/import/shop-rules.yaml");
    assert!(!good && out.is_empty());
}

#[test]
fn rules_of_which_none_can_be_a_check_are_comments_alone() {
    let text = "groups:\n- name: x\n  rules:\n  - { alert: Gone, expr: absent(up) }\n";
    let draft = drafted(ImportFrom::PrometheusRules, text).unwrap();
    assert!(draft.lines().all(|line| line.is_empty() || line.starts_with('#')), "{draft}");
}

#[test]
fn no_text_of_a_rule_gets_out_of_its_comment() {
    let text = "groups:\n- name: x\n  rules:\n  - alert: \"A: {\\n'\"\n    expr: a > 1\n    annotations: { summary: \"x\\nmode: auto\\u2028y\" }\n";
    let draft = drafted(ImportFrom::PrometheusRules, text).unwrap();
    assert!(!draft.contains("\nmode: auto"), "{draft}");
    assert_eq!(told(check(&[file("draft.yaml", draft.replace(UNSAID, "shop"))])), "1 policies\n");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_the_import_panic(
        which in 0..3_usize,
        at in 0..4_000_usize,
        take in 0..30_usize,
        put in "[ \\-?:,\\[\\]{}#&*!|>'\"%@`a1\n<=()$\\\\é]{0,8}",
    ) {
        let (from, text) = [
            (ImportFrom::PrometheusRules, TASKFLOW),
            (ImportFrom::PrometheusRules, RULES),
            (ImportFrom::Argo, TEMPLATES),
        ][which];
        let at = at % text.len();
        let end = (at + take).min(text.len());
        let _ = drafted(from, &format!("{}{put}{}", &text[..at], &text[end..]));
    }
}

#[test]
fn a_file_of_any_bytes_is_refused_with_a_place() {
    let frame =
        Frame { policy: None, environment: "e".into(), cluster: "c".into(), service: "s".into() };
    let file = SourceFile { path: "x".into(), bytes: vec![b'a', 0xff] };
    let mistake = import(ImportFrom::Argo, &file, &frame).unwrap_err();
    assert_eq!(mistake.to_string(), "x:1:2: the file is not UTF-8 text");
}
