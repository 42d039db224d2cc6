//! What the pages show.

use axum::http::{StatusCode, header};

use super::super::brief::Brief;
use super::super::confirm::{confirm, offered};
use super::super::fleet::{Filter, Fleet};
use super::super::seldom::{Idle, Last};
use super::super::who::{Person, Visitor};
use super::house::{House, OPERATE};
use crate::engine::Foreseen;
use crate::engine::Leads;
use crate::model::{
    Companion, Lead, RollOut, RollbackSafe, Route, Severity, StopKind, TaskStop, WatchId,
};
use crate::store::{Pause, Write};
use crate::watch::tests::world::{Guard, at, policy, sighting};
use crate::watch::{Command, LogExcerpt, Press};
use crate::web::act::{Why, pressed};
use crate::web::standing::Standing;

const HOSTILE: &str = "<script>alert(1)</script>\"'&";

async fn open() -> House {
    House::with(|settings| settings.open_reads = true).await
}

/// What is in an element's text or attribute, and is never markup.
fn is_tame(page: &str) {
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(!page.contains("\"'&"), "{page}");
}

#[tokio::test]
async fn words_from_outside_are_never_markup() {
    let house = open().await;
    let mut policy = policy();
    policy.checks[0].name = HOSTILE.to_owned();
    policy.phases[0].name = HOSTILE.to_owned();
    policy.name = HOSTILE.to_owned();
    policy.environment = HOSTILE.to_owned();
    let mut guard = Guard::settled(policy);
    let facts = &mut guard.watch.deployment.facts;
    facts.version = Some(HOSTILE.to_owned());
    facts.author = Some(HOSTILE.to_owned());
    facts.commit = Some(HOSTILE.to_owned());
    facts.url = Some(format!("javascript:{HOSTILE}"));
    facts.labels.insert(HOSTILE.to_owned(), HOSTILE.to_owned());
    guard.watch.deployment.service.name = HOSTILE.to_owned();
    guard.watch.deployment.service.environment = HOSTILE.to_owned();
    guard.watch.pinned.text = HOSTILE.to_owned();
    guard.watch.pinned.file = HOSTILE.to_owned();
    guard.watch.ceiling.because = Some(HOSTILE.to_owned());
    guard.watch.timeline.push(crate::watch::Entry { at: at(1), text: HOSTILE.to_owned() });
    house.keep(&guard).await;
    let suffers = hostile_incident();
    house.keep(&suffers).await;
    let pause = Pause {
        scope: HOSTILE.to_owned(),
        by: HOSTILE.to_owned(),
        reason: Some(HOSTILE.to_owned()),
        at: at(2),
    };
    house.face.store.commit(&[Write::Pause(pause)], at(2)).await.unwrap();
    house.face.status.store_fails(Some(HOSTILE.to_owned()));
    let cookie = house.log_in(OPERATE).await;
    let id = &guard.watch.id;
    let fleet = house.get("/", &cookie).await.text;
    assert!(fleet.contains("Paused: </strong>&lt;script&gt;"), "{fleet}");
    let pages = [
        "/".to_owned(),
        format!("/watches/{}", suffers.watch.id),
        format!("/watches/{}/card", suffers.watch.id),
        format!("/watches/{id}"),
        format!("/watches/{id}/card"),
        format!("/watches/{id}/act/cancel"),
        "/?service=%3Cscript%3Ealert(1)%3C/script%3E%22'%26".to_owned(),
        "/history?service=%3Cscript%3Ealert(1)%3C/script%3E%22'%26&from=%3Cscript%3Ealert"
            .to_owned(),
        "/login?next=/%3Cscript%3Ealert(1)%22'%26".to_owned(),
        "/watches/%3Cscript%3Ealert(1)%3C%2Fscript%3E%22'%26".to_owned(),
    ];
    for path in pages {
        let page = house.get(&path, &cookie).await;
        assert!(page.status.is_success() || page.status == StatusCode::NOT_FOUND, "{path}");
        is_tame(&page.text);
        assert!(!page.text.contains("href=\"javascript:"), "{path}");
    }
}

/// An incident with words of others in all that is told of it.
fn hostile_incident() -> Guard {
    let text = || HOSTILE.to_owned();
    let mut guard = Guard::of("suffers", policy(), RollbackSafe::Yes);
    guard.settle();
    guard.breaks(5.0);
    guard.watch.stops.insert(TaskStop {
        at: at(3),
        task: text(),
        definition: text(),
        kind: StopKind::Exited(Some(1)),
        container: Some(text()),
        reason: text(),
        memory: None,
    });
    guard.watch.log = Some(LogExcerpt { task: text(), lines: vec![text()], unread: None });
    let other = WatchId::typed(HOSTILE);
    let incident = guard.watch.incident.as_mut().unwrap();
    incident.evidence = vec![text()];
    incident.excused = Some(text());
    incident.with = Some(Lead {
        watch: other.clone(),
        number: 1,
        title: text(),
        opened_at: at(3),
        acked: None,
    });
    incident.joins = vec![Companion {
        watch: other,
        title: text(),
        severity: Severity::Sev2,
        started_at: at(3),
        excused: Some(text()),
        calls: true,
        over: false,
        acked: None,
    }];
    guard
}

#[test]
fn words_of_services_that_are_not_watched_are_never_markup() {
    let text = || HOSTILE.to_owned();
    let last = Last { watch: text(), outcome: None, opened_at: at(0) };
    let idle = Idle { service: text(), environment: text(), place: text(), last: Some(last) };
    let standing = Standing {
        leads: Leads::There(text()),
        pauses: Vec::new(),
        unguarded: vec![text()],
        troubles: vec![text()],
    };
    let fleet = Fleet {
        watches: Vec::new(),
        unread: Vec::new(),
        idle: vec![idle],
        environments: [text()].into(),
        filter: Filter::default(),
        standing,
    };
    let page = fleet.page(&Visitor::default(), at(60)).into_string();
    assert!(page.matches("&lt;script&gt;").count() >= 5, "{page}");
    is_tame(&page);
}

#[tokio::test]
async fn what_was_done_is_said_once_and_by_no_link() {
    let house = open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let address = format!("/watches/{}", guard.watch.id);
    let cookie = house.log_in(OPERATE).await;
    for (path, cookie) in [
        (format!("{address}?done=cancel"), cookie.clone()),
        (address.clone(), format!("{cookie}; deployguard-done=boast")),
    ] {
        let page = house.get(&path, &cookie).await;
        assert!(!page.text.contains("id=\"done\""), "{path}: {}", page.text);
    }
    let page = house.get(&address, &format!("{cookie}; deployguard-done=cancel")).await;
    assert!(page.text.contains("Done: the deployment is watched no longer"), "{}", page.text);
    let gone = format!("deployguard-done=; Path={address}; Max-Age=0; HttpOnly; SameSite=Lax");
    assert_eq!(page.header(header::SET_COOKIE), gone);
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_done_once() {
    let house = open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let cookie = house.log_in(OPERATE).await;
    let address = format!("/watches/{}/act/cancel", guard.watch.id);
    let (one, other) = (house.get(&address, &cookie).await, house.get(&address, &cookie).await);
    assert_ne!(one.field("key"), other.field("key"));

    let key = one.field("key");
    let of_form = Some(format!("cancel:{key}"));
    let press = Press { key: of_form, ..Press::new(Command::Cancel, "oncall", None) };
    let mut gone = Guard::of("gone", policy(), RollbackSafe::Yes);
    gone.take_press(press).unwrap();
    house.keep(&gone).await;
    let sent = async |command, key: &str| {
        let why = Why { key: Some(key.to_owned()), ..Why::default() };
        let caller = house.face.tokens.named("oncall").unwrap();
        pressed(&house.face, caller, gone.watch.id.as_str(), command, why).await
    };
    assert!(sent(Command::Cancel, key).await.is_ok(), "it is done");
    for (command, key, status) in [
        (Command::Cancel, other.field("key"), StatusCode::CONFLICT),
        (Command::Rollback, key, StatusCode::CONFLICT),
        (Command::Cancel, "", StatusCode::UNPROCESSABLE_ENTITY),
        (Command::Cancel, "a:b", StatusCode::UNPROCESSABLE_ENTITY),
        (Command::Cancel, &"k".repeat(65), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let problem = sent(command, key).await.unwrap_err();
        assert_eq!(problem.status(), status, "{key}");
    }
}

#[tokio::test]
async fn a_refusal_leads_back_to_the_watch() {
    let house = open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let cookie = house.log_in(OPERATE).await;
    let address = format!("/watches/{}", guard.watch.id);
    let refused = house.get(&format!("{address}/act/resume"), &cookie).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains(&format!("href=\"{address}\"")), "{}", refused.text);
}

#[tokio::test]
async fn a_platform_that_can_t_be_asked_now_leaves_the_form() {
    let house = open().await;
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    let brief = Brief::of(&guard.watch, at(guard.clock));
    let offer = offered(&brief, Command::Rollback).unwrap();
    let person = Person {
        caller: house.face.tokens.named("oncall").unwrap(),
        claim: "oncall".to_owned(),
        form_token: "token".to_owned(),
        has_session: true,
    };
    let mut seen = house.face.foresight.of(&guard.watch).await;
    seen.obstacles.clear();
    seen.unasked = Some("ThrottlingException".to_owned());
    let page = |seen: &Foreseen| confirm(&brief, offer, Some(seen), (&person, "key")).into_string();
    let asks = page(&seen);
    assert!(asks.contains("<form class=\"confirm\"") && !asks.contains("Nothing would be done"));
    assert!(asks.contains("could not be looked up now: </strong>ThrottlingException"), "{asks}");
    seen.obstacles.push("api:1 is in place already".to_owned());
    let refused = page(&seen);
    assert!(refused.contains("Nothing would be done") && !refused.contains("<form"), "{refused}");
}

#[tokio::test]
async fn what_needs_a_person_stands_first() {
    let house = open().await;
    let calm = Guard::of("calm", policy(), RollbackSafe::Yes);
    let mut asks = Guard::of("asks", policy(), RollbackSafe::Yes);
    asks.settle();
    asks.breaks(5.0);
    assert!(asks.watch.pending.is_some(), "{}", asks.watch.status_line());
    let mut rolls = Guard::of("rolls", policy(), RollbackSafe::Yes);
    rolls.settle();
    rolls.breaks(50.0);
    assert!(rolls.wants_rollback());
    for guard in [&calm, &rolls, &asks] {
        house.keep(guard).await;
    }
    let page = house.get("/", "").await.text;
    let place = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words:?} in {page}"));
    let order = ["Needs a person", "asks ", "Incidents", "rolls ", "Watched now", "calm "];
    let places: Vec<usize> = order[..].iter().map(|words| place(&format!(">{words}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.contains("3 deployments watched, 1 needs a person, 1 more in an incident"));
    assert!(page.contains("A person decides: "));
    let some = house.get("/?service=ROLL", "").await.text;
    assert!(some.contains(">rolls ") && !some.contains(">asks "), "{some}");
    let none = house.get("/?environment=staging", "").await.text;
    assert!(none.contains("No deployment is being watched among those"), "{none}");
}

#[tokio::test]
async fn a_watch_is_told_with_its_charts_and_everything_that_explains_it() {
    let house = open().await;
    let mut guard = Guard::settled(policy());
    guard.lives(0.0, 120);
    while !guard.wants_rollback() {
        guard.reads(50.0);
    }
    guard.accepts(Route::UpdateService);
    guard.clock += 20;
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    house.keep(&guard).await;
    let page = house.get(&format!("/watches/{}", guard.watch.id), "").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for words in [
        "SEV1 incident",
        "Identified",
        "data-frame=",
        "data-points=\"[[",
        "SEV1 &gt; 10%",
        "rolled back",
        "watch opened",
        "policies/p.yaml",
        "commit <code>4f1c2aa</code>",
        "report.md",
        "back in place",
    ] {
        assert!(page.text.contains(words), "no {words:?} in {}", page.text);
    }
    let ids: Vec<&str> =
        page.text.split(" id=\"").skip(1).filter_map(|one| one.split('"').next()).collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "every id is there once: {ids:?}");
    let part = house.get(&format!("/watches/{}/part", guard.watch.id), "").await.text;
    assert!(part.starts_with("<article") && page.text.contains("<article"), "{part}");
    let again = house.get(&format!("/watches/{}", guard.watch.id), "").await.text;
    assert!(again.contains("data-points=\"[["), "kept drawings are shown as well");
}

#[tokio::test]
async fn a_rollback_is_asked_with_what_would_be_called() {
    let house = open().await;
    let mut guard = Guard::settled(policy());
    guard.breaks(5.0);
    house.keep(&guard).await;
    let cookie = house.log_in(OPERATE).await;
    let page = house.get(&format!("/watches/{}/act/rollback", guard.watch.id), &cookie).await.text;
    assert!(
        page.contains("Roll api back?") && page.contains("prod/api: api:2 → api:1, by "),
        "{page}"
    );
    // Nobody can be asked in this house, so what would stop it is said, and no form is there.
    assert!(
        page.contains("Nothing would be done:")
            && !page.contains("method=\"post\" action=\"/watches"),
        "{page}"
    );
    let held = house.get(&format!("/watches/{}/act/hold", guard.watch.id), &cookie).await.text;
    assert!(held.contains("<option value=\"longest\" selected>"), "{held}");
    let resume = house.get(&format!("/watches/{}/act/resume", guard.watch.id), &cookie).await;
    assert_eq!(resume.status, StatusCode::CONFLICT, "nobody holds it");
}

#[tokio::test]
async fn history_is_found_by_service_environment_outcome_and_page() {
    let house = open().await;
    for number in 0..53 {
        let mut guard = Guard::of(&format!("svc-{number:02}"), policy(), RollbackSafe::Yes);
        if number == 7 {
            guard.watch.deployment.service.environment = "staging".to_owned();
        }
        guard.presses(Command::Cancel).unwrap();
        house.keep(&guard).await;
    }
    house.keep(&Guard::of("open", policy(), RollbackSafe::Yes)).await;
    let rows = |text: &str| text.matches("<th scope=\"row\">").count();
    let first = house.get("/history", "").await.text;
    assert_eq!(rows(&first), 50);
    let next = first.split("href=\"/history?before=").nth(1).unwrap().split('"').next().unwrap();
    let second = house.get(&format!("/history?before={next}"), "").await.text;
    assert_eq!(rows(&second), 3, "{second}");
    assert!(!second.contains(">Older<"));
    for (query, count) in [
        ("service=SVC-07", 1),
        ("environment=staging", 1),
        ("environment=staging&service=svc-08", 0),
        ("outcome=cancelled&service=prod/svc-1", 10),
        ("outcome=passed", 0),
        ("service=svc%250", 0),
        ("service=svc_0", 0),
        ("from=2023-11-14&to=2023-11-14&service=svc-01", 1),
        ("to=2023-11-13", 0),
        ("from=2023-11-15", 0),
    ] {
        let page = house.get(&format!("/history?{query}"), "").await.text;
        assert_eq!(rows(&page), count, "{query}");
    }
}
