//! A year of deployments streams through: how much memory it takes at most.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Instant;

use axum::extract::Query;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::command::Desk;
use crate::world::server::Server;

const BEGIN: i64 = 1_740_000_000;
const HOUR: i64 = 3600;
/// Pairs of deployments ten minutes apart; a thousand are a year.
const APART: i64 = 365 * 24 * HOUR / 500;
const SERVICES: usize = 10;
const SCRAPE: i64 = 30;

const POLICY: &str = r#"
version: 1
policy: shop
environment: production
match: { cluster: shop, service: "shop-*" }
mode: auto
labels: { service: service, instance: instance }
phases:
  immediate: { until: 15m, interval: 15s }
  short-term: { until: 1h, interval: 30s }
  day: { until: 24h, interval: 5m }
rollback: { known_good_after: immediate }
checks:
  errors:
    ratio: { bad: { counter: bad_total }, total: { counter: all_total } }
    normal: "< 0.5%"
    breach: { SEV2: "> 2%", SEV1: "> 10%" }
    baseline: { against: [before, peers], worse_by: 3x, severity: SEV3 }
  slow:
    ratio: { bad: { counter: slow_total }, total: { counter: all_total } }
    normal: "< 0.5%"
    breach: { SEV2: "> 5%" }
"#;

fn deployed(number: usize) -> i64 {
    let number = i64::try_from(number).unwrap();
    BEGIN + number / 2 * APART + number % 2 * 600
}

fn service(number: usize) -> usize {
    number % SERVICES
}

/// Of forty deployments a pair goes bad, at once.
fn is_bad(number: usize) -> bool {
    matches!(number % 40, 6 | 7)
}

fn list(count: usize) -> String {
    let mut list = "id,service,environment,at,bad_from\n".to_owned();
    let time = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
    for number in 0..count {
        let (at, service) = (deployed(number), service(number));
        let bad = if is_bad(number) { time(bad_from(number)) } else { String::new() };
        writeln!(list, "d{number},shop-{service},production,{},{bad}", time(at)).unwrap();
    }
    list
}

static BAD: LazyLock<Vec<usize>> =
    LazyLock::new(|| (0..1000).filter(|number| is_bad(*number)).collect());

fn bad_from(number: usize) -> i64 {
    deployed(number - number % 2) + 1200
}

/// What of a service's ten requests a second has failed so far: one in a thousand, and
/// three of ten while a bad deployment is in place.
fn failed(of: usize, second: i64) -> i64 {
    let usual = (second - BEGIN + 30 * 24 * HOUR) / 100;
    let bad = BAD.iter().filter(|number| service(**number) == of);
    let worse = bad.map(|number| {
        let until = second.min(deployed(*number + SERVICES));
        (until - bad_from(*number)).max(0) * 3
    });
    usual + worse.sum::<i64>()
}

/// Answers as Prometheus does, computing the past as it is asked for.
async fn answer(Query(asked): Query<HashMap<String, String>>) -> Json<Value> {
    let query = &asked["query"];
    let success = |kind: &str, result: Value| {
        Json(json!({ "status": "success", "data": { "resultType": kind, "result": result } }))
    };
    let Some((selector, range)) = query.split_once('[') else {
        return success("vector", json!([{ "metric": {}, "value": [0, "1"] }]));
    };
    let end: f64 = asked["time"].parse().unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "times of tests")]
    let end = end as i64;
    let range: i64 = range.trim_end_matches("ms]").parse().unwrap();
    let of = selector.split("shop-").nth(1).unwrap().chars().next().unwrap();
    let of = usize::try_from(of.to_digit(10).unwrap()).unwrap();
    let value = |second: i64| match selector.split('_').next().unwrap() {
        "all" => (second - BEGIN + 30 * 24 * HOUR) * 10,
        "bad" => failed(of, second),
        _ => (second - BEGIN + 30 * 24 * HOUR) / 100,
    };
    let first = (end - range / 1000).div_euclid(SCRAPE) + 1;
    let scraped = (first..=end.div_euclid(SCRAPE)).map(|scrape| scrape * SCRAPE);
    let values: Vec<Value> = scraped.map(|at| json!([at, value(at).to_string()])).collect();
    let metric = json!({ "service": format!("shop-{of}"), "instance": "a:1", "job": "shop" });
    success("matrix", json!([{ "metric": metric, "values": values }]))
}

/// The most memory that a backtest of `count` deployments had, in KiB.
async fn peak(url: &str, count: usize) -> u64 {
    let desk = Desk::new(url.to_owned(), &list(count));
    fs::write(desk.path("shop.yaml"), POLICY).unwrap();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_deployguard"))
        .current_dir(desk.folder.path())
        .args(["backtest", "--policy", "shop.yaml", "--prometheus", url])
        .args(["--deployments", "list.csv", "--state", "done"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut most, mut last) = (0, String::new());
    while let Some(line) = lines.next_line().await.unwrap() {
        // The kernel remembers the peak; what it says at each row is never less.
        let said = fs::read_to_string(&status).unwrap_or_default();
        let peak = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        most = peak.map_or(most, |peak| peak.trim().parse().unwrap());
        println!("{line}");
        last = line;
    }
    assert!(child.wait().await.unwrap().success(), "{last}");
    let seconds = started.elapsed().as_secs_f64();
    println!("{count} deployments: {most} KiB at most, in {seconds:.1} s");
    most
}

#[tokio::test]
#[ignore = "takes minutes; docs/trying.md says how to run it"]
async fn a_year_of_a_thousand_deployments_takes_no_more_memory_than_a_hundred() {
    let router = Router::new().route("/api/v1/query", get(answer));
    let server = Server::start(router).await.unwrap();
    let (some, year) = (peak(&server.url(), 100).await, peak(&server.url(), 1000).await);
    assert!(year < some + some / 10 + 4096, "100: {some} KiB, 1,000: {year} KiB");
}
