//! What is drafted, held to what `check` reads.

use super::*;
use crate::policy::{PolicySet, SourceFile, check};

fn seen(name: &str) -> Seen {
    Seen {
        name: name.to_owned(),
        controller: Controller::Ecs,
        before: Before::Nothing,
        beside: Vec::new(),
        alarms: Vec::new(),
        shared_alarms: Vec::new(),
        measured: BTreeMap::new(),
    }
}

fn behind(name: &str) -> Seen {
    let before = Before::Balancer { balancer: format!("app/{name}/1"), group: None };
    Seen { before, ..seen(name) }
}

fn checked(drafts: &[Drafted]) -> PolicySet {
    let file = |one: &Drafted| SourceFile {
        path: format!("policies/{}.yaml", one.name),
        bytes: one.text.clone().into_bytes(),
    };
    let files: Vec<SourceFile> = drafts.iter().map(file).collect();
    check(&files).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{drafts:?}"))
}

fn drafted(cluster: &str, services: &[Seen]) -> Vec<(String, String)> {
    let scene = Scene { cluster: cluster.to_owned(), ..Scene::default() };
    let drafts = draft(&scene, services);
    assert_eq!(checked(&drafts).len(), drafts.len());
    drafts.into_iter().map(|one| (one.name, one.services)).collect()
}

#[test]
fn an_environment_is_the_last_word_of_the_clusters_name_that_is_one() {
    for (cluster, found) in [
        ("shopflow-production", Some("production")),
        ("unifocus-prod-cluster", Some("prod")),
        ("Staging_1", Some("staging")),
        ("dev-tools-prod", Some("prod")),
        ("shop", None),
        ("product-catalog", None),
        ("latest", None),
    ] {
        assert_eq!(environment(cluster).as_deref(), found, "{cluster}");
    }
}

#[test]
fn services_share_a_policy_where_one_can_speak_of_all_of_them() {
    let pair = |name: &str, services: &str| (name.to_owned(), services.to_owned());
    assert_eq!(drafted("shop", &[]), [pair("shop", "*")]);
    assert_eq!(drafted("shop", &[seen("api")]), [pair("api", "api")]);
    let two = [seen("shop-api"), seen("shop-web")];
    assert_eq!(drafted("shop", &two), [pair("shop", "shop-*")]);
    assert_eq!(drafted("shop", &[seen("api"), seen("web")]), [pair("shop", "*")]);
    let mixed = [behind("shop-api"), seen("shop-a"), seen("shop-b"), seen("x")];
    assert_eq!(
        drafted("shop-prod", &mixed),
        [pair("shop-api-prod", "shop-api"), pair("shop-prod-others", "{shop-a,shop-b,x}")]
    );
    let apart = [behind("api"), seen("job-a"), seen("job-b")];
    assert_eq!(drafted("c", &apart), [pair("api", "api"), pair("c-others", "job-*")]);
}

#[test]
fn what_nobody_chose_is_guarded_by_no_pattern() {
    let scene = Scene { cluster: "shop".to_owned(), has_others: true, ..Scene::default() };
    let patterns = |services: &[Seen]| {
        let drafts = draft(&scene, services);
        checked(&drafts);
        drafts.into_iter().map(|one| one.services).collect::<Vec<_>>()
    };
    assert_eq!(patterns(&[seen("api"), seen("web")]), ["{api,web}"]);
    assert_eq!(patterns(&[seen("shop-api"), seen("shop-web")]), ["{shop-api,shop-web}"]);
    assert_eq!(patterns(&[behind("shop-a"), seen("shop-b")]), ["shop-a", "shop-b"]);
}

#[test]
fn many_and_long_names_are_several_policies_that_guard_each_service_once() {
    let name = |index: usize| format!("s{index}x{}", "y".repeat(index % 200));
    let mut services: Vec<Seen> = (0..150).map(|index| seen(&name(index))).collect();
    services.push(behind("s0"));
    let scene = Scene { cluster: "c".to_owned(), ..Scene::default() };
    let drafts = draft(&scene, &services);
    let set = checked(&drafts);
    for one in &services {
        let globs = set.iter().map(|one| crate::policy::Glob::parse(&one.policy.matches.service));
        let guards = globs.filter(|glob| glob.as_ref().is_ok_and(|glob| glob.matches(&one.name)));
        assert_eq!(guards.count(), 1, "{}", one.name);
    }
    assert!(drafts.iter().all(|one| one.name.len() <= LONGEST + 20));
}

#[test]
fn what_a_prometheus_measures_of_the_tasks_is_asked_of_it() {
    let mut scene = Scene { cluster: "c".to_owned(), ..Scene::default() };
    scene.exported.insert("a".to_owned());
    let text = |scene: &Scene, services: &[Seen]| {
        let drafts = draft(scene, services);
        checked(&drafts);
        drafts[0].text.clone()
    };
    assert!(text(&scene, &[behind("a")]).contains("extends: ecs-web"));
    assert!(text(&scene, &[seen("a"), seen("b")]).contains("extends: ecs-cloudwatch"));
}

const HOUR: i64 = 3600 * 1000;

/// Seven days by the hour; `odd` of the hours have another value.
fn week(usual: f64, odd: impl Fn(i64) -> Option<f64>) -> Vec<(i64, f64)> {
    (0..7 * 24).map(|hour| (hour * HOUR, odd(hour).unwrap_or(usual))).collect()
}

#[test]
fn an_outage_blinds_no_limit_and_is_marked() {
    let text = |outage: Option<i64>| {
        let during = |value: f64| move |hour: i64| (Some(hour) == outage).then_some(value);
        let mut one = behind("a");
        one.measured.insert(Figure::Requests, Ok(week(10_000.0, |_| None)));
        one.measured.insert(Figure::Errors, Ok(week(50.0, during(9_000.0))));
        one.measured.insert(Figure::P95, Ok(week(0.2, during(30.0))));
        one.measured.insert(Figure::Cpu, Ok(week(0.3, during(1.0))));
        let scene = Scene { cluster: "c".to_owned(), ..Scene::default() };
        let drafts = draft(&scene, &[one]);
        checked(&drafts);
        drafts[0].text.clone()
    };
    let limits = |text: &str| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (usual, outage) = (text(None), text(Some(50)));
    assert_eq!(limits(&usual), limits(&outage));
    assert!(usual.contains(r#"breach: { SEV2: "> 1%", SEV1: "> 10%" }"#), "{usual}");
    assert!(usual.contains(r#"breach: { SEV2: "> 300ms", SEV1: "> 1.2s" }"#), "{usual}");
    assert!(!usual.contains("beyond SEV2"), "{usual}");
    assert_eq!(outage.matches("beyond SEV2").count(), 3, "{outage}");
    assert!(!outage.contains("would not have broken"), "{outage}");
}

#[test]
fn an_hour_with_few_requests_says_nothing_of_latency() {
    let mut one = behind("a");
    let few = |hour: i64| (hour % 24 == 3).then_some(2.0);
    one.measured.insert(Figure::Requests, Ok(week(10_000.0, few)));
    one.measured.insert(Figure::P95, Ok(week(0.2, |hour| few(hour).map(|_| 9.0))));
    let scene = Scene { cluster: "c".to_owned(), ..Scene::default() };
    let text = |one: &Seen| draft(&scene, std::slice::from_ref(one))[0].text.clone();
    assert!(text(&one).contains(r#"SEV2: "> 300ms""#), "{}", text(&one));
    one.measured.insert(Figure::Requests, Ok(week(2.0, |_| None)));
    let told = text(&one).replace("\n  #", "");
    assert!(told.contains("had 100 requests: the limits are anybody's"), "{told}");
}

#[test]
fn what_else_is_before_a_service_is_named() {
    let mut one = behind("a");
    one.beside = vec!["targetgroup/b/1 of app/b/1".to_owned()];
    let scene = Scene { cluster: "c".to_owned(), ..Scene::default() };
    let text = draft(&scene, &[one])[0].text.replace("\n  #", "");
    assert!(text.contains("(!) Neither check sees what comes through targetgroup/b/1"), "{text}");
}

#[test]
fn a_service_that_is_full_or_fails_a_lot_is_drafted_and_marked() {
    let mut one = behind("a");
    let history = |value: f64| Ok(vec![(1, value), (2, value)]);
    one.measured.insert(Figure::Requests, history(1e9));
    one.measured.insert(Figure::Errors, history(1e9));
    one.measured.insert(Figure::P95, Ok(vec![(1, f64::NAN), (2, 61.0), (3, f64::INFINITY)]));
    one.measured.insert(Figure::Cpu, history(3.7));
    one.measured.insert(Figure::Memory, history(0.999));
    one.measured.insert(Figure::Disk, Err("a\nmode: auto".to_owned()));
    let scene =
        Scene { cluster: "c".to_owned(), place: "a\nmode: auto".to_owned(), ..Scene::default() };
    let drafts = draft(&scene, &[one]);
    let set = checked(&drafts);
    let policy = &set.iter().next().unwrap().policy;
    assert_eq!(policy.mode, crate::model::Mode::Observe);
    let text = &drafts[0].text;
    for part in ["100% of 2000 million requests", "61s", "Nothing is to spare already", "> 375%"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
