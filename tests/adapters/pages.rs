//! Pages of metrics over real HTTP: what their answers come to, and that a real Prometheus
//! which scrapes the same page counts the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use deployguard::model::{
    ArmRule, Ask, Births, Filled, Measurement, Newer, Page, Piece, Question, Reading, ScrapedAsk,
    Shape, Ticks, Unusable, Wants, WebAsk,
};
use deployguard::outbound::{Allowed, Keyring, Method, Outbound, Request};
use deployguard::sources::prometheus::{DEFAULT_CONCURRENT, DEFAULT_TIMEOUT};
use deployguard::sources::{Due, Pages, Prometheus, Sources, measure};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::world::aws::model::RunningTask;
use crate::world::server::Server;
use crate::world::site::{Rude, Site};
use crate::world::{self, now};

const QUARTER: SignedDuration = SignedDuration::from_secs(15);

fn pages(allow: &[&str]) -> Pages {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allowed = Allowed::parse(allow).expect("a list");
    Pages::of(&Outbound::new(allowed, Keyring::default(), None).expect("a way"))
}

fn page(url: &str, each_address: bool) -> Page {
    let url = Filled(vec![Piece::Text(url.to_owned())]);
    let timeout = SignedDuration::from_secs(1);
    Page { web: WebAsk { url, headers: BTreeMap::new(), body: None, timeout }, each_address }
}

fn ask(page: &Page, selector: &str, wants: Wants) -> Ask {
    let pages = BTreeSet::from([page.clone()]);
    let selector = selector.to_owned();
    Ask::Scraped(Box::new(ScrapedAsk { pages, every: QUARTER, selector, wants }))
}

/// Reads what is asked for once.
async fn read(pages: &Pages, asks: &[Ask]) {
    let scraped: Vec<&ScrapedAsk> = asks
        .iter()
        .map(|ask| {
            let Ask::Scraped(asked) = ask else { panic!("{ask:?}") };
            &**asked
        })
        .collect();
    pages.want(scraped.iter().copied(), now());
    let all: BTreeSet<&Page> = scraped.iter().flat_map(|asked| &asked.pages).collect();
    for page in all {
        pages.read(page, now).await;
    }
}

async fn measured(sources: Sources, question: Question, ticks: Ticks) -> Vec<Reading> {
    measure(&sources, vec![Due { key: (), question, ticks }]).await.remove(0).1.readings
}

fn source(pages: &Pages) -> Sources {
    Sources { pages: Some(pages.clone()), ..Sources::default() }
}

async fn depth(pages: &Pages, page: &Page) -> Reading {
    let ask = ask(page, "depth", Wants::Values);
    read(pages, std::slice::from_ref(&ask)).await;
    let question = Question::plain(Shape::Gauge, vec![ask]);
    measured(source(pages), question, Ticks::once(now(), QUARTER)).await.remove(0)
}

#[tokio::test]
async fn the_same_answers_come_to_the_same_for_every_source() {
    let site = Site::start().await.expect("a site");
    let pages = pages(&[&site.url()]);
    let name = |labels: &str| format!("{{instance=\"{}\"{labels}}}", site.address());
    let gauge = |values: &[(&str, f64)]| {
        let values = values.iter().map(|(labels, value)| (name(labels), *value)).collect();
        Ok(Measurement::Gauge { values })
    };
    let no_page = |path: &str, why: &str| format!("{}{path}: {why}", site.url());
    let refused = |path: &str, why: &str| Err(Unusable::Refused(no_page(path, why)));
    let cases = [
        ("/good", 200, "depth 3\n".to_owned(), gauge(&[("", 3.0)])),
        ("/om", 200, "# TYPE depth gauge\ndepth 3\n# EOF\n".to_owned(), gauge(&[("", 3.0)])),
        (
            "/several",
            200,
            "depth{q=\"a\"} 3\ndepth{q=\"b,c=\"} -0\ndepth{q=\"d\"} NaN\n".to_owned(),
            gauge(&[(",q=\"a\"", 3.0), (",q=\"b,c=\"", 0.0)]),
        ),
        (
            "/nan",
            200,
            "depth NaN\n".to_owned(),
            Err(Unusable::NotFinite(format!("NaN for {}", name("")))),
        ),
        ("/empty", 200, "other 3\n".to_owned(), Err(Unusable::Empty)),
        ("/nothing", 200, String::new(), refused("/nothing", "there is no metric on the page")),
        (
            "/html",
            200,
            "<html>\n".to_owned(),
            refused("/html", "the page is HTML or XML and has no metrics: is its path right?"),
        ),
        (
            "/cut",
            200,
            "depth 3".to_owned(),
            refused("/cut", "the page is cut off: its last line has no end"),
        ),
        (
            "/down",
            503,
            "depth 3\n".to_owned(),
            Err(Unusable::Unreachable(no_page("/down", "it answers 503"))),
        ),
        (
            "/huge",
            200,
            "depth 3\n".repeat((8 << 20) / 8 + 1),
            Err(Unusable::Unreachable(no_page("/huge", "it answers more than 8 MiB"))),
        ),
    ];
    for (path, code, body, expected) in &cases {
        site.says(path, *code, body);
        let page = page(&format!("{}{path}", site.url()), false);
        assert_eq!(depth(&pages, &page).await, *expected, "{path}");
    }
    let visit = site.visits().remove(0);
    let accept = visit.headers["accept"].to_str().expect("text");
    assert!(accept.starts_with("text/plain") && accept.contains("openmetrics"), "{accept}");
}

#[tokio::test]
async fn where_no_page_can_be_had_the_reason_is_told_in_words() {
    let site = Site::start().await.expect("a site");
    let slow = Rude::start(b"HTTP/1.1 200 OK\r\n\r\ndepth 3\n", true).await.expect("a server");
    let gone = {
        let site = Site::start().await.expect("a site");
        site.url()
    };
    site.leads("/away", 302, "http://169.254.169.254/latest/meta-data/");
    let own = pages(&[&site.url(), &slow.url(), &gone]);
    let cases = [
        (slow.url(), "no answer within 1 s"),
        (gone, "no answer: "),
        (format!("{}/away", site.url()), "it redirects to http://169.254.169.254: "),
        ("http://169.254.169.254/metrics".to_owned(), "the settings don't allow it"),
    ];
    for (url, why) in cases {
        let told = depth(&own, &page(&url, false)).await.expect_err("no data").to_string();
        assert!(told.starts_with(&format!("{url}: {why}")), "{told}");
    }
    let sources = Sources::default();
    let ask = ask(&page("http://a.example/metrics", false), "depth", Wants::Values);
    let question = Question::plain(Shape::Gauge, vec![ask]);
    let none = measured(sources, question, Ticks::once(now(), QUARTER)).await;
    assert!(matches!(&none[..], [Err(Unusable::Refused(why))] if why.contains("outbound")));
}

#[tokio::test]
async fn each_address_of_a_name_is_an_instance() {
    let site = Site::start().await.expect("a site");
    site.says("/metrics", 200, "depth 3\n");
    let url = format!("http://localhost:{}/metrics", site.address().port());
    let pages = pages(&[&format!("http://localhost:{}", site.address().port())]);
    let Ok(Measurement::Gauge { values }) = depth(&pages, &page(&url, true)).await else {
        panic!("no value")
    };
    let name = format!("{{instance=\"{}\"}}", site.address());
    assert_eq!(values.get(&name), Some(&3.0), "{values:?}");
}

#[tokio::test]
async fn what_a_slow_page_says_is_of_the_moment_at_which_it_came() {
    const SLOW: SignedDuration = SignedDuration::from_millis(400);
    let counted = Arc::new(AtomicU32::new(0));
    let answer = move || {
        let requests = counted.fetch_add(10, Ordering::Relaxed);
        async move {
            tokio::time::sleep(SLOW.unsigned_abs()).await;
            format!("requests_total {requests}\n")
        }
    };
    let server = Server::start(Router::new().route("/metrics", get(answer))).await.expect("a port");
    let (pages, page) =
        (pages(&[&server.url()]), page(&format!("{}/metrics", server.url()), false));
    let asks = vec![ask(&page, "requests_total", Wants::Samples); 2];
    let counted = async |until: Timestamp, stretch: SignedDuration| {
        let question = Question::plain(Shape::BadOfTotal, asks.clone());
        measured(source(&pages), question, Ticks::once(until, stretch)).await.remove(0)
    };
    read(&pages, &asks).await;
    let tick = now() + SLOW / 4;
    read(&pages, &asks).await;
    // This may have been asked and answered before the page came.
    assert_eq!(counted(tick, SLOW / 4).await, Err(Unusable::NothingNew));
    let came = now();
    let all = Ok(Measurement::counts(10.0, 10.0));
    assert_eq!(counted(came, came.duration_since(tick)).await, all);
}

#[tokio::test]
async fn pages_that_hang_hold_up_nothing_else_of_their_host() {
    const LONG: SignedDuration = SignedDuration::from_secs(30);
    let site = Site::start().await.expect("a site");
    site.says("/health", 200, "{}");
    let slow = Rude::start(b"HTTP/1.1 200 OK\r\n\r\ndepth 3\n", true).await.expect("a server");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allowed = Allowed::parse(&[&site.url(), &slow.url()]).expect("a list");
    let way = Outbound::new(allowed, Keyring::default(), None).expect("a way");
    let pages = Pages::of(&way);
    let mut hung = tokio::task::JoinSet::new();
    for number in 0..8 {
        let mut page = page(&format!("{}/{number}", slow.url()), false);
        page.web.timeout = LONG;
        let Ask::Scraped(asked) = ask(&page, "depth", Wants::Values) else { panic!("a page") };
        pages.want([&*asked], now());
        let pages = pages.clone();
        hung.spawn(async move { pages.read(&page, now).await });
    }
    tokio::task::yield_now().await;
    let request = Request {
        method: Method::Get,
        url: format!("{}/health", site.url()),
        headers: Vec::new(),
        body: None,
        time_out: LONG.unsigned_abs(),
    };
    let asked = tokio::time::timeout(LONG.unsigned_abs() / 2, way.send(&request)).await;
    assert_eq!(asked.expect("it is asked at once").expect("an answer").status, 200);
}

/// What a page shows of two instances: good and bad requests, and how many were fast.
fn shown(instances: &[(&str, &str, u32, u32)]) -> String {
    let mut text = String::new();
    for (instance, version, good, bad) in instances {
        let labels = format!("instance=\"{instance}\",version=\"{version}\"");
        let all = good + bad;
        let _ = write!(
            text,
            "requests_total{{{labels},status=\"200\"}} {good}\n\
             seconds_bucket{{{labels},le=\"0.1\"}} {good}\n\
             seconds_bucket{{{labels},le=\"+Inf\"}} {all}\n\
             depth{{{labels}}} {bad}\n"
        );
        if *bad > 0 {
            let _ = writeln!(text, "requests_total{{{labels},status=\"500\"}} {bad}");
        }
    }
    text
}

/// The questions, as each of both sources is asked them.
fn questions(since: Timestamp, of: impl Fn(&str, Wants) -> Ask) -> [Question; 3] {
    let births = Some(Births { since, known: ["a".to_owned()].into() });
    let arms = Some(ArmRule { label: "version".into(), newer: Newer::Is("2".into()) });
    let counts = |shape, selectors: &[&str]| {
        let asks = selectors.iter().map(|selector| of(selector, Wants::Samples)).collect();
        let (births, arms) = (births.clone(), arms.clone());
        Question { births, arms, ..Question::plain(shape, asks) }
    };
    [
        counts(Shape::BadOfTotal, &["requests_total{status=~\"5..\"}", "requests_total"]),
        counts(Shape::Histogram, &["seconds_bucket"]),
        Question::plain(Shape::Gauge, vec![of("depth", Wants::Values)]),
    ]
}

#[tokio::test]
async fn a_real_prometheus_counts_the_same_over_restarts_and_instances_that_come_and_go() {
    let site = Site::start().await.expect("a site");
    let task = RunningTask {
        task: "t".to_owned(),
        service: "shop".to_owned(),
        task_definition: "shop:1".to_owned(),
        address: site.address(),
    };
    let steps: [&[(&str, &str, u32, u32)]; 6] = [
        &[("a", "1", 10_000, 0)],
        // A newborn with its first errors, and the first error of what goes on.
        &[("a", "1", 10_050, 1), ("b", "2", 30, 7)],
        // A restart.
        &[("a", "1", 20, 2), ("b", "2", 60, 9)],
        &[("a", "1", 25, 2), ("b", "2", 61, 19)],
        // One is gone.
        &[("b", "2", 100, 23)],
        &[("b", "2", 140, 23), ("c", "2", 5, 0)],
    ];
    site.says("/metrics", 200, &shown(steps[0]));
    let pages = pages(&[&site.url()]);
    let (_tasks, scraped) = watch::channel(vec![task]);
    let real = world::prometheus::Prometheus::start(scraped).await.expect("Debian's prometheus");
    let begun = now();
    let own = page(&format!("{}/metrics", site.url()), false);
    let ours = questions(begun, |selector, wants| ask(&own, selector, wants));
    let theirs = questions(begun, |selector, wants| match wants {
        Wants::Samples => Ask::Counter(selector.to_owned()),
        Wants::Values => Ask::Query(selector.to_owned()),
    });
    let asks: Vec<Ask> = ours.iter().flat_map(|question| question.asks.clone()).collect();
    let mut since = begun;
    for (turn, step) in steps.iter().enumerate() {
        site.says("/metrics", 200, &shown(step));
        let all: u32 = step.iter().map(|(_, _, good, _)| good).sum();
        let seen = |value: f64| (value - f64::from(all)).abs() < 0.5;
        let query = "sum(requests_total{status=\"200\"})";
        let within = std::time::Duration::from_secs(20);
        real.wait_for(query, within, seen).await.expect("scraped");
        read(&pages, &asks).await;
        if turn == 0 {
            since = now();
        }
    }
    let stretch = now().duration_since(since);
    let ticks = Ticks::once(now(), stretch);
    let prometheus = Prometheus::connect(&real.url(), DEFAULT_TIMEOUT, DEFAULT_CONCURRENT);
    let prometheus: Sources = prometheus.expect("connected").into();
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let shape = ours.shape;
        let ours = measured(source(&pages), ours, ticks).await;
        let theirs = measured(prometheus.clone(), theirs, ticks).await;
        assert!(ours[0].is_ok(), "{shape:?}: {ours:?}");
        match (&ours[0], &theirs[0]) {
            // Prometheus adds what it knows of its target.
            (
                Ok(Measurement::Gauge { values: ours }),
                Ok(Measurement::Gauge { values: theirs }),
            ) => {
                let sorted = |values: &BTreeMap<String, f64>| {
                    let mut all: Vec<f64> = values.values().copied().collect();
                    all.sort_by(f64::total_cmp);
                    all
                };
                assert_eq!(sorted(ours), [0.0, 23.0], "the one that is gone has no value");
                assert_eq!(sorted(ours), sorted(theirs));
            }
            (ours, theirs) => assert_eq!(ours, theirs, "{shape:?}"),
        }
        if let Ok(Measurement::Counts(split)) = &ours[0] {
            // a: 50 + 1, then 20 from zero, 1 (nothing shows that its errors began again) and 5.
            // b: all 140 + 23. c: 5.
            let expected = f64::from(51 + 21 + 5 + 163 + 5);
            assert!((split.all.total - expected).abs() < 1e-9, "{split:?}");
            assert!((split.all.bad - f64::from(1 + 1 + 23)).abs() < 1e-9, "{split:?}");
        }
    }
}
