//! Slack's buttons, as the settings have them.

use std::sync::Arc;

use super::lead::Leader;
use crate::engine::Presses;
use crate::settings::Settings;
use crate::triggers::slack::{Buttons, Config, OperatorRule};

/// Who takes presses. `None`: nobody may press, or there is no way in. Nothing is sent.
///
/// # Errors
/// What of the settings is no use, in words.
pub(super) fn buttons(settings: &Settings) -> Result<Option<Arc<Buttons>>, String> {
    let slack = settings.slack.as_ref().filter(|slack| slack.takes_presses());
    let Some((slack, secret)) = slack.and_then(|one| Some((one, one.signing_secret.as_ref()?)))
    else {
        return Ok(None);
    };
    let rule = |rule: crate::settings::Operators| OperatorRule {
        who: rule.who,
        services: rule.services,
        environments: rule.environments,
    };
    let config = Config {
        api_url: &slack.api_url,
        token: slack.token.expose(),
        signing_secret: secret.expose(),
        team: slack.team.clone(),
        operators: slack.operators.iter().map(|one| rule(one.rule())).collect(),
    };
    Buttons::new(config).map(|buttons| Some(Arc::new(buttons)))
}

impl Leader {
    /// What does presses, whichever way they come; whoever leads here does them.
    pub(super) fn presses(&self) -> Option<Presses> {
        let buttons = self.adapters.buttons.clone()?;
        Some(Presses::new(self.helm.handle(), self.adapters.store.clone(), buttons))
    }
}
