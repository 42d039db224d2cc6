//! A call about an incident, with hostile and plain words.

use deployguard::model::{
    Deployment, Facts, Inherited, Revision, RollbackSafe, Service, ServiceKey, Severity, Signal,
    Turn,
};
use deployguard::notify::Call;
use jiff::{SignedDuration, Timestamp};

pub const INCIDENT: &str = "shopflow-api-1a2b3c4d#1";

#[expect(clippy::disallowed_methods, reason = "receivers compare what is signed with this clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The turns of an incident, in order.
pub fn turns() -> [Turn; 7] {
    let (by, to) = ("dana".to_owned(), "shopflow-api:41".to_owned());
    [
        Turn::Opened,
        Turn::Called,
        Turn::Acknowledged { by: by.clone() },
        Turn::NeedsHelp,
        Turn::RolledBack { to, by },
        Turn::Resolved,
        Turn::Closed,
    ]
}

/// The `number`th notice of its watch.
pub fn call(number: u32, turn: Turn) -> Call {
    let key = format!("shopflow-api-1a2b3c4d/{number}");
    Call { key, at: now() - SignedDuration::from_mins(2), now: now(), signal: signal(turn) }
}

pub fn signal(turn: Turn) -> Signal {
    let field = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    Signal {
        incident: INCIDENT.to_owned(),
        turn,
        severity: Severity::Sev1,
        opened_at: now() - SignedDuration::from_mins(3),
        title: "shopflow-api v1.5.0 in production".to_owned(),
        headline: "SEV1: deployguard is rolling back shopflow-api v1.5.0 in production".to_owned(),
        fields: vec![field("Status", "Identified"), field("Severity", "SEV1")],
        evidence: vec!["error rate 12.4%, limit 10%".to_owned()],
        deployment: Box::new(deployment()),
        policy: "shopflow".to_owned(),
        anew: false,
    }
}

/// With words that try to be more than words.
pub fn hostile(turn: Turn) -> Call {
    let mut call = call(9, turn);
    let evil = "x\r\nBcc: all@evil.example\r\n\r\n<script>\u{202e}é🚢".repeat(200);
    let signal = &mut call.signal;
    signal.incident = format!("{}#1", "ä".repeat(300));
    signal.title.clone_from(&evil);
    signal.headline.clone_from(&evil);
    signal.fields = vec![(evil.clone(), evil.clone()); 100];
    signal.evidence = vec![evil.clone(); 500];
    signal.policy.clone_from(&evil);
    signal.deployment.id.clone_from(&evil);
    signal.deployment.facts.author = Some(evil.clone());
    signal.deployment.facts.url = Some(format!("javascript:{evil}"));
    call.key = evil;
    call
}

fn deployment() -> Deployment {
    let revision = |number: u32, digest: &str| Revision {
        digests: vec![format!("registry.example:5000/shopflow/api:v{number}@sha256:{digest}")],
        ..Revision::named(&format!(
            "arn:aws:ecs:eu-west-1:123456789012:task-definition/shopflow-api:{number}"
        ))
    };
    let started_at = now() - SignedDuration::from_mins(10);
    Deployment {
        id: "gha-18231".to_owned(),
        service: Service {
            name: "shopflow-api".to_owned(),
            environment: "production".to_owned(),
            key: ServiceKey {
                target: "default".to_owned(),
                cluster: "shopflow-production".to_owned(),
                service: "shopflow-api".to_owned(),
            },
        },
        platform_id: Some("ecs-svc/7".to_owned()),
        revision: Some(revision(42, "0b31")),
        source: Some(revision(41, "9f00")),
        started_at,
        baseline_end: started_at,
        undoes: RollbackSafe::Yes,
        inherited: Inherited::default(),
        facts: Facts {
            version: Some("v1.5.0".to_owned()),
            commit: Some("4f1c2aa".to_owned()),
            author: Some("dana".to_owned()),
            url: Some("https://ci.example/runs/18231?a=1&b=2".to_owned()),
            ..Facts::default()
        },
    }
}
