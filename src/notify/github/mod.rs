//! GitHub: commit statuses, deployment statuses, and after a rollback an issue or a pull
//! request that reverts.
//!
//! - A commit status is known by its name (`deployguard/ENVIRONMENT/SERVICE`), so writing one
//!   again changes nothing; where a try may have been taken, it is looked first all the same,
//!   because GitHub keeps a thousand of a name and no more.
//! - A deployment's statuses are a list: it is read before each is written, and what is at its
//!   head already is not written again.
//! - An issue or a pull request carries a mark of its watch, by which it is found again.
//! - One request at a time and a second between two that write, as GitHub asks for. While it
//!   limits the rate nothing is asked at all: who goes on asking is kept out for longer.

mod api;
mod deployment;
mod fault;
mod probe;
mod revert;
mod status;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;

use self::api::{Api, Session};
use super::DeliverError;
use super::slack::text::line;
use crate::model::{CodePlace, GitHubNote, MarkState, WatchId};
pub use probe::{Permission, Unprobed};
pub use token::{App, Credentials};

/// The longest description of a status, in characters.
const DESCRIPTION: usize = 140;
/// States of the last words that are remembered.
const MOST_SAID: usize = 1000;

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub watch: WatchId,
    /// When it was said.
    pub at: Timestamp,
    /// When this try is made.
    pub now: Timestamp,
    pub note: GitHubNote,
    /// As Markdown, where one is opened for it.
    pub report: Option<String>,
    /// True when an earlier try may have been taken: look for it first.
    pub maybe_sent: bool,
}

/// GitHub's API, or what speaks it.
#[derive(Debug)]
pub struct GitHub {
    api: Api,
    /// Where the daemon is found, for links to the watch.
    home: Option<String>,
    /// The repositories that the settings name.
    repositories: BTreeSet<String>,
    /// One request at a time, and what was said last: of two watches over one commit the
    /// older must not have the last word.
    turn: Mutex<Said>,
}

/// The last words by repository, commit and name: of when, and whether they are of a watch
/// that goes on.
#[derive(Debug, Default)]
struct Said(BTreeMap<(String, String, String), (Timestamp, bool)>);

impl Said {
    /// Whether nothing newer stands there; of the same moment what goes on is newer than what
    /// ended for it.
    fn is_news(&self, place: &(String, String, String), word: (Timestamp, bool)) -> bool {
        self.0.get(place).is_none_or(|last| *last <= word)
    }

    fn keep(&mut self, place: (String, String, String), word: (Timestamp, bool)) {
        if self.0.len() >= MOST_SAID {
            self.0.clear();
        }
        self.0.insert(place, word);
    }
}

impl GitHub {
    /// Nothing is asked. `url`: `https://api.github.com`.
    pub fn connect(url: &str, credentials: Credentials) -> Result<Self, String> {
        let api = Api::connect(url, credentials)?;
        let (home, repositories) = (None, BTreeSet::new());
        Ok(Self { api, home, repositories, turn: Mutex::default() })
    }

    #[must_use]
    pub fn with_home(self, home: Option<String>) -> Self {
        Self { home, ..self }
    }

    #[must_use]
    pub fn with_repositories(self, repositories: BTreeSet<String>) -> Self {
        Self { repositories, ..self }
    }

    #[must_use]
    pub fn with_time_out(self, time_out: Duration) -> Self {
        Self { api: self.api.with_time_out(time_out), ..self }
    }

    /// The pause between two requests that write.
    #[must_use]
    pub fn with_pace(self, pace: Duration) -> Self {
        Self { api: self.api.with_pace(pace), ..self }
    }

    pub fn repositories(&self) -> &BTreeSet<String> {
        &self.repositories
    }

    /// Writes it once. Bounded in time.
    pub async fn write(&self, written: &Written) -> Result<(), DeliverError> {
        let mut said = self.turn.lock().await;
        let repository = &written.note.place().repository;
        let session = self.api.session(repository, written.now).await?;
        match &written.note {
            GitHubNote::Mark(mark) => {
                let sha = session.sha(&mark.place).await?;
                let place = (repository.clone(), sha.clone(), mark.place.context());
                let word = (written.at, mark.state == MarkState::Watched);
                let of_commit = if said.is_news(&place, word) {
                    let link = self.link(written);
                    status::write(&session, &sha, mark, link, written.maybe_sent).await
                } else {
                    Ok(())
                };
                if of_commit.is_ok() {
                    said.keep(place, word);
                }
                // Who may not mark commits may still tell the deployment how it went.
                let of_deployment = deployment::write(&session, mark, self.link(written)).await;
                of_commit.and(of_deployment)
            }
            GitHubNote::Revert(wish) => revert::open(&session, wish, written).await,
        }
    }

    /// Where the watch stands at the daemon.
    fn link(&self, written: &Written) -> Option<String> {
        super::words::at_home(written.watch.as_str(), self.home.as_deref())
    }
}

/// What a status says, as long as one may be.
fn description(words: &str) -> String {
    line(words, DESCRIPTION)
}

impl Session<'_> {
    /// The whole SHA of what was announced: only that can be marked.
    async fn sha(&self, place: &CodePlace) -> Result<String, DeliverError> {
        let whole = |text: &String| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let path = match (&place.commit, &place.version) {
            (Some(commit), _) if whole(commit) => return Ok(commit.to_ascii_lowercase()),
            (Some(commit), _) => vec!["commits", commit],
            // Whatever has no commit was announced by a tag.
            (None, Some(tag)) => vec!["commits", "tags", tag],
            (None, None) => {
                return Err(DeliverError::Permanent("nobody said which commit it is".to_owned()));
            }
        };
        let commit = self.get(&path, &[]).await?;
        let sha = commit["sha"].as_str().map(str::to_owned);
        sha.ok_or_else(|| DeliverError::Permanent("GitHub tells no SHA of the commit".to_owned()))
    }
}
