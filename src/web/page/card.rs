//! One watch at a glance: where it stands, its phases, its checks.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::brief::Brief;
use super::parts;
use super::who::Visitor;
use crate::model::{Mode, Outcome, Verdict};
use crate::policy::OnTimeout;
use crate::web::view::{AskedView, CheckView, WatchView};

/// A watch in the list.
pub fn card(brief: &Brief, visitor: &Visitor, now: Timestamp) -> Markup {
    let view = &brief.view;
    let (this, title) = (parts::id("w", &view.id), parts::id("t", &view.id));
    let address = parts::address(&view.id);
    html! {
        article.card.(parts::tone(brief.tone)) id=(this) aria-labelledby=(title)
            data-watch=(view.id) data-rank=(brief.rank.as_str())
            data-part={ (address) "/card" } data-title=(title_of(view)) data-status=(view.status) {
            header {
                h3 id=(title) {
                    a href=(address) { (view.service) " " span.version { (view.version) } }
                    " " span.env { "in " (view.environment) }
                }
                p.status { (view.status) }
                (about(brief))
            }
            (phases(brief, now))
            (asked(view))
            (acts(brief, visitor))
            (checks(brief))
        }
    }
}

/// "shopflow-api v1.5.0 in production".
pub fn title_of(view: &WatchView) -> String {
    format!("{} {} in {}", view.service, view.version, view.environment)
}

/// Who deployed it, when, and how far the guard may go.
pub fn about(brief: &Brief) -> Markup {
    let view = &brief.view;
    html! {
        p.about {
            @if let Some(author) = &brief.author { "by " (author) " · " }
            @if let Some(commit) = &brief.commit { "commit " code { (commit) } " · " }
            "deployed " (parts::clock(view.started_at)) " · " (mode(view))
        }
    }
}

pub fn mode(view: &WatchView) -> Markup {
    let may = match view.mode {
        Mode::Observe => "observes only",
        Mode::Ask => "acts only when asked",
        Mode::Auto => "may act by itself",
    };
    html! {
        "mode " (view.mode) " (" (may)
        @if let Some(because) = &view.mode_because { ": " (because) }
        ")"
    }
}

/// The phases as a bar: which are over, how far the present one is, what is to come.
pub fn phases(brief: &Brief, now: Timestamp) -> Markup {
    let view = &brief.view;
    if view.phases.is_empty() {
        return html! {};
    }
    let ended = view.outcome.is_some();
    let mut begins = view.in_service_at;
    html! {
        ol.phases aria-label="Phases" {
            @for (index, phase) in view.phases.iter().enumerate() {
                @let from = begins;
                @let is_now = index == brief.phase && !ended && view.in_service_at.is_some();
                @let is_over = index < brief.phase || view.outcome == Some(Outcome::Passed);
                li class=(if is_now { "now" } else if is_over { "over" } else { "next" }) {
                    @let part = if is_over { 100 } else if is_now { share(from, phase.ends_at, now) } else { 0 };
                    progress max="100" value=(part) aria-label={ (phase.name) " phase" }
                        data-from=[from.filter(|_| is_now).map(|at| at.to_string())]
                        data-to=[phase.ends_at.filter(|_| is_now).map(|at| at.to_string())] {}
                    span.name {
                        (phase.name)
                        @if is_over { span.sr { " phase: over" } }
                    }
                    @if let Some(end) = phase.ends_at.filter(|_| is_now) {
                        span.left {
                            "until " time datetime=(end) { (end.strftime("%H:%M:%S UTC")) } ", "
                            span data-own data-left=(end) { (left(end, now)) }
                        }
                    }
                }
                ({ begins = phase.ends_at; html! {} })
            }
        }
    }
}

fn left(end: Timestamp, now: Timestamp) -> String {
    if end <= now {
        "over".to_owned()
    } else {
        format!("{} left", parts::span(end.duration_since(now)))
    }
}

/// How much of a phase is over, in percent.
fn share(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> i64 {
    let (Some(from), Some(to)) = (from, to) else { return 0 };
    let (gone, whole) = (now.duration_since(from), to.duration_since(from));
    (gone.as_millis() * 100)
        .checked_div(whole.as_millis().max(1))
        .unwrap_or(0)
        .clamp(0, 100)
        .try_into()
        .unwrap_or(0)
}

/// The question that waits for a person.
pub fn asked(view: &WatchView) -> Markup {
    let Some(AskedView { since, until, on_timeout, because }) = &view.asked else {
        return html! {};
    };
    let follows = match on_timeout {
        OnTimeout::Rollback => "then it is rolled back, where the mode allows it",
        OnTimeout::Escalate => "then people are called again",
    };
    html! {
        p.asked {
            strong { "A person decides: " } (because) ". Asked " (parts::clock(*since))
            @if let Some(until) = until { "; answer by " (parts::clock(*until)) ": " (follows) }
            "."
        }
    }
}

/// What this visitor may do now. Each leads to a page that says what will be called.
pub fn acts(brief: &Brief, visitor: &Visitor) -> Markup {
    let view = &brief.view;
    if brief.offers.is_empty() || visitor.may_act(&view.service, &view.environment).is_err() {
        return html! {};
    }
    let title = title_of(view);
    html! {
        ul.deeds aria-label={ "What can be done about " (title) } {
            @for offer in &brief.offers {
                li {
                    a.button.urged[offer.urged]
                        href={ (parts::address(&view.id)) "/act/" (offer.command.as_str()) } {
                        (offer.label) span.sr { ": " (title) }
                    }
                }
            }
        }
    }
}

/// Every check in a line, the bad ones first.
pub fn checks(brief: &Brief) -> Markup {
    let mut checks: Vec<&CheckView> = brief.view.checks.iter().collect();
    checks.sort_by_key(|check| urgency(check.verdict));
    html! {
        ul.checks aria-label="Checks" {
            @for check in checks { (row(brief, check)) }
        }
    }
}

/// The worse, the earlier.
pub fn urgency(verdict: Option<Verdict>) -> u8 {
    match verdict {
        Some(Verdict::Breach) => 0,
        Some(Verdict::Elevated) => 1,
        Some(Verdict::NoData | Verdict::LowTraffic) => 2,
        Some(Verdict::Healthy) => 3,
        None => 4,
    }
}

fn row(brief: &Brief, check: &CheckView) -> Markup {
    let class = match check.verdict {
        Some(Verdict::Breach) => "bad",
        Some(Verdict::Elevated) => "warn",
        Some(Verdict::Healthy) => "good",
        Some(Verdict::NoData | Verdict::LowTraffic) | None => "quiet",
    };
    let limits = brief.limits.get(&check.name).map_or(&[][..], Vec::as_slice);
    html! {
        li {
            (parts::verdict(check.verdict))
            span.check { (check.name) }
            span.value { (check.shown.as_deref().unwrap_or("–")) }
            (parts::sparkline(&check.recent, limits, class))
            span.limits {
                @if check.shown.is_none() { (check.reason) } @else { (check.limits) }
            }
        }
    }
}

/// How long something lasted.
pub fn lasted(from: Timestamp, to: Timestamp) -> String {
    let length: SignedDuration = to.duration_since(from);
    parts::span(length)
}
