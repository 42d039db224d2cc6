//! Render: services whose deploys go through their statuses, and the API that people and
//! programs use, with its key, its pages and its limits.

mod http;
mod model;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::faults::Faults;
use super::server::Server;
use super::timeline::Timeline;
use super::{lock, now};

use model::Book;

/// The key that the API takes.
pub const API_KEY: &str = "rnd_stand_in_0123456789";
/// The workspace.
pub const OWNER: &str = "tea-0123456789";

/// What goes wrong with a call; operations are `METHOD path` with `ID` for the service's.
#[derive(Debug, Clone)]
pub enum RenderFault {
    /// HTTP 429, with the seconds until there may be more.
    Limited(u64),
    /// This status and nothing done.
    Status(u16),
    /// It is done, and the answer never arrives.
    DoneButNoAnswer,
}

/// A running Render; it ends when it is dropped.
pub struct Render {
    server: Server,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    book: Mutex<Book>,
    faults: Faults<RenderFault>,
    timeline: Timeline,
    /// Between two statuses of a deploy.
    step: Duration,
}

impl Render {
    pub async fn start(step: Duration, timeline: Timeline) -> io::Result<Self> {
        let (book, faults) = (Mutex::default(), Faults::default());
        let shared = Arc::new(Shared { book, faults, timeline, step });
        Ok(Self { server: Server::start(http::router(shared.clone())).await?, shared })
    }

    /// The root of the API.
    pub fn url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// A new service that has nothing deployed yet; its id.
    pub fn service(&self, name: &str, kind: &str, build: &str) -> String {
        lock(&self.shared.book).add(name, kind, build)
    }

    /// Pushes a commit to the branch of all: those with auto-deploy on deploy it.
    pub fn push(&self, letter: char, message: &str) {
        let names = lock(&self.shared.book).auto_deploying();
        for name in names {
            self.deploy(&name, letter, message, "new_commit");
        }
    }

    /// Deploys a commit of one service; the deploy's id.
    pub fn deploy(&self, name: &str, letter: char, message: &str, trigger: &str) -> String {
        let commit = letter.to_string().repeat(40);
        let service = lock(&self.shared.book).id_of(name);
        self.shared.begin(&service, &commit, message, trigger, false)
    }

    /// The next deploys of the service end like this: `build_failed`, ...
    pub fn fails(&self, name: &str, status: &'static str, times: usize) {
        lock(&self.shared.book).failures.insert(name.to_owned(), (status, times));
    }

    /// What is live, by the first letter of its commit.
    pub fn live(&self, name: &str) -> Option<char> {
        lock(&self.shared.book).live(name)
    }

    pub fn auto_deploys(&self, name: &str) -> bool {
        lock(&self.shared.book).auto_deploying().iter().any(|one| one == name)
    }

    /// Waits until this is live everywhere.
    pub async fn wait_live(&self, names: &[&str], letter: char) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !names.iter().all(|name| self.live(name) == Some(letter)) {
            assert!(Instant::now() < deadline, "{letter} does not come live in {names:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The next `times` calls of `operation` (`POST /services/ID/rollback`) meet `fault`.
    pub fn fault(&self, operation: &str, fault: &RenderFault, times: usize) {
        self.shared.faults.plan(operation, fault, times);
    }

    /// The next rollbacks of one service are answered with this status.
    pub fn refuse(&self, name: &str, status: u16, times: usize) {
        let id = lock(&self.shared.book).id_of(name);
        let operation = format!("POST /services/{id}/rollback");
        self.shared.faults.plan(&operation, &RenderFault::Status(status), times);
    }

    /// Every call meets it, until this is called again.
    pub fn storm(&self, fault: Option<RenderFault>) {
        self.shared.faults.storm(fault);
    }

    /// What was called, `METHOD path`, oldest first.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.shared.book).calls.clone()
    }

    /// Those that change something.
    pub fn changes(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| !call.starts_with("GET "));
        calls
    }
}

impl Shared {
    /// Begins a deploy, which goes on by itself.
    fn begin(
        self: &Arc<Self>,
        service: &str,
        commit: &str,
        message: &str,
        trigger: &str,
        built: bool,
    ) -> String {
        let (id, ends) = lock(&self.book).begin(service, commit, message, trigger, now());
        let (shared, service, deploy) = (self.clone(), service.to_owned(), id.clone());
        tokio::spawn(async move {
            let building: &[&str] = if built { &[] } else { &["build_in_progress"] };
            for status in building.iter().chain(&["update_in_progress", ends]) {
                tokio::time::sleep(shared.step).await;
                let told = lock(&shared.book).turn(&service, &deploy, status);
                let Some(told) = told else { return };
                shared.timeline.tell(super::timeline::Side::World, told);
                if status.ends_with("_failed") {
                    return;
                }
            }
        });
        id
    }
}
