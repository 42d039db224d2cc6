//! Requests as a policy writes them, with their variables: which there are, and how a value
//! is put in so that it can't change anything but the place it stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::diagnostic::{Mistake, nearest};
use super::plain::{self, pieces};
use super::template::{range, unknown_variable_beside};
use crate::model::{Edge, Filled, Form, Piece, WebAsk};

/// Variables of a stretch of time, and what each stands for.
const TIMES: [(&str, Edge, Form); 6] = [
    ("since", Edge::Since, Form::Rfc3339),
    ("until", Edge::Until, Form::Rfc3339),
    ("since_s", Edge::Since, Form::Seconds),
    ("until_s", Edge::Until, Form::Seconds),
    ("since_ms", Edge::Since, Form::Milliseconds),
    ("until_ms", Edge::Until, Form::Milliseconds),
];

/// A request, its variables not filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebText {
    pub url: String,
    pub headers: BTreeMap<String, String>,
    /// JSON; with one it is a POST.
    pub body: Option<String>,
    pub timeout: SignedDuration,
}

/// A health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub web: WebText,
    /// The answers that are healthy; none: 200 to 299.
    pub expect: BTreeSet<u16>,
    /// Checks of it that are somebody else's.
    pub depends_on: BTreeSet<String>,
    /// A JSONPath to the version that answers.
    pub version: Option<String>,
}

/// Numbers out of a JSON answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonValue {
    pub web: WebText,
    /// A JSONPath.
    pub path: String,
    /// The number of what the path finds, instead of its value.
    pub count: bool,
}

/// Where a variable stands, and so how its value is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Url,
    /// Between the quotes of a JSON string.
    Json,
    Header,
}

/// Which variables a text may have, beside those of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct May {
    /// It asks about a stretch of time.
    pub times: bool,
    pub secrets: bool,
}

impl WebText {
    /// Every text in which variables may stand.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.values().map(String::as_str);
        [self.url.as_str()].into_iter().chain(self.body.as_deref()).chain(headers)
    }

    /// The secrets that it needs.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.texts().flat_map(plain::names).filter_map(|name| name.strip_prefix("secrets."))
    }

    /// Its URL up to the host, where no variable stands in that.
    pub fn known_host(&self) -> Option<String> {
        let (scheme, rest) = self.url.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next().filter(|host| !host.contains("${"))?;
        Some(format!("{scheme}://{host}/"))
    }

    /// Whether it says for which time it asks: then the past can be asked for.
    pub fn has_past(&self) -> bool {
        self.asked().any(|name| TIMES.iter().any(|(time, _, _)| *time == name))
    }

    /// Whether what it asks for depends on a stretch of time.
    pub fn looks_back(&self) -> bool {
        self.has_past() || self.asked().any(|name| name == "window")
    }

    fn asked(&self) -> impl Iterator<Item = &str> {
        let texts = [self.url.as_str()].into_iter().chain(self.body.as_deref());
        texts.flat_map(plain::names)
    }

    /// With every variable's value in its place but for times and secrets.
    pub(super) fn fill<'v>(
        &self,
        window: SignedDuration,
        value: impl Fn(&str) -> &'v str,
    ) -> WebAsk {
        let fill = |text: &str, place| filled(text, place, window, &value);
        WebAsk {
            url: fill(&self.url, Place::Url),
            headers: self
                .headers
                .iter()
                .map(|(name, text)| (name.clone(), fill(text, Place::Header)))
                .collect(),
            body: self.body.as_deref().map(|text| fill(text, Place::Json)),
            timeout: self.timeout,
        }
    }
}

fn filled<'v>(
    text: &str,
    place: Place,
    window: SignedDuration,
    value: impl Fn(&str) -> &'v str,
) -> Filled {
    let mut made: Vec<Piece> = Vec::new();
    for (before, name) in pieces(text) {
        let mut plain = before.to_owned();
        let later = match name {
            None => None,
            Some("window") => {
                plain.push_str(&range(window));
                None
            }
            Some(name) => match (time(name), name.strip_prefix("secrets.")) {
                (Some((edge, form)), _) => Some(Piece::Time(edge, form)),
                (None, Some(secret)) => Some(Piece::Secret(secret.to_owned())),
                (None, None) => {
                    place.write(value(name), &mut plain);
                    None
                }
            },
        };
        match made.last_mut() {
            Some(Piece::Text(last)) => last.push_str(&plain),
            Some(Piece::Time(_, _) | Piece::Secret(_)) | None if plain.is_empty() => {}
            Some(Piece::Time(_, _) | Piece::Secret(_)) | None => made.push(Piece::Text(plain)),
        }
        made.extend(later);
    }
    Filled(made)
}

fn time(name: &str) -> Option<(Edge, Form)> {
    TIMES.iter().find(|(known, _, _)| *known == name).map(|(_, edge, form)| (*edge, *form))
}

impl Place {
    /// Appends `value` as it is written there.
    fn write(self, value: &str, out: &mut String) {
        match self {
            Self::Url if matches!(value, "." | "..") => {
                // However it is escaped it would go up a folder.
                out.push_str(&value.replace('.', "%252E"));
            }
            Self::Url => {
                for byte in value.bytes() {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                        out.push(char::from(byte));
                    } else {
                        let _ = write!(out, "%{byte:02X}");
                    }
                }
            }
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            }
            Self::Header => out.push_str(value),
        }
    }
}

/// Whether every variable is known and may stand there.
pub(super) fn check(text: &str, may: May) -> Result<(), Mistake> {
    if plain::names(text).count() < text.matches("${").count() {
        return Err(Mistake::new("a `${` without its `}`"));
    }
    for name in plain::names(text) {
        if name == "secrets" || name.starts_with("secrets.") {
            let short = name.strip_prefix("secrets.").unwrap_or_default();
            if !may.secrets {
                return Err(Mistake::new(format!(
                    "`${{{name}}}` stands outside a header: it would be logged on its way"
                ))
                .mend("write it into `headers`"));
            }
            let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
            if short.is_empty() || !short.chars().all(fits) {
                return Err(Mistake::new(format!("`${{{name}}}` names no secret"))
                    .mend("write `${secrets.NAME}`, as the settings name it"));
            }
        } else if name == "window" || time(name).is_some() {
            if !may.times {
                return Err(Mistake::new(format!("`${{{name}}}` stands only in a `json`"))
                    .mend("health is asked at an instant"));
            }
        } else if let Some(secret) = slip_of_a_secret(name).filter(|_| may.secrets) {
            return Err(Mistake::new(format!("unknown variable `${{{name}}}`"))
                .mend(format!("did you mean `${{secrets.{secret}}}`?")));
        } else if let Some(unknown) =
            unknown_variable_beside(name, if may.secrets { &["secrets.NAME"] } else { &[] })
        {
            let times = TIMES.map(|(time, _, _)| time);
            return Err(match nearest(name, times).first().filter(|_| may.times) {
                Some(near) => unknown.mend(format!("did you mean `${{{near}}}`?")),
                None => unknown,
            });
        }
    }
    Ok(())
}

/// The secret that `secret.sentry` means.
fn slip_of_a_secret(name: &str) -> Option<&str> {
    let (head, secret) = name.split_once('.')?;
    (nearest(head, ["secrets", "labels"]).first() == Some(&"secrets")).then_some(secret)
}

/// As it may look with its variables filled in, to see whether it can be read at all.
pub(super) fn sample(text: &str) -> String {
    let value = |name: &str| match time(name) {
        Some((_, Form::Seconds | Form::Milliseconds)) => "1",
        Some((_, Form::Rfc3339)) | None => "x",
    };
    pieces(text).flat_map(|(before, name)| [before, name.map_or("", value)]).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const WINDOW: SignedDuration = SignedDuration::from_mins(5);

    fn put(text: &str, place: Place, value: &str) -> String {
        let until = Timestamp::from_second(1_000_000_000).unwrap();
        let filled = filled(text, place, WINDOW, |_| value);
        let pieces = filled.at(until, WINDOW).into_iter();
        pieces.map(|piece| piece.unwrap_or_else(|secret| format!("<{secret}>"))).collect()
    }

    #[test]
    fn times_are_those_of_the_stretch() {
        let put = |text| put(text, Place::Url, "");
        assert_eq!(put("?since=${since}&w=${window}"), "?since=2001-09-09T01:41:40Z&w=5m");
        assert_eq!(put("${since_s}-${until_s}"), "999999700-1000000000");
        assert_eq!(put("${since_ms}..${until_ms}"), "999999700000..1000000000000");
        assert_eq!(put("${until}"), "2001-09-09T01:46:40Z");
    }

    #[test]
    fn a_value_is_escaped_for_where_it_stands() {
        assert_eq!(
            put("/${service}/h?q=${service}", Place::Url, "a/b?c&d=ü"),
            "/a%2Fb%3Fc%26d%3D%C3%BC/h?q=a%2Fb%3Fc%26d%3D%C3%BC"
        );
        assert_eq!(put("/a/${service}/h", Place::Url, ".."), "/a/%252E%252E/h");
        assert_eq!(put(r#"{"q":"${service}"}"#, Place::Json, "a\"b\\\n"), r#"{"q":"a\"b\\\n"}"#);
    }

    #[test]
    fn a_value_that_looks_like_a_variable_stays_a_value() {
        for place in [Place::Url, Place::Json, Place::Header] {
            let text = put("${service}", place, "${secrets.sentry}${since}");
            assert!(!text.contains('<') && !text.contains("2001"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_place(value in any::<String>()) {
            let url = reqwest::Url::parse(&put("https://h/a/${service}/b?q=${service}&z=1", Place::Url, &value)).unwrap();
            prop_assert_eq!(url.host_str(), Some("h"));
            prop_assert!(url.path().starts_with("/a/") && url.path().ends_with("/b"), "{}", url);
            prop_assert_eq!(url.query_pairs().count(), 2);
            prop_assert!(url.fragment().is_none());
            let body = put(r#"{"q":"${service}","z":1}"#, Place::Json, &value);
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            prop_assert_eq!(body, serde_json::json!({ "q": value, "z": 1 }));
        }
    }

    #[test]
    fn a_variable_that_is_unknown_or_may_not_stand_there_is_told() {
        let (url, header) =
            (May { times: true, secrets: false }, May { times: false, secrets: true });
        for good in ["${service}/${labels.x}", "${since_ms}", "${window}", "plain $5"] {
            assert_eq!(check(good, url), Ok(()), "{good}");
        }
        assert_eq!(check("Bearer ${secrets.sentry}", header), Ok(()));
        for bad in ["${serivce}", "${secrets.sentry}", "${", "${since_us}"] {
            assert!(check(bad, url).is_err(), "{bad}");
        }
        let mend = |text| check(text, header).unwrap_err().mend.unwrap();
        assert_eq!(mend("${secret.sentry}"), "did you mean `${secrets.sentry}`?");
        assert!(mend("${token}").ends_with("`labels.NAME` and `secrets.NAME`"));
        assert!(!check("${token}", url).unwrap_err().mend.unwrap().contains("secrets"));
        for bad in ["${secrets.}", "${secrets}", "${secrets.a b}", "${since}", "${window}"] {
            assert!(check(bad, header).is_err(), "{bad}");
        }
    }
}
