//! Who can be told elsewhere than in Slack, by the names that policies use.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::bail;
use lettre::message::Mailbox;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use super::{Secret, Settings};

/// The longest list of addresses behind one name.
const MOST_ADDRESSES: usize = 50;
/// Headers that the guard sets itself, or that belong to the connection.
const OURS: [&str; 6] =
    ["host", "content-type", "content-length", "connection", "transfer-encoding", "user-agent"];

/// One service of PagerDuty's, by its integration of the Events API v2.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ routing_key: { env: NAME } }`")]
pub struct PagerDutySettings {
    pub routing_key: Secret,
    /// Another address than PagerDuty's, such as its EU region's.
    #[serde(default = "pagerduty_events", deserialize_with = "web")]
    pub url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ url: https://HOST/PATH, secret: { env: NAME } }`")]
pub struct WebhookSettings {
    #[serde(deserialize_with = "web")]
    pub url: String,
    /// What the deliveries are signed with.
    pub secret: Secret,
    #[serde(default)]
    pub format: WebhookFormat,
    /// Sent along; from the environment or a file, because a token may stand there.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// In whose words a webhook is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    #[default]
    Generic,
    CdEvents,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a mail server and lists: `{ smtp: { url: smtps://HOST }, from: ADDRESS, to: { NAME: [ADDRESS] } }`"
)]
pub struct EmailSettings {
    pub smtp: SmtpSettings,
    /// `deployguard <deployguard@example.com>`.
    #[serde(deserialize_with = "mailbox")]
    pub from: Mailbox,
    #[serde(deserialize_with = "lists")]
    pub to: BTreeMap<String, Vec<Mailbox>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ url: smtps://HOST, user: NAME, password: { env: NAME } }`"
)]
pub struct SmtpSettings {
    /// `smtps://HOST` (port 465), or `smtp://HOST` (587), where STARTTLS is required.
    pub url: String,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// No TLS, for a relay in the same network. Never with a password.
    #[serde(default)]
    pub insecure: bool,
}

/// A mail server as its settings mean it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    pub host: String,
    pub port: u16,
    /// TLS from the first byte on.
    pub implicit_tls: bool,
    /// No TLS at all.
    pub clear: bool,
}

impl SmtpSettings {
    /// # Errors
    /// What is wrong with it, in words.
    pub fn relay(&self) -> anyhow::Result<Relay> {
        const KEY: &str = "email.smtp.url";
        let url = Url::parse(&self.url).ok();
        let (url, implicit_tls) = match url.as_ref().map(Url::scheme) {
            Some("smtps") => (url, true),
            Some("smtp") => (url, false),
            Some(_) | None => (None, false),
        };
        let Some(url) = url else {
            let host = self.url.rsplit("://").next().unwrap_or_default();
            let host = if is_host(host) { host } else { "HOST:587" };
            bail!(
                "{KEY} is no mail server's address: write `smtp://{host}`, which asks for \
                 STARTTLS, or `smtps://HOST` for TLS from the first byte on"
            );
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            bail!("{KEY}: `{}` names no host", self.url);
        };
        if !url.username().is_empty() || url.password().is_some() {
            bail!("{KEY}: give `user` and `password` beside it, the password as a secret");
        }
        if url.path().len() > 1 || url.query().is_some() {
            bail!("{KEY}: nothing follows the host and the port");
        }
        let port = url.port().unwrap_or(if implicit_tls { 465 } else { 587 });
        let here = is_loopback(&url);
        let clear = !implicit_tls && (self.insecure || here);
        if clear && !here && self.password.is_some() {
            bail!("email.smtp: insecure and a password: it would travel in clear");
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Relay { host, port, implicit_tls, clear })
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.user.is_some() != self.password.is_some() {
            bail!("email.smtp: user and password belong together");
        }
        self.relay().map(drop)
    }
}

impl Settings {
    pub(super) fn check_called(&self) -> anyhow::Result<()> {
        for (name, one) in &self.pagerduty {
            let key = format!("pagerduty.{name}");
            name_fits("pagerduty", name)?;
            let routing_key = one.routing_key.expose();
            if routing_key.len() != 32 || !routing_key.bytes().all(|b| b.is_ascii_alphanumeric()) {
                bail!(
                    "{key}.routing_key: an integration key of the Events API v2 has 32 letters \
                     and digits"
                );
            }
        }
        for (name, one) in &self.webhooks {
            let key = format!("webhooks.{name}");
            name_fits("webhooks", name)?;
            if one.secret.expose().len() < 16 {
                bail!("{key}.secret is shorter than 16 characters: anybody could sign like you");
            }
            for (header, value) in &one.headers {
                let lower = header.to_ascii_lowercase();
                let ours = OURS.contains(&lower.as_str()) || lower.starts_with("x-deployguard-");
                if ours || HeaderName::try_from(header.as_str()).is_err() {
                    bail!("{key}.headers: `{header}` is no header that can be added");
                }
                if HeaderValue::from_str(value.expose()).is_err() {
                    bail!("{key}.headers.{header}: no header can have such a value");
                }
            }
        }
        if let Some(email) = &self.email {
            email.smtp.check()?;
            for (name, addresses) in &email.to {
                name_fits("email.to", name)?;
                if addresses.is_empty() || addresses.len() > MOST_ADDRESSES {
                    bail!("email.to.{name}: give 1 to {MOST_ADDRESSES} addresses");
                }
            }
        }
        Ok(())
    }
}

/// As a policy can name it: `pagerduty:NAME`.
fn name_fits(key: &str, name: &str) -> anyhow::Result<()> {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(fits) {
        bail!("{key}: `{name}` is no name: letters, digits, `-`, `_` and `.`");
    }
    Ok(())
}

/// A host with or without a port, and nothing that may be a secret.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|char| char.is_ascii_alphanumeric() || ".-:".contains(char))
}

/// Whether what is sent there is sent over TLS, and the address holds no password. What it
/// says never shows the address: it may be a secret by itself.
fn is_safe(text: &str) -> anyhow::Result<()> {
    let Ok(url) = Url::parse(text) else {
        bail!("it is no URL: begin with https://, as in https://HOST/PATH");
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        bail!("it must be https: what is told would travel in clear");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("no user and password in it: give them as a header, from a secret");
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// Refused where it is read, so that it is told with its key and line.
pub(super) fn web<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    struct Web;
    impl Visitor<'_> for Web {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a URL: https://HOST/PATH")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            is_safe(text).map_err(E::custom)?;
            Ok(text.to_owned())
        }
    }
    from.deserialize_str(Web)
}

fn mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Mailbox, D::Error> {
    let text = String::deserialize(from)?;
    address(&text).map_err(serde::de::Error::custom)
}

fn lists<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<Mailbox>>, D::Error> {
    let lists: BTreeMap<String, Vec<String>> = BTreeMap::deserialize(from)?;
    let read = |texts: &[String]| -> Result<Vec<Mailbox>, String> {
        texts.iter().map(|text| address(text)).collect()
    };
    let lists = lists.iter().map(|(name, texts)| Ok((name.clone(), read(texts)?)));
    lists.collect::<Result<_, String>>().map_err(serde::de::Error::custom)
}

fn address(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| format!("`{text}` is no e-mail address"))
}

fn pagerduty_events() -> String {
    "https://events.pagerduty.com/v2/enqueue".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::super::tests::read;

    /// `{KEY}` stands for a secret of 32 characters, `{PASSWORD}` for one with a space.
    fn of(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, value: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, value).unwrap();
            format!("{{ file: {} }}", file.display())
        };
        let key = secret("key", "0123456789abcdef0123456789ABCDEF");
        let password = secret("password", "p w");
        read(&text.replace("{KEY}", &key).replace("{PASSWORD}", &password))
    }

    #[test]
    fn each_way_is_read_with_its_defaults() {
        let settings = of("pagerduty: { oncall: { routing_key: {KEY} } }\n\
             webhooks: { audit: { url: 'https://audit.example/in', secret: {KEY}, headers: \
             { Authorization: {KEY} } } }\n\
             email: { smtp: { url: 'smtp://mail.example', user: u, password: {PASSWORD} }, \
             from: 'Guard <guard@example.com>', to: { boss: [a@example.com, b@example.com] } }\n")
        .unwrap();
        assert_eq!(settings.pagerduty["oncall"].url, "https://events.pagerduty.com/v2/enqueue");
        assert_eq!(settings.webhooks["audit"].format, super::WebhookFormat::Generic);
        let email = settings.email.as_ref().unwrap();
        let relay = email.smtp.relay().unwrap();
        assert_eq!((relay.host.as_str(), relay.port, relay.clear), ("mail.example", 587, false));
        assert_eq!(email.to["boss"].len(), 2);
        let shown = format!("{settings:?}");
        assert!(!shown.contains("0123456789") && !shown.contains("p w"), "{shown}");
    }

    #[test]
    fn a_mail_server_is_spoken_to_over_tls_unless_it_is_here_or_said_otherwise() {
        let relay = |smtp: &str| {
            let text = format!("email: {{ smtp: {{ {smtp} }}, from: a@example.com, to: {{}} }}\n");
            of(&text).map(|settings| settings.email.unwrap().smtp.relay().unwrap())
        };
        let one = relay("url: 'smtps://mail.example'").unwrap();
        assert_eq!((one.port, one.implicit_tls, one.clear), (465, true, false));
        let one = relay("url: 'smtp://mail.example:25', insecure: true").unwrap();
        assert_eq!((one.port, one.implicit_tls, one.clear), (25, false, true));
        assert!(
            relay("url: 'smtp://127.0.0.1:2525', user: u, password: {PASSWORD}").unwrap().clear
        );
        let open = "url: 'smtp://mail.example', insecure: true, user: u, password: {PASSWORD}";
        assert!(relay(open).unwrap_err().contains("in clear"));
    }

    #[test]
    fn mistakes_are_told_with_their_key_and_without_the_secret() {
        let hook = |rest: &str| format!("webhooks: {{ a: {{ secret: {{KEY}}, {rest} }} }}\n");
        let mail = |smtp: &str, to: &str| {
            format!("email: {{ smtp: {{ {smtp} }}, from: a@example.com, to: {{ {to} }} }}\n")
        };
        let cases = [
            ("pagerduty: { a: { routing_key: {PASSWORD} } }\n".to_owned(), "32 letters and digits"),
            ("pagerduty: { a: { routing_key: abc } }\n".to_owned(), "never as text"),
            ("pagerduty: { 'a b': { routing_key: {KEY} } }\n".to_owned(), "`a b` is no name"),
            (hook("url: 'http://audit.example'"), "must be https"),
            (hook("url: 'https://u:p@audit.example'"), "no user and password"),
            (hook("url: '127.0.0.1:9103/in'"), "webhooks.a.url: it is no URL: begin with https://"),
            (hook("url: '127.0.0.1:9103/in'"), " at line 1 "),
            (hook("url: 'https://a', format: xml"), "unknown variant `xml`"),
            (hook("url: 'https://a', headers: { Host: {KEY} }"), "`Host` is no header"),
            (hook("url: 'https://a', headers: { X-Deployguard-Event: {KEY} }"), "is no header"),
            ("webhooks: { a: { url: 'https://a', secret: {PASSWORD} } }\n".to_owned(), "shorter"),
            (mail("url: 'http://mail.example'", ""), "write `smtp://mail.example`, which asks"),
            (
                mail("url: 'mail.example:587'", ""),
                "email.smtp.url is no mail server's address: \
                write `smtp://mail.example:587`",
            ),
            (mail("url: 'p w@mail.example'", ""), "write `smtp://HOST:587`"),
            (mail("url: 'smtps://u:p@mail.example'", ""), "beside it"),
            (mail("url: 'smtps://mail.example', user: u", ""), "belong together"),
            (mail("url: 'smtps://mail.example'", "boss: []"), "email.to.boss"),
            (mail("url: 'smtps://mail.example'", "boss: [nobody]"), "`nobody` is no e-mail"),
            (mail("url: 'smtps://mail.example'", "boss: [\"a@b.c\\nBcc: x@y.z\"]"), "is no e-mail"),
        ];
        for (text, told) in cases {
            let wrong = of(&text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
            assert!(!wrong.contains("p w"), "{wrong}");
        }
    }
}
