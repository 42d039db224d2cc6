//! Charts and the report of an incident: in the thread, over HTTP, on the command line.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, header};
use serde_json::Value;

use crate::house::{House, READ_TOKEN};
use crate::world::daemon::STORY;
use crate::world::slack::files::{File, UPLOAD};
use crate::world::slack::{Message, SlackFault};

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_shown_in_pictures_and_told_in_a_report() -> anyhow::Result<()> {
    let house = House::open(STORY, |_| ()).await?;
    // The first upload is dead for longer than the whole story of words takes.
    house.world.slack.fault(UPLOAD, &SlackFault::Hang(Duration::from_mins(2)), 3);
    let id = house.deploy("v2", &[("ERROR_RATE", "0.5")]).await?;
    let over = |watch: &Value| !watch["outcome"].is_null();
    let ended = house.watch_until("v2", "its end", over).await?;
    assert_eq!(ended["outcome"], "rolled_back", "{ended:#}");
    words_do_not_wait_for_pictures(&house).await?;
    house.world.slack.clear_faults();
    let shared = files_come_once_each(&house).await?;
    the_api_gives_the_same(&house, &id, &shared).await?;
    names_that_nobody_knows_are_answered_with_those_there_are(&house, &id).await?;
    the_command_line_writes_it(&house, &id, &shared).await?;
    assert_eq!(house.world.slack.violations(), Vec::<String>::new());
    Ok(())
}

fn with_files(house: &House) -> Vec<Message> {
    let messages = house.world.slack.messages().into_iter();
    messages.filter(|message| !message.files.is_empty()).collect()
}

/// While the upload hangs, all that is said in words comes.
async fn words_do_not_wait_for_pictures(house: &House) -> anyhow::Result<()> {
    house
        .until("the last words", async |house| {
            let threads = house.world.slack.threads();
            let replies = threads.iter().flat_map(|thread| &thread.replies);
            Ok(replies.clone().any(|reply| reply.contains("Recovered")).then_some(()))
        })
        .await?;
    let tried = house.world.slack.calls().iter().any(|call| call.method == UPLOAD);
    ensure!(tried, "an upload was tried before");
    ensure!(with_files(house).is_empty(), "and hangs");
    Ok(())
}

async fn files_come_once_each(house: &House) -> anyhow::Result<Vec<Message>> {
    let shared = house
        .until("the files", async |house| {
            let shared = with_files(house);
            Ok((shared.len() == 2).then_some(shared))
        })
        .await?;
    let all: Vec<&File> = shared.iter().flat_map(|message| &message.files).collect();
    let png = |file: &&&File| file.alt.is_some();
    assert_eq!(all.iter().filter(png).count(), 2, "{:?}", all.len());
    for file in all.iter().filter(png) {
        let bytes = file.bytes.as_deref().unwrap_or_default();
        ensure!(bytes.starts_with(b"\x89PNG"), "{} is a PNG", file.name);
        let alt = file.alt.as_deref().context("a picture says what it shows")?;
        ensure!(alt.contains("error rate") && alt.contains("Breach at"), "{alt}");
    }
    let report = all.iter().find(|file| file.name.starts_with("incident-")).context("a report")?;
    ensure!(report.name.starts_with("incident-"), "{}", report.name);
    Ok(shared)
}

fn report_of(shared: &[Message]) -> anyhow::Result<String> {
    let mut files = shared.iter().flat_map(|message| &message.files);
    let report = files.find(|file| file.name.starts_with("incident-")).context("a report")?;
    Ok(String::from_utf8(report.bytes.clone().unwrap_or_default())?)
}

async fn the_api_gives_the_same(house: &House, id: &str, shared: &[Message]) -> anyhow::Result<()> {
    let base = format!("/api/v1/watches/{id}");
    let get = async |below: &str| {
        let request = house.request(Method::GET, &format!("{base}/{below}"), Some(READ_TOKEN), "");
        anyhow::Ok(request.send().await?.error_for_status()?)
    };
    let answer = get("report.md").await?;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/markdown; charset=utf-8");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "private, max-age=3600");
    assert_eq!(answer.text().await?, report_of(shared)?, "the thread has the same");

    let svg = get("chart/error%20rate.svg").await?;
    assert_eq!(svg.headers()[header::CONTENT_TYPE], "image/svg+xml");
    assert_eq!(svg.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let tag = svg.headers()[header::ETAG].clone();
    let drawn = svg.text().await?;
    for words in ["error rate", "deployed", "SEV1 &gt; 5%", "rolled back", "recovered"] {
        ensure!(drawn.contains(words), "no {words:?} in {drawn}");
    }
    let path = format!("{base}/chart/error%20rate.svg");
    let again = house.request(Method::GET, &path, Some(READ_TOKEN), "");
    let again = again.header(header::IF_NONE_MATCH, tag).send().await?;
    assert_eq!(again.status().as_u16(), 304);
    let png = get("chart/memory.png?theme=dark&width=phone").await?;
    assert_eq!(png.headers()[header::CONTENT_TYPE], "image/png");
    ensure!(png.bytes().await?.starts_with(b"\x89PNG"), "a PNG");
    Ok(())
}

async fn names_that_nobody_knows_are_answered_with_those_there_are(
    house: &House,
    id: &str,
) -> anyhow::Result<()> {
    let get = async |below: &str| {
        let path = format!("/api/v1/watches/{id}/{below}");
        house.ask(Method::GET, &path, Some(READ_TOKEN), "").await
    };
    let known = "the checks are error rate, memory, order success, p95 latency";
    for file in ["latency.svg", "error%20rate", "error%20rate.gif", "..%2F..%2Fetc.svg"] {
        let answer = get(&format!("chart/{file}")).await?;
        answer.is_problem(404, "ask for CHECK.svg or CHECK.png");
        let mut named: Vec<&str> =
            answer.detail().split("are ").last().unwrap().split(", ").collect();
        named.sort_unstable();
        assert_eq!(format!("the checks are {}", named.join(", ")), known);
    }
    get("chart/memory.svg?theme=pink").await?.is_problem(400, "theme");
    let nobody = "/api/v1/watches/nobody/report.md";
    house.ask(Method::GET, nobody, Some(READ_TOKEN), "").await?.is_problem(404, "`nobody`");
    Ok(())
}

async fn the_command_line_writes_it(
    house: &House,
    id: &str,
    shared: &[Message],
) -> anyhow::Result<()> {
    let report = report_of(shared)?;
    let said = house.cli(&["report", id]).await?;
    assert_eq!((said.code, said.out), (0, report.clone()), "{}", said.err);
    let file = house.daemon.home().join("incident.md");
    let named = file.to_str().context("a path")?;
    let said = house.cli(&["report", id, "--output", named]).await?;
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    let beside = report.replace("](chart/error%20rate.svg)", "](incident-chart-1.svg)");
    assert_eq!(std::fs::read_to_string(&file)?, beside);
    let chart = std::fs::read_to_string(file.with_file_name("incident-chart-1.svg"))?;
    assert!(chart.starts_with("<svg "), "{chart}");
    let said = house.cli(&["report", "nobody"]).await?;
    assert_eq!(said.code, 1, "{}", said.err);
    Ok(())
}
