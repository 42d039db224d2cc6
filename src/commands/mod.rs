//! Commands that the settings name: a smoke test, or another way to bring a version back.
//!
//! A policy is written by whoever may change a file in git, so it can only *name* a command;
//! what is run, where and with which environment stands in the settings. Of a deployment a
//! command learns what its arguments ask for ([`Template`]): a value fills one argument, never
//! adds one, never becomes a flag, and no shell reads it.
//!
//! A command runs with a cleared environment (`PATH`, `HOME`, `LANG` and what the settings
//! name), with nothing to read, and in a process group of its own that is ended as a whole:
//! at its time-out and when the daemon stops; a probe's also when whoever asked no longer waits,
//! while a rollback that was begun is not left half done. What it leaves running in its group
//! when it ends is killed too. Its output is read to the end, and
//! its first and last kilobytes are kept, without the secrets that it was given.
//!
//! There is no retry: whoever runs a command decides whether it may be run again.

mod argument;
mod output;
mod run;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use argument::{Template, Values};
pub use output::Output;
pub use run::{Ended, Ran};

/// Commands of one purpose under way at once. Rollbacks have turns of their own: they never
/// wait for a slow test.
const AT_ONCE: usize = 4;
/// How long one waits for its turn.
const MOST_WAIT: Duration = Duration::from_mins(1);

/// Rollbacks whose ends this process knows.
const REMEMBERED: usize = 64;

/// What a command is run for: says which variables it may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Probe,
    RollBack,
}

impl Purpose {
    /// Whether a value for `name` is offered to commands that are run for this.
    fn offers(self, name: &str) -> bool {
        match self {
            Self::Probe => argument::is_of_every_purpose(name),
            Self::RollBack => argument::is_known(name),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "a probe",
            Self::RollBack => "a rollback",
        })
    }
}

/// One command, as the settings have it.
#[derive(Debug, Clone)]
pub struct Command {
    /// Absolute: it was looked for when the settings were read.
    pub program: PathBuf,
    /// What the program is told that it was called as.
    pub called: String,
    pub arguments: Vec<Template>,
    /// `None`: where the daemon runs.
    pub folder: Option<PathBuf>,
    pub time_out: Duration,
    pub env: BTreeMap<String, Variable>,
}

/// A variable of a command's environment.
#[derive(Clone)]
pub enum Variable {
    Plain(Template),
    /// Masked in the output, and never shown.
    Secret(String),
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(template) => template.fmt(f),
            Self::Secret(_) => f.write_str("Secret"),
        }
    }
}

impl Command {
    /// The variables that its arguments and environment ask for.
    fn asks_for(&self) -> impl Iterator<Item = &str> {
        let plain = self.env.values().filter_map(|variable| match variable {
            Variable::Plain(template) => Some(template),
            Variable::Secret(_) => None,
        });
        self.arguments.iter().chain(plain).flat_map(Template::names)
    }

    fn filled(&self, values: &Values) -> Result<run::Filled, String> {
        let arguments = self.arguments.iter().map(|one| one.fill(values)).collect::<Result<_, _>>();
        let (mut env, mut secrets) = (BTreeMap::new(), Vec::new());
        for (name, variable) in &self.env {
            let value = match variable {
                Variable::Plain(template) => template.fill_freely(values)?,
                Variable::Secret(secret) => {
                    secrets.push(secret.clone());
                    secret.clone()
                }
            };
            env.insert(name.clone(), value);
        }
        Ok(run::Filled {
            program: self.program.clone(),
            called: self.called.clone(),
            arguments: arguments?,
            folder: self.folder.clone(),
            time_out: self.time_out,
            env,
            secrets,
        })
    }
}

/// The commands of the settings, by name. Cheap to clone; clones share their bounds.
#[derive(Debug, Clone)]
pub struct Commands {
    all: Arc<BTreeMap<String, Command>>,
    probes: Turns,
    rollbacks: Turns,
    running: TaskTracker,
    begun: Arc<Mutex<VecDeque<Begun>>>,
}

/// A rollback that this process has begun.
#[derive(Debug)]
struct Begun {
    name: String,
    values: Values,
    /// `None` while it runs.
    ran: watch::Receiver<Option<Ran>>,
}

/// Who may run at once for one purpose, and until when.
#[derive(Debug, Clone)]
struct Turns {
    free: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Turns {
    fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(AT_ONCE)), stop: CancellationToken::new() }
    }
}

impl Default for Commands {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Commands {
    pub fn new(all: BTreeMap<String, Command>) -> Self {
        Self {
            all: Arc::new(all),
            probes: Turns::new(),
            rollbacks: Turns::new(),
            running: TaskTracker::new(),
            begun: Arc::default(),
        }
    }

    /// Whether there is a command `name`, and it asks for nothing that `purpose` can't say.
    ///
    /// # Errors
    /// Why it can't be run, and what to do about it.
    pub fn check(&self, name: &str, purpose: Purpose) -> Result<(), String> {
        self.find(name, purpose).map(drop)
    }

    /// The most that `name` may take; `None`: there is no such command.
    pub fn time_out(&self, name: &str) -> Option<Duration> {
        self.all.get(name).map(|command| command.time_out)
    }

    fn find(&self, name: &str, purpose: Purpose) -> Result<&Command, String> {
        let command = self.all.get(name).ok_or_else(|| {
            format!("the settings have no command `{name}`: name it under `commands`")
        })?;
        match command.asks_for().find(|variable| !purpose.offers(variable)) {
            Some(variable) => Err(format!(
                "the command `{name}` asks for `${{{variable}}}`, which {purpose} can't say"
            )),
            None => Ok(command),
        }
    }

    /// Runs the command `name` once, to its end or its time-out. A caller that no longer waits
    /// (whose future is dropped) ends a probe; a rollback that was begun goes on, and its end is
    /// logged. A command that waits for its turn for more than a minute is not run.
    pub async fn run(&self, name: &str, purpose: Purpose, values: &Values) -> Ran {
        let filled = match self.find(name, purpose).and_then(|command| command.filled(values)) {
            Ok(filled) => filled,
            Err(why) => return Ran::not_run(why),
        };
        let turns = match purpose {
            Purpose::Probe => &self.probes,
            Purpose::RollBack => &self.rollbacks,
        };
        let stop = turns.stop.child_token();
        let _no_longer_waited_for = match purpose {
            Purpose::Probe => Some(stop.clone().drop_guard()),
            Purpose::RollBack => None,
        };
        let turn = tokio::select! {
            turn = turns.free.clone().acquire_owned() => turn,
            () = stop.cancelled() => return Ran::stopped(),
            () = tokio::time::sleep(MOST_WAIT) => {
                return Ran::not_run(format!("{AT_ONCE} other commands were running for a minute"));
            }
        };
        let called = name.to_owned();
        let (tell, ran) = watch::channel(None);
        if purpose == Purpose::RollBack {
            let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            begun.push_back(Begun { name: name.to_owned(), values: values.clone(), ran });
            let oldest = begun.len().saturating_sub(REMEMBERED);
            begun.drain(..oldest);
        }
        let task = self.running.spawn(async move {
            let _turn = turn;
            let ran = run::run(filled, stop).await;
            if purpose == Purpose::RollBack {
                tracing::info!(command = called, took = ?ran.took, "the command {}", ran.ended);
            }
            tell.send_replace(Some(ran.clone()));
            ran
        });
        task.await.unwrap_or_else(|why| Ran::not_run(format!("it broke off: {why}")))
    }

    /// What came of the rollback by `name` with these values that was begun last, once it has
    /// ended; `None`: this process has begun none, or too many since.
    pub async fn ended(&self, name: &str, values: &Values) -> Option<Ran> {
        let mut ran = {
            let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |one: &&Begun| one.name == name && one.values == *values;
            begun.iter().rev().find(is_it)?.ran.clone()
        };
        ran.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Ends the probes that are running, and takes no more. Rollbacks go on.
    pub fn close_probes(&self) {
        self.probes.stop.cancel();
    }

    /// Ends whatever is running, and takes no more: SIGTERM, and after some seconds SIGKILL.
    pub async fn close(&self) {
        self.close_probes();
        self.rollbacks.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}
