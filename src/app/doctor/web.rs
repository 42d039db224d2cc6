//! What policies ask of the web: whether the settings allow it, and have the secrets for it.
//! Whether there are the commands that they name. Nothing is sent or run; `check --live` asks.

use std::collections::BTreeSet;

use super::report::Report;
use crate::app::web_of;
use crate::commands::Purpose;
use crate::policy::{Probe, WebText};
use crate::policy_repo::Loaded;
use crate::settings::{Settings, commands};

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
                match commands.check(command, Purpose::Probe) {
                    Ok(()) => report.ok(&format!("{name}: the command `{command}` may be run")),
                    Err(why) => report.fail(&format!("{name} is not run: {why}"), "mend it there"),
                }
            }
            for asked in check.sent_out() {
                let Some(url) = asked.known_host() else {
                    let words = format!("{name}: its host is known only with a deployment");
                    report.warn(&words, "ask it with `check --live --service NAME`");
                    continue;
                };
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
            }
        }
    }
    for url in good {
        report.ok(&format!("{url} may be asked"));
    }
    report
}

fn lacking(name: &str, asked: &WebText, settings: &Settings, report: &mut Report) {
    for secret in asked.secrets().filter(|one| !settings.secrets.contains_key(*one)) {
        let words = format!("{name} needs the secret `{secret}`, which the settings don't have");
        report.fail(&words, "name it under `secrets`");
    }
}
