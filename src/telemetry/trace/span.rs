//! One span, as it is told here; whole and at once, because most begin and end in different
//! tasks, or in different processes.

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::ids;
use crate::model::WatchId;

/// Characters of a text, and texts of a list.
const LONGEST: usize = 300;
const MOST: usize = 30;

#[derive(Debug, Clone)]
pub(super) struct Span {
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    pub trace: TraceId,
    pub id: SpanId,
    /// `None`: it is the first of its trace.
    pub parent: Option<SpanId>,
    pub from: Timestamp,
    pub until: Timestamp,
    pub attributes: Vec<KeyValue>,
    pub link: Option<SpanContext>,
    /// What went wrong.
    pub failed: Option<String>,
}

impl Span {
    /// A span of a watch's trace, below the span over the whole watch.
    pub fn of(watch: &WatchId, name: &'static str, when: (Timestamp, Timestamp)) -> Self {
        let parent = Some(ids::root(watch));
        let span = Self { name: name.into(), ..Self::alone(ids::of_watch(watch), parent, when) };
        span.with("deployguard.watch.id", watch.as_str())
    }

    /// A span without a name of any trace.
    pub fn alone(
        trace: TraceId,
        parent: Option<SpanId>,
        (from, until): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            name: Cow::Borrowed(""),
            kind: SpanKind::Internal,
            trace,
            id: ids::span(),
            parent,
            from,
            until,
            attributes: Vec::new(),
            link: None,
            failed: None,
        }
    }

    pub fn below(mut self, parent: SpanId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// A text is cut where it is too long.
    pub fn with(mut self, key: &'static str, text: &str) -> Self {
        self.attributes.push(KeyValue::new(key, short(text)));
        self
    }

    pub fn with_some(self, key: &'static str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.with(key, text),
            None => self,
        }
    }

    /// A number or a flag.
    pub fn with_value(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    pub fn with_list(mut self, key: &'static str, texts: &[String]) -> Self {
        let texts: Vec<StringValue> =
            texts.iter().take(MOST).map(|text| short(text).into()).collect();
        self.attributes.push(KeyValue::new(key, Value::Array(Array::String(texts))));
        self
    }

    /// `failed`: what kind of failure it is, one of a few words, and what there is to say of it.
    pub fn failing(mut self, failed: Option<(&str, String)>) -> Self {
        let Some((kind, because)) = failed else { return self };
        self.failed = Some(short(&because));
        self.with("error.type", kind)
    }

    pub fn finished(self, scope: InstrumentationScope) -> SpanData {
        let state = TraceState::default();
        let mut links = SpanLinks::default();
        links.links.extend(self.link.map(Link::with_context));
        SpanData {
            span_context: SpanContext::new(self.trace, self.id, TraceFlags::SAMPLED, false, state),
            parent_span_id: self.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: self.name,
            start_time: SystemTime::from(self.from),
            // The clock may have been set back meanwhile.
            end_time: SystemTime::from(self.until.max(self.from)),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: self.failed.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope,
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
