//! One account and region.

use jiff::{SignedDuration, Timestamp};

use super::report::{Part, Report};
use crate::aws::{Account, Fault};
use crate::engine::{clock, wanted_clusters};
use crate::model::ServiceKey;
use crate::platform::Platform;
use crate::platform::ecs::Ecs;
use crate::policy::Glob;
use crate::policy_repo::Loaded;
use crate::settings::TargetSettings;
use crate::sources::CloudWatch;
use crate::triggers::sqs::Queue;

/// Clusters that are looked into; more are named, and not tried.
const MOST_CLUSTERS: usize = 20;
/// A clock that is further off than this has AWS refuse what it signs, at five minutes.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
const BAD_SKEW: SignedDuration = SignedDuration::from_mins(4);

/// Tries all that guarding needs there, and answers the services that it found.
pub(super) async fn examine(
    name: &str,
    settings: &TargetSettings,
    account: &Account,
    loaded: &Loaded,
) -> Part {
    let mut report = Report::of(&format!("target {name}"));
    let Some(region) = account.region() else {
        let settings = format!("`aws.region` (or `targets.{name}.region`) in the settings");
        report.fail("no region", &format!("set AWS_REGION, or {settings}"));
        return report.into();
    };
    match account.identity().await {
        Ok(identity) => {
            report.ok(&format!("{} in {region}", identity.arn));
            if settings.account().is_some_and(|wanted| wanted != identity.account) {
                report.fail(&format!("it is account {}", identity.account), "see role_arn");
            }
            skew(identity.at, clock::now(), &mut report);
        }
        Err(fault) => {
            report.fail(&fault.words, fault.mend(&who(name, settings)));
            return report.into();
        }
    }
    let ecs = Ecs::of(account);
    let mut services = Vec::new();
    let named = clusters(name, settings, &ecs, loaded, &mut report).await;
    let mut asked = named.is_some().then(|| name.to_owned());
    for cluster in named.unwrap_or_default() {
        match ecs.services(&cluster).await {
            Ok(found) => {
                report.ok(&format!("ecs:ListServices: {} in {cluster}", found.len()));
                if let Some(first) = found.first() {
                    tried(&ecs, first, &mut report).await;
                }
                services.extend(found);
            }
            Err(error) => {
                report.fail(
                    &format!("{cluster}: {error}"),
                    "allow ecs:ListServices, or see the cluster's name in the policies",
                );
                asked = None;
            }
        }
    }
    let cloudwatch = CloudWatch::of(account);
    let mut checks = loaded.set.iter().flat_map(|written| &written.policy.checks);
    let asks = checks.any(crate::policy::Check::is_of_cloudwatch);
    metrics(cloudwatch.try_metrics(clock::now()).await, asks, &mut report);
    match cloudwatch.try_alarms().await {
        Ok(()) => report.ok("cloudwatch:DescribeAlarms"),
        Err(fault) => report.warn(&fault.words, "checks with `alarm` need it: allow it for them"),
    }
    if let Some(sqs) = &settings.sqs {
        queue(&Queue::of(account, &sqs.queue), &mut report).await;
    }
    report.ok("not tried, as it can't be without an effect: ecs:UpdateService, \
         ecs:StopServiceDeployment");
    Part { report, services, asked }
}

/// How CloudWatch answered; `asks`: a policy needs it to.
fn metrics(answer: Result<(), Fault>, asks: bool, report: &mut Report) {
    match answer {
        Ok(()) => report.ok("cloudwatch:GetMetricData (asked for one metric: $0.00001)"),
        Err(fault) if asks => {
            report.fail(&fault.words, fault.mend("allow cloudwatch:GetMetricData"));
        }
        Err(fault) => {
            report.warn(&fault.words, "checks with `cloudwatch` need it: allow it for them");
        }
    }
}

/// A queue of events.
pub(super) async fn queue(queue: &Queue, report: &mut Report) {
    let name = queue.name();
    match queue.state().await {
        Ok((waiting, redrive)) => {
            report.ok(&format!("queue {name}: {waiting} messages wait"));
            if !redrive {
                let mend = "give it one, so that a message that nobody can read goes away";
                report.warn(&format!("queue {name} has no redrive policy"), mend);
            }
        }
        Err(fault) => report.fail(
            &format!("queue {name}: {}", fault.words),
            "see its address, and allow sqs:ReceiveMessage, sqs:DeleteMessage, \
             sqs:ChangeMessageVisibility and sqs:GetQueueAttributes",
        ),
    }
}

fn who(name: &str, settings: &TargetSettings) -> String {
    match &settings.role_arn {
        Some(arn) => format!(
            "{arn} has to trust the daemon's own role, with the external_id of targets.{name}; \
             the daemon's role needs sts:AssumeRole on it"
        ),
        None => "give the daemon credentials: a task role, or AWS_PROFILE".to_owned(),
    }
}

fn skew(there: Option<Timestamp>, here: Timestamp, report: &mut Report) {
    let Some(there) = there else {
        report.warn("AWS did not say what time it is", "nothing to mend where it is a stand-in");
        return;
    };
    let off = here.duration_since(there).abs();
    let words = format!("this clock is {} s off AWS's", off.as_secs());
    if off > BAD_SKEW {
        report.fail(&words, "run NTP: AWS refuses signatures that are five minutes off");
    } else if off > SKEW {
        report.warn(&words, "run NTP");
    } else {
        report.ok(&words);
    }
}

/// The clusters to look into; `None`: ECS could not be asked for them.
async fn clusters(
    name: &str,
    settings: &TargetSettings,
    ecs: &Ecs,
    loaded: &Loaded,
    report: &mut Report,
) -> Option<Vec<String>> {
    if let Some(named) = &settings.clusters {
        return Some(named.clone());
    }
    let (mut clusters, patterns) = wanted_clusters(loaded, name);
    if !patterns.is_empty() {
        let globs: Vec<Glob> = patterns.iter().filter_map(|text| Glob::parse(text).ok()).collect();
        match ecs.clusters().await {
            Ok(all) => {
                report.ok(&format!("ecs:ListClusters: {}", all.len()));
                let fits = |name: &String| globs.iter().any(|glob| glob.matches(name));
                clusters.extend(all.into_iter().filter(fits));
            }
            Err(error) => {
                report.fail(
                    &error.to_string(),
                    "allow ecs:ListClusters: policies give patterns of clusters; or name them",
                );
                if clusters.is_empty() {
                    return None;
                }
            }
        }
    }
    if clusters.is_empty() {
        report.warn("no policy is about a cluster of it", "see `match` of the policies");
    }
    for cluster in clusters.iter().skip(MOST_CLUSTERS) {
        report.warn(&format!("{cluster} was not tried"), "there are many: try it by itself");
    }
    Some(clusters.into_iter().take(MOST_CLUSTERS).collect())
}

async fn tried(ecs: &Ecs, key: &ServiceKey, report: &mut Report) {
    for (action, went) in ecs.probe(key).await {
        match went {
            Ok(Some(_)) => report.ok(&format!("{action} on {key}")),
            Ok(None) => report.ok(&format!("{action}: nothing to try it on at {key}")),
            Err(fault) if action == "ecr:BatchGetImage" => {
                report.warn(&fault.words, fault.mend("optional: allow ecr:BatchGetImage"));
            }
            Err(fault) => report.fail(&fault.words, fault.mend(&format!("allow {action}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Grade;
    use super::*;
    use crate::aws::{At, Kind};

    #[test]
    fn a_clock_that_is_off_is_told_before_aws_refuses_it() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        for (off, grade) in
            [(0, Grade::Ok), (-31, Grade::Warn), (200, Grade::Warn), (-241, Grade::Fail)]
        {
            let mut report = Report::of("target");
            skew(Some(at(off)), at(0), &mut report);
            assert_eq!(report.lines()[0].grade, grade, "{off}");
        }
    }

    #[test]
    fn cloudwatch_has_to_answer_only_where_a_policy_asks_it() {
        let denied = Fault {
            kind: Kind::Refused,
            code: Some("AccessDenied".into()),
            words: "GetMetricData: AccessDenied".into(),
            everywhere: false,
            at: At::Service,
        };
        for (asks, grade) in [(true, Grade::Fail), (false, Grade::Warn)] {
            let mut report = Report::of("target");
            metrics(Err(denied.clone()), asks, &mut report);
            assert_eq!(report.lines()[0].grade, grade, "asks: {asks}");
        }
    }
}
