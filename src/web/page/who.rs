//! Who looks at a page: by a session, or because a trusted proxy says so.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::session::{self, Session};
use super::{cookies, is_file};
use crate::engine::clock;
use crate::settings::Role;
use crate::web::Face;
use crate::web::auth::{Caller, Proxied};
use crate::web::forward::secret;
use crate::web::problem::Problem;
use crate::web::vouch::CALLER;

/// What a proxy shows beside the name, where it has a secret of its own.
pub const PROXY_SECRET: HeaderName = HeaderName::from_static("x-deployguard-proxy-secret");
/// The longest name, and the longest list of groups, that is taken from a proxy, in bytes.
const LONGEST: usize = 4096;

/// Whoever asked for a page.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    pub person: Option<Person>,
    /// Whether anybody may read.
    pub is_open: bool,
    /// Where the request came from.
    pub peer: Option<IpAddr>,
}

/// Somebody who is known.
#[derive(Debug, Clone)]
pub struct Person {
    pub caller: Caller,
    /// How another daemon is told who it is.
    pub claim: String,
    /// What their forms carry.
    pub form_token: String,
    /// Whether there is a session to end.
    pub has_session: bool,
}

impl Visitor {
    pub fn may_read(&self) -> bool {
        self.is_open || self.person.is_some()
    }

    /// Whether they may act on this service.
    ///
    /// # Errors
    /// Why not.
    pub fn may_act(&self, service: &str, environment: &str) -> Result<&Person, Problem> {
        let Some(person) = &self.person else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "log in to act"));
        };
        if person.caller.role < Role::Operate {
            let detail = format!("{} may look at this page, and not act", person.caller.name);
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        person.caller.may_speak_of(service, environment)?;
        Ok(person)
    }
}

impl Person {
    /// Refuses a form that was not written for this person's session.
    pub fn sent_it(&self, form_token: &str) -> Result<(), Problem> {
        if session::is_same(&self.form_token, form_token) {
            return Ok(());
        }
        let detail = "nothing was done: the form is of another session. Open the page anew.";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

/// Refuses what another site made the browser send.
pub fn is_our_own(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.parse::<Uri>().ok();
            let host = host.as_ref().and_then(|uri| uri.authority()).map(ToString::to_string);
            host.is_some() && host.as_deref() == text("host")
        }
        (None, None) => false,
    };
    if own {
        return Ok(());
    }
    let detail = "nothing was done: the request did not come from this page, but from another \
                  site";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

impl Face {
    /// Whoever asks. A session that is not believed is none.
    pub async fn visitor(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Result<Visitor, Problem> {
        let is_open = self.tokens.are_reads_open();
        let person = match cookies::sent_session(headers) {
            Some(cookie) => self.of_session(secret(self).await?, cookie),
            None => None,
        };
        let person = match (person, self.proxied(headers, peer)) {
            (Some(person), _) => Some(person),
            (None, Some(named)) => self.of_proxy(secret(self).await?, &named),
            (None, None) => None,
        };
        Ok(Visitor { person, is_open, peer })
    }

    fn of_session(&self, secret: &str, cookie: &str) -> Option<Person> {
        let session = Session::read(secret, cookie, clock::now())?;
        let token = self.tokens.digest_named(&session.name)?;
        let caller = self.tokens.named(&session.name).filter(|_| session.is_of(secret, token))?;
        Some(Person {
            caller,
            form_token: session.form_token(secret),
            claim: session.name,
            has_session: true,
        })
    }

    fn of_proxy(&self, secret: &str, named: &Proxied) -> Option<Person> {
        let claim = named.claim();
        let caller = self.tokens.named(&claim)?;
        let form_token = session::form_token_of(secret, &named.name);
        Some(Person { caller, claim, form_token, has_session: false })
    }

    /// Whom the proxy names, if it is the proxy that asks. A header that is there twice names
    /// nobody: one of them may be what a client sent.
    fn proxied(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Proxied> {
        let proxy = self.tokens.proxy().filter(|one| peer.is_some_and(|peer| one.is_from(peer)))?;
        if let Some(secret) = &proxy.secret
            && !session::is_same(secret.expose(), single(headers, PROXY_SECRET.as_str())?)
        {
            return None;
        }
        let name = single(headers, &proxy.header).filter(|name| !name.is_empty())?;
        let groups = match &proxy.groups_header {
            Some(header) => single(headers, header)?,
            None => "",
        };
        let groups = groups.split(',').map(|name| name.trim().to_owned());
        let groups = groups.filter(|name| !name.is_empty()).collect();
        Some(Proxied { name: name.to_owned(), groups })
    }
}

/// What a header says, empty where it is not there. `None`: it is there more than once, or
/// can't be read.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map_or(Ok(""), |value| std::str::from_utf8(value.as_bytes()));
    let value = value.ok()?.trim();
    let is_plain = value.len() <= LONGEST && !value.chars().any(char::is_control);
    (is_plain && values.next().is_none()).then_some(value)
}

/// Where a request came from.
pub fn peer(parts: &Parts) -> Option<IpAddr> {
    let told = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    told.map(|ConnectInfo(address)| address.ip().to_canonical())
}

impl FromRequestParts<Face> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, face: &Face) -> Result<Self, Problem> {
        face.visitor(&parts.headers, peer(parts)).await
    }
}

/// Whoever has a session reads the API by it too, as the page's script does. Nothing is
/// changed by reading, so another site gains nothing from making a browser ask. A token of
/// ours goes before; an `Authorization` that is none may be what a proxy passes on.
pub async fn reads_too(State(face): State<Face>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads || face.tokens.is_one_of_ours(request.headers()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    // A store that can't be asked is told by whatever asks it next.
    let visitor = face.visitor(&parts.headers, peer(&parts)).await.unwrap_or_default();
    let Some(Ok(name)) = visitor.person.map(|one| HeaderValue::from_bytes(one.claim.as_bytes()))
    else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let is_of_all = is_file(parts.uri.path());
    parts.headers.insert(CALLER, name);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if !is_of_all {
        // It is of one person, and caches know people by their tokens alone.
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
    }
    response
}
