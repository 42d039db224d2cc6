//! `/`: what is watched now, what needs a person first; below it every guarded service.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use maud::{Markup, html};

use super::brief::{Brief, Rank, Unread};
use super::card::card;
use super::parts;
use super::seldom::Idle;
use super::who::Visitor;
use crate::engine::Leads;
use crate::web::standing::Standing;

/// Watches that are shown whole; the others are rows.
const CARDS: usize = 40;
/// Rows on one page.
const ROWS: usize = 250;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Filter {
    pub service: String,
    pub environment: String,
    /// Of the rows, from 1.
    pub page: Option<usize>,
}

impl Filter {
    pub fn takes(&self, service: &str, environment: &str) -> bool {
        let asked = self.service.trim().to_lowercase();
        service.to_lowercase().contains(&asked)
            && (self.environment.is_empty() || self.environment == environment)
    }
}

/// All that the page shows.
#[derive(Debug)]
pub struct Fleet {
    /// Open watches in order, filtered.
    pub watches: Vec<Arc<Brief>>,
    /// Open watches that can't be read, filtered.
    pub unread: Vec<Arc<Unread>>,
    /// Filtered.
    pub idle: Vec<Idle>,
    pub environments: BTreeSet<String>,
    pub filter: Filter,
    pub standing: Standing,
}

impl Fleet {
    pub fn page(&self, visitor: &Visitor, now: Timestamp) -> Markup {
        let (cards, rows) = self.watches.split_at(self.watches.len().min(CARDS));
        html! {
            h1 { "Guarded deployments" }
            p.sum { (self.sum()) }
            (self.warnings())
            (self.search())
            @for (rank, heading) in [
                (Rank::Asks, "Needs a person"),
                (Rank::Suffers, "Incidents"),
                (Rank::Calm, "Watched now"),
            ] {
                @let of: Vec<_> = cards.iter().filter(|brief| brief.rank == rank).collect();
                @if !of.is_empty() {
                    section aria-labelledby=(rank.as_str()) {
                        h2 id=(rank.as_str()) { (heading) }
                        div.cards { @for brief in of { (card(brief, visitor, now)) } }
                    }
                }
            }
            (self.unread())
            @if self.watches.is_empty() && self.unread.is_empty() {
                p.said.quiet { "No deployment is being watched" (self.of_the_filter()) "." }
            }
            (self.rows(rows))
            (self.strays())
        }
    }

    fn sum(&self) -> String {
        let count = |rank| self.watches.iter().filter(|brief| brief.rank == rank).count();
        let (asks, suffers) = (count(Rank::Asks), count(Rank::Suffers));
        let services: BTreeSet<&str> = self
            .watches
            .iter()
            .map(|brief| brief.view.place.as_str())
            .chain(self.unread.iter().map(|unread| unread.place.as_str()))
            .chain(self.idle.iter().map(|idle| idle.place.as_str()))
            .collect();
        let needs = if asks == 1 { "needs a person" } else { "need a person" };
        format!(
            "{} watched, {asks} {needs}, {suffers} more in an incident; {} guarded{}",
            many(self.watches.len() + self.unread.len(), "deployment"),
            many(services.len(), "service"),
            self.of_the_filter()
        )
    }

    fn of_the_filter(&self) -> &'static str {
        let all = self.filter.service.trim().is_empty() && self.filter.environment.is_empty();
        if all { "" } else { " among those that were asked for" }
    }

    fn warnings(&self) -> Markup {
        html! {
            @if let Leads::There(url) = &self.standing.leads {
                p.said.quiet id="standby" {
                    "This daemon stands by: " (parts::link(url, url)) " leads, and has the warnings."
                }
            }
            @for pause in &self.standing.pauses {
                p.said.warn {
                    strong { "Paused: " } (pause.scope) " since " (parts::time(pause.at)) ", by "
                    (pause.by) @if let Some(reason) = &pause.reason { ": " (reason) }
                }
            }
            @for trouble in &self.standing.troubles { p.said.warn { (trouble) } }
        }
    }

    fn search(&self) -> Markup {
        html! {
            search {
                form.filter method="get" action="/" {
                    label { "Service " input type="search" name="service" value=(self.filter.service); }
                    label {
                        "Environment "
                        select name="environment" {
                            option value="" { "all" }
                            @for name in &self.environments {
                                option value=(name) selected[*name == self.filter.environment] { (name) }
                            }
                        }
                    }
                    button type="submit" { "Show" }
                }
            }
        }
    }

    fn unread(&self) -> Markup {
        if self.unread.is_empty() {
            return html! {};
        }
        html! {
            section aria-labelledby="unread" {
                h2 id="unread" { "Watched by another version" }
                div.wide tabindex="0" role="region" aria-labelledby="unread" {
                    table.fleet {
                        thead { tr {
                            th scope="col" { "Service" } th scope="col" { "Environment" }
                            th scope="col" { "Stands" } th scope="col" { "Watched since" }
                        } }
                        tbody { @for unread in &self.unread { (unread_row(unread)) } }
                    }
                }
            }
        }
    }

    /// The rest, a line each: what is watched and has no card, then what is not watched.
    fn rows(&self, watched: &[Arc<Brief>]) -> Markup {
        let count = watched.len() + self.idle.len();
        if count == 0 {
            return html! {};
        }
        let pages = count.div_ceil(ROWS);
        let page = self.filter.page.unwrap_or(1).clamp(1, pages);
        let from = (page - 1) * ROWS;
        let watched_here = watched.iter().skip(from).take(ROWS);
        let room = ROWS - watched_here.len();
        let idle_here = self.idle.iter().skip(from.saturating_sub(watched.len())).take(room);
        html! {
            section aria-labelledby="services" {
                h2 id="services" { @if watched.is_empty() { "Guarded, nothing deployed now" } @else { "All the others" } }
                div.wide tabindex="0" role="region" aria-labelledby="services" {
                    table.fleet {
                        thead { tr {
                            th scope="col" { "Service" } th scope="col" { "Environment" }
                            th scope="col" { "Stands" } th scope="col" { "Last deployment" }
                        } }
                        tbody {
                            @for brief in watched_here { (watched_row(brief)) }
                            @for idle in idle_here { (idle_row(idle)) }
                        }
                    }
                }
                (self.pages(page, pages))
            }
        }
    }

    fn pages(&self, page: usize, pages: usize) -> Markup {
        let to = |page: usize| {
            let number = page.to_string();
            let Filter { service, environment, .. } = &self.filter;
            format!(
                "/?{}",
                parts::query(&[
                    ("service", service),
                    ("environment", environment),
                    ("page", &number)
                ])
            )
        };
        html! {
            @if pages > 1 {
                nav.pages aria-label="Pages of services" {
                    @if page > 1 { a href=(to(page - 1)) rel="prev" { "Back" } }
                    span { "page " (page) " of " (pages) }
                    @if page < pages { a href=(to(page + 1)) rel="next" { "On" } }
                }
            }
        }
    }

    fn strays(&self) -> Markup {
        html! {
            @let unguarded = &self.standing.unguarded;
            @if !unguarded.is_empty() {
                details.strays id="strays" {
                    summary { (many(unguarded.len(), "service")) " deployed and not guarded" }
                    ul { @for place in unguarded { li { (place) } } }
                }
            }
        }
    }
}

fn unread_row(unread: &Unread) -> Markup {
    html! {
        tr id=(parts::id("u", &unread.id)) {
            th scope="row" { (unread.place) }
            td { (unread.environment) }
            td { (unread.words()) }
            td { (parts::time(unread.opened_at)) }
        }
    }
}

fn watched_row(brief: &Brief) -> Markup {
    let view = &brief.view;
    // In the order of verdicts a breach is the greatest.
    let worst = view.checks.iter().filter_map(|check| check.verdict).max();
    html! {
        tr id=(parts::id("r", &view.id)) {
            th scope="row" { a href=(parts::address(&view.id)) { (view.service) } }
            td { (view.environment) }
            td { (parts::verdict(worst)) " " (view.status) }
            td { (view.version) " " (parts::time(view.started_at)) }
        }
    }
}

fn idle_row(idle: &Idle) -> Markup {
    let history = parts::query(&[("service", &idle.service), ("environment", &idle.environment)]);
    html! {
        tr id=(parts::id("s", &idle.place)) {
            th scope="row" { a href={ "/history?" (history) } title=(idle.place) { (idle.service) } }
            td { (idle.environment) }
            td {
                @match &idle.last {
                    None => span.quiet { "not deployed yet under the guard" },
                    Some(last) => {
                        a href=(parts::address(&last.watch)) {
                            @match last.outcome {
                                Some(outcome) => (parts::outcome(Some(outcome))),
                                None => "ended",
                            }
                        }
                    }
                }
            }
            td { @if let Some(last) = &idle.last { (parts::time(last.opened_at)) } }
        }
    }
}

/// "1 service", "3 services".
pub fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
