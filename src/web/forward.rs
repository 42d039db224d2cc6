//! Passing on to the leader what changes something.
//!
//! Reading is answered from the store by whoever is asked. A hook or an act is the
//! leader's: it is answered here only with the leader's own answer, so what was
//! acknowledged is kept. Who sent it is judged here, by the token, and vouched for
//! ([`vouch`]): the token goes no further. A press in Slack is judged here too, and
//! answered within Slack's three seconds whatever the leader does ([`slack::passed_on`]).

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reqwest::Url;

use super::Face;
use super::github::HOOK;
use super::page;
use super::problem::Problem;
use super::slack::{self, INTERACTIVITY};
use super::vouch::{CALLER, Distrust, VOUCHED, Vouched, random, vouch};
use crate::engine::{Leads, clock};
use crate::settings::{ProxySettings, Role};

/// Said of what was passed on once: it is passed on no further.
const PASSED_ON: HeaderName = HeaderName::from_static("x-deployguard-passed-on");
/// Posted to without a token.
pub const SNS: &str = "/hooks/sns";
pub const RENDER: &str = "/hooks/render";
/// The largest request and the largest answer, in bytes.
const LIMIT: usize = 512 * 1024;
/// How long the leader may take: less than a request here may.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a request is held while the lead changes hands, and how often it is looked who
/// has it: nobody has to come again for a change that goes as it should.
const HELD: Duration = Duration::from_secs(8);
const AGAIN: Duration = Duration::from_millis(100);
/// What belongs to one connection, or is made anew; and what somebody is known by here.
const OF_ONE_WAY: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::UPGRADE,
    header::AUTHORIZATION,
    header::COOKIE,
    VOUCHED,
    page::PROXY_SECRET,
];

/// A client for passing on; nothing is sent.
///
/// # Errors
/// Why there can be none.
pub fn relay() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(1))
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

pub async fn to_leader(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(CALLER);
    // A form of the page is judged here, and what it asks for is brought to the leader.
    if page::is_form(request.uri().path()) {
        return next.run(request).await;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || face.engine.leads() == Leads::Here {
        let vouched = request.headers().contains_key(VOUCHED);
        return if vouched && !reads && needs_caller(request.uri()) {
            match believed(&face, request).await {
                Ok(request) => next.run(request).await,
                Err(problem) => problem.into_response(),
            }
        } else {
            next.run(request).await
        };
    }
    if request.headers().contains_key(PASSED_ON) {
        return nobody();
    }
    let (head, body) = match whole_request(request).await {
        Ok(whole) => whole,
        Err(problem) => return problem.into_response(),
    };
    if head.uri.path() == INTERACTIVITY {
        return slack::passed_on(&face, head, body, next).await;
    }
    relayed(face, head, body, next).await
}

/// The leader's answer; 503 where none could be had.
pub(super) async fn relayed(face: Face, head: Parts, body: Bytes, next: Next) -> Response {
    match at_leader(&face, &head, &body, None).await {
        Where::Here => next.run(Request::from_parts(head, Body::from(body))).await,
        Where::Answered(answer) => answer,
    }
}

/// Who does what was asked.
pub(super) enum Where {
    /// This daemon leads.
    Here,
    /// The leader's answer; 503 where none could be had.
    Answered(Response),
}

/// Brings a request to whoever leads. `who`: the caller, where it was judged already.
pub(super) async fn at_leader(face: &Face, head: &Parts, body: &Bytes, who: Option<&str>) -> Where {
    let deadline = tokio::time::Instant::now() + HELD;
    loop {
        match face.engine.leads() {
            Leads::Here => return Where::Here,
            Leads::There(leader) => {
                let made = async {
                    let url = address(&leader, &head.uri)?;
                    Ok::<_, Problem>((headers(face, head, &url, body, who).await?, url))
                };
                let (headers, url) = match made.await {
                    Ok(made) => made,
                    Err(problem) => return Where::Answered(problem.into_response()),
                };
                match pass_on(face, head.method.clone(), url, headers, body.clone()).await {
                    Ok(answer) => return Where::Answered(answer),
                    // Nothing was sent.
                    Err(error) if error.is_connect() => {}
                    Err(error) => {
                        tracing::warn!(leader, %error, "a request could not be passed on");
                        return Where::Answered(nobody());
                    }
                }
            }
            Leads::Nobody => {}
        }
        if tokio::time::Instant::now() >= deadline {
            return Where::Answered(nobody());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn whole_request(request: Request) -> Result<(Parts, Bytes), Problem> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LIMIT).await.map_err(|error| {
        let why = format!("the body can't be passed on: {error}");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    })?;
    Ok((head, body))
}

/// What SNS, GitHub and Render post is known by its own signature; an `Authorization` there is
/// of the address that they were given, and no token of ours.
fn needs_caller(uri: &Uri) -> bool {
    ![SNS, HOOK, RENDER].contains(&uri.path())
}

/// The address that is asked for at `leader`, as it is really sent.
fn address(leader: &str, uri: &Uri) -> Result<Url, Problem> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Url::parse(&format!("{leader}{path}")).map_err(unsigned)
}

/// What is sent on of the headers: never a token, a session or a proxy's word, but who it is.
async fn headers(
    face: &Face,
    head: &Parts,
    url: &Url,
    body: &[u8],
    who: Option<&str>,
) -> Result<HeaderMap, Problem> {
    let mut headers = sent_on(&head.headers, face.tokens.proxy());
    headers.insert(PASSED_ON, HeaderValue::from_static("1"));
    // Without a token the leader says what is needed.
    let holds_token = head.headers.contains_key(header::AUTHORIZATION);
    let who = match who {
        None if needs_caller(&head.uri) && holds_token => {
            Some(face.caller(&head.headers, Role::Read)?.name)
        }
        who => who.map(str::to_owned),
    };
    if let Some(name) = who {
        let secret = secret(face).await?;
        let (method, now) = (&head.method, clock::now());
        let vouched = vouch(secret, &name, method, url.as_str(), body, now).map_err(unsigned)?;
        headers.insert(VOUCHED, vouched);
    }
    Ok(headers)
}

/// The leader may take the word of proxies at this daemon's address, so that stays here too.
fn sent_on(asked: &HeaderMap, proxy: Option<&ProxySettings>) -> HeaderMap {
    let mut headers = asked.clone();
    for name in &OF_ONE_WAY {
        headers.remove(name);
    }
    for name in proxy.into_iter().flat_map(ProxySettings::headers) {
        headers.remove(name);
    }
    headers
}

/// The request with the name of who is vouched for.
async fn believed(face: &Face, request: Request) -> Result<Request, Problem> {
    let Some(value) = request.headers().get(VOUCHED) else { return Err(unsigned("no name")) };
    let vouched = Vouched::read(value, &face.vouched, clock::now()).map_err(distrusted)?;
    let (mut head, body) = whole_request(request).await?;
    let secret = secret(face).await?;
    let (url, used) = (address(&face.url, &head.uri)?, &face.vouched);
    let caller = vouched
        .believe(secret, &head.method, url.as_str(), &body, used, clock::now())
        .map_err(distrusted)?;
    let name = HeaderValue::from_bytes(caller.as_bytes()).map_err(unsigned)?;
    head.headers.insert(CALLER, name);
    Ok(Request::from_parts(head, Body::from(body)))
}

/// Read once: it stays what it is as long as the store does.
pub(super) async fn secret(face: &Face) -> Result<&str, Problem> {
    let read = async || {
        let fresh = random().map_err(unsigned)?;
        Ok::<_, Problem>(face.store.shared_secret(&fresh).await?)
    };
    Ok(face.secret.get_or_try_init(read).await?)
}

fn distrusted(why: Distrust) -> Problem {
    let status = match why {
        Distrust::Forged(_) => StatusCode::UNAUTHORIZED,
        Distrust::Ours(_) => {
            tracing::warn!(%why, "a request that was passed on is not taken");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    Problem::new(status, why.to_string())
}

fn unsigned(why: impl std::fmt::Display) -> Problem {
    let detail = format!("who asks can't be vouched for: {why}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

async fn pass_on(
    face: &Face,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
) -> reqwest::Result<Response> {
    let asked = face.relay.request(method, url);
    let answer = asked.headers(headers).body(body).send().await?;
    let (status, said) = (answer.status(), kept(answer.headers()));
    Ok((status, said, whole(answer).await?).into_response())
}

/// The body of an answer, up to the limit.
async fn whole(mut answer: reqwest::Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < LIMIT
        && let Some(piece) = answer.chunk().await?
    {
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The headers of an answer that mean something to whoever asked.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let names = [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE];
    names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

/// Whatever may have been sent is taken once: an announcement and an act are known again.
fn nobody() -> Response {
    let why = "no deployguard that leads could be reached; try again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_is_known_by_is_not_sent_on() {
        let names = [
            "authorization",
            "cookie",
            "x-deployguard-vouched",
            "x-deployguard-proxy-secret",
            "x-user",
            "x-groups",
            "content-type",
        ];
        let value = HeaderValue::from_static("oncall");
        let asked: HeaderMap =
            names.iter().map(|name| (HeaderName::from_static(name), value.clone())).collect();
        let text = "{ header: X-User, groups_header: X-Groups, from: [10.0.0.7] }";
        let proxy: ProxySettings = serde_norway::from_str(text).unwrap();
        let sent: Vec<HeaderName> = sent_on(&asked, Some(&proxy)).keys().cloned().collect();
        assert_eq!(sent, [header::CONTENT_TYPE]);
    }
}
