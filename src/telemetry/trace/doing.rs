//! What takes time outside of a step: permits, calls, deliveries.

use jiff::Timestamp;
use opentelemetry::trace::SpanKind;

use super::span::Span;
use super::{Traces, ids};
use crate::engine::Tried;
use crate::model::{ActFailure, Acted, Body, RollbackPlan, WatchId, Way};
use crate::store::{Queued, StoreError};

/// From when, until when.
pub type When = (Timestamp, Timestamp);

impl Traces {
    /// The brakes and the store were asked for the permit; `refused`: why there is none.
    pub fn permitted(
        &self,
        watch: &WatchId,
        plan: &RollbackPlan,
        when: When,
        refused: Option<&ActFailure>,
    ) {
        if self.are_on() {
            let span = Span::of(watch, "deployguard.permit", when);
            let span = span.below(ids::decision(watch, plan.decided_at));
            self.tell(span.failing(refused.map(ToString::to_string)));
        }
    }

    /// The platform was called to roll back.
    pub fn called(
        &self,
        watch: &WatchId,
        plan: &RollbackPlan,
        when: When,
        result: &Result<Acted, ActFailure>,
    ) {
        if self.are_on() {
            let span = Span::of(watch, "deployguard.roll_back", when);
            let span = Span { kind: SpanKind::Client, ..span };
            let span = span.below(ids::decision(watch, plan.decided_at));
            let span = span.with("deployguard.service.place", &plan.service.to_string());
            let span = span.with("deployguard.rollback.target", plan.target.short());
            let route = result.as_ref().ok().map(|acted| acted.route.as_str());
            let span = span.with_some("deployguard.rollback.route", route);
            self.tell(span.failing(result.as_ref().err().map(ToString::to_string)));
        }
    }

    /// A message was tried to be delivered. That a card was edited is no news.
    pub fn delivered(
        &self,
        way: Way,
        queued: &Queued,
        when: When,
        tried: &Result<Tried, StoreError>,
    ) {
        let (kind, is_card) = match &queued.notice.body {
            Body::Card(_) => ("card", true),
            Body::Reply(_) => ("reply", false),
            Body::Files { .. } => ("files", false),
            Body::Signal { .. } => ("signal", false),
            Body::GitHub(_) => ("github", false),
        };
        let failed = match tried {
            Ok(Tried::Delivered) => None,
            Ok(Tried::Again) => Some("to be tried again".to_owned()),
            Ok(Tried::GivenUp) => Some("given up".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if self.are_on() && (!is_card || failed.is_some()) {
            let span = Span::of(&queued.notice.watch, "deployguard.deliver", when);
            let span = Span { kind: SpanKind::Client, ..span };
            let span = span.with("deployguard.channel", way.as_str());
            let span = span.with("deployguard.message.kind", kind);
            let span = span.with("deployguard.message.key", &queued.notice.key);
            let span =
                span.with_value("deployguard.message.attempt", i64::from(queued.attempts) + 1);
            self.tell(span.failing(failed));
        }
    }
}
