//! `/login` and `/logout`.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::cookies::{self, is_secure};
use super::session::{LASTS, Session};
use super::shell::{self, Place, Shell};
use super::who::{Visitor, is_our_own};
use crate::engine::clock;
use crate::web::Face;
use crate::web::forward::secret;
use crate::web::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Onward {
    next: String,
}

#[derive(Debug, Deserialize)]
pub struct Given {
    token: String,
    #[serde(default)]
    next: String,
}

#[derive(Debug, Deserialize)]
pub struct Leaving {
    form_token: String,
}

pub async fn form(visitor: Visitor, Query(onward): Query<Onward>) -> Response {
    shell::html(StatusCode::OK, login(&visitor, own_page(&onward.next), None))
}

pub async fn log_in(
    State(face): State<Face>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Response {
    let next = own_page(&given.next);
    match begin(&face, &visitor, &headers, &given).await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response(),
        Err(problem) => {
            let mut page =
                shell::html(problem.status(), login(&visitor, next, Some(problem.detail())));
            if problem.status() == StatusCode::TOO_MANY_REQUESTS {
                page.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            page
        }
    }
}

async fn begin(
    face: &Face,
    visitor: &Visitor,
    headers: &HeaderMap,
    given: &Given,
) -> Result<HeaderValue, Problem> {
    is_our_own(headers)?;
    let is_secure = is_secure(headers)?;
    let (now, peer) = (clock::now(), visitor.peer);
    // Whoever has a right token gets in, whatever others of the same address send.
    let Some((name, digest)) = face.tokens.digest_of(given.token.trim()) else {
        if face.pages.tries.are_too_many(peer, now) {
            let detail = "Too many tokens that are none came from this address: wait a minute.";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        tracing::warn!(?peer, "a log-in failed: the token is unknown");
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "This token is unknown."));
    };
    let secret = secret(face).await?;
    let broken = |why: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let session = Session::begin(secret, name, digest, now).map_err(broken)?;
    tracing::info!(name, ?peer, "logged in");
    cookies::session(&session.write(secret), LASTS.as_secs(), is_secure).map_err(broken)
}

pub async fn log_out(
    visitor: Visitor,
    headers: HeaderMap,
    Form(leaving): Form<Leaving>,
) -> Response {
    let asked = is_our_own(&headers).and_then(|()| match &visitor.person {
        Some(person) => person.sent_it(&leaving.form_token),
        None => Ok(()),
    });
    if let Err(problem) = asked {
        return shell::trouble(&problem, &visitor);
    }
    match cookies::session("", 0, is_secure(&headers).unwrap_or(true)) {
        Ok(gone) => ([(header::SET_COOKIE, gone)], Redirect::to("/login")).into_response(),
        Err(why) => shell::trouble(&Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why), &visitor),
    }
}

/// A page of ours to go on to; the first one where `next` is anything else.
fn own_page(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { next } else { "/" }
}

fn login(visitor: &Visitor, next: &str, wrong: Option<&str>) -> Markup {
    let shell = Shell { title: "Log in", place: Place::LogIn, visitor, is_live: false };
    let who = visitor.person.as_ref().map(|person| person.caller.name.as_str());
    shell.page(&html! {
        h1 { "Log in" }
        @if let Some(who) = who { p.said.good { "You are logged in as " (who) ". " a href="/" { "Go on" } } }
        @if let Some(wrong) = wrong { p.said.bad role="alert" { (wrong) } }
        form.login method="post" action="/login" {
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input id="token" type="password" name="token" required autocomplete="current-password"
                autofocus spellcheck="false";
            button.urged type="submit" { "Log in" }
        }
        p.quiet { "A token of the settings. What it may do here is its role: read, or operate to act." }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_goes_on_to_our_own_pages_alone() {
        for own in ["/", "/watches/api-1?x=1", "/history?service=a%2Fb"] {
            assert_eq!(own_page(own), own);
        }
        for foreign in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:x",
            "/a\r\nb",
            "/ /evil",
        ] {
            assert_eq!(own_page(foreign), "/", "{foreign:?}");
        }
    }
}
