//! Which account and region a cluster is in. Pure.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use crate::policy::is_name;
use crate::settings::TargetSettings;

/// Which target the cluster is in.
pub(super) fn chosen(
    all: &BTreeMap<String, TargetSettings>,
    named: Option<&str>,
    arn: Option<&Arn>,
) -> anyhow::Result<(String, TargetSettings)> {
    let names = || all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let of = |(name, target): (&String, &TargetSettings)| (name.clone(), target.clone());
    if let Some(named) = named {
        let found = all.get_key_value(named).map(of);
        return found
            .with_context(|| format!("the settings know no target `{named}`; known: {}", names()));
    }
    let fits = |target: &TargetSettings| {
        arn.is_none_or(|arn| {
            target.region.as_ref().is_none_or(|region| *region == arn.region)
                && target.account().is_none_or(|account| account == arn.account)
        })
    };
    let fitting: Vec<_> = all.iter().filter(|(_, target)| fits(target)).collect();
    let (name, mut target) = match fitting[..] {
        [only] => of(only),
        [] => {
            bail!("no target of the settings is in the account and region of the ARN: {}", names())
        }
        _ => bail!("say in which target the cluster is, by `--target NAME`: {}", names()),
    };
    target.region = target.region.or_else(|| arn.map(|arn| arn.region.clone()));
    Ok((name, target))
}

/// What a cluster's ARN says beside its name.
pub(super) struct Arn {
    pub region: String,
    pub account: String,
}

impl Arn {
    /// Of `text`, and the cluster's name.
    pub fn of(text: &str) -> anyhow::Result<(Option<Self>, String)> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let (arn, name) = match parts[..] {
            ["arn", _, "ecs", region, account, resource] => {
                let arn = Self { region: region.to_owned(), account: account.to_owned() };
                (Some(arn), resource.strip_prefix("cluster/").unwrap_or_default())
            }
            _ => (None, text),
        };
        if !is_name(name) {
            bail!(
                "`{text}` is no cluster: give its name, or its ARN: \
                   arn:aws:ecs:REGION:ACCOUNT:cluster/NAME"
            );
        }
        Ok((arn, name.to_owned()))
    }
}
