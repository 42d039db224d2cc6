//! `/history`: ended watches, the newest first, by service, environment, outcome and the
//! time at which it was begun to watch them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::brief::Unread;
use super::card::lasted;
use super::parts;
use crate::model::Outcome;
use crate::store::{Filed, Sought};
use crate::watch::{Stage, Watch};

/// Watches on one page.
const ROWS: u32 = 50;

/// What is asked for, as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Asked {
    pub service: String,
    pub environment: String,
    pub outcome: String,
    /// Days of UTC, the last one included; or moments (RFC 3339).
    pub from: String,
    pub to: String,
    /// The last watch of the page before: `MILLISECONDS,ID`.
    pub before: String,
}

impl Asked {
    /// What that is in the store, and what of it could not be read.
    pub fn sought(&self) -> (Sought, Vec<String>) {
        let mut wrong = Vec::new();
        let mut when = |name: &str, text: &str, more: i64| {
            let read = moment(text, more);
            if !text.is_empty() && read.is_none() {
                wrong.push(format!("{name}: `{text}` is no day: write 2026-11-20"));
            }
            read
        };
        let (from, to) = (when("from", &self.from, 0), when("to", &self.to, 1));
        let sought = Sought {
            service: self.service.clone(),
            environment: self.environment.clone(),
            outcome: self.outcome.clone(),
            from,
            to,
            before: self.before(),
            // One more than is shown says whether there are more.
            limit: ROWS + 1,
        };
        (sought, wrong)
    }

    /// Whether it is looked for by what an older version did not keep beside the state.
    pub fn is_by_what_is_filled_in(&self) -> bool {
        [&self.service, &self.environment, &self.outcome].iter().any(|text| !text.trim().is_empty())
    }

    fn before(&self) -> Option<(Timestamp, String)> {
        let (at, id) = self.before.split_once(',')?;
        Some((Timestamp::from_millisecond(at.parse().ok()?).ok()?, id.to_owned()))
    }

    fn query(&self, before: &str) -> String {
        parts::query(&[
            ("service", &self.service),
            ("environment", &self.environment),
            ("outcome", &self.outcome),
            ("from", &self.from),
            ("to", &self.to),
            ("before", before),
        ])
    }
}

/// The beginning of a day in UTC, and `days` later; or a moment as it is.
fn moment(text: &str, days: i64) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    let day = text.parse::<Date>().ok()?;
    let begins = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
    begins.checked_add(SignedDuration::from_hours(24 * days)).ok()
}

/// One ended watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    Read(Box<Shown>),
    Unread(Unread),
}

/// What is shown of one that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    id: String,
    service: String,
    version: String,
    environment: String,
    outcome: Option<Outcome>,
    status: String,
    author: Option<String>,
    opened_at: Timestamp,
    ended_at: Option<Timestamp>,
}

/// Reads what the store found.
pub fn rows(filed: &[Filed]) -> Vec<Row> {
    let rows = filed.iter().map(|filed| match serde_json::from_str::<Watch>(&filed.state) {
        Ok(watch) => Row::Read(Box::new(Shown::of(&watch))),
        Err(_) => Row::Unread(Unread::of(filed)),
    });
    rows.collect()
}

impl Row {
    /// What the next page begins after.
    fn key(&self) -> String {
        let (at, id) = match self {
            Self::Read(shown) => (shown.opened_at, &shown.id),
            Self::Unread(unread) => (unread.opened_at, &unread.id),
        };
        format!("{},{id}", at.as_millisecond())
    }
}

impl Shown {
    fn of(watch: &Watch) -> Self {
        let deployment = &watch.deployment;
        let ended_at = match &watch.stage {
            Stage::Ended { at, .. } => Some(*at),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::RollingBack(_) => {
                None
            }
        };
        Self {
            id: watch.id.to_string(),
            service: deployment.service.name.clone(),
            version: watch.version(),
            environment: deployment.service.environment.clone(),
            outcome: watch.outcome(),
            status: watch.status_line(),
            author: deployment.facts.author.clone(),
            opened_at: watch.opened_at,
            ended_at,
        }
    }
}

/// A page of the history.
pub struct History {
    asked: Asked,
    environments: BTreeSet<String>,
    wrong: Vec<String>,
    rows: Vec<Row>,
    has_more: bool,
    /// Whether some are not found by all that can be asked for.
    is_partial: bool,
}

impl History {
    pub fn of(
        mut rows: Vec<Row>,
        asked: Asked,
        environments: BTreeSet<String>,
        wrong: Vec<String>,
        is_partial: bool,
    ) -> Self {
        let has_more = rows.len() > ROWS as usize;
        rows.truncate(ROWS as usize);
        Self { asked, environments, wrong, rows, has_more, is_partial }
    }

    pub fn page(&self) -> Markup {
        html! {
            h1 { "History" }
            @for wrong in &self.wrong { p.said.warn role="alert" { (wrong) } }
            (self.search())
            @if self.is_partial {
                p.said.quiet id="partial" {
                    "Watches that an older version kept are not all found by name, environment and "
                    "outcome yet; leave these out to see them."
                }
            }
            @if self.rows.is_empty() {
                p.said.quiet { "No ended watch fits." }
            } @else {
                (self.table())
            }
            (self.pages())
        }
    }

    fn pages(&self) -> Markup {
        let older = self.rows.last().filter(|_| self.has_more).map(Row::key);
        let is_first = self.asked.before.is_empty();
        html! {
            @if !is_first || older.is_some() {
                nav.pages aria-label="Pages of the history" {
                    @if !is_first { a href={ "/history?" (self.asked.query("")) } { "Newest" } }
                    @if let Some(before) = older {
                        a href={ "/history?" (self.asked.query(&before)) } rel="next" { "Older" }
                    }
                }
            }
        }
    }

    fn search(&self) -> Markup {
        let asked = &self.asked;
        html! {
            search {
                form.filter method="get" action="/history" {
                    label { "Service " input type="search" name="service" value=(asked.service); }
                    label {
                        "Environment "
                        select name="environment" {
                            option value="" { "all" }
                            @for name in &self.environments {
                                option value=(name) selected[*name == asked.environment] { (name) }
                            }
                        }
                    }
                    label {
                        "Outcome "
                        select name="outcome" {
                            option value="" { "all" }
                            @for outcome in Outcome::ALL {
                                @let word = outcome.as_str();
                                option value=(word) selected[word == asked.outcome] { (word.replace('_', " ")) }
                            }
                        }
                    }
                    label { "From (UTC) " input type="date" name="from" value=(asked.from); }
                    label { "To (UTC) " input type="date" name="to" value=(asked.to); }
                    button type="submit" { "Show" }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            div.wide tabindex="0" role="region" aria-label="Ended watches" {
                table.fleet.history {
                    thead { tr {
                        th scope="col" { "Deployment" } th scope="col" { "Environment" }
                        th scope="col" { "Outcome" } th scope="col" { "Watched since" }
                        th scope="col" { "Watched for" } th scope="col" { "By" }
                    } }
                    tbody { @for row in &self.rows { (line(row)) } }
                }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    match row {
        Row::Read(shown) => line_of(shown),
        Row::Unread(unread) => html! {
            tr {
                th scope="row" { (unread.place) }
                td { (unread.environment) }
                td {
                    @if unread.outcome.is_some() { (parts::outcome(unread.outcome)) }
                    span.why { (unread.words()) }
                }
                td { (parts::time(unread.opened_at)) }
                td {}
                td { "–" }
            }
        },
    }
}

fn line_of(row: &Shown) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(parts::address(&row.id)) { (row.service) " " span.version { (row.version) } }
            }
            td { (row.environment) }
            td { (parts::outcome(row.outcome)) span.why { (row.status) } }
            td { (parts::time(row.opened_at)) }
            td { @if let Some(at) = row.ended_at { (lasted(row.opened_at, at)) } }
            td { (row.author.as_deref().unwrap_or("–")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_whole_and_what_is_none_is_told() {
        let asked =
            Asked { from: "2026-11-20".into(), to: "2026-11-20".into(), ..Asked::default() };
        let (sought, wrong) = asked.sought();
        assert!(wrong.is_empty());
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(sought.from, at("2026-11-20T00:00:00Z"));
        assert_eq!(sought.to, at("2026-11-21T00:00:00Z"), "the whole of the last day");
        let asked = Asked { from: "yesterday".into(), before: "x,y".into(), ..Asked::default() };
        let (sought, wrong) = asked.sought();
        assert_eq!(wrong, ["from: `yesterday` is no day: write 2026-11-20"]);
        assert_eq!((sought.from, sought.before), (None, None));
        let asked = Asked { before: "1700000000000,api,1".into(), ..Asked::default() };
        let before = asked.sought().0.before.unwrap();
        assert_eq!(before, (at("2023-11-14T22:13:20Z").unwrap(), "api,1".to_owned()));
    }
}
