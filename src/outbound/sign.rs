//! The signature of what is sent to a webhook.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

/// `t=SECONDS,v1=HEX`.
///
/// # Errors
/// None with HMAC, which takes a key of any length.
pub fn signature(secret: &str, at: Timestamp, body: &[u8]) -> Result<String, String> {
    let seconds = at.as_second();
    let hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mut hmac = hmac.map_err(|why| why.to_string())?;
    hmac.update(format!("{seconds}.").as_bytes());
    hmac.update(body);
    let digest = hmac.finalize().into_bytes();
    let hex = digest.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(format!("t={seconds},v1={hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_the_time_and_the_body() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature("secret", at, br#"{"a":1}"#).unwrap(),
            "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
    }
}
