//! What is written at GitHub.

use std::time::Duration;

use deployguard::model::{Address, Body, GitHubNote, MarkState, Recipient, Revert};
use deployguard::notify::github::{Credentials, GitHub};
use deployguard::store::Write;
use serde_json::Value;

use super::{Desk, NOWHERE};
use crate::github::{mark, wish};
use crate::world::github::{BAD, REPOSITORY, TOKEN};

impl Desk {
    /// A mark, and an issue where there is a second text: of two marks the newer alone counts.
    pub(super) async fn queue_notes(&self, texts: &[&str]) {
        if texts.len() > 1 {
            self.keep_watch().await;
        }
        for (text, is_mark) in texts.iter().zip([true, false]) {
            let note = if is_mark {
                GitHubNote::Mark(mark(BAD, MarkState::Watched, text))
            } else {
                GitHubNote::Revert(wish(BAD, Revert::Issue, text))
            };
            let recipient = Recipient::GitHub(REPOSITORY.to_owned());
            let mut write = Self::notice(Address::Elsewhere { recipient }, Some(text));
            let Write::Outbox { notice, .. } = &mut write else { unreachable!() };
            notice.body = Body::GitHub(Box::new(note));
            self.put(write).await;
        }
    }

    pub(super) fn at_github(&self, there: bool) -> GitHub {
        let url = if there { self.github.url() } else { NOWHERE.to_owned() };
        let token = Credentials::Token(TOKEN.to_owned());
        let github = GitHub::connect(&url, token).unwrap().with_pace(Duration::ZERO);
        github.with_repositories([REPOSITORY.to_owned()].into()).with_time_out(self.time_out)
    }

    /// The words of the marks, then the titles of the issues.
    pub(super) fn written(&self) -> Vec<String> {
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let marks = self.github.statuses(BAD);
        let marks: Vec<String> = marks.iter().map(|one| text(one, "description")).collect();
        let issues = self.github.issues();
        marks.into_iter().chain(issues.iter().map(|one| text(one, "title"))).collect()
    }
}
