//! Links between the documents: each leads to a file that is there, and to a place in it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// What people read, in the order in which they are likely to.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "deploy/README.md"].map(PathBuf::from).into();
    let docs = std::fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    found.extend(docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    found.sort();
    found
}

/// The lines that are no code, without what stands in backticks.
fn prose(text: &str) -> Vec<(usize, String)> {
    let quoted = Regex::new("`[^`]*`").unwrap();
    let (mut lines, mut in_code) = (Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((at + 1, quoted.replace_all(line, "`").into_owned()));
        }
    }
    lines
}

/// The places of a document that a link can lead to, each with how often it is there:
/// headings as GitHub names them, and what is named by hand.
fn places(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        let heading = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim());
        for place in by_hand(line).into_iter().chain(heading.filter(|_| !in_code).map(slug)) {
            *found.entry(place).or_default() += 1;
        }
    }
    found
}

/// The places that are named by hand, `<a id="rollback.cooldown"></a>`.
fn by_hand(text: &str) -> Vec<String> {
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("<a id=\"([^\"]+)\"></a>").unwrap());
    NAMED.captures_iter(text).map(|id| id[1].to_owned()).collect()
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// `docs/../deploy/README.md` as `deploy/README.md`.
fn resolved(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// What is wrong with the link to `target` in the document at `from`.
fn wrong(from: &Path, target: &str, read: &impl Fn(&Path) -> Option<String>) -> Option<String> {
    let (path, place) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() {
        from.to_owned()
    } else {
        resolved(&from.parent().unwrap_or(Path::new("")).join(path))
    };
    let Some(text) = read(&file) else { return Some(format!("there is no {}", file.display())) };
    let is_there = place.is_empty() || places(&text).contains_key(place);
    (!is_there).then(|| format!("{} has no place `#{place}`", file.display()))
}

fn broken(from: &Path, text: &str, read: &impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        for target in link.captures_iter(&line) {
            if target[1].contains("://") || target[1].starts_with("mailto:") {
                continue;
            }
            let why = wrong(from, &target[1], read);
            found.extend(why.map(|why| format!("{}:{at}: {why}", from.display())));
        }
    }
    found
}

/// A file's text; a folder has none, and is there.
fn on_disk(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some(String::new());
    }
    std::fs::read_to_string(path).ok()
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 10, "only {documents:?}");
    let texts = documents.iter().map(|path| (path, std::fs::read_to_string(path).unwrap()));
    let broken: Vec<String> =
        texts.flat_map(|(path, text)| self::broken(path, &text, &on_disk)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn no_place_that_is_named_by_hand_is_there_twice() {
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        let places = places(&text);
        let twice: Vec<String> =
            by_hand(&text).into_iter().filter(|place| places[place] > 1).collect();
        assert!(twice.is_empty(), "{}: {twice:?}", path.display());
    }
}

#[test]
fn every_document_is_linked_from_the_readme() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    for path in documents().iter().filter(|path| !path.ends_with("README.md")) {
        assert!(readme.contains(&format!("]({}", path.display())), "{}", path.display());
    }
}

#[test]
fn a_link_to_what_is_not_there_is_told_with_its_line() {
    let read = |path: &Path| match path.to_str() {
        Some("docs/a.md") => Some("# How it is\n<a id=\"x.y\"></a>\n```\n# no heading\n```".into()),
        Some("deploy") => Some(String::new()),
        _ => None,
    };
    let text = "[1](a.md#how-it-is) [2](a.md#x.y) [3](../deploy) [4](https://example.com/#x)\n\
                `[5](no.md)` [6](b.md)\n[7](a.md#no-heading)\n```\n[8](c.md)\n```\n[9](#here)";
    assert_eq!(
        broken(Path::new("docs/a.md"), text, &read),
        [
            "docs/a.md:2: there is no docs/b.md",
            "docs/a.md:3: docs/a.md has no place `#no-heading`",
            "docs/a.md:7: docs/a.md has no place `#here`",
        ]
    );
}
