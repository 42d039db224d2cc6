//! The peers that the detection bench compares with are what they claim to be:
//! Kayenta's test gives the figures that Kayenta's own tests publish, and rates
//! and quantiles are Prometheus's. And the deployments that it makes are what it
//! says of them.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts far below 2^52, and never negative"
)]

mod made;

#[path = "../../benches/detection/day.rs"]
mod day;
#[path = "../../benches/detection/generator.rs"]
#[allow(dead_code, reason = "the bench uses the rest")]
mod generator;
#[path = "../../benches/detection/mann_whitney.rs"]
mod mann_whitney;
#[path = "../../benches/detection/promql.rs"]
mod promql;
#[path = "../../benches/detection/run.rs"]
#[allow(dead_code, reason = "the bench uses the rest")]
mod run;
#[path = "../../benches/detection/scenario.rs"]
#[allow(dead_code, reason = "the bench uses the rest")]
mod scenario;
mod vectors;

use mann_whitney::{Class, Shift, Z_98, classify, shift, z_of};
use promql::{histogram_quantile, increase};
use vectors::{
    ALSO_AROUND_TEN, AROUND_TEN, AROUND_TWENTY, LARGE_CONTROL, LARGE_EXPERIMENT, R_CONTROL,
    R_EXPERIMENT, ZEROS_CONTROL, ZEROS_EXPERIMENT,
};

const Z_95: f64 = 1.959_963_984_540_054;
const NEAR: f64 = 1e-6;

fn assert_near(what: &str, found: f64, expected: f64, by: f64) {
    assert!((found - expected).abs() < by, "{what}: {found}, expected {expected}");
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn shifts_and_intervals_tie_out() {
    let small = (&[10.0, 20.0, 30.0, 40.0][..], &[1.0, 2.0, 3.0, 4.0][..]);
    let table = [
        ("small", small, Z_95, [6.0, 39.0, 22.5], NEAR),
        (
            "R",
            (R_EXPERIMENT, R_CONTROL),
            Z_95,
            [-0.500_002_521_696_696, -3.486_287_505_871_302e-5, -0.499_939_390_718_032_3],
            1e-4,
        ),
        (
            "R, large",
            (LARGE_EXPERIMENT, LARGE_CONTROL),
            Z_98,
            [-0.499_917_325_054_908_7, -6.912_685_789_769_486e-6, -3.450_440_827_293_15e-5],
            1e-4,
        ),
        (
            "zeros",
            (ZEROS_EXPERIMENT, ZEROS_CONTROL),
            Z_95,
            [3.521_755_377_702_165e-5, 2.024_564_616_623_34e-5, 2.627_924_304_515_565_3e-5],
            NEAR,
        ),
    ];
    for (name, (experiment, control), z, [low, high, estimate], by) in table {
        let found: Shift = shift(experiment, control, z).unwrap();
        assert_near(&format!("{name}, low"), found.low, low, NEAR);
        assert_near(&format!("{name}, high"), found.high, high, NEAR);
        assert_near(&format!("{name}, estimate"), found.estimate, estimate, by);
    }
}

#[test]
fn the_statistic_ties_out() {
    let (x, y) = (sorted(ZEROS_EXPERIMENT), sorted(ZEROS_CONTROL));
    let (low, high) = (x[0] - y[y.len() - 1], x[x.len() - 1] - y[0]);
    let table = [
        (low, Z_95, 17.090_968_923_762_254),
        (high, Z_95, -20.997_687_930_433_106),
        (low, -Z_95, 21.010_896_892_842_36),
        (high, -Z_95, -17.077_759_961_353),
    ];
    for (mu, quantile, expected) in table {
        assert_near("z", z_of(mu, quantile, &x, &y), expected, NEAR);
    }
}

#[test]
fn classes_tie_out() {
    let table = [
        (AROUND_TEN, ALSO_AROUND_TEN, 1.0, Class::Pass),
        (AROUND_TWENTY, ALSO_AROUND_TEN, 1.0, Class::High),
        (AROUND_TEN, AROUND_TWENTY, 1.0, Class::Low),
        (ZEROS_EXPERIMENT, ZEROS_CONTROL, 1.0, Class::High),
        (&[20.0, 22.0, 21.0, 25.0, 30.0], &[1.0, 2.2, 1.1, 2.5, 3.0], 1.2, Class::High),
        (&[10.0, 12.2, 10.1, 12.5, 23.0], &[20.0, 22.0, 21.0, 25.0, 30.0], 2.0, Class::Pass),
    ];
    for (experiment, control, increase, expected) in table {
        assert_eq!(classify(experiment, control, Z_95, 0.1, increase), expected);
    }
}

#[test]
fn increases_are_extrapolated_as_far_as_prometheus_does() {
    let table = [
        ("to both ends", &[(60.0, 60.0), (120.0, 120.0), (180.0, 180.0)][..], Some(180.0)),
        ("not below zero", &[(60.0, 1.0), (120.0, 61.0), (180.0, 121.0)], Some(121.0)),
        ("half an interval", &[(120.0, 600.0), (150.0, 630.0)], Some(75.0)),
        ("past a reset", &[(60.0, 100.0), (120.0, 130.0), (180.0, 30.0)], Some(90.0)),
        ("of one sample", &[(180.0, 5.0)], None),
        ("of none", &[], None),
    ];
    for (name, samples, expected) in table {
        assert_eq!(increase(samples, 180.0, 180.0), expected, "{name}");
    }
}

#[test]
fn quantiles_are_linear_inside_a_bucket() {
    let bounds = [0.125, 0.25, 0.5];
    let table = [
        ([0.0, 100.0, 100.0, 100.0], 0.5, Some(0.1875)),
        ([50.0, 100.0, 100.0, 100.0], 0.25, Some(0.0625)),
        ([0.0, 0.0, 0.0, 100.0], 0.95, Some(0.5)),
        ([0.0; 4], 0.95, None),
    ];
    for (buckets, quantile, expected) in table {
        assert_eq!(histogram_quantile(quantile, &bounds, &buckets), expected, "{buckets:?}");
    }
}
