//! A policy file as it is written. The descriptions here are what `deployguard
//! schema` prints, and editors show.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::amount::{Count, OneIn, Quantile, Share, Stretch, Times};
use super::cloudwatch::{AlarmText, CloudWatchText};
use super::gate::GateText;
use super::heartbeat::HeartbeatText;
use super::limit::Wall;
use super::logs::LogsText;
use super::origin::SourceText;
use super::probe::ProbeText;
use super::scalar::{
    ActionWord, AskInstead, At, Buckets, Bundle, CountQuery, Counter, Decider, KnownGood,
    LabelName, MEND, Pattern, PersonId, Query, RungText, Scalar, Script, ServiceName, SlackId,
    Told, Version,
};
use super::web::{HttpText, JsonText};
use crate::model::{Mode, Revert, Severity, TaskGauge};
use crate::policy::{
    Against, Bound, Fallback, Hours, Limit, LowTraffic, MovedBy, OnTimeout, Unannounced,
};

/// Which services are guarded, and how. A `_defaults.yaml` has the same keys
/// and gives its values to every policy in its folder and below.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of a policy")]
#[schemars(title = "deployguard policy")]
pub(super) struct PolicyFile {
    /// The version of the policy language: 1. Required.
    pub version: Option<At<Version>>,
    /// The policy's name, unique among all files. Required.
    pub policy: Option<At<String>>,
    /// The environment of the services (`production`, `staging`). Required.
    pub environment: Option<At<String>>,
    /// Which services it guards. Required.
    #[serde(rename = "match")]
    pub matches: Option<MatchText>,
    /// A bundle of rules to start from: phases, and checks of CPU, memory and tasks. Default: none.
    pub extends: Option<At<Bundle>>,
    /// A ceiling on what the guard may do: `observe` only says what it would do, `ask` does nothing that nobody pressed, `auto` may act. Default: observe.
    pub mode: Option<At<Mode>>,
    /// The labels of the series that say which service, version and instance they are about.
    pub labels: LabelsText,
    /// Where each `counter`, `query` and `status` is read: `prometheus`, that of the daemon's settings, or `{ scrape: https://.../metrics }`, a page of metrics that the guard reads itself. A check may have its own. Default: prometheus.
    pub source: Option<SourceText>,
    /// Undeployed services of the same cluster, by their exact names, that show what is not this deployment's doing. Default: none; a baseline against `peers` is then measured on the other guarded services of the cluster.
    #[schemars(length(max = 5), extend("uniqueItems" = true))]
    pub peers: Option<Vec<At<ServiceName>>>,
    /// Services of the same cluster, by their exact names, that this one needs: if one of them broke first, it is not this deployment's doing. Default: none.
    #[schemars(length(max = 5), extend("uniqueItems" = true))]
    pub depends_on: Option<Vec<At<ServiceName>>>,
    /// The stretches of a watch, by name, in order of their end. Required, or a bundle's.
    pub phases: BTreeMap<String, PhaseText>,
    /// How the phases' shares of the traffic come about.
    pub canary: CanaryText,
    /// How long the first new task is in service before evidence counts. Default: 2m.
    pub grace: Option<At<Stretch>>,
    /// What is measured, by name. `NAME: off` takes away a check that a bundle or a `_defaults.yaml` brings. Required, or a bundle's.
    #[schemars(with = "BTreeMap<String, CheckOrOff>")]
    pub checks: BTreeMap<String, CheckText>,
    /// What is done about a breach, by severity.
    pub actions: ActionsText,
    /// What happens when the source gives nothing usable. Never a rollback.
    pub no_data: NoDataText,
    /// The share of each check's samples that must be measured for a watch to end as passed. Default: 50%.
    pub min_coverage: Option<At<Share>>,
    /// What a check that never had enough traffic means for the end of a watch: `pass`, it is said and no obstacle; `inconclusive`, the watch has not passed. Default: pass.
    pub low_traffic: Option<At<LowTraffic>>,
    /// The chance per deployment that the statistics roll back, or ask about, a deployment that changed nothing. Plain limits and statuses stand outside it. From `1 in 10` to `1 in 1000000`. Default: 1 in 100.
    pub false_rollbacks: Option<At<OneIn>>,
    /// How a rollback chooses its target, and what follows it.
    pub rollback: RollbackText,
    /// Who is told.
    pub notify: NotifyText,
    /// What is asked before a deployment: windows, freezes, what must have soaked elsewhere.
    pub gate: GateText,
}

/// Patterns over whole names: `*` for any characters, `?` for one, `{a,b}` for either.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ cluster: ..., service: ... }`")]
pub(super) struct MatchText {
    /// The settings' name of a target: an account and region, a cluster of Kubernetes, a workspace of Render. Default: any.
    pub target: Option<At<Pattern>>,
    /// The ECS cluster; of Kubernetes the namespace, of Render the workspace. Required.
    pub cluster: Option<At<Pattern>>,
    /// The ECS service; of Kubernetes as `docs/kubernetes.md` says, of Render the group or the service. Required.
    pub service: Option<At<Pattern>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "labels by what they say")]
pub(super) struct LabelsText {
    /// The label with the service's name. It is added to every `counter` that does not speak of it itself; a `query` narrows itself by `${service}`. Default: none.
    pub service: Option<At<LabelName>>,
    /// The label by whose values the new revision's series are told from the old one's, where both answer at once (blue beside green). Default: none.
    pub version: Option<At<LabelName>>,
    /// The label with the task, pod or host. During a roll-out the series of instances that were there before show what is not this deployment's doing. Default: none.
    pub instance: Option<At<LabelName>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ until: 15m, interval: 15s }`")]
pub(super) struct PhaseText {
    /// Its end, counted from the first new task in service, 7d at most. Required.
    pub until: Option<At<Stretch>>,
    /// From one sample to the next. At least 1s, and shorter than the phase. Required.
    pub interval: Option<At<Stretch>>,
    /// The share of the traffic that the deployment has in it: a canary's step, where the platform routes by weight. The phase lasts from when that share is seen. From 1% to 100%, more from phase to phase; the last one that has a weight has 100%. Default: none, all of the traffic.
    pub weight: Option<At<Share>>,
}

/// A canary: phases with a `weight`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of `canary`")]
pub(super) struct CanaryText {
    /// Who gives the deployment more of the traffic at the end of a phase: `pipeline`, which waits for the phase by `deployguard wait --until PHASE`, or `deployguard`, in mode auto. Default: pipeline.
    pub moved_by: Option<At<MovedBy>>,
}

/// One measured thing: exactly one of `ratio`, `latency`, `query`, `cloudwatch`, `json`, `logs`, `status`, `alarm`, `http`, `probe`, `heartbeat` and `tasks`, with limits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of a check")]
pub(super) struct CheckText {
    /// A share of events; its limits are in percent. Required, or another kind.
    pub ratio: Option<RatioText>,
    /// A quantile of a histogram; its limits are times. Required, or another kind.
    pub latency: Option<LatencyText>,
    /// Any instant query; of several series the worst counts. Required, or another kind.
    pub query: Option<At<Query>>,
    /// An instant query whose series are 1 (up) or 0 (down): of several, one that is down counts, but one that was down just before the deployment only once it has been up. Its limits are failures running: `SEV1: 3 failures`. Required, or another kind.
    pub status: Option<At<Query>>,
    /// A metric of CloudWatch as a value. Required, or another kind.
    pub cloudwatch: Option<CloudWatchText>,
    /// CloudWatch alarms: of several, one in ALARM counts; one that was in ALARM before the deployment does not. Its limits are failures running: `SEV2: 1 failure`. Required, or another kind.
    pub alarm: Option<AlarmText>,
    /// A number out of the answer of a JSON API. With `${since}` in the request its past can be asked for too. Required, or another kind.
    pub json: Option<JsonText>,
    /// A health endpoint: up or down, and each check in its JSON by its own name. What was down before the deployment counts once it has been up. Its limits are failures running: `SEV1: 3 failures`. Required, or another kind.
    pub http: Option<HttpText>,
    /// Events of CloudWatch Logs that match a filter pattern, counted within the window. Their text is never kept or shown. A log that falls silent counts zero: put a health check or a ratio of requests beside it. Required, or another kind.
    pub logs: Option<LogsText>,
    /// A smoke test or a user flow, run at the start of the roll-out, when the grace has ended, and then every so often: up or down. What failed before the deployment counts once it has been good. Its limits are failures running: `SEV1: 2 failures`. Required, or another kind.
    pub probe: Option<ProbeText>,
    /// A scheduled job that beat regularly before the deployment: down when a run is missed or fails. Its limits are failures running, of samples; its state lasts until the next run: `SEV3: 1 failure`. Required, or another kind.
    pub heartbeat: Option<HeartbeatText>,
    /// The tasks of the deployment, as the platform shows them; no metric is needed. `failures`: how many came to harm in ten minutes, such as `SEV2: "> 2"`. `running`: the share of the desired tasks that run after the roll-out. `healthy_targets`: the share of the load balancer's targets that are healthy. Required, or another kind.
    pub tasks: Option<At<TaskGauge>>,
    /// Inside it the check is healthy, whatever its baseline says. Default: none.
    pub normal: Option<At<Bound>>,
    /// Limits by severity, with `for 5m` if they must hold for a while. Of what is up or down: `3 failures`. Required, or `baseline` or `leak`.
    pub breach: BreachText,
    /// When the check is worse than before the deployment. It counts only outside `normal`. Default: none.
    pub baseline: Option<BaselineText>,
    /// When a `query` that worsens steadily is on its way to a wall. Default: none.
    pub leak: Option<LeakText>,
    /// Events in the window below which there is too little traffic to tell. Default: 20.
    pub min_traffic: Option<At<Count>>,
    /// How far back a sample looks. Default: the phase's interval, at least 1m; of a `json` value and of `logs` 5m.
    pub window: Option<At<Stretch>>,
    /// Where its `counter`, `query` or `status` is read. Default: where the policy's `source` says.
    pub source: Option<SourceText>,
    /// Whether a watch may pass though it was never measured in it. Once it has been, it counts as every other. Default: false.
    pub optional: Option<At<bool>>,
}

/// A check, or `off`, which takes away what a bundle or a `_defaults.yaml` brings.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema alone: what is off is gone before a policy is read")]
enum CheckOrOff {
    Check(Box<CheckText>),
    Off(Off),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "its schema alone: what is off is gone before a policy is read")]
enum Off {
    /// No such check in this policy.
    Off,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ bad: ..., total: ... }`")]
pub(super) struct RatioText {
    /// The events that are bad. The limits speak of their share. Required, or `good`.
    pub bad: Option<CountText>,
    /// The events that are good, where the bad ones can't be counted. The limits speak of their share. Required, or `bad`.
    pub good: Option<CountText>,
    /// All events. Required.
    pub total: Option<CountText>,
}

/// Where a count comes from: exactly one of the four.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ counter: SELECTOR }` or `{ query: PROMQL }`")]
pub(super) struct CountText {
    /// A selector of counters, without functions: deployguard takes the differences itself. Required, or another of the four.
    pub counter: Option<At<Counter>>,
    /// A query that counts the events within `[${window}]`. Required, or another of the four.
    pub query: Option<At<CountQuery>>,
    /// A metric of CloudWatch: the sum of each period. Required, or another of the four.
    pub cloudwatch: Option<CloudWatchText>,
    /// A number out of the answer of a JSON API: the events since `${since}`. Required, or another of the four.
    pub json: Option<JsonText>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ counter: ..._bucket, quantile: 0.95 }`")]
pub(super) struct LatencyText {
    /// A selector of a histogram's buckets, in seconds. Required, or `cloudwatch`.
    pub counter: Option<At<Buckets>>,
    /// A metric of CloudWatch: the quantile of each period. Required, or `counter`.
    pub cloudwatch: Option<CloudWatchText>,
    /// Which one, between 0 and 1: `0.95`. Required.
    pub quantile: Option<At<Quantile>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "limits by severity: `{ SEV2: \"> 1%\" }`")]
pub(super) struct BreachText {
    /// Beyond it a breach is SEV1, the worst. Default: none.
    #[serde(rename = "SEV1")]
    pub sev1: Option<At<Limit>>,
    /// Beyond it a breach is SEV2. Default: none.
    #[serde(rename = "SEV2")]
    pub sev2: Option<At<Limit>>,
    /// Beyond it a breach is SEV3, the mildest. Default: none.
    #[serde(rename = "SEV3")]
    pub sev3: Option<At<Limit>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ against: [before], worse_by: 2x }`")]
pub(super) struct BaselineText {
    /// `before`: the stretch just before the roll-out. `same-hour`: the same hour on earlier days. `last-week`: the same time a week before. `old-revision`: the old revision at the same time, where `labels` tell the two apart. `peers`: the policy's `peers` at the same time, or without them the other guarded services of the cluster. Default: [before].
    pub against: Option<Vec<At<Against>>>,
    /// How many times as bad as the baseline a breach is. Required.
    pub worse_by: Option<At<Times>>,
    /// The severity of a baseline breach. Default: the mildest of the check's limits, or SEV3.
    pub severity: Option<At<Severity>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ wall: 100%, within: 24h }`")]
pub(super) struct LeakText {
    /// Where it ends, in the unit of the check's limits: `100%`, `2 GiB`. Required.
    pub wall: Option<At<Wall>>,
    /// How soon it would be there, at the pace that is measured. At most 30d. Required.
    pub within: Option<At<Stretch>>,
    /// The severity of a leak. Default: the mildest of the check's limits, or SEV2.
    pub severity: Option<At<Severity>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "actions by severity")]
pub(super) struct ActionsText {
    /// What is done about a SEV1. Default: rollback.
    #[serde(rename = "SEV1")]
    pub sev1: Option<ActionText>,
    /// What is done about a SEV2. Default: `{ ask: 15m, on_timeout: escalate }`.
    #[serde(rename = "SEV2")]
    pub sev2: Option<ActionText>,
    /// What is done about a SEV3. Default: notify.
    #[serde(rename = "SEV3")]
    pub sev3: Option<ActionText>,
    /// From that long in service on a rollback is asked for instead of done; `{}`: never. Default: `{ 1h: ask }`.
    pub after: BTreeMap<String, At<AskInstead>>,
    /// The longest that a person may hold a decision, because a fix is on the way. Default: 15m.
    pub hold: Option<At<Stretch>>,
}

/// What is done about a breach.
#[derive(Debug)]
pub(super) enum ActionText {
    Word(ActionWord),
    Ask(AskText),
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AskText {
    /// How long an answer is waited for. Required.
    pub ask: Option<At<Stretch>>,
    /// What follows when nobody answers: `escalate`, people are called again and nothing else is done; `rollback`, in mode auto. Default: escalate.
    pub on_timeout: Option<At<OnTimeout>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ notify_after: 3m }`")]
pub(super) struct NoDataText {
    /// How long a check may be without data before people are told. Default: 3m.
    pub notify_after: Option<At<Stretch>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "the keys of `rollback`")]
pub(super) struct RollbackText {
    /// What a rollback goes to: the newest revision that a watch found good. Default: known-good.
    pub to: Option<At<KnownGood>>,
    /// The phase at whose end a revision is provisionally known-good. Default: short-term, or else the second phase.
    pub known_good_after: Option<At<String>>,
    /// A known-good revision older than this is no target. Default: 7d.
    pub max_age: Option<At<Stretch>>,
    /// Where no known-good revision is left: what was in place before, or a person decides. Default: previous.
    pub fallback: Option<At<Fallback>>,
    /// What a deployment gets of which nobody said whether a rollback is safe. Default: ask.
    pub unannounced: Option<At<Unannounced>>,
    /// How long the numbers may take to come back before people are paged. Default: 15m.
    pub recover_within: Option<At<Stretch>>,
    /// How long after a rollback of a service the next one waits for a person. Default: 1h.
    pub cooldown: Option<At<Stretch>>,
    /// Whether a rollback may register a task definition revision pinned to the known-good image digests, where a tag means another image by now. Default: false.
    pub pin_digests: Option<At<bool>>,
    /// What brings the target back, of the daemon's settings: `{ command: NAME }` or `{ webhook: NAME }`. Default: the platform's own call.
    pub by: Option<ActuatorText>,
    /// What turns the service's maintenance mode on before a rollback, and off once the target is in place. Default: none.
    pub maintenance: Option<MaintenanceText>,
    /// What there is to undo a migration with, and who decides. deployguard runs none of it.
    pub database: DatabaseText,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ command: NAME }` or `{ webhook: NAME }`")]
pub(super) struct ActuatorText {
    /// A command of the settings. Required, or `webhook`.
    pub command: Option<At<String>>,
    /// A webhook of the settings. Required, or `command`.
    pub webhook: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ on: { command: NAME }, off: { command: NAME } }`"
)]
pub(super) struct MaintenanceText {
    /// What turns it on. Required.
    pub on: Option<ActuatorText>,
    /// What turns it off. Required.
    pub off: Option<ActuatorText>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ scripts: [\"rollback/${version}_rollback.sql\"], decided_by: U0DBA }`"
)]
pub(super) struct DatabaseText {
    /// Where the scripts stand that undo a migration; `${version}` and the like as in queries. Default: none.
    pub scripts: Option<Vec<At<Script>>>,
    /// Who decides whether one is run: `U0DBA`, `pagerduty:NAME` and the like. Default: none.
    pub decided_by: Option<At<Decider>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ slack: { channel: C0123ABC } }`")]
pub(super) struct NotifyText {
    /// The Slack channel with a thread for each deployment.
    pub slack: SlackText,
    /// Whether the last lines of the log of a task that came to harm are shown in the thread, secrets masked. Default: false.
    pub logs: Option<At<bool>>,
    /// Who is called when about an incident that nobody acknowledges.
    pub escalate: EscalateText,
    /// Who is told of every incident from its beginning to its end: `webhook:NAME`, `pagerduty:NAME` or `email:NAME` of the daemon's settings. Default: none.
    pub tell: Option<Vec<At<Told>>>,
    /// Hours in which what is only noted waits for the morning.
    pub quiet: QuietText,
    /// What is written at GitHub, where the daemon's settings know the repository.
    pub github: GitHubText,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ statuses: true, revert: issue }`")]
pub(super) struct GitHubText {
    /// Whether the commit and its deployment get statuses. Default: true.
    pub statuses: Option<At<bool>>,
    /// What is opened after a rollback, with the report: a pull request that reverts the one that brought the commit (an issue where there is none), or an issue. Nothing is ever merged. Default: off.
    pub revert: Option<At<Revert>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ SEV3: \"22:00-07:00 Europe/Berlin\" }`")]
pub(super) struct QuietText {
    #[serde(rename = "SEV1")]
    #[schemars(skip)]
    pub sev1: Option<At<Hours>>,
    #[serde(rename = "SEV2")]
    #[schemars(skip)]
    pub sev2: Option<At<Hours>>,
    /// In them a SEV3 only edits the card. At their end it is said if it is still so, or that it came and went. Default: none.
    #[serde(rename = "SEV3")]
    pub sev3: Option<At<Hours>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "rungs by severity, such as `{ SEV1: [0m S0ONCALL, 5m U0MANAGER] }`"
)]
pub(super) struct EscalateText {
    /// Who is called about a SEV1, and how long after the incident's beginning. Default: none.
    #[serde(rename = "SEV1")]
    pub sev1: Option<Vec<At<RungText>>>,
    /// Who is called about a SEV2. Default: none.
    #[serde(rename = "SEV2")]
    pub sev2: Option<Vec<At<RungText>>>,
    /// Who is called about a SEV3. Default: none.
    #[serde(rename = "SEV3")]
    pub sev3: Option<Vec<At<RungText>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ channel: C0123ABC }`")]
pub(super) struct SlackText {
    /// The channel's id, not its name. Default: none, nothing is posted.
    pub channel: Option<At<SlackId>>,
    /// The ids of the people and groups that a page mentions. Default: none.
    pub page: Option<Vec<At<PersonId>>>,
}

impl<'de> Deserialize<'de> for ActionText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMapping;
        impl<'de> Visitor<'de> for WordOrMapping {
            type Value = ActionText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`rollback`, `notify` or `{ ask: 15m }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ActionText, E> {
                ActionWord::parse(text).map(ActionText::Word).map_err(|mistake| {
                    E::custom(format!(
                        "{}{MEND}{}",
                        mistake.message,
                        mistake.mend.unwrap_or_default()
                    ))
                })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<ActionText, M::Error> {
                AskText::deserialize(MapAccessDeserializer::new(map)).map(ActionText::Ask)
            }
        }
        deserializer.deserialize_any(WordOrMapping)
    }
}

impl JsonSchema for ActionText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Action".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = ActionWord::schema();
        let ask = generator.subschema_for::<AskText>();
        json_schema!({ "description": "What is done about a breach.", "anyOf": [words, ask] })
    }
}

/// The JSON Schema of a policy file.
pub fn schema() -> Schema {
    let mut schema = schemars::schema_for!(PolicyFile);
    if let Some(object) = schema.as_object_mut() {
        object.values_mut().for_each(without_null);
    }
    schema
}

/// A key may be missing, but never without a value.
fn without_null(value: &mut Value) {
    if let Value::Object(object) = value {
        for key in ["type", "enum"] {
            if let Some(Value::Array(words)) = object.get_mut(key) {
                words.retain(|word| !word.is_null() && word != "null");
                if let (true, Some(only)) = (key == "type" && words.len() == 1, words.first()) {
                    let only = only.clone();
                    object.insert(key.to_owned(), only);
                }
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|only| only != "null"));
            if let ([Value::Object(only)], true) = (choices.as_slice(), choices.len() == 1) {
                let only = only.clone();
                object.remove("anyOf");
                only.into_iter().for_each(|(key, value)| {
                    object.entry(key).or_insert(value);
                });
            }
        }
        object.values_mut().for_each(without_null);
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(without_null);
    }
}
