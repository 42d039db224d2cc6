//! The list of changes while it is made.

use std::cmp::Ordering;
use std::fmt::Display;

use jiff::SignedDuration;

use super::{Change, Effect};
use crate::model::Mode;
use crate::policy::Policy;

/// What is told about one policy.
pub(super) struct Told {
    policy: String,
    guards: String,
    /// Whether its new version may act by itself at all.
    auto: bool,
    pub changes: Vec<Change>,
}

impl Told {
    pub fn about(policy: &Policy) -> Self {
        let matches = &policy.matches;
        let target = matches.target.iter().flat_map(|target| [target.as_str(), "/"]);
        let target: String = target.collect();
        Self {
            policy: policy.name.clone(),
            guards: format!("{target}{}/{}", matches.cluster, matches.service),
            auto: policy.mode == Mode::Auto,
            changes: Vec::new(),
        }
    }

    pub fn say(&mut self, what: String, effect: Effect) {
        let (policy, guards) = (self.policy.clone(), self.guards.clone());
        self.changes.push(Change { policy, guards, what, effect });
    }

    /// `what: old -> new`, where they are not written alike. `more`: whether the
    /// new one is stricter.
    pub fn changed(&mut self, what: &str, old: impl Display, new: impl Display, more: Ordering) {
        self.arrow(what, &old.to_string(), &new.to_string(), more.into());
    }

    /// A change that is neither stricter nor looser.
    pub fn neutral(&mut self, what: &str, old: impl Display, new: impl Display) {
        self.changed(what, old, new, Ordering::Equal);
    }

    /// A change of what the guard may do by itself. `more`: whether it may more.
    pub fn acting(&mut self, what: &str, old: impl Display, new: impl Display, more: Ordering) {
        let unattended = self.auto && more == Ordering::Greater;
        let effect = if unattended { Effect::Unattended } else { more.into() };
        self.arrow(what, &old.to_string(), &new.to_string(), effect);
    }

    pub fn looser_if_longer(&mut self, what: &str, old: SignedDuration, new: SignedDuration) {
        self.changed(what, time(old), time(new), old.cmp(&new));
    }

    fn arrow(&mut self, what: &str, old: &str, new: &str, effect: Effect) {
        if old != new {
            self.say(format!("{what}: {old} -> {new}"), effect);
        }
    }
}

pub(super) fn time(time: SignedDuration) -> String {
    format!("{time:#}")
}

/// As [`time`], or the word for none.
pub(super) fn optional(stretch: Option<SignedDuration>, none: &str) -> String {
    stretch.map_or_else(|| none.to_owned(), time)
}
