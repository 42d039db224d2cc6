//! What has to be so in the settings before anything is asked or opened.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use reqwest::Url;
use serde_norway::Value;

use super::{DiscoverSettings, Settings, SqsDiscovery};

/// The shortest secret of a token, or of a proxy, in characters.
pub(super) const LEAST_SECRET: usize = 16;

/// The keys of a settings file; none where it can't be read, which its reader tells.
///
/// # Errors
/// There is none: a daemon that guards nothing would look alive.
pub(super) fn keys(text: &str) -> anyhow::Result<BTreeSet<String>> {
    let read = serde_norway::from_str(text);
    match read {
        Ok(Value::Null) => bail!(
            "the file is empty: give at least `policies` and `store`, and `prometheus` or \
             `aws: {{ region: ... }}`"
        ),
        Ok(Value::Mapping(mapping)) if mapping.is_empty() => bail!("the file is empty: `{{}}`"),
        Ok(Value::Mapping(mapping)) => {
            Ok(mapping.keys().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Ok(_) | Err(_) => Ok(BTreeSet::new()),
    }
}

/// Whether it has the shape of a region's name: `eu-west-1`, `us-gov-east-1`.
pub fn is_region(name: &str) -> bool {
    let Some((words, number)) = name.rsplit_once('-') else { return false };
    let words: Vec<&str> = words.split('-').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    words.len() >= 2 && words.iter().all(is_word) && is_number
}

/// `key`: where it stands in the settings.
pub(super) fn region(key: &str, name: Option<&String>) -> anyhow::Result<()> {
    match name {
        Some(name) if !is_region(name) => {
            bail!("{key}: `{name}` is no name of a region: write it as `eu-west-1`")
        }
        Some(_) | None => Ok(()),
    }
}

/// The name of a cluster, which may be written as its ARN, and what the ARN says beside it.
struct Cluster<'a> {
    name: &'a str,
    /// Region and account.
    place: Option<(&'a str, &'a str)>,
}

impl<'a> Cluster<'a> {
    /// `None`: it is neither name nor ARN.
    fn of(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let (name, place) = match parts[..] {
            ["arn", _, "ecs", region, account, resource] => {
                (resource.strip_prefix("cluster/")?, Some((region, account)))
            }
            _ => (text, None),
        };
        let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        let is_name = !name.is_empty() && name.len() <= 255 && name.chars().all(fits);
        is_name.then_some(Self { name, place })
    }
}

impl SqsDiscovery {
    /// `key`: where it stands in the settings.
    pub(super) fn check(&self, key: &str) -> anyhow::Result<()> {
        let named = |url: &Url| url.path().trim_matches('/').split('/').count() >= 2;
        match Url::parse(&self.queue) {
            Ok(url) if matches!(url.scheme(), "https" | "http") && named(&url) => Ok(()),
            Ok(_) | Err(_) => bail!(
                "{key}: `{}` is no queue's URL: write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME",
                self.queue
            ),
        }
    }
}

impl DiscoverSettings {
    fn check(&self) -> anyhow::Result<()> {
        if let Some(sqs) = &self.sqs {
            sqs.check("discover.sqs.queue")?;
        }
        for topic in self.sns.iter().flat_map(|sns| &sns.topics) {
            let parts: Vec<&str> = topic.split(':').collect();
            if !matches!(parts[..], ["arn", _, "sns", _, _, name] if !name.is_empty()) {
                bail!(
                    "discover.sns.topics: `{topic}` is no topic: arn:aws:sns:REGION:ACCOUNT:NAME"
                );
            }
        }
        Ok(())
    }
}

impl Settings {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.check_tokens()?;
        self.discover.check()?;
        region("aws.region", self.aws.region.as_ref())?;
        self.check_targets()?;
        self.check_clusters()?;
        self.store.check()?;
        if let Some(url) = &self.advertise {
            let read = Url::parse(url).ok();
            let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
            if !read.is_some_and(|url| is_web(&url) && url.host_str().is_some()) {
                bail!("advertise: `{url}` is no address: write http://10.0.0.5:8080");
            }
        }
        if let Some(slack) = &self.slack {
            slack.check()?;
        }
        if let Some(digest) = &self.digest {
            digest.check(self.slack.is_some())?;
        }
        super::outbound::check(self.outbound.as_ref(), &self.secrets)?;
        super::commands::commands(&self.commands)?;
        self.check_called()?;
        self.check_github()?;
        self.check_web()?;
        Ok(())
    }

    fn check_tokens(&self) -> anyhow::Result<()> {
        let (mut names, mut secrets) = (BTreeSet::new(), BTreeMap::new());
        for token in &self.tokens {
            if !names.insert(&token.name) {
                bail!("two tokens have the same name: the journal could not tell who acted");
            }
            if token.token.expose().len() < LEAST_SECRET {
                bail!("the token of `{}` is shorter than {LEAST_SECRET} characters", token.name);
            }
            if let Some(other) = secrets.insert(token.token.expose(), &token.name) {
                bail!(
                    "tokens `{other}` and `{}` have the same secret: whoever has it would have \
                     either role, and the journal could not tell who acted",
                    token.name
                );
            }
        }
        Ok(())
    }

    /// Names and ARNs of clusters, and that an ARN is of the target's own region and account.
    fn check_clusters(&self) -> anyhow::Result<()> {
        for (target, of) in self.targets() {
            let own = self.targets.get(&target).is_some_and(|one| one.clusters.is_some());
            let key = if own {
                format!("targets.{target}.clusters")
            } else {
                "discover.ecs.clusters".into()
            };
            for text in of.clusters.iter().flatten() {
                let Some(cluster) = Cluster::of(text) else {
                    bail!(
                        "{key}: `{text}` is no cluster: write its name, or its ARN: \
                         arn:aws:ecs:REGION:ACCOUNT:cluster/NAME"
                    )
                };
                let Some((region, account)) = cluster.place else { continue };
                if of.region.as_deref().is_some_and(|own| own != region)
                    || of.account().is_some_and(|own| own != account)
                {
                    bail!(
                        "{key}: `{text}` is not in the region and account of the target {target}"
                    );
                }
            }
        }
        Ok(())
    }

    /// Writes every cluster by its name.
    pub(super) fn name_clusters(&mut self) {
        let of_targets = self.targets.values_mut().flat_map(|target| &mut target.clusters);
        for clusters in of_targets.chain(&mut self.discover.ecs.clusters) {
            for text in clusters {
                if let Some(cluster) = Cluster::of(text) {
                    *text = cluster.name.to_owned();
                }
            }
        }
    }

    /// Says what is taken for keys that the file does not have.
    pub(super) fn tell_taken(&mut self, keys: &BTreeSet<String>) {
        if !keys.contains("store") {
            self.taken.push(format!("no `store` in the settings: taking {}", self.store));
        }
        if !keys.contains("policies") {
            let folder = self.policies.display();
            self.taken.push(format!("no `policies` in the settings: taking the folder {folder}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn an_empty_file_is_refused_and_what_is_taken_for_what_is_left_out_is_told() {
        for text in ["", "\n", "# nothing yet\n", "{}\n"] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.contains("the file is empty"), "{text:?}: {wrong}");
        }
        let taken = read("aws: { region: eu-west-1 }\n").unwrap().taken;
        assert!(taken[0].starts_with("no `store` in the settings: taking sqlite://"), "{taken:?}");
        assert!(taken[0].ends_with("/deployguard.db") && taken[1].ends_with("/policies"));
        let all = "store: 'sqlite://a.db'\npolicies: p\n";
        assert!(read(all).unwrap().taken.is_empty());
    }

    #[test]
    fn one_secret_is_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, secret: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, secret).unwrap();
            path.display().to_string()
        };
        let of = |ci: &str, oncall: &str| {
            read(&format!(
                "tokens:\n  - {{ name: ci, role: deploy, token: {{ file: '{ci}' }} }}\n  \
                 - {{ name: oncall, role: operate, token: {{ file: '{oncall}' }} }}\n"
            ))
        };
        let (one, other) = (file("a", "0123456789abcdef"), file("b", "0123456789abcdeg"));
        let wrong = of(&one, &one).unwrap_err();
        assert!(wrong.contains("tokens `ci` and `oncall` have the same secret"), "{wrong}");
        assert!(!wrong.contains("0123456789"), "{wrong}");
        assert_eq!(of(&one, &other).unwrap().tokens.len(), 2);
    }

    #[test]
    fn a_region_is_known_by_its_shape() {
        for name in ["eu-west-1", "us-gov-east-1", "us-isob-east-1", "ap-southeast-10"] {
            assert!(is_region(name), "{name}");
        }
        for name in ["us_east", "us-east", "us-east-1a", "US-EAST-1", "europe", "", "1", "-1"] {
            assert!(!is_region(name), "{name}");
            let wrong = read(&format!("aws: {{ region: '{name}' }}\n")).unwrap_err();
            assert!(wrong.contains("is no name of a region"), "{wrong}");
        }
    }

    #[test]
    fn a_cluster_may_be_written_as_its_arn() {
        let of = |arn: &str| {
            let clusters = format!("discover: {{ ecs: {{ clusters: ['{arn}'] }} }}\n");
            read(&format!("aws: {{ region: eu-west-1 }}\n{clusters}"))
        };
        for text in ["shop", "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"] {
            let settings = of(text).unwrap();
            let clusters = settings.targets().remove("default").unwrap().clusters;
            assert_eq!(clusters.as_deref(), Some(["shop".to_owned()].as_slice()), "{text}");
        }
        for (text, told) in [
            ("arn:aws:ecs:us-east-1:111122223333:cluster/shop", "not in the region"),
            ("arn:aws:ecs:eu-west-1:111122223333:service/shop", "is no cluster"),
            ("shop production", "is no cluster"),
        ] {
            let wrong = of(text).unwrap_err();
            assert!(wrong.contains("discover.ecs.clusters: `") && wrong.contains(told), "{wrong}");
        }
    }
}
