//! Slack: where it is, and who may press its buttons.

use anyhow::bail;
use serde::Deserialize;

use super::Secret;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ token: { env: NAME } }`")]
pub struct SlackSettings {
    pub token: Secret,
    #[serde(default = "slack_api")]
    pub api_url: String,
    /// What Slack signs presses with, posted to `/slack/interactivity`.
    pub signing_secret: Option<Secret>,
    /// An app-level token, `xapp-...`: presses come over a connection that deployguard opens
    /// (Socket Mode), and Slack needs not reach it.
    pub app_token: Option<Secret>,
    /// The workspace that presses are taken from; `None`: the token's.
    pub team: Option<String>,
    /// Who may press; empty: nobody, and there are no buttons.
    #[serde(default)]
    pub operators: Vec<OperatorSettings>,
}

/// Users (U, W) and user groups (S), by their ids.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "an operator is an id, or `{ who: [...], services: [...], environments: [...] }`"
)]
pub enum OperatorSettings {
    /// For every service.
    Anywhere(String),
    Of(Operators),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    pub who: Vec<String>,
    /// Globs of the services that they may act on; empty: all.
    #[serde(default)]
    pub services: Vec<String>,
    /// The environments that they may act on; empty: all.
    #[serde(default)]
    pub environments: Vec<String>,
}

impl OperatorSettings {
    /// As a rule.
    pub fn rule(&self) -> Operators {
        match self {
            Self::Anywhere(id) => {
                Operators { who: vec![id.clone()], services: Vec::new(), environments: Vec::new() }
            }
            Self::Of(operators) => operators.clone(),
        }
    }
}

impl SlackSettings {
    /// Whether presses can be taken, so that it makes sense to show buttons.
    pub fn takes_presses(&self) -> bool {
        let way_in = self.signing_secret.is_some() || self.app_token.is_some();
        way_in && !self.operators.is_empty()
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Ok(url) = reqwest::Url::parse(&self.api_url) else {
            bail!("slack.api_url: `{}` is no URL: https://slack.com/api/", self.api_url)
        };
        let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if url.scheme() != "https" && !here {
            bail!("slack.api_url must be https: the token would travel in clear");
        }
        if self.app_token.as_ref().is_some_and(|token| !token.expose().starts_with("xapp-")) {
            bail!(
                "slack.app_token is no app-level token, which begins with `xapp-`: make one in \
                 the app's Basic Information, with the scope connections:write"
            );
        }
        for operators in &self.operators {
            let who = operators.rule().who;
            if who.is_empty() {
                bail!("slack.operators: `who` names nobody");
            }
            if let Some(wrong) = who.iter().find(|id| !is_id(id)) {
                bail!(
                    "slack.operators: `{wrong}` is no id: give a user's (U...) or a group's (S...)"
                );
            }
        }
        Ok(())
    }
}

fn is_id(id: &str) -> bool {
    let tail = id.strip_prefix(['S', 'U', 'W']).unwrap_or_default();
    tail.len() >= 2 && tail.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn slack_api() -> String {
    "https://slack.com/api/".to_owned()
}

#[cfg(test)]
mod tests {
    use crate::settings::tests::read;

    fn of(more: &str) -> Result<crate::settings::Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "a-secret").unwrap();
        let file = format!("{{ file: {} }}", file.display());
        let token = folder.path().join("token");
        std::fs::write(&token, "xapp-1-A0-a-secret").unwrap();
        let token = format!("{{ file: {} }}", token.display());
        let more = more.replace("SECRET", &file).replace("TOKEN", &token);
        read(&format!(
            "prometheus: {{ url: 'http://127.0.0.1:9090' }}\nslack: {{ token: {file}, {more} }}\n"
        ))
    }

    #[test]
    fn operators_are_ids_for_all_or_for_some_services() {
        let settings = of("signing_secret: SECRET, operators: [U0DANA, { who: [S0ONCALL], services: ['shop-*'] }]").unwrap();
        let slack = settings.slack.unwrap();
        assert!(slack.takes_presses());
        let rules: Vec<_> = slack.operators.iter().map(super::OperatorSettings::rule).collect();
        assert_eq!(rules[0].who, ["U0DANA"]);
        assert_eq!(
            (&rules[1].who[0], &rules[1].services[0]),
            (&"S0ONCALL".into(), &"shop-*".into())
        );
        for (wrong, words) in [
            ("operators: [dana]", "`dana` is no id"),
            ("operators: [{ who: [] }]", "names nobody"),
            ("operators: [{ whom: [U0DANA] }]", "an operator is an id"),
        ] {
            let told = of(wrong).unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn without_a_way_in_or_without_operators_there_are_no_buttons() {
        for (more, takes) in [
            ("operators: [U0DANA]", false),
            ("signing_secret: SECRET", false),
            ("app_token: TOKEN", false),
            ("signing_secret: SECRET, operators: [U0DANA]", true),
            ("app_token: TOKEN, operators: [U0DANA]", true),
            ("app_token: TOKEN, signing_secret: SECRET, operators: [U0DANA]", true),
        ] {
            assert_eq!(of(more).unwrap().slack.unwrap().takes_presses(), takes, "{more}");
        }
    }

    #[test]
    fn another_kind_of_token_is_refused_and_not_repeated() {
        let told = of("app_token: SECRET").unwrap_err();
        assert!(told.contains("slack.app_token is no app-level token"), "{told}");
        assert!(!told.contains("a-secret"), "{told}");
    }
}
