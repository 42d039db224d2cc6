//! The folder that policies live in: reading it, and noticing changes.

mod files;
mod past;
mod standing;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use self::standing::standing;
use crate::policy::{Diagnostic, Holidays, PolicySet, read};

pub use files::{collect, tests_at};
pub use past::collect_at;

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
    /// The first mistake, where the folder could not be read since the start: what is guarded
    /// is not known then, which is not the same as that nothing is.
    pub unread: Option<String>,
    /// The folder that was read.
    root: PathBuf,
}

impl Loaded {
    /// A policy file's path as people in the repository know it: from the
    /// folder's own name on.
    pub fn shown(&self, file: &str) -> String {
        let above = self.root.parent().unwrap_or(&self.root);
        let path = Path::new(file);
        path.strip_prefix(above).unwrap_or(path).display().to_string()
    }
}

/// What a change of the folder came to.
#[derive(Debug, Clone)]
pub enum Reload {
    Good(Loaded),
    /// The last good set stays in force, if there was one since the start.
    Broken(Vec<Diagnostic>),
}

impl PolicyRepo {
    /// Names the folder; reads nothing yet.
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// No policies at all.
    pub fn nothing(&self) -> Loaded {
        let (set, root) = (PolicySet::default(), self.root.clone());
        Loaded { set, commit: None, dirty: true, unread: None, root }
    }

    /// What is in force until the folder can be read.
    pub fn unread(&self, mistakes: &[Diagnostic]) -> Loaded {
        let first = mistakes.first().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        Loaded { unread: Some(first), ..self.nothing() }
    }

    /// Reads the folder as it is now. Blocks on the file system.
    ///
    /// # Errors
    /// Every mistake; a folder without policies is one.
    pub fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        let files = collect(std::slice::from_ref(&self.root))?;
        let (commit, dirty) = standing(&self.root, &files);
        let root = self.root.clone();
        let set = match window_of_a_test() {
            Some(window) => read(&files)?.with_window(window),
            None => read(&files)?,
        };
        Ok(Loaded { set, commit, dirty, unread: None, root })
    }

    /// Sends each change that makes a difference, beginning with the first
    /// after `known`; with `None`, beginning with what is there now. Ends when
    /// the receiver is dropped. Must be called within a tokio runtime.
    pub fn watch(self, known: Option<&Loaded>) -> mpsc::Receiver<Reload> {
        let (sender, receiver) = mpsc::channel(1);
        let known = known.map_or(Seen::Nothing, |known| Seen::Good(fingerprint(known)));
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
            let patience = if seen == Seen::Nothing { Duration::ZERO } else { BACKSTOP };
            tokio::select! {
                () = sender.closed() => return,
                () = tokio::time::sleep(patience) => {}
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
    Nothing,
    Good(Fingerprint),
    Broken(Vec<Diagnostic>),
}

/// What makes two readings the same: each file's digest, the holidays, the commit, and
/// whether the files are the commit's.
type Fingerprint = (Vec<(String, String)>, Vec<Option<Holidays>>, Option<String>, bool);

/// In a test build, and nowhere else: in seconds, see [`PolicySet::with_window`].
fn window_of_a_test() -> Option<SignedDuration> {
    if !cfg!(feature = "failpoints") {
        return None;
    }
    let seconds = std::env::var("DEPLOYGUARD_TEST_WINDOW").ok()?;
    seconds.parse().ok().map(SignedDuration::from_secs)
}

fn fingerprint(loaded: &Loaded) -> Fingerprint {
    let digests = loaded.set.iter().map(|written| (written.file.clone(), written.digest.clone()));
    let holidays = loaded.set.iter().map(|written| written.policy.gate.times.holidays.clone());
    (digests.collect(), holidays.collect(), loaded.commit.clone(), loaded.dirty)
}
