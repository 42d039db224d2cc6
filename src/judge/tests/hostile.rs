//! Whatever a source may send: no panic, no number that is none, no growth, and the
//! same again after a restart.

use proptest::prelude::*;

use super::*;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0_f64..1000.0,
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![
            f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE,
            5e-324, -0.0, 0.0, 1e100, 1e18, -1.0,
        ]),
    ]
}

fn of_counts() -> impl Strategy<Value = Counts> {
    (number(), number()).prop_map(|(bad, total)| Counts { bad, total })
}

fn of_buckets() -> impl Strategy<Value = Histogram> {
    let some = || prop::collection::vec(number(), 0..6);
    let sound = (0.0_f64..50.0, 0.0_f64..50.0, 0.0_f64..50.0).prop_map(|(a, b, c)| Histogram {
        bounds: vec![0.1, 0.5, 1.0],
        within: vec![a, a + b, a + b],
        total: a + b + c,
    });
    let any = (some(), some(), number()).prop_map(|(bounds, within, total)| Histogram {
        bounds,
        within,
        total,
    });
    prop_oneof![sound, any]
}

fn split<T: Clone + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Split<T>> {
    prop::collection::vec(of, 3).prop_flat_map(|three| {
        any::<bool>().prop_map(move |apart| Split {
            all: three[0].clone(),
            arms: apart.then(|| Arms { new: three[1].clone(), old: three[2].clone() }),
        })
    })
}

fn reading() -> impl Strategy<Value = Reading> {
    let values = prop::collection::btree_map("[ab]", number(), 0..3);
    prop_oneof![
        3 => split(of_counts()).prop_map(|split| Ok(Measurement::Counts(split))),
        3 => split(of_buckets()).prop_map(|split| Ok(Measurement::Histogram(split))),
        3 => values.prop_map(|values| Ok(Measurement::Gauge { values })),
        1 => Just(Err(Unusable::NothingNew)),
        1 => Just(Err(Unusable::Empty)),
    ]
}

fn interval() -> impl Strategy<Value = SignedDuration> {
    prop_oneof![
        4 => (1_i64..600).prop_map(SignedDuration::from_secs),
        1 => any::<i64>().prop_map(SignedDuration::from_millis),
        1 => prop::sample::select(vec![
            SignedDuration::MAX, SignedDuration::MIN, SignedDuration::ZERO,
        ]),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        6 => (0_i64..4000).prop_map(at),
        1 => prop::sample::select(vec![Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH]),
    ]
}

fn any_check() -> impl Strategy<Value = Check> {
    let both = [Against::Before, Against::SameHour];
    let mut leaky = compared(cpu(), 1.5, &both);
    leaky.leak = Some(crate::policy::LeakRule {
        wall: 1.0,
        within: SignedDuration::from_hours(9),
        severity: Severity::Sev3,
    });
    let mut status = check(Measure::Status { of: Stated::Query("up".into()) });
    status.breach = BTreeMap::from([(Severity::Sev1, limit(Side::AtLeast, 3.0, Unit::Failures))]);
    let mut bounded = error_rate();
    bounded.baseline = compared(error_rate(), 2.0, &both).baseline;
    let mut held = latency();
    held.breach.values_mut().for_each(|limit| limit.hold = Some(SignedDuration::from_secs(60)));
    prop::sample::select(vec![
        error_rate(),
        bounded,
        success_rate(),
        compared(success_rate(), 2.0, &both),
        latency(),
        held,
        compared(latency(), 1.5, &both),
        cpu(),
        leaky,
        status,
    ])
}

/// Every number that it says.
fn is_sound(judgement: &Judgement) -> bool {
    let weight = judgement.weight.iter().flat_map(|weight| {
        [
            Some(weight.ln_e),
            Some(weight.needed),
            Some(weight.null),
            Some(weight.rise),
            weight.detectable,
        ]
    });
    let said = [judgement.value, judgement.traffic];
    said.into_iter().chain(weight).flatten().all(f64::is_finite)
        && !judgement.reason.contains("NaN")
}

/// One sample: time, interval, reading, the control's reading, whether it counts.
type Step = (Timestamp, SignedDuration, Reading, Reading, bool);

fn step() -> impl Strategy<Value = Step> {
    (time(), interval(), reading(), reading(), prop::bool::weighted(0.9))
}

fn known(check: &Check, before: &[(Timestamp, Reading)]) -> CheckState {
    let mut state = CheckState::new(check);
    for baseline in state.baselines.values_mut() {
        *baseline = Baseline::of(check, before, 15.0);
    }
    for (name, role) in [("peer", Role::Peer), ("needed", Role::Dependency)] {
        let mut control = Control::new(role);
        control.baseline = Baseline::of_control(check, before, 15.0);
        state.controls.insert(name.to_owned(), control);
    }
    state
}

fn judge(check: &Check, state: &mut CheckState, step: &Step) -> Judgement {
    let controls = BTreeMap::from([
        ("peer".to_owned(), step.3.clone()),
        ("needed".to_owned(), step.3.clone()),
    ]);
    let sample = Sample {
        at: step.0,
        interval: step.1,
        reading: &step.2,
        controls: &controls,
        counts: step.4,
        alpha: ALPHA,
        newcomers: true,
        shortage: None,
    };
    state.observe(check, &sample).clone()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_comes_in_makes_it_panic_or_say_what_is_no_number(
        check in any_check(),
        before in prop::collection::vec((time(), reading()), 0..40),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut state = known(&check, &before);
        for step in &steps {
            let judgement = judge(&check, &mut state, step);
            prop_assert!(is_sound(&judgement), "{judgement:?}");
        }
    }

    #[test]
    fn after_a_restart_it_judges_exactly_as_it_would_have(
        check in any_check(),
        before in prop::collection::vec((time(), reading()), 0..40),
        steps in prop::collection::vec(step(), 1..30),
        restart in 0_usize..30,
    ) {
        let mut state = known(&check, &before);
        let (first, rest) = steps.split_at(restart.min(steps.len()));
        for step in first {
            judge(&check, &mut state, step);
        }
        let json = serde_json::to_string(&state).unwrap();
        let mut again: CheckState = serde_json::from_str(&json).expect("a state can be read back");
        for step in rest {
            let pair = [&mut state, &mut again].map(|state| judge(&check, state, step));
            let [one, other] = pair.map(|judgement| serde_json::to_string(&judgement).unwrap());
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(serde_json::to_string(&state).unwrap(), serde_json::to_string(&again).unwrap());
    }
}

#[test]
fn what_is_remembered_stays_small() {
    let usual = |i: i64| {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let bad = (i % 7) as f64;
        arms((bad, 50.0), (bad, 50.0))
    };
    let mut play = Play::of(error_rate()).after(usual).beside("search", Role::Peer, usual);
    let size = |play: &Play| serde_json::to_string(&play.state).unwrap().len();
    let mut early = 0;
    for i in 0..10_000 {
        play.control_sees("search", usual(i));
        play.sees(usual(i));
        if i == 200 {
            early = size(&play);
        }
    }
    assert!(size(&play) < early + early / 5 && early < 30_000, "{early} then {}", size(&play));
}
