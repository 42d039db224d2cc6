//! A made-up past, as `OpenMetrics` with times.

use std::fmt::Write;
use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

/// Requests of a service: ten a second.
pub struct Story {
    pub service: &'static str,
    /// Seconds between scrapes.
    pub scrape: i64,
    /// When the new version takes over, and when of a hundred its `bad` percent fail.
    pub deployed: Timestamp,
    pub bad_from: Option<Timestamp>,
    pub percent: i64,
    /// Not scraped in here.
    pub silent: Range<i64>,
    /// The labels do not change with the deployment.
    pub in_place: bool,
}

pub const RATE: i64 = 10;

impl Story {
    pub fn good(service: &'static str, deployed: Timestamp) -> Self {
        Self {
            service,
            scrape: 15,
            deployed,
            bad_from: None,
            percent: 0,
            silent: 0..0,
            in_place: false,
        }
    }

    pub fn bad(service: &'static str, deployed: Timestamp, after: SignedDuration) -> Self {
        Self { bad_from: Some(deployed + after), percent: 30, ..Self::good(service, deployed) }
    }
}

/// What was scraped of each story in `[from, to)`.
pub fn history(from: Timestamp, to: Timestamp, stories: &[Story]) -> String {
    let mut text = String::from("# TYPE requests counter\n");
    for story in stories {
        let (start, end) = (from.as_second(), to.as_second());
        let changed = story.deployed.as_second();
        if story.in_place {
            versions(&mut text, story, "1", start..end, 1_000_000);
        } else {
            versions(&mut text, story, "1", start..changed, 1_000_000);
            versions(&mut text, story, "2", changed + 7..end, 0);
        }
    }
    text + "# EOF\n"
}

/// One in a thousand fails at all times.
fn versions(text: &mut String, story: &Story, version: &str, alive: Range<i64>, base: i64) {
    let bad_from = story.bad_from.map_or(i64::MAX, Timestamp::as_second);
    let failed = |second: i64| {
        let all = (second - alive.start) * RATE;
        let worse = (second - bad_from.max(alive.start)).max(0) * RATE * story.percent / 100;
        (all, all / 1000 + worse)
    };
    for code in ["200", "500"] {
        let labels = format!(
            "service=\"{}\",version=\"{version}\",instance=\"{version}:80\",code=\"{code}\"",
            story.service
        );
        for second in alive.clone().step_by(usize::try_from(story.scrape).unwrap()) {
            if story.silent.contains(&second) {
                continue;
            }
            let (all, bad) = failed(second);
            let value = base + if code == "500" { bad } else { all - bad };
            writeln!(text, "requests_total{{{labels}}} {value} {second}").unwrap();
        }
    }
}
