//! Who asks, vouched for by the daemon that passes the request on.
//!
//! Daemons reach each other by plain http, so a token must not travel between them: it
//! would be good for anything, for ever. Whoever stands by judges the token itself and
//! passes on only the caller's name, signed (HMAC-SHA-256, RFC 2104) together with method,
//! the whole address, body, time and a number used once. The secret lies in the store that
//! both share; who can read it there could write there too. What is overheard can't be
//! changed, nor used again: not there, because the number is known, not elsewhere, because
//! the leader's advertised address is signed, and not after a restart, because what is older
//! than the process is not believed. It can be read: who needs that secret encrypts the way
//! between.
//!
//! What the caller may do is looked up by the leader in its own settings.
//!
//! A leader of a version before this one does not know the header and answers 401; during
//! such an update hooks and acts have to reach the leader itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderName, HeaderValue, Method};
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
#[derive(Debug)]
pub struct Used {
    /// What was vouched for before may have been used before this process began.
    since: Timestamp,
    numbers: Mutex<BTreeMap<String, Timestamp>>,
}

impl Used {
    pub fn since(now: Timestamp) -> Self {
        Self { since: now, numbers: Mutex::default() }
    }
}

/// Why nobody is believed to be asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// No daemon sent it, or it was heard before.
    #[error("{0}")]
    Forged(&'static str),
    /// What may be the daemons' own trouble, and not the caller's.
    #[error("daemons can't trust each other: {0}")]
    Ours(&'static str),
}

/// What a request is vouched for with, neither stale nor checked yet.
#[derive(Debug)]
pub struct Vouched {
    claim: Claim,
    text: String,
    signature: String,
}

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

/// What is sent beside a request to `url` so that the leader believes who asks.
///
/// # Errors
/// There is no randomness, or the name can't be sent.
pub fn vouch(
    secret: &str,
    caller: &str,
    method: &Method,
    url: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<HeaderValue, String> {
    let claim = Claim { caller: caller.to_owned(), at: now, once: random()? };
    let claim = serde_json::to_string(&claim).map_err(|error| error.to_string())?;
    let signature = signature(secret, &claim, method, url, body);
    let value = format!("{}.{signature}", hex(claim.as_bytes()));
    HeaderValue::from_str(&value).map_err(|error| error.to_string())
}

impl Vouched {
    /// Reads `value`, which costs neither the body nor the store.
    ///
    /// # Errors
    /// It can't be read, or is not of now.
    pub fn read(value: &HeaderValue, used: &Used, now: Timestamp) -> Result<Self, Distrust> {
        let unreadable = Distrust::Forged("what it is vouched for with can't be read");
        let parts = value.to_str().ok().and_then(|value| {
            let (claim, signature) = value.split_once('.')?;
            let text = String::from_utf8(unhex(claim)?).ok()?;
            Some((serde_json::from_str(&text).ok()?, text, signature.to_owned()))
        });
        let (claim, text, signature): (Claim, _, _) = parts.ok_or(unreadable)?;
        if now.duration_since(claim.at).abs() > FRESH {
            return Err(Distrust::Ours("what was passed on is too old, or their clocks lie apart"));
        }
        if claim.at < used.since {
            let why =
                "what was passed on is older than the one that leads, or their clocks lie apart";
            return Err(Distrust::Ours(why));
        }
        Ok(Self { claim, text, signature })
    }

    /// The caller. `url`: where the request was sent, by this daemon's own address.
    ///
    /// # Errors
    /// It is signed wrong, or was used before.
    pub fn believe(
        self,
        secret: &str,
        method: &Method,
        url: &str,
        body: &[u8],
        used: &Used,
        now: Timestamp,
    ) -> Result<String, Distrust> {
        let right = signature(secret, &self.text, method, url, body);
        if !bool::from(right.as_bytes().ct_eq(self.signature.as_bytes())) {
            let why = "it is signed wrong: do both keep the same store, and is what this one \
                       advertises where it is reached?";
            return Err(Distrust::Ours(why));
        }
        let mut numbers = used.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.retain(|_, at| now.duration_since(*at).abs() <= FRESH * 2);
        if numbers.contains_key(&self.claim.once) {
            return Err(Distrust::Forged("it came before"));
        }
        if numbers.len() >= MOST {
            return Err(Distrust::Ours("too many requests were passed on within a minute"));
        }
        numbers.insert(self.claim.once, self.claim.at);
        Ok(self.claim.caller)
    }
}

fn signature(secret: &str, claim: &str, method: &Method, url: &str, body: &[u8]) -> String {
    let body = hex(&Sha256::digest(body));
    // None of the lines can hold a line's end: JSON, a method, an address, a number.
    let text = format!("{claim}\n{method}\n{url}\n{body}");
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

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|one| one.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://10.0.0.1:8080/api/v1/pause?x=1";

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
        let used = Used::since(at(-60));
        let value = vouch("secret", "dana \u{e9}", &Method::POST, HERE, b"{}", at(0)).unwrap();
        let believed = |secret, method: Method, url, body: &str, used: &Used, now| {
            let vouched = Vouched::read(&value, used, at(now))?;
            vouched.believe(secret, &method, url, body.as_bytes(), used, at(now))
        };
        let right = |used: &Used, now| believed("secret", Method::POST, HERE, "{}", used, now);
        let ours = |result| matches!(result, Err(Distrust::Ours(_)));
        assert!(ours(believed("other", Method::POST, HERE, "{}", &used, 1)), "another secret");
        assert!(ours(believed("secret", Method::PUT, HERE, "{}", &used, 1)), "another method");
        let there = HERE.replace("0.1:", "0.2:");
        assert!(ours(believed("secret", Method::POST, &there, "{}", &used, 1)), "another leader");
        let unpause = HERE.replace("pause", "unpause");
        assert!(ours(believed("secret", Method::POST, &unpause, "{}", &used, 1)), "another way");
        assert!(ours(believed("secret", Method::POST, HERE, "{ }", &used, 1)), "another body");
        assert!(ours(right(&used, 31)), "too old");
        assert!(ours(right(&used, -31)), "of the future");
        assert_eq!(right(&used, 20).unwrap(), "dana \u{e9}");
        assert_eq!(right(&used, 21), Err(Distrust::Forged("it came before")));
        assert!(ours(right(&Used::since(at(1)), 21)), "after a restart nothing is known of it");
        assert_eq!(right(&Used::since(at(0)), 21).unwrap(), "dana \u{e9}");
        for forged in ["7b7d.00", "7b7d", "no name", "zz.00"] {
            let read = Vouched::read(&HeaderValue::from_static(forged), &used, at(0));
            assert!(matches!(read, Err(Distrust::Forged(_))), "{forged}");
        }
    }
}
