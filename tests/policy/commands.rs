//! `check`, `match` and `schema` as a person sees them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use deployguard::cli::{check, matching, schema};

const BASE: &str = include_str!("good_base.yaml");

fn checked(paths: &[PathBuf], expand: bool) -> (bool, String) {
    let mut out = Vec::new();
    let code = check::run(paths, expand, &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

fn matched(folder: &Path, service: &str) -> (bool, String) {
    let mut out = Vec::new();
    let code = matching::run(folder, service, &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn ours() -> PathBuf {
    here().join("policies")
}

/// What `check` says of all of `policies/` in the end.
const OURS: &str = "8 policies, 92 checks: no mistakes";

/// Its last line, and that all it remarks is what a reader has to fill in.
fn to_fill_in((good, said): (bool, String)) -> (bool, String) {
    let mut lines: Vec<&str> = said.lines().collect();
    let last = lines.pop().unwrap_or_default();
    for line in &lines {
        assert!(line.contains(" has not been filled in; write your own name or id"), "{line}");
    }
    let (end, warnings) = last.split_once("mistakes").unwrap();
    let plural = if lines.len() == 1 { "" } else { "s" };
    let counted = format!(", {} warning{plural}", lines.len());
    assert_eq!(warnings, if lines.is_empty() { "" } else { &counted });
    (good, format!("{end}mistakes"))
}

#[test]
fn the_policies_that_ship_have_no_mistakes_together_and_system_by_system() {
    assert_eq!(to_fill_in(checked(&[ours()], false)), (true, OURS.into()));
    for (system, said) in [
        ("policies/shopflow", "1 policy, 14 checks"),
        ("policies/taskflow", "2 policies, 23 checks"),
        ("policies/taskflow-k8s", "2 policies, 17 checks"),
        ("policies/unifocus", "2 policies, 34 checks"),
        ("policies/taskforge", "1 policy, 4 checks"),
        ("policies-cloudwatch/shopflow", "1 policy, 14 checks"),
        ("policies-cloudwatch/taskflow", "2 policies, 24 checks"),
    ] {
        let alone = to_fill_in(checked(&[here().join(system)], false));
        assert_eq!(alone, (true, format!("{said}: no mistakes")), "{system}");
    }
}

#[test]
fn without_a_path_the_folder_policies_is_checked_as_the_help_says() {
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_deployguard"));
        let done = command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap())
    };
    assert_eq!(to_fill_in(run(&["check"])), (true, OURS.into()));
    let (_, help) = run(&["check", "--help"]);
    assert!(help.contains("[PATHS]...  Policy files or folders [default: policies]"), "{help}");
}

/// The block of a document that starts so.
fn shown(document: &str, start: &str) -> String {
    let text = std::fs::read_to_string(document).unwrap();
    let mut blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.starts_with(start)).unwrap().to_owned()
}

#[test]
fn what_the_documents_show_of_policies_and_of_a_test_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("readme.yaml");
    std::fs::write(&policy, shown("README.md", "version: 1")).unwrap();
    assert_eq!(checked(&[policy], false), (true, "1 policy, 6 checks: no mistakes\n".into()));
    let first = folder.path().join("first.yaml");
    std::fs::write(&first, shown("docs/first-hour.md", "version: 1")).unwrap();
    assert_eq!(checked(&[first], false), (true, "1 policy, 5 checks: no mistakes\n".into()));
    let gated = folder.path().join("gated.yaml");
    std::fs::write(&gated, format!("{BASE}{}", shown("docs/policy.md", "gate:"))).unwrap();
    let calendar = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART;VALUE=DATE:20261225\nEND:VEVENT\n\
        END:VCALENDAR\n";
    std::fs::write(folder.path().join("holidays.ics"), calendar).unwrap();
    assert_eq!(checked(&[gated], false), (true, "1 policy, 3 checks: no mistakes\n".into()));
    for name in ["_defaults.yaml", "production.yaml", "holidays.ics"] {
        std::fs::copy(ours().join("shopflow").join(name), folder.path().join(name)).unwrap();
    }
    let file = folder.path().join("production_test.yaml");
    std::fs::write(&file, shown("docs/trying.md", "policy: production.yaml")).unwrap();
    let mut out = Vec::new();
    let code = deployguard::cli::test::run_tests(&[file], &mut out).unwrap();
    assert_eq!(code, ExitCode::SUCCESS, "{}", String::from_utf8_lossy(&out));
}

#[test]
fn every_check_that_the_documents_show_is_read_without_a_mistake() {
    let (head, phases) = BASE.split_once("phases:\n").unwrap();
    let phases = phases.split_once("checks:\n").unwrap().0;
    let mut read = 0;
    for document in ["docs/checks.md", "docs/policy.md"] {
        let text = std::fs::read_to_string(document).unwrap();
        let blocks = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        for block in blocks.filter(|block| block.contains("checks:\n")) {
            let extends = if block.starts_with("extends:") { "" } else { "extends: ecs-web\n" };
            let folder = tempfile::tempdir().unwrap();
            let policy = folder.path().join("shown.yaml");
            std::fs::write(&policy, format!("{head}phases:\n{phases}{extends}{block}")).unwrap();
            let (good, said) = checked(&[policy], false);
            assert!(good, "{document}:\n{block}\n{said}");
            read += 1;
        }
    }
    assert!(read >= 9, "only {read} were read");
}

#[test]
fn a_single_file_is_checked_with_the_defaults_of_its_folder() {
    let (good, said) = checked(&[ours().join("shopflow/production.yaml")], true);
    assert!(good, "{said}");
    assert!(said.contains("labels:\n  service: service\n"), "{said}");
    let (_, twice) = checked(&[ours().join("shopflow/production.yaml"), ours()], false);
    assert_eq!(to_fill_in((true, twice)).1, OURS, "a file named twice is read once");
}

#[test]
fn a_warning_is_told_at_its_place_and_fails_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let text = BASE
        .replace("service: api }", "service: \"shop-*\" }")
        .replace("phases:\n", "labels: { service: service }\nphases:\n")
        .replace("service=\"${service}\"", "service=\"shop-api\"");
    std::fs::write(&path, text).unwrap();
    let (good, said) = checked(std::slice::from_ref(&path), false);
    let place = format!("{}:20:12: warning: `memory` asks for ", path.display());
    assert!(good && said.starts_with(&place), "{said}");
    assert!(said.ends_with("\n1 policy, 3 checks: no mistakes, 1 warning\n"), "{said}");
    let (good, expanded) = checked(&[path], true);
    assert!(good && expanded.starts_with("# ") && expanded.contains(": warning: "), "{expanded}");
}

#[test]
fn every_mistake_is_told_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yaml");
    std::fs::write(&bad, BASE.replace("breach: { SEV2: \"> 1%\" }", "braech: { SEV2: \"> 1%\" }"))
        .unwrap();
    let (good, said) = checked(&[folder.path().to_owned()], false);
    assert!(!good);
    let place = format!("{}:14:5", bad.display());
    assert_eq!(said, format!("{place}: unknown key `braech`; did you mean `breach`?\n1 mistake\n"));
}

#[test]
fn a_path_that_holds_no_policies_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".hidden.yaml"), "x").unwrap();
    let (good, said) = checked(&[folder.path().to_owned()], false);
    assert!(!good && said.contains("no policies are here"), "{said}");
    let (good, said) = checked(&[folder.path().join("none.yaml")], false);
    assert!(!good && said.contains("none.yaml:1:1: No such file"), "{said}");
}

#[test]
fn match_says_which_file_set_each_value() {
    let (good, said) = matched(&ours(), "shopflow-production/shopflow-api");
    assert!(good);
    let place = |file: &str, line: usize| format!("{}:{line}", ours().join(file).display());
    let text = std::fs::read_to_string(ours().join("shopflow/production.yaml")).unwrap();
    let line = text.lines().position(|line| line.contains("SEV2: \"< 95%\"")).unwrap() + 1;
    for (start, end) in [
        (place("shopflow/production.yaml", line), "checks.order success.breach.SEV2: < 95%"),
        (place("shopflow/_defaults.yaml", 9), "labels.service: service"),
        ("<defaults>:3".to_owned(), "grace: 2m"),
        ("<bundle ecs-web>:8".to_owned(), "phases.immediate.until: 15m"),
    ] {
        let found = said.lines().any(|line| line.trim().starts_with(&start) && line.ends_with(end));
        assert!(found, "{start} {end} in\n{said}");
    }
}

#[test]
fn match_of_a_service_without_a_policy_names_the_nearest() {
    assert_eq!(
        matched(&ours(), "taskflow-productoin/taskflow-api"),
        (
            false,
            "no policy guards taskflow-productoin/taskflow-api\n  \
             did you mean taskflow-production/taskflow-api?\n  \
             did you mean shopflow-production/shopflow-api?\n  \
             did you mean taskflow-staging/taskflow-api?\n"
                .into()
        )
    );
    assert!(matching::run(&ours(), "api", &mut Vec::new()).is_err());
}

#[test]
fn match_without_a_target_says_which_target_has_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let text = BASE.replace("{ cluster", "{ target: prod-us, cluster");
    std::fs::write(folder.path().join("x.yaml"), text).unwrap();
    let (good, said) = matched(folder.path(), "shop/api");
    assert!(!good && said.contains("at the target prod-us, `shop` does"), "{said}");
    assert!(matched(folder.path(), "prod-us/shop/api").0);
}

#[test]
fn two_policies_of_one_service_are_a_mistake_to_check_and_both_shown_by_match() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), BASE).unwrap();
    std::fs::write(folder.path().join("b.yaml"), BASE.replace("policy: shop", "policy: b"))
        .unwrap();
    let (good, said) = checked(&[folder.path().to_owned()], false);
    assert!(!good && said.contains("b.yaml:4:34: `shop` and `b` both guard `shop/api`"), "{said}");
    let (good, said) = matched(folder.path(), "shop/api");
    assert!(!good && said.starts_with("2 policies guard shop/api: only notifications"), "{said}");
}

#[test]
fn the_schema_describes_every_key() {
    let mut out = Vec::new();
    schema::run(&mut out).unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let keys: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    for key in ["version", "policy", "match", "extends", "checks", "actions", "notify"] {
        assert!(keys.iter().any(|known| *known == key), "{key} in {keys:?}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let mode = &schema["properties"]["mode"];
    assert!(mode["description"].as_str().unwrap().starts_with("A ceiling"), "{mode}");
    let check = schema["properties"]["checks"]["additionalProperties"].to_string();
    let either = schema["$defs"]["CheckOrOff"]["anyOf"].to_string();
    assert!(check.contains("CheckOrOff") && either.contains("#/$defs/Off"), "{check} {either}");
    assert_eq!(schema["$defs"]["Off"]["oneOf"][0]["const"], "off", "as a bundle's check may be");
    insta::assert_json_snapshot!("schema", schema);
}
