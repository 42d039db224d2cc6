//! Deployments of a made-up past, judged.

use std::fmt::Write;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use crate::command::Desk;
use crate::history::{Story, history};
use crate::world::{now, prometheus::Prometheus};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What became of the deployment of this id.
fn of<'a>(found: &'a Value, id: &str) -> &'a Value {
    let all = found["deployments"].as_array().unwrap();
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id} in {found}"))
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("{value} is a time")).parse().unwrap()
}

async fn remembering(past: &str) -> Prometheus {
    let (_tasks, none) = watch::channel(Vec::new());
    let mut prometheus = Prometheus::start(none).await.expect("Debian's prometheus");
    prometheus.remember(past).await.expect("a history");
    prometheus
}

/// Eight services, deployed from three hours after the history begins. What goes bad does
/// so far enough apart that nobody is a rival.
fn stories(at: Timestamp) -> Vec<Story> {
    let silent = at.as_second()..i64::MAX;
    vec![
        Story::good("shop-good", at),
        Story::bad("shop-bad", at, MINUTE * 5),
        Story { percent: 4, ..Story::bad("shop-mild", at + MINUTE * 20, MINUTE * 5) },
        Story { scrape: 60, ..Story::good("shop-rare", at) },
        Story { scrape: 60, ..Story::bad("shop-rare-bad", at + MINUTE * 40, MINUTE * 5) },
        Story { silent, ..Story::good("shop-silent", at) },
        Story { in_place: true, ..Story::good("shop-same-good", at) },
        Story { in_place: true, ..Story::bad("shop-same", at + MINUTE * 60, MINUTE * 5) },
    ]
}

fn list(stories: &[Story]) -> String {
    let mut list = "id,service,environment,at,labels,bad_from\n".to_owned();
    for Story { service, deployed, bad_from, .. } in stories {
        let bad = bad_from.map(|at| at.to_string()).unwrap_or_default();
        writeln!(list, "{service},{service},production,{deployed},version=2,{bad}").unwrap();
    }
    list
}

#[tokio::test]
async fn the_past_is_judged_as_the_daemon_would_have_judged_it() {
    let begin = Timestamp::from_second(now().as_second() - 5 * 3600).unwrap();
    let at = begin + MINUTE * 180;
    let stories = stories(at);
    let mut prometheus = remembering(&history(begin, begin + MINUTE * 290, &stories)).await;
    let desk = Desk::new(prometheus.url(), &list(&stories));
    let found = desk.json(&["--state", "done", "--html", "pages", "--svg", "pictures"]).await;
    let outcome = |id: &str| of(&found, id)["outcome"].as_str().unwrap().to_owned();
    let order: Vec<&str> = found["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["id"].as_str().unwrap())
        .collect();
    assert_eq!(order, stories.iter().map(|story| story.service).collect::<Vec<_>>());

    for good in ["shop-good", "shop-rare", "shop-same-good"] {
        assert_eq!(outcome(good), "passed", "{}", of(&found, good));
        assert_eq!(of(&found, good)["acted_at"], Value::Null);
        assert_eq!(of(&found, good)["check"], Value::Null);
        assert_eq!(of(&found, good)["truth"], "true_negative");
    }
    for (bad, within) in [("shop-bad", 2), ("shop-rare-bad", 5), ("shop-same", 2)] {
        let one = of(&found, bad);
        assert_eq!((outcome(bad).as_str(), &one["action"]), ("rolled_back", &"rollback".into()));
        let (at, acted) = (time(&one["at"]), time(&one["acted_at"]));
        assert!(acted > at + MINUTE * 5 && acted <= at + MINUTE * (5 + within), "{one}");
        assert!(time(&one["first_breach_at"]) <= acted);
        assert_eq!((&one["check"], &one["limit"]), (&"errors".into(), &"> 10%".into()));
        assert!((0.1..0.35).contains(&one["value"].as_f64().unwrap()), "{one}");
        assert_eq!(one["truth"], "true_positive");
    }
    let mild = of(&found, "shop-mild");
    assert_eq!((outcome("shop-mild").as_str(), &mild["action"]), ("breached", &"ask".into()));
    assert!(time(&mild["acted_at"]) <= at + MINUTE * 29, "{mild}");
    let why = mild["reason"].as_str().unwrap();
    assert!(why.ends_with("; asked, not rolled back: the policy asks at SEV2"), "{why}");
    let silent = of(&found, "shop-silent");
    assert_eq!(outcome("shop-silent"), "inconclusive", "{silent}");
    assert!(silent["reason"].as_str().unwrap().contains("errors"), "{silent}");

    let summary = &found["summary"];
    assert_eq!((&summary["acted"], &summary["rolled_back"]), (&4.into(), &3.into()));
    assert_eq!((&summary["precision"], &summary["recall"]), (&1.0.into(), &1.0.into()));
    assert_eq!(summary["false_rollbacks"], 0);
    assert!(summary["false_rollback_rate_high"].as_f64().unwrap() > 0.4, "four prove little");
    assert!(summary["p95_seconds_to_action"].as_f64().unwrap() < 300.0, "{summary}");

    let page = fs::read_to_string(desk.path("pages/shop-bad.html")).unwrap();
    for part in [
        "would be rolled back",
        " by chance; 1 in 100 is needed",
        "bad from",
        "SEV1 &gt; 10%",
        "href=\"index.html\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(fs::read_to_string(desk.path("pages/index.html")).unwrap().contains("shop-mild.html"));
    roxmltree::Document::parse(&fs::read_to_string(desk.path("pictures/shop-bad.svg")).unwrap())
        .expect("well-formed");
    if let Some(keep) = std::env::var_os("BACKTEST_PAGES") {
        let copied =
            std::process::Command::new("cp").arg("-r").arg(desk.path("pages")).arg(keep).status();
        assert!(copied.unwrap().success());
    }

    prometheus.stop();
    goes_on_where_it_was(&desk, &found).await;
}

/// With Prometheus gone, all that is known is what was kept.
async fn goes_on_where_it_was(desk: &Desk, found: &Value) {
    assert_eq!(&desk.json(&["--state", "done"]).await, found);
    let all = fs::read_to_string(desk.path("done")).unwrap();
    assert_eq!(all.lines().count(), 8);
    let torn = &all[..all.len() - 40];
    fs::write(desk.path("done"), torn).unwrap();
    let said = desk.run(&["--state", "done", "--format", "json", "--jobs", "1"]).await;
    assert_eq!((said.code, said.out.as_str()), (3, ""), "one must be judged again: {}", said.err);
    fs::write(desk.path("done"), all).unwrap();
    let other = desk.run(&["--state", "done", "--mode", "observe"]).await;
    assert_eq!((other.code, other.out.as_str()), (3, ""), "another mode is another question");
    fs::copy(env!("CARGO_BIN_EXE_deployguard"), desk.path("built-again")).unwrap();
    let other = desk.run_as("built-again", &["--state", "done"]).await;
    assert_eq!((other.code, other.out.as_str()), (3, ""), "another build may judge otherwise");
}

/// The second is hit by what the first broke, and alone would be rolled back for it.
#[tokio::test]
async fn of_two_deployments_at_once_the_one_that_fits_better_is_rolled_back() {
    let begin = Timestamp::from_second(now().as_second() - 5 * 3600).unwrap();
    let at = begin + MINUTE * 180;
    let first = Story { percent: 60, ..Story::bad("shop-first", at, MINUTE * 5) };
    let second = Story { percent: 15, ..Story::bad("shop-second", at + MINUTE, MINUTE * 5) };
    let stories = [first, second];
    let prometheus = remembering(&history(begin, begin + MINUTE * 290, &stories)).await;
    let desk = Desk::new(prometheus.url(), &list(&stories));
    for jobs in ["1", "2"] {
        let found = desk.json(&["--jobs", jobs]).await;
        let (first, second) = (of(&found, "shop-first"), of(&found, "shop-second"));
        assert_eq!(first["action"], "rollback", "{first}");
        assert_eq!(second["action"], "ask", "{second}");
        let blame = second["blame"].as_str().unwrap();
        assert!(blame.contains("2 of shop-first fits better"), "{second}");
        assert_eq!(
            (&second["check"], &second["first_breach_excused"]),
            (&"errors".into(), &true.into())
        );
        assert!(time(&second["first_breach_at"]) < time(&second["acted_at"]), "{second}");
        assert!(second["reason"].as_str().unwrap().contains(blame), "{second}");
    }
    let alone = list(&stories[1..]);
    fs::write(desk.path("list.csv"), &alone).unwrap();
    assert_eq!(of(&desk.json(&[]).await, "shop-second")["action"], "rollback");
    let migrates = alone
        .replace("bad_from", "rollback_safe")
        .replace(&format!(",{}\n", stories[1].bad_from.unwrap()), ",no\n");
    fs::write(desk.path("list.csv"), migrates).unwrap();
    let found = desk.json(&[]).await;
    let second = of(&found, "shop-second");
    assert_eq!(second["action"], "notify", "it can't be undone: {found}");
    let why = second["reason"].as_str().unwrap();
    assert!(why.contains("paged, not rolled back: the deployment was announced as not"), "{why}");
}

#[tokio::test]
async fn a_breach_that_is_not_the_deployments_doing_is_told_with_the_excuse() {
    let begin = Timestamp::from_second(now().as_second() - 5 * 3600).unwrap();
    let at = begin + MINUTE * 180;
    let story = Story { in_place: true, ..Story::bad("shop-before", at, MINUTE * -30) };
    let prometheus = remembering(&history(begin, begin + MINUTE * 290, &[story])).await;
    let list = format!("id,service,environment,at\nbefore,shop-before,production,{at}\n");
    let desk = Desk::new(prometheus.url(), &list);
    let found = desk.json(&["--html", "pages"]).await;
    let one = of(&found, "before");
    assert_eq!((&one["outcome"], &one["action"]), (&"breached".into(), &"notify".into()));
    assert_eq!((&one["check"], &one["limit"]), (&"errors".into(), &"> 10%".into()), "{one}");
    assert!(one["value"].as_f64().unwrap() > 0.2, "{one}");
    assert!(one["reason"].as_str().unwrap().contains("before the deployment"), "{one}");
    assert_eq!(one["first_breach_excused"], true, "{one}");
    assert!(time(&one["first_breach_at"]) <= time(&one["told_at"]) && one["acted_at"].is_null());
    let page = fs::read_to_string(desk.path("pages/before.html")).unwrap();
    assert!(page.contains("The guard would have told people at "), "{page}");
    assert!(!page.contains("would have done nothing"), "{page}");
    let index = fs::read_to_string(desk.path("pages/index.html")).unwrap();
    assert!(index.contains("notify, "), "{index}");
}

#[tokio::test]
async fn a_check_without_data_is_told_in_each_row_and_at_the_end() {
    let begin = Timestamp::from_second(now().as_second() - 5 * 3600).unwrap();
    let at = begin + MINUTE * 180;
    let past = history(begin, begin + MINUTE * 290, &[Story::good("shop-good", at)]);
    let prometheus = remembering(&past).await;
    let list = format!(
        "id,service,environment,at,bad_from\none,shop-good,production,{at},\n\
         two,shop-good,production,{},\nlater,shop-good,production,2124-01-01T00:00:00Z,\n",
        at + MINUTE * 20
    );
    let desk = Desk::new(prometheus.url(), &list);
    let policy = fs::read_to_string(desk.path("shop.yaml")).unwrap();
    fs::write(desk.path("shop.yaml"), policy.replace("requests_total", "reqests_total")).unwrap();
    let found = desk.json(&[]).await;
    for (id, outcome) in [("one", "superseded"), ("two", "inconclusive")] {
        let one = of(&found, id);
        assert_eq!(one["outcome"], outcome, "{one}");
        let why = one["reason"].as_str().unwrap();
        assert!(why.contains("the query returns no series"), "{one}");
        assert_eq!(one["no_data"]["errors"], "the query returns no series");
    }
    let later = of(&found, "later")["reason"].as_str().unwrap();
    assert!(later.starts_with("it lies in the future: nothing is recorded after 2"), "{later}");
    let warning = "errors: no series in 2 of 3 deployments";
    assert_eq!(found["summary"]["warnings"], serde_json::json!([warning]));
    let said = desk.run(&["--html", "pages"]).await;
    assert!(said.err.ends_with(&format!("warning: {warning}\n")), "{}", said.err);
    assert!(fs::read_to_string(desk.path("pages/index.html")).unwrap().contains(warning));

    let bad_only = policy.replace("requests_total{code", "reqests_total{code");
    fs::write(desk.path("shop.yaml"), bad_only).unwrap();
    fs::write(desk.path("list.csv"), list.rsplit_once("later").unwrap().0).unwrap();
    let said = desk.run(&[]).await;
    let warning = "warning: errors: not one bad event in 2 of 2 deployments, nor before:";
    assert!(said.err.contains(warning), "{}", said.err);
}

#[tokio::test]
async fn deployments_are_found_where_the_version_changes_and_the_next_one_ends_the_watch() {
    let begin = Timestamp::from_second(now().as_second() - 5 * 3600).unwrap();
    let at = begin + MINUTE * 180;
    let past = history(begin, begin + MINUTE * 290, &[Story::good("shop-good", at)]);
    let prometheus = remembering(&past).await;
    let query = "count by (version) (requests_total{service=\"shop-good\"})";
    let (from, to) = ((begin + MINUTE * 60).to_string(), (begin + MINUTE * 280).to_string());
    let list = format!(
        "id,service,environment,at\none,shop-good,production,{at}\ntwo,shop-good,staging,{at}\n\
         three,shop-good,production,{}\nfour,other,production,{}\n",
        at + MINUTE * 20,
        begin + MINUTE * 289
    );
    let desk = Desk::new(prometheus.url(), &list);
    let search = ["--discover", query, "--from", &from, "--to", &to, "--service", "shop-good"];
    let said = desk.run_plain(&search).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("1 deployment found"), "{}", said.err);
    assert!(!said.err.contains("note: "), "{}", said.err);
    let day = begin.strftime("%Y-%m-%d").to_string();
    let (all, step) = ("count by (version) (requests_total)", ["--step", "5m"]);
    let unnamed = ["--discover", all, "--from", &day, "--service", "shop-good"];
    let said = desk.run_plain(&[&unnamed[..], &step].concat()).await;
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("1 deployment found"), "a date, and up to now: {}", said.err);
    let note = "note: the search does not name the service: every version in it is taken for";
    assert!(said.err.contains(note), "{}", said.err);
    assert!(said.out.contains("  passed  "), "{}", said.out);
    let wide = ["--discover", "requests_total", "--from", &from, "--to", &to, "--service", "x"];
    let said = desk.run_plain(&wide).await;
    assert_eq!(said.code, 3);
    assert!(said.err.contains("a series must have one label"), "{}", said.err);
    let broken = ["--discover", "count by (", "--from", &from, "--to", &to, "--service", "x"];
    let said = desk.run_plain(&broken).await;
    assert_eq!(said.code, 3);
    assert!(said.err.starts_with("deployguard: Prometheus refused the query: "), "{}", said.err);
    let nowhere = Desk::new(format!("{}/wrong", desk.url), "");
    let said = nowhere.run_plain(&search).await;
    assert_eq!(said.code, 3);
    assert!(said.err.contains("answered 404"), "{}", said.err);
    assert!(said.err.ends_with("; is this Prometheus's base URL?\n"), "{}", said.err);

    let found = desk.json(&[]).await;
    assert_eq!(of(&found, "one")["outcome"], "superseded");
    assert_eq!(of(&found, "one")["ended_at"], of(&found, "three")["at"]);
    assert_eq!(of(&found, "two")["outcome"], "passed", "of another environment");
    assert_eq!(of(&found, "three")["outcome"], "passed", "{found}");
    assert_eq!(of(&found, "four")["outcome"], "inconclusive");
    assert!(of(&found, "one")["truth"].is_null() && found["summary"]["precision"].is_null());
    let said = desk.run(&[]).await;
    assert!(said.err.contains("`match` of the policy shop does not mean the service other"));
    assert!(said.err.contains("is for the environment production, and two is of staging"));
}
