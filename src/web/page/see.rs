//! Reading: the pages, and the pieces of them that the script fetches.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::Markup;

use super::brief::Brief;
use super::card::card as one_card;
use super::charts::draw;
use super::cookies;
use super::detail::Detail;
use super::fleet::{Filter, Fleet};
use super::history::{Asked, History, rows};
use super::shell::{self, Place, Shell};
use super::who::Visitor;
use crate::engine::clock;
use crate::policy_repo::Loaded;
use crate::store::StoreError;
use crate::watch::{Watch, markdown};
use crate::web::Face;
use crate::web::act::find;
use crate::web::problem::Problem;
use crate::web::standing::Standing;

pub async fn fleet(
    State(face): State<Face>,
    visitor: Visitor,
    uri: Uri,
    Query(filter): Query<Filter>,
) -> Response {
    if !visitor.may_read() {
        return to_login(&uri);
    }
    let made = gather(&face, filter).await.map(|fleet| {
        let shell = Shell { title: "Now", place: Place::Now, visitor: &visitor, is_live: true };
        shell.page(&fleet.page(&visitor, clock::now()))
    });
    shown(made, &visitor)
}

pub async fn history(
    State(face): State<Face>,
    visitor: Visitor,
    uri: Uri,
    Query(sought): Query<Asked>,
) -> Response {
    if !visitor.may_read() {
        return to_login(&uri);
    }
    let made = ended(&face, sought).await.map(|history| {
        let shell =
            Shell { title: "History", place: Place::History, visitor: &visitor, is_live: false };
        shell.page(&history.page())
    });
    shown(made, &visitor)
}

pub async fn watch(
    State(face): State<Face>,
    visitor: Visitor,
    uri: Uri,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !visitor.may_read() {
        return to_login(&uri);
    }
    let done = cookies::sent_done(&headers);
    let made = detail(&face, &id).await.map(|detail| {
        let is_live = detail.brief.view.outcome.is_none();
        let title = detail.title();
        let shell = Shell { title: &title, place: Place::Below, visitor: &visitor, is_live };
        shell.page(&detail.page(&visitor, done, clock::now()))
    });
    let mut page = shown(made, &visitor);
    let said = done.and_then(|_| cookies::said(&id, &headers));
    page.headers_mut().extend(said.map(|said| (header::SET_COOKIE, said)));
    page
}

/// What is in `main` of a watch's page.
pub async fn part(
    State(face): State<Face>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    known(&visitor)?;
    let detail = detail(&face, &id).await?;
    Ok(shell::html(StatusCode::OK, detail.page(&visitor, None, clock::now())))
}

pub async fn card(
    State(face): State<Face>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    known(&visitor)?;
    let watch = find(&face, &id).await?;
    let now = clock::now();
    Ok(shell::html(StatusCode::OK, one_card(&Brief::of(&watch, now), &visitor, now)))
}

fn known(visitor: &Visitor) -> Result<(), Problem> {
    if visitor.may_read() {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNAUTHORIZED, "log in to read"))
}

fn to_login(uri: &Uri) -> Response {
    let here = uri.path_and_query().map_or("/", |path| path.as_str());
    Redirect::to(&format!("/login?next={}", markdown::path(here))).into_response()
}

fn shown(made: Result<Markup, Problem>, visitor: &Visitor) -> Response {
    match made {
        Ok(page) => shell::html(StatusCode::OK, page),
        Err(problem) => shell::trouble(&problem, visitor),
    }
}

async fn detail(face: &Face, id: &str) -> Result<Detail, Problem> {
    let id = find(face, id).await?.id;
    let gone = || Problem::new(StatusCode::NOT_FOUND, "the watch is gone");
    let (watch, version) = face.store.kept_watch::<Watch>(&id).await?.ok_or_else(gone)?;
    let charts = charts(face, &watch, version).await?;
    Ok(Detail::of(&watch, charts, clock::now()))
}

/// The charts of a watch, drawn once for each state of it; why they can't be, in words.
async fn charts(
    face: &Face,
    watch: &Watch,
    version: i64,
) -> Result<Result<Arc<str>, String>, Problem> {
    let id = watch.id.as_str();
    let make = async || {
        let journal = face.store.journal_text(&watch.id).await.map_err(Undrawn::Unread)?;
        draw(journal, id.to_owned()).await.map_err(Undrawn::Broken)
    };
    match face.pages.drawn.once((id, version), clock::now(), make).await {
        Ok(html) => Ok(Ok(html)),
        Err(Undrawn::Unread(error)) => Err(error.into()),
        Err(Undrawn::Broken(why)) => Ok(Err(why)),
    }
}

/// Why there are no charts.
enum Undrawn {
    Unread(StoreError),
    Broken(String),
}

async fn gather(face: &Face, filter: Filter) -> Result<Fleet, Problem> {
    let now = clock::now();
    let open = face.pages.shelf.open(&face.store, now).await?;
    let policies = face.policies.borrow().clone();
    let idle = face.pages.resting.beside(&open, &face.store, &policies).await?;
    let of_watches = open.briefs.iter().map(|brief| brief.view.environment.clone());
    let environments = environments(&policies, of_watches, &filter.environment);
    let takes = |service: &str, place: &str, environment: &str| {
        filter.takes(service, environment) || filter.takes(place, environment)
    };
    let watches = open.briefs.iter().filter(|brief| {
        let view = &brief.view;
        takes(&view.service, &view.place, &view.environment)
    });
    let unread = open.unread.iter().filter(|one| filter.takes(&one.place, &one.environment));
    let idle = idle.iter().filter(|one| takes(&one.service, &one.place, &one.environment));
    Ok(Fleet {
        watches: watches.cloned().collect(),
        unread: unread.cloned().collect(),
        idle: idle.cloned().collect(),
        environments,
        standing: Standing::of(face, now).await?,
        filter,
    })
}

async fn ended(face: &Face, asked: Asked) -> Result<History, Problem> {
    let (sought, wrong) = asked.sought();
    let filed = face.store.history(&sought).await?;
    // Some states are long: no other request waits for them.
    let reading = tokio::task::spawn_blocking(move || rows(&filed));
    let rows = reading.await.map_err(|why| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("they could not be read: {why}"))
    })?;
    let of_ended = face.pages.environments.of_ended(&face.store).await?;
    let policies = face.policies.borrow().clone();
    let environments = environments(&policies, of_ended.into_iter(), &asked.environment);
    let is_partial = asked.is_by_what_is_filled_in() && face.store.has_unfilled().await?;
    Ok(History::of(rows, asked, environments, wrong, is_partial))
}

/// The environments that there are policies or watches for, and the one that is asked for.
fn environments(
    policies: &Loaded,
    of_watches: impl Iterator<Item = String>,
    asked: &str,
) -> BTreeSet<String> {
    let of_policies = policies.set.iter().map(|written| written.policy.environment.clone());
    let asked = Some(asked.to_owned()).filter(|asked| !asked.is_empty());
    of_policies.chain(of_watches).chain(asked).collect()
}
