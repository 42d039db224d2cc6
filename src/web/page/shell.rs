//! What is around every page: its head, the way to the others, who is logged in.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::who::Visitor;
use crate::web::problem::Problem;

/// Where a page is among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Now,
    History,
    /// One watch, or what is done about it.
    Below,
    LogIn,
}

/// A whole page.
pub struct Shell<'a> {
    pub title: &'a str,
    pub place: Place,
    pub visitor: &'a Visitor,
    /// Whether it shows what changes by itself.
    pub is_live: bool,
}

impl Shell<'_> {
    /// `body`: what is in `main`, with its `h1`.
    pub fn page(&self, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · deployguard" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href=(assets::css());
                    script src=(assets::js()) defer {}
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    (self.bar())
                    main id="main" tabindex="-1" { (body) }
                }
            }
        }
    }

    fn bar(&self) -> Markup {
        let here = |place| (self.place == place).then_some("page");
        html! {
            header.bar {
                nav aria-label="Pages" {
                    a.home href="/" aria-current=[here(Place::Now)] { "deployguard" }
                    @if self.visitor.may_read() {
                        a href="/history" aria-current=[here(Place::History)] { "History" }
                    }
                }
                @if self.is_live { p.live id="live" data-own { noscript { "Not live: reload the page." } } }
                (self.person())
                p.sr id="said" role="status" aria-live="polite" {}
            }
        }
    }

    fn person(&self) -> Markup {
        html! {
            @match &self.visitor.person {
                Some(person) => {
                    div.person {
                        span { (person.caller.name) }
                        @if person.has_session {
                            form method="post" action="/logout" {
                                input type="hidden" name="form_token" value=(person.form_token);
                                button.plain type="submit" { "Log out" }
                            }
                        }
                    }
                }
                None if self.place != Place::LogIn => {
                    div.person { a href="/login" { "Log in" } }
                }
                None => {}
            }
        }
    }
}

/// A page as it is sent. It is of now, and of one person.
pub fn html(status: StatusCode, page: Markup) -> Response {
    let kind = [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-store")];
    (status, kind, page.into_string()).into_response()
}

/// What went wrong, told to a person.
pub fn trouble(problem: &Problem, visitor: &Visitor) -> Response {
    let status = problem.status();
    let title = status.canonical_reason().unwrap_or("It did not work");
    let shell = Shell { title, place: Place::Below, visitor, is_live: false };
    let body = html! {
        h1 { (title) }
        p.said.bad { (problem.detail()) }
        p { a href="/" { "Back to what is guarded now" } }
    };
    html(status, shell.page(&body))
}
