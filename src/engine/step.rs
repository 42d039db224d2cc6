//! One step: events of one moment, the states after them, and one transaction.
//!
//! A step works on copies. Only when the store has kept everything do the copies
//! become the engine's memory; until then nothing has happened.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::handle::Paused;
use super::live::{Kept, Live};
use crate::model::{
    Address, Announcement, Body, Deployment, GateOverride, LedgerEntry, Notice, Outcome, Recipient,
    ServiceKey, WatchId,
};
use crate::policy::{NotifyRule, Policy};
use crate::store::{Pause, PauseTurn, Store, StoreError, WatchRow, Write};
use crate::watch::{Ceiling, Event, Illegal, Pinned, Said, Seen, Watch, settled_beside};

/// Everything that one moment changes.
pub(super) struct Step<'a> {
    live: &'a Live,
    now: Timestamp,
    /// Of the watches that begin.
    query_offsets: &'a BTreeMap<String, SignedDuration>,
    touched: BTreeMap<WatchId, Touched>,
    seen: BTreeMap<ServiceKey, Seen>,
    ledger: Vec<LedgerEntry>,
    pauses: Option<Vec<Pause>>,
    overrides: Vec<GateOverride>,
    writes: Vec<Write>,
    /// Of the touched ones, those that had ended before.
    ended_before: BTreeSet<WatchId>,
}

struct Touched {
    watch: Watch,
    version: i64,
    events: Vec<Event>,
}

impl From<Kept> for Touched {
    fn from(kept: Kept) -> Self {
        Self { watch: kept.watch, version: kept.version, events: Vec::new() }
    }
}

/// What a step leaves once it is kept.
pub(super) struct Done {
    pub watches: Vec<Kept>,
    pub(super) ended_before: BTreeSet<WatchId>,
    seen: BTreeMap<ServiceKey, Seen>,
    ledger: Vec<LedgerEntry>,
    pub(super) pauses: Option<Vec<Pause>>,
    overrides: Vec<GateOverride>,
    /// Whether somebody has to be told something.
    pub has_mail: bool,
}

impl<'a> Step<'a> {
    pub(super) fn at(
        now: Timestamp,
        live: &'a Live,
        query_offsets: &'a BTreeMap<String, SignedDuration>,
    ) -> Self {
        Self {
            live,
            now,
            query_offsets,
            touched: BTreeMap::new(),
            seen: BTreeMap::new(),
            ledger: Vec::new(),
            pauses: None,
            overrides: Vec::new(),
            writes: Vec::new(),
            ended_before: BTreeSet::new(),
        }
    }

    /// The open watches of a service, as this step has them.
    pub(super) fn of(&self, service: &ServiceKey) -> Vec<&Watch> {
        let mut watches = self.open_watches();
        watches.retain(|watch| watch.deployment.service.key == *service);
        watches
    }

    pub(super) fn watch(&self, id: &WatchId) -> Option<&Watch> {
        match self.touched.get(id) {
            Some(touched) => Some(&touched.watch),
            None => self.live.watches.get(id).map(|kept| &kept.watch),
        }
    }

    pub(super) fn seen(&self, service: &ServiceKey) -> Option<&Seen> {
        self.seen.get(service).or_else(|| self.live.seen.get(service))
    }

    /// The open watches of all services, as this step has them.
    pub(super) fn open_watches(&self) -> Vec<&Watch> {
        let live = self.live.watches.values().map(|kept| &kept.watch);
        let others = live.filter(|watch| !self.touched.contains_key(&watch.id));
        let touched = self.touched.values().map(|touched| &touched.watch);
        touched.chain(others).filter(|watch| watch.is_open()).collect()
    }

    /// Brings an event to an open watch.
    pub(super) fn deliver(&mut self, id: &WatchId, event: Event) -> Result<(), Illegal> {
        let now = self.now;
        if !self.touched.contains_key(id)
            && let Some(kept) = self.live.watches.get(id).cloned()
        {
            self.touched.insert(id.clone(), kept.into());
        }
        if let Some(lead) = self.lead_for(id, &event, now) {
            self.deliver(id, Event::Joined(Box::new(lead)))?;
        }
        if let Some(told) = self.told_of_source(id, &event, now) {
            self.deliver(id, told)?;
        }
        let touched = self
            .touched
            .get_mut(id)
            .ok_or_else(|| Illegal(format!("no open watch is called {id}")))?;
        let said = touched.watch.handle(&event, now)?;
        touched.events.push(event);
        self.keep_said(id, said);
        self.inherit(id);
        Ok(())
    }

    /// Brings what could not be told in one channel to its watch, for the other; what that
    /// knows is no news. `ended`: the watch as it is kept, where it is open no longer.
    pub(super) fn untold(
        &mut self,
        id: &WatchId,
        event: &Event,
        ended: Option<Kept>,
    ) -> Result<(), Illegal> {
        let ended = ended.filter(|_| self.watch(id).is_none());
        let watch = ended.as_ref().map(|kept| &kept.watch).or_else(|| self.watch(id));
        if !watch.is_some_and(|watch| watch.has_not_heard(event)) {
            return Ok(());
        }
        if let Some(kept) = ended {
            self.ended_before.insert(id.clone());
            self.touched.insert(id.clone(), kept.into());
        }
        self.deliver(id, event.clone())
    }

    /// Begins a watch; the same deployment again is the same watch.
    pub(super) fn open(
        &mut self,
        deployment: Deployment,
        announcement: Option<Box<Announcement>>,
        pinned: Pinned,
        ceiling: Ceiling,
    ) -> Result<WatchId, Illegal> {
        let id = WatchId::of(&deployment.service.key, &deployment.id);
        if self.watch(&id).is_some() {
            return Ok(id);
        }
        let others = self.settled_beside(&deployment.service.key, &pinned.policy);
        let event = Event::Opened {
            repository: self.live.repositories.of(&deployment.service).map(str::to_owned),
            query_offset: self.query_offsets.get(&deployment.service.key.target).copied(),
            others,
            deployment: Box::new(deployment),
            pinned: Box::new(pinned),
            ceiling,
            announcement,
        };
        let (watch, said) = Watch::open(&event, self.now)?;
        self.touched.insert(id.clone(), Touched { watch, version: 0, events: vec![event] });
        self.keep_said(&id, said);
        self.inherit(&id);
        Ok(id)
    }

    /// Other services that the policy guards, that are seen in place, and that no
    /// deployment unsettles.
    fn settled_beside(&self, key: &ServiceKey, policy: &Policy) -> Vec<String> {
        let mut open = self.open_watches();
        open.retain(|watch| watch.unsettles(self.now));
        let unsettled: BTreeSet<&ServiceKey> =
            open.into_iter().map(|watch| &watch.deployment.service.key).collect();
        let known = self.live.seen.keys().chain(self.seen.keys());
        settled_beside(key, policy, known, &unsettled)
    }

    pub(super) fn see(&mut self, seen: Seen) {
        self.seen.insert(seen.service.clone(), seen);
    }

    pub(super) fn enter(&mut self, entry: LedgerEntry) {
        self.ledger.push(entry);
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// The pause of that scope, and whether it was there before: who paused first, and
    /// since when, stays.
    pub(super) fn pause(&mut self, pause: Pause) -> Paused {
        let known = self.pauses().iter().find(|known| known.scope == pause.scope).cloned();
        let same = |known: &Pause| known.by == pause.by && known.reason == pause.reason;
        // Whoever says the same again says nothing new.
        if !known.as_ref().is_some_and(same) {
            self.writes.push(Write::PauseTurn(PauseTurn { paused: true, pause: pause.clone() }));
        }
        if let Some(pause) = known {
            return Paused { pause, already: true };
        }
        let mut pauses = self.pauses().to_vec();
        pauses.push(pause.clone());
        self.pauses = Some(pauses);
        self.writes.push(Write::Pause(pause.clone()));
        Paused { pause, already: false }
    }

    /// Ends the pause of a scope, where there is one: the pauses that are left.
    pub(super) fn unpause(&mut self, turn: Pause) -> Option<Vec<Pause>> {
        let mut pauses = self.pauses().to_vec();
        let before = pauses.len();
        pauses.retain(|known| known.scope != turn.scope);
        if pauses.len() == before {
            return None;
        }
        self.writes.push(Write::Unpause { scope: turn.scope.clone() });
        self.writes.push(Write::PauseTurn(PauseTurn { paused: false, pause: turn }));
        self.pauses = Some(pauses.clone());
        Some(pauses)
    }

    /// Keeps an override, in place of what was known of it.
    pub(super) fn keep_override(&mut self, over: GateOverride) {
        self.writes.push(Write::GateOverride(over.clone()));
        self.overrides.push(over);
    }

    /// Those that wait for their deployment.
    pub(super) fn overrides_in_force(&self, now: Timestamp) -> Vec<GateOverride> {
        let newer = |one: &&GateOverride| self.overrides.iter().all(|new| new.id != one.id);
        let known = self.live.overrides.iter().filter(newer).chain(&self.overrides);
        known.filter(|over| over.is_in_force(now)).cloned().collect()
    }

    pub(super) fn pauses(&self) -> &[Pause] {
        self.pauses.as_deref().unwrap_or(&self.live.pauses)
    }

    fn keep_said(&mut self, id: &WatchId, said: Said) {
        let Some(touched) = self.touched.get(id) else { return };
        let rule = &touched.watch.policy().notify;
        for notice in said.notices {
            super::log::notice(&notice);
            for address in addresses(&notice, rule) {
                self.writes.push(Write::Outbox { notice: notice.clone(), address });
            }
        }
        self.ledger.extend(said.ledger);
    }

    /// What a watch leaves to the next deployment is kept with what was seen.
    fn inherit(&mut self, id: &WatchId) {
        let Some(watch) = self.touched.get(id).map(|touched| &touched.watch) else { return };
        let Some(seen) = self.seen(&watch.deployment.service.key) else { return };
        let mut left = seen.clone().spoiled_by(watch.harm_done(), self.now);
        if watch.platform_id() == Some(seen.platform_id.as_str()) {
            left.poison = watch.poison();
        }
        if left != *seen {
            self.see(left);
        }
    }

    /// How many events each watch was brought.
    #[cfg(test)]
    pub(super) fn news(&self) -> Vec<(WatchId, usize)> {
        self.touched.iter().map(|(id, touched)| (id.clone(), touched.events.len())).collect()
    }

    #[cfg(test)]
    pub(super) fn into_kept(self) -> Vec<Kept> {
        let touched = self.touched.into_values();
        touched.map(|one| Kept { watch: one.watch, version: one.version }).collect()
    }

    /// Keeps the step in the store.
    pub(super) async fn commit(mut self, store: &Store) -> Result<Done, StoreError> {
        let mut writes = Vec::new();
        for touched in self.touched.values().filter(|touched| !touched.events.is_empty()) {
            writes.push(watch_write(touched, self.now)?);
        }
        for seen in self.seen.values() {
            let state = serde_json::to_string(seen)?;
            writes.push(Write::Seen { service: seen.service.clone(), state });
        }
        writes.extend(self.ledger.iter().cloned().map(Write::Ledger));
        let has_mail = self.writes.iter().any(|write| matches!(write, Write::Outbox { .. }));
        writes.append(&mut self.writes);
        if !writes.is_empty() {
            store.commit(&writes, self.now).await?;
        }
        let watches = std::mem::take(&mut self.touched)
            .into_values()
            .map(|touched| {
                let events = i64::try_from(touched.events.len()).unwrap_or(i64::MAX);
                Kept { watch: touched.watch, version: touched.version + events }
            })
            .collect();
        let Self { seen, ledger, pauses, overrides, ended_before, .. } = self;
        Ok(Done { watches, ended_before, seen, ledger, pauses, overrides, has_mail })
    }
}

/// Everybody whom a notice is for.
fn addresses(notice: &Notice, rule: &NotifyRule) -> Vec<Address> {
    match &notice.body {
        Body::Card(_) | Body::Reply(_) | Body::Files { .. } => {
            let channel = rule.slack_channel.clone().into_iter();
            let mentions = || rule.page.clone();
            channel.map(|channel| Address::Slack { channel, mentions: mentions() }).collect()
        }
        Body::Signal { to, .. } => {
            to.iter().map(|to| Address::Elsewhere { recipient: to.clone() }).collect()
        }
        Body::GitHub(note) => {
            let recipient = Recipient::GitHub(note.place().repository.clone());
            vec![Address::Elsewhere { recipient }]
        }
    }
}

fn watch_write(touched: &Touched, now: Timestamp) -> Result<Write, StoreError> {
    let watch = &touched.watch;
    let events = touched
        .events
        .iter()
        .map(|event| Ok((now, serde_json::to_string(event)?)))
        .collect::<Result<_, StoreError>>()?;
    let row = WatchRow {
        id: watch.id.clone(),
        service: watch.deployment.service.key.clone(),
        deployment: watch.deployment.id.clone(),
        is_open: watch.is_open(),
        opened_at: watch.opened_at,
        name: watch.deployment.service.name.clone(),
        environment: watch.deployment.service.environment.clone(),
        outcome: watch.outcome().map(Outcome::as_str),
        state: serde_json::to_string(watch)?,
    };
    Ok(Write::Watch { row, version: touched.version, events })
}

impl Live {
    /// Takes a kept step over. Ended watches leave the memory.
    pub(super) fn absorb(&mut self, done: Done) {
        for kept in done.watches {
            let id = kept.watch.id.clone();
            if kept.watch.is_open() {
                self.watches.insert(id, kept);
            } else {
                self.watches.remove(&id);
            }
        }
        self.seen.extend(done.seen);
        for entry in done.ledger {
            self.enter(entry);
        }
        self.keep_overrides(done.overrides);
        if let Some(pauses) = done.pauses {
            self.pauses = pauses;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::take::Known;
    use crate::watch::tests::world::{Guard, at, key, policy, revision};

    #[test]
    fn a_service_that_was_deployed_an_hour_ago_is_a_control_though_it_is_watched() {
        let watch = Guard::settled(policy()).watch;
        let (service, own) = (key(), ServiceKey { service: "web".into(), ..key() });
        let seen = Seen {
            service: service.clone(),
            platform_id: "ecs-svc/2".into(),
            revision: revision(2),
            poison: None,
            spoiled: Vec::new(),
        };
        let live = Live {
            watches: BTreeMap::from([(watch.id.clone(), Kept { watch, version: 1 })]),
            seen: BTreeMap::from([(service, seen)]),
            ..Live::default()
        };
        let beside =
            |second| Step::at(at(second), &live, &BTreeMap::new()).settled_beside(&own, &policy());
        assert_eq!(beside(3599), Vec::<String>::new());
        assert_eq!(beside(3600), ["api"]);
    }

    #[tokio::test]
    async fn a_watch_that_has_ended_takes_in_who_could_not_be_told_and_stays_ended() {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        let mut rule = policy();
        rule.phases.truncate(1);
        rule.notify.slack_channel = Some("C0DEPLOYS".into());
        let mut guard = Guard::settled(rule);
        guard.breaks(5.0);
        while guard.watch.is_open() {
            guard.reads(5.0);
        }
        let (live, offsets, now) = (Live::default(), BTreeMap::new(), at(guard.clock));
        let id = guard.watch.id.clone();
        let events: Vec<Event> = guard.journal.iter().map(|(_, event)| event.clone()).collect();
        let version = i64::try_from(events.len()).unwrap();
        let touched = Touched { watch: guard.watch, version: 0, events };
        store.commit(&[watch_write(&touched, now).unwrap()], now).await.unwrap();

        let because = "HTTP 503".to_owned();
        let to = "pagerduty:oncall".parse().unwrap();
        let event = Event::Untold { to, because, given_up: true };
        for (round, news) in [(0, 1), (1, 0)] {
            let kept = store.kept_watch::<Watch>(&id).await.unwrap();
            let (watch, known) = kept.unwrap();
            assert_eq!((watch.is_open(), known), (false, version + round));
            let mut step = Step::at(now, &live, &offsets);
            step.untold(&id, &event, Some(Kept { watch, version: known })).unwrap();
            let done = step.commit(&store).await.unwrap();
            assert_eq!(done.watches.len(), news, "once");
            assert_eq!((done.ended_before.len(), done.has_mail), (news, news == 1));
        }
        // In one batch what is no news comes before what is.
        let (watch, version) = store.kept_watch::<Watch>(&id).await.unwrap().unwrap();
        let untold = BTreeMap::from([(id.clone(), Kept { watch, version })]);
        let known = Known { untold, ..Known::default() };
        let (to, because) = ("email:all".parse().unwrap(), "HTTP 503".to_owned());
        let news = Event::Untold { to, because, given_up: true };
        let mut step = Step::at(now, &live, &offsets);
        for one in [&event, &news] {
            known.tell(&mut step, &id, one).unwrap();
        }
        assert_eq!(step.commit(&store).await.unwrap().watches.len(), 1);
        assert!(store.has_mail_of(&id).await.unwrap());
        assert!(!store.has_open_watches().await.unwrap());
        assert_eq!(store.journal::<Event>(&id).await.unwrap().last().unwrap().1, news);
    }
}
