//! GitHub: whether each repository of the settings can be written about. Nothing is written.

use super::report::Report;
use crate::app::called::connect;
use crate::engine::clock;
use crate::model::Revert;
use crate::notify::github::Unprobed;
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
            Err(Unprobed { why, is_silent }) => {
                let mend = if is_silent {
                    "see the way there from here, and `github.api_url`"
                } else {
                    "see github.token or github.app"
                };
                report.fail(&format!("{name}: {why}"), mend);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_repo::PolicyRepo;

    #[tokio::test]
    async fn an_api_that_does_not_answer_is_told_once_with_its_address() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let (secret, file) = (folder.path().join("token"), folder.path().join("settings.yaml"));
        std::fs::write(&secret, "github_pat_hush").unwrap();
        // Nobody listens at port 1.
        let settings = format!(
            "github: {{ token: {{ file: {} }}, api_url: 'http://127.0.0.1:1', repositories: {{ \
             acme/shop: {{ environments: {{ production: [api] }} }} }} }}\n",
            secret.display()
        );
        std::fs::write(&file, settings).unwrap();
        let settings = Settings::read(&file).unwrap();
        let loaded = PolicyRepo::open(folder.path()).nothing();
        let lines = examine(&settings, &loaded).await.lines();
        let of: Vec<_> = lines.iter().filter(|line| line.what.starts_with("acme/shop")).collect();
        assert_eq!(of.len(), 1, "{lines:?}");
        assert!(of[0].what.contains("no answer of http://127.0.0.1:1/: "), "{}", of[0].what);
        assert!(of[0].what.contains("onnection refused"), "{}", of[0].what);
        assert!(of[0].mend.as_ref().unwrap().contains("`github.api_url`"), "{of:?}");
    }
}
