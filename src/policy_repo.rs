//! The folder that policies live in: reading it, and noticing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{ObjectType, Oid, Repository, Tree};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::policy::{Diagnostic, MAX_BYTES, PolicySet, SourceFile, nothing_there, read};

/// Files of one folder. More are a mistaken path.
const MAX_FILES: usize = 1_000;
/// Folders within one another.
const MAX_DEPTH: usize = 16;
/// How long a burst of changes is waited out.
const SETTLE: Duration = Duration::from_millis(300);
/// The folder is re-read this often even if nothing was noticed: a commit
/// changes no policy file, and not every file system tells of changes.
const BACKSTOP: Duration = Duration::from_secs(30);

/// A folder of policies, or a single policy file.
#[derive(Debug, Clone)]
pub struct PolicyRepo {
    root: PathBuf,
}

/// Policies as they were found together.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub set: PolicySet,
    /// The commit that is checked out around the folder; `None` outside git.
    pub commit: Option<String>,
    /// Whether the policy files are not exactly those of the commit. True
    /// outside git.
    pub dirty: bool,
}

/// What a change of the folder came to.
#[derive(Debug, Clone)]
pub enum Reload {
    Good(Loaded),
    /// The last good set stays in force.
    Broken(Vec<Diagnostic>),
}

impl PolicyRepo {
    /// Names the folder; reads nothing yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Reads the folder as it is now. Blocks on the file system.
    ///
    /// # Errors
    /// Every mistake; a folder without policies is one.
    pub fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let files = collect(std::slice::from_ref(&self.root))?;
        let (commit, dirty) = standing(&self.root, &files);
        read(&files).map(|set| Loaded { set, commit, dirty })
    }

    /// Sends each change that makes a difference, beginning with the first
    /// after `known`. Ends when the receiver is dropped. Must be called within
    /// a tokio runtime.
    pub fn watch(self, known: &Loaded) -> mpsc::Receiver<Reload> {
        let (sender, receiver) = mpsc::channel(1);
        let known = Seen::Good(fingerprint(known));
        tokio::spawn(self.follow(known, sender));
        receiver
    }

    async fn follow(self, mut seen: Seen, sender: mpsc::Sender<Reload>) {
        // One pending hint is enough: it says "look again", not what changed.
        let (hint, mut hints) = mpsc::channel(1);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    // Full means that a look is due anyway.
                    let _ = hint.try_send(());
                }
            })
            .inspect_err(|error| tracing::warn!(%error, "policies are only re-read every 30 s"))
            .ok();
        loop {
            if let Some(watcher) = &mut watcher {
                // Again each time: the folder itself may have been replaced.
                let _ = watcher.watch(&self.root, RecursiveMode::Recursive);
            }
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(BACKSTOP) => {}
                Some(()) = hints.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    let _ = hints.try_recv();
                }
            }
            let repo = self.clone();
            let Ok(loaded) = tokio::task::spawn_blocking(move || repo.load()).await else {
                continue;
            };
            let (now, reload) = match loaded {
                Ok(loaded) => (Seen::Good(fingerprint(&loaded)), Reload::Good(loaded)),
                Err(mistakes) => (Seen::Broken(mistakes.clone()), Reload::Broken(mistakes)),
            };
            if now != seen {
                seen = now;
                if sender.send(reload).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What the receiver knows already.
#[derive(Debug, PartialEq)]
enum Seen {
    Good(Fingerprint),
    Broken(Vec<Diagnostic>),
}

/// What makes two readings the same: each file's digest, the commit, and
/// whether the files are the commit's.
type Fingerprint = (Vec<(String, String)>, Option<String>, bool);

fn fingerprint(loaded: &Loaded) -> Fingerprint {
    let digests = loaded.set.iter().map(|written| (written.file.clone(), written.digest.clone()));
    (digests.collect(), loaded.commit.clone(), loaded.dirty)
}

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
            walk(path, 0, &mut found)
        } else {
            defaults_above(path, &mut found);
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
    if mistakes.is_empty() { Ok(found.into_values().collect()) } else { Err(mistakes) }
}

/// By canonical path, so that a file named twice is read once.
type Found = BTreeMap<PathBuf, SourceFile>;

/// Hidden files and folders are skipped, and so are links to folders.
fn walk(folder: &Path, depth: usize, found: &mut Found) -> Result<(), Diagnostic> {
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
                walk(&path, depth + 1, found)?;
            }
        } else if is_yaml(&path) {
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

fn is_hidden(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.strip_prefix("./").unwrap_or(&text).to_owned()
}

/// The commit around `root`, and whether `files` differ from it. The bytes that
/// were read are compared, so a change in between is never taken for clean.
fn standing(root: &Path, files: &[SourceFile]) -> (Option<String>, bool) {
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
            Some(ObjectType::Blob) if is_yaml(&path) => {
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
