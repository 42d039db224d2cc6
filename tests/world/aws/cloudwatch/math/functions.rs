//! The functions of metric math that are modelled.

use super::parse::Expression;
use super::{Evaluation, Term, by_time, invalid, joined, map};
use crate::world::aws::cloudwatch::data::{Points, TimeSeries};
use crate::world::aws::cloudwatch::error::CloudWatchError;

/// How many values become one.
fn reducer(name: &str) -> Option<fn(&[f64]) -> f64> {
    Some(match name {
        "SUM" => |values| values.iter().sum(),
        "AVG" => |values| {
            values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap_or(1))
        },
        "MIN" => |values| values.iter().copied().fold(f64::INFINITY, f64::min),
        "MAX" => |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => return None,
    })
}

/// How one value becomes another.
fn mapper(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "ABS" => f64::abs,
        "CEIL" => f64::ceil,
        "FLOOR" => f64::floor,
        _ => return None,
    })
}

impl Evaluation<'_> {
    pub(super) fn call(
        &self,
        name: &str,
        arguments: &[Expression],
    ) -> Result<Term, CloudWatchError> {
        if let (Some(reduce), [argument]) = (reducer(name), arguments) {
            return reduced(name, reduce, self.term(argument)?);
        }
        if let (Some(change), [argument]) = (mapper(name), arguments) {
            return Ok(match self.term(argument)? {
                Term::Scalar(value) => Term::Scalar(change(value)),
                Term::Series(series) => Term::Series(map(series, change)),
                Term::Array(all) => {
                    Term::Array(all.into_iter().map(|series| map(series, change)).collect())
                }
            });
        }
        match (name, arguments) {
            ("FILL", [metric, with]) => self.fill(metric, with),
            ("IF", [condition, then]) => self.choose(condition, then, None),
            ("IF", [condition, then, otherwise]) => self.choose(condition, then, Some(otherwise)),
            ("METRICS", []) => {
                let metrics =
                    self.window.queries.iter().filter(|query| query.metric_stat.is_some());
                let all = metrics.map(|query| self.window.series(query, self.depth + 1));
                all.collect::<Result<_, _>>().map(Term::Array)
            }
            ("PERIOD", [metric]) => match self.term(metric)? {
                #[allow(clippy::cast_precision_loss)] // Seconds of a period.
                Term::Series(series) => Ok(Term::Scalar(series.period as f64)),
                Term::Scalar(_) | Term::Array(_) => Err(invalid(name, "it takes one metric")),
            },
            _ => Err(CloudWatchError::not_modelled(format!(
                "the function {name} with {} arguments in metric math",
                arguments.len()
            ))),
        }
    }

    /// A value for every period of the window that has none. A metric that never had a data point
    /// stays empty.
    fn fill(&self, metric: &Expression, with: &Expression) -> Result<Term, CloudWatchError> {
        let Term::Series(mut series) = self.term(metric)? else {
            return Err(CloudWatchError::not_modelled("FILL of anything but one series"));
        };
        let repeated = match with {
            Expression::Id(word) if word == "REPEAT" => None,
            Expression::Id(word) if word == "LINEAR" => {
                return Err(CloudWatchError::not_modelled("FILL with LINEAR"));
            }
            other => match self.term(other)? {
                Term::Scalar(value) => Some(value),
                Term::Series(_) | Term::Array(_) => {
                    return Err(invalid("FILL", "it fills with a number, REPEAT or LINEAR"));
                }
            },
        };
        if !series.known {
            return Ok(Term::Series(series));
        }
        let (from, until) = series.window;
        let mut last = None;
        for at in (0..).map(|n| from + n * series.period).take_while(|at| *at < until) {
            match series.points.get(&at).copied() {
                Some(value) => last = Some(value),
                None => drop(repeated.or(last).map(|value| series.points.insert(at, value))),
            }
        }
        Ok(Term::Series(series))
    }

    /// Where the condition has no value, neither has the answer.
    fn choose(
        &self,
        condition: &Expression,
        then: &Expression,
        otherwise: Option<&Expression>,
    ) -> Result<Term, CloudWatchError> {
        let then = self.term(then)?;
        let otherwise = otherwise.map(|expression| self.term(expression)).transpose()?;
        let condition = match self.term(condition)? {
            Term::Series(series) => series,
            Term::Scalar(value) if value != 0.0 => return Ok(then),
            Term::Scalar(_) => {
                let why = "a condition that never holds needs a third argument";
                return otherwise.ok_or_else(|| invalid("IF", why));
            }
            Term::Array(_) => return Err(CloudWatchError::not_modelled("IF over an array")),
        };
        let mut sides = vec![&condition];
        for term in std::iter::once(&then).chain(&otherwise) {
            match term {
                Term::Series(series) => sides.push(series),
                Term::Scalar(_) => {}
                Term::Array(_) => return Err(CloudWatchError::not_modelled("IF with an array")),
            }
        }
        let mut points = Points::new();
        for (at, holds) in &condition.points {
            let side = if *holds == 0.0 { otherwise.as_ref() } else { Some(&then) };
            if let Some(value) = side.and_then(|side| at_time(side, *at)) {
                points.insert(*at, value);
            }
        }
        joined(&sides, points).map(Term::Series)
    }
}

fn at_time(term: &Term, at: i64) -> Option<f64> {
    match term {
        Term::Scalar(value) => Some(*value),
        Term::Series(series) => series.points.get(&at).copied(),
        Term::Array(_) => None,
    }
}

/// Of one series a number over its time; of several a series.
fn reduced(name: &str, reduce: fn(&[f64]) -> f64, of: Term) -> Result<Term, CloudWatchError> {
    match of {
        Term::Series(series) if series.points.is_empty() => {
            Err(CloudWatchError::not_modelled(format!("{name} of a metric without data")))
        }
        Term::Series(series) => {
            Ok(Term::Scalar(reduce(&series.points.into_values().collect::<Vec<_>>())))
        }
        Term::Array(all) => {
            let points = by_time(&all).into_iter().map(|(at, values)| (at, reduce(&values)));
            joined(&all.iter().collect::<Vec<&TimeSeries>>(), points.collect()).map(Term::Series)
        }
        Term::Scalar(_) => Err(invalid(name, "it takes metrics")),
    }
}
