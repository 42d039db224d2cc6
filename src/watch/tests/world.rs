//! A deployment, its policy and a clock of our own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    Acted, Body, Deployment, Facts, Inherited, Inspection, Measurement, Mode, Notice,
    PlatformDeployment, Reading, Revision, RollOut, RollbackSafe, Route, Service, ServiceKey,
    Severity, Sighting,
};
use crate::model::{Controller, LedgerEntry};
use crate::policy::{
    Action, Actions, Bound, Check, Counted, Fallback, Gate, LabelNames, Limit, LowTraffic, Match,
    Measure, MovedBy, NotifyRule, OnTimeout, Part, Phase, Policy, RollbackRule, Side, Unannounced,
    Unit,
};
use crate::watch::{
    Ceiling, Command, Event, Illegal, Pinned, Press, Said, Sampled, Tick, Want, Watch,
};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub fn key() -> ServiceKey {
    ServiceKey { target: "default".into(), cluster: "prod".into(), service: "api".into() }
}

pub fn service() -> Service {
    Service { name: "api".into(), environment: "production".into(), key: key() }
}

pub fn revision(number: u32) -> Revision {
    Revision::named(&format!("arn:aws:ecs:eu:1:task-definition/api:{number}"))
}

pub fn policy() -> Policy {
    let secs = SignedDuration::from_secs;
    let limit =
        |value| Limit { bound: Bound { side: Side::Above, value, unit: Unit::Ratio }, hold: None };
    let errors = Check {
        name: "errors".into(),
        measure: Measure::Ratio {
            part: Part::Bad,
            of: Counted::Counter("errors".into()),
            total: Counted::Counter("all".into()),
        },
        normal: Some(Bound { side: Side::Below, value: 0.001, unit: Unit::Ratio }),
        breach: BTreeMap::from([(Severity::Sev1, limit(0.1)), (Severity::Sev2, limit(0.01))]),
        baseline: None,
        leak: None,
        min_traffic: 20.0,
        window: Some(secs(10)),
        from: None,
        optional: false,
    };
    Policy {
        name: "p".into(),
        environment: "production".into(),
        matches: Match { target: None, cluster: "prod".into(), service: "*".into() },
        mode: Mode::Auto,
        labels: LabelNames::default(),
        phases: vec![
            Phase { name: "immediate".into(), until: secs(900), interval: secs(10), weight: None },
            Phase {
                name: "short-term".into(),
                until: secs(3600),
                interval: secs(30),
                weight: None,
            },
        ],
        moved_by: MovedBy::Pipeline,
        grace: secs(30),
        checks: vec![errors],
        actions: Actions {
            by_severity: BTreeMap::from([
                (Severity::Sev1, Action::Rollback),
                (Severity::Sev2, Action::Ask { wait: secs(900), on_timeout: OnTimeout::Rollback }),
            ]),
            ask_after: None,
            hold: secs(900),
        },
        gate: Gate::default(),
        no_data_notify_after: secs(60),
        min_coverage: 0.5,
        low_traffic: LowTraffic::Pass,
        false_rollbacks: 0.01,
        peers: Vec::new(),
        depends_on: Vec::new(),
        rollback: RollbackRule {
            known_good_after: "immediate".into(),
            max_age: secs(7 * 86400),
            fallback: Fallback::Previous,
            unannounced: Unannounced::Ask,
            recover_within: secs(900),
            cooldown: secs(3600),
            pin_digests: false,
            by: None,
            maintenance: None,
            database: crate::policy::DatabaseRule::default(),
        },
        notify: NotifyRule::default(),
    }
}

pub fn pinned(policy: Policy) -> Pinned {
    Pinned {
        policy,
        file: "policies/p.yaml".into(),
        text: String::new(),
        commit: Some("4f1c2aa".into()),
        dirty: false,
    }
}

/// A look at a service whose PRIMARY is `id` with the revision `number`.
pub fn sighting(second: i64, id: &str, number: u32, roll_out: RollOut) -> Sighting {
    Sighting {
        service: key(),
        at: at(second),
        controller: Controller::Ecs,
        primary: PlatformDeployment {
            id: id.into(),
            revision: revision(number),
            created_at: at(0),
            roll_out,
            reason: None,
            weight: None,
            desired: 3,
            running: 3,
            failed: 0,
        },
        others: Vec::new(),
        in_flight: None,
        native_rollback: None,
        coming: None,
        source: None,
    }
}

pub fn counts(bad: f64) -> Reading {
    let total = 100.0;
    Measurement::counts(bad, total).into_reading()
}

trait IntoReading {
    fn into_reading(self) -> Reading;
}

impl IntoReading for Measurement {
    fn into_reading(self) -> Reading {
        Ok(self)
    }
}

/// A watch with everything that it has said and done.
pub struct Guard {
    pub watch: Watch,
    pub journal: Vec<(Timestamp, Event)>,
    pub notices: Vec<Notice>,
    pub ledger: Vec<LedgerEntry>,
    pub clock: i64,
}

impl Guard {
    /// api:2 replaces api:1 under `policy`, announced as safe to roll back.
    pub fn over(policy: Policy) -> Guard {
        Guard::with(policy, RollbackSafe::Yes)
    }

    pub fn with(policy: Policy, rollback_safe: RollbackSafe) -> Guard {
        Guard::of("api", policy, rollback_safe)
    }

    /// The same of another service.
    pub fn of(name: &str, policy: Policy, rollback_safe: RollbackSafe) -> Guard {
        let key = ServiceKey { service: name.into(), ..key() };
        let deployment = Deployment {
            id: "ecs-svc/2".into(),
            service: Service { name: name.into(), key, ..service() },
            platform_id: Some("ecs-svc/2".into()),
            revision: Some(revision(2)),
            source: Some(revision(1)),
            started_at: at(0),
            baseline_end: at(0),
            undoes: RollbackSafe::Yes,
            inherited: Inherited::default(),
            facts: Facts { rollback_safe, ..Facts::default() },
        };
        Guard::begun(deployment, policy, 0)
    }

    /// A watch over `deployment` that begins at `second`.
    pub fn begun(deployment: Deployment, policy: Policy, second: i64) -> Guard {
        let ceiling = Ceiling { mode: policy.mode, because: None };
        let event = Event::Opened {
            repository: None,
            query_offset: None,
            others: Vec::new(),
            deployment: Box::new(deployment),
            pinned: Box::new(pinned(policy)),
            ceiling,
            announcement: None,
        };
        let (watch, said) = Watch::open(&event, at(second)).unwrap();
        let mut guard = Guard {
            watch,
            journal: vec![(at(second), event)],
            notices: Vec::new(),
            ledger: Vec::new(),
            clock: second,
        };
        guard.keep(said);
        guard
    }

    /// In service, rolled out, with a target found; the grace is over.
    pub fn settled(policy: Policy) -> Guard {
        let mut guard = Guard::over(policy);
        guard.settle();
        guard
    }

    pub fn settle(&mut self) {
        self.sees(sighting(0, "ecs-svc/2", 2, RollOut::Completed));
        self.finds_target();
        self.clock = 30;
    }

    pub fn finds_target(&mut self) {
        let target = Ok((revision(1), "what was there".to_owned()));
        self.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
    }

    pub fn sees(&mut self, sighting: Sighting) {
        self.take(Event::Sighted(Box::new(sighting))).unwrap();
    }

    /// Ten seconds pass, then the checks read `bad` errors of 100.
    pub fn reads(&mut self, bad: f64) {
        self.reads_as(counts(bad));
    }

    /// As many samples as must agree.
    pub fn breaks(&mut self, bad: f64) {
        (0..3).for_each(|_| self.reads(bad));
    }

    /// What a sample of now with `bad` errors of 100 is.
    pub fn sample(&self, bad: f64) -> Sampled {
        let readings = BTreeMap::from([("errors".to_owned(), counts(bad))]);
        Sampled::of(Tick { readings, ..Tick::at(at(self.clock)) })
    }

    pub fn reads_as(&mut self, reading: Reading) {
        self.clock += 10;
        let readings = BTreeMap::from([("errors".to_owned(), reading)]);
        let latest = Tick { readings, ..Tick::at(at(self.clock)) };
        let sampled = Sampled::of(latest);
        let _ = self.take(Event::Sampled(Box::new(sampled)));
    }

    pub fn waits(&mut self, seconds: i64) {
        self.clock += seconds;
        if self.watch.next_wake().is_some_and(|wake| at(self.clock) >= wake) {
            let _ = self.take(Event::Woke);
        }
    }

    /// Time passes, measured all along.
    pub fn lives(&mut self, bad: f64, seconds: i64) {
        for _ in 0..seconds / 10 {
            self.reads(bad);
            self.waits(0);
        }
    }

    pub fn presses(&mut self, command: Command) -> Result<(), Illegal> {
        self.take(Event::Pressed(Press::new(command, "dana", None)))
    }

    pub fn take_press(&mut self, press: Press) -> Result<(), Illegal> {
        self.take(Event::Pressed(press))
    }

    pub fn accepts(&mut self, route: Route) {
        let acted = Acted { deployment: Some("ecs-svc/3".into()), ..Acted::by(route) };
        self.take(Event::Acted(Ok(acted))).unwrap();
    }

    pub fn take(&mut self, event: Event) -> Result<(), Illegal> {
        let said = self.watch.handle(&event, at(self.clock))?;
        self.journal.push((at(self.clock), event));
        self.keep(said);
        Ok(())
    }

    fn keep(&mut self, said: Said) {
        self.notices.extend(said.notices);
        self.ledger.extend(said.ledger);
    }

    pub fn wants_rollback(&self) -> bool {
        self.wants().iter().any(|want| matches!(want, Want::RollBack { .. }))
    }

    pub fn wants(&self) -> Vec<Want> {
        self.watch.wants(at(self.clock))
    }

    /// The headlines in the thread, in order.
    pub fn said(&self) -> Vec<String> {
        self.notices
            .iter()
            .filter_map(|notice| match &notice.body {
                Body::Reply(reply) => Some(reply.headline.clone()),
                Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
            })
            .collect()
    }

    pub fn pages(&self) -> usize {
        let pages = |notice: &&Notice| matches!(&notice.body, Body::Reply(reply) if reply.page);
        self.notices.iter().filter(pages).count()
    }

    /// The watch that the journal alone gives.
    pub fn replayed(&self) -> Watch {
        let (first, rest) = self.journal.split_first().unwrap();
        let (mut watch, _) = Watch::open(&first.1, first.0).unwrap();
        for (now, event) in rest {
            watch.handle(event, *now).unwrap();
        }
        watch
    }

    pub fn notice_keys(&self) -> BTreeSet<&str> {
        self.notices.iter().map(|notice| notice.key.as_str()).collect()
    }
}
