//! GitHub's signature: HMAC-SHA256 of the raw body, as `sha256=HEX`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The secrets that a webhook may be signed with: several while one takes another's place.
#[derive(Clone)]
pub struct Secrets(Vec<Hmac<Sha256>>);

/// Why GitHub has not sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error(
        "it has no X-Hub-Signature-256: give the webhook at GitHub the secret of \
         github.webhook_secrets"
    )]
    Unsigned,
    #[error("the signature is not that of a secret in github.webhook_secrets")]
    Signature,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// # Errors
    /// One is no key.
    pub fn of<'a>(secrets: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let key = |secret: &str| Hmac::new_from_slice(secret.as_bytes());
        let keys = secrets.map(|secret| key(secret).map_err(|why| why.to_string()));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Compared with every secret in constant time.
    pub fn check(&self, signature: Option<&str>, body: &[u8]) -> Result<(), Forged> {
        let hex = signature.ok_or(Forged::Unsigned)?.strip_prefix("sha256=");
        let signed = hex.and_then(bytes).ok_or(Forged::Signature)?;
        let mut good = false;
        for key in &self.0 {
            let mut key = key.clone();
            key.update(body);
            good |= key.verify_slice(&signed).is_ok();
        }
        if good { Ok(()) } else { Err(Forged::Signature) }
    }
}

/// 32 bytes in hexadecimal.
fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's own page on signatures.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_own_example_is_signed_by_any_of_the_secrets() {
        let check = |secrets: &[&str], signature, body| {
            Secrets::of(secrets.iter().copied()).unwrap().check(signature, body)
        };
        assert_eq!(check(&[SECRET], Some(SIGNED), BODY), Ok(()));
        assert_eq!(check(&["the next one", SECRET], Some(SIGNED), BODY), Ok(()), "in rotation");
        assert_eq!(check(&[SECRET], Some(SIGNED), b"Hello, World?"), Err(Forged::Signature));
        assert_eq!(check(&["another"], Some(SIGNED), BODY), Err(Forged::Signature));
        assert_eq!(check(&[], Some(SIGNED), BODY), Err(Forged::Signature), "nobody may sign");
        assert_eq!(check(&[SECRET], None, BODY), Err(Forged::Unsigned));
        for wrong in ["", "sha256=", "sha1=757107ea0eb2509fc211", &SIGNED[..70], "sha256=é"] {
            assert_eq!(check(&[SECRET], Some(wrong), BODY), Err(Forged::Signature), "{wrong}");
        }
    }
}
