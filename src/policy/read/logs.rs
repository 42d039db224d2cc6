//! `logs:`, from what is written to what is counted.

use schemars::JsonSchema;
use serde::Deserialize;

use super::desk::Desk;
use super::scalar::At;
use crate::policy::diagnostic::Mistake;
use crate::policy::measure::LogCount;
use crate::policy::plain;

const LONGEST_GROUP: usize = 512;
const LONGEST_PATTERN: usize = 1024;

/// Events of a log group that match a filter pattern.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "`{ group: /ecs/api, pattern: ERROR }`")]
pub(super) struct LogsText {
    /// The log group's name. Variables may stand in it: `/ecs/${service}`. Required.
    pub group: Option<At<String>>,
    /// A filter pattern of CloudWatch Logs: `ERROR`, `?ERROR ?Exception`, `{ $.level = "error" }`. No variables stand in it. Required.
    pub pattern: Option<At<String>>,
}

/// Reads `logs:`; `None`: the report says why not.
pub(super) fn logs(name: &str, text: &LogsText, desk: &mut Desk) -> Option<LogCount> {
    let path = ["checks", name, "logs"];
    let before = desk.report.count();
    for (key, there, example) in [
        ("group", text.group.is_some(), "write `group: /ecs/${service}`"),
        ("pattern", text.pattern.is_some(), "write `pattern: ERROR`"),
    ] {
        if !there {
            let mistake = Mistake::new(format!("the `logs` of `{name}` have no `{key}`"));
            desk.missing(&[path.as_slice(), &[key]].concat(), mistake.mend(example));
        }
    }
    let (group, pattern) = (text.group.as_ref()?, text.pattern.as_ref()?);
    if let Err(mistake) = plain::check(&group.value) {
        desk.at(group.marker, mistake);
    } else if !is_group(&plain::expand(&group.value, |_| "x")) {
        let words = format!("`{}` is no name of a log group", group.value);
        let mend = "write `/ecs/api`: letters, digits and `.-_/#`, and no ARN";
        desk.at(group.marker, Mistake::new(words).mend(mend));
    }
    if pattern.value.trim().is_empty() || pattern.value.len() > LONGEST_PATTERN {
        let words = format!("a `pattern` has 1 to {LONGEST_PATTERN} characters");
        desk.at(pattern.marker, Mistake::new(words).mend("write `pattern: ERROR`"));
    }
    if pattern.value.contains("${") {
        let mistake = Mistake::new("no variable stands in a `pattern`: its value could widen it");
        desk.at(pattern.marker, mistake.mend("put it into `group`, or write it out"));
    }
    let count = LogCount { group: group.value.clone(), pattern: pattern.value.clone() };
    (desk.report.count() == before).then_some(count)
}

fn is_group(name: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || ".-_/#".contains(char);
    (1..=LONGEST_GROUP).contains(&name.len()) && name.chars().all(fits)
}
