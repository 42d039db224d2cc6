//! The accounts and regions that are guarded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::{
    AwsSettings, PrometheusSettings, RenderSettings, Secret, Settings, SqsDiscovery, words,
};

/// One account and region, or one cluster of Kubernetes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ region: eu-west-1, role_arn: arn:aws:iam::ACCOUNT:role/NAME }` or \
                 `{ kubernetes: { context: NAME } }`"
)]
pub struct TargetSettings {
    /// `None`: as the environment says.
    pub region: Option<String>,
    /// A role that is taken on there, with the daemon's own credentials; `None`: they are
    /// good for it as they are.
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for.
    #[serde(deserialize_with = "external_id")]
    pub external_id: Option<Secret>,
    /// Another address than AWS's, for all of its services.
    pub endpoint_url: Option<String>,
    /// `None`: the settings' own `prometheus`.
    pub prometheus: Option<PrometheusSettings>,
    /// A queue of this account's events.
    pub sqs: Option<SqsDiscovery>,
    /// As `discover.ecs.clusters`, which it takes the place of. Of Kubernetes: namespaces.
    pub clusters: Option<Vec<String>>,
    /// A workspace of Render, and nothing of AWS.
    pub render: Option<RenderSettings>,
    /// A cluster of Kubernetes; then nothing of AWS is said.
    pub kubernetes: Option<KubernetesSettings>,
}

/// How a cluster of Kubernetes is reached; `{}`: as kubectl finds it, in a pod by its own
/// service account.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ context: NAME }`, `{ kubeconfig: PATH }`, `{ in_cluster: true }` or `{}`"
)]
pub struct KubernetesSettings {
    /// A context of the kubeconfig; `None`: its current one.
    pub context: Option<String>,
    /// `None`: KUBECONFIG, or ~/.kube/config.
    pub kubeconfig: Option<PathBuf>,
    /// Only by the pod's own service account.
    pub in_cluster: bool,
}

impl KubernetesSettings {
    fn check(&self, name: &str) -> anyhow::Result<()> {
        if self.in_cluster && (self.context.is_some() || self.kubeconfig.is_some()) {
            bail!(
                "targets.{name}.kubernetes: in_cluster takes the pod's own service account: leave \
                 context and kubeconfig out"
            );
        }
        Ok(())
    }
}

impl TargetSettings {
    /// The account, where the role names it.
    pub fn account(&self) -> Option<&str> {
        self.role_arn.as_deref()?.split(':').nth(4)
    }

    fn check(&self, name: &str) -> anyhow::Result<()> {
        let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            bail!("targets: `{name}` is no name: letters, digits, `-`, `_` and `.`");
        }
        if let Some(render) = &self.render {
            render.check(name, self)?;
        }
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check(name)?;
            let aws = [
                ("region", self.region.is_some()),
                ("role_arn", self.role_arn.is_some()),
                ("external_id", self.external_id.is_some()),
                ("endpoint_url", self.endpoint_url.is_some()),
                ("sqs", self.sqs.is_some()),
            ];
            if let Some((key, _)) = aws.into_iter().find(|(_, said)| *said) {
                bail!(
                    "targets.{name}: {key} is AWS's, and the target is in Kubernetes: leave it out"
                );
            }
        }
        match &self.role_arn {
            Some(arn) if !is_role(arn) => {
                bail!("targets.{name}.role_arn: `{arn}` is no role: arn:aws:iam::ACCOUNT:role/NAME")
            }
            None if self.external_id.is_some() => {
                bail!("targets.{name}: external_id is part of taking a role on: give role_arn too")
            }
            Some(_) | None => {}
        }
        super::check::region(&format!("targets.{name}.region"), self.region.as_ref())?;
        self.sqs.as_ref().map_or(Ok(()), |sqs| sqs.check(&format!("targets.{name}.sqs.queue")))
    }
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else { return false };
    account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

/// AWS does not call it a secret, so it may stand in the file; some people keep it as one.
fn external_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Text(String),
        Number(u64),
        Kept(Secret),
    }
    match Said::deserialize(from) {
        Ok(Said::Text(text)) if !text.trim().is_empty() => Ok(Some(Secret(text.trim().to_owned()))),
        Ok(Said::Number(number)) => Ok(Some(Secret(number.to_string()))),
        Ok(Said::Kept(secret)) => Ok(Some(secret)),
        Ok(Said::Text(_)) | Err(_) => Err(serde::de::Error::custom(
            "give external_id as text, or as `{ env: NAME }` or `{ file: PATH }` of something \
             that is there",
        )),
    }
}

/// The accounts of a settings file, and what is measured there: whoever looks around in them
/// needs none of the daemon's other secrets. The settings' other keys are known, and passed
/// over unread.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "the settings: `listen: ...`, `policies: ...`, ..."
)]
pub struct AccountsSettings {
    #[serde(rename = "listen")]
    _listen: IgnoredAny,
    #[serde(rename = "policies")]
    _policies: IgnoredAny,
    #[serde(rename = "store")]
    _store: IgnoredAny,
    #[serde(rename = "advertise")]
    _advertise: IgnoredAny,
    prometheus: Option<PrometheusSettings>,
    aws: AwsSettings,
    targets: BTreeMap<String, TargetSettings>,
    #[serde(rename = "outbound")]
    _outbound: IgnoredAny,
    #[serde(rename = "secrets")]
    _secrets: IgnoredAny,
    #[serde(rename = "commands")]
    _commands: IgnoredAny,
    #[serde(rename = "slack")]
    _slack: IgnoredAny,
    #[serde(rename = "pagerduty")]
    _pagerduty: IgnoredAny,
    #[serde(rename = "webhooks")]
    _webhooks: IgnoredAny,
    #[serde(rename = "email")]
    _email: IgnoredAny,
    #[serde(rename = "github")]
    _github: IgnoredAny,
    #[serde(rename = "digest")]
    _digest: IgnoredAny,
    #[serde(rename = "tokens")]
    _tokens: IgnoredAny,
    #[serde(rename = "open_reads")]
    _open_reads: IgnoredAny,
    #[serde(rename = "open_metrics")]
    _open_metrics: IgnoredAny,
    #[serde(rename = "web")]
    _web: IgnoredAny,
    #[serde(rename = "discover")]
    _discover: IgnoredAny,
    #[serde(rename = "brake")]
    _brake: IgnoredAny,
    #[serde(rename = "log")]
    _log: IgnoredAny,
}

impl AccountsSettings {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let what = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        let settings: Self = serde_norway::from_str(&text)
            .map_err(|error| words::mistake(&error))
            .with_context(what)?;
        super::check::region("aws.region", settings.aws.region.as_ref()).with_context(what)?;
        for (name, target) in &settings.targets {
            target.check(name).with_context(what)?;
        }
        Ok(settings)
    }

    /// As [`Settings::targets`].
    pub fn targets(&self) -> BTreeMap<String, TargetSettings> {
        complete(&self.targets, &self.aws, self.prometheus.as_ref())
    }
}

/// The targets with what they share; where none is written, the one of `aws`.
fn complete(
    written: &BTreeMap<String, TargetSettings>,
    aws: &AwsSettings,
    prometheus: Option<&PrometheusSettings>,
) -> BTreeMap<String, TargetSettings> {
    let mut targets = written.clone();
    if targets.is_empty() {
        let name = aws.target.clone().unwrap_or_else(|| "default".to_owned());
        targets.insert(name, TargetSettings::default());
    }
    for target in targets.values_mut() {
        match (&target.render, &target.kubernetes) {
            (Some(render), _) => target.clusters = Some(vec![render.workspace.clone()]),
            (None, Some(_)) => {}
            (None, None) => target.region = target.region.take().or_else(|| aws.region.clone()),
        }
        target.prometheus = target.prometheus.take().or_else(|| prometheus.cloned());
    }
    targets
}

impl Settings {
    /// Every account and region by its name, with what they share: at least one.
    pub fn targets(&self) -> BTreeMap<String, TargetSettings> {
        let mut targets = complete(&self.targets, &self.aws, self.prometheus.as_ref());
        for target in targets.values_mut() {
            let clusters = self.discover.ecs.clusters.as_ref();
            let clusters = clusters.filter(|_| target.kubernetes.is_none());
            target.clusters = target.clusters.take().or_else(|| clusters.cloned());
        }
        targets
    }

    pub(super) fn check_targets(&self) -> anyhow::Result<()> {
        if !self.targets.is_empty() && self.aws.target.is_some() {
            bail!("aws.target names the one target of settings without `targets`: leave it out");
        }
        for (name, target) in &self.targets {
            target.check(name)?;
        }
        let mut places = BTreeMap::new();
        let of_aws = self.targets().into_iter().filter(|(_, target)| target.render.is_none());
        for (name, target) in of_aws {
            let place = (target.role_arn, target.region, target.endpoint_url, target.kubernetes);
            if let Some(other) = places.insert(place, name.clone()) {
                bail!(
                    "targets: `{other}` and `{name}` are the same role and region, or the same \
                     cluster: every service would be guarded twice"
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    const ROLE: &str = "arn:aws:iam::111122223333:role/deployguard";

    #[test]
    fn whoever_reads_only_the_accounts_is_told_the_same_of_the_same_mistakes() {
        let accounts = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("deployguard.yaml");
            std::fs::write(&path, text).unwrap();
            let told = super::AccountsSettings::read(&path).map_err(|error| format!("{error:#}"));
            told.map(|_| ()).map_err(|told| told.replace(&*folder.path().to_string_lossy(), ""))
        };
        for wrong in [
            "taregts: { a: {} }\n",
            "aws: swordfish\n",
            "prometheus: { url: [swordfish] }\n",
            "prometheus: { url: 'http://a', token: swordfish }\n",
            "targets: { a: { rgion: x } }\n",
        ] {
            let told = accounts(wrong).unwrap_err();
            let whole = read(wrong).unwrap_err();
            let behind = |text: &str| text.split_once("deployguard.yaml").unwrap().1.to_owned();
            assert_eq!(behind(&told), behind(&whole), "{wrong}");
            assert!(!told.contains("swordfish"), "{told}");
        }
        // What is not asked for may lack its secrets.
        let whole = "slack: { token: { env: NOT_THERE_4711 } }\nlisten: 127.0.0.1:1\ntokens: []\n\
                     discover: {}\nbrake: {}\nlog: {}\nstore: a.db\n";
        assert_eq!(accounts(whole), Ok(()));
    }

    #[test]
    fn settings_without_targets_are_one_target_of_the_old_name() {
        let one = read("aws: { region: eu-west-1, target: prod }\n").unwrap().targets();
        assert_eq!(one["prod"].region.as_deref(), Some("eu-west-1"));
        let one = read("prometheus: { url: 'http://a' }\n").unwrap().targets();
        assert_eq!(one["default"].prometheus.as_ref().unwrap().url, "http://a");
    }

    #[test]
    fn what_a_target_does_not_say_is_as_the_settings_say() {
        let settings = read(&format!(
            "aws: {{ region: us-east-1 }}\nprometheus: {{ url: 'http://a' }}\ntargets:\n  \
             us: {{ role_arn: '{ROLE}', external_id: 4711 }}\n  \
             eu: {{ region: eu-west-1, prometheus: {{ url: 'http://b' }}, clusters: [shop] }}\n"
        ));
        let targets = settings.unwrap().targets();
        let (us, eu) = (&targets["us"], &targets["eu"]);
        assert_eq!((us.region.as_deref(), us.account()), (Some("us-east-1"), Some("111122223333")));
        assert_eq!(us.external_id.as_ref().unwrap().expose(), "4711");
        assert_eq!(us.prometheus.as_ref().unwrap().url, "http://a");
        assert_eq!((eu.region.as_deref(), eu.account()), (Some("eu-west-1"), None));
        assert_eq!(eu.prometheus.as_ref().unwrap().url, "http://b");
        assert_eq!(eu.clusters.as_deref(), Some(["shop".to_owned()].as_slice()));
    }

    #[test]
    fn mistakes_in_targets_are_told_by_their_key() {
        let cases = [
            ("aws: { target: x }\ntargets: { a: {} }\n", "aws.target"),
            ("targets: { a: {}, b: {} }\n", "`a` and `b` are the same role and region"),
            ("targets: { 'a/b': {} }\n", "`a/b` is no name"),
            ("targets: { a: { role_arn: deployguard } }\n", "targets.a.role_arn"),
            ("targets: { a: { external_id: x } }\n", "give role_arn too"),
            ("targets: { a: { external_id: { env: NOT_THERE_4711 } } }\n", "external_id"),
            ("targets: { a: { region: us_east } }\n", "targets.a.region: `us_east` is no name"),
            ("targets: { a: { sqs: { queue: events } } }\n", "targets.a.sqs.queue"),
            (
                "targets: { a: { kubernetes: {}, region: eu-west-1 } }\n",
                "targets.a: region is AWS's",
            ),
            ("targets: { a: { kubernetes: { contxt: x } } }\n", "contxt"),
            (
                "targets: { a: { kubernetes: { in_cluster: true, context: x } } }\n",
                "targets.a.kubernetes: in_cluster",
            ),
            ("targets: { a: { kubernetes: {} }, b: { kubernetes: {} } }\n", "the same cluster"),
        ];
        for (text, told) in cases {
            let wrong = read(text).unwrap_err();
            assert!(wrong.contains(told), "{text}: {wrong}");
        }
    }
}
