//! Messages of SNS: what is signed properly is taken, and each forgery is refused.

use deployguard::triggers::sns::{Envelope, Refusal, Sns};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::aws::sns::{self, CERTIFICATE_URL, TOPIC, confirmation, notification, signed};
use crate::world::now;

/// The daemon's side, and SNS's.
struct Post {
    ours: Sns,
    theirs: sns::Sns,
}

impl Post {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let theirs = sns::Sns::start().await.expect("a free port");
        let ours = Sns::new([TOPIC.to_owned()], Some(theirs.url())).expect("a client");
        Self { ours, theirs }
    }

    async fn check(&self, message: &Value) -> Result<(), Refusal> {
        self.ours.check(&read(message), now()).await
    }

    /// It must be refused for good, with these words.
    async fn refuses(&self, message: &Value, words: &str) {
        match self.check(message).await {
            Err(Refusal::Forged(why)) => assert!(why.contains(words), "{why}"),
            other => panic!("{other:?} instead of {words:?}: {message:#}"),
        }
    }
}

fn read(message: &Value) -> Envelope {
    serde_json::from_value(message.clone()).expect("an envelope")
}

fn with(mut message: Value, field: &str, value: impl Into<Value>) -> Value {
    message[field] = value.into();
    message
}

#[tokio::test]
async fn what_sns_has_signed_is_taken_and_its_certificate_fetched_once() {
    let post = Post::open().await;
    let good = notification("an event", now());
    assert_eq!(post.check(&good).await, Ok(()));
    let subject = signed(with(good.clone(), "Subject", "news"));
    assert_eq!(post.check(&subject).await, Ok(()), "a subject is signed too");
    assert_eq!(post.check(&good).await, Ok(()), "again is harmless");
    assert_eq!(post.theirs.asked(), ["/SimpleNotificationService-0123abcd.pem"]);
}

#[tokio::test]
async fn what_was_altered_is_refused() {
    let post = Post::open().await;
    let good = notification("an event", now());
    for field in ["Message", "MessageId", "Subject"] {
        let altered = with(good.clone(), field, "another");
        post.refuses(&altered, "not that of the message").await;
    }
    let later = (now() - SignedDuration::from_mins(2)).to_string();
    post.refuses(&with(good.clone(), "Timestamp", later), "not that of the message").await;
    post.refuses(&with(good.clone(), "Signature", "bm9uZQ=="), "not that of the message").await;
    post.refuses(&with(good.clone(), "Signature", "no base64"), "no base64").await;
    let kind = with(good, "Type", "UnsubscribeConfirmation");
    post.refuses(&kind, "not that of the message").await;
}

#[tokio::test]
async fn a_certificate_from_anywhere_but_the_regions_sns_is_never_fetched() {
    let post = Post::open().await;
    let file = "SimpleNotificationService-0123abcd.pem";
    let hosts = [
        "http://sns.us-east-1.amazonaws.com",
        "https://sns.eu-west-1.amazonaws.com",
        "https://sns.us-east-1.amazonaws.com.cn",
        "https://sns.us-east-1.amazonaws.com.evil.example",
        "https://evil.example/sns.us-east-1.amazonaws.com",
        "https://sns.us-east-1.amazonaws.com@evil.example",
        "https://user@sns.us-east-1.amazonaws.com",
        "https://sns.us-east-1.amazonaws.com:8443",
        "https://xsns.us-east-1.amazonaws.com",
        "https://bucket.s3.amazonaws.com",
        "ftp://sns.us-east-1.amazonaws.com",
    ];
    for host in hosts {
        let url = format!("{host}/{file}");
        let forged = signed(with(notification("x", now()), "SigningCertURL", url));
        post.refuses(&forged, "must be at https://sns.us-east-1.amazonaws.com/").await;
    }
    let base = "https://sns.us-east-1.amazonaws.com";
    for path in [
        "/?Action=Publish",
        "/mine.pem",
        &format!("/{file}?x=1"),
        "/SimpleNotificationService-../x.pem",
    ] {
        let url = format!("{base}{path}");
        let forged = signed(with(notification("x", now()), "SigningCertURL", url));
        post.refuses(&forged, "is no certificate of SNS").await;
    }
    assert_eq!(post.theirs.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn another_topic_an_old_time_and_the_old_signature_are_refused_before_anything_is_fetched() {
    let post = Post::open().await;
    let topic = "arn:aws:sns:us-east-1:999999999999:ecs-deployments";
    let unknown = signed(with(notification("x", now()), "TopicArn", topic));
    post.refuses(&unknown, "is not in discover.sns.topics").await;
    let old = notification("x", now() - SignedDuration::from_mins(61));
    post.refuses(&old, "its time is").await;
    let ahead = notification("x", now() + SignedDuration::from_mins(6));
    post.refuses(&ahead, "its time is").await;
    let version = with(notification("x", now()), "SignatureVersion", "1");
    post.refuses(&version, "--attribute-name SignatureVersion --attribute-value 2").await;
    assert_eq!(post.theirs.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_certificate_counts_only_between_its_dates() {
    let post = Post::open().await;
    let url = CERTIFICATE_URL.replace("0123abcd", "expired");
    let old = signed(with(notification("x", now()), "SigningCertURL", url));
    post.refuses(&old, "the certificate has expired").await;
    let early: Timestamp = "2019-06-01T00:00:00Z".parse().expect("a time");
    let message = read(&notification("x", early));
    let refused = post.ours.check(&message, early).await.expect_err("not valid yet");
    assert!(refused.to_string().contains("not valid yet"), "{refused}");
}

#[tokio::test]
async fn without_its_certificate_a_message_is_put_off_and_not_refused() {
    let post = Post::open().await;
    let url = CERTIFICATE_URL.replace("0123abcd", "missing");
    let message = signed(with(notification("x", now()), "SigningCertURL", url));
    let Err(Refusal::Unknown(why)) = post.check(&message).await else { panic!("it is there") };
    assert!(why.contains("404"), "{why}");
}

#[tokio::test]
async fn a_subscription_is_confirmed_at_sns_and_nowhere_else() {
    let post = Post::open().await;
    let asked = confirmation(now());
    assert_eq!(post.check(&asked).await, Ok(()));
    assert_eq!(post.ours.confirm(&read(&asked)).await, Ok(()));
    let query = format!("/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37");
    assert_eq!(post.theirs.asked().last(), Some(&query));
    let before = post.theirs.asked().len();
    let addresses = [
        "http://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription".to_owned(),
        format!("https://evil.example{query}"),
        format!("https://sns.us-east-1.amazonaws.com/?Action=Publish&TopicArn={TOPIC}"),
        "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:other".into(),
    ];
    for address in addresses {
        // Signed: even SNS's own word sends us nowhere else.
        let forged = signed(with(asked.clone(), "SubscribeURL", json!(address)));
        let refused = post.ours.confirm(&read(&forged)).await;
        assert!(matches!(refused, Err(Refusal::Forged(_))), "{address}: {refused:?}");
    }
    assert_eq!(post.theirs.asked().len(), before);
}
