//! A real Chromium, driven by `WebDriver`; what only its own protocol can do goes by that.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_rustls::HttpsConnectorBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::house::LONG;
use crate::world::leash::Leashed;
use crate::world::prometheus::free_port;

/// A port that was free a moment ago can be taken by somebody else in between.
const PORTS_TO_TRY: usize = 5;

/// What people look at pages with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Desktop,
    Phone,
}

impl Screen {
    /// Width and height in CSS pixels.
    fn size(self) -> (u32, u64) {
        match self {
            Self::Desktop => (1440, 900),
            Self::Phone => (360, 780),
        }
    }
}

/// One browser with one page; both end with it.
pub struct Browser {
    pub page: Client,
    _driver: Leashed,
}

impl Browser {
    pub async fn open() -> anyhow::Result<Browser> {
        for _ in 0..PORTS_TO_TRY {
            let port = free_port()?;
            let driver =
                Leashed::start(["chromedriver", &format!("--port={port}")], Stdio::null())?;
            if let Some(page) = session(&format!("http://127.0.0.1:{port}")).await? {
                return Ok(Browser { page, _driver: driver });
            }
        }
        bail!("chromedriver did not start on any of {PORTS_TO_TRY} ports")
    }

    /// Asks for a page and waits until it is there.
    pub async fn go(&self, url: &str) -> anyhow::Result<()> {
        Ok(self.page.goto(url).await?)
    }

    /// Runs a script in the page; it returns JSON.
    pub async fn run(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.page.execute(script, vec![]).await?)
    }

    /// Asks the page, until the expression is true.
    pub async fn until(&self, what: &str, expression: &str) -> anyhow::Result<()> {
        let script = format!("return Boolean({expression});");
        let deadline = tokio::time::Instant::now() + LONG;
        while self.run(&script).await? != true {
            if tokio::time::Instant::now() > deadline {
                let text = self.run("return document.body.innerText").await?;
                bail!("{what} was never seen; the page says:\n{}", text.as_str().unwrap_or(""));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Presses what this selector finds.
    pub async fn press(&self, selector: &str) -> anyhow::Result<()> {
        let found = self.page.find(Locator::Css(selector)).await;
        found.with_context(|| format!("nothing is {selector}"))?.click().await?;
        Ok(())
    }

    /// Logs in by the form, as a person with this token.
    pub async fn log_in(&self, url: &str, token: &str) -> anyhow::Result<()> {
        self.go(&format!("{url}/login")).await?;
        self.page.find(Locator::Css("input[name=token]")).await?.send_keys(token).await?;
        self.press("form.login button").await?;
        self.until("the session", "document.querySelector('form[action=\"/logout\"]')").await
    }

    /// From now on the page is looked at on this screen, in the dark or not.
    pub async fn look(&self, screen: Screen, dark: bool) -> anyhow::Result<()> {
        self.measures(screen, screen.size().1).await?;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await?;
        Ok(())
    }

    /// A picture of the whole page as it is on this screen, in the folder that cargo gives tests.
    pub async fn picture(&self, name: &str, screen: Screen) -> anyhow::Result<()> {
        let height = self.run("return document.documentElement.scrollHeight").await?;
        self.measures(screen, height.as_u64().context("a height")?.min(6000)).await?;
        let png = self.page.screenshot().await?;
        self.measures(screen, screen.size().1).await?;
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(format!("{name}.png")), png)?)
    }

    async fn measures(&self, screen: Screen, height: u64) -> anyhow::Result<()> {
        let is_mobile = screen == Screen::Phone;
        let metrics = json!({ "width": screen.size().0, "height": height, "deviceScaleFactor": 1,
            "mobile": is_mobile });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(())
    }

    /// What the browser complained of since the last time: scripts that broke, what the
    /// Content-Security-Policy stopped, what could not be had.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let logged = self.order("se/log", json!({ "type": "browser" })).await?;
        let logged = logged.as_array().cloned().unwrap_or_default();
        let bad = logged.into_iter().filter(|entry| entry["level"] == "SEVERE");
        Ok(bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// An order of Chromium's own protocol.
    pub async fn cdp(&self, cmd: &str, params: Value) -> anyhow::Result<Value> {
        self.order("goog/cdp/execute", json!({ "cmd": cmd, "params": params })).await
    }

    async fn order(&self, path: &'static str, body: Value) -> anyhow::Result<Value> {
        Ok(self.page.issue_cmd(Order { path, body }).await?)
    }
}

/// A session, once the driver listens; `None` where it can't have its port.
async fn session(url: &str) -> anyhow::Result<Option<Client>> {
    let http = reqwest::Client::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(answer) = http.get(format!("{url}/status")).send().await {
            let status: Value = answer.json().await?;
            if status["value"]["ready"] == true {
                break;
            }
        }
        if tokio::time::Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let wanted = json!({
        "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-background-networking",
            // The browser ends when whoever drives it does.
            "--remote-debugging-pipe",
        ] },
        "goog:loggingPrefs": { "browser": "ALL" },
    });
    let wanted: Capabilities = serde_json::from_value(wanted)?;
    let connector =
        HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
    Ok(Some(ClientBuilder::new(connector).capabilities(wanted).connect(url).await?))
}

/// An order that `WebDriver`'s own standard does not have.
#[derive(Debug)]
struct Order {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Order {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// The rules of accessibility, as a script; tests/world/install.sh got it.
pub fn axe() -> anyhow::Result<String> {
    let lib = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../venv/lib");
    let pythons = std::fs::read_dir(&lib).context("run tests/world/install.sh")?;
    let inside = "site-packages/axe_playwright_python/axe.min.js";
    let found = pythons.flatten().map(|one| one.path().join(inside)).find(|one| one.exists());
    Ok(std::fs::read_to_string(found.context("axe is missing: run tests/world/install.sh")?)?)
}
