//! A draft as YAML, with what was measured beside each limit.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::group::Group;
use super::history::{self, DAYS, ENOUGH, Figure, Usual, dimensions, errors, usual, values};
use super::limits::{self, Limits};
use super::{Before, Scene, Seen, environment};
use crate::model::{Controller, KnownAlarm};
use crate::policy::import::{comment, quoted, round};

/// Alarms that one check names.
const MOST_ALARMS: usize = 100;
/// What the limits of a share of the machine end at.
const TOP: f64 = 0.95;
/// Beyond this, a limit says little about a deployment.
const FULL: f64 = 0.9;

pub(super) fn policy(scene: &Scene, name: &str, group: &Group) -> String {
    let mut out = String::new();
    head(&mut out, scene, name, group);
    let _ = writeln!(out, "checks:");
    if let [only] = group.services[..] {
        before(&mut out, only);
    }
    usage(&mut out, group);
    disk(&mut out, group);
    alarms(&mut out, group);
    out
}

fn head(out: &mut String, scene: &Scene, name: &str, group: &Group) {
    let Scene { cluster, target, place, on, exported, .. } = scene;
    comment(
        out,
        "",
        &format!(
            "Drafted by `deployguard init` on {on} from cluster {cluster} in {place}. What was \
             measured stands beside each limit, and the limits lie above the worst of a usual day. \
             Requests were measured by the hour: the minutes that a check looks at swing more. \
             (!) marks what to look at. Read it, change it, then `deployguard check` it."
        ),
    );
    let _ = writeln!(out, "version: 1\npolicy: {}", quoted(name));
    let guessed = environment(cluster);
    match (&scene.environment, &guessed) {
        (Some(given), _) => {
            let _ = writeln!(out, "environment: {}", quoted(given));
        }
        (None, Some(guessed)) => {
            comment(out, "", "Guessed from the cluster's name.");
            let _ = writeln!(out, "environment: {}", quoted(guessed));
        }
        (None, None) => {
            comment(
                out,
                "",
                "(!) The cluster's name does not say which environment it is: write it here, or \
                 draft again with `--environment NAME`.",
            );
            let _ = writeln!(out, "environment: unnamed");
        }
    }
    let target = target.iter().map(|target| format!("target: {}, ", quoted(target)));
    let _ = writeln!(
        out,
        "match: {{ {}cluster: {}, service: {} }}",
        target.collect::<String>(),
        quoted(cluster),
        quoted(&group.pattern)
    );
    about(out, group);
    let all = |one: &&Seen| exported.contains(&one.name);
    let is_exported = !group.services.is_empty() && group.services.iter().all(all);
    let bundle = if is_exported { "ecs-web" } else { "ecs-cloudwatch" };
    let _ = writeln!(out, "extends: {bundle}");
    comment(out, "", "It only says what it would do, until people have seen it be right.");
    let _ = writeln!(out, "mode: observe");
}

/// What is to be known of the services.
fn about(out: &mut String, group: &Group) {
    match &group.services[..] {
        [] => comment(out, "", "(!) There is no service in the cluster yet: it guards what comes."),
        [only] => {
            let words = match only.controller {
                // The others are on no ECS cluster.
                Controller::Ecs
                | Controller::Rollout
                | Controller::Selector
                | Controller::Weights
                | Controller::Render => None,
                Controller::CodeDeploy => Some(
                    "CodeDeploy deploys it, and a rollback goes through CodeDeploy: see the \
                     permissions in docs/settings.md.",
                ),
                Controller::External => Some(
                    "(!) An EXTERNAL controller deploys it: it is watched, and never rolled back.",
                ),
            };
            if let Some(words) = words {
                comment(out, "", words);
            }
        }
        several => {
            let names: Vec<&str> = several.iter().map(|one| one.name.as_str()).collect();
            comment(out, "", &format!("Services that are there now: {}.", names.join(", ")));
        }
    }
}

/// Errors and latency of what is behind a load balancer.
fn before(out: &mut String, service: &Seen) {
    let Some(dimensions) = dimensions(&service.before) else {
        if let Before::Unmeasured(why) = &service.before {
            comment(out, "  ", &format!("(!) No error rate and no latency: {why}."));
        }
        return;
    };
    if !dimensions.contains_key("TargetGroup") {
        comment(
            out,
            "  ",
            "(!) The service's two target groups change places in a blue/green deployment, so both \
             checks are about the whole load balancer, and about every service behind it.",
        );
    }
    if !service.beside.is_empty() {
        comment(
            out,
            "  ",
            &format!(
                "(!) Neither check sees what comes through {}: write another of each for it.",
                service.beside.join(", ")
            ),
        );
    }
    error_rate(out, service, &dimensions);
    out.push('\n');
    latency(out, service, &dimensions);
}

type Dimensions = BTreeMap<String, String>;

fn error_rate(out: &mut String, service: &Seen, dimensions: &Dimensions) {
    let found = errors(service);
    let limits = limits::errors(found);
    let told = found.map(|errors| {
        let hours = match errors.hours {
            Some(hours) => format!("; {}", peaks(hours, limits, percent)),
            None => format!("; (!) no hour had {ENOUGH} of them."),
        };
        format!(
            "5xx over {DAYS} days: {} of {} requests{hours}",
            percent(errors.share),
            count(errors.requests),
        )
    });
    comment(out, "  ", &told.unwrap_or_else(|| unmeasured(service, Figure::Requests)));
    out.push_str("  error rate:\n    ratio:\n      bad:\n");
    metric(out, "        ", "HTTPCode_Target_5XX_Count", dimensions);
    out.push_str("      total:\n");
    metric(out, "        ", "RequestCount", dimensions);
    three(out, limits, percent);
}

/// The worst hours of hours.
fn peaks(hours: Usual, limits: Limits, told: fn(f64) -> String) -> String {
    let beyond = if hours.worst > limits.sev2 {
        " (!) That is beyond SEV2: an outage, or what it always has to bear?"
    } else {
        ""
    };
    let Usual { daily, worst, .. } = hours;
    format!("the worst hour of a usual day {}, of all {}.{beyond}", told(daily), told(worst))
}

fn latency(out: &mut String, service: &Seen, dimensions: &Dimensions) {
    let found = history::latency(service);
    let limits = limits::latency(found);
    let told = found.map(|usual| {
        let (median, peaks) = (seconds(usual.median), peaks(usual, limits, seconds));
        format!("p95 of each hour over {DAYS} days: {median} in the middle; {peaks}")
    });
    comment(out, "  ", &told.unwrap_or_else(|| unmeasured(service, Figure::P95)));
    out.push_str("  p95 latency:\n    latency:\n");
    metric(out, "      ", "TargetResponseTime", dimensions);
    out.push_str("      quantile: 0.95\n");
    three(out, limits, seconds);
}

fn unmeasured(service: &Seen, figure: Figure) -> String {
    match unanswered(&[service], figure) {
        Some(why) => format!("(!) Not measured, and the limits are anybody's: {why}."),
        None if values(service, figure).is_some() => {
            format!("(!) No hour of {DAYS} days had {ENOUGH} requests: the limits are anybody's.")
        }
        None => format!("(!) No request in {DAYS} days: the limits are anybody's."),
    }
}

fn metric(out: &mut String, margin: &str, metric: &str, dimensions: &Dimensions) {
    let _ = writeln!(out, "{margin}cloudwatch:");
    let _ = writeln!(out, "{margin}  namespace: AWS/ApplicationELB");
    let _ = writeln!(out, "{margin}  metric: {metric}");
    let _ = writeln!(out, "{margin}  dimensions: {}", inline(dimensions));
}

fn three(out: &mut String, limits: Limits, told: fn(f64) -> String) {
    let [normal, sev2, sev1] = [limits.normal, limits.sev2, limits.sev1].map(told);
    let _ = writeln!(out, "    normal: \"< {normal}\"");
    let _ = writeln!(out, "    breach: {{ SEV2: \"> {sev2}\", SEV1: \"> {sev1}\" }}");
}

/// CPU and memory: the bundle measures, here stand the limits.
fn usage(out: &mut String, group: &Group) {
    for (name, figure) in [("cpu", Figure::Cpu), ("memory", Figure::Memory)] {
        let found = usual(&group.services, figure);
        let daily = found.as_ref().map_or(0.0, |(usual, _)| usual.daily);
        // CPU beyond what the task asks for is there where the machine has it to spare.
        let top = if figure == Figure::Cpu && daily > TOP { daily * 1.1 } else { TOP };
        let limits = limits::usage(found.map(|(usual, _)| usual), top);
        measured(out, group, figure, limits, "of all tasks together, in five minutes");
        let Limits { normal, sev2, .. } = limits;
        let _ = writeln!(out, "  {name}:");
        let _ = writeln!(out, "    normal: \"< {}\"", percent(normal));
        let _ = writeln!(out, "    breach: {{ SEV2: \"> {} for 5m\" }}", percent(sev2));
    }
}

/// Where Container Insights shows it.
fn disk(out: &mut String, group: &Group) {
    let Some((found, _)) = usual(&group.services, Figure::Disk) else { return };
    let limits = limits::usage(Some(found), TOP);
    let what = "by Container Insights: the ephemeral storage of a task";
    measured(out, group, Figure::Disk, limits, what);
    let Limits { normal, sev2, .. } = limits;
    out.push_str("  ephemeral storage:\n    cloudwatch:\n");
    out.push_str("      expression: used / reserved\n      unit: ratio\n      metrics:\n");
    for (name, metric) in
        [("used", "EphemeralStorageUtilized"), ("reserved", "EphemeralStorageReserved")]
    {
        let _ = writeln!(out, "        {name}:");
        let _ = writeln!(out, "          namespace: ECS/ContainerInsights");
        let _ = writeln!(out, "          metric: {metric}");
        out.push_str(
            "          dimensions: { ClusterName: \"${cluster}\", ServiceName: \"${service}\" }\n",
        );
        out.push_str("          stat: Average\n");
    }
    let _ = writeln!(out, "    normal: \"< {}\"", percent(normal));
    let _ = writeln!(out, "    breach: {{ SEV2: \"> {} for 5m\" }}", percent(sev2));
}

/// A comment of what a share of the machine was.
fn measured(out: &mut String, group: &Group, figure: Figure, limits: Limits, what: &str) {
    let words = match (usual(&group.services, figure), unanswered(&group.services, figure)) {
        (Some((usual, name)), _) => {
            let of = if group.services.len() > 1 { format!(" (of {name})") } else { String::new() };
            let mark = if usual.daily > FULL {
                "(!) Nothing is to spare already. "
            } else if usual.worst > limits.sev2 {
                "(!) It was beyond SEV2 on some day. "
            } else {
                ""
            };
            format!(
                "{mark}Over {DAYS} days: {} in the middle, {} at the top of a usual day, {} at \
                 most{of}, {what}.",
                percent(usual.median),
                percent(usual.daily),
                percent(usual.worst)
            )
        }
        (None, Some(why)) => format!("(!) Not measured, and the limits are anybody's: {why}."),
        (None, None) => {
            format!("(!) Nothing was measured in {DAYS} days: the limits are anybody's.")
        }
    };
    out.push('\n');
    comment(out, "  ", &words);
}

/// The alarms that are there.
fn alarms(out: &mut String, group: &Group) {
    let own = || group.services.iter().flat_map(|one| &one.alarms);
    let shared = || group.services.iter().flat_map(|one| &one.shared_alarms);
    check_of(out, "alarms", "SEV2", None, own());
    let others = "(!) About others too, so a deployment of any of them rings it: it is only told.";
    check_of(out, "shared alarms", "SEV3", Some(others), shared());
}

fn check_of<'a>(
    out: &mut String,
    check: &str,
    severity: &str,
    words: Option<&str>,
    alarms: impl Iterator<Item = &'a KnownAlarm>,
) {
    let alarms: BTreeMap<&str, bool> =
        alarms.map(|alarm| (alarm.name.as_str(), alarm.is_ringing)).collect();
    if alarms.is_empty() {
        return;
    }
    out.push('\n');
    if let Some(words) = words {
        comment(out, "  ", words);
    }
    let beyond = alarms.len().saturating_sub(MOST_ALARMS);
    if beyond > 0 {
        comment(out, "  ", &format!("(!) {beyond} more alarms are there: a check names so many."));
    }
    let _ = writeln!(out, "  {check}:\n    alarm:\n      names:");
    for (name, is_ringing) in alarms.iter().take(MOST_ALARMS) {
        if *is_ringing {
            comment(out, "        ", "(!) In ALARM now, without any deployment of today.");
        }
        let _ = writeln!(out, "        - {}", quoted(name));
    }
    let _ = writeln!(out, "    breach: {{ {severity}: 1 failure }}");
}

/// Why nobody could say; `None`: it was not asked, or there was nothing.
fn unanswered(services: &[&Seen], figure: Figure) -> Option<String> {
    services.iter().find_map(|one| one.measured.get(&figure)?.as_ref().err().cloned())
}

fn inline(pairs: &BTreeMap<String, String>) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
    format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
}

/// Three digits that count.
fn short(value: f64) -> String {
    let text = format!("{value:.2e}");
    text.parse().map_or(text, round)
}

fn percent(share: f64) -> String {
    format!("{}%", short(share * 100.0))
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{}ms", short(value * 1000.0)) } else { format!("{}s", short(value)) }
}

/// A count as people say it.
fn count(value: f64) -> String {
    if value < 10_000.0 {
        format!("{value:.0}")
    } else if value < 10_000_000.0 {
        format!("{:.0} thousand", value / 1e3)
    } else {
        format!("{:.0} million", value / 1e6)
    }
}
