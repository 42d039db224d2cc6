//! What Render posts to us, and whether it really is from Render.
//!
//! Signed as Standard Webhooks say: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64. An event
//! is only a hint at a service that is worth a look; the poller finds every deploy anyway.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;

use super::sns::base64;
use crate::model::ServiceKey;

/// How old, or how far ahead, an event may be, in seconds.
const LATE: i64 = 5 * 60;

/// Why Render has not sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("the signature is not Render's: see render.webhook_secret of the target")]
    Signature,
    #[error("webhook-timestamp is more than five minutes off")]
    Time,
    #[error("it lacks webhook-id, webhook-timestamp or webhook-signature")]
    Unsigned,
}

/// The headers of an event.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: &'a str,
    /// `v1,BASE64`, several with blanks between them while a secret is changed.
    pub signature: &'a str,
}

/// A workspace whose events are taken.
pub struct Workspace {
    target: String,
    name: String,
    groups: BTreeMap<String, Vec<String>>,
    key: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, as Render says.
    #[serde(default)]
    pub timestamp: Option<String>,
    pub data: About,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    pub service_id: String,
    #[serde(default)]
    pub service_name: Option<String>,
    #[serde(default)]
    pub status: Option<String>,
}

impl Event {
    /// The cron job whose run has ended, and whether well.
    pub fn run(&self) -> Option<(&str, bool)> {
        let ended = self.kind == "cron_job_run_ended";
        let job = self.data.service_name.as_deref().filter(|_| ended)?;
        Some((job, self.data.status.as_deref() == Some("succeeded")))
    }

    /// When it happened: as it says, unless that is no time or later than `now`, at which it
    /// came. It may come again and again until somebody takes it.
    pub fn at(&self, now: Timestamp) -> Timestamp {
        let own = self.timestamp.as_ref().and_then(|text| text.parse::<Timestamp>().ok());
        own.map_or(now, |own| own.min(now))
    }

    /// Whether something has begun or ended to be deployed.
    pub fn is_of_a_deploy(&self) -> bool {
        matches!(self.kind.as_str(), "deploy_started" | "deploy_ended")
    }
}

impl Workspace {
    /// `secret`: as Render shows it, `whsec_...`.
    ///
    /// # Errors
    /// It is none.
    pub fn new(
        target: &str,
        name: &str,
        groups: &BTreeMap<String, Vec<String>>,
        secret: &str,
    ) -> Result<Self, String> {
        let coded = secret.strip_prefix("whsec_").unwrap_or(secret);
        let key = base64(coded).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| {
            format!("targets.{target}.render.webhook_secret is none: it looks like `whsec_...`")
        })?;
        Ok(Self { target: target.to_owned(), name: name.to_owned(), groups: groups.clone(), key })
    }

    /// # Errors
    /// It is not from Render, or not lately.
    pub fn check(&self, stamp: Stamp, body: &[u8], now: Timestamp) -> Result<(), Forged> {
        let Stamp { id, timestamp, signature } = stamp;
        if id.is_empty() || signature.is_empty() {
            return Err(Forged::Unsigned);
        }
        let sent: i64 = timestamp.parse().map_err(|_| Forged::Unsigned)?;
        if now.as_second().abs_diff(sent) > LATE.unsigned_abs() {
            return Err(Forged::Time);
        }
        let mut signatures = signature.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let holds = |coded: &str| {
            let Some(given) = base64(coded) else { return false };
            let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return false };
            hmac.update(format!("{id}.{timestamp}.").as_bytes());
            hmac.update(body);
            hmac.verify_slice(&given).is_ok()
        };
        if signatures.any(holds) { Ok(()) } else { Err(Forged::Signature) }
    }

    /// The group, or the service by itself, that an event is about; `None`: it does not say.
    pub fn key(&self, about: &About) -> Option<ServiceKey> {
        let is_member = |named: &String| {
            *named == about.service_id || about.service_name.as_ref() == Some(named)
        };
        let mut groups = self.groups.iter();
        let group = groups.find(|(_, members)| members.iter().any(is_member));
        let service = group.map(|(name, _)| name.clone()).or_else(|| about.service_name.clone())?;
        Some(ServiceKey { target: self.target.clone(), cluster: self.name.clone(), service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"type":"deploy_ended","timestamp":"2026-11-21T22:00:00Z","data":{"id":"evt-1","serviceId":"srv-2","serviceName":"taskforge-worker","status":"succeeded"}}"#;
    /// Made with another library, at 1614265330 with the id `msg_1`.
    const SIGNED: &str = "v1,3q8HgKaR2c9s1IDi+/x2fx/KVvXCwRkU6DiQrMEdYQs=";

    fn workspace(secret: &str) -> Workspace {
        let members = vec!["srv-1".to_owned(), "taskforge-worker".to_owned()];
        let groups = BTreeMap::from([("taskforge".to_owned(), members)]);
        Workspace::new("render", "taskforge", &groups, secret).unwrap()
    }

    fn check(signature: &str, body: &[u8], late: i64) -> Result<(), Forged> {
        let now = Timestamp::from_second(1_614_265_330 + late).unwrap();
        let stamp = Stamp { id: "msg_1", timestamp: "1614265330", signature };
        workspace(SECRET).check(stamp, body, now)
    }

    #[test]
    fn what_render_has_signed_lately_is_taken_and_nothing_else() {
        assert_eq!(check(SIGNED, BODY, 299), Ok(()));
        assert_eq!(check(&format!("v2,x v1,AAAA {SIGNED}"), BODY, -299), Ok(()));
        assert_eq!(check(SIGNED, BODY, 301), Err(Forged::Time));
        assert_eq!(check(SIGNED, b"{}", 0), Err(Forged::Signature));
        for forged in ["v1,AAAA", "v1,", "v2,x", "AAAA"] {
            assert_eq!(check(forged, BODY, 0), Err(Forged::Signature), "{forged}");
        }
        assert_eq!(check("", BODY, 0), Err(Forged::Unsigned));
        assert!(Workspace::new("a", "b", &BTreeMap::new(), "whsec_").is_err());
    }

    #[test]
    fn the_example_of_standard_webhooks_holds() {
        let stamp = Stamp {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: "1614265330",
            signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        };
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        assert_eq!(workspace(SECRET).check(stamp, br#"{"test": 2432232314}"#, now), Ok(()));
    }

    #[test]
    fn an_event_happened_when_it_says_that_it_did() {
        let event: Event = serde_json::from_slice(BODY).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-21T22:40:00Z");
        assert_eq!(event.at(now), at("2026-11-21T22:00:00Z"));
        assert_eq!(event.at(at("2026-11-21T21:00:00Z")), at("2026-11-21T21:00:00Z"));
        for odd in [None, Some("yesterday".to_owned())] {
            assert_eq!(Event { timestamp: odd, ..event.clone() }.at(now), now);
        }
    }

    #[test]
    fn an_event_is_about_the_group_of_its_service() {
        let event: Event = serde_json::from_slice(BODY).unwrap();
        assert!(event.is_of_a_deploy());
        let key = |id: &str, name: Option<&str>| {
            let (service_id, service_name) = (id.to_owned(), name.map(str::to_owned));
            let about = About { service_id, service_name, status: None };
            workspace(SECRET).key(&about).map(|key| key.service)
        };
        assert_eq!(
            workspace(SECRET).key(&event.data).unwrap().to_string(),
            "render/taskforge/taskforge"
        );
        assert_eq!(key("srv-1", None).as_deref(), Some("taskforge"));
        assert_eq!(key("srv-9", Some("other")).as_deref(), Some("other"));
        assert_eq!(key("srv-9", None), None);
    }
}
