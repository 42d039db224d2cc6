//! `GetMetricData`: windows, periods, what is still kept, pages.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::CloudWatchError;
use super::math;
use super::metric::{Metric, Metrics, Trouble};
use super::requests::{GetMetricData, MetricDataQuery, MetricStat, millis};
use super::statistic::Statistic;

/// Most queries of a call.
const MOST_QUERIES: usize = 500;
/// Most data points of an answer, and how many there are when the caller does not say.
const MOST_DATA_POINTS: usize = 100_800;
/// Periods below a minute.
const SHORT_PERIODS: [i64; 5] = [1, 5, 10, 20, 30];
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Points by the start of their period, in seconds since 1970.
pub type Points = BTreeMap<i64, f64>;

/// A time series, as a metric or an expression gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeSeries {
    pub points: Points,
    pub period: i64,
    /// The window's start as this period rounds it, and its end.
    pub window: (i64, i64),
    /// Whether the metric ever had a data point.
    pub known: bool,
    pub trouble: Option<Trouble>,
}

/// What all queries of a call share.
pub struct Window<'a> {
    pub metrics: &'a Metrics,
    pub queries: &'a [MetricDataQuery],
    /// Milliseconds since 1970.
    start: i64,
    end: i64,
    now: Timestamp,
}

/// Answers a call.
pub fn get(metrics: &Metrics, body: &Value, now: Timestamp) -> Result<Value, CloudWatchError> {
    let request: GetMetricData = super::requests::read("GetMetricData", body)?;
    check(&request)?;
    let window = Window {
        metrics,
        queries: &request.metric_data_queries,
        start: millis(request.start_time),
        end: millis(request.end_time),
        now,
    };
    let descending = match request.scan_by.as_deref() {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(CloudWatchError::validation(format!("ScanBy: {other}"))),
    };
    let mut results = Vec::new();
    // Those without data are checked as well.
    for query in window.queries {
        let series = window.series(query, 0)?;
        if query.return_data != Some(false) {
            results.push((query, listed(series, descending)));
        }
    }
    page(&request, results, fingerprint(body))
}

type Listed = (Vec<(i64, f64)>, Option<Trouble>);

/// The data points in the order asked for, without those that trouble withholds.
fn listed(series: TimeSeries, descending: bool) -> Listed {
    let mut points: Vec<(i64, f64)> = series.points.into_iter().collect();
    match series.trouble {
        Some(Trouble::Partial { without_newest }) => {
            points.truncate(points.len().saturating_sub(without_newest));
        }
        Some(Trouble::Internal | Trouble::Forbidden) => points.clear(),
        None => {}
    }
    if descending {
        points.reverse();
    }
    (points, series.trouble)
}

fn check(request: &GetMetricData) -> Result<(), CloudWatchError> {
    let queries = &request.metric_data_queries;
    let refuse = |message: String| Err(CloudWatchError::validation(message));
    if queries.is_empty() {
        return refuse("The parameter MetricDataQueries is required.".into());
    }
    if queries.len() > MOST_QUERIES {
        let message = "The collection MetricDataQueries must not have a size greater than 500.";
        return refuse(message.into());
    }
    if request.start_time >= request.end_time {
        return refuse("The parameter StartTime must be less than the parameter EndTime.".into());
    }
    if request.max_datapoints.is_some_and(|most| !(1..=MOST_DATA_POINTS).contains(&most)) {
        return refuse(format!("MaxDatapoints must be from 1 to {MOST_DATA_POINTS}."));
    }
    let mut seen = std::collections::BTreeSet::new();
    for query in queries {
        let id = &query.id;
        if !is_id(id) {
            return refuse(format!(
                "The value {id} for parameter Id must match ^[a-z][a-zA-Z0-9_]*$"
            ));
        }
        if !seen.insert(id) {
            return refuse(format!("The values for parameter Id are not unique: {id}."));
        }
        if query.metric_stat.is_some() == query.expression.is_some() {
            return refuse(format!("{id}: either Expression or MetricStat must be specified."));
        }
        if query.label.as_ref().is_some_and(|label| label.contains("${")) {
            return Err(CloudWatchError::not_modelled("dynamic labels"));
        }
    }
    Ok(())
}

fn is_id(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Window<'_> {
    /// The time series of a query; `depth` counts the expressions on the way to it.
    pub fn series(
        &self,
        query: &MetricDataQuery,
        depth: usize,
    ) -> Result<TimeSeries, CloudWatchError> {
        match (&query.metric_stat, &query.expression) {
            (Some(stat), _) => self.of_metric(stat),
            (None, Some(expression)) => math::series(self, expression, depth),
            (None, None) => Err(CloudWatchError::validation("a query of nothing")),
        }
    }

    /// The query of this id.
    pub fn query(&self, id: &str) -> Option<&MetricDataQuery> {
        self.queries.iter().find(|query| query.id == id)
    }

    fn of_metric(&self, stat: &MetricStat) -> Result<TimeSeries, CloudWatchError> {
        let period = stat.period;
        if !SHORT_PERIODS.contains(&period) && (period < 60 || period % 60 != 0) {
            let message = "Period must be 1, 5, 10, 20, 30 or a multiple of 60.";
            return Err(CloudWatchError::validation(message));
        }
        let statistic = Statistic::read(&stat.stat).map_err(|known| {
            if known {
                CloudWatchError::not_modelled(format!("the statistic {}", stat.stat))
            } else {
                CloudWatchError::validation(format!("Invalid stat: {}", stat.stat))
            }
        })?;
        let metric: Metric = stat.metric.metric()?;
        let start = self.rounded_start(period);
        // Seconds: what is stamped before the end counts.
        let end = (self.end + 999).div_euclid(1000);
        let mut answer = TimeSeries {
            points: Points::new(),
            period,
            window: (start, end),
            known: false,
            trouble: None,
        };
        let Some(series) = self.metrics.get(&metric) else { return Ok(answer) };
        answer.known = series.is_known();
        answer.trouble = series.trouble;
        if stat.unit.is_some() && stat.unit != series.unit {
            return Ok(answer);
        }
        let mut buckets: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for (at, content) in series.stored(start, end, self.now) {
            let bucket = start + (at - start).div_euclid(period) * period;
            if is_kept(period, self.now.as_second() - bucket) {
                buckets.entry(bucket).or_default().push(content);
            }
        }
        let values = buckets.into_iter().filter_map(|(at, all)| Some((at, statistic.of(&all)?)));
        answer.points = values.collect();
        Ok(answer)
    }

    /// Periods are counted from here, so that a start off the clock's grid gives data points off
    /// the grid.
    fn rounded_start(&self, period: i64) -> i64 {
        let age = self.now.as_second() - self.start.div_euclid(1000);
        let grid = match age {
            _ if period < 60 => period,
            ..1_296_000 => 60,
            1_296_000..5_443_200 => 300,
            _ => HOUR,
        };
        self.start.div_euclid(1000 * grid) * grid
    }
}

/// Whether data of this age (seconds) can still be had by this period.
fn is_kept(period: i64, age: i64) -> bool {
    let kept_for = match period {
        ..60 => 3 * HOUR,
        _ if period % HOUR == 0 => 455 * DAY,
        _ if period % 300 == 0 => 63 * DAY,
        _ => 15 * DAY,
    };
    age <= kept_for
}

/// The part of the results that fits into one answer: query after query.
fn page(
    request: &GetMetricData,
    results: Vec<(&MetricDataQuery, Listed)>,
    fingerprint: u64,
) -> Result<Value, CloudWatchError> {
    let limit = request.max_datapoints.unwrap_or(MOST_DATA_POINTS);
    let total: usize = results.iter().map(|(_, (points, _))| points.len()).sum();
    let from = match &request.next_token {
        None => 0,
        Some(token) => offset(token, fingerprint)
            .filter(|from| *from < total)
            .ok_or_else(CloudWatchError::next_token)?,
    };
    let until = from.saturating_add(limit);
    let mut before = 0;
    let mut answers = Vec::new();
    for (query, (points, trouble)) in results {
        let count = points.len();
        let part = |bound: usize| bound.saturating_sub(before).min(count);
        let shown = &points[part(from)..part(until)];
        let is_cut = before + count > until;
        before += count;
        answers.push(result(query, shown, trouble, is_cut));
    }
    let mut answer = json!({ "MetricDataResults": answers, "Messages": [] });
    // With metric math there is no further page: what does not fit is lost.
    let is_math = request.metric_data_queries.iter().any(|query| query.expression.is_some());
    if until < total && !is_math {
        answer["NextToken"] = json!(format!("{until}-{fingerprint:x}"));
    }
    Ok(answer)
}

fn result(
    query: &MetricDataQuery,
    points: &[(i64, f64)],
    trouble: Option<Trouble>,
    is_cut: bool,
) -> Value {
    let (status, message) = match trouble {
        Some(Trouble::Partial { .. }) => ("PartialData", Some("Not all data points could be read")),
        Some(Trouble::Internal) => ("InternalError", Some("An internal error occurred")),
        Some(Trouble::Forbidden) => ("Forbidden", Some("Not authorized to read this metric")),
        None if is_cut => ("PartialData", None),
        None => ("Complete", None),
    };
    let name = query.metric_stat.as_ref().map(|stat| stat.metric.metric_name.clone());
    let label = query.label.clone().or(name).unwrap_or_else(|| query.id.clone());
    let mut answer = json!({
        "Id": query.id,
        "Label": label,
        "Timestamps": points.iter().map(|(at, _)| at).collect::<Vec<_>>(),
        "Values": points.iter().map(|(_, value)| value).collect::<Vec<_>>(),
        "StatusCode": status,
    });
    if let Some(message) = message {
        answer["Messages"] = json!([{ "Code": status, "Value": message }]);
    }
    answer
}

/// A token goes with the request that it came from.
fn fingerprint(body: &Value) -> u64 {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("NextToken");
    }
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    hasher.finish()
}

fn offset(token: &str, fingerprint: u64) -> Option<usize> {
    let (offset, of) = token.split_once('-')?;
    (of == format!("{fingerprint:x}")).then(|| offset.parse().ok()).flatten()
}
