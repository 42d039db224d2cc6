//! How long a day takes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use deployguard::model::{
    Facts, Measured, Measurement, Mode, Outcome, RollbackSafe, Service, ServiceKey,
};
use deployguard::policy::{SourceFile, read};
use deployguard::rehearsal::{Asked, Readings, Scene, rehearse};

/// What this thread has computed so far: others on the machine do not count.
fn computed() -> f64 {
    let said = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says it");
    let nanoseconds: f64 = said.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

/// Of a thousand events one is bad.
struct Quiet;

impl Readings for Quiet {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        let one = |asked: &Asked<'_>| {
            let readings = asked.ticks.times().map(|at| {
                let bad = f64::from(u8::try_from(at.as_second().rem_euclid(3)).unwrap_or(0));
                Ok(Measurement::counts(bad, 1000.0))
            });
            Measured { readings: readings.collect(), seen: BTreeMap::new() }
        };
        asked.iter().map(one).collect()
    }
}

/// Lives `hours` of eight checks at 15 s through.
fn lived(hours: u32) -> f64 {
    let mut policy = format!(
        "version: 1\npolicy: shop\nenvironment: production\nmode: auto\n\
         match: {{ cluster: shop, service: api }}\n\
         phases: {{ all: {{ until: {hours}h, interval: 15s }} }}\n\
         rollback: {{ known_good_after: all }}\nchecks:\n"
    );
    for number in 0..8 {
        let _ = write!(
            policy,
            "  check {number}:\n    ratio: {{ bad: {{ counter: 'b{number}{{code=~\"5..\"}}' }}, total: {{ counter: t }} }}\n\
             \x20   normal: \"< 0.5%\"\n    breach: {{ SEV2: \"> 5%\", SEV1: \"> 10%\" }}\n"
        );
    }
    let set = read(&[SourceFile { path: "shop.yaml".into(), bytes: policy.into() }]).unwrap();
    let policy = (*set.iter().next().unwrap().policy).clone();
    let key = ServiceKey { target: "t".into(), cluster: "shop".into(), service: "api".into() };
    let service = Service { name: "api".into(), environment: "production".into(), key };
    let facts = Facts { rollback_safe: RollbackSafe::Yes, ..Facts::default() };
    let at = "2026-03-02T12:00:00Z".parse().unwrap();
    let mut scene = Scene::of(policy, "d1", service, at, facts).in_mode(Mode::Auto);
    scene.keeps_judgements = false;
    let begun = computed();
    let report = rehearse(&scene, &mut Quiet).unwrap();
    let seconds = computed() - begun;
    assert_eq!(report.outcome(), Some(Outcome::Passed));
    assert_eq!(report.samples, hours * 240);
    seconds
}

#[test]
fn a_day_takes_no_longer_than_its_hours() {
    let (short, day) = (lived(6), lived(24));
    println!("6 h: {short:.2} s, 24 h: {day:.2} s");
    // Linear is 4; quadratic is 16. A build without optimisation is ten times as slow.
    assert!(day < 8.0 * short.max(0.02), "6 h: {short:.2} s, 24 h: {day:.2} s");
    assert!(cfg!(debug_assertions) || day < 2.0, "{day:.2} s");
}
