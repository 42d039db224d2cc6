//! `/watches/{id}`: everything about one deployment.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use super::brief::Brief;
use super::card;
use super::parts;
use super::who::Visitor;
use crate::model::{Command, RollbackSafe};
use crate::watch::{LogExcerpt, PreflightState, Watch, markdown};
use crate::web::view::{IncidentView, PolicyView, StopView, WatchDetail};

/// A watch with what is drawn of it.
pub struct Detail {
    pub brief: Brief,
    pub told: WatchDetail,
    /// The incident's fields as its message has them.
    pub incident: Vec<(String, String)>,
    /// HTML of the charts; an error in words where they could not be drawn.
    pub charts: Result<std::sync::Arc<str>, String>,
}

impl Detail {
    pub fn of(watch: &Watch, charts: Result<std::sync::Arc<str>, String>, now: Timestamp) -> Self {
        let told = WatchDetail::of(watch);
        let brief = Brief::with(watch, told.watch.clone(), now);
        Self { brief, incident: watch.incident_on_card(), told, charts }
    }

    pub fn title(&self) -> String {
        card::title_of(&self.brief.view)
    }

    /// `done`: what was done just before.
    pub fn page(&self, visitor: &Visitor, done: Option<Command>, now: Timestamp) -> Markup {
        let (brief, view) = (&self.brief, &self.brief.view);
        let address = parts::address(&view.id);
        html! {
            @if let Some(done) = done { p.said.good id="done" { (in_words(done)) } }
            article.watch.(parts::tone(brief.tone)) id="watch" data-watch=(view.id)
                data-rank=(brief.rank.as_str()) data-part={ (address) "/part" }
                data-title=(self.title()) data-status=(view.status) {
                header {
                    h1 {
                        (view.service) " " span.version { (view.version) }
                        " " span.env { "in " (view.environment) }
                    }
                    p.status { (parts::outcome(view.outcome)) " · " (view.status) }
                    (card::about(brief))
                }
                (card::phases(brief, now))
                (card::asked(view))
                @if let Some(incident) = &view.incident { (self.incident(incident)) }
                (card::acts(brief, visitor))
                (self.not_acting(visitor))
                (self.charts())
                (self.timeline())
                (self.stops())
                (log(self.told.log.as_ref()))
                (self.facts())
                (policy(&self.told.policy))
            }
        }
    }

    /// Why there is nothing to press, where somebody may look for it.
    fn not_acting(&self, visitor: &Visitor) -> Markup {
        let view = &self.brief.view;
        let refused = visitor.may_act(&view.service, &view.environment).err();
        html! {
            @if let Some(why) = refused.filter(|_| !self.brief.offers.is_empty()) {
                p.quiet.small {
                    @if visitor.person.is_none() {
                        a href={ "/login?next=" (markdown::path(&parts::address(&view.id))) } { "Log in" }
                        " to act."
                    } @else { (why.detail()) "." }
                }
            }
        }
    }

    fn incident(&self, incident: &IncidentView) -> Markup {
        let is_open = incident.resolved_at.is_none();
        html! {
            section.incident.open[is_open] aria-labelledby="incident" {
                h2 id="incident" {
                    (incident.severity) " incident"
                    @if !is_open { ", resolved" }
                }
                p {
                    "Opened " (parts::time(incident.opened_at))
                    @if let Some(at) = incident.resolved_at { ", resolved " (parts::time(at)) }
                    @if let Some(by) = &self.brief.acked { ", acknowledged by " (by) }
                    @if incident.returns > 0 { ", came back " (incident.returns) " times" }
                    "."
                }
                @if !self.incident.is_empty() {
                    dl.fields { @for (name, value) in &self.incident { dt { (name) } dd { (value) } } }
                }
                @if !incident.evidence.is_empty() {
                    h3 { "Evidence, when it was at its worst" }
                    ul.evidence { @for line in &incident.evidence { li { (line) } } }
                }
                @if let Some(why) = &incident.excused {
                    p { "Not this deployment's doing: " (why) "." }
                }
                @if let Some(lead) = &incident.with {
                    p { "Part of the incident of " a href=(parts::address(lead.watch.as_str())) { (lead.title) } "." }
                }
                @for joined in &incident.joins {
                    p { "With it: " a href=(parts::address(joined.watch.as_str())) { (joined.title) } ", " (joined.severity) "." }
                }
                p { (self.report()) }
            }
        }
    }

    fn report(&self) -> Markup {
        let id = markdown::path(&self.brief.view.id);
        html! { a href={ "/api/v1/watches/" (id) "/report.md" } { "The whole report (Markdown)" } }
    }

    fn charts(&self) -> Markup {
        html! {
            section aria-labelledby="charts" {
                h2 id="charts" { "Checks" }
                (card::checks(&self.brief))
                @match &self.charts {
                    Ok(drawn) => div.charts { (PreEscaped(drawn)) },
                    Err(why) => p.said.warn { "The charts could not be drawn: " (why) },
                }
            }
        }
    }

    fn timeline(&self) -> Markup {
        html! {
            section aria-labelledby="timeline" {
                h2 id="timeline" { "Timeline" }
                ol.timeline {
                    // The newest first: it is what people come for.
                    @for entry in self.told.timeline.iter().rev() {
                        li { span.when { (parts::time(entry.at)) } span.what { (entry.text) } }
                    }
                }
                @if self.brief.view.incident.is_none() { p { (self.report()) } }
            }
        }
    }

    fn stops(&self) -> Markup {
        html! {
            @if !self.told.stops.is_empty() {
                section aria-labelledby="stops" {
                    h2 id="stops" { "Tasks that came to harm" }
                    ol.timeline {
                        @for StopView { stop, story } in self.told.stops.iter().rev() {
                            li {
                                span.when { (parts::time(stop.at)) }
                                span.what {
                                    code { (stop.task) } " of " (stop.definition) ": " (story)
                                    @if !stop.reason.is_empty() && !story.contains(&stop.reason) {
                                        ". " (stop.reason)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let (view, facts) = (&self.brief.view, &self.told.facts);
        let rows = [
            ("Place", Some(view.place.clone())),
            ("Deployment", Some(view.deployment.clone())),
            ("Revision", self.told.task_definition.clone()),
            ("Before it", self.told.source_task_definition.clone()),
            ("Announced by", facts.announced_by.clone()),
            ("Safe to roll back", safe(facts.rollback_safe).map(str::to_owned)),
            ("Back to", Some(back_to(&self.told.rollback))),
            (
                "If it ended now",
                view.would_end.as_ref().map(|would| {
                    format!("{}: {}", would.outcome.as_str().replace('_', " "), would.because)
                }),
            ),
        ];
        html! {
            section aria-labelledby="facts" {
                h2 id="facts" { "Facts" }
                dl.fields {
                    @for (name, value) in rows {
                        @if let Some(value) = value { dt { (name) } dd { (value) } }
                    }
                    dt { "Roll-out began" } dd { (parts::time(view.started_at)) }
                    @if let Some(at) = view.in_service_at { dt { "In service" } dd { (parts::time(at)) } }
                    @if let Some(url) = &facts.url { dt { "Link" } dd { (parts::link(url, url)) } }
                    @for (name, value) in &facts.labels { dt { "Label " (name) } dd { (value) } }
                    @for one in &self.told.unlabelled { dt { "Not measured" } dd { (one) } }
                    dt { "Watch" } dd { code { (view.id) } }
                }
            }
        }
    }
}

fn safe(safe: RollbackSafe) -> Option<&'static str> {
    match safe {
        RollbackSafe::Yes => Some("yes"),
        RollbackSafe::No => Some("no: people decide"),
        RollbackSafe::Unknown => None,
    }
}

fn back_to(found: &PreflightState) -> String {
    match found {
        PreflightState::Unknown => "not looked for yet".to_owned(),
        PreflightState::Ready { target, because, .. } => format!("{} ({because})", target.short()),
        PreflightState::Impossible { because } => format!("nothing: {because}"),
    }
}

fn log(log: Option<&LogExcerpt>) -> Markup {
    let Some(LogExcerpt { task, lines, unread }) = log else { return html! {} };
    html! {
        section aria-labelledby="log" {
            h2 id="log" { "Last lines of task " (task) }
            @if let Some(why) = unread {
                p.quiet { "They could not be read: " (why) }
            } @else if lines.is_empty() {
                p.quiet { "It logged nothing." }
            } @else {
                pre tabindex="0" role="region" aria-labelledby="log" { @for line in lines { (line) "\n" } }
            }
        }
    }
}

fn policy(policy: &PolicyView) -> Markup {
    html! {
        section aria-labelledby="policy" {
            h2 id="policy" { "Policy" }
            p {
                (policy.name) ", " code { (policy.file) }
                @match (&policy.commit, policy.dirty) {
                    (Some(commit), false) => { " at commit " code { (commit) } }
                    (Some(commit), true) => { " at commit " code { (commit) } ", edited since" }
                    (None, _) => ", not in git",
                }
            }
            details id="policy-text" {
                summary { "The whole policy that it is judged by" }
                pre tabindex="0" role="region" aria-label="Policy" { (policy.text) }
            }
        }
    }
}

/// What has been done.
fn in_words(done: Command) -> &'static str {
    match done {
        Command::Ack => "Done: acknowledged.",
        Command::Hold => "Done: the decision is held.",
        Command::Resume => "Done: the decision's time goes on.",
        Command::Rollback => "Done: a rollback is asked for. What comes of it is told below.",
        Command::Cancel => "Done: the deployment is watched no longer.",
    }
}
