//! Given series as a source: selected, differenced and put together by the code that
//! reads the real one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use promql_parser::label::Matcher;
use promql_parser::parser::{Expr, VectorSelector, parse};

use super::values::Point;
use crate::model::{Ask, Measured, Question, Shape, Ticks, Unusable};
use crate::policy::{Check, Counted, Measure};
use crate::rehearsal::{Asked, Readings};
use crate::sources::counters::LOOKBACK_MS;
use crate::sources::{Fetched, Track, assemble};

/// A series as a test gives it.
#[derive(Debug, Clone)]
pub struct Series {
    pub of: Of,
    /// With the metric's name as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The first at the test's start, each an interval after the other.
    pub points: Vec<Point>,
}

/// What a series is given of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A counter, to be selected by its labels.
    Counter,
    /// What a check's query gives: of a ratio its first ask or its second; of the
    /// service, or of a control.
    Query { check: String, ask: usize, service: Option<String> },
}

/// The series of a test.
pub struct Given {
    start: Timestamp,
    interval: SignedDuration,
    series: Vec<Series>,
    /// Which of them were asked for.
    used: BTreeSet<usize>,
}

impl Given {
    pub fn new(start: Timestamp, interval: SignedDuration, series: Vec<Series>) -> Self {
        Self { start, interval, series, used: BTreeSet::new() }
    }

    /// The places of the series that nothing asked for: a slip of the pen.
    pub fn unused(&self) -> impl Iterator<Item = usize> {
        (0..self.series.len()).filter(|place| !self.used.contains(place))
    }

    fn at(&self, index: usize) -> Timestamp {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let since = self.interval.checked_mul(index).unwrap_or(SignedDuration::MAX);
        self.start.checked_add(since).unwrap_or(Timestamp::MAX)
    }

    fn answer(&mut self, asked: &Asked<'_>, place: usize, ask: &Ask) -> Fetched {
        match ask {
            Ask::Counter(selector) => self.selected(selector, asked.ticks),
            Ask::Scraped(one) if ask.is_counter() => self.selected(&one.selector, asked.ticks),
            Ask::Query(_)
            | Ask::Metric(_)
            | Ask::Alarms(_)
            | Ask::Tasks(_)
            | Ask::Health(_)
            | Ask::Json(_)
            | Ask::Beat(_)
            | Ask::Logs(_)
            | Ask::Probe(_)
            | Ask::Scraped(_) => self.query(asked, place),
        }
    }

    fn selected(&mut self, selector: &str, ticks: Ticks) -> Fetched {
        match matchers(selector) {
            Ok(matchers) => self.counters(&matchers, ticks),
            Err(why) => Fetched::failed(ticks, Unusable::Refused(why)),
        }
    }

    /// The samples of the ticks and of the time that differences look back over, as a
    /// source gives them: what is later has not been seen yet.
    fn counters(&mut self, matchers: &[Matcher], ticks: Ticks) -> Fetched {
        let first = ticks.at_ms(0).saturating_sub(ticks.step_ms()).saturating_sub(LOOKBACK_MS);
        let last = ticks.at_ms(ticks.count.saturating_sub(1));
        let mut tracks = Vec::new();
        for (place, series) in self.series.iter().enumerate() {
            let fits = |matcher: &Matcher| {
                matcher.is_match(series.labels.get(&matcher.name).map_or("", String::as_str))
            };
            // One of the metric that another selector takes is no slip.
            let named = matchers.iter().any(|one| one.name == "__name__" && fits(one));
            if series.of != Of::Counter || !(named || matchers.iter().all(fits)) {
                continue;
            }
            self.used.insert(place);
            if matchers.iter().all(fits) {
                let points = series.points.iter().enumerate();
                let samples = points.filter_map(|(index, point)| {
                    let at = self.at(index).as_millisecond();
                    point.value().filter(|_| first <= at && at <= last).map(|value| (at, value))
                });
                push(&mut tracks, &series.labels, samples.collect());
            }
        }
        Fetched { tracks, failed: Vec::new() }
    }

    /// What the query gives at each tick: the latest point that is not after it.
    fn query(&mut self, asked: &Asked<'_>, ask: usize) -> Fetched {
        let own = Of::Query {
            check: asked.check.name.clone(),
            ask,
            service: asked.control.map(str::to_owned),
        };
        let mut tracks = Vec::new();
        for (place, series) in self.series.iter().enumerate() {
            if series.of != own {
                continue;
            }
            self.used.insert(place);
            let samples = asked.ticks.times().filter_map(|tick| {
                let since = tick.duration_since(self.start).as_millis();
                let index = since.div_euclid(self.interval.as_millis().max(1));
                let value = series.points.get(usize::try_from(index).ok()?)?.value()?;
                Some((tick.as_millisecond(), value))
            });
            push(&mut tracks, &series.labels, samples.collect());
        }
        Fetched { tracks, failed: Vec::new() }
    }

    fn one(&mut self, asked: &Asked<'_>) -> Measured {
        let asks = asked.question.asks.iter().enumerate();
        let fetched: Vec<Fetched> =
            asks.map(|(place, ask)| self.answer(asked, place, ask)).collect();
        let fetched: Vec<&Fetched> = fetched.iter().collect();
        match (asked.question.shape, &asked.question.asks[..], &fetched[..]) {
            // Of a percentile the value alone is given: it is taken for one of enough events.
            (Shape::GaugeOf { .. }, [value, _], [given, events]) if events.tracks.is_empty() => {
                let plain = Question { shape: Shape::Gauge, ..asked.question.clone() };
                let plain = Question { asks: vec![value.clone()], ..plain };
                assemble(&plain, asked.ticks, &[*given])
            }
            (_, _, _) => assemble(&asked.question, asked.ticks, &fetched),
        }
    }
}

/// A series without samples is none.
fn push(tracks: &mut Vec<Track>, labels: &BTreeMap<String, String>, samples: Vec<(i64, f64)>) {
    if !samples.is_empty() {
        tracks.push(Track { labels: labels.clone(), samples });
    }
}

impl Readings for Given {
    fn measure(&mut self, asked: &[Asked<'_>]) -> Vec<Measured> {
        asked.iter().map(|asked| self.one(asked)).collect()
    }
}

/// The ask that `of` names of a check, by its place: `None` where it has no such query.
pub fn ask_of(check: &Check, of: Option<&str>) -> Option<usize> {
    let is_query = |counted: &Counted| !matches!(counted, Counted::Counter(_));
    match (&check.measure, of) {
        (Measure::Gauge { .. } | Measure::Status { .. }, None) => Some(0),
        (Measure::Ratio { of, .. }, Some("bad" | "good")) if is_query(of) => Some(0),
        (Measure::Ratio { total, .. }, Some("total")) if is_query(total) => Some(1),
        (
            Measure::Gauge { .. }
            | Measure::Status { .. }
            | Measure::Ratio { .. }
            | Measure::Latency { .. },
            _,
        ) => None,
    }
}

/// `name{label="value"}` as labels.
///
/// # Errors
/// Why it is no series.
pub fn labels_of(text: &str) -> Result<BTreeMap<String, String>, String> {
    use promql_parser::label::MatchOp;
    let matchers = matchers(text)?;
    let mut labels = BTreeMap::new();
    for matcher in matchers {
        if matcher.op != MatchOp::Equal {
            return Err(format!("a series has labels, and `{matcher}` is a matcher"));
        }
        labels.insert(matcher.name, matcher.value);
    }
    if labels.contains_key("__name__") { Ok(labels) } else { Err("a series has a name".to_owned()) }
}

fn matchers(selector: &str) -> Result<Vec<Matcher>, String> {
    match parse(selector)? {
        Expr::VectorSelector(VectorSelector { name, matchers, .. }) => {
            let name = name
                .filter(|_| matchers.matchers.iter().all(|one| one.name != "__name__"))
                .map(Matcher::new_metric_name_matcher)
                .transpose()?;
            Ok(name.into_iter().chain(matchers.matchers).collect())
        }
        _ => Err("it is no plain selector".to_owned()),
    }
}
