//! Views for tests.

use jiff::Timestamp;

use crate::model::{Facts, IncidentStatus, Mode, Severity, Verdict};
use crate::policy::OnTimeout;
use crate::watch::PreflightState;
use crate::web::{
    AskedView, CheckView, IncidentView, PhaseView, PolicyView, WatchDetail, WatchView,
};

/// 2026-11-20 10:30:00 UTC and `seconds`.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_170_600 + seconds).unwrap()
}

/// A minute after the roll-out of a deployment in service since [`at`] 0.
pub fn view() -> WatchView {
    let phase = |name: &str, minutes: i64| PhaseView {
        name: name.to_owned(),
        ends_at: Some(at(minutes * 60)),
    };
    WatchView {
        id: "shopflow-api-0123".into(),
        service: "shopflow-api".into(),
        environment: "production".into(),
        place: "default/shopflow-production/shopflow-api".into(),
        deployment: "gha-v2".into(),
        version: "v2".into(),
        status: "watching, immediate phase until 10:45:00 UTC".into(),
        outcome: None,
        mode: Mode::Auto,
        mode_because: None,
        opened_at: at(-20),
        started_at: at(-20),
        in_service_at: Some(at(0)),
        phase: "immediate".into(),
        checks: vec![check("error rate", Verdict::Healthy, 0.0002)],
        incident: None,
        decision_due: None,
        phases: vec![phase("immediate", 15), phase("short-term", 60)],
        rolling_back: false,
        asked: None,
        would_end: None,
    }
}

pub fn check(name: &str, verdict: Verdict, value: f64) -> CheckView {
    let shown = format!("{}%", value * 100.0);
    CheckView {
        name: name.into(),
        verdict: Some(verdict),
        value: Some(value),
        reason: format!("{shown} (limit > 1%)"),
        shown: Some(shown),
        limits: "normal < 0.1% · SEV2 > 1%".into(),
        judged_at: Some(at(60)),
        ..CheckView::default()
    }
}

pub fn incident() -> IncidentView {
    IncidentView {
        severity: Severity::Sev2,
        number: 1,
        status: IncidentStatus::Identified,
        opened_at: at(61),
        resolved_at: None,
        evidence: vec!["error rate 3% (limit > 1%)".into()],
        excused: None,
        returns: 0,
        with: None,
        joins: Vec::new(),
    }
}

pub fn asked() -> AskedView {
    AskedView {
        since: at(61),
        until: Some(at(961)),
        on_timeout: OnTimeout::Escalate,
        because: "the policy asks at SEV2".into(),
    }
}

pub fn detail() -> WatchDetail {
    let policy = PolicyView {
        name: "shopflow".into(),
        file: "shopflow.yaml".into(),
        commit: None,
        dirty: false,
        text: String::new(),
    };
    WatchDetail {
        watch: view(),
        facts: Facts { url: Some("https://ci.example/1".into()), ..Facts::default() },
        task_definition: None,
        source_task_definition: None,
        rollback: PreflightState::Unknown,
        policy,
        timeline: Vec::new(),
        unlabelled: Vec::new(),
        stops: Vec::new(),
        log: None,
    }
}
