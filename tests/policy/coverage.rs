//! docs/coverage.md: every line of a policy that it cites says what is quoted there.
//! `UPDATE_EXPECTED=1` puts the new line numbers in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use regex::Regex;

const DOCUMENT: &str = "docs/coverage.md";
/// What rows may still wait for: nothing is left.
const TO_COME: &[&str] = &[];
/// The documents, with the folder of their policies and the fewest rows that they have.
const DOCUMENTS: &[(&str, &str, usize)] = &[
    ("## 000 TaskFlow on ECS", "policies/taskflow/", 35),
    ("## 001 ShopFlow on ECS", "policies/shopflow/", 35),
    ("## 002 TaskFlow on Kubernetes", "policies/taskflow-k8s/", 40),
    ("## 003 Unifocus on ECS with CloudWatch", "policies/unifocus/", 30),
    ("## 004 TaskForge on Render", "policies/taskforge/", 20),
];

/// A line of a policy that the document names, and what is to stand there.
struct Cite {
    /// The line of the document.
    at: usize,
    path: String,
    line: usize,
    text: String,
    /// Where the number stands in the document.
    number: Range<usize>,
}

fn cites(document: &str) -> Vec<Cite> {
    let form = Regex::new(r"`(policies[^`:]*):(\d+)` `([^`]+)`").unwrap();
    let cite = |found: regex::Captures<'_>| Cite {
        at: document[..found.get(0).unwrap().start()].matches('\n').count() + 1,
        path: found[1].to_owned(),
        line: found[2].parse().unwrap(),
        text: found[3].to_owned(),
        number: found.get(2).unwrap().range(),
    };
    form.captures_iter(document).map(cite).collect()
}

/// The lines that say `text`, comments left out.
fn lines_with(file: &str, text: &str) -> Vec<usize> {
    let said = |line: &&str| line.contains(text) && !line.trim_start().starts_with('#');
    file.lines().enumerate().filter(|(_, line)| said(line)).map(|(at, _)| at + 1).collect()
}

/// What is wrong with the cites, in words that say where to look.
fn wrong(cites: &[Cite], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let wrong = |cite: &Cite| {
        let Cite { at, path, line, text, .. } = cite;
        let place = format!("{DOCUMENT}:{at}: {path}:{line}");
        if text.ends_with(':') {
            return Some(format!("{place}: `{text}` is a name: cite the line that holds it"));
        }
        let Some(file) = read(path) else { return Some(format!("{place}: no such file")) };
        match &lines_with(&file, text)[..] {
            [] => Some(format!("{place}: no line says `{text}` any more: what holds this now?")),
            found if found.contains(line) => None,
            found => {
                let now: Vec<String> = found.iter().map(ToString::to_string).collect();
                Some(format!("{place}: `{text}` is in line {} now", now.join(" or ")))
            }
        }
    };
    cites.iter().filter_map(wrong).collect()
}

/// The document with the nearest line that says what is quoted, where there is one.
fn refreshed(document: &str, read: impl Fn(&str) -> Option<String>) -> String {
    let mut text = document.to_owned();
    for cite in cites(document).iter().rev() {
        let lines = read(&cite.path).map(|file| lines_with(&file, &cite.text)).unwrap_or_default();
        if let Some(near) = lines.into_iter().min_by_key(|line| line.abs_diff(cite.line)) {
            text.replace_range(cite.number.clone(), &near.to_string());
        }
    }
    text
}

fn on_disk(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn document() -> String {
    let document = on_disk(DOCUMENT).unwrap();
    if std::env::var_os("UPDATE_EXPECTED").is_none() {
        return document;
    }
    let fresh = refreshed(&document, on_disk);
    std::fs::write(DOCUMENT, &fresh).unwrap();
    fresh
}

/// The rows of each document: statement and what holds it.
fn rows(document: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut heading = String::new();
    for line in document.lines() {
        if line.starts_with("## ") {
            line.clone_into(&mut heading);
        }
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else {
            continue;
        };
        if matches!(row, "They say | Held by" | "--- | ---") {
            continue;
        }
        let (said, held) = row.split_once(" | ").unwrap_or_else(|| panic!("no two cells: {line}"));
        assert!(!held.contains(" | "), "more than two cells: {line}");
        found.entry(heading.clone()).or_default().push((said.to_owned(), held.to_owned()));
    }
    found
}

#[test]
fn every_line_that_the_coverage_cites_says_what_is_quoted() {
    let document = document();
    let cites = cites(&document);
    assert!(cites.len() > 120, "only {} lines are cited", cites.len());
    let wrong = wrong(&cites, on_disk);
    assert!(wrong.is_empty(), "\n{}\nUPDATE_EXPECTED=1 puts new numbers in\n", wrong.join("\n"));
}

#[test]
fn every_document_has_its_rows_and_they_cite_its_own_policies() {
    let rows = rows(&document());
    let headings: BTreeSet<&str> = DOCUMENTS.iter().map(|(heading, ..)| *heading).collect();
    assert_eq!(rows.keys().map(String::as_str).collect::<BTreeSet<_>>(), headings);
    for (heading, folder, fewest) in DOCUMENTS {
        let own = &rows[*heading];
        assert!(own.len() >= *fewest, "{heading} has {} rows", own.len());
        for (said, held) in own {
            assert!(!said.is_empty() && !held.is_empty(), "{heading}: {said} | {held}");
            let foreign = cites(held).into_iter().find(|cite| !cite.path.starts_with(folder));
            assert!(foreign.is_none(), "{heading}: `{said}` cites {}", foreign.unwrap().path);
        }
    }
}

#[test]
fn what_is_to_come_is_what_this_test_expects_and_no_more() {
    let form = Regex::new(r"to come: ([A-Za-z ]+)").unwrap();
    let rows = rows(&document());
    let waits = rows.values().flatten().flat_map(|(_, held)| form.captures_iter(held));
    let waited: BTreeSet<String> = waits.map(|found| found[1].trim().to_owned()).collect();
    assert_eq!(waited, TO_COME.iter().map(|one| (*one).to_owned()).collect());
}

#[test]
fn every_check_of_the_policies_is_cited() {
    let document = document();
    let mut missing = Vec::new();
    for file in deployguard::policy_repo::collect(&["policies".into()]).unwrap() {
        let text = String::from_utf8(file.bytes).unwrap();
        // Stage and staging repeat what production says, and a row may say so.
        let Some(production) = text.split_once("\nchecks:\n").filter(|_| {
            file.path.ends_with("/production.yaml") || file.path.ends_with("/prod.yaml")
        }) else {
            continue;
        };
        let first = production.0.lines().count() + 2;
        let mut check = String::new();
        let mut blocks: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, line) in production.1.lines().enumerate() {
            if !line.starts_with([' ', '#']) && !line.is_empty() {
                break;
            }
            let is_check = line.starts_with("  ") && !line.starts_with("   ");
            if let Some((name, _)) = line.trim().split_once(':').filter(|_| is_check)
                && !name.starts_with('#')
            {
                name.clone_into(&mut check);
            }
            blocks.entry(check.clone()).or_default().push(first + at);
        }
        let cited: BTreeSet<usize> = cites(&document)
            .into_iter()
            .filter(|cite| cite.path == file.path)
            .map(|cite| cite.line)
            .collect();
        let is_cited = |lines: &[usize]| lines.iter().any(|line| cited.contains(line));
        let uncited = blocks.iter().filter(|(name, lines)| !name.is_empty() && !is_cited(lines));
        missing.extend(uncited.map(|(name, _)| format!("{}: {name}", file.path)));
    }
    assert!(missing.is_empty(), "no statement is held by {missing:#?}");
}

#[test]
fn a_line_that_moved_is_told_with_its_new_number_and_one_that_is_gone_as_gone() {
    let text = "| x | `policies/a.yaml:2` `SEV2: 1`, `policies/b.yaml:1` `y` |\n\
                | z | `policies/a.yaml:9` `cpu: 1`, `policies/a.yaml:1` `gone` |\n\
                | n | `policies/a.yaml:3` `cpu:` |\n";
    let read = |path: &str| {
        (path == "policies/a.yaml").then(|| "# SEV2: 1\n\ncpu: 1\n  SEV2: 1\ncpu: 1\n".to_owned())
    };
    assert_eq!(
        wrong(&cites(text), read),
        [
            "docs/coverage.md:1: policies/a.yaml:2: `SEV2: 1` is in line 4 now",
            "docs/coverage.md:1: policies/b.yaml:1: no such file",
            "docs/coverage.md:2: policies/a.yaml:9: `cpu: 1` is in line 3 or 5 now",
            "docs/coverage.md:2: policies/a.yaml:1: no line says `gone` any more: what holds \
             this now?",
            "docs/coverage.md:3: policies/a.yaml:3: `cpu:` is a name: cite the line that holds it",
        ]
    );
    let fresh = refreshed(text, read);
    assert!(fresh.contains("policies/a.yaml:4") && fresh.contains("policies/a.yaml:5"), "{fresh}");
    assert!(fresh.contains("`policies/a.yaml:1` `gone`"), "{fresh}");
}
