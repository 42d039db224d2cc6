//! Hearing how a watch stands. The daemon is asked again and again; a stream of events would
//! take the place of [`Follower::next`], and of nothing else.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use crate::cli::client::{Answer, Server};
use crate::model::Verdict;
use crate::web::{CheckView, WatchDetail, WatchView};

/// One request may take no longer.
const ANSWER: Duration = Duration::from_secs(10);
const NEAR: Duration = Duration::from_secs(2);
const FAR: Duration = Duration::from_secs(10);
/// A time this near may bring a decision.
const SOON: SignedDuration = SignedDuration::from_secs(30);
/// The pause after the first failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What came of asking.
#[derive(Debug)]
pub enum Heard {
    Stands(Box<WatchDetail>),
    /// The daemon knows no such watch or deployment.
    Unknown,
    /// It can't be asked now.
    Away(String),
    /// It can't be asked at all.
    Refused(String),
}

/// Follows one watch.
pub struct Follower<'a> {
    server: &'a Server,
    client: reqwest::Client,
    /// A watch, a deployment as it was announced, or as the platform calls it.
    name: &'a str,
    /// The watch, once it was found.
    id: Option<String>,
    /// While nobody answers.
    pauses: Option<ExponentialBackoff>,
}

#[derive(Deserialize)]
struct List {
    watches: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    deployment: String,
}

impl<'a> Follower<'a> {
    /// # Errors
    /// Where there can be no client.
    pub fn new(server: &'a Server, name: &'a str) -> anyhow::Result<Self> {
        Ok(Self { server, client: Server::client(ANSWER)?, name, id: None, pauses: None })
    }

    /// Waits for `pace`, or longer while nobody answers, and asks.
    pub async fn next(&mut self, pace: Duration) -> Heard {
        let pause = self.pauses.as_mut().map(|pauses| pauses.next().unwrap_or(LONGEST_PAUSE));
        tokio::time::sleep(pause.unwrap_or(pace)).await;
        let heard = self.look().await;
        match &heard {
            Heard::Away(_) => drop(self.pauses.get_or_insert_with(pauses)),
            Heard::Stands(_) | Heard::Unknown | Heard::Refused(_) => self.pauses = None,
        }
        heard
    }

    async fn look(&mut self) -> Heard {
        if self.id.is_none() {
            match self.ask(self.name).await {
                Heard::Unknown => {}
                heard @ (Heard::Stands(_) | Heard::Away(_) | Heard::Refused(_)) => return heard,
            }
            // That it is unknown is worth something only from a deployguard, and the list may
            // know the platform's own id.
            match self.server.look::<List>(&self.client, &["api", "v1", "watches"]).await {
                Answer::Here(list) => {
                    let found = list.watches.into_iter().find(|one| one.deployment == self.name);
                    self.id = found.map(|one| one.id);
                }
                Answer::Away(why) => return Heard::Away(why),
                Answer::None(why) | Answer::Refused(why) => return Heard::Refused(why),
            }
        }
        match self.id.clone() {
            Some(id) => self.ask(&id).await,
            None => Heard::Unknown,
        }
    }

    async fn ask(&mut self, name: &str) -> Heard {
        match self.server.look::<WatchDetail>(&self.client, &["api", "v1", "watches", name]).await {
            Answer::Here(detail) => {
                self.id = Some(detail.watch.id.clone());
                Heard::Stands(Box::new(detail))
            }
            Answer::None(_) => Heard::Unknown,
            Answer::Refused(why) => Heard::Refused(why),
            Answer::Away(why) => Heard::Away(why),
        }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .build()
}

/// How long it may be until the next look: short where something is about to be decided.
pub fn pace(view: Option<&WatchView>, now: Timestamp) -> Duration {
    let Some(view) = view else { return NEAR };
    let in_motion = view.in_service_at.is_none()
        || view.rolling_back
        || view.checks.iter().any(is_suspect)
        || view.incident.as_ref().is_some_and(|incident| incident.resolved_at.is_none());
    let phase = view.phases.iter().find(|phase| phase.name == view.phase);
    let times = [phase.and_then(|phase| phase.ends_at), view.decision_due];
    let is_near = |at: &Timestamp| at.duration_since(now) <= SOON;
    if in_motion || times.iter().flatten().any(is_near) { NEAR } else { FAR }
}

fn is_suspect(check: &CheckView) -> bool {
    match check.verdict {
        Some(Verdict::Elevated | Verdict::Breach) => true,
        Some(Verdict::Healthy | Verdict::LowTraffic | Verdict::NoData) | None => false,
    }
}

/// Something that may fail for a while.
#[derive(Debug, Default)]
pub struct Patience(Option<Instant>);

/// Where a spell of failures stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spell {
    First,
    Goes,
    /// It has lasted for too long.
    Over,
}

impl Patience {
    pub fn fails(&mut self, at: Instant, most: Duration) -> Spell {
        match self.0 {
            None => {
                self.0 = Some(at);
                if most.is_zero() { Spell::Over } else { Spell::First }
            }
            Some(since) if at.duration_since(since) >= most => Spell::Over,
            Some(_) => Spell::Goes,
        }
    }

    /// Whether a spell has ended with this.
    pub fn ends(&mut self) -> bool {
        self.0.take().is_some()
    }

    pub fn is_tried(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::made::{asked, at, incident, view};

    #[test]
    fn the_daemon_is_asked_often_only_where_something_is_about_to_be_decided() {
        assert_eq!(pace(Some(&view()), at(60)), FAR);
        assert_eq!(pace(None, at(60)), NEAR);
        assert_eq!(pace(Some(&view()), at(875)), NEAR, "the phase ends");
        assert_eq!(pace(Some(&view()), at(2_000)), NEAR, "it should have ended");
        let due = asked().until;
        assert_eq!(pace(Some(&WatchView { decision_due: due, ..view() }), at(100)), FAR);
        assert_eq!(pace(Some(&WatchView { decision_due: due, ..view() }), at(940)), NEAR);
        assert_eq!(pace(Some(&WatchView { in_service_at: None, ..view() }), at(60)), NEAR);
        let mut suspect = view();
        suspect.checks[0].verdict = Some(Verdict::Elevated);
        assert_eq!(pace(Some(&suspect), at(60)), NEAR);
        assert_eq!(pace(Some(&WatchView { rolling_back: true, ..view() }), at(60)), NEAR);
        let mut ill = WatchView { incident: Some(incident()), ..view() };
        assert_eq!(pace(Some(&ill), at(60)), NEAR);
        ill.incident.as_mut().unwrap().resolved_at = Some(at(50));
        assert_eq!(pace(Some(&ill), at(60)), FAR);
    }

    #[tokio::test(start_paused = true)]
    async fn a_spell_is_told_once_and_bounded() {
        let (mut patience, start) = (Patience::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let most = Duration::from_mins(2);
        let mut fails = |seconds| patience.fails(after(seconds), most);
        assert_eq!([fails(0), fails(1), fails(119), fails(120)], {
            [Spell::First, Spell::Goes, Spell::Goes, Spell::Over]
        });
        assert!(patience.ends() && !patience.ends());
        assert_eq!(patience.fails(after(500), most), Spell::First, "another spell");
    }

    #[test]
    fn pauses_grow_and_never_end() {
        let pauses: Vec<_> = pauses().take(50).collect();
        assert_eq!(pauses.len(), 50);
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
    }
}
