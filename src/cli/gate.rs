//! `deployguard gate`: may this be deployed now?

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::annotations::{Job, Level, cell};
use super::client::{NotAsked, Server};
use crate::model::{GateReason, GateVerdict};
use crate::web::GateView;

#[derive(Debug, Clone, Args)]
pub struct Gate {
    /// The service
    #[arg(long)]
    service: String,
    #[arg(long)]
    environment: String,
    /// The task definition (`api:42`) or an image's digest
    #[arg(long)]
    revision: Option<String>,
    #[arg(long)]
    version: Option<String>,
    #[arg(long)]
    commit: Option<String>,
    /// The account and region of the settings, where there are several
    #[arg(long)]
    target: Option<String>,
    /// The cluster, where the service is in several
    #[arg(long)]
    cluster: Option<String>,
    /// What it means that no deployguard answers; without it: exit code 3
    #[arg(long, value_name = "allow|deny")]
    on_error: Option<OnError>,
    /// Go through all the same; a token of the role operate, and a reason
    #[arg(long = "override", requires = "reason")]
    through: bool,
    /// Why: it is kept, and told in the deployment's thread
    #[arg(long, requires = "through")]
    reason: Option<String>,
    /// Who goes through, where the token is many people's
    #[arg(long, requires = "through")]
    by: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    Allow,
    Deny,
}

pub fn run(gate: &Gate, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let job = Job::here();
    let view: GateView = match gate.server.ask_of(&["api", "v1", "gate"], &gate.question()) {
        Ok(view) => view,
        Err(error) => return unasked(gate, &error, &job, out),
    };
    let is_shut = view.answer.verdict == GateVerdict::No;
    let view = if gate.through && is_shut {
        match gate.server.post(&["api", "v1", "gate"], &gate.override_body()) {
            Ok(view) => view,
            Err(error) if error.is::<NotAsked>() => return unasked(gate, &error, &job, out),
            Err(error) => {
                told(gate, &view, &job, out)?;
                let words = format!("not overridden: {error}");
                writeln!(out, "{words}")?;
                job.annotate(Level::Error, "deployguard gate", &words, out)?;
                return Ok(ExitCode::FAILURE);
            }
        }
    } else {
        view
    };
    told(gate, &view, &job, out)?;
    if gate.through && !is_shut {
        writeln!(out, "there was nothing to override")?;
    }
    let is_shut = view.answer.verdict == GateVerdict::No;
    Ok(if is_shut { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Nobody knows what it would have said. `--on-error` is about a daemon that does not
/// answer: one that refuses the question has to be asked otherwise.
fn unasked(
    gate: &Gate,
    error: &anyhow::Error,
    job: &Job,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let on_error = gate.on_error.filter(|_| error.is::<NotAsked>());
    let (level, what, code) = match on_error {
        Some(OnError::Allow) => (Level::Warning, "go on (--on-error allow)", ExitCode::SUCCESS),
        Some(OnError::Deny) => (Level::Error, "stop (--on-error deny)", ExitCode::FAILURE),
        None => (Level::Error, "nothing is known", ExitCode::from(3)),
    };
    let words = format!("the gate could not be asked: {error:#}; {what}");
    writeln!(out, "{words}")?;
    job.annotate(level, "deployguard gate", &words, out)?;
    job.summarize(&format!("**deployguard gate**: {}\n\n", cell(&words)));
    Ok(code)
}

fn told(gate: &Gate, view: &GateView, job: &Job, out: &mut impl Write) -> anyhow::Result<()> {
    let answer = &view.answer;
    let what = format!("{} of {} in {}", view.named, view.service, view.environment);
    let verdict = match answer.verdict {
        GateVerdict::Yes => "yes",
        GateVerdict::Warn => "yes, with warnings",
        GateVerdict::No => "no",
    };
    writeln!(out, "{verdict}: {what}")?;
    for reason in &answer.reasons {
        writeln!(out, "  {:<4}  {}", reason.verdict.as_str(), reason.words)?;
        let level = match reason.verdict {
            GateVerdict::Yes => continue,
            GateVerdict::Warn => Level::Warning,
            GateVerdict::No => Level::Error,
        };
        job.annotate(level, &format!("deployguard gate: {what}"), &reason.words, out)?;
    }
    let ends = answer.against().map(|reason| reason.until).collect::<Option<Vec<_>>>();
    let end = ends.and_then(|ends| ends.into_iter().max()).filter(|_| !gate.through);
    if let Some(end) = end {
        writeln!(out, "what says no now says so until {}", end.strftime("%a %Y-%m-%d %H:%M UTC"))?;
    }
    let may = answer.against().all(|reason: &GateReason| reason.rule.may_be_overridden());
    if answer.verdict == GateVerdict::No && may && !gate.through {
        writeln!(
            out,
            "for a hotfix, a person of the role operate may add: --override --reason '...'"
        )?;
    }
    job.summarize(&summary(&what, verdict, view));
    Ok(())
}

fn summary(what: &str, verdict: &str, view: &GateView) -> String {
    let mut text = format!("### deployguard gate: {verdict}\n\n{}\n\n", cell(what));
    if !view.answer.reasons.is_empty() {
        text.push_str("| | |\n| --- | --- |\n");
    }
    for reason in &view.answer.reasons {
        let _ = writeln!(text, "| {} | {} |", reason.verdict.as_str(), cell(&reason.words));
    }
    text.push('\n');
    text
}

impl Gate {
    fn question(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("revision", &self.revision),
            ("version", &self.version),
            ("commit", &self.commit),
            ("target", &self.target),
            ("cluster", &self.cluster),
        ];
        let given = optional.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        let place = [("service", &*self.service), ("environment", &*self.environment)];
        place.into_iter().chain(given.filter(|(_, text)| !text.is_empty())).collect()
    }

    fn override_body(&self) -> serde_json::Value {
        let mut body = json!({ "reason": self.reason });
        let by = self.by.as_deref().map(|by| ("by", by));
        for (name, text) in self.question().into_iter().chain(by) {
            body[name] = json!(text);
        }
        body
    }
}
