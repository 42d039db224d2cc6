//! That panels show the number they say, whatever else the same Prometheus scrapes.

use serde_json::Value;

use super::queries::Made;
use super::{Asked, Dashboard, dashboards, made, with};

/// A dashboard, a panel and query of it, and each number that it is answered with.
type Shown = (&'static str, &'static str, &'static [f64]);

const SHOWN: &[Shown] = &[
    ("deployment-monitor", "Requests/sec, A", &[340.2]),
    ("deployment-monitor", "Requests/sec, B", &[0.0]),
    ("deployment-monitor", "CPU usage, A", &[0.45]),
    ("deployment-monitor", "CPU by instance, A", &[0.45, 0.45]),
    ("deployment-monitor", "Memory by instance, A", &[3e8, 3e8]),
    ("deployment-monitor", "Health, A", &[1.0]),
    ("system-health", "Uptime, A", &[1.0]),
    ("system-health", "Instances up, B", &[2.0]),
    ("system-health", "CPU of the API, A", &[0.45, 0.45]),
    ("system-health", "Memory of the API, A", &[3e8, 3e8]),
    ("system-health", "Disk I/O, A", &[1e5]),
    ("system-health", "Network I/O, A", &[3e5]),
    ("database", "Connections in use, A", &[0.9]),
    ("deployguard", "Leaders, A", &[1.0]),
    ("deployguard", "Last step, A", &[2.0]),
    ("deployguard", "Blind places, A", &[2.0]),
    ("deployguard", "Paused scopes, A", &[1.0]),
    ("deployguard", "Policies, A", &[0.0]),
];

/// The queries of a panel; a single number and its graph may have one name.
fn of<'a>(all: &'a [Asked], dashboard: &str, panel: &str) -> Vec<&'a Asked> {
    let place = format!("{dashboard}.json: {panel}");
    let found: Vec<&Asked> = all.iter().filter(|one| one.place == place).collect();
    assert!(!found.is_empty(), "there is no {place}");
    found
}

fn numbers(series: &[Value]) -> Vec<f64> {
    series.iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap()).collect()
}

fn are_near(found: &[f64], wanted: &[f64]) -> bool {
    let is_near = |(one, other): (&f64, &f64)| (one - other).abs() <= 0.01 * other.abs().max(0.1);
    found.len() == wanted.len() && found.iter().zip(wanted).all(is_near)
}

#[tokio::test]
async fn a_panel_shows_the_number_of_what_it_names_and_of_nothing_beside_it() {
    let made = Made::start().await;
    let all: Vec<Asked> = dashboards().iter().flat_map(Dashboard::asked).collect();
    let mut wrong = Vec::new();
    for (dashboard, panel, wanted) in SHOWN {
        for asked in of(&all, dashboard, panel) {
            let found = numbers(&made.series(&asked.as_sent(), true).await.unwrap());
            if !are_near(&found, wanted) {
                wrong.push(format!("{} shows {found:?}, not {wanted:?}", asked.place));
            }
        }
    }
    // In milliseconds; the exporters and the guard began at other times.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are whole below 2^53")]
    let began = (made.end - 9_000) as f64 * 1000.0;
    for (dashboard, panel) in
        [("deployment-monitor", "Deployed, A"), ("system-health", "Running since, B")]
    {
        for asked in of(&all, dashboard, panel) {
            let found = numbers(&made.series(&asked.as_sent(), true).await.unwrap());
            if found.len() != 1 || (found[0] - began).abs() > 1000.0 {
                wrong.push(format!("{} shows {found:?}, not {began}", asked.place));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[tokio::test]
async fn nothing_is_shown_as_good_of_a_guard_that_is_not_scraped() {
    let made = Made::start().await;
    let all: Vec<Asked> = dashboards().iter().flat_map(Dashboard::asked).collect();
    for panel in ["Leaders", "Last step", "Blind places", "Paused scopes", "Policies"] {
        for asked in of(&all, "deployguard", &format!("{panel}, A")) {
            let elsewhere = [("job".to_owned(), made::JOB.to_owned())];
            let query = with(&asked.expression, &elsewhere);
            let found = made.series(&query, true).await.unwrap();
            assert!(found.is_empty(), "{panel} shows {found:?}");
        }
    }
}
