//! Listening to clusters of Kubernetes: what is heard has the service looked at, now and not
//! only at the poller's next turn. A watch that ends, or can't be had, is begun anew, later
//! each time; nothing is lost by it, because the poller looks anyway.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::guard::is_about;
use super::hints::{Hints, Wanted};
use super::land::wanted_clusters;
use super::patience::{self, LONGEST_PAUSE};
use crate::model::ServiceKey;
use crate::platform::kubernetes::{Followed, Kubernetes};
use crate::policy::Glob;
use crate::policy_repo::Loaded;

/// Namespaces that are listened to; the poller looks at the others.
const MOST: usize = 20;
/// What was heard and is not looked at yet; beyond it the watch waits.
const WAITING: usize = 256;

/// What is listened to, and for whom.
pub struct Overhear {
    pub target: String,
    pub kubernetes: Kubernetes,
    /// As the settings name them; `None`: as the policies do.
    pub namespaces: Option<Vec<String>>,
    pub policies: watch::Receiver<Arc<Loaded>>,
    pub hints: Hints,
}

/// Listens until `stop`; anew where the policies change.
pub async fn overhear_forever(mut ears: Overhear, stop: CancellationToken) {
    loop {
        let loaded = ears.policies.borrow_and_update().clone();
        let mut listening = ears.listen(&loaded);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = ears.policies.changed() => if changed.is_err() { return },
            // None of them ends by itself, unless there is none.
            () = async { while listening.join_next().await.is_some() {} }, if !listening.is_empty() => {}
        }
        listening.shutdown().await;
    }
}

impl Overhear {
    fn listen(&self, loaded: &Arc<Loaded>) -> JoinSet<()> {
        let named = || wanted_clusters(loaded, &self.target).0.into_iter().collect();
        let namespaces: Vec<String> = self.namespaces.clone().unwrap_or_else(named);
        let mut listening = JoinSet::new();
        for namespace in namespaces.into_iter().take(MOST) {
            let (told, heard) = mpsc::channel(WAITING);
            for what in Followed::ALL {
                let (kubernetes, namespace) = (self.kubernetes.clone(), namespace.clone());
                listening.spawn(follow_forever(kubernetes, namespace, what, told.clone()));
            }
            let meant = meant(loaded, &self.target, &namespace);
            listening.spawn(look_after(heard, meant, self.hints.clone()));
        }
        listening
    }
}

async fn follow_forever(
    kubernetes: Kubernetes,
    namespace: String,
    what: Followed,
    told: mpsc::Sender<ServiceKey>,
) {
    let mut pauses = patience::pauses();
    loop {
        match kubernetes.follow(&namespace, what, &told).await {
            Ok(()) => pauses = patience::pauses(),
            Err(why) => tracing::debug!(namespace, %why, "changes are not heard of at once"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// Has looked at what was heard of, and at what policies spell out in that namespace: what a
/// Deployment's change means for the Service before it only a look can tell.
async fn look_after(
    mut heard: mpsc::Receiver<ServiceKey>,
    meant: BTreeSet<ServiceKey>,
    hints: Hints,
) {
    while let Some(first) = heard.recv().await {
        let mut keys = meant.clone();
        keys.insert(first);
        while let Ok(more) = heard.try_recv() {
            keys.insert(more);
        }
        let mut looking = JoinSet::new();
        for key in keys {
            let hints = hints.clone();
            looking.spawn(async move { hints.look(Wanted { key, begun: None }).await });
        }
        while let Some(looked) = looking.join_next().await {
            if let Ok(Err(why)) = looked {
                tracing::debug!(why, "what was heard of could not be looked at");
            }
        }
    }
}

/// The services that policies spell out in a namespace.
fn meant(loaded: &Loaded, target: &str, namespace: &str) -> BTreeSet<ServiceKey> {
    let here = loaded.set.iter().map(|written| &written.policy.matches).filter(|matches| {
        let cluster = Glob::parse(&matches.cluster);
        is_about(matches, target) && cluster.is_ok_and(|glob| glob.matches(namespace))
    });
    let names = here.filter_map(|matches| Glob::parse(&matches.service).ok()?.plain()).flatten();
    let key =
        |service| ServiceKey { target: target.to_owned(), cluster: namespace.to_owned(), service };
    names.map(key).collect()
}
