//! A desk with a store, five postmen and five stand-ins.

mod notes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deployguard::engine::{
    Engine, FleetBrake, Helm, Parts, Postman, Status as Health, Tenure, Turn as Lead, turn,
};
use deployguard::model::{
    Address, Body, Card, FILES, Lane, Notice, Recipient, Reply, ServiceKey, Tone, Turn, WatchId,
    Way,
};
use deployguard::notify::elsewhere::{Elsewhere, Mail};
use deployguard::notify::email::{Email, Security};
use deployguard::notify::pagerduty::PagerDuty;
use deployguard::notify::slack::Slack;
use deployguard::notify::webhook::{Format, Webhook};
use deployguard::platform::Accounts;
use deployguard::policy_repo::PolicyRepo;
use deployguard::store::{Queued, Status, Store, WatchRow, Write};
use deployguard::telemetry::{Metrics, Traces};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sqlx::Connection;
use tempfile::TempDir;
use tokio::sync::watch::Sender;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::call::now;
use crate::call::signal;
use crate::states::journal;
use crate::world::called::pagerduty::{PagerDuty as PagerStandIn, ROUTING_KEY};
use crate::world::called::smtp::{MailServer, PASSWORD, USER};
use crate::world::called::webhook::{Receiver, SECRET};
use crate::world::github::GitHub as GitHubStandIn;
use crate::world::http::client_builder;
use crate::world::slack::{CHANNEL, Slack as Workspace, TOKEN};
use crate::world::timeline::Timeline;

/// Longer than anybody waits.
pub const LONG: Duration = Duration::from_mins(10);
/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1/in";

/// A way of words, or the lane of files.
pub trait Goes {
    fn lane(self) -> Lane;
}

impl Goes for Way {
    fn lane(self) -> Lane {
        Lane::Words(self)
    }
}

impl Goes for Lane {
    fn lane(self) -> Lane {
        self
    }
}

/// The watch that everything is about.
fn watch() -> WatchId {
    WatchId::typed("shopflow-api-1a2b3c4d")
}

pub struct Desk {
    pub slack: Workspace,
    pub pager: PagerStandIn,
    pub hook: Receiver,
    pub mail: MailServer,
    pub github: GitHubStandIn,
    pub metrics: Arc<Metrics>,
    time_out: Duration,
    pub store: Store,
    url: String,
    tenure: Tenure,
    helm: Helm,
    /// The engine runs for as long.
    running: Option<DropGuard>,
    _folder: TempDir,
}

impl Desk {
    /// Whose postmen wait for half a second.
    pub async fn new() -> Self {
        let mut desk = Self::without_engine().await;
        desk.lead().await;
        desk
    }

    /// Where no engine hears what could not be told.
    pub async fn without_engine() -> Self {
        Self::with_time_out(Duration::from_millis(500)).await
    }

    /// An engine that knows of no watch hears it from now on.
    pub async fn lead(&mut self) {
        let parts = Parts {
            store: self.store.clone(),
            tenure: self.tenure.clone(),
            platform: Accounts::default(),
            sources: BTreeMap::new(),
            query_offsets: BTreeMap::new(),
            repositories: Arc::default(),
            policies: Sender::new(Arc::new(PolicyRepo::open("nowhere").nothing())),
            brake: FleetBrake::default(),
            clusters: BTreeMap::new(),
            metrics: self.metrics.clone(),
            traces: Traces::default(),
            status: Arc::new(Health::default()),
            elsewhere: Arc::new(Elsewhere::default()),
            mail: Sender::new(0),
        };
        let engine = Engine::load(parts).await.unwrap();
        self.helm.lead(&engine);
        let stop = CancellationToken::new();
        tokio::spawn(engine.run(stop.clone()));
        self.running = Some(stop.drop_guard());
    }

    /// Whose postmen wait for ever.
    pub async fn patient() -> Self {
        Self::with_time_out(LONG).await
    }

    async fn with_time_out(time_out: Duration) -> Self {
        drop(client_builder());
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite://{}", folder.path().join("guard.db").display());
        let store = Store::open(&url).await.unwrap();
        let Lead::Ours(tenure, store, _) = turn(&store, "desk", "").await.unwrap() else {
            panic!("nobody else leads");
        };
        Self {
            slack: Workspace::start(Timeline::default()).await.unwrap(),
            pager: PagerStandIn::start().await.unwrap(),
            hook: Receiver::start().await.unwrap(),
            mail: MailServer::start().await.unwrap(),
            github: GitHubStandIn::start().await.unwrap(),
            metrics: Arc::new(Metrics::new().unwrap()),
            time_out,
            store,
            url,
            tenure,
            helm: Helm::default(),
            running: None,
            _folder: folder,
        }
    }

    /// Messages of one watch to whoever is on the other end of `way`. Slack's come under the
    /// deployment's message.
    pub async fn queue(&self, on: impl Goes, texts: &[&str]) {
        let way = match on.lane() {
            Lane::Words(way) => way,
            Lane::Files => {
                self.begin_thread().await;
                return self.queue_files().await;
            }
        };
        match way {
            Way::Slack => {
                self.begin_thread().await;
                for text in texts {
                    self.queue_reply(text).await;
                }
            }
            Way::PagerDuty => self.queue_for("pagerduty:one", texts).await,
            Way::Webhook => self.queue_for("webhook:one", texts).await,
            Way::Email => self.queue_for("email:one", texts).await,
            Way::GitHub => self.queue_notes(texts).await,
        }
    }

    async fn begin_thread(&self) {
        self.queue_card().await;
        self.round(Way::Slack).await;
    }

    /// A report, then a picture, of a watch that has a journal.
    async fn queue_files(&self) {
        self.keep_watch().await;
        for (key, charts, report) in
            [("report", vec![], true), ("picture", vec!["error rate".to_owned()], false)]
        {
            let address = Address::Slack { channel: CHANNEL.into(), mentions: vec![] };
            let mut write = Self::notice(address, Some(key));
            let Write::Outbox { notice, .. } = &mut write else { unreachable!() };
            notice.body = Body::Files { charts, report };
            self.put(write).await;
        }
    }

    async fn keep_watch(&self) {
        let (opened_at, event) = journal();
        let row = WatchRow {
            id: watch(),
            service: ServiceKey { target: "t".into(), cluster: "c".into(), service: "s".into() },
            deployment: "d".to_owned(),
            is_open: true,
            opened_at,
            name: "api".to_owned(),
            environment: "production".to_owned(),
            outcome: None,
            state: "{}".to_owned(),
        };
        let events = vec![(opened_at, serde_json::to_string(&event).unwrap())];
        self.put(Write::Watch { row, version: 0, events }).await;
    }

    pub async fn queue_card(&self) {
        let address = Address::Slack { channel: CHANNEL.into(), mentions: vec![] };
        self.put(Self::notice(address, None)).await;
    }

    pub async fn queue_reply(&self, text: &str) {
        let address = Address::Slack { channel: CHANNEL.into(), mentions: vec![] };
        self.put(Self::notice(address, Some(text))).await;
    }

    /// A reply that pages, said at `at`.
    pub async fn queue_page(&self, text: &str, at: Timestamp) {
        let address = Address::Slack { channel: CHANNEL.into(), mentions: vec![] };
        let mut write = Self::notice(address, Some(text));
        let Write::Outbox { notice, .. } = &mut write else { unreachable!() };
        let Body::Reply(reply) = &mut notice.body else { unreachable!() };
        reply.page = true;
        notice.at = at;
        self.store.commit(&[write], at).await.unwrap();
    }

    pub async fn queue_for(&self, recipient: &str, texts: &[&str]) {
        for text in texts {
            let recipient: Recipient = recipient.parse().unwrap();
            self.put(Self::notice(Address::Elsewhere { recipient }, Some(text))).await;
        }
    }

    /// A turn of the incident that was said at `at`.
    pub async fn queue_turn(&self, recipient: &str, turn: Turn, at: Timestamp) {
        let recipient: Recipient = recipient.parse().unwrap();
        let mut write = Self::notice(Address::Elsewhere { recipient }, Some("turn"));
        let Write::Outbox { notice, .. } = &mut write else { unreachable!() };
        notice.key = format!("{}/{turn:?}", notice.watch);
        notice.body = Body::Signal { to: vec![], signal: Box::new(signal(turn)) };
        notice.at = at;
        self.store.commit(&[write], at).await.unwrap();
    }

    /// What is next on `way` is what a newer build wrote; answers how it can be undone.
    pub async fn make_unreadable(&self, way: Way) -> (i64, String) {
        let head = self.head(way).await.unwrap();
        let was = serde_json::to_string(&head.notice).unwrap();
        self.write_over(head.seq, "{\"body\":{\"hologram\":{}}}").await;
        (head.seq, was)
    }

    /// Behind the store's back.
    pub async fn write_over(&self, seq: i64, notice: &str) {
        let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        let changed = sqlx::query("UPDATE outbox SET notice = $1 WHERE seq = $2");
        changed.bind(notice).bind(seq).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn put(&self, write: Write) {
        self.store.commit(&[write], now()).await.unwrap();
    }

    /// A card where there is no text.
    fn notice(address: Address, text: Option<&str>) -> Write {
        let body = match (&address, text) {
            (_, None) => Body::Card(Card {
                tone: Tone::Quiet,
                title: "card".to_owned(),
                status: "watching".to_owned(),
                about: vec![],
                url: None,
                head: Vec::new(),
                incident: Vec::new(),
                tiles: Vec::new(),
                health: Vec::new(),
                offers: Vec::new(),
                footer: "mode auto".to_owned(),
            }),
            (Address::Slack { .. }, Some(text)) => Body::Reply(Reply {
                tone: Tone::Bad,
                headline: text.to_owned(),
                fields: vec![],
                lines: vec![],
                code: vec![],
                broadcast: false,
                page: false,
                mentions: vec![],
                offers: Vec::new(),
            }),
            (Address::Elsewhere { .. }, Some(text)) => {
                let mut signal = signal(Turn::Opened);
                text.clone_into(&mut signal.headline);
                text.clone_into(&mut signal.title);
                Body::Signal { to: vec![], signal: Box::new(signal) }
            }
        };
        let watch = watch();
        let key = format!("{watch}/{}", text.unwrap_or("card"));
        Write::Outbox { notice: Notice { watch, key, at: now(), body }, address }
    }

    pub fn postman(&self, on: impl Goes) -> Postman {
        self.postman_to(on.lane(), true)
    }

    /// `there`: whether anybody listens where it goes.
    fn postman_to(&self, lane: Lane, there: bool) -> Postman {
        let limit = self.time_out;
        let at = |url: String| if there { url } else { NOWHERE.to_owned() };
        let pager = |url: &str| PagerDuty::connect(url, ROUTING_KEY).unwrap().with_time_out(limit);
        let pagerduty = BTreeMap::from([
            ("one".to_owned(), pager(&at(self.pager.url()))),
            ("nobody-answers".to_owned(), pager(NOWHERE)),
        ]);
        let hook = at(self.hook.url());
        let hook = Webhook::connect(&hook, SECRET, Format::Generic, HeaderMap::new()).unwrap();
        let slack = Slack::connect(&at(self.slack.url()), TOKEN).unwrap();
        let elsewhere = Elsewhere {
            pagerduty,
            webhooks: BTreeMap::from([("one".to_owned(), hook.with_time_out(limit))]),
            email: Some(self.mailbox(there)),
            github: Some(self.at_github(there)),
        };
        Postman {
            store: self.store.clone(),
            tenure: self.tenure.clone(),
            lane,
            slack: Some(Arc::new(slack.with_time_out(limit))),
            elsewhere: Arc::new(elsewhere),
            engine: self.helm.handle(),
            metrics: self.metrics.clone(),
            traces: Traces::default(),
            mail: Sender::new(0).subscribe(),
        }
    }

    fn mailbox(&self, there: bool) -> Mail {
        let port = if there { self.mail.address().port() } else { 1 };
        let login = Some((USER.to_owned(), PASSWORD.to_owned()));
        let from = "deployguard@guard.example".parse().unwrap();
        let email = Email::connect(("127.0.0.1", port), Security::Clear, login, from).unwrap();
        let list = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
        let to = BTreeMap::from([
            ("one".to_owned(), list(&["a@example.com"])),
            ("list".to_owned(), list(&["a@example.com", "b@example.com", "c@example.com"])),
        ]);
        Mail { email: email.with_time_out(self.time_out), to }
    }

    /// One round: until nothing is due.
    pub async fn round(&self, on: impl Goes) {
        self.postman(on).round().await.unwrap();
    }

    /// The same while nobody is there.
    pub async fn round_into_nothing(&self, on: impl Goes) {
        self.postman_to(on.lane(), false).round().await.unwrap();
    }

    /// What goes next.
    pub async fn head(&self, on: impl Goes) -> Option<Queued> {
        self.store.outbox_heads(on.lane(), 1).await.unwrap().into_iter().next()
    }

    /// Lets the time pass that the next message waits for.
    pub async fn make_due(&self, on: impl Goes) {
        if let Some(head) = self.head(on).await {
            self.store.outbox_retry(head.seq, now(), "due").await.unwrap();
        }
    }

    /// Returns once `holds` does.
    pub async fn until(&self, holds: impl AsyncFn() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    /// What waits, and what can't be delivered.
    pub async fn backlog(&self, on: impl Goes) -> (u32, u32) {
        let lane = on.lane();
        let letterboxes = self.store.letterboxes().await.unwrap();
        let ours = letterboxes.iter().find(|one| one.way == lane.way()).unwrap();
        let routes = ours.routes.iter();
        let routes = routes.filter(|one| (one.route == FILES) == (lane == Lane::Files));
        let count = |status| {
            routes.clone().filter(|one| one.status == status).map(|one| one.count).sum::<u32>()
        };
        (count(Status::Pending), count(Status::Undeliverable))
    }

    pub fn clear_faults(&self) {
        self.slack.clear_faults();
        self.pager.clear_faults();
        self.hook.clear_faults();
        self.mail.clear_faults();
        self.github.clear_faults();
    }

    /// What has arrived, in order, by the texts that were put in.
    pub fn taken(&self, on: impl Goes) -> Vec<String> {
        let way = match on.lane() {
            Lane::Words(way) => way,
            Lane::Files => return self.shared(),
        };
        let texts: Vec<String> = match way {
            Way::Slack => self.slack.messages().iter().map(|one| one.text.clone()).collect(),
            Way::PagerDuty => {
                let alerts = self.pager.alerts();
                assert!(alerts.len() <= 1, "one alert an incident: {alerts:?}");
                alerts.into_iter().flat_map(|alert| alert.log).collect()
            }
            Way::Webhook => {
                let deliveries = self.hook.deliveries();
                let ids: BTreeSet<&str> = deliveries.iter().map(|one| one.id.as_str()).collect();
                let again = deliveries.iter().filter(|one| one.repeated).count();
                assert_eq!(ids.len() + again, deliveries.len(), "a repeated one has the same id");
                let headline = |body: &Value| body["incident"]["headline"].to_string();
                deliveries.iter().map(|one| headline(&one.body)).collect()
            }
            Way::Email => {
                let letters = self.mail.letters();
                let of = |name: &str| -> BTreeSet<String> {
                    letters.iter().map(|one| one.header(name).to_owned()).collect()
                };
                assert_eq!(of("Message-ID").len(), of("Subject").len(), "repeated: the same id");
                letters.iter().map(|one| one.header("Subject").to_owned()).collect()
            }
            Way::GitHub => self.written(),
        };
        let known = ["first", "second", "card"];
        let name = |text: &String| known.into_iter().find(|name| text.contains(name));
        texts.iter().map(|text| name(text).unwrap_or(text).to_owned()).collect()
    }

    /// The messages with files: the report is the first, the picture the second.
    fn shared(&self) -> Vec<String> {
        let messages = self.slack.messages();
        let files = messages.iter().flat_map(|message| &message.files);
        files
            .map(|file| if file.name.starts_with("incident") { "first" } else { "second" }.into())
            .collect()
    }
}
