//! Who asks, vouched for by the daemon that passes the request on.
//!
//! Daemons reach each other by plain http, so a token must not travel between them: it
//! would be good for anything, for ever. Whoever stands by judges the token itself and
//! passes on only the caller's name, signed (HMAC-SHA-256, RFC 2104) together with method,
//! address, body, time and a number used once. The secret lies in the store that both
//! share; who can read it there could write there too. What is overheard can't be used
//! again, nor changed. It can be read: who needs that secret encrypts the way between.
//!
//! What the caller may do is looked up by the leader in its own settings.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The signature of what was passed on.
pub const VOUCHED: HeaderName = HeaderName::from_static("x-deployguard-vouched");
/// Within this process: the name that was vouched for. Taken off whatever comes in.
pub const CALLER: HeaderName = HeaderName::from_static("x-deployguard-caller");
/// How far the clocks of two daemons, and the way between, may lie apart.
const FRESH: SignedDuration = SignedDuration::from_secs(30);
/// Requests within twice that time; more are refused, because one that comes again could
/// not be told.
const MOST: usize = 10_000;
/// The length of SHA-256's blocks, in bytes.
const BLOCK: usize = 64;

#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    caller: String,
    at: Timestamp,
    once: String,
}

/// The numbers that were used lately, and when.
#[derive(Debug, Default)]
pub struct Used(Mutex<BTreeMap<String, Timestamp>>);

/// A fresh secret, or number used once, of 32 random bytes.
///
/// # Errors
/// The system has no randomness.
pub fn random() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| "no randomness".to_owned())?;
    Ok(hex(&bytes))
}

/// What is sent beside a request so that the leader believes who asks.
pub fn vouch(
    secret: &str,
    caller: &str,
    head: &Parts,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderValue, String> {
    let claim = Claim { caller: caller.to_owned(), at: now, once: random()? };
    let claim = serde_json::to_string(&claim).map_err(|error| error.to_string())?;
    let value = format!("{}.{}", hex(claim.as_bytes()), signature(secret, &claim, head, body));
    HeaderValue::from_str(&value).map_err(|error| error.to_string())
}

/// The caller that `value` vouches for.
///
/// # Errors
/// Why it is not believed.
pub fn believe(
    secret: &str,
    value: &HeaderValue,
    head: &Parts,
    body: &[u8],
    used: &Used,
    now: Timestamp,
) -> Result<String, &'static str> {
    let unreadable = "what it is vouched for with can't be read";
    let (claim, given) = value.to_str().ok().and_then(|v| v.split_once('.')).ok_or(unreadable)?;
    let claim = String::from_utf8(unhex(claim).ok_or(unreadable)?).map_err(|_| unreadable)?;
    let right = signature(secret, &claim, head, body);
    if !bool::from(right.as_bytes().ct_eq(given.as_bytes())) {
        return Err("it is signed wrong: do both daemons keep the same store?");
    }
    let claim: Claim = serde_json::from_str(&claim).map_err(|_| unreadable)?;
    if now.duration_since(claim.at).abs() > FRESH {
        return Err("it is too old, or the clocks of the daemons lie apart");
    }
    let mut used = used.0.lock().unwrap_or_else(PoisonError::into_inner);
    used.retain(|_, at| now.duration_since(*at).abs() <= FRESH * 2);
    if used.len() >= MOST || used.insert(claim.once, claim.at).is_some() {
        return Err("it came before, or too many came");
    }
    Ok(claim.caller)
}

fn signature(secret: &str, claim: &str, head: &Parts, body: &[u8]) -> String {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let body = hex(&Sha256::digest(body));
    // None of the lines can hold a line's end: JSON, a method, an address, a number.
    let text = format!("{claim}\n{}\n{path}\n{body}", head.method);
    hex(&hmac(secret.as_bytes(), text.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|one| one.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(path: &str) -> Parts {
        Request::post(path).body(()).unwrap().into_parts().0
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // RFC 4231, test cases 1, 2 and 6.
        let long = [0xaa; 131];
        let cases: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f",
            ),
        ];
        for (key, text, begins) in cases {
            assert!(hex(&hmac(key, text)).starts_with(begins));
        }
    }

    #[test]
    fn who_is_vouched_for_is_believed_once_and_for_this_request_alone() {
        let (used, asked) = (Used::default(), head("/api/v1/pause?x=1"));
        let value = vouch("secret", "dana \u{e9}", &asked, b"{}", at(0)).unwrap();
        let believed =
            |secret, head: &Parts, body, now| believe(secret, &value, head, body, &used, at(now));
        assert!(believed("other", &asked, &b"{}"[..], 1).is_err(), "another secret");
        assert!(believed("secret", &head("/api/v1/unpause"), b"{}", 1).is_err(), "another way");
        assert!(believed("secret", &asked, b"{ }", 1).is_err(), "another body");
        assert!(believed("secret", &asked, b"{}", 31).is_err(), "too old");
        assert!(believed("secret", &asked, b"{}", -31).is_err(), "of the future");
        assert_eq!(believed("secret", &asked, b"{}", 20).unwrap(), "dana \u{e9}");
        assert!(believed("secret", &asked, b"{}", 21).is_err(), "heard before");
        let forged = HeaderValue::from_static("7b7d.00");
        assert!(believe("secret", &forged, &asked, b"{}", &used, at(0)).is_err());
    }
}
