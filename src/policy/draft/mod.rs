//! A first policy of a cluster, from what stands and was measured there. Pure: who asks for it
//! is `app::draft`.
//!
//! A policy names one load balancer, so a service that has one gets a policy of its own, and so
//! does one with alarms of its own. The others share one.

mod group;
mod history;
mod limits;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Controller, KnownAlarm};

pub use history::{DAYS, Figure, History};

/// The cluster, and what its services have in common.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    pub cluster: String,
    /// Whether it has services that are not drafted for: nobody asked for them, or nobody
    /// could see them.
    pub has_others: bool,
    /// The settings' name of the account and region, where policies have to name it.
    pub target: Option<String>,
    /// `None`: it is guessed from the cluster's name.
    pub environment: Option<String>,
    /// Account and region, in words.
    pub place: String,
    /// The day, as people write it.
    pub on: String,
    /// Services whose tasks the settings' Prometheus measures.
    pub exported: BTreeSet<String>,
}

/// One service, with all that is known of it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub name: String,
    pub controller: Controller,
    pub before: Before,
    /// Other load balancers and target groups that requests come through, in words.
    pub beside: Vec<String>,
    /// About this service alone.
    pub alarms: Vec<KnownAlarm>,
    /// About others too: the cluster's, the load balancer's.
    pub shared_alarms: Vec<KnownAlarm>,
    /// What was asked and answered.
    pub measured: BTreeMap<Figure, History>,
}

/// What requests come through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// An Application Load Balancer, by the values of its metrics' dimensions. Without the
    /// group: the service's two change places, and the metrics are the whole balancer's.
    Balancer {
        balancer: String,
        group: Option<String>,
    },
    /// Something that counts no requests, or could not be asked, in words.
    Unmeasured(String),
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drafted {
    /// Fit for a file's name, and unique among those drafted together.
    pub name: String,
    /// The pattern of the services that it guards.
    pub services: String,
    /// A whole policy file.
    pub text: String,
}

/// Drafts the policies of a cluster; for one without services a policy of whatever comes.
pub fn draft(scene: &Scene, services: &[Seen]) -> Vec<Drafted> {
    let mut names = BTreeSet::new();
    group::groups(scene, services)
        .into_iter()
        .map(|group| {
            let name = unique(&group.name, &mut names);
            let text = write::policy(scene, &name, &group);
            Drafted { name, services: group.pattern, text }
        })
        .collect()
}

/// The environment that a cluster's name speaks of: `prod` of `shop-prod`.
pub fn environment(cluster: &str) -> Option<String> {
    const KNOWN: [&str; 16] = [
        "production",
        "prod",
        "prd",
        "live",
        "staging",
        "stage",
        "stg",
        "preprod",
        "preview",
        "development",
        "dev",
        "test",
        "testing",
        "qa",
        "uat",
        "sandbox",
    ];
    let lower = cluster.to_ascii_lowercase();
    let mut words = lower.rsplit(|char: char| !char.is_ascii_alphanumeric());
    words.find(|word| KNOWN.contains(word)).map(str::to_owned)
}

/// Whether ECS has such names; nothing in them means anything to a pattern or to a folder.
pub fn is_name(text: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    !text.is_empty() && text.len() <= 255 && text.chars().all(fits)
}

/// Why a policy can't name an alarm; `None`: it can.
pub fn unnameable(alarm: &str) -> Option<&'static str> {
    if alarm == super::UNSAID {
        Some("it stands for a name that nobody gave")
    } else if alarm.trim().is_empty() || alarm.trim() != alarm || alarm.len() > 255 {
        Some("its name is empty, or has blanks around it")
    } else if !alarm.is_ascii() || alarm.chars().any(char::is_control) {
        Some("a policy's names are ASCII")
    } else if alarm.contains("${") || alarm.contains('*') || alarm.starts_with("arn:") {
        Some("its name would be a variable, a pattern or an ARN in a policy")
    } else {
        None
    }
}

/// The longest name that a policy and its file have.
const LONGEST: usize = 100;

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut base: String = name.chars().take(LONGEST).collect();
    // Such a file would be a test of policies, and such a one defaults.
    if base.ends_with("_test") || base.starts_with('_') {
        base = format!("guard-{base}-policy");
    }
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

#[cfg(test)]
mod tests;
