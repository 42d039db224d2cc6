//! A topic of SNS: signs what it brings, and answers at what would be SNS's host: the
//! certificate, and the address that confirms a subscription.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::world::lock;
use crate::world::server::Server;

/// The certificate that is in force, and one that was: both of the same key.
pub const CERTIFICATE: &str = include_str!("sns_keys/certificate.pem");
pub const EXPIRED: &str = include_str!("sns_keys/expired.pem");
const KEY: &str = include_str!("sns_keys/key.pem");

/// The topic's ARN.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:ecs-deployments";
/// Where its certificate is said to be.
pub const CERTIFICATE_URL: &str =
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123abcd.pem";
const EXPIRED_PATH: &str = "SimpleNotificationService-expired.pem";

/// What stands at SNS's host; it ends when dropped.
pub struct Sns {
    server: Server,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sns {
    /// Starts it on a free port.
    pub async fn start() -> io::Result<Self> {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let router = Router::new()
            .route("/", get(confirm))
            .route("/{file}", get(certificate))
            .with_state(asked.clone());
        Ok(Self { server: Server::start(router).await?, asked })
    }

    /// Its address, for `DEPLOYGUARD_TEST_SNS`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What was asked of it: paths, and queries.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

async fn confirm(
    State(asked): State<Arc<Mutex<Vec<String>>>>,
    RawQuery(query): RawQuery,
) -> &'static str {
    lock(&asked).push(format!("/?{}", query.unwrap_or_default()));
    "<ConfirmSubscriptionResponse/>"
}

async fn certificate(
    State(asked): State<Arc<Mutex<Vec<String>>>>,
    Path(file): Path<String>,
) -> (StatusCode, &'static str) {
    lock(&asked).push(format!("/{file}"));
    match file.as_str() {
        EXPIRED_PATH => (StatusCode::OK, EXPIRED),
        "SimpleNotificationService-0123abcd.pem" => (StatusCode::OK, CERTIFICATE),
        _ => (StatusCode::NOT_FOUND, ""),
    }
}

/// A message of the topic, signed.
pub fn notification(message: &str, at: Timestamp) -> Value {
    signed(json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message,
        "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe",
    }))
}

/// The message that asks to confirm a subscription, signed.
pub fn confirmation(at: Timestamp) -> Value {
    let mut message = notification("You have chosen to subscribe to the topic.", at);
    message["Type"] = json!("SubscriptionConfirmation");
    message["Token"] = json!("2336412f37");
    message["SubscribeURL"] = json!(format!(
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
    ));
    signed(message)
}

/// The message with a signature over what it says now.
pub fn signed(mut message: Value) -> Value {
    let signature = sign(canonical(&message).as_bytes());
    message["Signature"] = json!(base64(&signature));
    message
}

/// The fields that SNS signs, in the order of AWS's documentation.
fn canonical(message: &Value) -> String {
    let names: &[&str] = if message["Type"] == "Notification" {
        &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    } else {
        &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    };
    let lines = names.iter().filter_map(|name| Some((name, message[*name].as_str()?)));
    lines.fold(String::new(), |text, (name, value)| text + name + "\n" + value + "\n")
}

fn sign(text: &[u8]) -> Vec<u8> {
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let key = any_supported_type(&key).expect("an RSA key");
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).expect("RSA");
    signer.sign(text).expect("signed")
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            let sign = char::from(SIGNS[index as usize]);
            text.push(if place <= group.len() { sign } else { '=' });
        }
    }
    text
}
