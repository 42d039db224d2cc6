//! The page: a person logs in and acts, at whichever daemon, by the way of the API.

use std::path::Path;

use anyhow::{Context, ensure};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect;
use serde_json::{Value, json};

use crate::house::{BINARY, House, LONG, long_story};
use crate::world::daemon::{Daemon, OPS_TOKEN};

/// A browser without a script, at one daemon.
struct Browser {
    http: reqwest::Client,
    url: String,
    cookie: String,
    /// Whom a proxy in between names.
    proxied: Option<String>,
}

impl Browser {
    async fn log_in(url: &str, token: &str) -> anyhow::Result<Browser> {
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).build()?;
        let form = [("token", token), ("next", "/")];
        let asked = http.post(format!("{url}/login")).header(ORIGIN, url).form(&form);
        let answer = asked.send().await?;
        ensure!(answer.status() == 303, "{}", answer.text().await?);
        let cookie = answer.headers().get(SET_COOKIE).context("a cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Browser { http, url: url.to_owned(), cookie, proxied: None })
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let asked = self.named(self.http.get(format!("{}{path}", self.url)));
        let asked = asked.header(COOKIE, &self.cookie);
        Ok(asked.send().await?.error_for_status()?.text().await?)
    }

    /// Opens the question about an act and sends its form as it is, twice, as a double click
    /// does; answers the page that it leads to.
    async fn act(&self, path: &str) -> anyhow::Result<String> {
        let question = self.get(path).await?;
        let form = question.split("<form class=\"confirm\"").nth(1).context("a form")?;
        let fields = form.split("<input type=\"hidden\" name=\"").skip(1).filter_map(|field| {
            let mut parts = field.split('"');
            Some((parts.next()?, parts.nth(1)?))
        });
        let mut fields: Vec<(&str, &str)> = fields.collect();
        fields.push(("reason", "seen on the page"));
        let mut done = String::new();
        let mut next = String::new();
        for _ in 0..2 {
            let asked = self.http.post(format!("{}{path}", self.url)).form(&fields);
            let asked = self.named(asked).header(ORIGIN, &self.url);
            let answer = asked.header(COOKIE, &self.cookie).send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            ensure!(status == 303, "{}", answer.text().await?);
            next = headers.get(LOCATION).context("a way on")?.to_str()?.to_owned();
            let cookie = headers.get(SET_COOKIE).context("what was done")?.to_str()?;
            done = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        ensure!(path.starts_with(&next), "{next}");
        let asked = self.named(self.http.get(format!("{}{next}", self.url)));
        let asked = asked.header(COOKIE, format!("{}; {done}", self.cookie));
        Ok(asked.send().await?.error_for_status()?.text().await?)
    }

    /// As the proxy passes it on, where there is one.
    fn named(&self, asked: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.proxied {
            Some(name) => asked.header("X-Forwarded-User", name).basic_auth(name, Some("theirs")),
            None => asked,
        }
    }
}

/// Names people, of whom each may act.
fn proxy() -> Value {
    let roles = json!({ "operate": ["*"] });
    json!({ "proxy": { "header": "X-Forwarded-User", "from": ["127.0.0.1"], "roles": roles } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_acts_on_the_page_of_any_daemon_and_the_journal_has_their_name()
-> anyhow::Result<()> {
    let house = House::open(&long_story(), |settings| settings["web"] = proxy()).await?;
    let store = format!("sqlite://{}", house.daemon.home().join("deployguard.db").display());
    let mut standby = Daemon::at_home(Path::new(BINARY), &house.world, &long_story())?;
    standby.settle(|settings| {
        settings["store"] = json!(store);
        settings["web"] = proxy();
    })?;
    standby.start_with(&[]).await?;
    standby
        .wait_for("standing by", LONG, async |one| {
            let ready = one.get("/readyz").await?;
            Ok((ready["role"] == "standby" && !ready["leader"].is_null()).then_some(()))
        })
        .await?;
    let first = house.deploy("v2", &[]).await?;
    let here = Browser::log_in(house.daemon.url(), OPS_TOKEN).await?;
    only_a_form_acts(&here).await?;
    let fleet = here.get("/").await?;
    ensure!(fleet.contains(&format!("/watches/{first}")), "{fleet}");
    // The session that one daemon began is believed by the other.
    let there = Browser { url: standby.url().to_owned(), ..here };
    let page = there.act(&format!("/watches/{first}/act/cancel")).await?;
    ensure!(page.contains("Done: the deployment is watched no longer"), "{page}");
    cancelled_by(&house, &first, "oncall").await?;

    let second = house.deploy("v3", &[]).await?;
    let here = Browser { url: house.daemon.url().to_owned(), ..there };
    here.act(&format!("/watches/{second}/act/cancel")).await?;
    cancelled_by(&house, &second, "oncall").await?;

    // Somebody whom the proxy has logged in acts through the one that stands by.
    let third = house.deploy("v4", &[]).await?;
    let proxied = Some("dana".to_owned());
    let there = Browser { url: standby.url().to_owned(), cookie: String::new(), proxied, ..here };
    there.act(&format!("/watches/{third}/act/cancel")).await?;
    cancelled_by(&house, &third, "dana").await?;
    let here = Browser { url: house.daemon.url().to_owned(), ..there };
    ensure!(!house.daemon.logs().contains(OPS_TOKEN) && !standby.logs().contains(OPS_TOKEN));
    let history = here.get("/history?outcome=cancelled").await?;
    ensure!(history.contains(&first) && history.contains(&second), "{history}");
    Ok(())
}

/// The API that acts takes a token, whatever session a browser has.
async fn only_a_form_acts(here: &Browser) -> anyhow::Result<()> {
    for headers in [vec![], vec![("x-deployguard-caller", "oncall")]] {
        let asked = here.http.post(format!("{}/api/v1/pause", here.url)).header(ORIGIN, &here.url);
        let asked = headers.iter().fold(asked, |asked, (name, value)| asked.header(*name, *value));
        let asked = asked.header(COOKIE, &here.cookie).json(&json!({ "scope": "all" }));
        assert_eq!(asked.send().await?.status().as_u16(), 401);
    }
    Ok(())
}

async fn cancelled_by(house: &House, id: &str, who: &str) -> anyhow::Result<()> {
    let journal = house.daemon.get(&format!("/api/v1/watches/{id}/journal")).await?;
    let events = journal["events"].as_array().context("events")?;
    let presses: Vec<&Value> =
        events.iter().filter_map(|one| one["event"].get("pressed")).collect();
    let [press] = presses[..] else { anyhow::bail!("one press: {presses:?}") };
    assert_eq!((&press["by"], &press["reason"]), (&json!(who), &json!("seen on the page")));
    Ok(())
}
