//! What policies ask of the web: whether the settings allow it, and have the secrets for it.
//! Whether there are the commands that they name. Nothing is sent or run; `check --live` asks.

use std::collections::{BTreeMap, BTreeSet};

use super::report::Report;
use crate::app::web_of;
use crate::commands::Purpose;
use crate::policy::{Probe, WebText, nearest};
use crate::policy_repo::Loaded;
use crate::settings::{CommandSettings, Settings, commands};

pub(super) fn examine(settings: &Settings, loaded: &Loaded) -> Report {
    let mut report = Report::of("outbound");
    let web = match web_of(settings.outbound.as_ref(), &settings.secrets) {
        Ok(web) => web,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend it in the settings");
            return report;
        }
    };
    let commands = match commands(&settings.commands) {
        Ok(commands) => commands,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend it in the settings");
            return report;
        }
    };
    let mut good: BTreeSet<String> = BTreeSet::new();
    for policy in loaded.set.iter().map(|written| &written.policy) {
        for check in &policy.checks {
            let name = format!("{}, {}", policy.name, check.name);
            if let Some(command) = check.probe().and_then(Probe::command) {
                report.part("commands");
                match commands.check(command, Purpose::Probe) {
                    Ok(()) => report.ok(&format!("{name}: the command `{command}` may be run")),
                    Err(why) => report.fail(
                        &format!("{name} is not run: {why}"),
                        &mend_of(command, &settings.commands),
                    ),
                }
                report.part("outbound");
            }
            for asked in check.sent_out() {
                let Some(url) = asked.known_host() else {
                    let words = format!("{name}: its host is known only with a deployment");
                    report.warn(&words, "ask it with `check --live --service NAME`");
                    continue;
                };
                let host = url.clone();
                let allowed = match &web {
                    Some(web) => web.allows(&url),
                    None => Err("the settings have no `outbound`".to_owned()),
                };
                match allowed {
                    Ok(()) => drop(good.insert(url)),
                    Err(why) => report.fail(
                        &format!("{name} is not asked: {why}"),
                        "allow it in the settings, or ask another host",
                    ),
                }
                lacking(&name, asked, settings, &mut report);
                for secret in asked.secrets().filter(|one| settings.secrets.contains_key(*one)) {
                    let Some(Err(why)) = web.as_ref().map(|web| web.may_tell(secret, &host)) else {
                        continue;
                    };
                    let mend = format!("mend `secrets.{secret}`, or what the policy asks");
                    report.fail(&format!("{name} is not asked at {host}: {why}"), &mend);
                }
            }
        }
    }
    for url in good {
        report.ok(&format!("{url} may be asked"));
    }
    report
}

/// What to do about a command that can't be run.
fn mend_of(command: &str, all: &BTreeMap<String, CommandSettings>) -> String {
    if all.contains_key(command) {
        return format!("mend `commands.{command}` in the settings");
    }
    match nearest(command, all.keys().map(String::as_str)).first() {
        Some(near) => format!("did the policy mean `{near}`? Or give `commands.{command}`"),
        None => format!("give `commands.{command}: {{ run: [...] }}` in the settings"),
    }
}

fn lacking(name: &str, asked: &WebText, settings: &Settings, report: &mut Report) {
    for secret in asked.secrets().filter(|one| !settings.secrets.contains_key(*one)) {
        let words = format!("{name} needs the secret `{secret}`, which the settings don't have");
        report.fail(&words, "name it under `secrets`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, check};
    use crate::policy_repo::PolicyRepo;

    #[test]
    fn a_secret_for_another_host_and_a_command_that_is_not_there_fail_by_name() {
        let policy = "version: 1\npolicy: shop\nenvironment: production\n\
            match: { cluster: shop, service: api }\n\
            phases: { all: { until: 1h, interval: 1m } }\nchecks:\n  \
            up: { http: { url: 'https://a.example/health', headers: { authorization: 'Bearer \
            ${secrets.key}' } }, breach: { SEV2: 2 failures } }\n  \
            smoke: { probe: { command: smok }, breach: { SEV2: 2 failures } }\n";
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("key");
        std::fs::write(&secret, "hush").unwrap();
        let file = folder.path().join("deployguard.yaml");
        let settings = format!(
            "outbound: {{ allow: ['https://a.example'] }}\n\
             secrets: {{ key: {{ file: {}, for: ['https://b.example'] }} }}\n\
             commands: {{ smoke: {{ run: ['true'] }} }}\n",
            secret.display()
        );
        std::fs::write(&file, settings).unwrap();
        let settings = Settings::read(&file).unwrap();
        let mut loaded = PolicyRepo::open(folder.path()).nothing();
        let policy = SourceFile { path: "shop.yaml".into(), bytes: policy.into() };
        loaded.set = check(&[policy]).unwrap();
        let said = examine(&settings, &loaded)
            .lines()
            .into_iter()
            .map(|line| format!("{}: {}; {}", line.part, line.what, line.mend.unwrap_or_default()));
        let said: Vec<String> = said.collect();
        assert_eq!(
            said,
            [
                "commands: shop, smoke is not run: the settings have no command `smok`: name it \
                 under `commands`; did the policy mean `smoke`? Or give `commands.smok`",
                "outbound: shop, up is not asked at https://a.example/: the secret `key` is not \
                 for this host: see its `for` (https://b.example); mend `secrets.key`, or what \
                 the policy asks",
                "outbound: https://a.example/ may be asked; ",
            ]
        );
    }
}
