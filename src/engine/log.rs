//! What the engine writes to its log, with the watch on every line.

use crate::model::{Body, Notice};

/// Everything that is said to people is in the log too.
pub(super) fn notice(notice: &Notice) {
    match &notice.body {
        Body::Card(card) => {
            tracing::info!(watch = %notice.watch, status = card.status, "{}", card.title);
        }
        Body::Reply(reply) => {
            tracing::info!(watch = %notice.watch, page = reply.page, "{}", reply.headline);
        }
    }
}
