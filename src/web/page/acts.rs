//! Acting: a page that asks first, and the form that does it by the way of the API.

use axum::Form;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::html;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::brief::Brief;
use super::confirm::{confirm, hold_for, offered};
use super::cookies;
use super::parts;
use super::shell::{self, Place, Shell};
use super::who::{Person, Visitor, is_our_own};
use crate::engine::clock;
use crate::model::{Command, HoldTime};
use crate::watch::{Watch, markdown};
use crate::web::Face;
use crate::web::act::{Why, find, pressed};
use crate::web::forward::{Where, at_leader};
use crate::web::problem::Problem;
use crate::web::vouch::random;

/// What the form carries: what was seen, so that what has changed is not acted on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Given {
    form_token: String,
    key: Option<String>,
    incident: Option<u32>,
    returns: Option<u32>,
    target: Option<String>,
    reason: Option<String>,
    until: Option<String>,
}

/// The largest answer of a leader that is read, in bytes.
const LIMIT: usize = 512 * 1024;

pub async fn ask(
    State(face): State<Face>,
    visitor: Visitor,
    uri: Uri,
    Path((id, deed)): Path<(String, String)>,
) -> Response {
    if visitor.person.is_none() {
        let here = markdown::path(uri.path());
        return Redirect::to(&format!("/login?next={here}")).into_response();
    }
    let made = async {
        let command = command(&deed)?;
        let watch = find(&face, &id).await?;
        let person = may_act(&visitor, &watch)?;
        let brief = Brief::of(&watch, clock::now());
        let Some(offer) = offered(&brief, command) else {
            let detail = format!("{deed} is not to be had now: {}", brief.view.status);
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        };
        let foreseen = match command {
            Command::Rollback => Some(face.foresight.of(&watch).await),
            Command::Ack | Command::Hold | Command::Resume | Command::Cancel => None,
        };
        let shell =
            Shell { title: &offer.label, place: Place::Below, visitor: &visitor, is_live: false };
        let key = random().map_err(broken)?;
        let question = confirm(&brief, offer, foreseen.as_ref(), (person, &key));
        Ok(shell.page(&html! { (question) }))
    };
    match made.await {
        Ok(page) => shell::html(StatusCode::OK, page),
        Err(problem) => refused(&problem, &visitor, &id),
    }
}

pub async fn act(
    State(face): State<Face>,
    visitor: Visitor,
    headers: HeaderMap,
    Path((id, deed)): Path<(String, String)>,
    Form(given): Form<Given>,
) -> Response {
    match done(&face, &visitor, &headers, (&id, &deed), given).await {
        Ok(command) => {
            let mut answer = Redirect::to(&parts::address(&id)).into_response();
            let done = cookies::done(&id, command, &headers);
            answer.headers_mut().extend(done.map(|done| (header::SET_COOKIE, done)));
            answer
        }
        Err(problem) => refused(&problem, &visitor, &id),
    }
}

/// What was refused, with the way back to the watch, where there is one.
fn refused(problem: &Problem, visitor: &Visitor, id: &str) -> Response {
    let status = problem.status();
    if status == StatusCode::NOT_FOUND {
        return shell::trouble(problem, visitor);
    }
    let title = status.canonical_reason().unwrap_or("It did not work");
    let shell = Shell { title, place: Place::Below, visitor, is_live: false };
    let body = html! {
        h1 { (title) }
        p.said.bad { (on_a_page(problem.detail())) }
        p { a.button href=(parts::address(id)) { "Back to the watch" } }
    };
    shell::html(status, shell.page(&body))
}

/// A refusal without where its button is in Slack: on a page there is the way back.
fn on_a_page(detail: &str) -> &str {
    detail.split("; press again").next().unwrap_or(detail)
}

async fn done(
    face: &Face,
    visitor: &Visitor,
    headers: &HeaderMap,
    (id, deed): (&str, &str),
    given: Given,
) -> Result<Command, Problem> {
    is_our_own(headers)?;
    let command = command(deed)?;
    // Nothing is looked up for whoever is nobody.
    if visitor.person.is_none() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "log in to act"));
    }
    let watch = find(face, id).await?;
    let person = may_act(visitor, &watch)?;
    person.sent_it(&given.form_token)?;
    let why = Value::Object(why(given, clock::now())?);
    let head = request(&watch, command)?;
    let body = Bytes::from(why.to_string());
    match at_leader(face, &head, &body, Some(&person.claim)).await {
        Where::Here => {
            let bad = |error: serde_json::Error| Problem::field("form", error.to_string());
            let why: Why = serde_json::from_value(why).map_err(bad)?;
            pressed(face, person.caller.clone(), watch.id.as_str(), command, why).await?;
        }
        Where::Answered(answer) => well(answer).await?,
    }
    Ok(command)
}

fn command(deed: &str) -> Result<Command, Problem> {
    let detail = || format!("`{deed}`: known are ack, hold, resume, rollback and cancel");
    Command::named(deed).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, detail()))
}

fn may_act<'a>(visitor: &'a Visitor, watch: &Watch) -> Result<&'a Person, Problem> {
    let service = &watch.deployment.service;
    visitor.may_act(&service.name, &service.environment)
}

/// What the API is told beside the name of the act.
fn why(given: Given, now: Timestamp) -> Result<Map<String, Value>, Problem> {
    let mut why = Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        why.extend(value.map(|value| (name.to_owned(), value)));
    };
    tell("key", given.key.map(Value::from));
    tell("incident", given.incident.map(Value::from));
    tell("returns", given.returns.map(Value::from));
    tell("target", given.target.map(Value::from));
    let reason = given.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    tell("reason", reason.map(Value::from));
    if let Some(until) = &given.until {
        let until = HoldTime::read(until)
            .ok_or_else(|| Problem::field("until", format!("`{until}` is no time of ours")))?;
        tell("for", hold_for(until, now)?.map(Value::from));
    }
    Ok(why)
}

/// The request that the API takes for it.
fn request(watch: &Watch, command: Command) -> Result<Parts, Problem> {
    let id = markdown::path(watch.id.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/watches/{id}/{}", command.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(());
    Ok(request.map_err(broken)?.into_parts().0)
}

fn broken(why: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string())
}

/// The leader's answer, as a problem where it is none that is good.
async fn well(answer: Response) -> Result<(), Problem> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = to_bytes(answer.into_body(), LIMIT).await.unwrap_or_default();
    Err(Problem::told(status, &body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Inspection;
    use crate::watch::tests::world::{Guard, at, policy, revision};
    use crate::watch::{Event, Press};

    #[test]
    fn a_page_does_not_say_where_slack_has_its_button() {
        let mut guard = Guard::settled(policy());
        guard.breaks(5.0);
        let target = Ok((revision(0), "the last good one".to_owned()));
        guard.take(Event::Inspected { target, inspection: Inspection::default() }).unwrap();
        let old = Press::new(Command::Rollback, "dana", None);
        let old = Press { target: Some(revision(1).short().to_owned()), ..old };
        let why = guard.take_press(old).unwrap_err().0;
        assert!(why.contains("press again"), "{why}");
        assert_eq!(on_a_page(&why), "the target is now api:0");
        assert_eq!(on_a_page("nobody holds it"), "nobody holds it");
    }

    #[test]
    fn a_hold_until_a_time_that_is_over_is_none() {
        let asked = |until: &str| {
            let given = Given { until: Some(until.to_owned()), ..Given::default() };
            why(given, at(60)).map(|why| why.get("for").cloned())
        };
        let until = HoldTime { label: String::new(), until: Some(at(90)) }.value();
        assert_eq!(asked(&until).unwrap(), Some(Value::from("30s")));
        assert_eq!(asked("longest").unwrap(), None);
        for over in [60, 59] {
            let until = HoldTime { label: String::new(), until: Some(at(over)) }.value();
            let problem = asked(&until).unwrap_err();
            assert_eq!(
                (problem.status(), problem.detail()),
                (StatusCode::CONFLICT, "that time is over")
            );
        }
    }
}
