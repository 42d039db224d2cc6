//! What must hold at the end of a story, however it came about.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use deployguard::model::WatchId;
use deployguard::store::Store;
use deployguard::watch::{Event, Watch};
use serde_json::Value;

use crate::world::World;
use crate::world::daemon::Daemon;

/// One effective rollback, to the first version.
pub fn rolled_back_once(world: &World) {
    assert_eq!(world.task_definition_in_place(), "shopflow-api:1");
    let rollbacks = world.mutations_by_client();
    assert_eq!(rollbacks.len(), 1, "one effective rollback: {rollbacks:?}");
}

/// Returns once everything is delivered.
pub async fn outbox_is_empty(daemon: &Daemon) -> anyhow::Result<()> {
    daemon
        .wait_for("an empty outbox", Duration::from_secs(30), async |daemon| {
            let ready = daemon.get("/readyz").await?;
            Ok((ready["outbox"]["pending"] == 0).then_some(()))
        })
        .await
}

/// Each message is there once.
pub fn nothing_is_said_twice(world: &World) {
    let mut keys = BTreeMap::new();
    for message in world.slack.messages() {
        let key = match message.files.first() {
            Some(file) => file.name.clone(),
            None => message.metadata["event_payload"]["key"].to_string(),
        };
        *keys.entry(key).or_insert(0) += 1;
    }
    assert!(keys.values().all(|times| *times == 1), "said twice: {keys:?}");
}

/// One thread with each message once, in order.
pub fn thread_is_whole(world: &World) {
    nothing_is_said_twice(world);
    let threads = world.slack.threads();
    let [thread] = &threads[..] else { panic!("one deployment, one thread: {threads:#?}") };
    assert!(thread.text.contains("rolled back: the numbers recovered"), "{thread:#?}");
    let story = ["is rolling back", "is back in place", "Recovered"];
    assert_eq!(thread.replies.len(), story.len(), "{thread:#?}");
    for (reply, words) in thread.replies.iter().zip(story) {
        assert!(reply.contains(words), "{words}: {thread:#?}");
    }
}

/// The fold of the journal is the state, to the last byte.
pub async fn journal_tells_the_state(url: &str, id: &str) -> anyhow::Result<()> {
    let store = Store::open(url).await?;
    let id = WatchId::typed(id);
    let kept: Value = store.watch(&id).await?.context("the watch is kept")?;
    let journal = store.journal::<Event>(&id).await?;
    let ((opened_at, opened), rest) = journal.split_first().context("a journal")?;
    let (mut watch, _) = Watch::open(opened, *opened_at)?;
    for (now, event) in rest {
        watch.handle(event, *now)?;
    }
    assert_eq!(serde_json::to_value(&watch)?, kept);
    store.close().await;
    Ok(())
}
