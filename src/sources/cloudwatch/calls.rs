//! Which calls answer what is wanted: each distinct metric once, up to 500 in a call.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types as aws;

use super::decode::Results;
use crate::model::{Fold, Metric, MetricAsk, MetricOf, MetricStat, Ticks, Unusable};
use crate::sources::track::Fetched;

/// What CloudWatch takes in one call.
pub(super) const MOST_QUERIES: usize = 500;
const MOST_POINTS: i64 = 100_800;
/// Stretches that lie this near (in seconds) are asked for together: what is asked for
/// beside them costs nothing.
const TOGETHER: i64 = 15 * 60;

/// A metric over a grid of ticks, and its place among the requests.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub place: usize,
    pub ask: MetricAsk,
    pub ticks: Ticks,
}

/// One `GetMetricData`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Seconds since the epoch.
    pub start: i64,
    pub end: i64,
    pub queries: Vec<Query>,
    pub wanted: Vec<Wanted>,
    /// In seconds: periods count from the start, which has to fit all of them.
    grid: i64,
    /// For each wanted one the place of the query that answers it.
    answered_by: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub id: String,
    pub what: What,
    /// Whether its data points are wanted, or only a formula's.
    pub is_returned: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A statistic, and its period in seconds.
    Stat(MetricStat, i64),
    /// A formula over the ids of other queries.
    Math(String),
}

/// The fewest calls that bring all of `wanted`.
pub(super) fn plan(mut wanted: Vec<Wanted>) -> Vec<Call> {
    wanted.sort_by_key(Wanted::stretch);
    let mut calls: Vec<Call> = Vec::new();
    for one in wanted {
        match calls.last_mut() {
            Some(call) if call.has_room_for(&one) => call.add(one),
            Some(_) | None => calls.push(Call::of(one)),
        }
    }
    calls
}

/// How long one data point is, in seconds, where each of `step_ms` is to have one.
pub(super) fn period(ask: &MetricAsk, ticks: Ticks) -> i64 {
    let Metric { period, .. } = ask.metric;
    match ask.fold {
        Fold::Each | Fold::Highest | Fold::Lowest => period.as_secs(),
        Fold::Whole => ask.metric.stretch(ticks.step).as_secs(),
    }
}

impl Wanted {
    /// Its start and end in seconds since the epoch.
    fn stretch(&self) -> (i64, i64) {
        let first = self.ticks.at_ms(0).saturating_sub(self.ticks.step_ms());
        let last = self.ticks.at_ms(self.ticks.count.saturating_sub(1));
        let period = period(&self.ask, self.ticks).max(1);
        (first.div_euclid(1000).div_euclid(period) * period, last.div_euclid(1000))
    }

    fn points(&self, start: i64, end: i64) -> i64 {
        let each = (end - start) / period(&self.ask, self.ticks).max(1) + 1;
        let queries = i64::try_from(self.ask.metric.stats().count()).unwrap_or(1) + 1;
        each.saturating_mul(queries)
    }
}

impl Call {
    fn of(one: Wanted) -> Self {
        let (start, end) = one.stretch();
        let (queries, wanted, answered_by) = (Vec::new(), Vec::new(), Vec::new());
        let mut call = Self { start, end, queries, wanted, grid: 1, answered_by };
        call.add(one);
        call
    }

    /// Its start, end and grid if `one` were in it too.
    fn with(&self, one: &Wanted) -> (i64, i64, i64) {
        let (start, end) = one.stretch();
        let period = period(&one.ask, one.ticks).max(1);
        let grid = self.grid / common(self.grid, period) * period;
        let start = self.start.min(start).div_euclid(grid) * grid;
        (start, self.end.max(end), grid)
    }

    fn has_room_for(&self, one: &Wanted) -> bool {
        let (start, end, _) = self.with(one);
        let same = (start, end) == (self.start, self.end);
        let points: i64 = self.wanted.iter().chain([one]).map(|one| one.points(start, end)).sum();
        (same || end - start <= TOGETHER)
            && points <= MOST_POINTS
            && self.queries.len() + one.ask.metric.stats().count() < MOST_QUERIES
    }

    fn add(&mut self, one: Wanted) {
        (self.start, self.end, self.grid) = self.with(&one);
        let period = period(&one.ask, one.ticks);
        let place = match &one.ask.metric.of {
            MetricOf::Statistic(stat) => self.query(What::Stat(stat.clone(), period), true),
            MetricOf::Math { expression, metrics } => {
                let ids: BTreeMap<&str, String> = metrics
                    .iter()
                    .map(|(name, stat)| {
                        let place = self.query(What::Stat(stat.clone(), period), false);
                        (name.as_str(), self.queries[place].id.clone())
                    })
                    .collect();
                self.query(What::Math(with_ids(expression, &ids)), true)
            }
        };
        self.wanted.push(one);
        self.answered_by.push(place);
    }

    /// The place of the query for `what`, which is put once.
    fn query(&mut self, what: What, is_returned: bool) -> usize {
        if let Some(place) = self.queries.iter().position(|query| query.what == what) {
            self.queries[place].is_returned |= is_returned;
            return place;
        }
        let id = format!("q{}", self.queries.len());
        self.queries.push(Query { id, what, is_returned });
        self.queries.len() - 1
    }

    /// The metrics that the call is billed for.
    pub fn billed(&self) -> u64 {
        let stats = self.queries.iter().filter(|query| matches!(query.what, What::Stat(..)));
        u64::try_from(stats.count()).unwrap_or(u64::MAX)
    }

    /// The same in two calls.
    pub fn halves(mut self) -> impl Iterator<Item = Call> {
        let rest = self.wanted.split_off(self.wanted.len() / 2);
        [self.wanted, rest].into_iter().flat_map(plan)
    }

    pub fn answers(&self, results: &Results) -> Vec<(usize, Fetched)> {
        let answered = self.wanted.iter().zip(&self.answered_by);
        answered
            .map(|(one, query)| {
                let none = || Unusable::Unreachable("CloudWatch left it out of its answer".into());
                let found = self.queries.get(*query).map(|query| results.of(&query.id));
                let fetched = match found.unwrap_or_else(|| Err(none())) {
                    Ok(points) => one.fetched(points),
                    Err(why) => Fetched::failed(one.ticks, why),
                };
                (one.place, fetched)
            })
            .collect()
    }
}

/// The greatest common divisor.
fn common(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { common(b, a % b) }
}

/// `expression` with the ids of a call in the place of names.
fn with_ids(expression: &str, ids: &BTreeMap<&str, String>) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end > 0 {
            let (word, after) = rest.split_at(end);
            let id = ids.get(word).filter(|_| quote.is_none());
            text.push_str(id.map_or(word, String::as_str));
            rest = after;
            continue;
        }
        if matches!(first, '"' | '\'') {
            quote = if quote == Some(first) { None } else { quote.or(Some(first)) };
        }
        text.push(first);
        rest = &rest[first.len_utf8()..];
    }
    text
}

/// As the SDK has it; `None` for what it can't be.
pub(super) fn query(query: &Query) -> Option<aws::MetricDataQuery> {
    let built = aws::MetricDataQuery::builder().id(&query.id).return_data(query.is_returned);
    Some(match &query.what {
        What::Math(expression) => built.expression(expression).build(),
        What::Stat(stat, period) => {
            let dimensions = stat
                .dimensions
                .iter()
                .map(|(name, value)| aws::Dimension::builder().name(name).value(value).build());
            let metric = aws::Metric::builder()
                .namespace(&stat.namespace)
                .metric_name(&stat.metric)
                .set_dimensions(Some(dimensions.collect()))
                .build();
            let stat = aws::MetricStat::builder()
                .metric(metric)
                .period(i32::try_from(*period).ok()?)
                .stat(&stat.stat)
                .build();
            built.metric_stat(stat).build()
        }
    })
}
