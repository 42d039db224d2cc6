//! One bad policy for each rule, in `bad/`, with what is said about it beside
//! it. `UPDATE_EXPECTED=1` writes those texts anew: read them.

use std::path::Path;

use super::*;

#[test]
fn every_mistake_is_told_at_its_place_with_a_mend() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy/bad");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() > 80, "the bad policies are there");
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let said = told(check(&[file(name, std::fs::read(&path).unwrap())]));
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&beside, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if said != expected {
            wrong.push(format!("--- {name} says\n{said}--- expected\n{expected}"));
        }
        assert!(!said.ends_with("policies\n"), "{name} is refused");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_policy_that_the_bad_ones_were_made_from_is_good() {
    assert_eq!(told(read_one(include_str!("good_base.yaml"))), "1 policies\n");
}
