//! What the gate asks before a deployment: when it may be, and what must be known.
//!
//! A running watch does not keep it: the gate is asked with the policies in force.

mod freeze;
mod holidays;
mod interval;
mod times;
mod yearly;

use jiff::SignedDuration;

pub use freeze::{Days, Freeze};
pub use holidays::{Holiday, Holidays, Lasts};
pub use interval::Interval;
pub use times::{Held, HeldBy, Times};
pub use yearly::Yearly;

/// What a policy demands of a deployment before it begins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gate {
    pub times: Times,
    pub soak: Option<Soak>,
    pub stances: Stances,
}

/// What each thing that may be known means for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stances {
    /// A watch found the revision bad.
    pub known_bad: Stance,
    /// The service has an incident that is not over.
    pub open_incident: Stance,
    /// Nothing is known that a rollback could go to.
    pub rollback_target: Stance,
    /// A critical alert about the service fires.
    pub alerts: Stance,
}

impl Default for Stances {
    fn default() -> Self {
        Self {
            known_bad: Stance::Refuse,
            open_incident: Stance::Refuse,
            rollback_target: Stance::Warn,
            alerts: Stance::Warn,
        }
    }
}

/// What something means for the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stance {
    Ignore,
    #[default]
    Warn,
    Refuse,
}

impl Stance {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        }
    }
}

/// Where the same must have been first, and for how long without a breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soak {
    pub environment: String,
    /// From the first new task in service.
    pub for_: SignedDuration,
    /// What the service is called there; a `*` stands for what the one of `match.service`
    /// matched. `None`: as here.
    pub service: Option<String>,
    /// What the version is called there: a text with `${version}`. `None`: as here.
    pub version: Option<String>,
}

impl Soak {
    /// What `service` is called there. `pattern`: the policy's `match.service`.
    pub fn service_of(&self, service: &str, pattern: &str) -> String {
        let Some(there) = &self.service else { return service.to_owned() };
        let part = pattern.split_once('*').and_then(|(before, after)| {
            service.strip_prefix(before).and_then(|rest| rest.strip_suffix(after))
        });
        part.map_or_else(|| there.clone(), |part| there.replacen('*', part, 1))
    }

    /// What `version` is called there.
    pub fn version_of(&self, version: &str) -> String {
        match &self.version {
            Some(text) => text.replace("${version}", version),
            None => version.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
