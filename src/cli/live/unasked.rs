//! What this command does not ask, or can't, and why.

use super::Asked;
use super::look::{Finding, Status};
use crate::model::Ask;
use crate::policy::{Check, Probe, nearest};

pub(super) const NO_REGION: &str = "no region: set AWS_REGION, or give --aws-region REGION, or \
                                    `aws: { region: ... }` in the settings of --config";

/// Why nothing is asked for the check, in words, where that is for its kind to say.
pub(super) fn why(asked: &Asked<'_>, check: &Check) -> Option<String> {
    if check.is_of_heartbeat() {
        let words = "not asked: the job tells the daemon, and only its store knows of it; without \
                     a beat before a deployment it is no data";
        return Some(words.to_owned());
    }
    if !check.is_of_probe() {
        return None;
    }
    let mut words =
        "not run: it acts on the service; `deployguard doctor` sees whether it could be".to_owned();
    if let (Some(command), Some(commands)) =
        (check.probe().and_then(Probe::command), asked.commands)
    {
        match commands.get(command) {
            None => {
                let near = nearest(command, commands.keys().map(String::as_str));
                let near = near.first().map(|near| format!("; did you mean `{near}`?"));
                let near = near.unwrap_or_default();
                words = format!("could not run: the settings have no command `{command}`{near}");
            }
            Some(labels) => {
                let has = |name: &str| asked.labels.contains_key(name);
                let lacking: Vec<String> =
                    labels.0.iter().filter(|name| !has(name)).cloned().collect();
                if !lacking.is_empty() {
                    let lacking = lacking.join("`, `");
                    words = format!(
                        "{words}; its command `{command}` can't be run for a deployment that is \
                         announced without the label `{lacking}`"
                    );
                }
            }
        }
    }
    Some(words)
}

/// Why there is nobody to ask this of, and what to give.
pub(super) fn no_source(asked: &Asked<'_>, ask: &Ask) -> Option<String> {
    let sources = asked.sources;
    let has_one = match ask {
        Ask::Health(_) | Ask::Json(_) => sources.web.is_some(),
        Ask::Scraped(_) => sources.pages.is_some(),
        Ask::Metric(_) | Ask::Alarms(_) => sources.cloudwatch.is_some(),
        Ask::Logs(_) => sources.logs.is_some(),
        Ask::Query(_) | Ask::Counter(_) | Ask::Tasks(_) | Ask::Probe(_) | Ask::Beat(_) => true,
    };
    if has_one {
        return None;
    }
    Some(match ask {
        Ask::Metric(_) | Ask::Alarms(_) | Ask::Logs(_) => NO_REGION.to_owned(),
        Ask::Health(_)
        | Ask::Json(_)
        | Ask::Scraped(_)
        | Ask::Query(_)
        | Ask::Counter(_)
        | Ask::Tasks(_)
        | Ask::Probe(_)
        | Ask::Beat(_) => match asked.commands {
            None => "give --config FILE: `outbound` in the settings says what may be asked".into(),
            Some(_) => "the settings have no `outbound`: give `outbound: { allow: [...] }`".into(),
        },
    })
}

/// Of a check whose source was not reached for those before it.
pub(super) fn as_before(check: &Check) -> Finding {
    let mut finding = Finding::of(check);
    finding.status = Status::Unreached;
    finding.said = "not asked: Prometheus was not reached for the checks before".into();
    finding
}
