//! Requests of every kind, wrong ones first.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::house::{Answer, BILLING_OPS_TOKEN, BILLING_TOKEN, House, READ_TOKEN, cli, long_story};
use crate::world::daemon::{CI_TOKEN, OPS_TOKEN, announcement};
use crate::world::now;

const HOOK: &str = "/hooks/deployments";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_in_plain_words_and_kept_before_it_is_answered() -> anyhow::Result<()>
{
    let mut house = House::open(&long_story(), |settings| {
        settings["open_reads"] = json!(false);
    })
    .await?;
    nobody_acts_without_a_token_that_may(&house).await?;
    a_wrong_field_is_named(&house).await?;
    what_is_no_json_or_too_much_of_it_is_refused(&house).await?;
    ensure!(watches(&house).await?.is_empty(), "a refused request leaves nothing behind");
    an_unguarded_service_is_answered_with_the_nearest_names(&house).await?;
    ensure!(watches(&house).await?.is_empty(), "nothing is watched that nobody guards");
    the_same_announcement_is_the_same_watch(&mut house).await?;
    commands_are_refused_where_they_make_no_sense(&house).await?;
    the_command_line_says_what_went_wrong(&house).await?;
    the_daemon_tells_how_it_is(&house).await?;
    what_it_cannot_start_with_is_told(&house).await?;
    half_a_request_holds_up_no_stop(&mut house).await?;
    Ok(())
}

async fn watches(house: &House) -> anyhow::Result<Vec<Value>> {
    let list = house.ask(Method::GET, "/api/v1/watches", Some(READ_TOKEN), "").await?;
    list.body["watches"].as_array().cloned().context("a list of watches")
}

async fn scraped(house: &House) -> anyhow::Result<String> {
    let answer = house.ask(Method::GET, "/metrics", Some(READ_TOKEN), "").await?;
    answer.body.as_str().map(str::to_owned).context("a text")
}

/// A hook as it should be, with `change` made to it.
fn hook_but(change: impl FnOnce(&mut Value)) -> Value {
    let mut hook = announcement("v9", "shopflow-api:9");
    change(&mut hook);
    hook
}

async fn nobody_acts_without_a_token_that_may(house: &House) -> anyhow::Result<()> {
    let body = hook_but(|_| ()).to_string();
    let ask = async |method: Method, path: &str, token: Option<&str>| {
        house.ask(method, path, token, body.clone()).await
    };
    let (post, get) = (Method::POST, Method::GET);
    let pressing = "/api/v1/watches/w-1/rollback";

    for path in [HOOK, "/api/v1/pause", "/api/v1/unpause", pressing] {
        ask(post.clone(), path, None).await?.is_problem(401, "give a token");
        ask(post.clone(), path, Some("wrong-token-0123456789"))
            .await?
            .is_problem(401, "the token is unknown");
        ask(post.clone(), path, Some(READ_TOKEN)).await?.is_problem(403, "has the role read");
    }
    let one = "/api/v1/watches/w-1";
    let (journal, explain) = (format!("{one}/journal"), format!("{one}/explain"));
    let (report, chart) = (format!("{one}/report.md"), format!("{one}/chart/memory.png"));
    for path in ["/api/v1/watches", one, &journal, &explain, &report, &chart, "/api/v1/digest"] {
        ask(get.clone(), path, None).await?.is_problem(401, "give a token");
    }
    for path in ["/api/v1/pause", pressing] {
        ask(post.clone(), path, Some(CI_TOKEN)).await?.is_problem(403, "this needs operate");
    }
    ask(post.clone(), HOOK, Some(BILLING_TOKEN))
        .await?
        .is_problem(403, "the token `billing` is not for shopflow-api in production");

    // A name that the token may speak of does not open another service's door.
    let under_another_name = hook_but(|hook| {
        hook["service"] = json!("billing-api");
        hook["platform"]["ecs"]["service"] = json!("shopflow-api");
    });
    house
        .ask(post.clone(), HOOK, Some(BILLING_TOKEN), under_another_name.to_string())
        .await?
        .is_problem(403, "is not for shopflow-api");

    // Nor another's job.
    let beat = json!({ "status": "failed", "service": "billing-api", "environment": "production" });
    house
        .ask(post.clone(), "/hooks/heartbeats/shop-nightly", Some(BILLING_TOKEN), beat.to_string())
        .await?
        .is_problem(403, "the token `billing` is not for the job shop-nightly");
    // A job that no policy names is kept, and whoever beats is told.
    let kept = house.ask(post.clone(), "/hooks/heartbeats/nightly", Some(CI_TOKEN), "").await?;
    let told = json!([{ "detail": "no policy names the job `nightly` in a `heartbeat`" }]);
    assert_eq!((kept.status, &kept.body["warnings"]), (202, &told), "{kept:?}");

    // Who acts for some services stops nobody else's guard.
    let scope = json!({ "scope": "all" }).to_string();
    house
        .ask(post, "/api/v1/pause", Some(BILLING_OPS_TOKEN), scope)
        .await?
        .is_problem(403, "billing-oncall");
    Ok(())
}

async fn a_wrong_field_is_named(house: &House) -> anyhow::Result<()> {
    let unknown = house.hook(&hook_but(|hook| hook["verison"] = json!("v2"))).await?;
    unknown.blames("verison");
    assert!(unknown.detail().contains("expected one of `id`"), "{unknown:?}");
    let deep = hook_but(|hook| hook["platform"]["ecs"]["clutser"] = json!("x"));
    house.hook(&deep).await?.blames("platform.ecs.clutser");

    let missing = hook_but(|hook| drop(hook.as_object_mut().unwrap().remove("environment")));
    house.hook(&missing).await?.blames("environment");
    let missing = hook_but(|hook| hook["platform"] = json!({ "ecs": {} }));
    house.hook(&missing).await?.blames("platform.ecs.cluster");

    house.hook(&hook_but(|hook| hook["service"] = json!(7))).await?.blames("service");
    house.hook(&hook_but(|hook| hook["at"] = json!("tomorrow"))).await?.blames("at");
    house.hook(&hook_but(|hook| hook["labels"] = json!({ "a": 1 }))).await?.blames("labels.a");
    let safe = house.hook(&hook_but(|hook| hook["rollback_safe"] = json!("maybe"))).await?;
    safe.blames("rollback_safe");
    assert!(safe.detail().contains("true, false or \"unknown\""), "{safe:?}");

    let later: Timestamp = now() + SignedDuration::from_mins(10);
    let future = house.hook(&hook_but(|hook| hook["at"] = json!(later))).await?;
    future.blames("at");
    assert!(future.detail().contains("lies in the future"), "{future:?}");

    house.hook(&hook_but(|hook| hook["id"] = json!(" "))).await?.blames("id");
    house.hook(&hook_but(|hook| hook["id"] = json!("x".repeat(2000)))).await?.blames("id");
    house.hook(&hook_but(|hook| hook["author"] = json!("a\u{1b}[2Jb"))).await?.blames("author");
    house
        .hook(&hook_but(|hook| hook["labels"] = json!({ "x": "\u{0}" })))
        .await?
        .blames("labels.x");
    let cluster = hook_but(|hook| hook["platform"]["ecs"]["cluster"] = json!("a\nb"));
    house.hook(&cluster).await?.blames("platform.ecs.cluster");

    let environment = hook_but(|hook| hook["environment"] = json!("staging"));
    let environment = house.hook(&environment).await?;
    environment.blames("environment");
    assert!(environment.detail().contains("`production`"), "{environment:?}");

    let scope = house.act("/api/v1/pause", &json!({ "scope": "everything" })).await?;
    scope.is_problem(422, "`everything` is no scope: give `all`, `environment:NAME`");
    scope.blames("scope");
    let unknown = house.act("/api/v1/pause", &json!({ "scop": "all" })).await?;
    unknown.blames("scop");
    Ok(())
}

async fn what_is_no_json_or_too_much_of_it_is_refused(house: &House) -> anyhow::Result<()> {
    let post = |body: Vec<u8>| house.ask(Method::POST, HOOK, Some(CI_TOKEN), body);
    for body in ["", "not JSON", "{\"id\": ", "id=1&service=x", "\u{0}\u{1}"] {
        post(body.into()).await?.is_problem(400, "the body is no JSON");
    }
    post(vec![0xff, 0xfe, b'{']).await?.is_problem(400, "the body is no JSON");
    for body in ["[]", "null", "\"text\"", "7"] {
        post(body.into()).await?.is_problem(422, "must be a JSON object");
    }
    let twice = format!("{0}{0}", hook_but(|_| ()));
    post(twice.into()).await?.is_problem(400, "trailing characters");
    let big = format!("{{\"id\": \"{}\"}}", "x".repeat(10 * 1024 * 1024));
    post(big.into()).await?.is_problem(413, "the body is larger than 64 KiB");

    // The same, without its length in front.
    let head = format!(
        "POST {HOOK} HTTP/1.1\r\nauthorization: Bearer {CI_TOKEN}\r\ntransfer-encoding: chunked"
    );
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let chunks = vec![chunk.as_bytes(); 5];
    let answer = house.raw(&head, &chunks).await?;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    // A chunked body of the right size is as good as any other.
    let body = json!({ "scope": "all" }).to_string();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let head = head.replace(HOOK, "/api/v1/unpause").replace(CI_TOKEN, OPS_TOKEN);
    let answer = house.raw(&head, &[chunked.as_bytes()]).await?;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("`all` is not paused"),
        "{answer}"
    );

    let nowhere = house.ask(Method::GET, "/api/v2/watches", None, "").await?;
    nowhere.is_problem(404, "there is nothing at this address");
    let not_that_way = house.ask(Method::DELETE, HOOK, None, "").await?;
    not_that_way.is_problem(405, "does not take this method");
    let limit = house.ask(Method::GET, "/api/v1/watches?limit=many", Some(READ_TOKEN), "").await?;
    limit.is_problem(400, "limit");
    Ok(())
}

async fn an_unguarded_service_is_answered_with_the_nearest_names(
    house: &House,
) -> anyhow::Result<()> {
    let placed = hook_but(|hook| hook["service"] = json!("shpflow-api"));
    let unplaced = hook_but(|hook| {
        hook["service"] = json!("shpflow-api");
        hook["platform"] = json!({});
    });
    for hook in [placed, unplaced] {
        let answer = house.hook(&hook).await?;
        assert_eq!((answer.status, &answer.body["guarded"]), (200, &json!(false)), "{answer:?}");
        let why = answer.detail();
        assert!(why.starts_with("no policy guards `shpflow-api`"), "{answer:?}");
        let near =
            "in environment `production`, cluster `shopflow-production`; what differs: service";
        assert!(why.ends_with(near), "{answer:?}");
        let nearest = answer.body["nearest"].as_array().context("names")?;
        assert!(nearest.contains(&json!("shopflow-api")), "{answer:?}");
        let distinct: BTreeSet<String> = nearest.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), nearest.len(), "no name twice: {answer:?}");
    }
    let metrics = scraped(house).await?;
    let counted = "deployguard_announcements_total{result=\"unguarded\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    let asked = "deployguard_cloudwatch_metrics_total{target=\"default\"} 0";
    assert!(metrics.contains(asked), "what was never asked is zero, and there: {metrics}");
    Ok(())
}

async fn the_same_announcement_is_the_same_watch(house: &mut House) -> anyhow::Result<()> {
    let hook = announcement("v7", "shopflow-api:7");
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        asked.spawn(Answer::to(house.request(
            Method::POST,
            HOOK,
            Some(CI_TOKEN),
            hook.to_string(),
        )));
    }
    let mut watches_named = BTreeSet::new();
    while let Some(answer) = asked.join_next().await {
        let answer = answer??;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.body["guarded"], true, "{answer:?}");
        assert_eq!(answer.body["deployment"], "gha-v7", "{answer:?}");
        watches_named.insert(answer.body["watch"].to_string());
    }
    assert_eq!(watches_named.len(), 1, "twenty at once are one watch");
    assert_eq!(watches(house).await?.len(), 1);

    let other = hook_changed(&hook, "commit", json!("0000000"));
    house.hook(&other).await?.is_problem(409, "`gha-v7` was announced before with another body");

    house.daemon.kill();
    house.start().await?;
    let again = house.hook(&hook).await?;
    assert_eq!(again.status, 202, "{again:?}");
    assert!(watches_named.contains(&again.body["watch"].to_string()), "{again:?}");
    house.hook(&other).await?.is_problem(409, "another body");
    assert_eq!(watches(house).await?.len(), 1);

    let url = again.body["url"].as_str().context("a url")?;
    let path = url.strip_prefix(house.daemon.url()).context("on this daemon")?;
    let watch = house.ask(Method::GET, path, Some(READ_TOKEN), "").await?;
    assert_eq!(watch.body["version"], "v7", "{watch:?}");
    assert_eq!(watch.body["facts"]["announced_by"], "ci", "{watch:?}");
    for below in ["", "/journal", "/explain"] {
        let path = format!("/api/v1/watches/gha-v7{below}");
        let named = house.ask(Method::GET, &path, Some(READ_TOKEN), "").await?;
        assert_eq!(named.status, 200, "a deployment's own id is as good: {named:?}");
    }
    let nobody = house.ask(Method::GET, "/api/v1/watches/gha-v6", Some(READ_TOKEN), "").await?;
    nobody.is_problem(404, "no watch is called `gha-v6`, and no deployment was announced as that");
    Ok(())
}

fn hook_changed(hook: &Value, field: &str, value: Value) -> Value {
    let mut hook = hook.clone();
    hook[field] = value;
    hook
}

async fn commands_are_refused_where_they_make_no_sense(house: &House) -> anyhow::Result<()> {
    let watch = watches(house).await?[0]["id"].as_str().context("an id")?.to_owned();
    let on = |command: &str| format!("/api/v1/watches/{watch}/{command}");
    let get = async |path: &str| house.ask(Method::GET, path, Some(READ_TOKEN), "").await;
    get("/api/v1/watches/nobody").await?.is_problem(404, "no watch is called `nobody`");
    get("/api/v1/watches/nobody/journal").await?.is_problem(404, "no watch is called `nobody`");
    house.act("/api/v1/watches/nobody/ack", &json!({})).await?.is_problem(404, "`nobody`");
    house
        .act(&on("explode"), &json!({}))
        .await?
        .is_problem(404, "`explode`: known are ack, hold, resume, rollback and cancel");
    house.act(&on("ack"), &json!({ "why": "x" })).await?.blames("why");
    house.act(&on("ack"), &json!({})).await?.is_problem(409, "no incident is open");
    house.act(&on("hold"), &json!({})).await?.is_problem(409, "no decision is pending");
    house
        .act(&on("rollback"), &json!({}))
        .await?
        .is_problem(409, "the platform has not shown the deployment yet");
    house
        .ask(Method::POST, &on("cancel"), Some(BILLING_OPS_TOKEN), "")
        .await?
        .is_problem(403, "`billing-oncall` is not for shopflow-api");

    let cancelled = house.act(&on("cancel"), &json!({ "reason": "not today" })).await?;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(cancelled.body["outcome"], "cancelled", "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "cancelled by oncall: not today", "{cancelled:?}");
    for command in ["ack", "hold", "rollback", "cancel"] {
        let late = house.act(&on(command), &json!({})).await?;
        late.is_problem(409, "the watch has ended: cancelled by oncall");
    }
    Ok(())
}

async fn the_command_line_says_what_went_wrong(house: &House) -> anyhow::Result<()> {
    let list = house.cli(&["watches"]).await?;
    assert_eq!(list.code, 0, "{list:?}");
    assert!(list.out.starts_with("no deployment is being watched"), "{list:?}");
    assert!(list.out.contains("shopflow-api v7 in production"), "{list:?}");
    assert!(list.out.contains("cancelled by oncall: not today"), "{list:?}");

    let nobody = house.cli(&["watches", "nobody"]).await?;
    assert_eq!((nobody.code, nobody.out.as_str()), (1, ""), "{nobody:?}");
    assert_eq!(
        nobody.err,
        "deployguard: no watch is called `nobody`, and no deployment was announced as that\n"
    );
    // What somebody types is never taken for a part of the address.
    let odd = house.cli(&["watches", "a b/../c?d"]).await?;
    assert_eq!(
        odd.err,
        "deployguard: no watch is called `a b/../c?d`, and no deployment was announced as that\n"
    );

    let wrong = cli(house.daemon.url(), "wrong-token-0123456789", &["watches"]).await?;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert_eq!(wrong.err, "deployguard: the token is unknown (--token or DEPLOYGUARD_TOKEN)\n");
    let reader = cli(house.daemon.url(), READ_TOKEN, &["pause"]).await?;
    assert_eq!(reader.code, 1, "{reader:?}");
    assert!(reader.err.contains("`viewer` has the role read; this needs operate"), "{reader:?}");

    let nowhere = cli("http://127.0.0.1:9", OPS_TOKEN, &["watches"]).await?;
    assert_eq!(nowhere.code, 3, "{nowhere:?}");
    assert!(
        nowhere.err.starts_with("deployguard: no deployguard answers at http://127.0.0.1:9"),
        "{nowhere:?}"
    );
    let prometheus = cli(&house.world.prometheus.url(), OPS_TOKEN, &["watches"]).await?;
    assert_eq!(prometheus.code, 3, "{prometheus:?}");
    assert!(prometheus.err.contains("not as a deployguard does"), "{prometheus:?}");

    let address = cli("localhost", OPS_TOKEN, &["watches"]).await?;
    assert_eq!(address.code, 1, "{address:?}");
    assert!(address.err.contains("`localhost` is no address"), "{address:?}");

    let scope = house.cli(&["pause", "--scope", "everything"]).await?;
    assert_eq!(scope.code, 1, "{scope:?}");
    assert!(scope.err.contains("`everything` is no scope"), "{scope:?}");
    let never = house.cli(&["unpause"]).await?;
    assert_eq!(
        (never.code, never.err.as_str()),
        (1, "deployguard: `all` is not paused; nothing is\n")
    );
    Ok(())
}

async fn the_daemon_tells_how_it_is(house: &House) -> anyhow::Result<()> {
    assert_eq!(house.daemon.text("/healthz").await?, "ok\n");
    // A load balancer hears no names.
    let bare = house.ask(Method::GET, "/readyz", None, "").await?;
    assert_eq!((bare.status, bare.body), (200, json!({ "ready": true, "role": "leading" })));
    let ready = house.ask(Method::GET, "/readyz", Some(READ_TOKEN), "").await?;
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(ready.body["ready"], true, "{ready:?}");
    assert_eq!(ready.body["detail"]["policies"], 1, "{ready:?}");
    assert_eq!(ready.body["detail"]["policy_mistakes"], json!([]), "{ready:?}");
    assert_eq!(ready.body["detail"]["platform"], json!({}), "{ready:?}");

    house.ask(Method::GET, "/metrics", None, "").await?.is_problem(401, "give a token");
    let metrics = scraped(house).await?;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("promtool comes with Prometheus")?;
    promtool.stdin.take().context("a pipe")?.write_all(metrics.as_bytes())?;
    let lint = promtool.wait_with_output()?;
    let words = String::from_utf8_lossy(&lint.stderr).into_owned();
    ensure!(lint.status.success() && words.is_empty(), "promtool: {words}");
    for line in [
        "deployguard_build_info{commit=\"unknown\",rustc=\"1.",
        "deployguard_http_request_duration_seconds_count{method=\"GET\",route=\"/readyz\"}",
        "deployguard_source_request_duration_seconds_count{source=\"prometheus\"}",
        "deployguard_last_step_timestamp_seconds 1",
        "deployguard_policy_broken 0",
        "deployguard_platform_looks_total{result=\"ok\"}",
        "deployguard_announcements_total{result=\"watched\"} 1",
        "deployguard_watches_ended_total{outcome=\"cancelled\"} 1",
        "deployguard_http_requests_total{code=\"404\",method=\"GET\",route=\"/api/v1/watches/{id}\"}",
    ] {
        assert!(metrics.contains(line), "no {line:?} in\n{metrics}");
    }
    Ok(())
}

async fn what_it_cannot_start_with_is_told(house: &House) -> anyhow::Result<()> {
    let home = house.daemon.home();
    let settings: Value = serde_json::from_slice(&std::fs::read(home.join("deployguard.yaml"))?)?;
    let serve = async |settings: &Value, extra: &str| -> anyhow::Result<String> {
        let file = home.join("other.yaml");
        std::fs::write(&file, format!("{settings}{extra}"))?;
        let file = file.to_str().context("a path")?;
        let done = cli("", CI_TOKEN, &["serve", "--config", file]).await?;
        assert_eq!((done.code, done.out.as_str()), (1, ""), "{done:?}");
        Ok(done.err)
    };
    // The secrets are in the environment of the daemon only.
    let told = serve(&settings, "").await?;
    assert!(told.contains("the environment has no `"), "{told}");
    let mut open = hook_changed(&settings, "tokens", json!([]));
    open["slack"] = Value::Null;
    let told = serve(&hook_changed(&open, "lissen", json!("127.0.0.1:1")), "").await?;
    assert!(told.contains("unknown field `lissen`"), "{told}");
    let told = serve(&open, ": [").await?;
    assert!(told.contains("other.yaml"), "{told}");
    let taken = house.daemon.url().trim_start_matches("http://");
    let mut taken = hook_changed(&open, "listen", json!(taken));
    taken["store"] = json!("sqlite://other.db");
    let told = serve(&taken, "").await?;
    assert!(told.contains("can't be listened on: Address already in use"), "{told}");
    let lost = hook_changed(&open, "store", json!("sqlite:///nowhere/at/all/store.db"));
    let told = serve(&lost, "").await?;
    let why = "store: the folder /nowhere/at/all of the store does not exist";
    assert_eq!(told.matches("store: ").count(), 1, "once: {told}");
    assert!(told.contains(why), "{told}");
    let told = serve(&hook_changed(&open, "policies", json!("nowhere")), "").await?;
    assert!(told.contains("nowhere"), "{told}");
    Ok(())
}

async fn half_a_request_holds_up_no_stop(house: &mut House) -> anyhow::Result<()> {
    let address = house.daemon.url().trim_start_matches("http://").to_owned();
    let mut halves = Vec::new();
    for half in
        ["", "POST /hooks/depl", "POST /hooks/deployments HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"]
    {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(half.as_bytes()).await?;
        halves.push(stream);
    }
    house.ask(Method::GET, "/healthz", None, "").await?;
    let begun = Instant::now();
    house.daemon.terminate().await?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(10), "it took {took:?} to stop");
    let log = house.daemon.logs();
    ensure!(log.contains("\"stopped; everything is kept\""), "{log}");
    Ok(())
}
