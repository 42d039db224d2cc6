//! Prints what each side sees as it happens, with the time since the deployment.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::world::World;
use crate::world::daemon::Daemon;
use crate::world::timeline::{Moment, Side};

/// The live timeline.
pub struct Narrator {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Narrator {
    /// Narrates from now on; now is when the deployment begins. `measures` is who sees the
    /// service's numbers, which are always read in the world's Prometheus.
    pub fn start(world: &World, daemon: &Daemon, measures: &'static str) -> Self {
        let begun = Instant::now();
        let stop = watch::Sender::new(false);
        let sides = tokio::spawn(sides(begun, world.timeline(), stop.subscribe()));
        let guard = tokio::spawn(guard(begun, daemon.log(), stop.subscribe()));
        let numbers =
            tokio::spawn(numbers(begun, measures, world.prometheus.url(), stop.subscribe()));
        Self { stop, tasks: vec![sides, guard, numbers] }
    }

    /// Tells what is still untold, and ends.
    pub async fn stop(self) {
        // The last messages travel a moment longer than the state they tell of.
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.stop.send_replace(true);
        for task in self.tasks {
            drop(task.await);
        }
    }
}

fn tell(begun: Instant, who: &str, text: &str) {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    // Of the deployment's message, where it stands says more than its title.
    let first = match (first.split_once(" in the channel: "), lines.next()) {
        (Some((done, _)), Some(status)) => format!("{done}: {status}"),
        _ => first.to_owned(),
    };
    println!("{:>+6.1}s  {who:<11} {}", begun.elapsed().as_secs_f32(), shortened(&first));
}

fn shortened(text: &str) -> String {
    const WIDTH: usize = 130;
    let text = emoji_out(text);
    if text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// Slack's emoji codes as signs that a terminal shows.
fn emoji_out(text: &str) -> String {
    [
        (":white_check_mark:", "✓"),
        (":rotating_light:", "✗"),
        (":warning:", "▲"),
        (":mag:", "·"),
        (":red_circle:", "✗"),
        (":large_yellow_circle:", "▲"),
        (":grey_question:", "?"),
        ("\u{2060}", ""),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

/// A message of Slack as text, each line behind `margin`.
pub fn plain(text: &str, margin: &str) -> String {
    let lines: Vec<String> =
        text.lines().map(|line| format!("{margin}{}", emoji_out(line))).collect();
    lines.join("\n")
}

async fn sides(
    begun: Instant,
    mut moments: broadcast::Receiver<Moment>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            moment = moments.recv() => match moment {
                Ok(moment) => {
                    let who = match moment.side {
                        Side::Ecs => "ECS",
                        Side::Slack => "Slack",
                        Side::World => "pipeline",
                    };
                    tell(begun, who, &moment.text);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = stop.changed() => return,
        }
    }
}

/// Follows the daemon's log for what it says about watches.
async fn guard(begun: Instant, log: PathBuf, mut stop: watch::Receiver<bool>) {
    let mut told = 0;
    let mut last = String::new();
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[told..whole].lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if let (Some(_), Some(status)) = (line["watch"].as_str(), line["status"].as_str())
                && status != last
            {
                tell(begun, "deployguard", status);
                status.clone_into(&mut last);
            }
        }
        told = whole;
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            _ = stop.changed() => return,
        }
    }
}

/// What Prometheus measures, whenever it has moved.
async fn numbers(begun: Instant, who: &str, prometheus: String, mut stop: watch::Receiver<bool>) {
    let Ok(client) = prometheus_http_query::Client::try_from(prometheus) else { return };
    let mut told = None;
    loop {
        let errors = value(
            &client,
            "sum(rate(http_requests_total{status=~\"5..\"}[5s])) / sum(rate(http_requests_total[5s]))",
        );
        let p95 = "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s])))";
        let errors = errors.await.unwrap_or(0.0) * 100.0;
        let p95 = value(&client, p95).await.unwrap_or(0.0) * 1000.0;
        if told.is_none_or(|before: f64| (errors - before).abs() >= 3.0) {
            tell(begun, who, &format!("errors {errors:.1}%, p95 {p95:.0}ms"));
            told = Some(errors);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            _ = stop.changed() => return,
        }
    }
}

async fn value(client: &prometheus_http_query::Client, promql: &str) -> Option<f64> {
    let answer = client.query(promql).get().await.ok()?;
    let vector = answer.data().as_vector()?;
    let value = vector.first()?.sample().value();
    value.is_finite().then_some(value)
}
