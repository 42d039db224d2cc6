//! A source that can't be asked: said once for all the deployments of its target, in the
//! thread of the first one that misses it. The others show it on their cards.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::phase::is_covered;
use super::{Said, Sampled, Watch};
use crate::model::{Unusable, WatchId};

/// That nothing of what a watch asks can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub since: Timestamp,
    /// People were told here.
    pub told: bool,
    /// The deployment in whose thread people were told before.
    pub told_by: Option<String>,
    /// Its watch; `None` in states from before it was kept.
    #[serde(default)]
    pub teller: Option<WatchId>,
}

impl Watch {
    /// Whether people were told here that the source is lost, and it still is.
    pub fn tells_of_lost_source(&self) -> bool {
        self.is_open() && self.lost.as_ref().is_some_and(|lost| lost.told)
    }

    /// Whether who reads this thread reads that of `other`, and both ask the same source.
    pub fn is_told_beside(&self, other: &Watch) -> bool {
        let channel = |watch: &Watch| watch.policy().notify.slack_channel.clone();
        self.id != other.id
            && self.deployment.service.key.target == other.deployment.service.key.target
            && channel(self) == channel(other)
    }

    /// Keeps whether the source answers. What is asked of the platform, or of the guard's own
    /// store, is none of it.
    pub(super) fn note_source(&mut self, sampled: &Sampled, now: Timestamp) {
        let no_source = |name: &String| {
            self.is_left_aside(name) || !self.policy().check(name).is_none_or(is_covered)
        };
        let mut asked =
            sampled.latest.readings.iter().filter(|(name, _)| !no_source(name)).peekable();
        if asked.peek().is_none() {
            return;
        }
        let lost = asked.all(|(_, reading)| matches!(reading, Err(Unusable::Unreachable(_))));
        if !lost {
            self.lost = None;
        } else if self.lost.is_none() {
            self.lost = Some(Lost { since: now, told: false, told_by: None, teller: None });
        }
    }

    /// Another deployment's thread tells of it already.
    pub(super) fn source_told_by(&mut self, title: &str, by: Option<&WatchId>, now: Timestamp) {
        let unknown = || Lost { since: now, told: false, told_by: None, teller: None };
        let lost = self.lost.get_or_insert_with(unknown);
        (lost.told_by, lost.teller) = (Some(title.to_owned()), by.cloned());
    }

    /// The watch in whose thread people were told that the source is lost.
    pub fn source_teller(&self) -> Option<&WatchId> {
        self.lost.as_ref()?.teller.as_ref()
    }

    /// The watch that told of it has ended, and its thread tells no more: this one does,
    /// of what people would have been told here.
    pub(super) fn tell_of_source(&mut self, now: Timestamp, said: &mut Said) {
        let Some(lost) = self.lost.as_mut() else { return };
        (lost.told_by, lost.teller) = (None, None);
        let silent = self.checks.keys().filter(|name| self.told.contains(&missing(name)));
        let silent: BTreeSet<String> = silent.cloned().collect();
        if !silent.is_empty() {
            self.tell_of_silence(&silent, now, said);
        }
    }

    /// Tells of checks without data, unless their source is lost and that has been said.
    pub(super) fn tell_of_silence(
        &mut self,
        names: &BTreeSet<String>,
        now: Timestamp,
        said: &mut Said,
    ) {
        let names: Vec<String> = names.iter().cloned().collect();
        let reply = self.say_missing_data(&names);
        match self.lost.as_mut() {
            Some(Lost { told_by: Some(by), .. }) => {
                let by = by.clone();
                self.note(now, format!("{}; told of in the thread of {by}", reply.headline));
            }
            Some(lost) => {
                lost.told = true;
                self.reply(now, reply, said);
            }
            None => self.reply(now, reply, said),
        }
    }
}

/// The topic under which people are told that `check` has no data.
pub(super) fn missing(check: &str) -> String {
    format!("no data: {check}")
}
