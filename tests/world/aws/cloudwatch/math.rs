//! Metric math, the part of it that the stand-in models.

mod functions;
mod parse;

use std::collections::BTreeMap;

use super::data::{Points, TimeSeries, Window};
use super::error::CloudWatchError;
use super::metric::Trouble;
use parse::{Expression, Operator};

/// Most expressions that may build on each other.
const DEEPEST: usize = 20;

/// What an expression can be while it is computed.
#[derive(Debug, Clone, PartialEq)]
enum Term {
    Scalar(f64),
    Series(TimeSeries),
    Array(Vec<TimeSeries>),
}

/// The time series of an expression.
pub fn series(window: &Window, text: &str, depth: usize) -> Result<TimeSeries, CloudWatchError> {
    if depth >= DEEPEST {
        return Err(invalid(text, "expressions that refer to each other in a circle"));
    }
    let expression = parse::parse(text)?;
    let evaluation = Evaluation { window, depth };
    match evaluation.term(&expression)? {
        Term::Series(series) => Ok(finite(series)),
        Term::Scalar(_) => Err(invalid(text, "it gives one number, not a time series")),
        Term::Array(_) => {
            Err(CloudWatchError::not_modelled(format!("an expression of several series: {text}")))
        }
    }
}

/// Refuses an expression as real CloudWatch does.
fn invalid(text: &str, why: &str) -> CloudWatchError {
    CloudWatchError::validation(format!("Error in expression '{text}': {why}"))
}

/// A division by zero gives no data point.
fn finite(mut series: TimeSeries) -> TimeSeries {
    series.points.retain(|_, value| value.is_finite());
    series
}

struct Evaluation<'a> {
    window: &'a Window<'a>,
    depth: usize,
}

impl Evaluation<'_> {
    fn term(&self, expression: &Expression) -> Result<Term, CloudWatchError> {
        match expression {
            Expression::Number(number) => Ok(Term::Scalar(*number)),
            Expression::Text(text) => Err(invalid(text, "a text has no place here")),
            Expression::Id(id) => self.referred(id).map(Term::Series),
            Expression::Array(items) => {
                let items = items.iter().map(|item| match self.term(item)? {
                    Term::Series(series) => Ok(vec![series]),
                    Term::Array(series) => Ok(series),
                    Term::Scalar(_) => Err(CloudWatchError::not_modelled("a number in an array")),
                });
                let items = items.collect::<Result<Vec<_>, _>>()?;
                Ok(Term::Array(items.into_iter().flatten().collect()))
            }
            Expression::Minus(inner) => {
                combine(Operator::Minus, Term::Scalar(0.0), self.term(inner)?)
            }
            Expression::Binary(operator, left, right) => {
                combine(*operator, self.term(left)?, self.term(right)?)
            }
            Expression::Call(name, arguments) => self.call(name, arguments),
        }
    }

    fn referred(&self, id: &str) -> Result<TimeSeries, CloudWatchError> {
        let query = self.window.query(id);
        let query = query.ok_or_else(|| invalid(id, "there is no query of this id"))?;
        self.window.series(query, self.depth + 1).map(finite)
    }
}

/// Applies an operator; a series has a value only where both sides have one.
fn combine(operator: Operator, left: Term, right: Term) -> Result<Term, CloudWatchError> {
    Ok(match (left, right) {
        (Term::Scalar(a), Term::Scalar(b)) => Term::Scalar(operator.of(a, b)),
        (Term::Series(a), Term::Scalar(b)) => Term::Series(map(a, |a| operator.of(a, b))),
        (Term::Scalar(a), Term::Series(b)) => Term::Series(map(b, |b| operator.of(a, b))),
        (Term::Series(a), Term::Series(b)) => Term::Series(both(operator, &a, &b)?),
        (Term::Array(all), Term::Scalar(b)) => {
            Term::Array(all.into_iter().map(|a| map(a, |a| operator.of(a, b))).collect())
        }
        (Term::Array(all), Term::Series(b)) => {
            let all = all.into_iter().map(|a| both(operator, &a, &b));
            Term::Array(all.collect::<Result<_, _>>()?)
        }
        (Term::Scalar(_) | Term::Series(_) | Term::Array(_), Term::Array(_)) => {
            return Err(CloudWatchError::not_modelled("an operator with an array on its right"));
        }
    })
}

fn map(mut series: TimeSeries, change: impl Fn(f64) -> f64) -> TimeSeries {
    series.points.values_mut().for_each(|value| *value = change(*value));
    series
}

fn both(operator: Operator, a: &TimeSeries, b: &TimeSeries) -> Result<TimeSeries, CloudWatchError> {
    let value = |(at, value): (&i64, &f64)| Some((*at, operator.of(*value, *b.points.get(at)?)));
    let points: Points = a.points.iter().filter_map(value).collect();
    joined(&[a, b], points)
}

/// A series of what several gave. Their trouble is its own.
fn joined(of: &[&TimeSeries], points: Points) -> Result<TimeSeries, CloudWatchError> {
    let first = of.first().ok_or_else(|| CloudWatchError::validation("math over no metric"))?;
    if of.iter().any(|series| series.window != first.window || series.period != first.period) {
        return Err(CloudWatchError::not_modelled("math over metrics of different periods"));
    }
    Ok(TimeSeries {
        points,
        period: first.period,
        window: first.window,
        known: of.iter().any(|series| series.known),
        trouble: of.iter().filter_map(|series| series.trouble).max_by_key(severity),
    })
}

fn severity(trouble: &Trouble) -> usize {
    match trouble {
        Trouble::Partial { without_newest } => *without_newest,
        Trouble::Internal => usize::MAX - 1,
        Trouble::Forbidden => usize::MAX,
    }
}

/// The values of several series by time.
fn by_time(all: &[TimeSeries]) -> BTreeMap<i64, Vec<f64>> {
    let mut times: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, value) in all.iter().flat_map(|series| &series.points) {
        times.entry(*at).or_default().push(*value);
    }
    times
}
