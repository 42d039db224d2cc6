//! Alarms of CloudWatch: what `aws cloudwatch describe-alarms` prints, or the alarms of a
//! `CloudFormation` template.

mod alarm;
mod argue;
mod math;
mod meaning;
mod service;
mod template;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use marked_yaml::types::MarkedMappingNode;

use self::alarm::Alarm;
use self::service::Services;
use super::tree::{at, begin, documents, each, under, word};
use super::{Argument, Check, Found, Frame, Measured, Rule};
use crate::model::Severity;
use crate::policy::SourceFile;
use crate::policy::diagnostic::Diagnostic;

pub(super) use self::write::{metric, ratio};

/// One metric of CloudWatch with its statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricStat {
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    pub stat: String,
}

/// What is asked of CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Stat(MetricStat),
    Math { expression: String, metrics: BTreeMap<String, MetricStat> },
}

/// What is asked, and how its values are to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metric {
    pub of: Asked,
    pub period: SignedDuration,
    /// As a policy names it. `None`: a plain number.
    pub unit: Option<&'static str>,
}

/// The longest period that a check can have.
const LONGEST_PERIOD: SignedDuration = SignedDuration::from_hours(1);

/// Reads the alarms of every document.
///
/// # Errors
/// What is no YAML or JSON, or has no alarms; alarms of several services when nobody said
/// which.
pub(super) fn read(file: &SourceFile, frame: &Frame) -> Result<Found, Diagnostic> {
    let file = &SourceFile { bytes: untagged(&file.bytes).into_owned(), ..file.clone() };
    let documents = documents(file)?;
    let mut found = Found::default();
    let mut alarms = Vec::new();
    let mut any = false;
    for document in &documents {
        any |= ["MetricAlarms", "CompositeAlarms", "Resources"]
            .iter()
            .any(|key| document.get(*key).is_some());
        alarms.extend(each(document, "MetricAlarms").filter_map(Alarm::read));
        alarms.extend(templated(document));
        found.rules.extend(composite(document));
        remarks(document, &mut found);
    }
    if !any {
        let top = documents.first().and_then(begin);
        let message = "no alarms: there is neither `MetricAlarms` nor `Resources`";
        let mend = "save what `aws cloudwatch describe-alarms` prints";
        return Err(Diagnostic { mend: Some(mend.to_owned()), ..at(file, top, message) });
    }
    let services = Services::of(file, &alarms, frame)?;
    let rules: Vec<Rule> = alarms.iter().map(|alarm| rule(alarm, &services)).collect();
    for rule in rules {
        if !alike(&mut found.rules, &rule) {
            found.rules.push(rule);
        }
    }
    found.rules.sort_by_key(|rule| rule.line);
    found.name = services.policy_name();
    found.service = services.single();
    Ok(found)
}

/// Without the tags of `CloudFormation`: `!Ref Name` is the text `${Name}`.
fn untagged(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('!') => Cow::Owned(template::untagged(text).into_bytes()),
        Ok(_) | Err(_) => Cow::Borrowed(bytes),
    }
}

/// The alarms among the resources of a template.
fn templated(document: &MarkedMappingNode) -> impl Iterator<Item = Alarm> {
    let resources = under(document, "Resources").into_iter().flat_map(|all| all.iter());
    resources.filter_map(|(name, resource)| {
        let resource = resource.as_mapping()?;
        (word(resource, "Type") == Some("AWS::CloudWatch::Alarm")).then_some(())?;
        let alarm = Alarm::read(under(resource, "Properties")?)?;
        Some(alarm.or_named(name.as_str()))
    })
}

/// What is in the file besides metric alarms.
fn remarks(document: &MarkedMappingNode, found: &mut Found) {
    let others = each(document, "LogAlarms").count();
    if others > 0 {
        found.remarks.push(format!("Alarms on logs are left aside: {others}."));
    }
    if word(document, "NextToken").is_some() {
        found
            .remarks
            .push("The file is one page: `NextToken` says that there are more alarms.".into());
    }
}

/// Alarms that join others, as rules that are kept as comments.
fn composite(document: &MarkedMappingNode) -> Vec<Rule> {
    let resources = under(document, "Resources").into_iter().flat_map(|all| all.iter());
    let templated = resources.filter_map(|(name, resource)| {
        let resource = resource.as_mapping()?;
        (word(resource, "Type") == Some("AWS::CloudWatch::CompositeAlarm")).then_some(())?;
        Some((name.as_str(), under(resource, "Properties")?))
    });
    each(document, "CompositeAlarms")
        .map(|node| ("a composite alarm", node))
        .chain(templated)
        .map(|(known, node)| {
            let (line, column) = begin(node).map_or((1, 1), |place| (place.line(), place.column()));
            let name = word(node, "AlarmName").unwrap_or(known).to_owned();
            let reason = format!(
                "it joins other alarms: each of them is imported alone, and a check can ask for it \
                 as it is by `alarm: {{ names: ['{name}'] }}`"
            );
            let was = word(node, "AlarmRule").map(str::to_owned).into_iter().collect();
            Rule { name, line, column, was, arguments: Vec::new(), check: Err(reason) }
        })
        .collect()
}

/// Whether an alarm asks what another asks already, such as one for each of several services.
fn alike(rules: &mut [Rule], rule: &Rule) -> bool {
    let Ok(new) = &rule.check else { return false };
    let Some(old) = rules.iter_mut().find(|old| old.check.as_ref() == Ok(new)) else {
        return false;
    };
    old.was.push(format!("and {}, line {}, which asks the same", rule.name, rule.line));
    true
}

fn rule(alarm: &Alarm, services: &Services) -> Rule {
    let mut arguments = Vec::new();
    let check = translated(alarm, services, &mut arguments);
    if check.is_err() {
        // What it does not mean is of no use where nothing is drafted.
        arguments.clear();
    }
    Rule {
        name: alarm.name.clone(),
        line: alarm.line,
        column: alarm.column,
        was: alarm.was.clone(),
        arguments,
        check,
    }
}

/// The check that an alarm means.
///
/// # Errors
/// Why no check can say it.
fn translated(
    alarm: &Alarm,
    services: &Services,
    arguments: &mut Vec<Argument>,
) -> Result<Check, String> {
    alarm.is_about_health()?;
    let (side, threshold) = (alarm.side()?, alarm.threshold()?);
    let (asked, period) = alarm.asked()?;
    if period > LONGEST_PERIOD {
        return Err(format!("its period is {period:#}: too long to tell anything of a deployment"));
    }
    let drawn = meaning::draw(alarm, asked, side, threshold, arguments)?;
    let mut measured = match drawn.measured {
        meaning::Shape::Value(of, quantile) => {
            let of = Metric { of, period, unit: drawn.word };
            Measured::Metric { of: Box::new(of), quantile }
        }
        meaning::Shape::Share { part, of, total } => {
            let metric = |stat| Box::new(Metric { of: Asked::Stat(stat), period, unit: None });
            Measured::MetricRatio { part, of: metric(of), total: metric(total) }
        }
    };
    let reach = services.reach(&mut measured, arguments)?;
    let mut severity = argue::severity(alarm, arguments);
    if reach == service::Reach::Others || argue::is_beneath(&measured) {
        if reach != service::Reach::Others {
            arguments.push(super::argue::beneath());
        }
        severity = Severity::Sev3;
    }
    argue::data(alarm, &measured, arguments);
    argue::metric(&measured, alarm.held(period), arguments);
    let hold = argue::hold(alarm, period, arguments);
    let hold = hold.map(|hold| format!(" for {hold:#}")).unwrap_or_default();
    let breach = BTreeMap::from([(severity, format!("{}{hold}", drawn.limit))]);
    Ok(Check { measured, normal: None, breach, window: None })
}
