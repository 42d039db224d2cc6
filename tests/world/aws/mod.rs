//! An Amazon ECS of our own: the real protocol at the edge, a pure model behind it.

mod balancers;
pub mod cloudwatch;
mod events;
mod failure;
mod http;
mod logs;
pub mod model;
pub mod sns;
mod sqs;
mod sts;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::faults::Faults;
use super::server::Server;
use super::timeline::{Side, Timeline};
use super::{lock, now};
use cloudwatch::CloudWatch;
use events::Bus;
use model::{EcsError, Effect, Model, Mutation, Origin, RunningTask, Settings, TaskSpec};
use sqs::Queues;
use sts::Sts;

/// What a [`TaskRunner`] promises to answer.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Turns the model's tasks into something that listens.
pub trait TaskRunner: Send + Sync + 'static {
    /// Starts a task's process and says where it listens.
    fn start<'a>(&'a self, task: &'a TaskSpec) -> Soon<'a, io::Result<SocketAddr>>;
    /// Ends a task's process.
    fn stop<'a>(&'a self, task: &'a str) -> Soon<'a, ()>;
}

/// Tasks that run nothing, for tests of ECS alone.
pub struct NoProcesses;

impl TaskRunner for NoProcesses {
    fn start<'a>(&'a self, _task: &'a TaskSpec) -> Soon<'a, io::Result<SocketAddr>> {
        Box::pin(async { Ok(SocketAddr::from(([127, 0, 0, 1], 9))) })
    }

    fn stop<'a>(&'a self, _task: &'a str) -> Soon<'a, ()> {
        Box::pin(async {})
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// `ThrottlingException`; nothing is applied.
    Throttle,
    /// `ServerException` with HTTP 500; nothing is applied.
    Error5xx,
    /// `AccessDeniedException`: no permission for the call.
    Denied,
    /// `ExpiredTokenException`: the credentials have run out.
    Expired,
    /// `InvalidSignatureException`: the service's clock is an hour ahead of ours.
    Skewed,
    /// No answer for this long, then the connection is cut; nothing is applied.
    Hang(Duration),
    /// A proxy's HTML page with this HTTP status; nothing is applied.
    Html(u16),
    /// The call takes effect, but its answer never arrives.
    DropConnectionAfterApplying,
}

/// One call that came in.
#[derive(Debug, Clone)]
pub struct Call {
    /// botocore's name of the service, such as `ecs`.
    pub service: &'static str,
    /// The operation, such as `UpdateService`.
    pub operation: String,
    /// The request's body.
    pub body: Value,
    /// The answer's body; null when none was sent as JSON.
    pub answer: Value,
    /// The answer's HTTP status; 0 when no answer was sent.
    pub status: u16,
    /// When it came in.
    pub at: Timestamp,
}

/// A running stand-in; it ends when dropped.
pub struct Ecs {
    shared: Arc<Shared>,
    server: Server,
    driver: JoinHandle<()>,
}

struct Shared {
    model: Mutex<Model>,
    cloudwatch: CloudWatch,
    logs: Mutex<logs::Logs>,
    groups: Mutex<balancers::Groups>,
    settings: Settings,
    sts: Mutex<Sts>,
    queues: Mutex<Queues>,
    bus: Mutex<Bus>,
    /// Rung when something was put into a queue.
    mail: watch::Sender<u64>,
    calls: Mutex<Vec<Call>>,
    faults: Faults<Fault>,
    /// How far the service's clock is ahead of ours.
    ahead: Mutex<SignedDuration>,
    timeline: Timeline,
    wake: Notify,
    in_service: watch::Sender<Vec<RunningTask>>,
    /// Counts the changes of the model, for whoever awaits a state.
    changes: watch::Sender<u64>,
}

impl Ecs {
    /// Starts it on a free port.
    pub async fn start(
        settings: Settings,
        runner: Arc<dyn TaskRunner>,
        timeline: Timeline,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            cloudwatch: CloudWatch::default(),
            logs: Mutex::default(),
            groups: Mutex::default(),
            model: Mutex::new(Model::new(settings.clone())),
            queues: Mutex::new(Queues::new(settings.clone())),
            settings,
            sts: Mutex::default(),
            bus: Mutex::new(Bus::new()),
            mail: watch::Sender::new(0),
            calls: Mutex::default(),
            faults: Faults::default(),
            ahead: Mutex::default(),
            timeline,
            wake: Notify::new(),
            in_service: watch::Sender::new(Vec::new()),
            changes: watch::Sender::new(0),
        });
        let server = Server::start(http::router(Arc::clone(&shared))).await?;
        let driver = tokio::spawn(drive(Arc::clone(&shared), runner));
        Ok(Self { shared, server, driver })
    }

    /// Its endpoint, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Calls an operation past HTTP: not recorded, and no fault meets it.
    pub fn call(&self, operation: &str, body: &Value) -> Result<Value, EcsError> {
        self.shared.apply(Origin::Hand, "ecs", operation, body)
    }

    /// From now on the account answers only who has taken this role on, with this external
    /// id. CloudWatch answers everybody.
    pub fn trust(&self, role: &str, external_id: &str) {
        lock(&self.shared.sts).trust(role, external_id);
    }

    /// The account's CloudWatch.
    pub fn cloudwatch(&self) -> &CloudWatch {
        &self.shared.cloudwatch
    }

    /// Logs `message` in a group at a time, in milliseconds since the epoch; the group is there
    /// from then on.
    pub fn log_at(&self, group: &str, at_ms: i64, message: &str) {
        let mut logs = lock(&self.shared.logs);
        logs.events.entry(group.to_owned()).or_default().push((at_ms, message.to_owned()));
    }

    /// What every task logs from now on that writes into this log group.
    pub fn set_log(&self, group: &str, lines: &[&str]) {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        lock(&self.shared.logs).lines.insert(group.to_owned(), lines);
    }

    /// The targets behind a target group from now on, by its ARN: identifiers and states.
    pub fn set_targets(&self, group: &str, targets: &[(&str, &str)]) {
        let targets = targets.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned()));
        lock(&self.shared.groups).entry(group.to_owned()).or_default().targets = targets.collect();
    }

    /// Makes a target group that this load balancer sends to, by their ARNs.
    pub fn set_balancer(&self, group: &str, balancer: Option<&str>) {
        let balancer = balancer.map(str::to_owned);
        lock(&self.shared.groups).entry(group.to_owned()).or_default().balancer = balancer;
    }

    /// Calls an operation of SQS past HTTP.
    pub fn call_sqs(&self, operation: &str, body: &Value) -> Result<Value, EcsError> {
        self.shared.apply(Origin::Hand, "sqs", operation, body)
    }

    /// Makes a queue, and one for its dead letters after `most` deliveries, and answers its
    /// address. From now on EventBridge's events of ECS go there.
    pub fn events_to(&self, name: &str, most: u32) -> String {
        let dead = format!("{name}-dead");
        let create = |name: &str, attributes: Value| {
            let body = json!({ "QueueName": name, "Attributes": attributes });
            let made = self.call_sqs("CreateQueue", &body).expect("a queue");
            made["QueueUrl"].as_str().unwrap_or_default().to_owned()
        };
        create(&dead, json!({}));
        let target = format!("arn:aws:sqs:us-east-1:123456789012:{dead}");
        let redrive = json!({ "deadLetterTargetArn": target, "maxReceiveCount": most });
        let url = create(name, json!({ "RedrivePolicy": redrive.to_string() }));
        lock(&self.shared.bus).queue = Some(url.clone());
        url
    }

    /// How often each event is sent from now on: 0 loses it, 2 repeats it.
    pub fn send_events(&self, times: usize) {
        lock(&self.shared.bus).times = times;
    }

    /// Every event so far, sent or lost.
    pub fn events(&self) -> Vec<Value> {
        lock(&self.shared.bus).events.clone()
    }

    /// The messages in a queue, in sight and out of it.
    pub fn queued(&self, name: &str) -> Vec<String> {
        lock(&self.shared.queues).bodies(name)
    }

    /// As if every visibility time-out had passed.
    pub fn time_out_messages(&self) {
        lock(&self.shared.queues).time_out(now());
        self.shared.mail.send_modify(|count| *count += 1);
    }

    /// Every call that came in over HTTP, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// Every change of a service's task definition that took effect, oldest first, with the one
    /// that created the service.
    pub fn mutations(&self, service: &str) -> Vec<Mutation> {
        let model = lock(&self.shared.model);
        model.mutations().iter().filter(|change| change.service == service).cloned().collect()
    }

    /// The next `times` calls of `operation` meet `fault`.
    pub fn fault(&self, operation: &str, fault: &Fault, times: usize) {
        self.shared.faults.plan(operation, fault, times);
    }

    /// Every call meets `fault` from now on, whatever else is planned; `None`: no more.
    pub fn storm(&self, fault: Option<Fault>) {
        self.shared.faults.storm(fault);
    }

    /// The service's clock is so far ahead of ours from now on: who signs at another time is
    /// turned away.
    pub fn run_ahead(&self, by: SignedDuration) {
        *lock(&self.shared.ahead) = by;
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Pushes an image: from now on its tag means this digest.
    pub fn push_image(&self, image: &str, digest: &str) {
        lock(&self.shared.model).push_image(image, digest);
    }

    /// What the image of this digest sets in its tasks' environment.
    pub fn bake(&self, digest: &str, environment: &[(&str, &str)]) {
        let pairs = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        lock(&self.shared.model).bake(digest, pairs.collect());
    }

    /// A CloudWatch alarm goes off, or is over.
    pub fn set_alarm(&self, name: &str, on: bool) {
        lock(&self.shared.model).set_alarm(name, on, now());
        self.shared.wake.notify_one();
    }

    /// Takes an image away from ECR: `reference` is a tag or a digest.
    pub fn delete_image(&self, repository: &str, reference: &str) {
        lock(&self.shared.model).delete_image(repository, reference);
    }

    /// The task definition of the service's PRIMARY deployment, as an ARN.
    pub fn task_definition(&self, service: &str) -> Option<String> {
        let model = lock(&self.shared.model);
        Some(model.find_service(service)?.task_definition()?.to_owned())
    }

    /// The identifier (`ecs-svc/...`) of the service's PRIMARY deployment.
    pub fn primary_id(&self, service: &str) -> Option<String> {
        let model = lock(&self.shared.model);
        Some(model.find_service(service)?.primary_id()?.to_owned())
    }

    /// The tasks that are in service, kept up to date: what a load balancer knows.
    pub fn in_service(&self) -> watch::Receiver<Vec<RunningTask>> {
        self.shared.in_service.subscribe()
    }

    /// From now on a roll-out of this task definition, an ARN, does not come to its end before
    /// somebody waits for it, however long a test takes.
    pub fn hold(&self, definition: &str) {
        lock(&self.shared.model).hold(definition);
    }

    /// Waits until a service has come to rest, and lets go what was held. Panics after a minute:
    /// a roll-out that takes longer is stuck.
    pub async fn wait_stable(&self, service: &str) {
        lock(&self.shared.model).let_go(now());
        self.shared.wake.notify_one();
        self.wait_until(service, "is stable", |model| {
            model.find_service(service).is_some_and(model::Service::is_stable)
        })
        .await;
    }

    /// Waits until `tasks` of the service run `definition`, an ARN. Panics after a minute.
    pub async fn wait_running(&self, service: &str, definition: &str, tasks: usize) {
        self.wait_until(service, "runs enough tasks", |model| {
            let running = model.running_tasks();
            let ours = running.iter().filter(|t| t.service == service);
            ours.filter(|t| t.task_definition == definition).count() >= tasks
        })
        .await;
    }

    async fn wait_until(&self, service: &str, what: &str, holds: impl Fn(&Model) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        let reached = changes.wait_for(|_| holds(&lock(&self.shared.model)));
        let reached = tokio::time::timeout(Duration::from_mins(1), reached).await;
        assert!(reached.is_ok(), "after a minute it is still not true that {service} {what}");
    }
}

impl Drop for Ecs {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shared {
    fn apply(
        &self,
        origin: Origin,
        service: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, EcsError> {
        let answer = match service {
            "ecs" => lock(&self.model).call(origin, operation, body, now()),
            "sqs" => self.call_sqs(operation, body),
            "logs" => {
                let model = lock(&self.model);
                lock(&self.logs).call(operation, body, |task| model.knows_task(task))
            }
            other => lock(&self.model).call_other(origin, (other, operation), body, now()),
        };
        self.wake.notify_one();
        answer
    }
}

/// Keeps the model moving, and the runner and everybody who waits informed.
async fn drive(shared: Arc<Shared>, runner: Arc<dyn TaskRunner>) {
    loop {
        let effects = lock(&shared.model).advance(now());
        shared.publish();
        for effect in effects {
            match effect {
                Effect::Start(spec) => {
                    let address = runner.start(&spec).await.ok();
                    lock(&shared.model).task_started(&spec.task, address);
                }
                Effect::Stop { task } => runner.stop(&task).await,
                Effect::Note(text) => shared.timeline.tell(Side::Ecs, text),
            }
        }
        let due = lock(&shared.model).next_due();
        let pause = due.map(|due| Duration::try_from(due.duration_since(now())));
        match pause {
            // Overdue already: a negative duration does not convert.
            Some(pause) => {
                let pause = pause.unwrap_or(Duration::ZERO);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shared.wake.notified() => {}
                }
            }
            None => shared.wake.notified().await,
        }
    }
}

impl Shared {
    fn call_sqs(&self, operation: &str, body: &Value) -> Result<Value, EcsError> {
        let answer = lock(&self.queues).call(operation, body, now());
        if operation != "ReceiveMessage" {
            self.mail.send_modify(|count| *count += 1);
        }
        answer
    }

    /// A client's call; a receive that finds nothing waits as long as it says.
    async fn answer(
        &self,
        service: &str,
        operation: &str,
        body: &Value,
    ) -> Result<Value, EcsError> {
        let until = tokio::time::Instant::now() + Queues::wait(body);
        let mut mail = self.mail.subscribe();
        loop {
            mail.mark_unchanged();
            let answer = self.apply(Origin::Client, service, operation, body);
            let waits = operation == "ReceiveMessage" && answer == Ok(json!({}));
            if !waits || tokio::time::Instant::now() >= until {
                return answer;
            }
            let visible = lock(&self.queues).next_visible(now());
            let visible = visible.map(|at| Duration::try_from(at.duration_since(now())));
            let pause = visible.map_or(Duration::from_secs(20), Result::unwrap_or_default);
            tokio::select! {
                _ = mail.changed() => {}
                () = tokio::time::sleep(pause) => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Tells EventBridge what has happened, and its rule sends it on.
    fn emit(&self) {
        let mut bus = lock(&self.bus);
        let news = bus.news(&mut lock(&self.model), &self.settings, now());
        let (Some(queue), times) = (bus.queue.clone(), bus.times) else { return };
        for event in news {
            for _ in 0..times {
                let sent = json!({ "QueueUrl": queue, "MessageBody": event.to_string() });
                let _ = self.call_sqs("SendMessage", &sent);
            }
        }
    }

    fn publish(&self) {
        self.emit();
        let running = lock(&self.model).running_tasks();
        self.in_service.send_if_modified(|known| {
            let changed = *known != running;
            *known = running;
            changed
        });
        self.changes.send_modify(|count| *count += 1);
    }
}
