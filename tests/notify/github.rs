//! What is written at GitHub, held against its stand-in.

use std::time::Duration;

use deployguard::model::{
    CodePlace, GitHubNote, GitHubOrigin, Mark, MarkState, Revert, RevertWish, WatchId,
};
use deployguard::notify::DeliverError;
use deployguard::notify::github::{App, Credentials, GitHub, Written};
use jiff::{SignedDuration, Timestamp};

use crate::call::now;
use crate::world::called::HttpFault;
use crate::world::github::{
    BAD, GOOD, GitHub as StandIn, GitHubFault, PULL, PUSHED, REPOSITORY, TOKEN, app,
};
use crate::world::http::client_builder;

const CONTEXT: &str = "deployguard/production/shopflow-api";

fn place(commit: &str) -> CodePlace {
    CodePlace {
        repository: REPOSITORY.to_owned(),
        commit: Some(commit.to_owned()),
        version: Some("v1.5.0".to_owned()),
        origin: None,
        service: "shopflow-api".to_owned(),
        environment: "production".to_owned(),
    }
}

pub fn mark(commit: &str, state: MarkState, words: &str) -> Mark {
    Mark { place: place(commit), state, words: words.to_owned() }
}

pub fn wish(commit: &str, what: Revert, title: &str) -> RevertWish {
    RevertWish { place: place(commit), what, title: title.to_owned() }
}

fn announced(mut mark: Mark, deployment: u64, services: &[&str]) -> Mark {
    mark.place.origin = Some(GitHubOrigin {
        repository: REPOSITORY.to_owned(),
        deployment: Some(deployment),
        services: services.iter().map(|one| (*one).to_owned()).collect(),
    });
    mark
}

fn written(watch: &str, at: Timestamp, note: GitHubNote) -> Written {
    let report = Some("# Incident report\n\nby @dana, closes #7\n".to_owned());
    let watch = WatchId::typed(watch);
    Written { watch, at, now: at, note, report, maybe_sent: false }
}

fn of_mark(mark: Mark) -> Written {
    written("w", now(), GitHubNote::Mark(mark))
}

async fn with(credentials: Credentials) -> (StandIn, GitHub) {
    drop(client_builder());
    let there = StandIn::start().await.unwrap();
    let github = GitHub::connect(&there.url(), credentials).unwrap();
    let github = github.with_home(Some("https://guard.example".to_owned()));
    (there, github.with_pace(Duration::ZERO))
}

async fn both() -> (StandIn, GitHub) {
    with(Credentials::Token(TOKEN.to_owned())).await
}

#[tokio::test]
async fn each_state_is_written_in_githubs_words_and_only_a_pass_is_a_success() {
    let (there, github) = both().await;
    there.deploy(9);
    there.pipeline_says(9, "success", "https://shop.example");
    for (state, of_commit, of_deployment) in [
        (MarkState::Watched, "pending", "in_progress"),
        (MarkState::Failed, "failure", "failure"),
        (MarkState::Undecided, "error", "error"),
        (MarkState::Superseded, "error", "inactive"),
        (MarkState::Passed, "success", "success"),
    ] {
        let mark = announced(mark(BAD, state, &"words ".repeat(50)), 9, &["shopflow-api"]);
        github.write(&of_mark(mark)).await.unwrap();
        let (said, words) = there.marks(BAD, CONTEXT).pop().unwrap();
        assert_eq!(said, of_commit);
        assert_eq!(words.chars().count(), 140, "{words}");
        assert_eq!(there.deployment(9).pop().unwrap().0, of_deployment);
    }
    let link = "https://guard.example/api/v1/watches/w";
    assert_eq!(there.statuses(BAD)[0]["target_url"], link);
}

#[tokio::test]
async fn a_deployments_status_is_found_again_and_is_a_success_with_its_last_service() {
    let (there, github) = both().await;
    there.deploy(9);
    let cut = GitHubFault::Http(HttpFault::TakenButNoAnswer);
    there.fault("POST deployment", &cut, 1);
    let services = ["shopflow-api", "shopflow-web"];
    let api = || of_mark(announced(mark(BAD, MarkState::Passed, "passed"), 9, &services));
    assert!(github.write(&api()).await.is_err());
    github.write(&Written { maybe_sent: true, ..api() }).await.unwrap();
    let first = ("in_progress".to_owned(), "shopflow-api (passed): passed".to_owned());
    assert_eq!(there.deployment(9), [first]);
    assert_eq!(there.marks(BAD, CONTEXT).len(), 1, "nor its commit's");

    let mut web = announced(mark(BAD, MarkState::Passed, "passed"), 9, &services);
    web.place.service = "shopflow-web".to_owned();
    github.write(&of_mark(web)).await.unwrap();
    assert_eq!(there.deployment(9).pop().unwrap().0, "success");
}

#[tokio::test]
async fn a_short_commit_or_a_tag_is_looked_up_and_what_is_nowhere_is_given_up() {
    let (there, github) = both().await;
    there.tag("v1.5.0", GOOD);
    github.write(&of_mark(mark("2222222", MarkState::Watched, "short"))).await.unwrap();
    assert_eq!(there.marks(BAD, CONTEXT)[0].1, "short");
    let mut of_tag = mark(BAD, MarkState::Watched, "tag");
    of_tag.place.commit = None;
    github.write(&of_mark(of_tag)).await.unwrap();
    assert_eq!(there.marks(GOOD, CONTEXT)[0].1, "tag");
    let nowhere = github.write(&of_mark(mark("4444444", MarkState::Watched, "gone"))).await;
    let Err(DeliverError::Permanent(why)) = nowhere else { panic!("{nowhere:?}") };
    assert!(why.contains("No commit found"), "{why}");
}

#[tokio::test]
async fn while_github_limits_the_rate_nothing_is_asked() {
    for (fault, seconds) in [(GitHubFault::Secondary, 60), (GitHubFault::Spent(120), 120)] {
        let (there, github) = both().await;
        there.fault("POST statuses", &fault, 1);
        for _ in 0..2 {
            let told = github.write(&of_mark(mark(BAD, MarkState::Watched, "one"))).await;
            let Err(DeliverError::Transient { retry_after: Some(wait), .. }) = told else {
                panic!("{told:?}")
            };
            let expected = Duration::from_secs(seconds - 2)..=Duration::from_secs(seconds);
            assert!(expected.contains(&wait), "{wait:?}");
        }
        assert_eq!(there.calls(), ["POST statuses"], "asked once");
    }
}

#[tokio::test]
async fn of_two_watches_over_one_commit_the_older_has_not_the_last_word() {
    let (there, github) = both().await;
    let at = now();
    let said = |watch: &str, at, state, words: &str| {
        written(watch, at, GitHubNote::Mark(mark(BAD, state, words)))
    };
    github.write(&said("new", at, MarkState::Watched, "watching")).await.unwrap();
    github.write(&said("old", at, MarkState::Superseded, "not judged")).await.unwrap();
    let later = at + SignedDuration::from_secs(5);
    github.write(&said("new", later, MarkState::Passed, "passed")).await.unwrap();
    github.write(&said("old", at, MarkState::Failed, "late")).await.unwrap();
    let words: Vec<String> = there.marks(BAD, CONTEXT).into_iter().map(|one| one.1).collect();
    assert_eq!(words, ["watching", "passed"]);
}

#[tokio::test]
async fn a_rollback_opens_one_pull_request_that_reverts_the_one_that_brought_the_commit() {
    let (there, github) = both().await;
    let title = "shopflow-api v1.5.0 was rolled back: @all error rate 40%";
    let note = || GitHubNote::Revert(wish(BAD, Revert::PullRequest, title));
    let one = written("w", now(), note());
    there.fault("POST graphql", &GitHubFault::Http(HttpFault::TakenButNoAnswer), 1);
    assert!(github.write(&one).await.is_err());
    github.write(&one).await.unwrap();
    let [pull] = there.issues().try_into().unwrap();
    let title = pull["title"].as_str().unwrap();
    assert!(title.starts_with(&format!("Revert #{}", '\u{200b}')), "{title}");
    assert!(!title.contains("@all") && title.contains("error rate 40%"), "{title}");
    let body = pull["body"].as_str().unwrap();
    assert!(body.contains(&format!("this reverts #{PULL}")), "{body}");
    assert!(body.contains("A person reviews and merges it"), "{body}");
    assert!(!body.contains("@dana") && !body.contains("closes #7"), "{body}");
    assert!(pull["pull_request"].is_object(), "{pull}");
    // Another watch is another one.
    github.write(&written("w2", now(), note())).await.unwrap();
    assert_eq!(there.issues().len(), 2);
}

#[tokio::test]
async fn where_nothing_can_be_reverted_an_issue_says_so() {
    for (commit, conflict, why) in [
        (PUSHED, None, "no merged pull request brought the commit"),
        (BAD, Some("cannot be reverted automatically"), "#41 could not be reverted by GitHub"),
    ] {
        let (there, github) = both().await;
        if let Some(why) = conflict {
            there.conflicts(why);
        }
        let note = GitHubNote::Revert(wish(commit, Revert::PullRequest, "rolled back"));
        let one = written("w", now(), note);
        github.write(&one).await.unwrap();
        github.write(&one).await.unwrap();
        let [issue] = there.issues().try_into().unwrap();
        assert!(issue["pull_request"].is_null());
        let body = issue["body"].as_str().unwrap();
        assert!(body.contains(why) && body.contains("# Incident report"), "{body}");
    }
}

#[tokio::test]
async fn an_app_gets_one_token_for_an_hour_by_its_own_signed_word() {
    let app = App::new(&app::ID.to_string(), app::KEY).unwrap();
    let (there, github) = with(Credentials::App(app)).await;
    let said = |words: &str| of_mark(mark(BAD, MarkState::Watched, words));
    github.write(&said("one")).await.unwrap();
    github.write(&said("two")).await.unwrap();
    assert_eq!((there.tokens(), there.marks(BAD, CONTEXT).len()), (1, 2));
    let stranger = App::new("999", app::KEY).unwrap();
    let github = GitHub::connect(&there.url(), Credentials::App(stranger)).unwrap();
    assert!(matches!(github.write(&said("three")).await, Err(DeliverError::Transient { .. })));
}

#[tokio::test]
async fn doctor_tries_each_permission_and_writes_nothing() {
    let (there, github) = both().await;
    there.deploy(9);
    there.fault("POST issues", &GitHubFault::Http(HttpFault::Status(403)), 1);
    let found = github.probe(REPOSITORY, true, now()).await.unwrap();
    let lacking: Vec<&str> =
        found.iter().filter(|one| one.lacks.is_some()).map(|one| one.name).collect();
    assert_eq!(lacking, ["Issues: write"], "{found:?}");
    assert_eq!(found.len(), 6);
    assert!(there.statuses(BAD).is_empty() && there.deployment(9).is_empty());
    assert!(there.issues().is_empty());
    let elsewhere = github.probe("acme/other", false, now()).await.unwrap();
    assert!(elsewhere.iter().all(|one| one.lacks.is_some()), "{elsewhere:?}");
}
