//! What git knows of the policy files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree};

use super::files::{MAX_DEPTH, is_hidden, is_read};
use crate::policy::SourceFile;

/// The commit around `root`, and whether `files` differ from it. The bytes that
/// were read are compared, so a change in between is never taken for clean.
pub(super) fn standing(root: &Path, files: &[SourceFile]) -> (Option<String>, bool) {
    match compared(root, files) {
        Ok((commit, dirty)) => (Some(commit), dirty),
        Err(error) if error.code() == git2::ErrorCode::NotFound => (None, true),
        Err(error) => {
            tracing::warn!(%error, path = %root.display(), "the policies' git commit is unknown");
            (None, true)
        }
    }
}

fn compared(root: &Path, files: &[SourceFile]) -> Result<(String, bool), git2::Error> {
    let repository = Repository::discover(root)?;
    let commit = repository.head()?.peel_to_commit()?;
    let id = commit.id().to_string();
    let top = repository.workdir().and_then(|top| top.canonicalize().ok());
    let Some(top) = top else { return Ok((id, true)) };
    let inside = |path: &Path| Some(path.canonicalize().ok()?.strip_prefix(&top).ok()?.to_owned());
    let Some(folder) = inside(root) else { return Ok((id, true)) };

    let mut committed = BTreeMap::new();
    blobs(&repository, &commit.tree()?, Path::new(""), 0, &mut committed)?;
    committed.retain(|path, _| path.starts_with(&folder));
    let mut here = BTreeMap::new();
    for file in files {
        let Some(path) = inside(Path::new(&file.path)) else { return Ok((id, true)) };
        here.insert(path, Oid::hash_object(ObjectType::Blob, &file.bytes)?);
    }
    here.retain(|path, _| path.starts_with(&folder));
    Ok((id, here != committed))
}

/// The policy files of a commit.
fn blobs(
    repository: &Repository,
    tree: &Tree,
    folder: &Path,
    depth: usize,
    found: &mut BTreeMap<PathBuf, Oid>,
) -> Result<(), git2::Error> {
    for entry in tree {
        let Ok(name) = std::str::from_utf8(entry.name_bytes()) else { continue };
        let path = folder.join(name);
        match entry.kind() {
            _ if is_hidden(&path) => {}
            Some(ObjectType::Blob) if is_read(&path) => {
                found.insert(path, entry.id());
            }
            Some(ObjectType::Tree) if depth < MAX_DEPTH * 2 => {
                blobs(repository, &repository.find_tree(entry.id())?, &path, depth + 1, found)?;
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
