//! `deployguard gate`: may this be deployed now?

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::client::{NotAsked, Server};
use super::github::{self, Level, Step};
use super::visible::visible;
use crate::model::{GateReason, GateVerdict};
use crate::watch::markdown::{plain, table};
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
    /// Who goes through; without it the token's name is kept
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

/// What is said: on a terminal, in a log, or in GitHub's with annotations and a summary.
struct Paper<'a> {
    out: &'a mut dyn Write,
    step: Option<Step>,
}

impl Paper<'_> {
    fn line(&mut self, text: &str) -> io::Result<()> {
        let text = visible(text);
        let text = if self.step.is_some() { github::line(&text) } else { text };
        writeln!(self.out, "{text}")
    }

    /// Nothing outside of GitHub.
    fn annotate(&mut self, level: Level, about: &str, text: &str) -> io::Result<()> {
        let Some(step) = &mut self.step else { return Ok(()) };
        let line = step.annotate(level, &visible(about), &visible(text), true);
        writeln!(self.out, "{line}")
    }

    /// That it can't be written keeps nothing from going on.
    fn summarize(&self, markdown: &str) {
        let written = self.step.as_ref().map_or(Ok(()), |step| step.summarize(markdown));
        if let Err(error) = written {
            eprintln!("deployguard: the step's summary can't be written: {error}");
        }
    }
}

pub fn run(gate: &Gate, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let paper = &mut Paper { out, step: Step::here(|name| std::env::var(name).ok()) };
    let view: GateView = match gate.server.ask_of(&["api", "v1", "gate"], &gate.question()) {
        Ok(view) => view,
        Err(error) => return unasked(gate, &error, paper),
    };
    let may_be_kept = view.answer.verdict == GateVerdict::No || view.answer.overridden.is_some();
    let view = if gate.through && may_be_kept {
        match gate.server.post(&["api", "v1", "gate"], &gate.override_body()) {
            Ok(view) => view,
            Err(error) if error.is::<NotAsked>() => return unasked(gate, &error, paper),
            Err(error) => {
                told(gate, &view, paper)?;
                let words = format!("not overridden: {error}");
                paper.line(&words)?;
                paper.annotate(Level::Error, "deployguard gate", &words)?;
                return Ok(code(&view));
            }
        }
    } else {
        view
    };
    told(gate, &view, paper)?;
    if gate.through {
        match &view.answer.overridden {
            Some(over) if over.via.is_none() => paper.line(&format!(
                "kept under the token's name, {}: --by NAME says which person it is",
                over.by
            ))?,
            Some(_) => {}
            None => paper.line("there was nothing to override")?,
        }
    }
    Ok(code(&view))
}

fn code(view: &GateView) -> ExitCode {
    let is_shut = view.answer.verdict == GateVerdict::No;
    if is_shut { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Nobody knows what it would have said. `--on-error` is about a daemon that does not
/// answer: one that refuses the question has to be asked otherwise.
fn unasked(gate: &Gate, error: &anyhow::Error, paper: &mut Paper<'_>) -> anyhow::Result<ExitCode> {
    let on_error = gate.on_error.filter(|_| error.is::<NotAsked>());
    let (level, what, code) = match on_error {
        Some(OnError::Allow) => (Level::Warning, "go on (--on-error allow)", ExitCode::SUCCESS),
        Some(OnError::Deny) => (Level::Error, "stop (--on-error deny)", ExitCode::FAILURE),
        None => (Level::Error, "nothing is known", ExitCode::from(3)),
    };
    let words = format!("the gate could not be asked: {error:#}; {what}");
    paper.line(&words)?;
    paper.annotate(level, "deployguard gate", &words)?;
    paper.summarize(&format!("**deployguard gate**: {}\n", plain(&words)));
    Ok(code)
}

fn told(gate: &Gate, view: &GateView, paper: &mut Paper<'_>) -> anyhow::Result<()> {
    let answer = &view.answer;
    let what = format!("{} of {} in {}", view.named, view.service, view.environment);
    let verdict = match answer.verdict {
        GateVerdict::Yes => "yes",
        GateVerdict::Warn => "yes, with warnings",
        GateVerdict::No => "no",
    };
    paper.line(&format!("{verdict}: {what}"))?;
    for reason in &answer.reasons {
        paper.line(&format!("  {:<4}  {}", reason.verdict.as_str(), reason.words))?;
        let level = match reason.verdict {
            GateVerdict::Yes => continue,
            GateVerdict::Warn => Level::Warning,
            GateVerdict::No => Level::Error,
        };
        paper.annotate(level, &format!("deployguard gate: {what}"), &reason.words)?;
    }
    let ends = answer.against().map(|reason| reason.until).collect::<Option<Vec<_>>>();
    let end = ends.and_then(|ends| ends.into_iter().max()).filter(|_| !gate.through);
    if let Some(end) = end {
        let end = end.strftime("%a %Y-%m-%d %H:%M UTC");
        paper.line(&format!("what says no now says so until {end}"))?;
    }
    let may = answer.against().all(|reason: &GateReason| reason.rule.may_be_overridden());
    if answer.verdict == GateVerdict::No && may && !gate.through {
        paper.line(
            "for a hotfix, a person of the role operate may add: --override --reason '...'",
        )?;
    }
    paper.summarize(&summary(&what, verdict, view));
    Ok(())
}

fn summary(what: &str, verdict: &str, view: &GateView) -> String {
    let row = |reason: &GateReason| vec![reason.verdict.as_str().into(), plain(&reason.words)];
    let reasons: Vec<Vec<String>> = view.answer.reasons.iter().map(row).collect();
    let table = table(&["", ""], &reasons);
    format!("### deployguard gate: {verdict}\n\n{}\n\n{table}\n", plain(what))
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
