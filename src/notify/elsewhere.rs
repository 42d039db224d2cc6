//! Those who are told elsewhere than in Slack, by the names that the settings give them.

use std::collections::{BTreeMap, BTreeSet};

use lettre::message::Mailbox;

use super::email::Email;
use super::github::{GitHub, Written};
use super::pagerduty::PagerDuty;
use super::webhook::Webhook;
use super::{Call, DeliverError, Reached};
use crate::model::Recipient;

/// Every pager, webhook and mailbox of the settings.
#[derive(Debug, Default)]
pub struct Elsewhere {
    pub pagerduty: BTreeMap<String, PagerDuty>,
    pub webhooks: BTreeMap<String, Webhook>,
    pub email: Option<Mail>,
    pub github: Option<GitHub>,
}

/// A mail server, and who can be written to.
#[derive(Debug)]
pub struct Mail {
    pub email: Email,
    pub to: BTreeMap<String, Vec<Mailbox>>,
}

impl Elsewhere {
    /// Whether the settings know the name. Slack knows its ids itself.
    pub fn knows(&self, who: &Recipient) -> bool {
        match who {
            Recipient::Slack(_) => true,
            Recipient::PagerDuty(name) => self.pagerduty.contains_key(name),
            Recipient::Webhook(name) => self.webhooks.contains_key(name),
            Recipient::Email(name) => self.mail(name).is_some(),
            Recipient::GitHub(name) => {
                self.github.as_ref().is_some_and(|github| github.repositories().contains(name))
            }
        }
    }

    /// All that the settings know.
    pub fn everybody(&self) -> BTreeSet<Recipient> {
        let pagers = self.pagerduty.keys().cloned().map(Recipient::PagerDuty);
        let webhooks = self.webhooks.keys().cloned().map(Recipient::Webhook);
        let lists = self.email.iter().flat_map(|mail| mail.to.keys().cloned());
        pagers.chain(webhooks).chain(lists.map(Recipient::Email)).collect()
    }

    /// Delivers one call. Bounded in time.
    pub async fn call(&self, to: &Recipient, call: &Call) -> Result<(), DeliverError> {
        let nobody = || DeliverError::Permanent(format!("the settings know no `{to}`"));
        match to {
            Recipient::Slack(_) => {
                Err(DeliverError::Permanent(format!("`{to}` is told in the thread")))
            }
            Recipient::GitHub(_) => {
                Err(DeliverError::Permanent(format!("`{to}` is written to, not called")))
            }
            Recipient::PagerDuty(name) => {
                self.pagerduty.get(name).ok_or_else(nobody)?.call(call).await
            }
            Recipient::Webhook(name) => {
                self.webhooks.get(name).ok_or_else(nobody)?.call(call).await
            }
            Recipient::Email(name) => {
                let (email, to) = self.mail(name).ok_or_else(nobody)?;
                email.call(to, call).await
            }
        }
    }

    /// Writes at GitHub. Bounded in time.
    pub async fn write(&self, written: &Written) -> Result<(), DeliverError> {
        let nobody = || DeliverError::Permanent("the settings have no `github.token`".to_owned());
        self.github.as_ref().ok_or_else(nobody)?.write(written).await
    }

    /// Whether somebody can be reached, in words. Nobody is told anything.
    pub async fn probe(&self, who: &Recipient) -> Result<Reached, String> {
        let nobody = || format!("the settings know no `{who}`");
        match who {
            Recipient::Slack(_) => Ok(Reached::Well("is told in the thread".to_owned())),
            Recipient::GitHub(_) => Ok(Reached::Well("is tried by its permissions".to_owned())),
            Recipient::PagerDuty(name) => {
                self.pagerduty.get(name).ok_or_else(nobody)?.probe().await.map(Reached::Well)
            }
            Recipient::Webhook(name) => self.webhooks.get(name).ok_or_else(nobody)?.probe().await,
            Recipient::Email(name) => {
                self.mail(name).ok_or_else(nobody)?.0.probe().await.map(Reached::Well)
            }
        }
    }

    fn mail(&self, name: &str) -> Option<(&Email, &[Mailbox])> {
        let mail = self.email.as_ref()?;
        Some((&mail.email, mail.to.get(name)?))
    }
}
