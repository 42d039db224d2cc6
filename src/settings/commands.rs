//! Commands that policies may name: `commands: { smoke: { run: [npm, test], in: /srv/checks } }`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use serde_norway::Value;

use super::{Secret, Span};
use crate::commands::{Command, Commands, Template, Variable};

const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_mins(30);
/// Where programs are looked for without a `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ run: [npm, run, smoke], in: /srv/checks }`")]
pub struct CommandSettings {
    /// The program, and each of its arguments. No shell reads them.
    run: Vec<String>,
    /// The folder that it runs in; by default the daemon's.
    #[serde(rename = "in")]
    folder: Option<PathBuf>,
    /// 1s to 30m.
    #[serde(default = "five_minutes")]
    timeout: Span,
    /// Beside `PATH`, `HOME` and `LANG`.
    #[serde(default)]
    env: BTreeMap<String, EnvValue>,
}

#[derive(Debug, Clone)]
enum EnvValue {
    Plain(String),
    Secret(Secret),
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Plain(text)),
            Value::Number(number) => Ok(Self::Plain(number.to_string())),
            Value::Bool(flag) => Ok(Self::Plain(flag.to_string())),
            source => Secret::deserialize(source).map(Self::Secret).map_err(D::Error::custom),
        }
    }
}

fn five_minutes() -> Span {
    Span(SignedDuration::from_mins(5))
}

/// The labels of a deployment that a command asks for. Whether it can be run is not looked at,
/// and none of its secrets is read.
#[derive(Debug, Clone, Default)]
pub struct CommandLabels(pub BTreeSet<String>);

impl<'de> Deserialize<'de> for CommandLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let command = Value::deserialize(deserializer)?;
        let run = command.get("run").and_then(Value::as_sequence).into_iter().flatten();
        let env = command.get("env").and_then(Value::as_mapping).into_iter().flatten();
        let texts = run.chain(env.map(|(_, value)| value)).filter_map(Value::as_str);
        let names = texts.filter_map(|text| Template::parse(text).ok()).flat_map(|template| {
            let labels = template.names().filter_map(|name| name.strip_prefix("labels."));
            labels.map(str::to_owned).collect::<Vec<_>>()
        });
        Ok(Self(names.collect()))
    }
}

impl CommandSettings {
    /// Counts a relative folder from the settings' folder.
    pub(super) fn count_from(&mut self, folder: &Path) {
        if let Some(path) = &mut self.folder {
            *path = folder.join(&path);
        }
    }

    fn command(&self) -> anyhow::Result<Command> {
        let (program, arguments) =
            self.run.split_first().context("`run` is empty: write [program, argument, ...]")?;
        ensure!(
            !program.contains("${"),
            "`run` begins with a variable: the program is the same for every deployment"
        );
        let time_out = self.timeout.std();
        ensure!(
            (LEAST..=MOST).contains(&time_out),
            "`timeout` is not from 1s to 30m: a command that takes longer is none to wait for"
        );
        if let Some(folder) = &self.folder {
            ensure!(folder.is_dir(), "`in`: {} is no folder", folder.display());
        }
        let template = |text: &String| Template::parse(text).map_err(anyhow::Error::msg);
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            let fits = |char: char| char.is_ascii_alphanumeric() || char == '_';
            ensure!(
                !name.is_empty() && name.chars().all(fits) && !name.starts_with(char::is_numeric),
                "`env`: `{name}` is no name of a variable: write letters, digits and `_`"
            );
            let value = match value {
                EnvValue::Plain(text) => Variable::Plain(template(text)?),
                EnvValue::Secret(secret) => Variable::Secret(secret.expose().to_owned()),
            };
            env.insert(name.clone(), value);
        }
        Ok(Command {
            program: self.find(program)?,
            called: program.clone(),
            arguments: arguments.iter().map(template).collect::<Result<_, _>>()?,
            folder: self.folder.clone(),
            time_out,
            env,
        })
    }

    /// The program's own path, so that what runs is what was checked.
    fn find(&self, program: &str) -> anyhow::Result<PathBuf> {
        if program.contains('/') {
            let path = self.folder.as_deref().unwrap_or(Path::new("")).join(program);
            let path = std::path::absolute(&path).unwrap_or(path);
            ensure!(path.is_file(), "there is no program {}", path.display());
            ensure!(is_executable(&path), "{} is not executable: chmod +x", path.display());
            return Ok(path);
        }
        let path = match self.env.get("PATH") {
            Some(EnvValue::Plain(path)) => path.clone(),
            Some(EnvValue::Secret(_)) | None => {
                std::env::var("PATH").unwrap_or_else(|_| USUAL_PATH.to_owned())
            }
        };
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
        found
            .find(|path| path.is_absolute() && is_executable(path))
            .with_context(|| format!("there is no program `{program}` in {path}"))
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|of| of.is_file() && of.permissions().mode() & 0o111 != 0)
}

/// The commands of the settings, every program of which is there. Nothing is run.
///
/// # Errors
/// What is wrong with which one.
pub fn commands(all: &BTreeMap<String, CommandSettings>) -> anyhow::Result<Commands> {
    let mut ready = BTreeMap::new();
    for (name, settings) in all {
        let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        ensure!(
            !name.is_empty() && name.chars().all(fits),
            "commands: `{name}` is no name: write letters, digits, `-` and `_`"
        );
        let command = settings.command().with_context(|| format!("commands.{name}"))?;
        ready.insert(name.clone(), command);
    }
    Ok(Commands::new(ready))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    fn told(command: &str) -> String {
        read(&format!("commands: {{ smoke: {command} }}\n")).err().unwrap_or_default()
    }

    #[test]
    fn a_command_that_could_not_run_is_a_mistake_of_the_settings() {
        for (command, words) in [
            ("{ run: [] }", "commands.smoke: `run` is empty"),
            ("{ run: [sh, '${servise}'] }", "unknown variable `${servise}` in `${servise}`"),
            ("{ run: [sh, 'a${service'] }", "has a `${` without its `}`"),
            ("{ run: ['${service}'] }", "`run` begins with a variable"),
            ("{ run: [no-such-program-here] }", "there is no program `no-such-program-here` in"),
            ("{ run: [/etc/passwd] }", "/etc/passwd is not executable"),
            ("{ run: [./none], in: / }", "there is no program /none"),
            ("{ run: [sh], in: /no/such }", "`in`: /no/such is no folder"),
            ("{ run: [sh], timeout: 2h }", "`timeout` is not from 1s to 30m"),
            ("{ run: [sh], timeout: 10ms }", "`timeout` is not from 1s to 30m"),
            ("{ run: [sh], env: { 'A B': x } }", "`A B` is no name of a variable"),
            ("{ run: [sh], env: { A: { env: DEPLOYGUARD_NONE } } }", "has no `DEPLOYGUARD_NONE`"),
            ("{ run: sh }", "commands.smoke.run: expected a list"),
            ("{ run: [sh], shell: true }", "unknown field `shell`"),
        ] {
            let told = told(command);
            assert!(told.contains(words), "{command}: {told}");
        }
        let told = read("commands: { 'a b': { run: [sh] } }\n").unwrap_err();
        assert!(told.contains("`a b` is no name"), "{told}");
    }

    #[test]
    fn a_command_that_can_run_is_taken_and_its_secrets_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "very-secret-value").unwrap();
        let settings = read(&format!(
            "commands: {{ smoke: {{ run: [sh, -c, 'exit 0', '${{service}}', '${{labels.tier}}'], \
             in: /, timeout: 5m, env: {{ PORT: 8080, DEEP: true, TOKEN: {{ file: '{}' }} }} }} }}\n",
            token.display()
        ))
        .unwrap();
        let ready = super::commands(&settings.commands).unwrap();
        assert!(ready.time_out("smoke").is_some_and(|most| most.as_secs() == 300));
        assert!(!format!("{settings:?}{ready:?}").contains("very-secret"));
    }
}
