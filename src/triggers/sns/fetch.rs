//! What is fetched from SNS: certificates, once each, and confirmations.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Response, Url, redirect};
use tokio::sync::Mutex;

use super::Refusal;
use super::signature::Certificate;

/// The most that one fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes: a certificate has about two thousand.
const LIMIT: usize = 64 * 1024;
/// Certificates that are remembered; SNS has one a region and changes it once in years.
const REMEMBERED: usize = 64;

/// The way to SNS.
pub struct Wire {
    client: Client,
    stand_in: Option<Url>,
    known: Mutex<BTreeMap<Url, Certificate>>,
    /// One fetch at a time: who posts forged addresses must not make us a hammer.
    turn: Mutex<()>,
}

impl Wire {
    pub fn new(stand_in: Option<String>) -> Result<Self, String> {
        let stand_in = stand_in.map(|url| Url::parse(&url)).transpose();
        let stand_in = stand_in.map_err(|error| error.to_string())?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .https_only(stand_in.is_none())
            .build();
        let client = client.map_err(|error| error.to_string())?;
        Ok(Self { client, stand_in, known: Mutex::default(), turn: Mutex::default() })
    }

    /// The certificate at `url`, which must be one of SNS's.
    pub async fn certificate(&self, url: &Url) -> Result<Certificate, Refusal> {
        if let Some(known) = self.known.lock().await.get(url) {
            return Ok(known.clone());
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = self.known.lock().await.get(url) {
            return Ok(known.clone());
        }
        let answer = self.get(url).await?;
        let pem = bounded(answer, url).await?;
        let certificate = Certificate::read(&pem).map_err(|why| unknown(url, &why))?;
        let mut known = self.known.lock().await;
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(url.clone(), certificate.clone());
        Ok(certificate)
    }

    /// Visits the address that confirms a subscription.
    pub async fn confirm(&self, url: &Url) -> Result<(), Refusal> {
        let answer = self.get(url).await?;
        bounded(answer, url).await.map(|_| ())
    }

    async fn get(&self, url: &Url) -> Result<Response, Refusal> {
        let answer = self.client.get(self.place(url)).send().await;
        let answer = answer.map_err(|error| unknown(url, &error.without_url().to_string()))?;
        let status = answer.status();
        if status.is_success() { Ok(answer) } else { Err(unknown(url, &status.to_string())) }
    }

    /// Where the address is in fact; SNS's own host but for tests.
    fn place(&self, url: &Url) -> Url {
        match &self.stand_in {
            None => url.clone(),
            Some(stand_in) => {
                let mut place = stand_in.clone();
                place.set_path(url.path());
                place.set_query(url.query());
                place
            }
        }
    }
}

async fn bounded(mut answer: Response, url: &Url) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= LIMIT => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err(unknown(url, "the answer is too large")),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(unknown(url, &error.without_url().to_string())),
        }
    }
}

/// Without the query: it carries the token of a subscription.
fn unknown(url: &Url, why: &str) -> Refusal {
    let host = url.host_str().unwrap_or_default();
    Refusal::Unknown(format!("https://{host}{}: {why}", url.path()))
}
