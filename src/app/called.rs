//! The pagers, webhooks and mailboxes of the settings.

use std::collections::BTreeMap;

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::model::Repositories;
use crate::notify::elsewhere::{Elsewhere, Mail};
use crate::notify::email::{Email, Security};
use crate::notify::github::{App, Credentials, GitHub};
use crate::notify::pagerduty::PagerDuty;
use crate::notify::webhook::{Format, Webhook};
use crate::platform::Endpoint;
use crate::settings::{
    EmailSettings, GitHubSettings, Secret, Settings, WebhookFormat, WebhookSettings,
};
use crate::triggers::github::Secrets;
use crate::web::GitHubHook;

/// All of them; nothing is sent.
pub(super) fn connect(settings: &Settings) -> anyhow::Result<Elsewhere> {
    let mut elsewhere = Elsewhere::default();
    for (name, one) in &settings.pagerduty {
        let pager = PagerDuty::connect(&one.url, one.routing_key.expose());
        let pager = pager.with_context(|| format!("pagerduty.{name}"))?;
        elsewhere.pagerduty.insert(name.clone(), pager.with_home(settings.advertise.clone()));
    }
    for (name, one) in &settings.webhooks {
        let webhook = webhook(one).with_context(|| format!("webhooks.{name}"))?;
        elsewhere.webhooks.insert(name.clone(), webhook);
    }
    elsewhere.email = settings.email.as_ref().map(mail).transpose().context("email")?;
    if let Some(mail) = elsewhere.email.take() {
        let email = mail.email.with_home(settings.advertise.clone());
        elsewhere.email = Some(Mail { email, to: mail.to });
    }
    if let Some(one) = &settings.github {
        elsewhere.github = github(one, settings.advertise.clone()).context("github")?;
    }
    Ok(elsewhere)
}

/// The webhooks as what policies may roll back by.
pub(super) fn endpoints(settings: &Settings) -> anyhow::Result<BTreeMap<String, Endpoint>> {
    let endpoint = |(name, one): (&String, &WebhookSettings)| {
        let endpoint = Endpoint::new(&one.url, one.secret.expose(), headers(one)?);
        Ok((name.clone(), endpoint?))
    };
    settings.webhooks.iter().map(endpoint).collect()
}

/// GitHub, if anything can be written there.
fn github(settings: &GitHubSettings, home: Option<String>) -> anyhow::Result<Option<GitHub>> {
    let credentials = match (&settings.token, &settings.app) {
        (Some(token), _) => Credentials::Token(token.expose().to_owned()),
        (None, Some(app)) => {
            let app = App::new(&app.id.text(), app.private_key.expose());
            Credentials::App(app.map_err(anyhow::Error::msg)?)
        }
        (None, None) => return Ok(None),
    };
    let github = GitHub::connect(&settings.api_url, credentials).map_err(anyhow::Error::msg)?;
    let names = settings.repositories.keys().cloned().collect();
    Ok(Some(github.with_home(home).with_repositories(names)))
}

/// What reads GitHub's webhooks, if any are taken.
pub(super) fn hook(settings: &Settings) -> anyhow::Result<Option<GitHubHook>> {
    let Some(github) = &settings.github else { return Ok(None) };
    if github.webhook_secrets.is_empty() {
        return Ok(None);
    }
    let secrets = Secrets::of(github.webhook_secrets.iter().map(Secret::expose));
    Ok(Some(GitHubHook {
        secrets: secrets.map_err(anyhow::Error::msg).context("github.webhook_secrets")?,
        repositories: github.repositories(),
        writes: github.writes(),
        home: settings.advertise.clone(),
    }))
}

/// What is written back about, where anything can be.
pub(super) fn repositories(settings: &Settings) -> Repositories {
    let github = settings.github.as_ref().filter(|github| github.writes());
    github.map(GitHubSettings::repositories).unwrap_or_default()
}

fn headers(settings: &WebhookSettings) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name.as_str())?, value);
    }
    Ok(headers)
}

fn webhook(settings: &WebhookSettings) -> anyhow::Result<Webhook> {
    let format = match settings.format {
        WebhookFormat::Generic => Format::Generic,
        WebhookFormat::CdEvents => Format::CdEvents,
    };
    Ok(Webhook::connect(&settings.url, settings.secret.expose(), format, headers(settings)?)?)
}

fn mail(settings: &EmailSettings) -> anyhow::Result<Mail> {
    let relay = settings.smtp.relay()?;
    let security = match (relay.implicit_tls, relay.clear) {
        (true, _) => Security::Tls,
        (false, false) => Security::StartTls,
        (false, true) => Security::Clear,
    };
    let smtp = &settings.smtp;
    let login = smtp.user.clone().zip(smtp.password.as_ref().map(|one| one.expose().to_owned()));
    let email = Email::connect((&relay.host, relay.port), security, login, settings.from.clone())?;
    Ok(Mail { email, to: settings.to.clone() })
}
