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
            self.tell(span.failing(refused.map(in_words)));
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
            self.tell(span.failing(result.as_ref().err().map(in_words)));
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
            Ok(Tried::Again) => Some(("again", "to be tried again".to_owned())),
            Ok(Tried::GivenUp) => Some(("given_up", "given up".to_owned())),
            Err(error) => Some(("store", error.to_string())),
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

/// What kind of failure it is, and in words. Who stopped it, and what they wrote, is left out:
/// the collector is none of theirs.
fn in_words(failure: &ActFailure) -> (&'static str, String) {
    let kind = match failure.itself() {
        ActFailure::Stopped(_) => return ("stopped", "stopped before the call".to_owned()),
        ActFailure::Superseded(_) => "superseded",
        ActFailure::Refused(_) => "refused",
        ActFailure::Permanent(_) | ActFailure::Maintained { .. } => "failed",
        ActFailure::Transient(_) => "unknown",
    };
    (kind, failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_kind_and_without_who_stopped_it() {
        let (kind, why) = in_words(&ActFailure::Refused("3 rollbacks within 1h".into()));
        assert_eq!((kind, why.as_str()), ("refused", "refused: 3 rollbacks within 1h"));
        let stopped = || ActFailure::Stopped("paused by dana: exam".into());
        assert_eq!(in_words(&stopped()), ("stopped", "stopped before the call".to_owned()));
        let failure = Box::new(stopped());
        let maintained = ActFailure::Maintained { failure, why: "no answer".into() };
        assert_eq!(in_words(&maintained).0, "stopped");
        assert!(!in_words(&maintained).1.contains("dana"));
    }

    #[test]
    fn a_span_that_failed_says_of_what_kind() {
        let when = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let span = || Span::of(&WatchId::typed("api-1"), "deployguard.permit", when);
        let kind = |span: &Span| {
            let found = span.attributes.iter().find(|one| one.key.as_str() == "error.type");
            found.map(|one| one.value.to_string())
        };
        let failed = span().failing(Some(("refused", "too many".to_owned())));
        assert_eq!(failed.failed.as_deref(), Some("too many"));
        assert_eq!(kind(&failed).as_deref(), Some("refused"));
        let fine = span().failing(None);
        assert!(fine.failed.is_none() && kind(&fine).is_none());
    }
}
