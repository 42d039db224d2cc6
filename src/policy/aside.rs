//! What goes on beside the judging: what is written at GitHub, and what people have for the
//! database.

use serde::{Deserialize, Serialize};

use super::diagnostic::Mistake;
use super::{Vars, plain};
use crate::model::{Recipient, Revert};

/// What is written at GitHub, where the settings say which repository it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GitHubRule {
    /// Commit statuses, and the statuses of the deployment that announced it.
    pub statuses: bool,
    /// What is opened after a rollback.
    pub revert: Revert,
}

impl Default for GitHubRule {
    fn default() -> Self {
        Self { statuses: true, revert: Revert::Off }
    }
}

/// What there is to undo a migration with. The guard runs none of it, ever: it says what is
/// there, and who decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DatabaseRule {
    /// Where the scripts stand, `rollback/${version}_rollback.sql`.
    pub scripts: Vec<String>,
    pub decided_by: Option<Recipient>,
}

impl DatabaseRule {
    /// Where they stand for one deployment; none of those whose name needs what nobody
    /// announced.
    pub fn scripts_of(&self, vars: &Vars) -> Vec<String> {
        let known = |script: &&String| plain::names(script).all(|name| !vars.get(name).is_empty());
        let known = self.scripts.iter().filter(known);
        known.map(|script| plain::expand(script, |name| vars.get(name))).collect()
    }

    /// Whether `text` names a script, by variables that there are.
    pub(super) fn check(text: &str) -> Result<(), Mistake> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(Mistake::new("no script is named")
                .mend("write where it stands: `rollback/${version}_rollback.sql`"));
        }
        plain::check(text)
    }
}
