//! Customers: requests at an even pace, round robin over the tasks that are in service.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::aws::model::RunningTask;
use super::http::client_builder;

/// More requests than this are never under way: a slow shop slows its customers down.
const MOST_AT_ONCE: usize = 64;

/// The routes customers ask for, in turn.
const ROUTES: [(reqwest::Method, &str); 5] = [
    (reqwest::Method::GET, "/"),
    (reqwest::Method::GET, "/products"),
    (reqwest::Method::GET, "/products"),
    (reqwest::Method::POST, "/checkout"),
    (reqwest::Method::GET, "/"),
];

/// A stream of requests, until dropped.
pub struct Load {
    sender: JoinHandle<()>,
    unanswered: Arc<AtomicU64>,
}

impl Load {
    /// Sends `per_second` requests each second to one service's tasks.
    pub fn start(tasks: watch::Receiver<Vec<RunningTask>>, service: &str, per_second: u32) -> Self {
        let client = client_builder()
            .timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(8)
            .build()
            .expect("a client without TLS");
        let unanswered = Arc::new(AtomicU64::new(0));
        let stream = Stream {
            client,
            tasks,
            service: service.to_owned(),
            under_way: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            unanswered: Arc::clone(&unanswered),
        };
        let sender = tokio::spawn(stream.send(per_second.clamp(1, 1000)));
        Self { sender, unanswered }
    }

    /// How many requests got no answer at all.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

struct Stream {
    client: reqwest::Client,
    tasks: watch::Receiver<Vec<RunningTask>>,
    service: String,
    under_way: Arc<Semaphore>,
    unanswered: Arc<AtomicU64>,
}

impl Stream {
    async fn send(self, per_second: u32) {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / per_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for turn in 0_usize.. {
            pace.tick().await;
            let Some(address) = self.pick(turn) else { continue };
            let Ok(permit) = Arc::clone(&self.under_way).try_acquire_owned() else { continue };
            let (method, path) = ROUTES[turn % ROUTES.len()].clone();
            let request = self.client.request(method, format!("http://{address}{path}")).send();
            let unanswered = Arc::clone(&self.unanswered);
            tokio::spawn(async move {
                if request.await.is_err() {
                    unanswered.fetch_add(1, Ordering::Relaxed);
                }
                drop(permit);
            });
        }
    }

    fn pick(&self, turn: usize) -> Option<std::net::SocketAddr> {
        let tasks = self.tasks.borrow();
        let ours = tasks.iter().filter(|task| task.service == self.service);
        let ours: Vec<_> = ours.map(|task| task.address).collect();
        // Shifted once a round, so that each task gets each route.
        let shifted = turn + turn / ROUTES.len();
        (!ours.is_empty()).then(|| ours[shifted % ours.len()])
    }
}
