//! What is known, against what is answered.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{Facts, Standing, Unusable, WatchId};
use crate::policy::{Days, Freeze, Gate, Soak, Times};
use crate::watch::tests::world::{Guard, at, key, policy, revision};

/// In 2023-11-14 22:13:20 UTC.
fn now() -> Timestamp {
    at(0)
}

/// Known-good is api:1, and api:2 is to come.
fn known() -> Known {
    let good = LedgerEntry {
        service: key(),
        revision: revision(1),
        standing: Standing::Good,
        at: at(-3600),
        watch: None,
    };
    Known {
        service: "api".to_owned(),
        ledger: vec![good],
        in_place: Some(revision(1)),
        ..Known::default()
    }
}

fn v2() -> Named {
    Named {
        version: Some("v2".to_owned()),
        commit: Some("4f1c2aa".to_owned()),
        revision: Some("api:2".to_owned()),
    }
}

fn facts(version: &str) -> Facts {
    Facts { version: Some(version.to_owned()), ..Facts::default() }
}

fn with(gate: Gate) -> Policy {
    Policy { gate, ..policy() }
}

/// The verdict, and the rules that speak against it: `no: soak; warn: brake`.
fn told(answer: &GateAnswer) -> String {
    let against = answer.reasons.iter().filter(|reason| reason.verdict > GateVerdict::Yes);
    let shown = against.map(|one| format!("{} {:?}", one.verdict.as_str(), one.rule));
    let shown: Vec<String> = shown.collect();
    format!("{}: {}", answer.verdict.as_str(), shown.join(", "))
}

fn asked(policy: &Policy, known: &Known) -> String {
    told(&gate(policy, known, &v2(), now()))
}

fn words(answer: &GateAnswer, rule: GateRule) -> &str {
    &answer.reasons.iter().find(|reason| reason.rule == rule).unwrap().words
}

fn freeze() -> Gate {
    let days = Days::EveryYear("11-14".parse().unwrap());
    let times =
        Times { freeze: vec![Freeze { name: "audit".to_owned(), days }], ..Times::default() };
    Gate { times, ..Gate::default() }
}

fn soaking(for_: i64) -> Gate {
    let soak = Soak {
        environment: "staging".to_owned(),
        for_: SignedDuration::from_hours(for_),
        service: None,
        version: Some("${version}-rc".to_owned()),
    };
    Gate { soak: Some(soak), ..Gate::default() }
}

fn trial(hours: i64) -> Trial {
    Trial {
        watch: WatchId::typed("staging/api/1"),
        facts: facts("v2-rc"),
        revision: None,
        from: Some(at(-3600 * hours)),
        until: None,
        against: None,
    }
}

#[test]
fn nothing_that_speaks_against_it_is_yes_with_where_a_rollback_would_go() {
    let answer = gate(&policy(), &known(), &v2(), now());
    assert_eq!(told(&answer), "yes: ");
    let target = words(&answer, GateRule::RollbackTarget);
    assert!(target.starts_with("a rollback would go to api:1 (known-good: watched"), "{target}");
    assert_eq!(answer.next_open, Some(now()));
}

#[test]
fn each_thing_that_is_known_has_the_weight_that_the_policy_gives_it() {
    let stances = |change: fn(&mut crate::policy::Stances)| {
        let mut gate = Gate::default();
        change(&mut gate.stances);
        with(gate)
    };
    let bad = Bad { revision: Some(revision(2)), facts: facts("v9"), watch: None, at: at(-60) };
    let bad = Known { bad: vec![bad], ..known() };
    let incident = Some(("SEV2 since 21:00".to_owned(), WatchId::typed("w")));
    let open = Known { bound: Bound { incident, rollback: None }, ..known() };
    let rolling = Bound { incident: None, rollback: Some(WatchId::typed("w")) };
    let rolling = Known { bound: rolling, ..known() };
    let lost = Known { ledger: Vec::new(), in_place: None, ..known() };
    let alert = |severity: &str, ended: Option<Timestamp>| Alert {
        fingerprint: "f".to_owned(),
        service: key(),
        name: "HighErrorRate".to_owned(),
        severity: Some(severity.to_owned()),
        summary: None,
        since: at(-600),
        ended,
        heard: at(-60),
    };
    let alerted = |alert: Alert| Known { alerts: vec![alert], ..known() };
    let critical = alerted(alert("critical", None));
    let held = Known { paused: Some("paused by dana".into()), braked: Some("4".into()), ..known() };
    for (policy, known, expected) in [
        (policy(), &bad, "no: no KnownBad"),
        (stances(|s| s.known_bad = Stance::Warn), &bad, "warn: warn KnownBad"),
        (policy(), &open, "no: no OpenIncident"),
        (stances(|s| s.open_incident = Stance::Ignore), &open, "yes: "),
        (stances(|s| s.open_incident = Stance::Ignore), &rolling, "no: no RollingBack"),
        (policy(), &lost, "warn: warn RollbackTarget"),
        (stances(|s| s.rollback_target = Stance::Refuse), &lost, "no: no RollbackTarget"),
        (policy(), &critical, "warn: warn Alert"),
        (stances(|s| s.alerts = Stance::Refuse), &critical, "no: no Alert"),
        (policy(), &alerted(alert("warning", None)), "yes: "),
        (policy(), &alerted(alert("critical", Some(at(-10)))), "yes: "),
        (policy(), &held, "warn: warn Paused, warn Brake"),
        (with(freeze()), &held, "no: no Freeze, warn Paused, warn Brake"),
    ] {
        assert_eq!(asked(&policy, known), expected);
    }
    let forgotten = Alert { heard: at(-3600 * 25), ..alert("critical", None) };
    assert_eq!(asked(&policy(), &alerted(forgotten)), "yes: ", "nobody speaks of it any more");
}

#[test]
fn what_was_found_bad_is_known_by_version_commit_task_definition_or_digest() {
    let found = Revision { digests: vec!["shop/api@sha256:b".into()], ..revision(2) };
    let commit = Some("4f1c2aab9d".to_owned());
    let bad = Bad {
        revision: Some(found),
        facts: Facts { commit, ..facts("v2") },
        watch: Some(WatchId::typed("w")),
        at: at(-60),
    };
    let known = Known { bad: vec![bad], ..known() };
    let one = |version: &str, commit: &str, revision: &str| {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (version, commit, revision) = (said(version), said(commit), said(revision));
        let named = Named { version, commit, revision };
        told(&gate(&policy(), &known, &named, now()))
    };
    let is_bad = "no: no KnownBad";
    assert_eq!(one("v2", "", ""), is_bad);
    assert_eq!(one("v3", "4f1c2aa", ""), is_bad, "the same commit under another name");
    assert_eq!(one("", "", "api:2"), is_bad);
    assert_eq!(one("", "", "shop/api@sha256:b"), is_bad);
    assert_eq!(one("", "", "sha256:b"), is_bad);
    for (version, commit, revision) in
        [("v3", "", ""), ("", "4f1c", ""), ("", "", "api:3"), ("", "", "")]
    {
        assert_eq!(one(version, commit, revision), "yes: ");
    }
}

#[test]
fn a_soak_is_long_enough_and_clean_where_the_policy_says() {
    let known = |trials: Option<Vec<Trial>>| Known { trials, ..known() };
    let soak = |known: &Known| {
        let answer = gate(&with(soaking(24)), known, &v2(), now());
        let reason = answer.reasons.into_iter().find(|one| one.rule == GateRule::Soak).unwrap();
        (reason.verdict == GateVerdict::Yes, reason.words, reason.until)
    };
    let (yes, words, _) = soak(&known(Some(vec![trial(24)])));
    assert!(yes, "{words}");
    assert_eq!(words, "v2-rc was in staging for 24h without a breach (staging/api/1)");
    let (yes, words, until) = soak(&known(Some(vec![trial(23)])));
    assert!(!yes && until == Some(at(3600)), "{words}");
    assert!(words.starts_with("v2-rc was in staging for 23h of 24h: it will have been"), "{words}");

    let replaced = Trial { until: Some(at(-3600 * 10)), ..trial(30) };
    let (yes, words, until) = soak(&known(Some(vec![replaced])));
    assert!(!yes && until.is_none(), "{words}");
    assert!(words.ends_with("for 20h of 24h: something else is there now"), "{words}");
    let broken = Trial { against: Some("it ended as rolled_back".into()), ..trial(48) };
    let (yes, words, _) = soak(&known(Some(vec![broken.clone()])));
    assert!(
        !yes && words.contains("has not soaked in staging: it ended as rolled_back"),
        "{words}"
    );
    let (yes, words, _) = soak(&known(Some(vec![broken, trial(25)])));
    assert!(yes, "a second try that went well: {words}");
    let young = Trial { from: None, ..trial(0) };
    assert!(soak(&known(Some(vec![young]))).1.contains("it is not in service yet"));
    let other = Trial { facts: facts("v2"), ..trial(48) };
    assert!(soak(&known(Some(vec![other]))).1.contains("v2-rc was never seen in staging as `api`"));
    assert!(soak(&known(None)).1.contains("no policy guards `api` in staging"));

    let image = |tag: &str, number| Revision {
        digests: vec![format!("shop/api:{tag}@sha256:a")],
        ..revision(number)
    };
    let same = Trial { facts: Facts::default(), revision: Some(image("rc", 9)), ..trial(48) };
    let mut by_image = known(Some(vec![same]));
    by_image.in_place = Some(image("v2", 2));
    assert!(soak(&by_image).0, "the same images under other names");
    let nothing = gate(&with(soaking(24)), &known(Some(vec![trial(48)])), &Named::default(), now());
    assert_eq!(told(&nothing), "no: no Soak");
    assert!(words_of(&nothing).contains("give its version, commit or revision"));
}

fn words_of(answer: &GateAnswer) -> &str {
    words(answer, GateRule::Soak)
}

#[test]
fn the_watches_of_staging_say_how_long_each_was_there_and_what_speaks_against_it() {
    let mut clean = Guard::settled(policy());
    clean.lives(0.0, 600);
    let mut broken = Guard::settled(policy());
    broken.breaks(30.0);
    let blind = Guard::over(policy());
    let found = trials(&[clean.watch, broken.watch, blind.watch]);
    assert_eq!(found[0].against, None);
    assert_eq!((found[0].from.is_some(), found[0].until), (true, None));
    assert!(found[1].against.as_ref().unwrap().starts_with("it had an incident at "));
    assert_eq!(found[1].until, Some(at(0)), "the later one took its place");
    assert_eq!(found[2].from, None, "no task of it was ever in service");
}

#[test]
fn an_optional_check_that_nobody_measured_speaks_against_no_soak() {
    let against = |optional: bool| {
        let mut policy = policy();
        policy.checks[0].optional = optional;
        let mut guard = Guard::settled(policy);
        (0..60).for_each(|_| guard.reads_as(Err(Unusable::Empty)));
        trials(&[guard.watch]).remove(0).against
    };
    assert_eq!(against(false).unwrap(), "too little of `errors` is measured");
    assert_eq!(against(true), None);
}

fn over(named: Named, rules: &[GateRule]) -> GateOverride {
    let shut = |rule: &GateRule| reason(*rule, GateVerdict::No, "no");
    GateOverride {
        id: "1".to_owned(),
        service: key(),
        environment: "production".to_owned(),
        named,
        by: "dana".to_owned(),
        via: Some("oncall".to_owned()),
        reason: "checkout is down".to_owned(),
        at: at(-60),
        until: at(60),
        reasons: rules.iter().map(shut).collect(),
        watch: None,
    }
}

#[test]
fn an_override_is_for_what_it_names_for_what_it_saw_and_for_a_while() {
    let frozen = with(freeze());
    let through = |over: GateOverride| Known { overrides: vec![over], ..known() };
    let known = through(over(v2(), &[GateRule::Freeze]));
    let answer = gate(&frozen, &known, &v2(), now());
    assert_eq!(told(&answer), "warn: warn Freeze");
    let said = words(&answer, GateRule::Freeze);
    assert!(
        said.contains("audit is a freeze until Wed 2023-11-15 00:00 UTC (overridden by dana until"),
        "{said}"
    );
    assert!(answer.overridden.is_some());

    let incident = Some(("SEV1".to_owned(), WatchId::typed("w")));
    let worse = Known { bound: Bound { incident, rollback: None }, ..known.clone() };
    assert_eq!(asked(&frozen, &worse), "no: no OpenIncident, warn Freeze", "nobody has seen that");
    let other = Named { version: Some("v3".into()), ..v2() };
    assert_eq!(told(&gate(&frozen, &known, &other, now())), "no: no Freeze");
    assert_eq!(told(&gate(&frozen, &known, &Named::default(), now())), "no: no Freeze");
    assert_eq!(told(&gate(&frozen, &known, &v2(), at(60))), "no: no Freeze", "too late");
    let anything = through(over(Named::default(), &[GateRule::Freeze]));
    assert_eq!(asked(&frozen, &anything), "warn: warn Freeze");
    let answer = gate(&frozen, &anything, &v2(), now());
    let said = words(&answer, GateRule::Freeze);
    assert!(said.contains("(overridden by dana for whatever is deployed next until"), "{said}");
    let unnamed = through(GateOverride { via: None, ..over(v2(), &[GateRule::Freeze]) });
    let answer = gate(&frozen, &unnamed, &v2(), now());
    let said = words(&answer, GateRule::Freeze);
    assert!(said.contains("(overridden by the token dana until"), "no person is named: {said}");
    let used = GateOverride { watch: Some(WatchId::typed("w")), ..over(v2(), &[GateRule::Freeze]) };
    assert_eq!(asked(&frozen, &through(used)), "no: no Freeze", "it had its deployment");
}

#[test]
fn what_is_open_over_a_service_is_its_incident_and_its_rollback() {
    let mut guard = Guard::settled(policy());
    assert_eq!(standing(std::slice::from_ref(&guard.watch)), Bound::default());
    guard.breaks(30.0);
    assert!(guard.wants_rollback());
    let bound = standing(std::slice::from_ref(&guard.watch));
    assert_eq!(bound.rollback, Some(guard.watch.id.clone()));
    let (words, _) = bound.incident.unwrap();
    assert!(words.starts_with("SEV1 since ") && words.ends_with("(errors)"), "{words}");
}
