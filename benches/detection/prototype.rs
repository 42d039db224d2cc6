//! Figures of the peers that were measured on the prototype of this generator,
//! with 1-minute samples: what this one should come near.

use crate::cells::{Result, name};

/// False rollbacks: scenario, requests a minute, rule, rate.
const FALSE: &[(&str, f64, &str, f64)] = &[
    ("healthy and noisy", 6.0, "Prometheus", 0.11),
    ("healthy and noisy", 6.0, "Argo 3", 0.65),
    ("healthy and noisy", 6.0, "Flagger 5", 0.48),
    ("healthy and noisy", 6.0, "CloudWatch", 0.14),
    ("healthy and noisy", 6.0, "Kayenta", 0.19),
    ("healthy and noisy", 60.0, "Prometheus", 0.03),
    ("healthy and noisy", 60.0, "Argo 3", 0.89),
    ("healthy and noisy", 60.0, "Flagger 5", 0.66),
    ("healthy and noisy", 60.0, "CloudWatch", 0.30),
    ("healthy and noisy", 60.0, "Kayenta", 0.43),
    ("healthy and noisy", 1_200.0, "Prometheus", 0.0),
    ("healthy and noisy", 1_200.0, "Argo 3", 0.06),
    ("healthy and noisy", 1_200.0, "Flagger 5", 0.05),
    ("healthy and noisy", 1_200.0, "CloudWatch", 0.16),
    ("healthy and noisy", 1_200.0, "Kayenta", 0.03),
    ("outage soon after", 1_200.0, "Prometheus", 1.0),
    ("outage soon after", 1_200.0, "Argo 3", 1.0),
    ("outage soon after", 1_200.0, "Flagger 5", 1.0),
    ("outage soon after", 1_200.0, "CloudWatch", 1.0),
    ("outage soon after", 1_200.0, "Kayenta", 1.0),
];

/// Recall at the end and median minutes: scenario, requests a minute, rule.
const FOUND: &[(&str, f64, &str, f64, Option<f64>)] = &[
    ("errors +2 points", 1_200.0, "Prometheus", 1.0, Some(7.0)),
    ("errors +2 points", 1_200.0, "CloudWatch", 1.0, Some(3.0)),
    ("errors +2 points", 1_200.0, "Kayenta", 1.0, Some(5.0)),
    ("latency x1.5", 1_200.0, "Prometheus", 0.9, Some(10.0)),
    ("latency x1.5", 1_200.0, "CloudWatch", 0.95, Some(8.0)),
    ("latency x1.5", 1_200.0, "Kayenta", 0.25, Some(10.0)),
    ("latency x1.5", 60.0, "Prometheus", 0.9, Some(13.5)),
    ("latency x1.5", 60.0, "CloudWatch", 1.0, Some(8.5)),
    ("latency x1.5", 60.0, "Kayenta", 0.45, Some(10.0)),
    ("errors +2 points", 60.0, "Prometheus", 1.0, Some(8.0)),
    ("errors +2 points", 60.0, "CloudWatch", 1.0, Some(4.5)),
    ("errors +2 points", 60.0, "Kayenta", 0.85, Some(5.0)),
    ("errors +10 points", 6.0, "Prometheus", 1.0, Some(6.0)),
    ("errors +10 points", 6.0, "CloudWatch", 1.0, Some(5.5)),
    ("errors +10 points", 6.0, "Kayenta", 0.7, Some(5.0)),
    ("leak, 80 % in 60 m", 1_200.0, "Prometheus", 0.0, None),
    ("leak, 80 % in 60 m", 1_200.0, "CloudWatch", 0.0, None),
    ("leak, 80 % in 60 m", 1_200.0, "Kayenta", 0.05, Some(5.0)),
];

/// A figure here and there.
pub struct Figure {
    pub cell: String,
    pub rule: &'static str,
    pub there: (f64, Option<f64>),
    pub here: (f64, Option<f64>),
}

impl Figure {
    /// Further apart than chance and a slightly different world explain.
    pub fn differs(&self) -> bool {
        let minutes = match (self.there.1, self.here.1) {
            (Some(there), Some(here)) => (there - here).abs(),
            _ => 0.0,
        };
        (self.there.0 - self.here.0).abs() > 0.15 || minutes > 3.0
    }
}

/// All figures that both have.
pub fn figures(results: &[Result]) -> Vec<Figure> {
    let find = |scenario: &str, traffic: f64, rule: &str| {
        let result = results.iter().find(|result| {
            name(&result.scenario, result.traffic, result.interval) == name(scenario, traffic, 60.0)
        })?;
        Some((result, result.rules.iter().find(|scored| scored.rule == rule)?))
    };
    let figure = |result: &Result, rule, there, here| Figure {
        cell: name(&result.scenario, result.traffic, result.interval),
        rule,
        there,
        here,
    };
    let false_rollbacks = FALSE.iter().filter_map(|(scenario, traffic, rule, there)| {
        let (result, scored) = find(scenario, *traffic, rule)?;
        let here = scored.false_rollbacks?;
        Some(figure(result, scored.rule, (*there, None), (here.of, None)))
    });
    let found = FOUND.iter().filter_map(|(scenario, traffic, rule, there, minutes)| {
        let (result, scored) = find(scenario, *traffic, rule)?;
        let here = scored.recall.as_ref()?;
        Some(figure(result, scored.rule, (*there, *minutes), (here.at_end.of, here.median)))
    });
    false_rollbacks.chain(found).collect()
}
