//! Which incidents are one: what each watch must hear of the others, within one step.
//!
//! A watch whose sample opens an incident hears of its lead before that sample, so that
//! it calls nobody from the first word on. Whether it will open one is found by taking the
//! sample on a copy: a watch is pure. All else is levelled at the end of each step, from
//! what the watches know of each other, so nothing is lost by a crash.

use jiff::Timestamp;

use super::step::Step;
use crate::model::{Companion, Lead, WatchId};
use crate::watch::{Event, Watch};

/// An acknowledgement goes from a joined one to its lead, and from there to the others.
const ROUNDS: usize = 4;

impl Step<'_> {
    /// The incident that the one which `event` opens joins.
    pub(super) fn lead_for(&self, id: &WatchId, event: &Event, now: Timestamp) -> Option<Lead> {
        let Event::Sampled(_) = event else { return None };
        let watch = self.watch(id)?;
        if watch.has_open_incident() {
            return None;
        }
        let open = self.open_watches();
        let leads = open.into_iter().filter_map(|other| other.leads(watch, now));
        let lead = leads.min_by(|a, b| (a.opened_at, &a.watch).cmp(&(b.opened_at, &b.watch)))?;
        let number = |watch: &Watch| watch.incident.as_ref().map_or(0, |incident| incident.number);
        let mut trial = watch.clone();
        trial.handle(event, now).ok()?;
        // What is worse than the lead calls people by itself.
        let severity = |watch: &Watch| watch.incident.as_ref().map(|incident| incident.severity);
        let worse = severity(&trial) < self.watch(&lead.watch).and_then(severity);
        let opens = trial.has_open_incident() && number(&trial) > number(watch);
        (opens && !worse).then_some(lead)
    }

    /// That another thread has told of the lost source that `event` would tell of.
    pub(super) fn told_of_source(
        &self,
        id: &WatchId,
        event: &Event,
        now: Timestamp,
    ) -> Option<Event> {
        let Event::Sampled(_) = event else { return None };
        let watch = self.watch(id).filter(|watch| !watch.tells_of_lost_source())?;
        let told = self.told_beside(watch)?;
        let mut trial = watch.clone();
        trial.handle(event, now).ok()?;
        trial.tells_of_lost_source().then_some(told)
    }

    /// That the thread of another watch tells of the source that `watch` asks too.
    fn told_beside(&self, watch: &Watch) -> Option<Event> {
        let open = self.open_watches();
        let tells = |other: &&Watch| other.tells_of_lost_source() && other.is_told_beside(watch);
        let teller = open.into_iter().find(tells)?;
        Some(Event::SourceTold { by: teller.title(), watch: Some(teller.id.clone()) })
    }

    /// Where the watch that told of a lost source has ended, the first of the others tells
    /// of it, and the rest hear who does.
    pub(super) fn level_sources(&mut self) {
        let gone = |id: &WatchId| !self.watch(id).is_some_and(Watch::is_open);
        let open = self.open_watches();
        let orphans = open.into_iter().filter(|watch| watch.source_teller().is_some_and(gone));
        let orphans: Vec<WatchId> = orphans.map(|watch| watch.id.clone()).collect();
        for id in orphans {
            let told = self.watch(&id).and_then(|watch| self.told_beside(watch));
            if let Err(why) = self.deliver(&id, told.unwrap_or(Event::SourceUntold)) {
                tracing::error!(watch = %id, %why, "could not hear of the lost source");
            }
        }
    }

    /// Tells each lead how those stand that joined it, and them when it is acknowledged or
    /// over, until nobody has anything to hear.
    pub(super) fn level_joins(&mut self) {
        for _ in 0..ROUNDS {
            let events = self.unlevel();
            if events.is_empty() {
                return;
            }
            for (id, event) in events {
                if self.watch(&id).is_some_and(Watch::is_open)
                    && let Err(why) = self.deliver(&id, event)
                {
                    tracing::error!(watch = %id, %why, "could not hear of what breaks together");
                }
            }
        }
    }

    fn unlevel(&self) -> Vec<(WatchId, Event)> {
        let mut events: Vec<(WatchId, Event)> = Vec::new();
        for watch in self.open_watches() {
            let Some(incident) = &watch.incident else { continue };
            if let Some(lead) = &incident.with {
                match self.watch(&lead.watch).filter(|one| one.still_leads(lead)) {
                    Some(one) => {
                        events.extend(news_for(one, watch));
                        let acked = watch.unheard_ack(one).map(Event::LeadAcked);
                        events.extend(acked.map(|event| (watch.id.clone(), event)));
                    }
                    None => events.push((watch.id.clone(), Event::LeadOver)),
                }
            }
            for joined in incident.joins.iter().filter(|joined| !joined.over) {
                let follows = self.watch(&joined.watch).is_some_and(|one| is_with(one, watch));
                if !follows && incident.resolved_at.is_none() {
                    let over = Companion { over: true, acked: None, ..joined.clone() };
                    events.push((watch.id.clone(), Event::Leads(Box::new(over))));
                }
            }
        }
        events
    }
}

/// What `lead` does not know yet of `joined`.
fn news_for(lead: &Watch, joined: &Watch) -> Option<(WatchId, Event)> {
    let companion = joined.companion()?;
    let known = &lead.incident.as_ref()?.joins;
    let news = !known.contains(&companion);
    news.then(|| (lead.id.clone(), Event::Leads(Box::new(companion))))
}

/// Whether `joined` is open and its incident is part of the one of `lead`.
fn is_with(joined: &Watch, lead: &Watch) -> bool {
    let with = joined.incident.as_ref().and_then(|incident| incident.with.as_ref());
    joined.is_open() && with.is_some_and(|with| with.watch == lead.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::live::{Kept, Live};
    use crate::model::RollbackSafe;
    use crate::watch::tests::world::{Guard, at, counts, policy};
    use crate::watch::{Command, Press, Sampled, Tick};

    fn guard(name: &str) -> Guard {
        let mut guard = Guard::of(name, policy(), RollbackSafe::Yes);
        guard.settle();
        guard
    }

    fn live(guards: Vec<Guard>) -> Live {
        let watches = guards.into_iter().map(|guard| {
            let version = i64::try_from(guard.journal.len()).unwrap();
            (guard.watch.id.clone(), Kept { watch: guard.watch, version })
        });
        Live { watches: watches.collect(), ..Live::default() }
    }

    fn bad_at(second: i64) -> Event {
        let readings = BTreeMap::from([("errors".to_owned(), counts(5.0))]);
        Event::Sampled(Box::new(Sampled::of(Tick { readings, ..Tick::at(at(second)) })))
    }

    #[test]
    fn of_two_services_that_break_together_the_later_one_joins_before_it_says_a_word() {
        let (mut api, mut web) = (guard("api"), guard("web"));
        api.breaks(5.0);
        web.reads(5.0);
        web.reads(5.0);
        let (lead, joined) = (api.watch.id.clone(), web.watch.id.clone());
        let mut live = live(vec![api, web]);
        let offsets = BTreeMap::new();
        let mut step = Step::at(at(60), &live, &offsets);
        step.deliver(&joined, bad_at(60)).unwrap();
        step.level_joins();
        let with = |step: &Step<'_>| {
            let watch = step.watch(&joined).unwrap();
            watch.incident.as_ref().unwrap().with.as_ref().map(|lead| lead.watch.clone())
        };
        assert_eq!(with(&step), Some(lead.clone()));
        let leads = step.watch(&lead).unwrap().incident.clone().unwrap();
        assert_eq!(leads.joins.len(), 1);
        let (news, kept) = (step.news(), step.into_kept());
        assert_eq!(news, [(lead.clone(), 1), (joined.clone(), 2)]);
        for kept in kept {
            live.watches.insert(kept.watch.id.clone(), kept);
        }
        // Nothing more to say, until the lead ends.
        let mut step = Step::at(at(70), &live, &offsets);
        step.level_joins();
        assert_eq!(step.news(), []);
        let cancel = Event::Pressed(Press::new(Command::Cancel, "dana", None));
        step.deliver(&lead, cancel).unwrap();
        step.level_joins();
        assert_eq!(with(&step), None);
    }

    #[test]
    fn a_source_that_is_down_is_told_of_once_a_target() {
        let lost = |second| {
            let down = Err(crate::model::Unusable::Unreachable("connection refused".to_owned()));
            let readings = BTreeMap::from([("errors".to_owned(), down)]);
            Event::Sampled(Box::new(Sampled::of(Tick { readings, ..Tick::at(at(second)) })))
        };
        let (api, web) = (guard("api"), guard("web"));
        let ids = [api.watch.id.clone(), web.watch.id.clone()];
        let mut live = live(vec![api, web]);
        let offsets = BTreeMap::new();
        for round in 0..20 {
            let second = 40 + round * 10;
            let mut step = Step::at(at(second), &live, &offsets);
            for id in &ids {
                step.deliver(id, lost(second)).unwrap();
            }
            for kept in step.into_kept() {
                live.watches.insert(kept.watch.id.clone(), kept);
            }
        }
        let lines = |id: &WatchId| {
            let timeline = &live.watches[id].watch.timeline;
            let about = timeline.iter().filter(|line| line.text.contains("can't be judged"));
            about.map(|line| line.text.clone()).collect::<Vec<_>>()
        };
        let (first, second) = (lines(&ids[0]), lines(&ids[1]));
        assert_eq!((first.len(), second.len()), (1, 1), "{first:?} {second:?}");
        assert!(!first[0].contains("told of in"), "{first:?}");
        assert!(second[0].contains("told of in the thread of api api:2"), "{second:?}");
        assert!(!live.watches[&ids[1]].watch.tells_of_lost_source());
    }

    /// One step: events to some, and what all hear of each other.
    fn takes(live: &mut Live, second: i64, events: Vec<(WatchId, Event)>) -> Vec<(WatchId, usize)> {
        let offsets = BTreeMap::new();
        let mut step = Step::at(at(second), live, &offsets);
        for (id, event) in events {
            step.deliver(&id, event).unwrap();
        }
        step.level_joins();
        step.level_sources();
        let (news, kept) = (step.news(), step.into_kept());
        for kept in kept {
            if kept.watch.is_open() {
                live.watches.insert(kept.watch.id.clone(), kept);
            } else {
                live.watches.remove(&kept.watch.id);
            }
        }
        news
    }

    fn three_together() -> (Live, [WatchId; 3]) {
        let (mut api, mut web, mut jobs) = (guard("api"), guard("web"), guard("jobs"));
        api.breaks(5.0);
        for other in [&mut web, &mut jobs] {
            other.reads(5.0);
            other.reads(5.0);
        }
        let ids = [&api, &web, &jobs].map(|guard| guard.watch.id.clone());
        let mut live = live(vec![api, web, jobs]);
        let samples = ids[1..].iter().map(|id| (id.clone(), bad_at(60))).collect();
        takes(&mut live, 60, samples);
        takes(&mut live, 61, Vec::new());
        (live, ids)
    }

    fn acked(live: &Live, id: &WatchId) -> Option<String> {
        let incident = live.watches[id].watch.incident.as_ref()?;
        incident.acked.as_ref().map(|acked| acked.by.clone())
    }

    #[test]
    fn whoever_acknowledges_in_one_thread_has_acknowledged_for_all() {
        let ack = || Event::Pressed(Press::new(Command::Ack, "dana", None));
        for who in [0, 1] {
            let (mut live, ids) = three_together();
            let incident = |id: &WatchId| live.watches[id].watch.incident.clone().unwrap();
            assert!(incident(&ids[1]).with.is_some() && incident(&ids[2]).with.is_some());
            assert_eq!(incident(&ids[0]).joins.len(), 2);
            takes(&mut live, 70, vec![(ids[who].clone(), ack())]);
            for id in &ids {
                assert_eq!(acked(&live, id), Some("dana".to_owned()), "{who}: {id}");
            }
            assert_eq!(takes(&mut live, 71, Vec::new()), [], "nothing more to say");
            // What was acknowledged with the lead is open by itself once that is over.
            let cancel = Event::Pressed(Press::new(Command::Cancel, "eve", None));
            takes(&mut live, 80, vec![(ids[0].clone(), cancel)]);
            assert_eq!(acked(&live, &ids[1]).is_some(), who == 1, "its own stays");
            assert_eq!(acked(&live, &ids[2]), None);
        }
    }

    #[test]
    fn a_hold_in_one_thread_is_about_its_own_question() {
        let (mut live, ids) = three_together();
        let hold = Event::Pressed(Press::new(Command::Hold, "dana", None));
        takes(&mut live, 70, vec![(ids[1].clone(), hold)]);
        assert_eq!(acked(&live, &ids[1]), Some("dana".to_owned()));
        assert_eq!((acked(&live, &ids[0]), acked(&live, &ids[2])), (None, None));
    }

    #[test]
    fn the_end_of_who_told_of_a_lost_source_leaves_it_to_another_to_tell() {
        let lost = |second| {
            let down = Err(crate::model::Unusable::Unreachable("connection refused".to_owned()));
            let readings = BTreeMap::from([("errors".to_owned(), down)]);
            Event::Sampled(Box::new(Sampled::of(Tick { readings, ..Tick::at(at(second)) })))
        };
        let guards = [guard("api"), guard("jobs"), guard("web")];
        let ids = guards.each_ref().map(|guard| guard.watch.id.clone());
        let mut live = live(guards.into());
        for second in (40..240).step_by(10) {
            takes(&mut live, second, ids.iter().map(|id| (id.clone(), lost(second))).collect());
        }
        let tells = |live: &Live, id: &WatchId| live.watches[id].watch.tells_of_lost_source();
        assert_eq!(ids.each_ref().map(|id| tells(&live, id)), [true, false, false]);
        let cancel = Event::Pressed(Press::new(Command::Cancel, "eve", None));
        takes(&mut live, 240, vec![(ids[0].clone(), cancel)]);
        assert_eq!(ids[1..].iter().filter(|id| tells(&live, id)).count(), 1, "one of the others");
        let by = ids[1..].iter().filter_map(|id| live.watches[id].watch.lost.clone()?.told_by);
        assert_eq!(by.collect::<Vec<_>>().len(), 1, "and the third hears who it is");
        assert_eq!(takes(&mut live, 241, Vec::new()), []);
        // Of a source that is back for the first one only there is nothing to tell.
        let teller = ids[1..].iter().find(|id| tells(&live, id)).unwrap().clone();
        let third = ids[1..].iter().find(|id| !tells(&live, id)).unwrap().clone();
        takes(&mut live, 250, vec![(teller, bad_at(250))]);
        assert!(!tells(&live, &third));
    }
}
