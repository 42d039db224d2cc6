//! The policy files of an earlier commit.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use git2::{ObjectType, Repository, Tree};

use super::files::{MAX_DEPTH, MAX_FILES, is_hidden, is_policy, is_read};
use crate::policy::{MAX_BYTES, SourceFile, is_calendar};

/// The policy files that lay at `paths` at the git revision `revision`, with the
/// `_defaults.yaml` files above a single file, each named `REVISION:PATH`. A
/// path that was not there yet has none.
///
/// # Errors
/// A path outside git, and a revision that the repository does not know.
pub fn collect_at(revision: &str, paths: &[PathBuf]) -> anyhow::Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    for path in paths {
        let path = settled(path)?;
        let repository = Repository::discover(nearest(&path))
            .with_context(|| format!("{} is not in a git repository", path.display()))?;
        let top = repository.workdir().context("the repository has no working tree")?;
        let top = top.canonicalize()?;
        let inside = path.strip_prefix(&top).context("the path is not in the working tree")?;
        let commit = repository
            .revparse_single(revision)
            .and_then(|object| object.peel_to_commit())
            .map_err(|_| anyhow!("git knows no revision `{revision}`"))?;
        let past = Past { repository: &repository, revision, path: inside };
        past.walk(&commit.tree()?, Path::new(""), 0, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup();
    Ok(found)
}

struct Past<'a> {
    repository: &'a Repository,
    revision: &'a str,
    /// What is looked for, from the top of the repository.
    path: &'a Path,
}

impl Past<'_> {
    fn walk(
        &self,
        tree: &Tree,
        folder: &Path,
        depth: usize,
        found: &mut Vec<SourceFile>,
    ) -> anyhow::Result<()> {
        for entry in tree {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else { continue };
            let path = folder.join(name);
            match entry.kind() {
                Some(ObjectType::Tree) if self.leads_to(&path) && depth < MAX_DEPTH * 2 => {
                    self.walk(&self.repository.find_tree(entry.id())?, &path, depth + 1, found)?;
                }
                Some(ObjectType::Blob) if self.wants(&path) => {
                    if found.len() >= MAX_FILES {
                        bail!("there are more than {MAX_FILES} policy files");
                    }
                    let blob = self.repository.find_blob(entry.id())?;
                    // One byte more than allowed is enough to refuse it.
                    let bytes = blob.content().iter().take(MAX_BYTES + 1).copied().collect();
                    let path = format!("{}:{}", self.revision, path.display());
                    found.push(SourceFile { path, bytes });
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Whether what is looked for may lie in `folder`.
    fn leads_to(&self, folder: &Path) -> bool {
        self.path.starts_with(folder) || (folder.starts_with(self.path) && !is_hidden(folder))
    }

    fn wants(&self, file: &Path) -> bool {
        let defaults = ["_defaults.yaml", "_defaults.yml"].iter().any(|name| file.ends_with(name));
        let calendar = file.to_str().is_some_and(is_calendar);
        let above = file.parent().is_some_and(|folder| self.path.starts_with(folder));
        file == self.path
            || (file.starts_with(self.path) && is_read(file) && !is_hidden(file))
            || ((defaults || calendar) && above && is_policy(self.path))
    }
}

/// The path without links, even if its end is there no longer.
fn settled(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let there = nearest(&path);
    let rest = path.strip_prefix(there)?;
    let there = there.canonicalize()?;
    Ok(if rest.as_os_str().is_empty() { there } else { there.join(rest) })
}

/// The path itself, or the nearest folder above it that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}
