//! `deployguard test` as a person sees it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use deployguard::cli::{check, test};

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tested(paths: &[PathBuf]) -> (bool, String) {
    let mut out = Vec::new();
    let code = test::run_tests(paths, &mut out).unwrap();
    (code == ExitCode::SUCCESS, String::from_utf8(out).unwrap())
}

/// A policy with one check, and a test of it with `expect`.
fn folder(expect: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let policy = "version: 1\npolicy: shop\nenvironment: production\n\
        match: { cluster: shop, service: api }\nphases: { all: { until: 1h, interval: 1m } }\n\
        checks: { depth: { query: queue_depth, breach: { SEV2: \"> 10\" } } }\n";
    std::fs::write(folder.path().join("shop.yaml"), policy).unwrap();
    let test = format!(
        "policy: shop.yaml\ndeployment: {{ service: api, at: 10m }}\n\
        series:\n  - {{ check: depth, values: '5x10 20x20' }}\n\
        tests:\n  - name: a deep queue\n    expect:\n      - {expect}\n"
    );
    std::fs::write(folder.path().join("shop_test.yaml"), test).unwrap();
    folder
}

/// The policies that ship, by their folders: a test for each, because they take a while.
const SHIPPED: [&str; 7] = [
    "policies-cloudwatch/shopflow",
    "policies-cloudwatch/taskflow",
    "policies/shopflow",
    "policies/taskflow",
    "policies/taskflow-k8s",
    "policies/taskforge",
    "policies/unifocus",
];

#[test]
fn every_folder_of_policies_that_ships_is_tested_here() {
    let inner = |outer: &str| -> Vec<String> {
        let entries = std::fs::read_dir(here().join(outer)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.map(|name| format!("{outer}/{name}")).collect()
    };
    let mut found = [inner("policies"), inner("policies-cloudwatch")].concat();
    found.sort();
    assert_eq!(found, SHIPPED);
}

/// Whether its policies do what their document says.
fn is_kept(folder: usize) {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_deployguard"));
    let ran = binary.arg("test").arg(here().join(SHIPPED[folder])).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}");
    assert!(said.ends_with(" tests, 0 failed\n"), "{said}");
    assert!(!said.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn shopflows_policies_for_cloudwatch_do_what_its_document_says() {
    is_kept(0);
}

#[test]
fn taskflows_policies_for_cloudwatch_do_what_its_document_says() {
    is_kept(1);
}

#[test]
fn shopflows_policies_do_what_its_document_says() {
    is_kept(2);
}

#[test]
fn taskflows_policies_do_what_its_document_says() {
    is_kept(3);
}

#[test]
fn taskflows_policies_for_kubernetes_do_what_its_document_says() {
    is_kept(4);
}

#[test]
fn taskforges_policies_do_what_its_document_says() {
    is_kept(5);
}

#[test]
fn unifocus_policies_do_what_its_document_says() {
    is_kept(6);
}

#[test]
fn the_cases_of_this_folder_pass() {
    let (good, said) = tested(&[here().join("tests/rehearsal/cases")]);
    assert!(good, "{said}");
}

#[test]
fn a_failure_shows_what_was_expected_what_was_got_and_the_evidence() {
    let folder = folder("{ at: +10m, check: depth, verdict: healthy }");
    let (good, said) = tested(&[folder.path().to_owned()]);
    assert!(!good);
    for part in [
        "FAIL  a deep queue",
        "shop_test.yaml:8:15: Mon 10:20:00 UTC, 10m after the deployment: depth",
        "expected  verdict healthy",
        "got       breach SEV2, blame deployment",
        "limits: SEV2 > 10",
        "baseline before:",
        "1 test, 1 failed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
}

#[test]
fn a_failure_says_why_nobody_rolled_it_back() {
    let folder = folder("{ at: +10m, action: rollback }");
    let (_, said) = tested(&[folder.path().to_owned()]);
    let got = "got       would ask (the mode is observe: in mode auto people would have had to \
        decide: nobody announced whether a rollback is safe (rollback_safe))";
    assert!(said.contains(got), "{said}");
}

#[test]
fn mistakes_of_a_test_file_are_told_at_their_places() {
    for (expect, told) in [
        ("{ at: +10m, chekc: depth }", "8:21: unknown key `chekc`; did you mean `check`?"),
        ("{ at: 3h, check: depth, verdict: healthy }", "8:15: that is after the end of the series"),
        ("{ at: +1m, check: dept, verdict: healthy }", "8:27: `dept` is not known here"),
        ("{ at: +1m, check: depth, verdict: fine }", "8:43: `fine` is not known here"),
        ("{ at: +1m, by: +2m, action: none }", "8:15: say when: one of"),
        ("{ at: +1m, verdict: healthy }", "8:15: `check` is missing"),
        ("{ at: +1m }", "8:15: nothing is expected"),
        ("{ at: +1m, message: /(/ }", "8:29: no regular expression: unclosed group"),
    ] {
        let folder = folder(expect);
        let (good, said) = tested(&[folder.path().to_owned()]);
        assert!(!good && said.contains(&format!("shop_test.yaml:{told}")), "{expect}:\n{said}");
    }
}

#[test]
fn a_series_that_nothing_asks_for_is_a_slip() {
    let folder = folder("{ at: +1m, action: none }");
    let path = folder.path().join("shop_test.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let slip = "series:\n  - { series: 'request_total{a=\"b\"}', values: '0+1x30' }\n";
    std::fs::write(&path, text.replace("series:\n", slip)).unwrap();
    let (good, said) = tested(&[path]);
    assert!(!good && said.contains("4:15: no check asks for `request_total`"), "{said}");
}

#[test]
fn tests_are_no_policies_and_folders_without_tests_are_told() {
    let folder = folder("{ at: +1m, action: none }");
    let mut out = Vec::new();
    let code = check::run(&[folder.path().to_owned()], false, &mut out).unwrap();
    assert!(code == ExitCode::SUCCESS && out.starts_with(b"1 policy, 1 check: "));
    let all = ["shop.yaml", "shop_test.yaml"].map(|name| folder.path().join(name));
    assert!(check::run(&all, false, &mut out).unwrap() == ExitCode::SUCCESS);
    std::fs::remove_file(&all[1]).unwrap();
    let (good, said) = tested(&[folder.path().to_owned()]);
    assert!(!good && said.contains("no tests are here"), "{said}");
}
