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
        Body::Files { charts, report } => {
            let charts = charts.join(", ");
            tracing::info!(watch = %notice.watch, charts, report, "to be shown in the thread");
        }
        Body::Signal { to, signal } => {
            let to: Vec<String> = to.iter().map(ToString::to_string).collect();
            let (to, turn) = (to.join(" "), &signal.turn);
            tracing::info!(watch = %notice.watch, to, ?turn, "{}", signal.headline);
        }
        Body::GitHub(note) => {
            let to = &note.place().repository;
            tracing::info!(watch = %notice.watch, to, "to be written at GitHub: {}", note.words());
        }
    }
}
