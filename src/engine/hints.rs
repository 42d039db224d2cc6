//! Hints that a service is worth a look now, and who waits for it.
//!
//! Hints of one service that come together, or within a second, are one look. Whoever brought a hint is told
//! when what the look showed is kept: only then may an event be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::guard::guarded;
use super::handle::Look;
use super::pacing::Pacing;
use super::poller::Looking;
use crate::model::{ServiceKey, Sighting};
use crate::policy_repo::Loaded;

/// Hints that may wait; beyond it whoever brings them waits.
const WAITING: usize = 1024;
/// The longest that somebody waits for a look.
const PATIENCE: Duration = Duration::from_secs(12);
/// Looks for a deployment that has begun and does not show yet, and the first pause
/// between them; each further one is twice as long.
const LOOKS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A service, and the deployment that is said to have begun there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub key: ServiceKey,
    pub begun: Option<String>,
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// What the look showed is kept.
    Looked,
    /// Nothing guards the service, and nothing was asked.
    Unguarded,
}

/// A way to the pollers; clones share it.
#[derive(Clone)]
pub struct Hints {
    senders: Arc<BTreeMap<String, mpsc::Sender<Asked>>>,
}

/// A poller's end.
pub struct Hinted {
    receiver: mpsc::Receiver<Asked>,
    waiting: Vec<Asked>,
    pub(super) pacing: Pacing,
}

struct Asked {
    wanted: Wanted,
    reply: oneshot::Sender<Result<Taken, String>>,
    looks: u32,
    not_before: Instant,
}

/// Both ends: a way to the poller of each of these targets.
pub fn hints(
    targets: impl IntoIterator<Item = impl Into<String>>,
) -> (Hints, BTreeMap<String, Hinted>) {
    let (mut senders, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for target in targets.into_iter().map(Into::into) {
        let (sender, receiver) = mpsc::channel(WAITING);
        senders.insert(target.clone(), sender);
        ends.insert(target, Hinted { receiver, waiting: Vec::new(), pacing: Pacing::new() });
    }
    (Hints { senders: Arc::new(senders) }, ends)
}

impl Hints {
    /// Has the service looked at.
    ///
    /// # Errors
    /// The look failed or came to no end, or what it showed could not be kept: the hint
    /// must not be forgotten.
    pub async fn look(&self, wanted: Wanted) -> Result<Taken, String> {
        // What is in no target of the settings is guarded by nothing.
        let Some(sender) = self.senders.get(&wanted.key.target) else {
            return Ok(Taken::Unguarded);
        };
        let (reply, answer) = oneshot::channel();
        let asked = Asked { wanted, reply, looks: 0, not_before: tokio::time::Instant::now() };
        let gone = || "deployguard is stopping".to_owned();
        let looked = tokio::time::timeout(PATIENCE, async {
            sender.send(asked).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        });
        looked.await.unwrap_or_else(|_| Err("the look took too long".to_owned()))
    }
}

impl Hinted {
    /// Returns when a look is due. Cancelling it loses nothing.
    pub async fn due(&mut self) {
        self.take();
        match self.waiting.iter().map(|asked| self.begins(asked)).min() {
            Some(at) => tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                Some(asked) = self.receiver.recv() => self.waiting.push(asked),
            },
            None => match self.receiver.recv().await {
                Some(asked) => self.waiting.push(asked),
                // Nobody brings hints any more.
                None => std::future::pending().await,
            },
        }
    }

    /// The services to look at now. Hints at what nothing guards are answered at once.
    pub fn services(&mut self, loaded: &Loaded, looking: &Looking) -> BTreeSet<ServiceKey> {
        self.take();
        let now = tokio::time::Instant::now();
        let mut known: BTreeMap<ServiceKey, bool> = BTreeMap::new();
        let mut services = BTreeSet::new();
        for asked in std::mem::take(&mut self.waiting) {
            let key = &asked.wanted.key;
            let watched = looking.watched.contains(key);
            let guarded = *known
                .entry(key.clone())
                .or_insert_with(|| watched || guarded(loaded, key).is_some());
            if asked.reply.is_closed() {
                continue;
            }
            if !guarded {
                let _ = asked.reply.send(Ok(Taken::Unguarded));
                continue;
            }
            if self.begins(&asked) <= now {
                services.insert(key.clone());
            }
            self.waiting.push(asked);
        }
        services
    }

    /// When it may cause a look.
    fn begins(&self, asked: &Asked) -> Instant {
        let paced = self.pacing.hinted(&asked.wanted.key);
        paced.map_or(asked.not_before, |paced| paced.max(asked.not_before))
    }

    pub(super) fn are_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells everybody whose service was looked at, once it is known whether that is
    /// `kept`. A deployment that does not show yet is looked for again.
    pub fn looked(&mut self, looks: &[Look], kept: &Result<(), String>) {
        let shown: BTreeMap<&ServiceKey, _> = looks.iter().map(|(key, look)| (key, look)).collect();
        let now = tokio::time::Instant::now();
        for mut asked in std::mem::take(&mut self.waiting) {
            let Some(look) = shown.get(&asked.wanted.key) else {
                self.waiting.push(asked);
                continue;
            };
            let answer = match (look, kept) {
                (Err(error), _) => Err(error.to_string()),
                (Ok(_), Err(why)) => Err(why.clone()),
                (Ok(seen), Ok(())) => {
                    asked.looks += 1;
                    if asked.looks < LOOKS && !shows(seen.as_ref(), asked.wanted.begun.as_ref()) {
                        asked.not_before = now + FIRST_PAUSE * 2_u32.pow(asked.looks - 1);
                        self.waiting.push(asked);
                        continue;
                    }
                    Ok(Taken::Looked)
                }
            };
            let _ = asked.reply.send(answer);
        }
    }

    fn take(&mut self) {
        while self.waiting.len() < WAITING
            && let Ok(asked) = self.receiver.try_recv()
        {
            self.waiting.push(asked);
        }
    }
}

/// Whether the deployment that is said to have begun is there, in place or on its way out.
fn shows(seen: Option<&Sighting>, begun: Option<&String>) -> bool {
    let Some(begun) = begun else { return true };
    seen.is_some_and(|seen| {
        std::iter::once(&seen.primary).chain(&seen.others).any(|one| one.id == *begun)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pacing::Round;
    use crate::model::{Controller, PlatformDeployment, RollOut};
    use crate::platform::LookError;
    use crate::watch::tests::world::{at, key, revision};

    fn seen(id: &str) -> Sighting {
        let primary = PlatformDeployment {
            id: id.to_owned(),
            revision: revision(1),
            created_at: at(0),
            roll_out: RollOut::InProgress,
            reason: None,
            weight: None,
            desired: 1,
            running: 1,
            failed: 0,
        };
        Sighting {
            service: key(),
            at: at(0),
            controller: Controller::Ecs,
            primary,
            others: Vec::new(),
            in_flight: None,
            native_rollback: None,
            coming: None,
            source: None,
        }
    }

    fn watched() -> Looking {
        Looking { watched: BTreeSet::from([key()]), moving: BTreeSet::new() }
    }

    fn asked(hints: &Hints, begun: Option<&str>) -> tokio::task::JoinHandle<Result<Taken, String>> {
        let (hints, begun) = (hints.clone(), begun.map(str::to_owned));
        tokio::spawn(async move { hints.look(Wanted { key: key(), begun }).await })
    }

    fn ends() -> (Hints, Hinted) {
        let (hints, mut ends) = hints([key().target]);
        (hints, ends.remove(&key().target).unwrap())
    }

    #[tokio::test]
    async fn a_hint_at_a_target_that_the_settings_do_not_name_is_answered_at_once() {
        let (hints, _ends) = hints(["another"]);
        assert_eq!(asked(&hints, None).await.unwrap(), Ok(Taken::Unguarded));
    }

    fn nothing() -> Loaded {
        crate::policy_repo::PolicyRepo::open(std::path::Path::new("nowhere")).nothing()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_brings_a_hint_hears_of_it_once_the_look_is_kept_and_not_before() {
        let (hints, mut hinted) = ends();
        for (look, kept, answer) in [
            (Ok(Some(seen("a"))), Ok(()), Ok(Taken::Looked)),
            (Ok(None), Ok(()), Ok(Taken::Looked)),
            (Ok(Some(seen("a"))), Err("no store".to_owned()), Err("no store".to_owned())),
            (Err(LookError::Transient("slow".into())), Ok(()), Err("slow".to_owned())),
        ] {
            let (one, two) = (asked(&hints, None), asked(&hints, None));
            hinted.due().await;
            tokio::task::yield_now().await;
            assert_eq!(hinted.services(&nothing(), &watched()), BTreeSet::from([key()]));
            assert!(!one.is_finished());
            hinted.looked(&[(key(), look)], &kept);
            assert_eq!((one.await.unwrap(), two.await.unwrap()), (answer.clone(), answer));
            assert!(!hinted.are_waited_for());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deployment_that_does_not_show_yet_is_looked_for_again_and_not_for_ever() {
        let (hints, mut hinted) = ends();
        let asked = asked(&hints, Some("ecs-svc/2"));
        for look in 1..=LOOKS {
            hinted.due().await;
            assert_eq!(hinted.services(&nothing(), &watched()).len(), 1, "look {look}");
            assert!(!asked.is_finished());
            hinted.looked(&[(key(), Ok(Some(seen("ecs-svc/1"))))], &Ok(()));
            assert!(hinted.services(&nothing(), &watched()).is_empty(), "it pauses");
        }
        assert_eq!(asked.await.unwrap(), Ok(Taken::Looked));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_hints_is_one_look_a_second() {
        let (hints, mut hinted) = ends();
        let begun = Instant::now();
        for second in 0..4 {
            let all: Vec<_> = (0..20).map(|_| asked(&hints, None)).collect();
            tokio::task::yield_now().await;
            hinted.due().await;
            assert_eq!(begun.elapsed().as_secs(), second, "it waits for its turn");
            assert_eq!(hinted.services(&nothing(), &watched()), BTreeSet::from([key()]));
            let (looks, now) = ([(key(), Ok(Some(seen("a"))))], Instant::now());
            hinted.pacing.looked(&looks, Round::Part, now, now, |_| Duration::ZERO);
            hinted.looked(&looks, &Ok(()));
            for one in all {
                assert_eq!(one.await.unwrap(), Ok(Taken::Looked));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_at_a_service_that_rests_after_failures_is_looked_at_within_a_second() {
        let (hints, mut hinted) = ends();
        for _ in 0..4 {
            let begun = Instant::now();
            let looks = [(key(), Err(LookError::Transient("odd".to_owned())))];
            hinted.pacing.looked(&looks, Round::Part, begun, begun, |_| Duration::from_hours(1));
            assert!(!hinted.pacing.is_rested(&key(), begun + Duration::from_mins(4)));
            let asked = asked(&hints, None);
            tokio::task::yield_now().await;
            hinted.due().await;
            hinted.due().await;
            assert_eq!(begun.elapsed(), Duration::from_secs(1));
            assert_eq!(hinted.services(&nothing(), &watched()), BTreeSet::from([key()]));
            hinted.looked(&looks, &Ok(()));
            assert_eq!(asked.await.unwrap(), Err("odd".to_owned()), "told at once");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nothing_guards_is_never_looked_at() {
        let (hints, mut hinted) = ends();
        let asked = asked(&hints, None);
        hinted.due().await;
        assert!(hinted.services(&nothing(), &Looking::default()).is_empty());
        assert_eq!(asked.await.unwrap(), Ok(Taken::Unguarded));
    }
}
