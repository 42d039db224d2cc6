//! Single values of a policy file, each with its place.

use std::fmt;
use std::marker::PhantomData;

use marked_yaml::{Marker, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::amount::stretch;
use crate::model::{Mode, Recipient, Revert, Severity, TaskGauge, without_kinds};
use crate::policy::diagnostic::{Mistake, quoted};
use crate::policy::glob::Glob;
use crate::policy::selector;
use crate::policy::{
    Against, DatabaseRule, Fallback, Hours, LowTraffic, MovedBy, OnTimeout, Rung, Stance,
    Unannounced,
};

/// Parts a message and its mend on their way through serde, which carries one string.
pub(super) const MEND: char = '\u{1f}';

/// A value with the place where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub marker: Marker,
}

/// What a single value of a policy can be.
pub(super) trait Scalar: Sized {
    /// In a message: "expected {EXPECTED}, found a mapping".
    const EXPECTED: &'static str;

    fn parse(text: &str) -> Result<Self, Mistake>;

    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<'de, T: Scalar> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Text<T>>::deserialize(deserializer)?;
        let start = spanned.span().start().copied();
        let marker = start.ok_or_else(|| D::Error::custom("a value without a place"))?;
        T::parse(&spanned.0).map(|value| Self { value, marker }).map_err(|mistake| {
            D::Error::custom(match mistake.mend {
                Some(mend) => format!("{}{MEND}{mend}", mistake.message),
                None => mistake.message,
            })
        })
    }
}

impl<T: Scalar> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::EXPECTED.into()
    }

    /// What may stand there is the title, because the description is the key's own. Words
    /// that are listed need none.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = T::schema();
        let is_listed = schema.get("enum").is_some() || schema.get("const").is_some();
        if !is_listed && schema.get("type").is_none_or(|kind| kind != "boolean") {
            schema.insert("title".to_owned(), T::EXPECTED.into());
        }
        schema
    }
}

struct Text<T>(String, PhantomData<T>);

impl<'de, T: Scalar> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain<T>(PhantomData<T>);
        impl<T: Scalar> Visitor<'_> for Plain<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(text.to_owned(), PhantomData))
            }
        }
        deserializer.deserialize_str(Plain(PhantomData))
    }
}

/// Values that are one of a few words.
macro_rules! words {
    ($($type:ty, $expected:literal, [$($word:literal => $value:expr),+ $(,)?];)+) => {$(
        impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, Mistake> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(not_a_word(text, Self::EXPECTED, &[$($word),+])),
                }
            }

            fn schema() -> Schema {
                json_schema!({ "enum": [$($word),+] })
            }
        }
    )+};
}

/// What a rollback goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownGood;

/// What is done after a while instead of a rollback.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskInstead;

/// What is done about a breach, in one word.
#[derive(Debug, Clone, Copy)]
pub(super) enum ActionWord {
    Rollback,
    Ask,
    Notify,
}

/// Rules that ship with deployguard.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bundle {
    EcsWeb,
    EcsCloudWatch,
}

/// The version of the policy language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version;

words! {
    Mode, "a mode", ["observe" => Mode::Observe, "ask" => Mode::Ask, "auto" => Mode::Auto];
    Severity, "a severity", ["SEV1" => Severity::Sev1, "SEV2" => Severity::Sev2, "SEV3" => Severity::Sev3];
    Against, "a baseline", [
        "before" => Against::Before,
        "same-hour" => Against::SameHour,
        "last-week" => Against::LastWeek,
        "old-revision" => Against::OldRevision,
        "peers" => Against::Peers,
    ];
    TaskGauge, "what is known of tasks", ["failures" => TaskGauge::Failures, "running" => TaskGauge::Running, "healthy_targets" => TaskGauge::HealthyTargets];
    LowTraffic, "what too little traffic means", ["pass" => LowTraffic::Pass, "inconclusive" => LowTraffic::Inconclusive];
    MovedBy, "who moves the traffic", ["pipeline" => MovedBy::Pipeline, "deployguard" => MovedBy::Deployguard];
    Fallback, "a fallback", ["previous" => Fallback::Previous, "ask" => Fallback::Ask];
    Stance, "what the gate does about it", ["refuse" => Stance::Refuse, "warn" => Stance::Warn, "ignore" => Stance::Ignore];
    Unannounced, "what an unannounced deployment gets", ["ask" => Unannounced::Ask, "rollback" => Unannounced::Rollback];
    Revert, "what is opened after a rollback", ["pull-request" => Revert::PullRequest, "issue" => Revert::Issue, "off" => Revert::Off];
    OnTimeout, "what follows when nobody answers", ["escalate" => OnTimeout::Escalate, "rollback" => OnTimeout::Rollback];
    KnownGood, "a rollback's target", ["known-good" => KnownGood];
    AskInstead, "what replaces a rollback", ["ask" => AskInstead];
    ActionWord, "an action", ["rollback" => ActionWord::Rollback, "ask" => ActionWord::Ask, "notify" => ActionWord::Notify];
    Bundle, "a bundle", ["ecs-web" => Bundle::EcsWeb, "ecs-cloudwatch" => Bundle::EcsCloudWatch];
}

/// Words of the policy language that this version does not act on yet.
const COMING: [&str; 3] = ["last-day", "yesterday", "stable"];

fn not_a_word(text: &str, expected: &str, words: &[&str]) -> Mistake {
    if COMING.contains(&text) {
        return Mistake::new(format!("`{text}` is not implemented yet"))
            .mend(format!("use {}", quoted(words)));
    }
    Mistake::new(format!("`{text}` is not {expected}")).mend_from(text, words)
}

/// PromQL in a policy, by what it is for.
macro_rules! promql {
    ($($(#[$doc:meta])* $type:ident, $expected:literal, $check:path;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $type(pub String);

        impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, Mistake> {
                $check(text).map(|()| Self(text.trim().to_owned()))
            }
        }
    )+};
}

promql! {
    /// A plain selector of counters.
    Counter, "a selector such as `http_requests_total{status=~\"5..\"}`", selector::check_counter;
    /// A plain selector of a histogram's buckets.
    Buckets, "a selector such as `http_request_duration_seconds_bucket`", selector::check_buckets;
    /// A query that counts events within `${window}`.
    CountQuery, "a query such as `sum(increase(NAME[${window}]))`", selector::check_count_query;
    /// Any query that answers with values.
    Query, "a PromQL query", selector::check_query;
}

impl Scalar for Version {
    const EXPECTED: &'static str = "the version of the policy language, `1`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "1" => Ok(Self),
            _ => Err(Mistake::new(format!("this deployguard reads `version: 1`, not `{text}`"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "const": 1 })
    }
}

/// A name that people read: of a policy or an environment.
impl Scalar for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Mistake::new(format!("`{text}` is not `true` or `false`"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl Scalar for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, Mistake> {
        if text.trim().is_empty() {
            return Err(Mistake::new("an empty name"));
        }
        if text.chars().count() > 128 {
            return Err(Mistake::new("a name has at most 128 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(Mistake::new("a name has no line breaks"));
        }
        Ok(text.to_owned())
    }
}

/// A pattern over names.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub String);

impl Scalar for Pattern {
    const EXPECTED: &'static str = "a name or a pattern such as `shopflow-*`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        if without_kinds(text).contains(['/', ':']) {
            return Err(Mistake::new(format!("`{text}` is not a name"))
                .mend("of an ARN, give the part behind the last `/`"));
        }
        Glob::parse(text).map(|_| Self(text.to_owned())).map_err(Mistake::new)
    }
}

/// The exact name of a service.
#[derive(Debug, Clone)]
pub(super) struct ServiceName(pub String);

impl Scalar for ServiceName {
    const EXPECTED: &'static str = "the name of a service";

    fn parse(text: &str) -> Result<Self, Mistake> {
        if text.contains(['*', '?', '{', '}']) {
            return Err(Mistake::new(format!("`{text}` is a pattern, and here stand names"))
                .mend("name each service for itself: `[web, worker]`"));
        }
        let fits = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        let name = without_kinds(text);
        if !name.is_empty() && text.len() <= 255 && name.chars().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Mistake::new(format!("`{text}` can't be the name of a service"))
            .mend("of an ARN, give the part behind the last `/`"))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,255}$" })
    }
}

/// A label's name, as Prometheus allows it.
#[derive(Debug, Clone)]
pub(super) struct LabelName(pub String);

impl Scalar for LabelName {
    const EXPECTED: &'static str = "a label's name";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let fits = |(at, char): (usize, char)| {
            char == '_' || char.is_ascii_alphabetic() || (at > 0 && char.is_ascii_digit())
        };
        if !text.is_empty() && text.chars().enumerate().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Mistake::new(format!("`{text}` can't be a label's name"))
            .mend("it has letters, digits and `_`"))
    }
}

/// A Slack id: `C0123ABC`, `S0ONCALL`.
#[derive(Debug, Clone)]
pub(super) struct SlackId(pub String);

impl Scalar for SlackId {
    const EXPECTED: &'static str = "a Slack id such as `C0123ABC`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let tail = text.strip_prefix(['C', 'G', 'S', 'U', 'W']).unwrap_or_default();
        let fits = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit();
        if tail.len() >= 2 && tail.chars().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Mistake::new(format!("`{text}` is not a Slack id"))
            .mend("ids don't change when names do: `C0123ABC` from the channel's details"))
    }
}

/// Somebody whom a message can mention: `U0MANAGER`, `S0ONCALL`.
#[derive(Debug, Clone)]
pub(super) struct PersonId(pub String);

impl Scalar for PersonId {
    const EXPECTED: &'static str = "the Slack id of a person or a group, such as `S0ONCALL`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let no = |why: &str| {
            Err(Mistake::new(format!("`{text}` is {why}"))
                .mend("ids don't change when names do: `U0MANAGER`, `S0ONCALL` from the profile"))
        };
        match SlackId::parse(text) {
            Ok(SlackId(id)) if id.starts_with(['C', 'G']) => {
                no("a channel: here stands who is mentioned in it")
            }
            Ok(SlackId(id)) => Ok(Self(id)),
            Err(_) => no("not the Slack id of a person or a group"),
        }
    }
}

/// A rung of the escalation.
#[derive(Debug, Clone)]
pub(super) struct RungText(pub Rung);

impl Scalar for RungText {
    const EXPECTED: &'static str = "a time and who is called then, such as `5m U0MANAGER`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        if let Some(short) = in_short(text) {
            return Err(Mistake::new(format!("`{text}` has its time in words"))
                .mend(format!("write `{short}`")));
        }
        let (time, call): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(|word| {
            word.trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_digit())
        });
        let no = |why: &str| {
            Err(Mistake::new(format!("`{text}` {why}"))
                .mend("write `5m U0MANAGER`, or `0m S0ONCALL pagerduty:oncall`"))
        };
        if time.is_empty() {
            return no("does not say when");
        }
        if call.is_empty() {
            return no("calls nobody");
        }
        let after = stretch(&time.join(" ")).map_err(|mistake| match mistake.mend {
            Some(_) => mistake,
            None => mistake.mend("it counts from the incident's begin: `5m U0MANAGER`"),
        })?;
        let call = call.into_iter().map(recipient).collect::<Result<_, _>>()?;
        Ok(Self(Rung { after, call }))
    }
}

/// `5 minutes S0ONCALL` as `5m S0ONCALL`.
fn in_short(text: &str) -> Option<String> {
    const UNITS: [(&str, &[&str]); 4] = [
        ("s", &["s", "sec", "secs", "second", "seconds"]),
        ("m", &["m", "min", "mins", "minute", "minutes"]),
        ("h", &["h", "hr", "hrs", "hour", "hours"]),
        ("d", &["d", "day", "days"]),
    ];
    let words: Vec<&str> = text.split_whitespace().collect();
    let (at, unit) = words.windows(2).enumerate().find_map(|(at, pair)| {
        let is_number = pair[0].bytes().all(|byte| byte.is_ascii_digit());
        let word = pair[1].to_lowercase();
        let unit = UNITS.iter().find(|(_, words)| words.contains(&word.as_str()));
        Some((at, unit.filter(|_| is_number)?.0))
    })?;
    let time = format!("{}{unit}", words[at]);
    let others = words.iter().enumerate().filter(|(index, _)| !(at..at + 2).contains(index));
    Some(
        [time.as_str()]
            .into_iter()
            .chain(others.map(|(_, word)| *word))
            .collect::<Vec<_>>()
            .join(" "),
    )
}

impl Scalar for Hours {
    const EXPECTED: &'static str = "hours and a zone, such as `22:00-07:00 Europe/Berlin`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        text.parse().map_err(|why: String| {
            Mistake::new(why).mend("write them as `22:00-07:00 Europe/Berlin`")
        })
    }
}

/// Who is told, and not by Slack: there is the thread.
#[derive(Debug, Clone)]
pub(super) struct Told(pub Recipient);

impl Scalar for Told {
    const EXPECTED: &'static str = "`webhook:NAME`, `pagerduty:NAME` or `email:NAME`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let nobody = || {
            let name = if text.contains(':') || text.is_empty() { "NAME" } else { text };
            Mistake::new(format!("`{text}` is nobody")).mend(format!(
                "write `webhook:{name}`, `pagerduty:{name}` or `email:{name}`, as the settings \
                 name it"
            ))
        };
        match text.parse().map_err(|_| nobody())? {
            Recipient::Slack(id) => Err(Mistake::new(format!("`{id}` is told in the thread"))
                .mend("`slack.page` and `escalate` mention people")),
            Recipient::GitHub(_) => Err(nobody()),
            told @ (Recipient::PagerDuty(_) | Recipient::Webhook(_) | Recipient::Email(_)) => {
                Ok(Self(told))
            }
        }
    }
}

/// Where a script stands that undoes a migration.
#[derive(Debug, Clone)]
pub(super) struct Script(pub String);

impl Scalar for Script {
    const EXPECTED: &'static str = "where a script stands";

    fn parse(text: &str) -> Result<Self, Mistake> {
        DatabaseRule::check(text).map(|()| Self(text.trim().to_owned()))
    }
}

/// Who decides about the database.
#[derive(Debug, Clone)]
pub(super) struct Decider(pub Recipient);

impl Scalar for Decider {
    const EXPECTED: &'static str = "a Slack id, `pagerduty:NAME`, `webhook:NAME` or `email:NAME`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        recipient(text).map(Self)
    }
}

fn recipient(text: &str) -> Result<Recipient, Mistake> {
    let nobody = || {
        Mistake::new(format!("`{text}` is nobody"))
            .mend("a Slack id (U0MANAGER, S0ONCALL), pagerduty:NAME, webhook:NAME or email:NAME")
    };
    match text.parse().map_err(|_| nobody())? {
        Recipient::GitHub(_) => Err(nobody()),
        who @ (Recipient::Slack(_)
        | Recipient::PagerDuty(_)
        | Recipient::Webhook(_)
        | Recipient::Email(_)) => Ok(who),
    }
}
