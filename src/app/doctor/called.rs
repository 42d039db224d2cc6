//! Whom policies call elsewhere than in Slack: whether the settings know them, and whether
//! they can be reached. Nobody is told anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::report::Report;
use crate::app::called::connect;
use crate::model::Recipient;
use crate::policy_repo::Loaded;
use crate::settings::Settings;

pub(super) async fn examine(settings: &Settings, loaded: &Loaded) -> Report {
    let mut report = Report::of("recipients");
    let elsewhere = match connect(settings) {
        Ok(elsewhere) => Arc::new(elsewhere),
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend it in the settings");
            return report;
        }
    };
    let mut wanted: BTreeMap<Recipient, BTreeSet<String>> =
        elsewhere.everybody().into_iter().map(|who| (who, BTreeSet::new())).collect();
    for written in loaded.set.iter() {
        for who in written.policy.notify.called() {
            wanted.entry(who).or_default().insert(written.policy.name.clone());
        }
    }
    let mut probes = JoinSet::new();
    for (who, policies) in wanted {
        if matches!(who, Recipient::Slack(_)) {
            continue;
        }
        let by: Vec<String> = policies.into_iter().collect();
        if !elsewhere.knows(&who) {
            let mend = "name it in the settings, or another one in the policy";
            report.fail(&format!("{} calls {who}, whom nobody knows", by.join(", ")), mend);
            continue;
        }
        let by = if by.is_empty() { "no policy".to_owned() } else { by.join(", ") };
        let elsewhere = Arc::clone(&elsewhere);
        probes.spawn(async move {
            let found = elsewhere.probe(&who).await;
            (format!("{who}, called by {by}"), found)
        });
    }
    let mut found = probes.join_all().await;
    found.sort();
    for (who, found) in found {
        match found {
            Ok(words) => report.ok(&format!("{who}: {words}")),
            Err(why) => report.fail(&format!("{who}: {why}"), "see its address and its secret"),
        }
    }
    report
}
