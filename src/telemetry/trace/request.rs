//! Requests to the daemon. One that turns out to be about a watch is told in that watch's
//! trace, and only linked to the trace of who asked: a watch may be announced by several hooks
//! or by none, goes on for a day after the pipeline's trace is over, and its trace must be found
//! by its id alone. A hook that comes to no watch is told in the trace of who asked.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::doing::When;
use super::{Span, Traces, ids};
use crate::model::WatchId;
use crate::telemetry::known_method;

tokio::task_local! {
    /// The request that this task answers.
    static ASKED: Arc<Asked>;
}

#[derive(Debug)]
struct Asked {
    span: SpanId,
    /// Once that is known.
    about: OnceLock<About>,
}

/// Which watch a request is about.
#[derive(Debug)]
struct About {
    watch: WatchId,
    /// Of an announcement its id, and when it was handed in and kept.
    joined: Option<(String, When)>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Requested {
    asked: Arc<Asked>,
    method: &'static str,
    route: String,
    path: String,
    from: Timestamp,
    /// Who asked, as `traceparent` says.
    by: Option<SpanContext>,
}

/// The request that this task answers is about this watch.
pub fn is_about(watch: &WatchId) {
    set(|| About { watch: watch.clone(), joined: None });
}

/// The announcement that this task's request brought is this watch's, and is kept.
pub fn has_joined(watch: &WatchId, deployment: &str, when: When) {
    set(|| About { watch: watch.clone(), joined: Some((deployment.to_owned(), when)) });
}

fn set(about: impl FnOnce() -> About) {
    // Outside of any request that is told there is nothing to be told of.
    let _ = ASKED.try_with(|asked| asked.about.set(about()));
}

impl Traces {
    /// A request begins; `None`: nobody wants to know. `header` has the request's.
    pub fn requested(
        &self,
        (method, route, path): (&str, &str, &str),
        header: impl Fn(&str) -> Option<String>,
        now: Timestamp,
    ) -> Option<Requested> {
        self.0.as_ref()?;
        let known = ["traceparent", "tracestate"].map(|name| (name, header(name)));
        let context = TraceContextPropagator::new().extract(&Headers(known));
        let by = context.span().span_context().clone();
        Some(Requested {
            asked: Arc::new(Asked { span: ids::span(), about: OnceLock::new() }),
            method: known_method(method),
            route: route.to_owned(),
            path: path.to_owned(),
            from: now,
            by: Some(by).filter(SpanContext::is_valid),
        })
    }

    /// It is answered. `is_hook`: it is told whatever it came to; any other request only where
    /// it is about a watch.
    pub fn answered(&self, requested: &Requested, code: u16, is_hook: bool, now: Timestamp) {
        let about = requested.asked.about.get();
        // Who asked has said whether that trace is taken.
        let taken = requested.by.as_ref().is_none_or(SpanContext::is_sampled);
        if about.is_some() || (is_hook && taken) {
            self.tell(requested.span(code, now));
        }
        if let Some(About { watch, joined: Some((deployment, when)) }) = about {
            let span = Span::of(watch, "deployguard.join", *when);
            self.tell(span.below(requested.asked.span).with("deployment.id", deployment));
        }
    }
}

impl Requested {
    /// Does the work of it.
    pub async fn answer<F: Future>(&self, work: F) -> F::Output {
        ASKED.scope(self.asked.clone(), work).await
    }

    fn span(&self, code: u16, now: Timestamp) -> Span {
        let when = (self.from, now);
        let name = format!("{} {}", self.method, self.route);
        let mut span = match (self.asked.about.get(), &self.by) {
            (Some(About { watch, .. }), by) => {
                Span { link: by.clone(), ..Span::of(watch, "", when) }
            }
            (None, Some(by)) => Span::alone(by.trace_id(), Some(by.span_id()), when),
            (None, None) => Span::alone(ids::trace(), None, when),
        };
        span.name = name.into();
        span.kind = SpanKind::Server;
        span.id = self.asked.span;
        let failed = (code >= 500).then(|| format!("HTTP {code}"));
        span.with("http.request.method", self.method)
            .with("http.route", &self.route)
            .with("url.path", &self.path)
            // Whoever wants another puts it in front.
            .with("url.scheme", "http")
            .with_value("http.response.status_code", i64::from(code))
            .with_some("error.type", failed.is_some().then(|| code.to_string()).as_deref())
            .failing(failed)
    }
}

/// The headers that a trace's context stands in.
struct Headers([(&'static str, Option<String>); 2]);

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == key)?.1.as_deref()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn requested(about: Option<&str>, by: Option<&str>) -> Span {
        let known = [("traceparent", by.map(str::to_owned)), ("tracestate", None)];
        let context = TraceContextPropagator::new().extract(&Headers(known));
        let by = context.span().span_context().clone();
        let asked = Asked { span: ids::span(), about: OnceLock::new() };
        if let Some(about) = about {
            let about = About { watch: WatchId::typed(about), joined: None };
            asked.about.set(about).unwrap();
        }
        let requested = Requested {
            asked: Arc::new(asked),
            method: "POST",
            route: "/hooks/deployments".to_owned(),
            path: "/hooks/deployments".to_owned(),
            from: Timestamp::UNIX_EPOCH,
            by: Some(by).filter(SpanContext::is_valid),
        };
        requested.span(202, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_request_about_a_watch_is_in_its_trace_and_linked_to_who_asked() {
        let watch = WatchId::typed("api-1");
        let span = requested(Some("api-1"), Some(PARENT));
        assert_eq!((span.trace, span.parent), (ids::of_watch(&watch), Some(ids::root(&watch))));
        let link = span.link.unwrap();
        assert_eq!(link.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(link.span_id().to_string(), "00f067aa0ba902b7");
        assert_eq!(span.name, "POST /hooks/deployments");
        assert!(requested(Some("api-1"), None).link.is_none());
    }

    #[test]
    fn a_request_about_none_is_in_the_trace_of_who_asked() {
        let span = requested(None, Some(PARENT));
        assert_eq!(span.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.parent.unwrap().to_string(), "00f067aa0ba902b7");
        for none in [None, Some("00-zz-1-01")] {
            let span = requested(None, none);
            assert!(span.parent.is_none() && span.link.is_none());
        }
    }

    #[tokio::test]
    async fn what_is_known_of_a_request_is_known_within_it_alone() {
        let watch = WatchId::typed("api-1");
        is_about(&watch);
        let asked = Arc::new(Asked { span: ids::span(), about: OnceLock::new() });
        ASKED.scope(asked.clone(), async { is_about(&watch) }).await;
        is_about(&WatchId::typed("api-2"));
        assert_eq!(asked.about.get().map(|about| &about.watch), Some(&watch));
    }
}
