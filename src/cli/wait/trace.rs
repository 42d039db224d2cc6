//! The latest values of each check, as far as they were seen or the daemon remembers them,
//! and a line of them.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::web::{CheckView, WatchView};

/// Values of a check that are kept.
const MOST: usize = 20;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The values of all checks, by name.
#[derive(Debug, Clone, Default)]
pub struct Traces(BTreeMap<String, Trace>);

#[derive(Debug, Clone, Default)]
struct Trace {
    /// `None`: nothing was measured.
    values: VecDeque<Option<f64>>,
    judged_at: Option<Timestamp>,
}

impl Traces {
    /// Takes in what a look brought: with the first one what the daemon remembers, then each
    /// new judgement.
    pub fn take(&mut self, view: &WatchView) {
        for check in &view.checks {
            self.0.entry(check.name.clone()).or_default().take(check);
        }
    }

    /// "▁▁▂█": from zero, or the lowest value below it, to the highest. A gap is a space.
    pub fn spark(&self, check: &str) -> String {
        self.0.get(check).map(|trace| spark(trace.values.iter().copied())).unwrap_or_default()
    }
}

impl Trace {
    fn take(&mut self, check: &CheckView) {
        if check.judged_at.is_none() || check.judged_at == self.judged_at {
            return;
        }
        if self.judged_at.is_none() && !check.recent.is_empty() {
            self.values = check.recent.iter().map(|value| Some(*value)).collect();
        } else {
            self.values.push_back(check.value);
        }
        self.judged_at = check.judged_at;
        let surplus = self.values.len().saturating_sub(MOST);
        self.values.drain(..surplus);
    }
}

fn spark(values: impl Iterator<Item = Option<f64>> + Clone) -> String {
    let known = values.clone().flatten().filter(|value| value.is_finite());
    let (low, high) =
        known.fold((0.0_f64, 0.0_f64), |(low, high), one| (low.min(one), high.max(one)));
    let values = values.map(|value| value.filter(|value| value.is_finite()));
    values.map(|value| value.map_or(' ', |value| bar((value - low) / (high - low)))).collect()
}

/// `share`: 0-1; what is no number, where all are the same zero, is the lowest.
fn bar(share: f64) -> char {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 7; no number becomes 0"
    )]
    let step = (share * 7.0).round().clamp(0.0, 7.0) as usize;
    BARS[step.min(7)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::made::{at, view};

    #[test]
    fn values_are_drawn_from_zero_to_the_highest() {
        let drawn = |values: &[f64]| spark(values.iter().map(|value| Some(*value)));
        assert_eq!(drawn(&[0.0, 1.0, 3.5, 7.0]), "▁▂▅█");
        assert_eq!(drawn(&[60.0, 61.0, 60.5]), "███", "noise on a level is no alarm");
        assert_eq!(drawn(&[0.0, 0.0]), "▁▁");
        assert_eq!(drawn(&[-1.0, 0.0, 1.0]), "▁▅█");
        assert_eq!(drawn(&[]), "");
    }

    #[test]
    fn what_was_not_measured_is_a_gap() {
        let values = [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(1.0)];
        assert_eq!(spark(values.into_iter()), "█   █");
    }

    #[test]
    fn a_trace_begins_with_what_the_daemon_remembers_and_takes_each_judgement_once() {
        let mut traces = Traces::default();
        let mut look = view();
        look.checks[0].recent = vec![0.0, 4.0, 2.0];
        traces.take(&look);
        assert_eq!(traces.spark("error rate"), "▁█▅");
        look.checks[0].value = Some(8.0);
        traces.take(&look);
        assert_eq!(traces.spark("error rate"), "▁█▅", "the same judgement again");
        look.checks[0].judged_at = Some(at(75));
        traces.take(&look);
        assert_eq!(traces.spark("error rate"), "▁▅▃█");
        for second in 76..200 {
            look.checks[0].judged_at = Some(at(second));
            traces.take(&look);
        }
        assert_eq!(traces.spark("error rate").chars().count(), MOST);
        assert_eq!(traces.spark("unknown"), "");
    }
}
