//! Running one test.

use super::expect::{Expect, Miss};
use super::places::Place;
use super::read::Test;
use super::series::Given;
use crate::rehearsal::{Report, rehearse};

/// What a test came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// `None` where the scene made no watch.
    pub report: Option<Report>,
    pub failures: Vec<Failure>,
}

/// Something that is not as the test says.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Line and column in the test file.
    pub place: (usize, usize),
    pub what: What,
}

/// Kinds of failures.
#[derive(Debug, Clone)]
pub enum What {
    Missed {
        expect: Expect,
        misses: Vec<Miss>,
    },
    /// No check asks for a series that the test gives.
    Unasked(String),
    /// Somebody pressed something that was not taken.
    Refused(String),
    NoWatch(String),
}

/// Lives the test's deployment through and holds what it expects against it.
pub fn run(test: &Test) -> Outcome {
    let mut given = Given::new(test.start, test.interval, test.series.clone());
    let report = match rehearse(&test.scene, &mut given) {
        Ok(report) => report,
        Err(illegal) => {
            let place = test.expects.first().map_or((1, 1), |expect| expect.place);
            let what = What::NoWatch(illegal.to_string());
            return Outcome { report: None, failures: vec![Failure { place, what }] };
        }
    };
    let place_of = |index: usize| -> Place { test.series_at.get(index).copied().unwrap_or((1, 1)) };
    let unasked = given.unused().map(|index| {
        let series = &test.series[index];
        let name =
            series.labels.get("__name__").cloned().unwrap_or_else(|| format!("{:?}", series.of));
        Failure { place: place_of(index), what: What::Unasked(name) }
    });
    let missed = test.expects.iter().filter_map(|expect| {
        let misses = expect.misses(&report);
        (!misses.is_empty()).then(|| Failure {
            place: expect.place,
            what: What::Missed { expect: expect.clone(), misses },
        })
    });
    let place = test.expects.first().map_or((1, 1), |expect| expect.place);
    let presses = test.scene.presses.iter().map(|(at, _)| *at);
    let pressed: Vec<_> = presses.collect();
    let refused = report
        .refused
        .iter()
        .filter(|(at, _)| pressed.contains(at))
        .map(|(_, why)| Failure { place, what: What::Refused(why.clone()) });
    let failures = unasked.chain(missed).chain(refused).collect();
    Outcome { report: Some(report), failures }
}
