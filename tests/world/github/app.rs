//! Apps: who they are by their own word, and the tokens that they get.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::SignedDuration;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::api::answer;
use super::{REPOSITORY, Shared};
use crate::world::{lock, now};

/// An App's id, and its private key.
pub const ID: u64 = 12345;
pub const KEY: &str = include_str!("../aws/sns_keys/key.pem");
/// Holds the public key.
const CERTIFICATE: &str = include_str!("../aws/sns_keys/certificate.pem");
const INSTALLATION: u64 = 678;

pub(super) async fn installation(
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    lock(&shared.known).calls.push("GET installation".to_owned());
    match is_ours(&headers) {
        Err(why) => answer(401, &json!({ "message": why })),
        Ok(()) if format!("{owner}/{name}") == REPOSITORY => {
            answer(200, &json!({ "id": INSTALLATION }))
        }
        Ok(()) => answer(404, &json!({ "message": "Not Found" })),
    }
}

pub(super) async fn grant(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut known = lock(&shared.known);
    known.calls.push("POST access_tokens".to_owned());
    if let Err(why) = is_ours(&headers) {
        return answer(401, &json!({ "message": why }));
    }
    if id != INSTALLATION || body["repositories"] != json!(["shopflow"]) {
        return answer(404, &json!({ "message": "Not Found" }));
    }
    let token = format!("ghs_{}", known.tokens.len());
    known.tokens.push(token.clone());
    let until = (now() + SignedDuration::from_hours(1)).to_string();
    answer(201, &json!({ "token": token, "expires_at": until, "permissions": {} }))
}

/// Whether it carries a word that the App has signed, and that is good now.
fn is_ours(headers: &HeaderMap) -> Result<(), &'static str> {
    let none = "A JSON web token could not be decoded";
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let word = given.and_then(|value| value.strip_prefix("Bearer ")).ok_or(none)?;
    let (signed, signature) = word.rsplit_once('.').ok_or(none)?;
    let (head, claims) = signed.split_once('.').ok_or(none)?;
    let read = |part: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decoded(part).ok_or(none)?).map_err(|_| none)
    };
    let (head, claims) = (read(head)?, read(claims)?);
    let time = |key: &str| claims[key].as_i64().ok_or(none);
    let (issued, until, now) = (time("iat")?, time("exp")?, now().as_second());
    if head["alg"] != "RS256" || claims["iss"] != json!(ID.to_string()) {
        return Err(none);
    }
    if issued > now || until <= now || until - now > 600 {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).map_err(|_| none)?;
    let certificate = webpki::EndEntityCert::try_from(&certificate).map_err(|_| none)?;
    let signature = decoded(signature).ok_or(none)?;
    let algorithm = webpki::ring::RSA_PKCS1_2048_8192_SHA256;
    certificate.verify_signature(algorithm, signed.as_bytes(), &signature).map_err(|_| none)
}

/// Base64 for addresses, without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
        bits &= 0xffff;
    }
    Some(bytes)
}
