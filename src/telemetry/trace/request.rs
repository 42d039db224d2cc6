//! Requests to the daemon. One that turns out to be about a watch is told in that watch's
//! trace, and only linked to the trace of who asked: a watch may be announced by several hooks
//! or by none, goes on for a day after the pipeline's trace is over, and its trace must be found
//! by its id alone. One hook may bring several services: each of their watches has it. A hook
//! that comes to no watch is told in the trace of who asked.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};

use super::doing::When;
use super::{Span, Traces, ids};
use crate::model::WatchId;
use crate::telemetry::{OTHER, known_method};

/// What a request is answered with that was not let in, or came to nothing that there is.
/// Whoever has no token must not make spans.
const STRANGERS: [u16; 6] = [401, 403, 404, 405, 413, 415];
const NOT_FOUND: u16 = 404;

tokio::task_local! {
    /// The request that this task answers.
    static ASKED: Arc<Asked>;
}

/// The watches that a request is about, as they become known; each once.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<About>>);

/// A watch that a request is about.
#[derive(Debug, Clone)]
struct About {
    watch: WatchId,
    /// Of an announcement its id, and when it was handed in and kept.
    joined: Option<(String, When)>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Requested {
    asked: Arc<Asked>,
    method: String,
    route: String,
    path: String,
    from: Timestamp,
    /// Who asked, as `traceparent` says.
    by: Option<SpanContext>,
}

/// The request that this task answers is about this watch. Where it is answered that there is
/// no such watch, it wasn't.
pub fn is_about(watch: &WatchId) {
    add(|| About { watch: watch.clone(), joined: None });
}

/// The announcement that this task's request brought is this watch's, and is kept.
pub fn has_joined(watch: &WatchId, deployment: &str, when: When) {
    add(|| About { watch: watch.clone(), joined: Some((deployment.to_owned(), when)) });
}

fn add(about: impl FnOnce() -> About) {
    // Outside of any request that is told there is nothing to be told of.
    let _ = ASKED.try_with(|asked| asked.add(about()));
}

impl Asked {
    fn add(&self, about: About) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.iter_mut().find(|one| one.watch == about.watch) {
            if one.joined.is_none() {
                *one = about;
            }
        } else {
            known.push(about);
        }
    }

    /// The watches that it was about, as it was answered with `code`.
    fn about(&self, code: u16) -> Vec<About> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.retain(|one| one.joined.is_some() || code != NOT_FOUND);
        known
    }
}

impl Traces {
    /// A request begins; `None`: nobody wants to know. `caller`: its `traceparent`.
    pub fn requested(
        &self,
        (method, route, path): (&str, &str, &str),
        caller: Option<&str>,
        now: Timestamp,
    ) -> Option<Requested> {
        self.0.as_ref()?;
        Some(Requested {
            asked: Arc::default(),
            method: method.to_owned(),
            route: route.to_owned(),
            path: path.to_owned(),
            from: now,
            by: caller.and_then(context),
        })
    }

    /// It is answered. `is_hook`: it is told whatever it came to, if it was let in; any other
    /// request only where it is about a watch.
    pub fn answered(&self, requested: &Requested, code: u16, is_hook: bool, now: Timestamp) {
        let about = requested.asked.about(code);
        // Who asked has said whether their own trace is taken.
        let caller = requested.by.as_ref().filter(|_| about.is_empty());
        for span in requested.all(&about, code, is_hook, now) {
            self.tell_below(caller, span);
        }
    }
}

/// Who asked, as a `traceparent` says; `None`: it is no valid one. Its `tracestate` is left:
/// it is for who goes on with that trace, and would be anybody's text.
fn context(traceparent: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = traceparent.trim().split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return None };
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    if !is_whole || version == "ff" {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

impl Requested {
    /// Does the work of it.
    pub async fn answer<F: Future>(&self, work: F) -> F::Output {
        ASKED.scope(self.asked.clone(), work).await
    }

    /// All that is told of it.
    fn all(&self, about: &[About], code: u16, is_hook: bool, now: Timestamp) -> Vec<Span> {
        if about.is_empty() && is_hook && !STRANGERS.contains(&code) {
            return vec![self.span(None, code, now)];
        }
        about.iter().flat_map(|about| self.spans(about, code, now)).collect()
    }

    /// What a watch's trace has of it: the request, and below it that its announcement was
    /// taken.
    fn spans(&self, about: &About, code: u16, now: Timestamp) -> Vec<Span> {
        let asked = self.span(Some(&about.watch), code, now);
        let joined = about.joined.as_ref().map(|(deployment, when)| {
            let span = Span::of(&about.watch, "deployguard.join", *when).below(asked.id);
            span.with("deployment.id", deployment)
        });
        [asked].into_iter().chain(joined).collect()
    }

    /// `watch`: the one whose trace it is told in; `None`: that of who asked.
    fn span(&self, watch: Option<&WatchId>, code: u16, now: Timestamp) -> Span {
        let when = (self.from, now);
        let mut span = match (watch, &self.by) {
            (Some(watch), by) => Span { link: by.clone(), ..Span::of(watch, "", when) },
            (None, Some(by)) => Span::alone(by.trace_id(), Some(by.span_id()), when),
            (None, None) => Span::alone(ids::trace(), None, when),
        };
        let method = known_method(&self.method);
        let (said, original) =
            if method == OTHER { ("HTTP", Some(self.method.as_str())) } else { (method, None) };
        span.name = format!("{said} {}", self.route).into();
        span.kind = SpanKind::Server;
        let kind = code.to_string();
        let failed = (code >= 500).then(|| (kind.as_str(), format!("HTTP {code}")));
        span.with("http.request.method", method)
            .with_some("http.request.method_original", original)
            .with("http.route", &self.route)
            .with("url.path", &self.path)
            // Whoever wants another puts it in front.
            .with("url.scheme", "http")
            .with_value("http.response.status_code", i64::from(code))
            .failing(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn asked(method: &str, by: Option<&str>) -> Requested {
        Requested {
            asked: Arc::default(),
            method: method.to_owned(),
            route: "/hooks/deployments".to_owned(),
            path: "/hooks/deployments".to_owned(),
            from: START,
            by: by.and_then(context),
        }
    }

    fn text(span: &Span, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|one| one.key.as_str() == key);
        found.map(|one| one.value.to_string())
    }

    fn about(watch: &str, deployment: Option<&str>) -> About {
        let joined = deployment.map(|id| (id.to_owned(), (START, START)));
        About { watch: WatchId::typed(watch), joined }
    }

    #[test]
    fn a_request_about_a_watch_is_in_its_trace_and_linked_to_who_asked() {
        let watch = WatchId::typed("api-1");
        let span = asked("POST", Some(PARENT)).span(Some(&watch), 202, START);
        assert_eq!((span.trace, span.parent), (ids::of_watch(&watch), Some(ids::root(&watch))));
        let link = span.link.unwrap();
        assert_eq!(link.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(link.span_id().to_string(), "00f067aa0ba902b7");
        assert_eq!(span.name, "POST /hooks/deployments");
        assert!(asked("POST", None).span(Some(&watch), 202, START).link.is_none());
    }

    #[test]
    fn a_hook_that_brings_several_services_is_told_of_each_watch_once() {
        let requested = asked("POST", Some(PARENT));
        requested.asked.add(about("api-1", Some("v2/api")));
        requested.asked.add(about("web-1", None));
        requested.asked.add(about("web-1", Some("v2/web")));
        requested.asked.add(about("api-1", Some("again")));
        let spans = requested.all(&requested.asked.about(202), 202, true, START);
        let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
        let (hook, join) = ("POST /hooks/deployments", "deployguard.join");
        assert_eq!(names, [hook, join, hook, join]);
        for (pair, (watch, id)) in spans.chunks(2).zip([("api-1", "v2/api"), ("web-1", "v2/web")]) {
            let trace = ids::of_watch(&WatchId::typed(watch));
            assert!(pair.iter().all(|span| span.trace == trace), "{watch}");
            assert_eq!(pair[1].parent, Some(pair[0].id), "{watch}");
            assert_eq!(text(&pair[1], "deployment.id").as_deref(), Some(id));
            assert!(pair[0].link.is_some(), "{watch}");
        }
        assert_ne!(spans[0].id, spans[2].id);
    }

    #[test]
    fn a_request_about_none_is_in_the_trace_of_who_asked() {
        let span = asked("POST", Some(PARENT)).span(None, 202, START);
        assert_eq!(span.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.parent.unwrap().to_string(), "00f067aa0ba902b7");
        for none in [None, Some("00-zz-1-01")] {
            let span = asked("POST", none).span(None, 202, START);
            assert!(span.parent.is_none() && span.link.is_none());
        }
    }

    #[test]
    fn a_traceparent_counts_only_where_all_of_it_is_as_it_has_to_be() {
        assert!(context(PARENT).is_some_and(|by| by.is_sampled() && by.is_remote()));
        let unsampled = PARENT.replace("-01", "-00");
        assert!(context(&unsampled).is_some_and(|by| !by.is_sampled()));
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for odd in [
            String::new(),
            "00-1-1-01".to_owned(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-more"),
            format!("00-{trace}-{span}-1"),
            format!("ff-{trace}-{span}-01"),
            format!("0-{trace}-{span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-+{}-{span}-01", &trace[1..]),
            format!("00-{no_trace}-{span}-01"),
            format!("00-{trace}-{no_span}-01"),
        ] {
            assert!(context(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn who_is_not_let_in_makes_no_span() {
        let told = |is_hook: bool, known: Option<About>| -> Vec<u16> {
            let codes = [202, 400, 401, 403, 404, 405, 413, 415, 422, 503].into_iter();
            let makes_any = |code: &u16| {
                let requested = asked("POST", Some(PARENT));
                if let Some(about) = &known {
                    requested.asked.add(about.clone());
                }
                let about = requested.asked.about(*code);
                !requested.all(&about, *code, is_hook, START).is_empty()
            };
            codes.filter(makes_any).collect()
        };
        assert_eq!(told(true, None), [202, 400, 422, 503]);
        assert!(told(false, None).is_empty());
        let (pressed, announced) = (about("api-1", None), about("api-1", Some("v2")));
        assert!(told(false, Some(pressed.clone())).contains(&202));
        assert!(!told(false, Some(pressed)).contains(&404), "there is no such watch");
        assert!(told(true, Some(announced)).contains(&404), "another service was not found");
    }

    #[test]
    fn a_method_that_is_none_is_told_beside_the_name() {
        let span = asked("BREW", None).span(None, 503, START);
        assert_eq!(span.name, "HTTP /hooks/deployments");
        assert_eq!(text(&span, "http.request.method").as_deref(), Some("_OTHER"));
        assert_eq!(text(&span, "http.request.method_original").as_deref(), Some("BREW"));
        assert_eq!(text(&span, "error.type").as_deref(), Some("503"));
        let span = asked("TRACE", None).span(None, 405, START);
        assert_eq!(span.name, "TRACE /hooks/deployments");
        assert_eq!(text(&span, "http.request.method_original"), None);
        assert_eq!(text(&span, "error.type"), None);
    }

    #[tokio::test]
    async fn what_is_known_of_a_request_is_known_within_it_alone() {
        let watch = WatchId::typed("api-1");
        is_about(&watch);
        let asked = Arc::<Asked>::default();
        ASKED.scope(asked.clone(), async { is_about(&watch) }).await;
        is_about(&WatchId::typed("api-2"));
        let known: Vec<WatchId> = asked.about(200).into_iter().map(|about| about.watch).collect();
        assert_eq!(known, [watch]);
    }
}
