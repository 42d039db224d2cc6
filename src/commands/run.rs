//! One process with its group, from its start to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::output::{Kept, Output};

/// Between SIGTERM and SIGKILL.
const MERCY: Duration = Duration::from_secs(5);
/// How often it is looked whether a group has ended by then.
const LOOK: Duration = Duration::from_millis(50);
/// How long output is waited for when the program has ended: somebody outside of its group
/// may hold it open for ever.
const LINGER: Duration = Duration::from_secs(2);
/// What of the daemon's environment a command has.
const INHERITED: [&str; 3] = ["PATH", "HOME", "LANG"];

/// A command with everything in its place.
pub(super) struct Filled {
    pub program: PathBuf,
    pub called: String,
    pub arguments: Vec<String>,
    pub folder: Option<PathBuf>,
    pub time_out: Duration,
    pub env: BTreeMap<String, String>,
    pub secrets: Vec<String>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    pub ended: Ended,
    /// From its start to its end, without what it waited for its turn.
    pub took: Duration,
    pub output: Output,
}

/// How a command ended. Its words fit after "smoke ": "ended with exit code 1".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself; 0 is good.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// It was not done in its time, and was ended.
    TimedOut(Duration),
    /// The daemon stopped, or nobody waited any longer.
    Stopped,
    /// It was not run, in words: it says nothing about any service.
    NotRun(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was ended by {signal}"),
                Err(_) => write!(f, "was ended by signal {number}"),
            },
            Self::TimedOut(after) => write!(f, "was not done within {} s", after.as_secs_f64()),
            Self::Stopped => f.write_str("was stopped before its end"),
            Self::NotRun(why) => write!(f, "could not be run: {why}"),
        }
    }
}

impl Ran {
    pub(super) fn not_run(why: String) -> Self {
        Self { ended: Ended::NotRun(why), took: Duration::ZERO, output: Output::default() }
    }

    pub(super) fn stopped() -> Self {
        Self { ended: Ended::Stopped, took: Duration::ZERO, output: Output::default() }
    }
}

/// A process group. Killed when it is let go.
struct Group(Pid);

impl Group {
    /// Whether there was anybody to be sent it; `None`: only asks that.
    fn send(&self, signal: Option<Signal>) -> bool {
        killpg(self.0, signal) != Err(Errno::ESRCH)
    }

    /// Asks everybody in it to end, and waits for that, but not for ever.
    async fn ask_to_end(&self, leader: &mut Child) {
        let asked = async {
            self.send(Some(Signal::SIGTERM));
            let _ = leader.wait().await;
            while self.send(None) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(MERCY, asked).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Some(Signal::SIGKILL));
    }
}

pub(super) async fn run(filled: Filled, stop: CancellationToken) -> Ran {
    let begun = tokio::time::Instant::now();
    let (mut leader, group, output) = match start(&filled) {
        Ok(started) => started,
        Err(why) => return Ran::not_run(format!("{}: {why}", filled.program.display())),
    };
    let kept = Arc::new(Mutex::new(Kept::without(&filled.secrets)));
    let reading = AbortOnDropHandle::new(tokio::spawn(read(output, kept.clone())));
    let ended = tokio::select! {
        status = leader.wait() => ended(status),
        () = tokio::time::sleep(filled.time_out) => {
            group.ask_to_end(&mut leader).await;
            Ended::TimedOut(filled.time_out)
        }
        () = stop.cancelled() => {
            group.ask_to_end(&mut leader).await;
            Ended::Stopped
        }
    };
    let took = begun.elapsed();
    drop(group);
    let _ = leader.wait().await;
    let _ = tokio::time::timeout(LINGER, reading).await;
    let output = kept.lock().unwrap_or_else(PoisonError::into_inner).output();
    Ran { ended, took, output }
}

fn start(filled: &Filled) -> io::Result<(Child, Group, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let mut command = std::process::Command::new(&filled.program);
    command
        .arg0(&filled.called)
        .args(&filled.arguments)
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(&filled.env)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    if let Some(folder) = &filled.folder {
        command.current_dir(folder);
    }
    let mut command = tokio::process::Command::from(command);
    // With the command our own ends for writing go: else the output would never end.
    let leader = command.kill_on_drop(true).spawn()?;
    drop(command);
    let id = leader.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(Pid::from_raw(id.ok_or_else(|| io::Error::other("it has no id"))?));
    Ok((leader, group, pipe::Receiver::from_owned_fd(reader.into())?))
}

fn ended(status: io::Result<ExitStatus>) -> Ended {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, Some(signal)) => Ended::Signal(signal),
            (None, None) => Ended::NotRun(format!("{status}")),
        },
        Err(why) => Ended::NotRun(format!("how it ended is not known: {why}")),
    }
}

/// To the end: a program whose output nobody reads would wait for ever.
async fn read(mut from: pipe::Receiver, into: Arc<Mutex<Kept>>) {
    let mut bytes = [0; 8 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        into.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes[..read]);
    }
}
