//! Slack's buttons, as the settings have them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Adapters;
use super::lead::Leader;
use crate::engine::{Helm, Presses, SocketMode, Tenure, take_presses_forever};
use crate::settings::{Secret, Settings};
use crate::triggers::slack::{Buttons, Config, Door, OperatorRule};

/// Who takes presses. `None`: nobody may press, or there is no way in. Nothing is sent.
///
/// # Errors
/// What of the settings is no use, in words.
pub(super) fn buttons(settings: &Settings) -> Result<Option<Arc<Buttons>>, String> {
    let Some(slack) = settings.slack.as_ref().filter(|slack| slack.takes_presses()) else {
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
        signing_secret: slack.signing_secret.as_ref().map(Secret::expose),
        team: slack.team.clone(),
        operators: slack.operators.iter().map(|one| rule(one.rule())).collect(),
    };
    Buttons::new(config).map(|buttons| Some(Arc::new(buttons)))
}

/// Where connections of Socket Mode are had. `None`: presses come over HTTP, or not at all.
///
/// # Errors
/// What of the settings is no use, in words.
pub(super) fn door(settings: &Settings) -> Result<Option<Arc<Door>>, String> {
    let slack = settings.slack.as_ref().filter(|slack| slack.takes_presses());
    let token = slack.and_then(|slack| Some((slack, slack.app_token.as_ref()?)));
    let door = token.map(|(slack, token)| Door::new(&slack.api_url, token.expose()));
    Ok(door.transpose()?.map(Arc::new))
}

/// What does presses, whichever way they come; whoever leads here does them.
pub(super) fn presses(helm: &Helm, adapters: &Adapters) -> Option<Presses> {
    let buttons = adapters.buttons.clone()?;
    Some(Presses::new(helm.handle(), adapters.store.clone(), buttons))
}

impl Leader {
    /// Keeps a connection of Socket Mode, while this process leads.
    pub(super) fn take_presses(
        &self,
        around: &TaskTracker,
        tenure: &Tenure,
        ending: &CancellationToken,
    ) {
        let (Some(door), Some(presses)) = (&self.adapters.door, &self.presses) else { return };
        let mode = SocketMode {
            door: door.clone(),
            presses: presses.clone(),
            status: self.status.clone(),
            metrics: self.metrics.clone(),
        };
        let (taking, held) = (take_presses_forever(mode, ending.clone()), tenure.clone());
        around.spawn(async move { held.hold(taking).await });
    }
}
