//! Finding and reading policy files, within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::policy::{Diagnostic, MAX_BYTES, SourceFile, is_calendar, nothing_there};

/// Files of one folder. More are a mistaken path.
pub(super) const MAX_FILES: usize = 1_000;
/// Folders within one another.
pub(super) const MAX_DEPTH: usize = 16;

/// The policy files at `paths`, each once, with the `_defaults.yaml` files that
/// lie above a single file in its repository.
///
/// # Errors
/// Paths that can't be read, and folders without policies.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Vec<Diagnostic>> {
    let mut found = BTreeMap::new();
    let mut mistakes = Vec::new();
    for path in paths {
        let before = found.len();
        let walked = if path.is_dir() {
            walk(path, 0, is_read, &mut found)
        } else if is_test(path) {
            // `policies/*.yaml` names the tests beside the policies too.
            Ok(())
        } else {
            defaults_above(path, &mut found);
            calendars_beside(path, &mut found);
            add(path, &mut found)
        };
        match walked {
            Err(mistake) => mistakes.push(mistake),
            Ok(()) if found.len() == before && path.is_dir() => {
                mistakes.push(nothing_there(&shown(path)));
            }
            Ok(()) => {}
        }
    }
    if let (true, true, Some(path)) = (found.is_empty(), mistakes.is_empty(), paths.first()) {
        mistakes.push(Diagnostic {
            mend: Some("`deployguard test` runs it".to_owned()),
            ..Diagnostic::of_file(&shown(path), "a test of policies, and no policy")
        });
    }
    if mistakes.is_empty() { Ok(found.into_values().collect()) } else { Err(mistakes) }
}

/// The test files at `paths`: each file that is named, and each `*_test.yaml` in
/// folders; each once.
///
/// # Errors
/// Paths that can't be read, and folders without tests.
pub fn tests_at(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Vec<Diagnostic>> {
    let mut found = BTreeMap::new();
    let mut mistakes = Vec::new();
    for path in paths {
        let before = found.len();
        let walked =
            if path.is_dir() { walk(path, 0, is_test, &mut found) } else { add(path, &mut found) };
        match walked {
            Err(mistake) => mistakes.push(mistake),
            Ok(()) if found.len() == before && path.is_dir() => mistakes.push(Diagnostic {
                mend: Some("a test is a file `*_test.yaml`".to_owned()),
                ..Diagnostic::of_file(&shown(path), "no tests are here")
            }),
            Ok(()) => {}
        }
    }
    if mistakes.is_empty() { Ok(found.into_values().collect()) } else { Err(mistakes) }
}

/// By canonical path, so that a file named twice is read once.
type Found = BTreeMap<PathBuf, SourceFile>;

/// Hidden files and folders are skipped, and so are links to folders.
fn walk(
    folder: &Path,
    depth: usize,
    wanted: fn(&Path) -> bool,
    found: &mut Found,
) -> Result<(), Diagnostic> {
    let failed = |error: std::io::Error| Diagnostic::of_file(&shown(folder), error.to_string());
    if depth > MAX_DEPTH {
        let message = format!("folders nest more than {MAX_DEPTH} deep");
        return Err(Diagnostic::of_file(&shown(folder), message));
    }
    let entries: BTreeSet<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(failed)?;
    for path in entries {
        if is_hidden(&path) {
            continue;
        }
        if path.is_dir() {
            if !path.is_symlink() {
                walk(&path, depth + 1, wanted, found)?;
            }
        } else if wanted(&path) {
            add(&path, found)?;
        }
    }
    Ok(())
}

/// Adds a file; one byte more than allowed is enough to refuse it.
fn add(path: &Path, found: &mut Found) -> Result<(), Diagnostic> {
    let failed = |error: std::io::Error| Diagnostic::of_file(&shown(path), error.to_string());
    let canonical = path.canonicalize().map_err(failed)?;
    if found.len() >= MAX_FILES {
        let message = format!("there are more than {MAX_FILES} policy files");
        return Err(Diagnostic::of_file(&shown(path), message));
    }
    // A pipe or device would never end.
    if !canonical.is_file() {
        return Err(Diagnostic::of_file(&shown(path), "not a file"));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    found.entry(canonical).or_insert(SourceFile { path: shown(path), bytes });
    Ok(())
}

/// The `_defaults.yaml` files beside and above a single file, up to the folder
/// that holds `.git`; outside git only those beside it.
fn defaults_above(file: &Path, found: &mut Found) {
    let Some(own) = file.parent() else { return };
    let own = if own.as_os_str().is_empty() { Path::new(".") } else { own };
    let top = own.canonicalize().ok().and_then(|folder| {
        folder.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
    });
    let mut folder = own.to_owned();
    loop {
        for name in ["_defaults.yaml", "_defaults.yml"] {
            let path =
                if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) };
            if path.is_file() {
                // What can't be read is told when the folder is checked.
                let _ = add(&path, found);
            }
        }
        let reached = folder.canonicalize().ok();
        if top.is_none() || reached.is_none() || reached == top {
            return;
        }
        match folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => folder = above.to_owned(),
            Some(_) | None => return,
        }
    }
}

/// The calendars that a single file, and each of those above it, may name.
fn calendars_beside(file: &Path, found: &mut Found) {
    let above = found.values().map(|known| PathBuf::from(&known.path));
    let named: Vec<PathBuf> = above.chain([file.to_owned()]).collect();
    for folder in named.iter().filter_map(|path| path.parent()).collect::<BTreeSet<_>>() {
        let here = folder.as_os_str().is_empty();
        let listed = std::fs::read_dir(if here { Path::new(".") } else { folder });
        let paths = listed.into_iter().flatten().flatten().map(|entry| entry.path());
        for path in paths.filter(|path| path.to_str().is_some_and(is_calendar)) {
            // What can't be read is told where it is named.
            let _ = add(&path, found);
        }
    }
}

pub(super) fn is_hidden(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether a file holds tests of policies: `*_test.yaml`.
fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    is_yaml(path) && stem.is_some_and(|stem| stem.ends_with("_test"))
}

/// Whether a file is part of the policies: one itself, or a calendar that one may name.
pub(super) fn is_read(path: &Path) -> bool {
    is_policy(path) || path.to_str().is_some_and(is_calendar)
}

pub(super) fn is_policy(path: &Path) -> bool {
    is_yaml(path) && !is_test(path)
}

fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.strip_prefix("./").unwrap_or(&text).to_owned()
}
