//! The daemon's settings: where it listens, what it talks to, who may do what.
//! Never policy.

mod called;
mod check;
mod commands;
mod digest;
mod github;
mod names;
mod outbound;
mod render;
mod slack;
mod store;
mod targets;
mod web;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::SignedDuration;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::telemetry::LogFormat;
pub use called::{
    EmailSettings, PagerDutySettings, Relay, SmtpSettings, WebhookFormat, WebhookSettings,
};
pub use check::is_region;
pub use commands::{CommandLabels, CommandSettings, commands};
pub use digest::DigestSettings;
pub use github::{AppId, GitHubAppSettings, GitHubSettings};
pub use names::Names;
pub use outbound::{OutboundSettings, PolicySecret, way_out};
pub use render::RenderSettings;
pub use slack::{OperatorSettings, Operators, SlackSettings};
pub use store::StoreSettings;
pub use targets::{AccountsSettings, KubernetesSettings, TargetSettings};
pub use web::{BY_PROXY, ProxyRoles, ProxySettings, WebSettings};

/// `deployguard.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "the settings: `listen: ...`, `policies: ...`, ...")]
pub struct Settings {
    #[serde(default = "listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    /// A folder of a git checkout, re-read when it changes.
    #[serde(default = "policies")]
    pub policies: PathBuf,
    /// One database for every daemon that guards the same services.
    #[serde(default)]
    pub store: StoreSettings,
    /// Where the other daemons on the store find this one, as `http://10.0.0.5:8080`; by
    /// default where it listens, and on ECS the task's address.
    pub advertise: Option<String>,
    /// `None`: everything is measured in CloudWatch.
    pub prometheus: Option<PrometheusSettings>,
    #[serde(default)]
    pub aws: AwsSettings,
    /// Several accounts and regions by name; none: the one of `aws`. As they are written;
    /// [`Settings::targets`] answers them complete.
    #[serde(default)]
    pub targets: BTreeMap<String, TargetSettings>,
    /// What health endpoints, JSON APIs and pages of metrics policies may ask; by default none.
    pub outbound: Option<OutboundSettings>,
    /// What policies may send there, by name.
    #[serde(default)]
    pub secrets: BTreeMap<String, PolicySecret>,
    /// What policies may have run, by name.
    #[serde(default)]
    pub commands: BTreeMap<String, CommandSettings>,
    pub slack: Option<SlackSettings>,
    /// `pagerduty:NAME` of policies.
    #[serde(default)]
    pub pagerduty: BTreeMap<String, PagerDutySettings>,
    /// `webhook:NAME` of policies.
    #[serde(default)]
    pub webhooks: BTreeMap<String, WebhookSettings>,
    /// `email:NAME` of policies.
    pub email: Option<EmailSettings>,
    /// Deployments that GitHub's webhooks announce, and what is written back there.
    pub github: Option<GitHubSettings>,
    /// What the policies did, or would have done, posted every week or day.
    pub digest: Option<DigestSettings>,
    #[serde(default)]
    pub tokens: Vec<TokenSettings>,
    /// Whether reading needs no token. Acting always does.
    #[serde(default)]
    pub open_reads: bool,
    /// Whether `/metrics` needs no token, for a Prometheus that sends none; `open_reads`
    /// opens it too.
    #[serde(default)]
    pub open_metrics: bool,
    /// Who is known on the page beside the holders of tokens.
    #[serde(default)]
    pub web: WebSettings,
    #[serde(default)]
    pub discover: DiscoverSettings,
    #[serde(default)]
    pub brake: BrakeSettings,
    #[serde(default)]
    pub log: LogSettings,
    /// What the file leaves out and a new user may miss: what is taken instead, in words.
    #[serde(skip)]
    pub taken: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ url: http://HOST:9090 }`")]
pub struct PrometheusSettings {
    pub url: String,
    /// The most that one query may take.
    #[serde(default = "five_seconds")]
    pub timeout: Span,
    /// Queries under way at once.
    #[serde(default = "eight")]
    pub max_concurrent: usize,
    /// How long after its time a sample can be had, 0s to 5m: what comes later than it is
    /// asked for is lost. As Prometheus's own `query_offset` of rules. A scraped sample is
    /// there at once, and the default is a fifth of the interval, 5s at most; one that
    /// comes by remote write, or through Thanos or Mimir, may need a minute.
    #[serde(default, deserialize_with = "query_offset")]
    pub query_offset: Option<SignedDuration>,
}

impl PrometheusSettings {
    /// The server at `url`, with every default.
    pub fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            timeout: five_seconds(),
            max_concurrent: eight(),
            query_offset: None,
        }
    }
}

/// What can be asked about services, of a settings file: whoever checks policies needs
/// none of the daemon's secrets.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SourceSettings {
    pub prometheus: Option<PrometheusSettings>,
    #[serde(default)]
    pub aws: AwsSettings,
    pub outbound: Option<OutboundSettings>,
    #[serde(default)]
    pub secrets: BTreeMap<String, PolicySecret>,
    #[serde(default)]
    pub commands: BTreeMap<String, CommandLabels>,
}

impl SourceSettings {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let what = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(what)?;
        let mut settings: Self = serde_norway::from_str(&text)
            .map_err(|error| words::mistake(&error))
            .with_context(what)?;
        if let (Some(outbound), Some(folder)) = (&mut settings.outbound, path.parent()) {
            outbound.count_from(folder);
        }
        check::region("aws.region", settings.aws.region.as_ref()).with_context(what)?;
        Ok(settings)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ region: eu-west-1 }`")]
#[derive(Default)]
pub struct AwsSettings {
    /// Of the one target, and of those of `targets` that name none.
    pub region: Option<String>,
    /// The name of this account and region in policies and messages, where there are no
    /// `targets`.
    pub target: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ name: ci, role: deploy, token: { env: NAME } }`")]
pub struct TokenSettings {
    /// Who it is: named in the journal.
    pub name: String,
    pub role: Role,
    pub token: Secret,
    /// Globs of the services that it may speak of; empty: all.
    #[serde(default)]
    pub services: Vec<String>,
    /// The environments that it may speak of; empty: all.
    #[serde(default)]
    pub environments: Vec<String>,
}

/// What a token may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Read,
    /// Announce deployments.
    Deploy,
    /// Hold, roll back, cancel, pause.
    Operate,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ ecs: { clusters: [NAME] } }`")]
pub struct DiscoverSettings {
    pub ecs: EcsDiscovery,
    /// A queue of EventBridge's events of ECS.
    pub sqs: Option<SqsDiscovery>,
    /// Topics whose messages are taken at `/hooks/sns`.
    pub sns: Option<SnsDiscovery>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ queue: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME }`"
)]
pub struct SqsDiscovery {
    /// The queue's address: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    pub queue: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ topics: [arn:aws:sns:REGION:ACCOUNT:NAME] }`")]
pub struct SnsDiscovery {
    /// ARNs. Whatever else is posted there is refused.
    pub topics: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ clusters: [NAME] }`")]
pub struct EcsDiscovery {
    pub every: Span,
    /// Clusters whose services are looked at; the watched ones always are. `None`: those
    /// that the policies match.
    pub clusters: Option<Vec<String>>,
}

impl Default for EcsDiscovery {
    fn default() -> Self {
        Self { every: Span(SignedDuration::from_secs(15)), clusters: None }
    }
}

/// How many unattended rollbacks of the fleet within how long; the next one
/// waits for a person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ rollbacks: 3, within: 10m }`")]
pub struct BrakeSettings {
    pub rollbacks: u32,
    pub within: Span,
}

impl Default for BrakeSettings {
    fn default() -> Self {
        Self { rollbacks: 3, within: Span(SignedDuration::from_mins(10)) }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ level: info, format: text }`")]
pub struct LogSettings {
    pub format: LogFormat,
    /// As `RUST_LOG`, which wins over it.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

const SPAN: &str = "`15s`, `10m` or `1h 30m`";

/// A length of time as people write it: `15s`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub SignedDuration);

impl Span {
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::try_from(self.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

/// Refuses what it is given itself, so that the mistake is told with its key.
struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SPAN)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        match text.parse::<SignedDuration>() {
            Ok(span) if span > SignedDuration::ZERO => Ok(Span(span)),
            Ok(_) | Err(_) => {
                Err(E::custom(format!("`{text}` is no length of time: write {SPAN}")))
            }
        }
    }
}

/// Where a secret comes from. It is read once, and never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "lowercase")]
        struct Source {
            env: Option<String>,
            file: Option<PathBuf>,
        }
        use serde::de::Error as _;
        let source = Source::deserialize(deserializer).map_err(|error| {
            if error.to_string().contains("missing field `") {
                return error;
            }
            D::Error::custom("give a secret as `{ env: NAME }` or `{ file: PATH }`, never as text")
        })?;
        let text = match (source.env, source.file) {
            (Some(name), None) => std::env::var(&name)
                .map_err(|_| D::Error::custom(format!("the environment has no `{name}`")))?,
            (None, Some(path)) => std::fs::read_to_string(&path)
                .map_err(|error| D::Error::custom(format!("{}: {error}", path.display())))?,
            _ => {
                return Err(D::Error::custom(
                    "give a secret as `{ env: NAME }` or `{ file: PATH }`",
                ));
            }
        };
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(D::Error::custom("the secret is empty"));
        }
        Ok(Secret(text))
    }
}

impl Settings {
    /// Reads the settings file. Relative paths in it count from its folder.
    pub fn read(path: &Path) -> anyhow::Result<Settings> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        let what = || path.display().to_string();
        let keys = check::keys(&text).with_context(what)?;
        let mut settings: Settings = serde_norway::from_str(&text)
            .map_err(|error| words::mistake(&error))
            .with_context(what)?;
        if let Some(folder) = path.parent() {
            settings.policies = folder.join(&settings.policies);
            settings.store.count_from(folder);
            settings.outbound.iter_mut().for_each(|outbound| outbound.count_from(folder));
            settings.commands.values_mut().for_each(|command| command.count_from(folder));
        }
        settings.check().with_context(what)?;
        settings.name_clusters();
        settings.tell_taken(&keys);
        Ok(settings)
    }
}

fn query_offset<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SignedDuration>, D::Error> {
    const MOST: SignedDuration = SignedDuration::from_mins(5);
    let text = String::deserialize(from)?;
    match text.parse::<SignedDuration>() {
        Ok(offset) if (SignedDuration::ZERO..=MOST).contains(&offset) => Ok(Some(offset)),
        Ok(_) | Err(_) => Err(serde::de::Error::custom(format!(
            "`{text}` is no query_offset: write a length of time from `0s` to `5m`"
        ))),
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an address to listen on: `127.0.0.1:8080`")]
    enum Written {
        Text(String),
        Port(u64),
    }
    let text = match Written::deserialize(from)? {
        Written::Text(text) => text,
        Written::Port(port) => port.to_string(),
    };
    text.parse().map_err(|_| {
        let words =
            format!("listen: `{text}` is no address to listen on: give it as `127.0.0.1:8080`");
        serde::de::Error::custom(words)
    })
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

fn policies() -> PathBuf {
    PathBuf::from("policies")
}

fn five_seconds() -> Span {
    Span(SignedDuration::from_secs(5))
}

fn eight() -> usize {
    8
}

#[cfg(test)]
mod tests;
