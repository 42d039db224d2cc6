//! What can be said of a message before anything is fetched for it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use super::{Envelope, Kind, Refusal};

/// How old a message may be, and how far its clock may be ahead of ours.
const OLDEST: SignedDuration = SignedDuration::from_hours(1);
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The address of the certificate of a message that may be checked further.
pub fn admitted(
    message: &Envelope,
    topics: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Url, Refusal> {
    let topic = &message.topic_arn;
    if !topics.contains(topic) {
        return Refusal::forged(format!("the topic `{topic}` is not in discover.sns.topics"));
    }
    if message.signature_version != "2" {
        return Refusal::forged(format!(
            "signature version {} (SHA-1) is not taken: set the topic's attribute \
             SignatureVersion to 2, `aws sns set-topic-attributes --topic-arn {topic} \
             --attribute-name SignatureVersion --attribute-value 2`",
            message.signature_version
        ));
    }
    let at: Timestamp = match message.timestamp.parse() {
        Ok(at) => at,
        Err(_) => return Refusal::forged(format!("`{}` is no time", message.timestamp)),
    };
    let age = now.duration_since(at);
    if age > OLDEST || age < -AHEAD {
        return Refusal::forged(format!("its time is {at}, and it is {now} here"));
    }
    let url = of_sns("SigningCertURL", &message.signing_cert_url, topic)?;
    let path = url.path();
    let plain = path.strip_prefix("/SimpleNotificationService-").is_some_and(|rest| {
        rest.strip_suffix(".pem")
            .is_some_and(|name| name.chars().all(|char| char.is_ascii_alphanumeric()))
    });
    if !plain || url.query().is_some() {
        return Refusal::forged(format!("SigningCertURL: `{path}` is no certificate of SNS"));
    }
    Ok(url)
}

/// Where a subscription is confirmed.
pub fn confirmation(message: &Envelope) -> Result<Url, Refusal> {
    let (Kind::SubscriptionConfirmation, Some(url)) = (message.kind, &message.subscribe_url) else {
        return Refusal::forged("there is nothing to confirm in it");
    };
    let url = of_sns("SubscribeURL", url, &message.topic_arn)?;
    let asks = |name: &str, value: &str| url.query_pairs().any(|(n, v)| n == name && v == value);
    if !asks("Action", "ConfirmSubscription") || !asks("TopicArn", &message.topic_arn) {
        return Refusal::forged("SubscribeURL does not confirm the topic's subscription");
    }
    Ok(url)
}

/// An address on SNS's own host in the topic's region, over TLS, and nothing like it.
fn of_sns(field: &str, text: &str, topic: &str) -> Result<Url, Refusal> {
    let Some(host) = host(topic) else {
        return Refusal::forged(format!("`{topic}` is no ARN of a topic"));
    };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return Refusal::forged(format!("{field}: {error}")),
    };
    let exact = url.scheme() == "https"
        && url.host_str() == Some(host.as_str())
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if exact {
        return Ok(url);
    }
    Refusal::forged(format!("{field} must be at https://{host}/: `{text}`"))
}

/// `sns.eu-west-1.amazonaws.com` of `arn:aws:sns:eu-west-1:123456789012:name`.
pub fn host(topic: &str) -> Option<String> {
    let parts: Vec<&str> = topic.split(':').collect();
    let ["arn", partition, "sns", region, account, name] = parts[..] else { return None };
    let suffix = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        _ => return None,
    };
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
    };
    (plain(region) && plain(account) && !name.is_empty()).then(|| format!("sns.{region}.{suffix}"))
}
