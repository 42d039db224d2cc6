//! One request with its redirects, bounded in time and size.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{StatusCode, Url};

use super::Outbound;
use super::allow::parts;
use super::resolver::Nowhere;

/// The largest answer that is read, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// Redirects that are followed.
const MOST_HOPS: usize = 5;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<Header>,
    /// JSON.
    pub body: Option<String>,
    /// For the answer with all its hops.
    pub time_out: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// A header, with the names of the secrets between its texts.
#[derive(Debug, Clone)]
pub struct Header {
    pub name: String,
    /// Text, or the name of a secret.
    pub value: Vec<Result<String, String>>,
}

/// How far a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The one address of the URL's name that is asked; `None`: any that answers.
    pub only: Option<IpAddr>,
    /// The largest answer that is read, in bytes.
    pub most_bytes: usize,
    /// Of a larger one the beginning is the answer; else it can't be used.
    pub may_cut: bool,
}

impl Default for Reach {
    fn default() -> Self {
        Self { only: None, most_bytes: MOST_BYTES, may_cut: false }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The body goes on, and was not read further.
    pub is_cut: bool,
}

/// Why there is no answer, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The settings don't allow it, or it is no request at all; asking again helps nothing.
    Refused(String),
    /// The name leads to no address: this may be the guard's own network.
    Unresolved(String),
    /// Nobody answered, or not in time, or not as a server should.
    NoAnswer(String),
    /// It answered, and the answer can't be used.
    Unusable(String),
}

impl Outbound {
    /// Asks once. The time for it does not count while others are asked, or its name is
    /// looked up.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        self.send_within(request, Reach::default()).await
    }

    /// The addresses that the name in `url` has now and may be asked at, ascending; of a URL
    /// with an address that one.
    ///
    /// # Errors
    /// Why it leads to none.
    pub async fn addresses(&self, url: &str) -> Result<Vec<IpAddr>, Failure> {
        let refused = |why: String| Failure::Refused(self.keyring.mask(&why));
        let url = Url::parse(url).map_err(|why| refused(format!("it is no URL: {why}")))?;
        self.allowed.url(&url).map_err(refused)?;
        let Some((scheme, host, port)) = parts(&url) else {
            return Err(refused("it names no host".to_owned()));
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let found = self.resolver(scheme, port, None).look_up(&host).await?;
        let mut all: Vec<IpAddr> = found.into_iter().map(|one| one.ip()).collect();
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// Asks once, and no farther than `reach`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send_within(&self, request: &Request, reach: Reach) -> Result<Answer, Failure> {
        let refused = |why: String| Failure::Refused(self.keyring.mask(&why));
        let url =
            Url::parse(&request.url).map_err(|why| refused(format!("it is no URL: {why}")))?;
        self.allowed.url(&url).map_err(refused)?;
        let Some((_, host, _)) = parts(&url) else {
            return Err(refused("it names no host".to_owned()));
        };
        let own = self.host(&host, reach.only);
        let (Ok(_own), Ok(_all)) = (own.acquire().await, self.turns.acquire().await) else {
            return Err(Failure::NoAnswer("it was not asked".to_owned()));
        };
        // A name that nobody can resolve must not look like a server that is slow.
        self.resolves(&url, reach.only).await?;
        let asking = self.follow(request, reach, url);
        let answer = tokio::time::timeout(request.time_out, asking).await;
        answer.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", request.time_out.as_secs_f32());
            Err(Failure::NoAnswer(why))
        })
    }

    async fn resolves(&self, url: &Url, only: Option<IpAddr>) -> Result<(), Failure> {
        let Some((scheme, host, port)) = parts(url) else { return Ok(()) };
        if host.parse::<IpAddr>().is_ok() {
            return Ok(());
        }
        let found = self.resolver(scheme, port, only).look_up(&host).await;
        found.map(drop).map_err(Failure::from)
    }

    async fn follow(&self, request: &Request, reach: Reach, first: Url) -> Result<Answer, Failure> {
        let (mut url, mut method) = (first.clone(), request.method);
        for _ in 0..=MOST_HOPS {
            let response = self.hop(request, reach.only, method, &first, &url).await?;
            let status = response.status();
            let Some(next) = redirected(&response, &url)? else {
                return self.read(response, reach).await;
            };
            self.allowed.url(&next).map_err(|why| {
                Failure::Refused(format!("it redirects to {}: {why}", shown(&next)))
            })?;
            // As browsers do: only 307 and 308 ask for the same again.
            if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                method = Method::Get;
            }
            url = next;
        }
        Err(Failure::Unusable(format!("it redirects more than {MOST_HOPS} times")))
    }

    async fn hop(
        &self,
        request: &Request,
        only: Option<IpAddr>,
        method: Method,
        first: &Url,
        url: &Url,
    ) -> Result<reqwest::Response, Failure> {
        let (scheme, _, port) =
            parts(url).ok_or_else(|| Failure::Refused("it names no host".to_owned()))?;
        let at_home = parts(first) == parts(url);
        let only = only.filter(|_| at_home);
        let client = self.client(scheme, port, only);
        let client = client.map_err(|why| Failure::Refused(self.why(why)))?;
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        if at_home {
            self.headers(request, url, &mut headers)?;
        }
        let is_post = method == reqwest::Method::POST;
        let mut built = client.request(method, url.clone());
        if let Some(body) = request.body.clone().filter(|_| is_post && at_home) {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            built = built.body(body);
        }
        built.headers(headers).send().await.map_err(|error| self.failure(error))
    }

    fn headers(&self, request: &Request, url: &Url, into: &mut HeaderMap) -> Result<(), Failure> {
        for Header { name, value } in &request.headers {
            let mut text = String::new();
            let mut is_secret = false;
            for piece in value {
                match piece {
                    Ok(plain) => text.push_str(plain),
                    Err(secret) => {
                        is_secret = true;
                        text.push_str(self.keyring.open(secret, url).map_err(Failure::Refused)?);
                    }
                }
            }
            let (Ok(key), Ok(mut value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(&text))
            else {
                let why = format!("the header `{name}` has characters that no header has");
                return Err(Failure::Refused(why));
            };
            value.set_sensitive(is_secret);
            into.insert(key, value);
        }
        Ok(())
    }

    async fn read(&self, mut response: reqwest::Response, reach: Reach) -> Result<Answer, Failure> {
        let Reach { most_bytes: most, may_cut, .. } = reach;
        let status = response.status().as_u16();
        let too_large = || Failure::Unusable(format!("it answers more than {} MiB", most >> 20));
        if !may_cut && response.content_length().is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failure(error))? {
            let room = most - body.len();
            body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if piece.len() > room {
                let cut = Answer { status, body, is_cut: true };
                return if may_cut { Ok(cut) } else { Err(too_large()) };
            }
        }
        Ok(Answer { status, body, is_cut: false })
    }

    fn failure(&self, error: reqwest::Error) -> Failure {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            match error.downcast_ref::<Nowhere>() {
                Some(nowhere) => return nowhere.clone().into(),
                None => cause = error.source(),
            }
        }
        Failure::NoAnswer(self.why(error))
    }

    /// The causes in words, without the address, which the asker knows.
    fn why(&self, error: reqwest::Error) -> String {
        const LONGEST: usize = 200;
        let error = error.without_url();
        let mut last = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            last = error.to_string();
            cause = error.source();
        }
        let words = format!("no answer: {}", self.keyring.mask(&last));
        words.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
    }
}

impl From<Nowhere> for Failure {
    fn from(nowhere: Nowhere) -> Self {
        match nowhere {
            Nowhere::Unresolved(why) => Self::Unresolved(why),
            Nowhere::NotAllowed(why) => Self::Refused(why),
        }
    }
}

/// Where the answer sends the asker; `None`: it is the answer.
fn redirected(response: &reqwest::Response, url: &Url) -> Result<Option<Url>, Failure> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let next = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let next = next.and_then(|to| url.join(to).ok());
    next.map(Some).ok_or_else(|| Failure::Unusable("it redirects to nowhere".to_owned()))
}

/// Scheme and host: what follows may be somebody's secret.
fn shown(url: &Url) -> String {
    let (scheme, host) = (url.scheme(), url.host_str().unwrap_or_default());
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let text = format!("{scheme}://{host}{port}");
    text.chars().take(100).collect()
}
