//! Whom policies call elsewhere than in Slack: whether the settings know them, and whether
//! they can be reached. Nobody is told anything but who is named for a test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::report::Report;
use crate::app::called::connect;
use crate::engine::clock;
use crate::model::{
    Deployment, Facts, Recipient, RollbackSafe, Service, ServiceKey, Severity, Signal, Turn,
};
use crate::notify::elsewhere::Elsewhere;
use crate::notify::{Call, DeliverError};
use crate::policy_repo::Loaded;
use crate::settings::Settings;

const MEND: &str = "see its address and its secret";

pub(super) async fn examine(settings: &Settings, loaded: &Loaded, call: &[Recipient]) -> Report {
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
            Err(why) => report.fail(&format!("{who}: {why}"), MEND),
        }
    }
    for who in call {
        match tell(&elsewhere, who).await {
            Ok(()) => report.ok(&format!("{who} was told of a test incident, and of its end")),
            Err(why) => report.fail(&format!("{who}: {why}"), MEND),
        }
    }
    report
}

/// Tells of an incident that there is not, and of its end.
async fn tell(elsewhere: &Elsewhere, who: &Recipient) -> Result<(), DeliverError> {
    let now = clock::now();
    for turn in [Turn::Opened, Turn::Resolved] {
        let key = format!("doctor-{}/{turn:?}", now.as_millisecond());
        elsewhere
            .call(who, &Call { key, at: now, now: clock::now(), signal: test(turn, now) })
            .await?;
    }
    Ok(())
}

fn test(turn: Turn, now: Timestamp) -> Signal {
    let name = "deployguard doctor".to_owned();
    let place = || "test".to_owned();
    let key = ServiceKey { target: place(), cluster: place(), service: place() };
    let deployment = Deployment {
        id: name.clone(),
        service: Service { name: place(), environment: place(), key },
        platform_id: None,
        revision: None,
        source: None,
        started_at: now,
        baseline_end: now,
        undoes: RollbackSafe::Yes,
        facts: Facts::default(),
    };
    Signal {
        incident: format!("doctor-{}", now.as_millisecond()),
        turn,
        severity: Severity::Sev3,
        opened_at: now,
        title: name,
        headline: "A test by `deployguard doctor`: nothing is broken".to_owned(),
        fields: Vec::new(),
        evidence: Vec::new(),
        deployment: Box::new(deployment),
        policy: place(),
    }
}
