//! The driver alone: a policy and readings made here.

use std::collections::{BTreeMap, BTreeSet};

use deployguard::judge::Rival;
use deployguard::model::{
    Facts, Measured, Measurement, Mode, Outcome, RollbackSafe, Service, ServiceKey, Severity,
    Unusable,
};
use deployguard::policy::{Policy, SourceFile, read};
use deployguard::rehearsal::{Asked, Beside, Deed, Readings, Report, Scene, Trail, rehearse};
use deployguard::watch::{Command, Press};
use jiff::{SignedDuration, Timestamp};

const POLICY: &str = include_str!("cases/shop.yaml");

fn start() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn after(minutes: i64) -> Timestamp {
    start() + SignedDuration::from_mins(minutes)
}

fn policy() -> Policy {
    let file = SourceFile { path: "shop.yaml".into(), bytes: POLICY.into() };
    let set = read(&[file]).unwrap();
    let mut policy = (*set.iter().next().unwrap().policy).clone();
    policy.checks.retain(|check| check.name == "errors");
    policy
}

fn scene(policy: Policy) -> Scene {
    let key = ServiceKey { target: "t".into(), cluster: "shop".into(), service: "api".into() };
    let service = Service { name: "api".into(), environment: "production".into(), key };
    let facts = Facts { rollback_safe: RollbackSafe::Yes, ..Facts::default() };
    Scene::of(policy, "d1", service, start(), facts)
}

/// Of 100 events a tick this many are bad, by time and control.
struct Shares<F> {
    bad: F,
    asked: u32,
    ticks: usize,
}

impl<F: Fn(Timestamp, Option<&str>) -> Option<f64>> Shares<F> {
    fn of(bad: F) -> Self {
        Self { bad, asked: 0, ticks: 0 }
    }
}

impl<F: Fn(Timestamp, Option<&str>) -> Option<f64>> Readings for Shares<F> {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        self.asked += 1;
        let unreachable = || Unusable::Unreachable("down".into());
        let one = |asked: &Asked<'_>| {
            let at = |tick| (self.bad)(tick, asked.control).ok_or_else(unreachable);
            let readings = asked.ticks.times();
            let readings = readings.map(|tick| at(tick).map(|bad| Measurement::counts(bad, 100.0)));
            Measured { readings: readings.collect(), seen: BTreeMap::<_, BTreeSet<_>>::new() }
        };
        self.ticks += asked.iter().map(|asked| asked.ticks.count).sum::<usize>();
        asked.iter().map(one).collect()
    }
}

fn lived(scene: &Scene, bad: impl Fn(Timestamp, Option<&str>) -> Option<f64>) -> Report {
    rehearse(scene, &mut Shares::of(bad)).unwrap()
}

#[test]
fn a_healthy_deployment_passes_and_enters_the_ledger() {
    let mut readings = Shares::of(|_, _| Some(0.0));
    let report = rehearse(&scene(policy()), &mut readings).unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Passed));
    assert!(report.acts.is_empty() && report.first_breach.is_none());
    assert!(!report.ledger.is_empty());
    assert!(readings.asked < 12, "ticks are asked for together: {} times", readings.asked);
    assert_eq!(report.samples, 15 * 4 + 45 * 2);
}

#[test]
fn a_breach_is_found_rolled_back_and_recovers() {
    let scene = scene(policy());
    let report = lived(&scene, |at, _| {
        let broken = at > start() && at < after(5);
        Some(if broken { 30.0 } else { 0.0 })
    });
    let action = report.action().unwrap();
    assert_eq!((action.deed, action.severity), (Deed::RollBack, Some(Severity::Sev1)));
    assert!(action.at > after(2) && action.at <= after(4), "{}", action.at);
    let breach = report.acted_on.as_ref().unwrap();
    assert_eq!(
        (breach.check.as_str(), breach.judgement.limit.as_deref()),
        ("errors", Some("> 10%"))
    );
    // A tick is looked at a moment later, when the source shows it.
    let found = report.first_breach.as_ref().unwrap().judgement.at;
    assert_eq!(action.at.duration_since(found), SignedDuration::from_secs(3));
    assert_eq!(report.outcome(), Some(Outcome::RolledBack));
}

#[test]
fn ticks_that_a_source_left_out_are_asked_for_again() {
    /// Gives of each question three readings at most.
    struct Few<R>(R);
    impl<R: Readings> Readings for Few<R> {
        fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
            let mut measured = self.0.measure(asked);
            let sampled = |asked: &Asked<'_>| asked.ticks.first > start();
            for (one, _) in measured.iter_mut().zip(asked).filter(|(_, asked)| sampled(asked)) {
                one.readings.truncate(3);
            }
            measured
        }
    }
    let mut scene = scene(policy());
    // Two ticks are due together, of which the batch has one left.
    scene.away = vec![(after(1), after(1) + SignedDuration::from_secs(15))];
    let report = rehearse(&scene, &mut Few(Shares::of(|_, _| Some(0.0)))).unwrap();
    let state = &report.watch.checks["errors"];
    assert_eq!((state.answered, report.outcome()), (state.due, Some(Outcome::Passed)));
}

#[test]
fn what_was_recorded_after_an_action_is_not_lived_through() {
    let mut scene = scene(policy());
    scene.ends_with_action = true;
    scene.keeps_judgements = false;
    let report = lived(&scene, |at, _| Some(if at > start() { 30.0 } else { 0.0 }));
    assert_eq!(report.acts.last().unwrap().deed, Deed::RollBack);
    assert!(report.outcome().is_none() && report.judged.is_empty());
    assert!(!report.watch.rollback_accepted);
}

#[test]
fn under_observe_it_is_said_what_would_have_been_done() {
    let scene = scene(policy()).in_mode(Mode::Observe);
    let report = lived(&scene, |at, _| Some(if at > start() { 30.0 } else { 0.0 }));
    assert_eq!(report.action().unwrap().deed, Deed::WouldRollBack);
    assert_eq!(report.outcome(), Some(Outcome::Breached));
}

/// The service and its peer alike: `usual` bad of 100 events, and 30 from +3m on.
fn shared_outage(usual: f64) -> Report {
    let mut policy = policy();
    policy.peers = vec!["web".into()];
    lived(&scene(policy), |at, _| Some(if at > after(3) { 30.0 } else { usual }))
}

fn course(report: &Report) -> Vec<String> {
    let act = |act: &deployguard::rehearsal::Act| {
        let said = report.judgement("errors", act.at).unwrap();
        format!("{} {} {} {:?}", act.at, act.deed.as_str(), said.reason, said.weight)
    };
    report.acts.iter().map(act).collect()
}

#[test]
fn peers_that_break_too_excuse_the_deployment() {
    let report = shared_outage(0.5);
    assert_eq!(report.acts.first().unwrap().deed, Deed::Excuse);
    assert!(report.acts.iter().all(|act| act.deed != Deed::RollBack), "{:#?}", course(&report));
}

/// The control's rise is estimated over one event that was never there, so the null stays
/// below what the control itself shows.
#[test]
fn peers_that_never_failed_before_excuse_the_deployment_too() {
    let report = shared_outage(0.0);
    assert_eq!(report.acts.first().unwrap().deed, Deed::Excuse);
    assert!(report.acts.iter().all(|act| act.deed != Deed::RollBack), "{:#?}", course(&report));
}

#[test]
fn a_peer_that_is_being_deployed_is_no_control_until_it_has_settled() {
    let mut policy = policy();
    policy.peers = vec!["web".into()];
    let mut scene = scene(policy);
    let beside = |started_at| Beside {
        service: "web".into(),
        started_at,
        in_service_at: started_at,
        until: after(24 * 60),
    };
    let both = |at, _: Option<&str>| Some(if at > after(3) { 30.0 } else { 0.5 });
    scene.beside = vec![beside(after(1))];
    assert_eq!(lived(&scene, both).acts.first().unwrap().deed, Deed::RollBack);
    scene.beside = vec![beside(after(-90)), beside(after(90))];
    assert_eq!(lived(&scene, both).acts.first().unwrap().deed, Deed::Excuse, "long settled");
}

type Bad = fn(Timestamp, Option<&str>) -> Option<f64>;

/// What is measured, with a rival as it is given.
struct Beaten {
    shares: Shares<Bad>,
    rival: Trail,
}

impl Readings for Beaten {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        self.shares.measure(asked)
    }

    fn others(&mut self, now: Timestamp) -> Vec<(Service, Rival)> {
        let key = ServiceKey { target: "t".into(), cluster: "shop".into(), service: "web".into() };
        let web = Service { name: "web".into(), environment: "production".into(), key };
        self.rival.before(now).map(|rival| (web, rival)).into_iter().collect()
    }
}

#[test]
fn another_deployment_of_the_time_that_fits_better_is_blamed() {
    let mut web = scene(policy());
    web.deployment.service.name = "web".into();
    web.platform.back_after = SignedDuration::from_hours(24);
    let rival = lived(&web, |at, _| Some(if at > after(3) { 40.0 } else { 0.1 })).trail;
    let bad = |at, _: Option<&str>| Some(if at > after(4) { 15.0 } else { 0.1 });
    let shares = Shares::of(bad as Bad);
    let alone = lived(&scene(policy()), bad);
    assert_eq!(alone.acts.first().unwrap().deed, Deed::RollBack);
    let report = rehearse(&scene(policy()), &mut Beaten { shares, rival }).unwrap();
    assert_eq!(report.acts.first().unwrap().deed, Deed::Excuse, "{:#?}", course(&report));
    let excused = report.watch.incident.as_ref().unwrap().excused.as_deref();
    assert!(excused.is_some_and(|why| why.contains("of web fits better")), "{excused:?}");
    assert!(report.first_breach.is_none(), "it is another's doing");
}

#[test]
fn a_dependency_that_broke_first_is_blamed() {
    let mut policy = policy();
    policy.depends_on = vec!["db".into()];
    let report = lived(&scene(policy), |at, control| {
        let since = if control.is_some() { after(3) } else { after(4) };
        Some(if at > since { 30.0 } else { 0.0 })
    });
    let said = &report.judged["errors"];
    let blamed = said.iter().any(|one| one.reason.contains("db, which it needs, broke first"));
    assert!(blamed, "{:?}", report.acts);
    assert!(report.acts.iter().all(|act| act.deed != Deed::RollBack), "{:?}", report.acts);
}

#[test]
fn a_source_that_is_down_is_told_and_ends_inconclusive() {
    let report = lived(&scene(policy()), |at, _| (at <= start()).then_some(0.0));
    assert_eq!(report.outcome(), Some(Outcome::Inconclusive));
    assert!(report.replies().any(|(_, reply)| reply.headline.contains("can't be judged")));
}

#[test]
fn nothing_happens_while_the_guard_is_away() {
    let mut scene = scene(policy());
    scene.away = vec![(after(1), after(11))];
    let report = lived(&scene, |at, _| Some(if at > start() { 30.0 } else { 0.0 }));
    assert!(report.judged["errors"].iter().all(|one| one.at <= after(1) || one.at >= after(10)));
    assert!(report.action().unwrap().at >= after(11));
}

#[test]
fn what_people_press_out_of_place_is_told() {
    let mut scene = scene(policy());
    let press = Press::new(Command::Ack, "dana", None);
    scene.presses = vec![(after(1), press)];
    scene.superseded = Some((after(20), "v3".into()));
    let report = lived(&scene, |_, _| Some(0.0));
    assert_eq!(
        report.refused,
        [(after(1), "Ack by dana: no incident is open, and no decision pending".to_owned())]
    );
    assert_eq!(report.outcome(), Some(Outcome::Superseded));
}

#[test]
fn two_rehearsals_of_one_scene_are_the_same() {
    let scene = scene(policy());
    let bad = |at: Timestamp, _: Option<&str>| {
        Some(if at > start() { f64::from(u8::try_from(at.as_second() % 7).unwrap()) } else { 0.0 })
    };
    let (one, two) = (lived(&scene, bad), lived(&scene, bad));
    assert_eq!(one.watch, two.watch);
    assert_eq!(one.said, two.said);
}
