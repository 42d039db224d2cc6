//! GitHub: whether each repository of the settings can be written about. Nothing is written.

use super::report::Report;
use crate::app::called::connect;
use crate::engine::clock;
use crate::model::Revert;
use crate::policy_repo::Loaded;
use crate::settings::Settings;

pub(super) async fn examine(settings: &Settings, loaded: &Loaded) -> Report {
    let mut report = Report::of("github");
    let reverts: Vec<&str> = loaded
        .set
        .iter()
        .filter(|written| written.policy.notify.github.revert != Revert::Off)
        .map(|written| written.policy.name.as_str())
        .collect();
    let Some(github) = &settings.github else {
        if !reverts.is_empty() {
            let words = format!("{} opens issues or pull requests at GitHub", reverts.join(", "));
            let mend = "give `github: { token: { env: NAME }, repositories: { ... } }`";
            report.fail(&format!("{words}, and the settings have no `github`"), mend);
        }
        return report;
    };
    if github.webhook_secrets.is_empty() {
        report.warn("no webhook is taken", "give `webhook_secrets`, or announce by the pipeline");
    } else {
        let count = github.webhook_secrets.len();
        report.ok(&format!("webhooks are taken, signed with any of {count} secrets"));
    }
    if github.repositories.is_empty() {
        report.warn("no repository is known", "name them under `github.repositories`");
    }
    let connected = match connect(settings) {
        Ok(elsewhere) => elsewhere.github,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend it in the settings");
            return report;
        }
    };
    let Some(connected) = connected else {
        report.warn("nothing is written back", "give `token` or `app`");
        return report;
    };
    for name in connected.repositories() {
        match connected.probe(name, !reverts.is_empty(), clock::now()).await {
            Err(why) => report.fail(&format!("{name}: {why}"), "see github.token or github.app"),
            Ok(found) => {
                for one in found {
                    let words = format!("{name}: {}", one.name);
                    match one.lacks {
                        None => report.ok(&words),
                        Some(why) => {
                            let mend = "give it to the token, or to the App's installation";
                            report.fail(&format!("{words}: {why}"), mend);
                        }
                    }
                }
            }
        }
    }
    report
}
