//! Probes as a policy writes them.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{WebText, plain};
use crate::model::{Expect, Probing, StepAsk};

/// A smoke test or a user flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub of: Probed,
    /// From the beginning of one run to that of the next.
    pub every: SignedDuration,
    /// It asks the new revision alone, which nobody could ask before: a failure counts from its
    /// first run on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probed {
    /// A command of the settings, by its name.
    Command(String),
    Requests(Vec<Step>),
}

/// A request with what is expected of its answer, variables not filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub web: WebText,
    pub expect: Expect,
}

impl Probe {
    pub fn steps(&self) -> &[Step] {
        match &self.of {
            Probed::Command(_) => &[],
            Probed::Requests(steps) => steps,
        }
    }

    /// The command that it runs.
    pub fn command(&self) -> Option<&str> {
        match &self.of {
            Probed::Command(name) => Some(name),
            Probed::Requests(_) => None,
        }
    }

    /// With every variable's value in its place but for secrets.
    pub(super) fn fill<'v>(&self, value: impl Fn(&str) -> &'v str) -> Probing {
        match &self.of {
            Probed::Command(name) => Probing::Command(name.clone()),
            Probed::Requests(steps) => {
                Probing::Requests(steps.iter().map(|step| step.fill(&value)).collect())
            }
        }
    }
}

impl Step {
    /// Every text in which variables may stand.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let expected = self.expect.body_contains.iter().chain(self.expect.json.values());
        self.web.texts().chain(expected.map(String::as_str))
    }

    fn fill<'v>(&self, value: &impl Fn(&str) -> &'v str) -> StepAsk {
        let expand = |text: &String| plain::expand(text, value);
        let Expect { status, body_contains, json } = &self.expect;
        let json: BTreeMap<String, String> =
            json.iter().map(|(path, text)| (path.clone(), expand(text))).collect();
        let body_contains = body_contains.as_ref().map(expand);
        StepAsk {
            web: self.web.fill(SignedDuration::ZERO, value),
            expect: Expect { status: status.clone(), body_contains, json },
        }
    }
}
