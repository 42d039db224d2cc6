//! What ended watches are found by, filled in where a version before this one kept them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::{Filed, FoundBy, Store, StoreError};
use crate::watch::Watch;

/// Watches that are read at once, and the pause after them: nobody waits for this.
const AT_ONCE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(200);
/// A version before this one may lead beside us for a while.
const AGAIN: Duration = Duration::from_hours(1);

/// Fills in until `ending`.
pub async fn fill_forever(store: Store, ending: CancellationToken) {
    while !ending.is_cancelled() {
        if let Err(error) = fill(&store, &ending).await {
            tracing::warn!(%error, "the history could not be filled in; it is tried again");
        }
        tokio::select! {
            () = ending.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn fill(store: &Store, ending: &CancellationToken) -> Result<(), StoreError> {
    let mut after = None;
    while !ending.is_cancelled() {
        let kept = store.unfilled(after.as_ref(), AT_ONCE).await?;
        let Some(last) = kept.last() else { return Ok(()) };
        after = Some((last.opened_at, last.id.clone()));
        store.fill(&kept.iter().filter_map(found_by).collect::<Vec<_>>()).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// `None`: this build can't read it. It stays unfound, and is told where it is asked for.
fn found_by(kept: &Filed) -> Option<FoundBy> {
    let watch = serde_json::from_str::<Watch>(&kept.state).ok()?;
    let outcome = watch.outcome()?.as_str();
    let service = watch.deployment.service;
    let (name, environment) = (service.name, service.environment);
    Some(FoundBy { id: kept.id.to_string(), name, environment, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Command, RollbackSafe};
    use crate::store::{Sought, WatchRow, Write};
    use crate::watch::tests::world::{Guard, at, policy};

    /// More than one batch, half of them of one moment, the first of it unreadable.
    #[tokio::test]
    async fn what_an_older_version_kept_is_found_and_what_cannot_be_read_holds_up_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        let mut writes = Vec::new();
        for number in 0..50 {
            let mut guard = Guard::of(&format!("svc-{number:02}"), policy(), RollbackSafe::Yes);
            guard.presses(Command::Cancel).unwrap();
            let state = serde_json::to_string(&guard.watch).unwrap();
            let service = guard.watch.deployment.service;
            let row = WatchRow {
                id: guard.watch.id,
                service: service.key,
                deployment: guard.watch.deployment.id,
                is_open: false,
                opened_at: at(if number < 25 { 0 } else { number }),
                name: String::new(),
                environment: String::new(),
                outcome: None,
                state: if number == 3 { "{\"hologram\":1}".to_owned() } else { state },
            };
            writes.push(Write::Watch { row, version: 0, events: Vec::new() });
        }
        store.commit(&writes, at(0)).await.unwrap();
        let of = |environment: &str| Sought {
            service: "svc-".to_owned(),
            environment: environment.to_owned(),
            outcome: "cancelled".to_owned(),
            limit: 100,
            ..Sought::default()
        };
        assert!(store.has_unfilled().await.unwrap());
        assert!(store.history(&of("production")).await.unwrap().is_empty());
        fill(&store, &CancellationToken::new()).await.unwrap();
        assert_eq!(store.history(&of("production")).await.unwrap().len(), 49);
        assert!(store.history(&of("staging")).await.unwrap().is_empty());
        let left = store.unfilled(None, 10).await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].state.contains("hologram") && store.has_unfilled().await.unwrap());
        // Again finds nothing to do but that one, and ends.
        fill(&store, &CancellationToken::new()).await.unwrap();
    }
}
