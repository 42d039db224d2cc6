//! The command line: one file a subcommand.

mod act;
pub mod backtest;
pub mod change;
pub mod check;
mod client;
mod cost;
mod digest;
mod doctor;
mod explain;
mod gate;
mod github;
pub mod import;
mod init;
mod known;
mod live;
pub mod matching;
mod report;
pub mod schema;
mod serve;
pub mod test;
mod visible;
mod wait;
mod watches;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::model::Recipient;

/// Stands behind every deployment for its first 24 hours.
#[derive(Debug, Parser)]
#[command(name = "deployguard", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve {
        /// The settings file
        #[arg(long, default_value = "deployguard.yaml", env = "DEPLOYGUARD_CONFIG")]
        config: PathBuf,
    },
    /// Try everything that the daemon will need, and say what to mend
    Doctor {
        /// The settings file
        #[arg(long, default_value = "deployguard.yaml", env = "DEPLOYGUARD_CONFIG")]
        config: PathBuf,
        /// Post a test message to each policy's Slack channel, and delete it
        #[arg(long)]
        slack_post: bool,
        /// Tell somebody of a test incident and its end, for real: it wakes whoever is on call
        #[arg(long, value_name = "pagerduty:NAME", value_parser = elsewhere)]
        call: Vec<Recipient>,
        /// A list of what was tried, for programs
        #[arg(long)]
        json: bool,
    },
    /// Draft a first policy in mode observe, from the services, metrics and alarms of a cluster
    Init(init::Init),
    /// Read policies and tell every mistake with its place
    Check {
        /// Policy files or folders
        #[arg(default_value = "policies")]
        paths: Vec<PathBuf>,
        /// Print each policy whole, with bundles and defaults merged in
        #[arg(long)]
        expand: bool,
        /// Say in words what changed since this git revision
        #[arg(long, value_name = "REV", conflicts_with = "expand")]
        diff: Option<String>,
        /// Say what each policy asks of CloudWatch, and the dollars per deployment
        #[arg(long, conflicts_with_all = ["expand", "diff", "live"])]
        cost: bool,
        #[command(flatten)]
        live: live::Live,
    },
    /// Run the tests of policies: given series, expected verdicts and actions
    Test {
        /// Test files (`*_test.yaml`), or folders of them
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Judge past deployments on recorded metrics: what a policy would have done, and when
    Backtest(Box<backtest::Backtest>),
    /// Print the JSON Schema of a policy file
    Schema,
    /// Tell which policy guards a service, and which file set each value
    Match {
        /// CLUSTER/SERVICE or TARGET/CLUSTER/SERVICE
        service: String,
        #[arg(long, default_value = "policies")]
        policies: PathBuf,
    },
    /// Draft a policy from the rules that a team has, and argue where they don't mean what they say
    Import(import::Import),
    /// Show what is guarded now, or one watch with its timeline
    Watches {
        #[arg(value_parser = named)]
        id: Option<String>,
        /// Show how the evidence of each check grew, and what it was compared with
        #[arg(long, requires = "id")]
        explain: bool,
        #[command(flatten)]
        server: client::Server,
    },
    /// Write the incident report of a watch, as Markdown
    Report {
        watch: String,
        /// Into this file
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        server: client::Server,
    },
    /// Say what each policy did, or would have done, in the last days
    Digest {
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// As the API gives it
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: client::Server,
    },
    /// Block until a deployment's verdict, or until a phase is over
    #[command(after_help = wait::CODES)]
    Wait(wait::Wait),
    /// Ask whether something may be deployed now. 0: yes; 1: no; 3: could not be asked
    Gate(Box<gate::Gate>),
    /// Put the target back now
    Rollback {
        #[arg(value_parser = named)]
        watch: String,
        /// Tell target, call and obstacles, and do nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        act: act::Act,
    },
    /// Acknowledge an incident: stops escalation only
    Ack {
        #[arg(value_parser = named)]
        watch: String,
        #[command(flatten)]
        act: act::Act,
    },
    /// A fix is on the way: stops the timer of a pending decision, once, and acknowledges
    Hold {
        #[arg(value_parser = named)]
        watch: String,
        /// How long from now, such as `10m`; at most the policy's `actions.hold`, and that
        /// without it
        #[arg(long = "for", value_name = "TIME", value_parser = act::span)]
        for_: Option<String>,
        #[command(flatten)]
        act: act::Act,
    },
    /// Watch a deployment no longer
    Cancel {
        #[arg(value_parser = named)]
        watch: String,
        #[command(flatten)]
        act: act::Act,
    },
    /// Stop all automatic action in a scope
    Pause {
        /// `all`, `environment:NAME`, or a pattern CLUSTER/SERVICE or TARGET/CLUSTER/SERVICE
        #[arg(long, default_value = "all")]
        scope: String,
        /// Show what is paused now, and who paused and unpaused what, and pause nothing
        #[arg(long, conflicts_with = "scope")]
        list: bool,
        #[command(flatten)]
        act: act::Act,
    },
    /// Allow automatic action in a scope again
    Unpause {
        #[arg(long, default_value = "all")]
        scope: String,
        #[command(flatten)]
        act: act::Act,
    },
}

/// The name of a watch: an empty one is a variable that nobody has set.
fn named(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(
            "it is empty: give a watch's or a deployment's id, as `watches` shows them".into()
        );
    }
    Ok(text.to_owned())
}

/// Who can be told of a test: whoever is in Slack is told in a thread, and there is none.
fn elsewhere(text: &str) -> Result<Recipient, String> {
    match text.parse() {
        Ok(Recipient::Slack(id)) => {
            Err(format!("{id} is told in a deployment's thread: try --slack-post"))
        }
        Ok(who @ (Recipient::PagerDuty(_) | Recipient::Webhook(_) | Recipient::Email(_))) => {
            Ok(who)
        }
        Ok(Recipient::GitHub(_)) | Err(_) => {
            Err("write pagerduty:NAME, webhook:NAME or email:NAME, as the settings name \
                       it; for Slack there is --slack-post"
                .to_owned())
        }
    }
}

/// Parses the arguments and runs the command. Mistakes go to stderr. 1: it was refused, or
/// there are mistakes; 2: no such command; 3: the daemon could not be asked.
pub fn main() -> ExitCode {
    // One TLS provider for every client; a second call would only find it set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deployguard: {error:#}");
            if error.is::<client::NotAsked>() { ExitCode::from(3) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let out = &mut io::stdout().lock();
    match command {
        Command::Serve { config } => serve::run(&config),
        Command::Doctor { config, slack_post, call, json } => {
            doctor::run(&config, slack_post, &call, json, out)
        }
        Command::Check { paths, live, .. } if live.is_wanted() => live::run(&paths, &live, out),
        Command::Check { paths, expand, live, .. } if live.config().is_some() => {
            let config = live.config().map(std::path::Path::to_path_buf).unwrap_or_default();
            known::run(&paths, &config, expand, out)
        }
        Command::Check { paths, cost: true, .. } => cost::run(&paths, out),
        Command::Check { paths, diff: Some(revision), .. } => change::run(&revision, &paths, out),
        Command::Check { paths, expand, diff: None, .. } => check::run(&paths, expand, out),
        Command::Test { paths } => test::run_tests(&paths, out),
        Command::Backtest(wanted) => backtest::run(&wanted, out, &mut io::stderr()),
        Command::Schema => schema::run(out),
        Command::Match { service, policies } => matching::run(&policies, &service, out),
        Command::Import(wanted) => import::run(&wanted, out, &mut io::stderr().lock()),
        Command::Init(wanted) => init::run(&wanted, out, &mut io::stderr().lock()),
        Command::Watches { id: None, server, .. } => watches::list(&server, out),
        Command::Watches { id: Some(id), explain, server } => {
            let code = watches::show(&server, &id, out)?;
            if explain { explain::run(&server, &id, out) } else { Ok(code) }
        }
        Command::Report { watch, output, server } => {
            report::run(&server, &watch, output.as_deref(), out)
        }
        Command::Digest { days, json, server } => digest::run(&server, days, json, out),
        Command::Wait(wanted) => Ok(wait::run(&wanted, out)),
        Command::Gate(wanted) => gate::run(&wanted, out),
        Command::Rollback { watch, dry_run: true, act } => act::foresee(&act, &watch, out),
        Command::Rollback { watch, dry_run: false, act } => {
            act::press(&act, &watch, "rollback", out)
        }
        Command::Ack { watch, act } => act::press(&act, &watch, "ack", out),
        Command::Hold { watch, for_, act } => act::hold(&act, &watch, for_.as_deref(), out),
        Command::Cancel { watch, act } => act::press(&act, &watch, "cancel", out),
        Command::Pause { list: true, act, .. } => act::pauses(&act, out),
        Command::Pause { scope, list: false, act } => act::pause(&act, &scope, out),
        Command::Unpause { scope, act } => act::unpause(&act, &scope, out),
    }
}

/// `deployguard watches | head` is no mistake.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
