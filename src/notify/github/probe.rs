//! Whether what is written there could be, without writing it.
//!
//! GitHub judges who asks before what is asked: a status for a commit that can't be, or an
//! issue without a title, is refused with 422 to whoever might have written it, and with 403
//! or 404 to whoever might not.

use jiff::Timestamp;
use serde_json::json;

use super::GitHub;
use super::api::{Session, UNANSWERED};
use super::fault::judge;
use crate::notify::DeliverError;

/// A commit that there is nowhere.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// What a permission came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// As GitHub calls it: `Commit statuses: write`.
    pub name: &'static str,
    /// Why it is not there.
    pub lacks: Option<String>,
}

/// Why a repository can't be asked about at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprobed {
    pub why: String,
    /// Nobody answers there: no permission is at fault.
    pub is_silent: bool,
}

impl From<DeliverError> for Unprobed {
    fn from(error: DeliverError) -> Self {
        let why = error.to_string();
        Self { is_silent: why.starts_with(UNANSWERED), why }
    }
}

impl GitHub {
    /// Tries what is needed at a repository. `reverts`: whether issues and pull requests are
    /// opened there.
    ///
    /// # Errors
    /// It can't be asked at all.
    pub async fn probe(
        &self,
        repository: &str,
        reverts: bool,
        now: Timestamp,
    ) -> Result<Vec<Permission>, Unprobed> {
        let session = self.api.session(repository, now).await?;
        let one = [("per_page", "1")];
        let metadata = session.get(&[], &[]).await.map(drop);
        // Whoever doesn't answer would be asked, and waited for, in vain again.
        if let Some(silent) = metadata.clone().err().map(Unprobed::from).filter(|one| one.is_silent)
        {
            return Err(silent);
        }
        let mut found = vec![
            Permission::of("Metadata: read", metadata),
            Permission::of("Contents: read", session.get(&["commits"], &one).await.map(drop)),
            Permission::of(
                "Commit statuses: write",
                refused(&session, &["statuses", NO_COMMIT]).await,
            ),
            deployments(&session).await,
        ];
        if reverts {
            found.push(Permission::of("Issues: write", refused(&session, &["issues"]).await));
            found.push(Permission::of("Pull requests: write", refused(&session, &["pulls"]).await));
        }
        Ok(found)
    }
}

impl Permission {
    fn of(name: &'static str, tried: Result<(), DeliverError>) -> Self {
        Self { name, lacks: tried.err().map(|why| why.to_string()) }
    }
}

/// Something is posted that can't be: whoever hears that may post what can.
async fn refused(session: &Session<'_>, path: &[&str]) -> Result<(), DeliverError> {
    let answer = session.raw_post(path, &json!({ "state": "no state" })).await?;
    if answer.status.as_u16() == 422 { Ok(()) } else { judge(&answer).map(drop) }
}

/// Tried at the latest deployment; without one reading is all that can be.
async fn deployments(session: &Session<'_>) -> Permission {
    const WRITE: &str = "Deployments: write";
    match session.get(&["deployments"], &[("per_page", "1")]).await {
        Err(why) => Permission::of(WRITE, Err(why)),
        Ok(all) => match all[0]["id"].as_u64() {
            None => Permission::of("Deployments: read (there is none to try write at)", Ok(())),
            Some(id) => {
                let id = id.to_string();
                Permission::of(WRITE, refused(session, &["deployments", &id, "statuses"]).await)
            }
        },
    }
}
