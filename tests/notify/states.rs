//! Every state of a deployment's messages, as a watch that lives through it says them:
//! against Slack's limits, and as they were last looked at.

use std::collections::BTreeMap;

use deployguard::model::{
    Acted, Body, Command, Controller, Deployment, Facts, Inherited, Inspection, Measurement,
    Notice, PlatformDeployment, Reading, Revision, RollOut, RollbackSafe, Route, Service,
    ServiceKey, Sighting,
};
use deployguard::notify::slack::render::message;
use deployguard::policy::{Policy, SourceFile, read};
use deployguard::watch::{
    BaselineMeasured, Ceiling, Event, Pinned, Press, Sampled, Tick, Want, Watch,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::world::slack::limits;

const POLICY: &str = r#"
version: 1
policy: shopflow-production
environment: production
match: { cluster: shopflow-production, service: shopflow-api }
mode: auto
phases:
  immediate:  { until: 15m, interval: 15s }
  short-term: { until: 1h, interval: 30s }
grace: 30s
checks:
  error rate:
    ratio: { bad: { counter: 'errors' }, total: { counter: all } }
    normal: "< 0.1%"
    breach: { SEV3: "> 0.5%", SEV2: "> 1%", SEV1: "> 10%" }
    baseline: { against: [before], worse_by: 2x, severity: SEV3 }
  p95 latency:
    query: p95
    normal: "< 300ms"
    breach: { SEV2: "> 2s for 1m" }
  cpu:
    query: cpu
    normal: "< 60%"
    breach: { SEV2: "> 80% for 1m" }
  memory:
    query: memory
    normal: "< 70%"
    breach: { SEV2: "> 85% for 1m" }
  api:
    status: api_up
    breach: { SEV1: 3 failures }
  database:
    status: database_up
    breach: { SEV1: 3 failures }
actions: { SEV1: rollback, SEV2: { ask: 15m, on_timeout: rollback }, SEV3: notify }
rollback: { to: known-good, known_good_after: immediate, fallback: previous, recover_within: 15m, cooldown: 1h }
notify: { slack: { channel: C0DEPLOYS01, page: [S0ONCALL] } }
"#;

/// A deployment that is watched, and everything that was said of it.
struct Play {
    watch: Watch,
    now: Timestamp,
    notices: Vec<Notice>,
}

fn start() -> Timestamp {
    "2024-01-15T10:30:00Z".parse().unwrap()
}

fn revision(number: u32) -> Revision {
    Revision::named(&format!("arn:aws:ecs:eu:1:task-definition/shopflow-api:{number}"))
}

fn policy() -> Policy {
    let file = SourceFile { path: "shopflow.yaml".into(), bytes: POLICY.into() };
    let set = read(&[file]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    (*set.iter().next().unwrap().policy).clone()
}

fn key() -> ServiceKey {
    ServiceKey {
        target: "default".into(),
        cluster: "shopflow-production".into(),
        service: "shopflow-api".into(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reading is what the judge takes in")]
fn gauge(value: f64) -> Reading {
    Ok(Measurement::Gauge { values: BTreeMap::from([(String::new(), value)]) })
}

/// A journal's beginning, with the checks that are in `POLICY`.
pub fn journal() -> (Timestamp, Event) {
    (start(), Play::opened(true))
}

impl Play {
    /// How its journal begins.
    fn opened(platform: bool) -> Event {
        let service =
            Service { name: "shopflow-api".into(), environment: "production".into(), key: key() };
        let deployment = Deployment {
            id: "gha-18231".into(),
            service,
            platform_id: platform.then(|| "ecs-svc/2".into()),
            revision: Some(revision(42)),
            source: Some(revision(41)),
            started_at: start(),
            baseline_end: start(),
            undoes: RollbackSafe::Yes,
            inherited: Inherited::default(),
            facts: Facts {
                version: Some("v1.5.0".into()),
                commit: Some("4f1c2aa".into()),
                author: Some("dana".into()),
                url: Some("https://github.com/shopflow/api/actions/runs/18231".into()),
                rollback_safe: RollbackSafe::Yes,
                ..Facts::default()
            },
        };
        let policy = policy();
        let pinned = Pinned {
            policy: policy.clone(),
            file: "policies/shopflow.yaml".into(),
            text: String::new(),
            commit: Some("4f1c2aa9".into()),
            dirty: false,
        };
        Event::Opened {
            repository: None,
            deployment: Box::new(deployment),
            pinned: Box::new(pinned),
            ceiling: Ceiling { mode: policy.mode, because: None },
            announcement: None,
            others: Vec::new(),
            query_offset: None,
        }
    }

    /// `platform`: whether ECS has shown it.
    fn open(platform: bool) -> Play {
        let (watch, said) = Watch::open(&Play::opened(platform), start()).unwrap();
        Play { watch, now: start(), notices: said.notices }
    }

    /// In service, compared, and measured once.
    fn watching() -> Play {
        let mut play = Play::open(true);
        let target = Ok((revision(41), "known-good since 2024-01-12".to_owned()));
        play.take(&Event::Inspected { target, inspection: Inspection::default() });
        play.sees("ecs-svc/2", 42, RollOut::Completed);
        play.wait(30);
        play.compare();
        play.live(0.5, 2);
        // A phase's end edits the card, and so does this: the values are not enough to.
        play.live(0.5, 8);
        play
    }

    fn take(&mut self, event: &Event) {
        let said = self.watch.handle(event, self.now).unwrap();
        self.notices.extend(said.notices);
    }

    fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
        if self.watch.next_wake().is_some_and(|at| self.now >= at) && self.watch.is_open() {
            self.take(&Event::Woke);
        }
    }

    fn sees(&mut self, id: &str, number: u32, roll_out: RollOut) {
        let primary = PlatformDeployment {
            id: id.into(),
            revision: revision(number),
            created_at: if number == 42 { start() } else { self.now },
            roll_out,
            reason: None,
            weight: None,
            desired: 3,
            running: 3,
            failed: 0,
        };
        self.take(&Event::Sighted(Box::new(Sighting {
            service: key(),
            at: self.now,
            controller: Controller::Ecs,
            primary,
            others: Vec::new(),
            in_flight: None,
            native_rollback: None,
            coming: None,
            source: Some(revision(41)),
        })));
    }

    /// Measures what it is compared with: as it is now, with 4 errors of 10,000.
    fn compare(&mut self) {
        for want in self.watch.wants(self.now) {
            let Want::Baseline(ask) = want else { continue };
            let times = || {
                ask.until.iter().flat_map(|until| {
                    (0..i64::from(ask.count))
                        .rev()
                        .map(|index| *until - SignedDuration::from_secs(index * ask.step.as_secs()))
                })
            };
            let policy = self.watch.policy().clone();
            let samples = policy
                .checks
                .iter()
                .filter(|check| ask.is_about(check))
                .map(|check| {
                    let reading = |_: &Timestamp| reading(&check.name, 0.4, 5_130.0);
                    (check.name.clone(), times().map(|at| (at, reading(&at))).collect())
                })
                .collect();
            let measured = BaselineMeasured::of(&policy, ask.clone(), &samples, BTreeMap::new());
            self.take(&Event::BaselineMeasured(Box::new(measured)));
        }
    }

    /// Some samples in which so many of 1,000 requests fail, up to the watch's end.
    fn live(&mut self, bad: f64, samples: usize) {
        for _ in 0..samples {
            self.wait(15);
            if !self.watch.is_open() {
                return;
            }
            let checks = self.watch.policy().checks.iter();
            let readings =
                checks.map(|check| (check.name.clone(), reading(&check.name, bad, 5_130.0)));
            let latest = Tick { readings: readings.collect(), ..Tick::at(self.now) };
            self.take(&Event::Sampled(Box::new(Sampled::of(latest))));
        }
    }

    fn press(&mut self, command: Command) {
        let by = "dana (U0DANA0001)";
        self.take(&Event::Pressed(Press::new(command, by, None)));
    }

    /// ECS takes the rollback and puts the target in place.
    fn rolled_back(&mut self) {
        let deployment = Some("ecs-svc/3".into());
        let route = Route::UpdateService;
        self.take(&Event::Acted(Ok(Acted { deployment, ..Acted::by(route) })));
        self.wait(20);
        self.sees("ecs-svc/3", 41, RollOut::Completed);
    }

    fn last(&self, reply: bool) -> Value {
        let wanted = |notice: &&Notice| match notice.body {
            Body::Card(_) => !reply,
            Body::Reply(_) => reply,
            Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => false,
        };
        let notice = self.notices.iter().rev().find(wanted).unwrap();
        serde_json::to_value(message(notice, &["S0ONCALL".to_owned()], true)).unwrap()
    }
}

fn reading(check: &str, bad: f64, total: f64) -> Reading {
    let broken = bad > 50.0;
    match check {
        "error rate" => Ok(Measurement::counts(bad * total / 1_000.0, total)),
        "p95 latency" => gauge(if broken { 0.212 } else { 0.145 }),
        "cpu" => gauge(if broken { 0.52 } else { 0.45 }),
        "memory" => gauge(0.61),
        "database" if broken => gauge(0.0),
        _ => gauge(1.0),
    }
}

/// All of them by name.
pub fn all() -> Vec<(&'static str, Value)> {
    let mut states = Vec::new();
    states.push(("card: announced", Play::open(false).last(false)));
    let mut play = Play::open(true);
    play.sees("ecs-svc/2", 42, RollOut::InProgress);
    states.push(("card: rolling out", play.last(false)));
    states.push(("card: watching", Play::watching().last(false)));

    let mut noted = Play::watching();
    noted.live(7.0, 12);
    states.push(("card: SEV3 noted", noted.last(false)));
    states.push(("reply: SEV3 noted", noted.last(true)));

    let mut asked = Play::watching();
    asked.live(30.0, 6);
    states.push(("card: SEV2 asked", asked.last(false)));
    states.push(("reply: SEV2 decision due", asked.last(true)));
    asked.press(Command::Ack);
    states.push(("card: SEV2 acknowledged", asked.last(false)));
    asked.press(Command::Hold);
    states.push(("card: SEV2 held", asked.last(false)));
    states.push(("reply: held", asked.last(true)));
    asked.press(Command::Cancel);
    states.push(("card: cancelled", asked.last(false)));

    let mut broken = Play::watching();
    broken.live(124.0, 4);
    states.push(("card: SEV1 rolling back", broken.last(false)));
    states.push(("reply: SEV1 rolling back", broken.last(true)));
    broken.rolled_back();
    states.push(("card: recovering", broken.last(false)));
    states.push(("reply: in place", broken.last(true)));
    broken.live(0.5, 16);
    states.push(("card: rolled back", broken.last(false)));
    states.push(("reply: recovered", broken.last(true)));

    let mut superseded = Play::watching();
    superseded.take(&Event::Superseded { by: "shopflow-api:40 (ecs-svc/4)".into(), older: true });
    states.push(("card: rolled back by hand", superseded.last(false)));
    states.push(("reply: rolled back by hand", superseded.last(true)));
    states.push(("card: passed", passed().last(false)));
    states
}

fn passed() -> Play {
    let mut play = Play::watching();
    while play.watch.is_open() && play.now < start() + SignedDuration::from_hours(2) {
        play.live(0.5, 1);
    }
    play
}

#[test]
fn every_state_is_within_slacks_limits_and_as_it_was_last_looked_at() {
    for (name, message) in all() {
        assert_eq!(limits::broken(&message), [], "{name}");
        insta::assert_json_snapshot!(name.replace([':', ' '], "_"), message["blocks"]);
    }
}

#[test]
fn what_cannot_be_done_any_more_is_not_offered() {
    let buttons = |name: &str| {
        let states = all();
        let message = &states.iter().find(|(one, _)| *one == name).unwrap().1;
        let blocks = message["blocks"].as_array().unwrap();
        let row = blocks.iter().find(|block| block["type"] == "actions");
        let ids = row.into_iter().flat_map(|row| row["elements"].as_array().unwrap());
        let ids = ids.map(|one| one["action_id"].as_str().unwrap().replace("deployguard.", ""));
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(buttons("card: announced"), "cancel");
    assert_eq!(buttons("card: watching"), "rollback cancel");
    assert_eq!(buttons("card: SEV2 asked"), "rollback ack hold cancel");
    assert_eq!(buttons("reply: SEV2 decision due"), "rollback ack hold");
    assert_eq!(buttons("card: SEV2 held"), "rollback resume cancel");
    assert_eq!(buttons("card: SEV1 rolling back"), "ack", "somebody may have seen it");
    for over in ["card: rolled back", "card: passed"] {
        assert_eq!(buttons(over), "", "{over}");
    }
}
