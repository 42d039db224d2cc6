//! The signature of a message: SHA-256 with RSA over SNS's canonical string.

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;
use webpki::{EndEntityCert, Error, KeyUsage};

use super::{Envelope, Kind};

/// A certificate that signs messages.
#[derive(Debug, Clone)]
pub struct Certificate(CertificateDer<'static>);

impl Certificate {
    /// Reads the first certificate of a PEM text.
    ///
    /// # Errors
    /// There is none in it.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem)
            .map_err(|error| format!("no certificate can be read: {error}"))?;
        EndEntityCert::try_from(&der).map_err(|error| format!("no certificate: {error}"))?;
        Ok(Self(der.into_owned()))
    }

    /// Whether it is in force at `now` and has signed the message.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn holds(&self, message: &Envelope, now: Timestamp) -> Result<(), String> {
        let certificate = EndEntityCert::try_from(&self.0).map_err(|error| error.to_string())?;
        in_force(&certificate, now)?;
        let signature = base64(&message.signature).ok_or("the signature is no base64")?;
        let signed = canonical(message);
        certificate
            .verify_signature(RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| "the signature is not that of the message".to_owned())
    }
}

/// The dates are the first thing that is looked at on the way to an issuer; that no
/// issuer is known is as it should be, because none is asked for.
fn in_force(certificate: &EndEntityCert<'_>, now: Timestamp) -> Result<(), String> {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let usage = KeyUsage::server_auth();
    let algorithms = [RSA_PKCS1_2048_8192_SHA256];
    match certificate.verify_for_usage(&algorithms, &[], &[], time, usage, None, None) {
        Ok(_) | Err(Error::UnknownIssuer) => Ok(()),
        Err(Error::CertExpired { .. }) => Err("the certificate has expired".to_owned()),
        Err(Error::CertNotValidYet { .. }) => Err("the certificate is not valid yet".to_owned()),
        Err(error) => Err(format!("the certificate is no use: {error}")),
    }
}

/// What is signed: the names and values of some fields in their order, a line each.
pub fn canonical(message: &Envelope) -> String {
    let kind = match message.kind {
        Kind::Notification => "Notification",
        Kind::SubscriptionConfirmation => "SubscriptionConfirmation",
        Kind::UnsubscribeConfirmation => "UnsubscribeConfirmation",
    };
    let (subject, url, token) = match message.kind {
        Kind::Notification => (message.subject.as_deref(), None, None),
        Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => {
            (None, message.subscribe_url.as_deref(), message.token.as_deref())
        }
    };
    let fields = [
        ("Message", Some(message.message.as_str())),
        ("MessageId", Some(message.message_id.as_str())),
        ("Subject", subject),
        ("SubscribeURL", url),
        ("Timestamp", Some(message.timestamp.as_str())),
        ("Token", token),
        ("TopicArn", Some(message.topic_arn.as_str())),
        ("Type", Some(kind)),
    ];
    let lines = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    lines.fold(String::new(), |text, (name, value)| text + name + "\n" + value + "\n")
}

/// Standard base64 with its padding; `None`: it is not.
pub(in crate::triggers) fn base64(text: &str) -> Option<Vec<u8>> {
    let (text, padding) = match text.trim_end_matches('=') {
        bare if text.len() - bare.len() <= 2 => (bare, text.len() - bare.len()),
        _ => return None,
    };
    if !(text.len() + padding).is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        let [_, whole @ ..] = bits.to_be_bytes();
        bytes.extend_from_slice(whole.get(..group.len().checked_sub(1)?)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_and_without_padding_and_nothing_else_is() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob")]
        {
            assert_eq!(base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for wrong in ["Z", "Zg", "Zg=", "Zm9v=", "Z===", "Zm 9", "====", "Zm9v\n"] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }
}
