//! Who may press.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::wire::Wire;
use crate::policy::Glob;

/// People and groups, and what they may act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRule {
    /// Ids of users (U, W) and of user groups (S).
    pub who: Vec<String>,
    /// Globs; empty: all.
    pub services: Vec<String>,
    /// Empty: all.
    pub environments: Vec<String>,
}

pub(super) struct Rule {
    pub(super) users: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    services: Vec<Glob>,
    environments: Vec<String>,
}

impl Rule {
    pub(super) fn of(rule: OperatorRule) -> Result<Self, String> {
        let OperatorRule { who, services, environments } = rule;
        let read = |pattern: &String| {
            Glob::parse(pattern)
                .map_err(|why| format!("slack.operators: services: `{pattern}`: {why}"))
        };
        let services = services.iter().map(read).collect::<Result<_, _>>()?;
        let (groups, users) = who.into_iter().partition(|id| id.starts_with('S'));
        Ok(Self { users, groups, services, environments })
    }

    pub(super) fn is_for(&self, service: &str, environment: &str) -> bool {
        let of_services =
            self.services.is_empty() || self.services.iter().any(|glob| glob.matches(service));
        let of_environments = self.environments.is_empty()
            || self.environments.iter().any(|allowed| allowed == environment);
        of_services && of_environments
    }
}

/// How long the members of a group are taken for what they were.
const FRESH: SignedDuration = SignedDuration::from_mins(3);

/// The members of user groups, as lately read.
#[derive(Default)]
pub(super) struct Groups {
    /// Bounded by the groups of the settings.
    known: Mutex<BTreeMap<String, (Timestamp, BTreeSet<String>)>>,
}

impl Groups {
    /// Whether the group has the user. What is known too long is read again, and where that
    /// fails it is not known.
    pub(super) async fn has(
        &self,
        wire: &Wire,
        group: &str,
        user: &str,
        now: Timestamp,
    ) -> Result<bool, String> {
        // Held while reading: many presses at once ask Slack once.
        let mut known = self.known.lock().await;
        if let Some((at, members)) = known.get(group)
            && now.duration_since(*at).abs() < FRESH
        {
            return Ok(members.contains(user));
        }
        known.remove(group);
        let members = wire.members(group).await?;
        let has = members.contains(user);
        known.insert(group.to_owned(), (now, members));
        Ok(has)
    }
}
