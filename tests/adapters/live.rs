//! `check --live` against a real Prometheus.

use std::fmt::Write;
use std::path::Path;

use tokio::sync::watch;

use crate::world::{self, now};

const POLICY: &str = r#"version: 1
policy: shop
environment: production
match: { cluster: shop, service: "shop-*" }
labels: { service: service, version: version }
peers: [other, shop-wbe]
depends_on: [shop-api, elsewhere]
phases: { immediate: { until: 15m, interval: 15s } }
checks:
  error rate:
    ratio: { bad: { counter: 'http_requests_total{status=~"5.."}' }, total: { counter: http_requests_total } }
    breach: { SEV2: "> 1%" }
  misspelt:
    ratio: { bad: { counter: 'http_requests_total{code=~"5.."}' }, total: { counter: http_request_total } }
    breach: { SEV2: "> 1%" }
  slow:
    latency: { counter: duration_seconds_bucket, quantile: 0.95 }
    breach: { SEV2: "> 200ms", SEV1: "> 5s" }
  in use:
    ratio: { bad: { counter: errors_total }, total: { counter: in_use } }
    breach: { SEV2: "> 1%" }
  load:
    query: 'max(load_percent{service="${service}"})'
    breach: { SEV2: "> 80%" }
  share:
    query: 'max(load_share{service="${service}"}) / 100'
    normal: "< 70"
    breach: { SEV2: "> 85 for 5m" }
  canary:
    query: 'max(load_percent{version="${version}"})'
    breach: { SEV2: "> 80%" }
"#;

/// Labels, and the value at a second.
type Labelled<'a> = (&'a str, fn(i64) -> i64);

/// Twenty minutes of two services, of which one has no latencies; and of a stranger.
fn history(now: i64) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, series: &[Labelled]| {
        let family = name.trim_end_matches("_total").trim_end_matches("_bucket");
        let _ = writeln!(text, "# TYPE {family} {kind}");
        for (labels, value) in series {
            for second in (0..=1200).step_by(15) {
                let _ =
                    writeln!(text, "{name}{{{labels}}} {} {}", value(second), now - 1200 + second);
            }
        }
    };
    family(
        "http_requests_total",
        "counter",
        &[
            (r#"service="shop-api",status="200",version="1""#, |second| second * 2),
            (r#"service="shop-web",status="200",version="1""#, |second| second * 3),
            (r#"service="other",status="200",version="1""#, |second| second),
        ],
    );
    family(
        "duration_seconds_bucket",
        "unknown",
        &[
            (r#"service="shop-api",le="0.1",version="1""#, |second| second),
            (r#"service="shop-api",le="1",version="1""#, |second| second * 2),
            (r#"service="shop-api",le="+Inf",version="1""#, |second| second * 2),
        ],
    );
    family("in_use", "gauge", &[(r#"service="shop-api""#, |second| 10 + second / 15 % 3)]);
    family("load_percent", "gauge", &[(r#"service="shop-api""#, |_| 45)]);
    family("load_share", "gauge", &[(r#"service="shop-api""#, |_| 45)]);
    text + "# EOF\n"
}

async fn checked(url: &str, more: &[&str], policies: &Path) -> (i32, String) {
    let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_deployguard"))
        .args(["check", "--live", "--prometheus", url])
        .args(more)
        .arg(policies)
        .output();
    let done = run.await.expect("it ran");
    let said = [done.stdout, done.stderr].concat();
    (done.status.code().expect("a code"), String::from_utf8(said).expect("text"))
}

#[tokio::test]
async fn every_query_is_asked_for_real_and_what_finds_nothing_is_mended() {
    let (_tasks, none) = watch::channel(Vec::new());
    let mut real = world::prometheus::Prometheus::start(none).await.expect("Debian's prometheus");
    real.remember(&history(now().as_second())).await.expect("a history");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("shop.yaml"), POLICY).expect("written");

    let (code, said) = checked(&real.url(), &[], folder.path()).await;
    println!("{said}");
    assert_eq!(code, 1, "{said}");
    for words in [
        "\n  shop-api\n    ok       error rate  0% of 120 events in 1m; SEV2 > 1%\n",
        "no metric is called `http_request_total`; did you mean `http_requests_total`?",
        "no series of `http_requests_total` has the label `code`; there are `service`, `status`",
        "the histogram's last bound is 1s: `> 5s` can never be seen",
        "falls again and again: is it a gauge?",
        "no metric is called `errors_total`; right only if it begins with the first bad event",
        "`labels.version` is `version`, and no series has it",
        "it answers 45: a share is from 0 to 1; is it in percent? Then divide by 100",
        "skipped  canary      asks for `${version}`",
        "share       0.45 in 1 series; normal < 70, SEV2 > 85 for 5m\n",
        "it answers 0.45, and its limit is `< 70` without a unit: if it is a share, write `< 70%`",
        "ms of 120 events in 1m; SEV1 > 5s, SEV2 > 200ms\n",
        "doubt: `peers` names `shop-wbe`, and no check has a series about it: it can excuse \
         nothing; did you mean `shop-web`?\n",
        "doubt: `depends_on` names `elsewhere`, and no check has a series about it",
        "\n  shop-web\n    ok       error rate  0% of 180 events in 1m; SEV2 > 1%\n",
        "no series of `duration_seconds_bucket` has `service=\"shop-web\"`; there are `shop-api`",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    assert!(!said.contains("names `other`") && !said.contains("names `shop-api`"), "{said}");
    assert!(!said.contains("\n  other\n"), "the pattern does not match it:\n{said}");

    let good = POLICY.split("  misspelt:").next().expect("the first check");
    std::fs::write(folder.path().join("shop.yaml"), good).expect("written");
    let (code, said) = checked(&real.url(), &["--service", "shop-web"], folder.path()).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ok       error rate") && !said.contains("shop-api"), "{said}");
    let (code, said) = checked(&real.url(), &["--service", "shop-gone"], folder.path()).await;
    assert_eq!(code, 1, "{said}");
    let (code, said) = checked(&real.url(), &["--service", "shpo-web"], folder.path()).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("no policy guards a service `shpo-web`: `shop` matches `shop-*`"),
        "{said}"
    );
    let misspelt = good.replace("http_requests_total", "http_request_total");
    std::fs::write(folder.path().join("shop.yaml"), misspelt).expect("written");
    let (code, said) = checked(&real.url(), &[], folder.path()).await;
    assert_eq!(code, 1, "{said}");
    let words = "no series is about a service that `shop-*` matches: no metric is called \
                 `http_request_total`; did you mean `http_requests_total`?";
    assert!(said.contains(words) && !said.contains("labels.service"), "{said}");
    let away = good.replace("shop-*", "away-*");
    std::fs::write(folder.path().join("shop.yaml"), away).expect("written");
    let (code, said) = checked(&real.url(), &[], folder.path()).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no series is about a service that `away-*` matches"), "{said}");

    real.stop();
    let (code, said) = checked(&real.url(), &[], folder.path()).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("can't be reached"), "{said}");
}
