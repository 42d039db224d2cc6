//! A quantile of a latency, of a histogram or of CloudWatch.

use super::cloudwatch::{self, For};
use super::desk::Desk;
use super::raw::LatencyText;
use crate::policy::diagnostic::Mistake;
use crate::policy::{Gauged, Measure, Unit};

pub(super) fn latency(
    name: &str,
    text: &LatencyText,
    least: u32,
    desk: &mut Desk,
) -> Option<Measure> {
    if let (Some(metric), Some(quantile)) = (&text.cloudwatch, &text.quantile) {
        let path = ["checks", name, "latency"];
        if text.counter.is_some() {
            let mistake = Mistake::new("a latency comes from a `counter` or from `cloudwatch`");
            desk.at(desk.key(&[path.as_slice(), &["cloudwatch"]].concat()), mistake);
            return None;
        }
        let path = [path.as_slice(), &["cloudwatch"]].concat();
        let what = For::Latency { quantile: quantile.value.0, least };
        let watched = cloudwatch::metric(&path, metric, what, desk)?;
        let of = Gauged::Metric(Box::new(watched));
        return Some(Measure::Gauge { of, unit: Unit::Seconds });
    }
    let counted = text.counter.is_some() || text.cloudwatch.is_some();
    for (key, there) in [("counter", counted), ("quantile", text.quantile.is_some())] {
        if !there {
            let mistake = Mistake::new(format!("the latency of `{name}` has no `{key}`"));
            desk.missing(&["checks", name, "latency", key], mistake);
        }
    }
    let quantile = text.quantile.as_ref()?.value.0;
    Some(Measure::Latency { quantile, counter: text.counter.as_ref()?.value.0.clone() })
}
