//! The cookies of the page: how they are named, sent and found again.
//!
//! A session's cookie has the prefix `__Host-` wherever it travels encrypted: a browser takes
//! it from this very host alone, so none of the sites beside it can plant one.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::parts;
use crate::model::Command;
use crate::web::problem::Problem;

/// For a browser on this machine, without encryption.
const SESSION: &str = "deployguard-session";
const GUARDED_SESSION: &str = "__Host-deployguard-session";
/// What was done just before, for the one page that says so. No link can bring it along.
const DONE: &str = "deployguard-done";
/// How long that is worth saying, in seconds.
const FRESH: i64 = 10;

/// Sets the session's cookie. `seconds`: how long the browser keeps it; 0: it forgets it.
///
/// # Errors
/// `value` can't be sent.
pub fn session(value: &str, seconds: i64, is_secure: bool) -> Result<HeaderValue, String> {
    let name = if is_secure { GUARDED_SESSION } else { SESSION };
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|error| error.to_string())
}

/// The session's cookie among those that were sent. Without the prefix it is taken on this
/// machine alone.
pub fn sent_session(headers: &HeaderMap) -> Option<&str> {
    let plain = || is_to_this_machine(headers).then(|| sent(headers, SESSION)).flatten();
    sent(headers, GUARDED_SESSION).or_else(plain)
}

/// Notes what was done to a watch, for its page.
pub fn done(watch: &str, command: Command, headers: &HeaderMap) -> Option<HeaderValue> {
    of_watch(watch, command.as_str(), FRESH, headers)
}

/// What was done just before, by the browser that asks.
pub fn sent_done(headers: &HeaderMap) -> Option<Command> {
    Command::named(sent(headers, DONE)?)
}

/// That it has been said.
pub fn said(watch: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    of_watch(watch, "", 0, headers)
}

fn of_watch(watch: &str, value: &str, seconds: i64, headers: &HeaderMap) -> Option<HeaderValue> {
    let path = parts::address(watch);
    // It is no secret, so it may travel in the clear as well.
    let secure = if is_secure(headers).unwrap_or(false) { "; Secure" } else { "" };
    let text =
        format!("{DONE}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

fn sent<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = sent.flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether the cookie may travel encrypted only: always, but for a browser on this machine.
///
/// # Errors
/// The page is reached in the clear over a network: the token would be read by others, and a
/// browser would drop the cookie.
pub fn is_secure(headers: &HeaderMap) -> Result<bool, Problem> {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let (origin, is_local) = (origin.unwrap_or_default(), is_to_this_machine(headers));
    if origin.starts_with("http://") && !is_local {
        let detail = "Log in over https, or on the machine itself (http://127.0.0.1): over \
                      plain http others could read the token.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(!is_local || origin.starts_with("https://"))
}

fn is_to_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    host.is_some_and(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_travels_in_the_clear_on_this_machine_alone() {
        let of = |host: &str, origin: &str| {
            is_secure(&headers(&[(header::HOST, host), (header::ORIGIN, origin)])).ok()
        };
        assert_eq!(of("127.0.0.1:8080", "http://127.0.0.1:8080"), Some(false));
        assert_eq!(of("[::1]:8080", "http://[::1]:8080"), Some(false));
        assert_eq!(of("localhost", "http://localhost"), Some(false));
        assert_eq!(of("localhost", "https://localhost"), Some(true));
        assert_eq!(of("guard.example", "https://guard.example"), Some(true));
        assert_eq!(of("guard.example", "http://guard.example"), None);
        assert_eq!(of("localhost.evil.example", "http://localhost.evil.example"), None);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(sent_session(&HeaderMap::new()), None);
        let cookies = "a=1; deployguard-session-2=no; deployguard-session=x.y; b=2";
        let on = |host| sent_session_of(&[(header::HOST, host), (header::COOKIE, cookies)]);
        assert_eq!(on("127.0.0.1:8080").as_deref(), Some("x.y"));
        assert_eq!(on("guard.example"), None, "a site beside it may have planted that");
        let both = format!("{cookies}; __Host-deployguard-session=z");
        for host in ["127.0.0.1:8080", "guard.example"] {
            let found = sent_session_of(&[(header::HOST, host), (header::COOKIE, &both)]);
            assert_eq!(found.as_deref(), Some("z"), "{host}");
        }
    }

    fn sent_session_of(pairs: &[(header::HeaderName, &str)]) -> Option<String> {
        sent_session(&headers(pairs)).map(str::to_owned)
    }

    #[test]
    fn what_was_done_is_noted_for_that_watch_and_a_moment() {
        let local = headers(&[(header::HOST, "127.0.0.1:8080")]);
        let note = done("a b", Command::Hold, &local).unwrap();
        let parts: Vec<&str> = note.to_str().unwrap().split("; ").collect();
        let noted = ["deployguard-done=hold", "Path=/watches/a%20b", "Max-Age=10", "HttpOnly"];
        assert_eq!(parts[..4], noted);
        let sent = headers(&[(header::COOKIE, parts[0])]);
        assert_eq!(sent_done(&sent), Some(Command::Hold));
    }

    #[test]
    fn an_encrypted_session_is_of_this_very_host() {
        let cookie = session("x.y", 60, true).unwrap();
        let parts: Vec<&str> = cookie.to_str().unwrap().split("; ").collect();
        assert_eq!(parts[0], "__Host-deployguard-session=x.y");
        assert!(parts.contains(&"Secure") && parts.contains(&"Path=/"), "{parts:?}");
        assert!(!parts.iter().any(|part| part.starts_with("Domain")), "{parts:?}");
        let plain = session("x.y", 60, false).unwrap();
        assert!(plain.to_str().unwrap().starts_with("deployguard-session=x.y; "), "{plain:?}");
    }
}
