//! Those who are told elsewhere than in Slack, by the names that the settings give them.

use super::{Call, DeliverError};
use crate::model::Recipient;

/// Every pager, webhook and mailbox of the settings.
#[derive(Debug, Default)]
pub struct Elsewhere {}

impl Elsewhere {
    /// Whether the settings know the name.
    pub fn knows(&self, _: &Recipient) -> bool {
        false
    }

    /// Delivers one call. Bounded in time.
    #[expect(clippy::unused_async, reason = "the ways come one by one")]
    pub async fn call(&self, to: &Recipient, _: &Call) -> Result<(), DeliverError> {
        Err(DeliverError::Permanent(format!("the settings know no `{to}`")))
    }
}
