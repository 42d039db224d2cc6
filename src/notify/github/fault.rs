//! What GitHub's answers mean for the outbox.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::notify::slack::text::line;
use crate::notify::{DeliverError, LIMITED, LONGEST_WAIT, MENDING};

/// What is waited where GitHub limits the rate and does not say for how long.
const LEAST_WAIT: Duration = Duration::from_mins(1);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    retry_after: Option<Duration>,
    /// How long until there is room again, where there is none left.
    reset: Option<Duration>,
    /// The permissions that GitHub says are needed.
    needs: Option<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let number = |name| text(name)?.parse::<i64>().ok();
        let seconds = |name| u64::try_from(number(name)?).ok().map(Duration::from_secs);
        // By GitHub's own clock: ours may be off.
        let date = text(DATE.as_str())
            .and_then(|text| rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
        let reset = || {
            let reset = Timestamp::from_second(number("x-ratelimit-reset")?).ok()?;
            Some(Duration::try_from(reset.duration_since(date?)).unwrap_or_default())
        };
        let spent = number("x-ratelimit-remaining") == Some(0);
        Self {
            status,
            retry_after: seconds(RETRY_AFTER.as_str()),
            reset: spent.then(reset).flatten(),
            needs: text("x-accepted-github-permissions").map(str::to_owned),
            body: Vec::new(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What GitHub says about it, one line.
    pub(super) fn said(&self) -> String {
        let body = self.json();
        let message = body["message"].as_str().unwrap_or_default();
        let errors = body["errors"].as_array().into_iter().flatten();
        let errors = errors.filter_map(|one| one["message"].as_str().or(one.as_str()));
        let said: Vec<&str> = std::iter::once(message).chain(errors).collect();
        line(&said.join(" "), 300)
    }

    /// How long nothing may be asked, where it limits the rate.
    pub(super) fn limited(&self) -> Option<Duration> {
        let by_rate = || {
            let said = self.said().to_ascii_lowercase();
            self.retry_after.is_some() || self.reset.is_some() || said.contains("rate limit")
        };
        let limited = match self.status.as_u16() {
            429 => true,
            403 => by_rate(),
            // GraphQL answers so.
            200 => self.json()["errors"][0]["type"] == "RATE_LIMITED",
            _ => false,
        };
        let wait = self.retry_after.or(self.reset).unwrap_or(LEAST_WAIT);
        limited.then(|| wait.min(LONGEST_WAIT))
    }
}

/// The document of an answer, or what it means that there is none.
pub(super) fn judge(answer: &Answer) -> Result<Value, DeliverError> {
    let transient = |reason, retry_after| Err(DeliverError::Transient { reason, retry_after });
    if let Some(wait) = answer.limited() {
        return transient(format!("{LIMITED} (HTTP {})", answer.status.as_u16()), Some(wait));
    }
    let status = answer.status;
    let said = match answer.said() {
        said if said.is_empty() => String::new(),
        said => format!(": {said}"),
    };
    match status.as_u16() {
        200..=299 => Ok(answer.json()),
        401 => transient(format!("HTTP {status}{said} (see github.token)"), Some(MENDING)),
        403 => {
            let needs =
                answer.needs.as_ref().map(|needs| format!("; it needs {}", line(needs, 200)));
            let needs = needs.unwrap_or_default();
            transient(format!("HTTP {status}{said}{needs}"), Some(MENDING))
        }
        // What a token may not see is not there for it.
        404 => {
            let reason = format!("HTTP {status}{said} (or the token may not see it)");
            transient(reason, Some(MENDING))
        }
        408 | 500..=599 => transient(format!("HTTP {status}{said}"), answer.retry_after),
        300..=399 => Err(DeliverError::Permanent(format!(
            "HTTP {status}: the repository is called otherwise now; name it so in the settings"
        ))),
        _ => Err(DeliverError::Permanent(format!("HTTP {status}{said}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let pairs = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
        });
        let mut answer = Answer::of(StatusCode::from_u16(status).unwrap(), &pairs.collect());
        answer.body = body.as_bytes().to_vec();
        answer
    }

    fn wait(answer: &Answer) -> Option<Duration> {
        match judge(answer) {
            Err(DeliverError::Transient { retry_after, .. }) => retry_after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_way_in_which_github_limits_the_rate_is_waited_for_as_it_says() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let reset = [date, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1792567980")];
        let secondary = r#"{"message":"You have exceeded a secondary rate limit."}"#;
        for (answer, seconds) in [
            (answer(429, &[("retry-after", "30")], ""), 30),
            (answer(403, &[("retry-after", "90")], secondary), 90),
            (answer(403, &reset, r#"{"message":"API rate limit exceeded"}"#), 300),
            (answer(403, &[], secondary), 60),
            (answer(429, &[], ""), 60),
            (answer(403, &[("retry-after", "999999")], ""), 3600),
            (answer(200, &[], r#"{"errors":[{"type":"RATE_LIMITED"}]}"#), 60),
        ] {
            assert_eq!(wait(&answer), Some(Duration::from_secs(seconds)), "{answer:?}");
        }
        let left = answer(403, &[("x-ratelimit-remaining", "4999")], r#"{"message":"Forbidden"}"#);
        assert_eq!(wait(&left), Some(MENDING), "that is a permission");
    }

    #[test]
    fn what_people_can_mend_is_tried_again_and_what_is_refused_is_given_up() {
        let needs = [("x-accepted-github-permissions", "statuses=write")];
        let forbidden = answer(403, &needs, r#"{"message":"Resource not accessible"}"#);
        let Err(DeliverError::Transient { reason, .. }) = judge(&forbidden) else { panic!() };
        assert_eq!(reason, "HTTP 403 Forbidden: Resource not accessible; it needs statuses=write");
        assert_eq!(wait(&answer(401, &[], "")), Some(MENDING));
        assert_eq!(wait(&answer(404, &[], "")), Some(MENDING));
        assert_eq!(wait(&answer(502, &[], "")), None);
        for status in [301, 410, 422] {
            let judged = judge(&answer(status, &[], "{}"));
            assert!(matches!(judged, Err(DeliverError::Permanent(_))), "{status}");
        }
        assert!(judge(&answer(201, &[], r#"{"id":1}"#)).is_ok());
    }
}
