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
    Deployment, Facts, Inherited, Recipient, RollbackSafe, Service, ServiceKey, Severity, Signal,
    Turn,
};
use crate::notify::elsewhere::Elsewhere;
use crate::notify::{Call, DeliverError, LIMITED, Reached, TEST};
use crate::policy_repo::Loaded;
use crate::settings::Settings;

/// What people can do where one is not reached or refuses.
fn mend(who: &Recipient, why: &str) -> String {
    if why.contains(LIMITED) {
        return "try again in a while".to_owned();
    }
    let see = match who {
        Recipient::PagerDuty(name) => format!(
            "see pagerduty.{name}: the url, and the routing_key, which is the integration key of \
             an Events API v2 integration"
        ),
        Recipient::Webhook(name) => format!(
            "see webhooks.{name}: the url, the headers, and the secret, which its receiver must \
             know too"
        ),
        Recipient::Email(name) => {
            format!("see email.smtp: the url, the user and the password; and email.to.{name}")
        }
        Recipient::GitHub(_) => "see github".to_owned(),
        Recipient::Slack(_) => return "try Slack with --slack-post".to_owned(),
    };
    format!("{see}; and whether it can be reached from here")
}

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
            (who, by, found)
        });
    }
    let mut found = probes.join_all().await;
    found.sort_by_key(|(who, _, _)| who.to_string());
    for (who, by, found) in found {
        match found {
            Ok(Reached::Well(words)) => report.ok(&format!("{who}, called by {by}: {words}")),
            Ok(Reached::Oddly(words)) => {
                let mend = "see its url; --call tries it for real";
                report.warn(&format!("{who}, called by {by}: {words}"), mend);
            }
            Err(why) => {
                report.fail(&format!("{who}, called by {by}: {why}"), &mend(&who, &why));
            }
        }
    }
    for who in call {
        if !elsewhere.knows(who) {
            let known: Vec<String> =
                elsewhere.everybody().iter().map(ToString::to_string).collect();
            let known = if known.is_empty() { "nobody".to_owned() } else { known.join(", ") };
            let mend = format!("name it in the settings; they know {known}");
            report.fail(&format!("{who} can't be called: nobody knows it"), &mend);
            continue;
        }
        match tell(&elsewhere, who).await {
            Ok(()) => report.ok(&format!("{who} was told of a test incident, and of its end")),
            Err(why) => {
                let why = why.to_string();
                report.fail(&format!("{who} was not told: {why}"), &mend(who, &why));
            }
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
    let name = TEST.to_owned();
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
        inherited: Inherited::default(),
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
        anew: false,
    }
}
