//! What is written at GitHub about a deployment: how its watch stands, and after a rollback a
//! word to whoever mends the code.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Said, Stage, Watch};
use crate::model::{Body, CodePlace, GitHubNote, Mark, MarkState, Outcome, Revert, RevertWish};

/// Marks of one watch before its last: GitHub takes a thousand of one name at a commit, and
/// the commit may be deployed again.
const MOST_MARKS: u32 = 100;

/// What a watch keeps of what stands there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtGitHub {
    /// The repository that the settings name for the service.
    pub repository: Option<String>,
    /// What stands there, so that only a change is written.
    pub marked: Option<(MarkState, String)>,
    pub marks: u32,
    /// Whether whoever mends the code was told of the rollback.
    pub wished: bool,
}

impl AtGitHub {
    /// As a watch begins with it.
    pub(super) fn of(event: &Event) -> Self {
        let Event::Opened { repository, .. } = event else { return Self::default() };
        Self { repository: repository.clone(), ..Self::default() }
    }
}

impl Watch {
    /// Says at GitHub what has changed since the last time.
    pub(super) fn mark(&mut self, now: Timestamp, said: &mut Said) {
        let service = &self.deployment.service;
        let known = self.github.repository.as_deref();
        let Some(place) = CodePlace::of(service, &self.deployment.facts, known) else { return };
        let rule = self.policy().notify.github;
        if rule.statuses {
            self.mark_at(place.clone(), now, said);
        }
        if rule.revert != Revert::Off && !self.github.wished && self.may_be_reverted() {
            self.github.wished = true;
            let wish = RevertWish { place, what: rule.revert, title: self.revert_title() };
            let notice = self.notice(now, Body::GitHub(Box::new(GitHubNote::Revert(wish))));
            said.notices.push(notice);
        }
    }

    fn mark_at(&mut self, place: CodePlace, now: Timestamp, said: &mut Said) {
        let (state, words) = self.mark_now();
        let room = state != MarkState::Watched || self.github.marks < MOST_MARKS;
        if !room || self.github.marked.as_ref() == Some(&(state, words.clone())) {
            return;
        }
        self.github.marks = self.github.marks.saturating_add(1);
        self.github.marked = Some((state, words.clone()));
        let mark = GitHubNote::Mark(Mark { place, state, words });
        let notice = self.notice(now, Body::GitHub(Box::new(mark)));
        said.notices.push(notice);
    }

    /// How it stands, for whoever looks at the commit.
    fn mark_now(&self) -> (MarkState, String) {
        let line = self.status_line();
        let why = || self.evidence().into_iter().next();
        match &self.stage {
            Stage::Announced { .. } | Stage::Starting | Stage::Watching => {
                (MarkState::Watched, line)
            }
            Stage::RollingBack(_) => {
                let why = why().map(|why| format!(": {why}")).unwrap_or_default();
                (MarkState::Failed, format!("{line}{why}"))
            }
            Stage::Ended { outcome, because, .. } => match outcome {
                Outcome::Passed => (MarkState::Passed, line),
                Outcome::RolledBack => {
                    let why = why().unwrap_or_else(|| because.clone());
                    (MarkState::Failed, format!("rolled back: {why}"))
                }
                Outcome::RollbackFailed | Outcome::Breached => (MarkState::Failed, line),
                Outcome::Superseded => (MarkState::Superseded, format!("not judged: {because}")),
                Outcome::Cancelled => (MarkState::Undecided, format!("not judged: {because}")),
                Outcome::Inconclusive => (MarkState::Undecided, line),
            },
        }
    }

    /// Whether it was found to do harm, and is gone.
    fn may_be_reverted(&self) -> bool {
        self.outcome() == Some(Outcome::RolledBack)
            && self.incident.as_ref().is_some_and(|incident| incident.excused.is_none())
    }

    fn revert_title(&self) -> String {
        match self.evidence().first() {
            Some(why) => format!("{} was rolled back: {why}", self.title()),
            None => format!("{} was rolled back", self.title()),
        }
    }
}
