//! Findings as they come: a table for people, JSON for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use jiff::SignedDuration;

use super::deployments::Past;
use super::finding::{Finding, Truth};
use super::pages::{lasted, long, many};
use super::setup::Setup;
use super::summary::Summary;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Prints each finding when it is there; nothing is kept.
pub struct Printer<W> {
    out: W,
    format: Format,
    printed: usize,
    /// Of the id, the service and the check.
    widths: [usize; 3],
}

const WIDEST: usize = 40;

impl<W: Write> Printer<W> {
    /// Begins the table or document.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn begin(mut out: W, format: Format, all: &[Past], setup: &Setup) -> io::Result<Self> {
        let widest = |names: &mut dyn Iterator<Item = usize>, least: usize| {
            names.max().unwrap_or(0).clamp(least, WIDEST)
        };
        let checks = setup.written.policy.checks.iter();
        let widths = [
            widest(&mut all.iter().map(|past| past.id.chars().count()), 10),
            widest(&mut all.iter().map(|past| past.service.chars().count()), 7),
            widest(&mut checks.map(|check| check.name.chars().count()), 5),
        ];
        match format {
            Format::Json => write!(out, "{{\"deployments\":[")?,
            Format::Table => {
                let [id, service, check] = widths;
                writeln!(
                    out,
                    "{:id$}  {:service$}  {:20}  {:12}  {:8}  {:11}  {:check$}  {:14}  why",
                    "deployment",
                    "service",
                    "deployed",
                    "outcome",
                    "action",
                    "after",
                    "check",
                    "truth"
                )?;
            }
        }
        Ok(Self { out, format, printed: 0, widths })
    }

    /// Prints one more.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn row(&mut self, finding: &Finding) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let comma = if self.printed > 0 { ",\n" } else { "\n" };
                write!(self.out, "{comma}{}", serde_json::to_string(finding)?)?;
            }
            Format::Table => {
                let [id, service, check] = self.widths;
                let after = finding.done_at().map(|at| lasted(finding.at, at)).unwrap_or_default();
                let line = format!(
                    "{:id$}  {:service$}  {:20}  {:12}  {:8}  {after:11}  {:check$}  {:14}  {}",
                    finding.id,
                    finding.service,
                    finding.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    finding.outcome.as_str(),
                    finding.action.as_str(),
                    finding.check.as_deref().unwrap_or_default(),
                    finding.truth.map_or("", Truth::as_str),
                    finding.reason
                );
                writeln!(self.out, "{}", line.trim_end())?;
            }
        }
        self.printed += 1;
        self.out.flush()
    }

    /// Ends it with the summary.
    ///
    /// # Errors
    /// `out` can't be written to.
    pub fn end(mut self, summary: &Summary) -> io::Result<()> {
        match self.format {
            Format::Json => {
                writeln!(self.out, "\n],\"summary\":{}}}", serde_json::to_string(summary)?)?;
            }
            Format::Table => {
                writeln!(self.out)?;
                for (name, value) in summary.in_words() {
                    writeln!(self.out, "{name:24}  {value}")?;
                }
            }
        }
        self.out.flush()
    }
}

impl Summary {
    /// Names and values, as people read them.
    pub(super) fn in_words(&self) -> Vec<(String, String)> {
        let outcomes: Vec<String> = self
            .outcomes
            .iter()
            .filter(|(_, number)| **number > 0)
            .map(|(outcome, number)| format!("{number} {}", outcome.replace('_', " ")))
            .collect();
        let unfinished = if self.unfinished { ", then the source was lost" } else { "" };
        let mut rows = vec![
            ("deployments".to_owned(), format!("{}{unfinished}", self.deployments)),
            ("outcomes".to_owned(), outcomes.join(", ")),
            (
                "acted".to_owned(),
                format!("{}: {} rolled back, {} asked", self.acted, self.rolled_back, self.asked),
            ),
        ];
        if self.known == 0 {
            return rows;
        }
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1}%", s * 100.0));
        let whole = |s: f64| SignedDuration::try_from_secs_f64(s.round()).unwrap_or_default();
        let seconds = |s: Option<f64>| s.map_or("-".to_owned(), |s| long(whole(s).as_secs()));
        let exposed = self.true_negatives + self.false_positives;
        let more = [
            (
                "truth",
                format!(
                    "{} bad, {} healthy{}",
                    self.bad,
                    self.healthy,
                    if self.too_late > 0 {
                        format!(" ({} bad when no longer watched)", self.too_late)
                    } else {
                        String::new()
                    }
                ),
            ),
            (
                "precision",
                format!(
                    "{} ({} of {})",
                    percent(self.precision),
                    self.true_positives,
                    many(self.true_positives + self.false_positives, "action")
                ),
            ),
            ("recall", format!("{} ({} missed)", percent(self.recall), self.false_negatives)),
            (
                "false rollbacks",
                format!(
                    "{} of {exposed}: {} (95% between {} and {})",
                    self.false_rollbacks,
                    percent(self.false_rollback_rate),
                    percent(self.false_rollback_rate_low),
                    percent(self.false_rollback_rate_high)
                ),
            ),
            (
                "bad until acted on",
                format!(
                    "median {}, 95% within {}",
                    seconds(self.median_seconds_to_action),
                    seconds(self.p95_seconds_to_action)
                ),
            ),
        ];
        rows.extend(more.map(|(name, value)| (name.to_owned(), value)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_in_the_rows() {
        let mut summary = Summary::new();
        summary.known = 1;
        summary.median_seconds_to_action = Some(40_240.4);
        summary.p95_seconds_to_action = Some(79_699.0);
        let rows = summary.in_words();
        let told = rows.iter().find(|(name, _)| name == "bad until acted on").unwrap();
        assert_eq!(told.1, "median 11h 10m 40s, 95% within 22h 8m 19s");
    }
}
