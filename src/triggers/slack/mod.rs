//! Buttons pressed in Slack: whether Slack says so, what was pressed, and whether that
//! person may. What is done about it is the engine's.
//!
//! A press comes over HTTP, signed ([`Buttons::check`]), or over a connection that was opened
//! with the app's own token ([`Door`]), and is the same from then on. Who presses is a user of the bot's
//! own workspace, named in the settings or member of a group that is. A group that can't
//! be read lets nobody in.

mod operators;
mod payload;
mod signature;
mod socket;
mod wire;

use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::OnceCell;

pub use operators::OperatorRule;
pub use payload::{Pressed, Unread, read};
pub use signature::Forged;
pub use socket::{Door, Envelope, Leave, Shut, Socket, acknowledgement, read_envelope};

use operators::{Groups, Rule};
use signature::Signature;
use wire::Wire;

/// What the settings say.
pub struct Config<'a> {
    pub api_url: &'a str,
    pub token: &'a str,
    /// `None`: nothing is taken over HTTP.
    pub signing_secret: Option<&'a str>,
    /// The workspace; `None`: the token's.
    pub team: Option<String>,
    pub operators: Vec<OperatorRule>,
}

/// Slack's buttons.
pub struct Buttons {
    signature: Option<Signature>,
    wire: Wire,
    team: OnceCell<String>,
    rules: Vec<Rule>,
    groups: Groups,
    api: Url,
}

/// Why a press is not taken, for whoever pressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(pub String);

impl Buttons {
    /// Nothing is sent.
    ///
    /// # Errors
    /// What of the settings is no use, in words.
    pub fn new(config: Config<'_>) -> Result<Self, String> {
        let Config { api_url, token, signing_secret, team, operators } = config;
        let api = Url::parse(api_url).map_err(|error| format!("slack.api_url: {error}"))?;
        let rules = operators.into_iter().map(Rule::of).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            signature: signing_secret.map(Signature::by),
            wire: Wire::new(api_url, token)?,
            team: OnceCell::new_with(team),
            rules,
            groups: Groups::default(),
            api,
        })
    }

    /// Whether Slack has sent the body, lately.
    pub fn check(&self, signature: &str, timestamp: &str, body: &str) -> Result<(), Forged> {
        match &self.signature {
            Some(ours) => ours.check(signature, timestamp, body),
            None => Err(Forged::Signature),
        }
    }

    /// Whether presses are taken over HTTP.
    pub fn takes_posts(&self) -> bool {
        self.signature.is_some()
    }

    /// Whether the press is of our workspace. Asks Slack once whose token it is.
    pub async fn is_ours(&self, pressed: &Pressed) -> Result<(), NotAllowed> {
        let team = self.team.get_or_try_init(|| self.wire.team()).await.map_err(|why| {
            NotAllowed(format!("whose workspace this is could not be asked of Slack: {why}"))
        })?;
        let theirs = pressed.user_team.as_deref().unwrap_or(team);
        if pressed.team != *team || theirs != team {
            let why = "you are not of the workspace that deployguard belongs to";
            return Err(NotAllowed(why.to_owned()));
        }
        Ok(())
    }

    /// Whether the person may act on the service.
    pub async fn may_act(
        &self,
        user: &str,
        service: &str,
        environment: &str,
        now: Timestamp,
    ) -> Result<(), NotAllowed> {
        let rules = self.rules.iter().filter(|rule| rule.is_for(service, environment));
        let mut unread = None;
        for rule in rules {
            if rule.users.contains(user) {
                return Ok(());
            }
            for group in &rule.groups {
                match self.groups.has(&self.wire, group, user, now).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(why) => {
                        unread = Some(format!("the group {group} could not be read: {why}"));
                    }
                }
            }
        }
        let why = format!("you are no operator of {service} in {environment} (slack.operators)");
        Err(NotAllowed(match unread {
            Some(unread) => format!("whether you are an operator can't be told: {unread}"),
            None => why,
        }))
    }

    /// Tells the person alone what became of the press. Best effort: it is in the thread too.
    pub async fn tell(&self, pressed: &Pressed, words: &str) {
        let Some(url) = &pressed.response_url else { return };
        let Some(url) = answerable(url, &self.api) else {
            tracing::warn!("a press names an address for its answer that is not Slack's");
            return;
        };
        if let Err(why) = self.wire.tell(url, words).await {
            tracing::warn!(why, "what became of a press could not be told");
        }
    }
}

/// The address, where it is one of Slack's, or of whatever stands for Slack here.
fn answerable(url: &str, api: &Url) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let is_slack = url.scheme() == "https"
        && url.host_str() == Some("hooks.slack.com")
        && url.port().is_none();
    let is_api = url.origin() == api.origin() && url.origin().is_tuple();
    let plain = url.username().is_empty() && url.password().is_none();
    ((is_slack || is_api) && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_slack_and_nowhere_else() {
        let api = Url::parse("http://127.0.0.1:8081/api/").unwrap();
        let is = |url: &str| answerable(url, &api).is_some();
        assert!(is("https://hooks.slack.com/actions/T0/1/x"));
        assert!(is("http://127.0.0.1:8081/actions/1"));
        for wrong in [
            "http://hooks.slack.com/actions/T0/1/x",
            "https://hooks.slack.com:8443/actions",
            "https://hooks.slack.com.evil.example/actions",
            "https://u:p@hooks.slack.com/actions",
            "http://127.0.0.1:8082/actions/1",
            "http://169.254.169.254/latest/meta-data",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!is(wrong), "{wrong}");
        }
    }
}
