//! Tries everything that the daemon will need, and says how it went. Nothing is changed:
//! what acting needs is said, not tried.

mod account;
mod called;
mod cluster;
mod github;
mod people;
mod render;
mod report;
mod web;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;

pub use report::{Grade, Line};

use super::prometheus;
use super::targets::{account as account_of, own_account};
use crate::engine::clock;
use crate::model::{Ask, Recipient, ServiceKey, Ticks};
use crate::policy::{Glob, Matches, Written};
use crate::policy_repo::{Loaded, PolicyRepo};
use crate::settings::{PrometheusSettings, Settings};
use crate::store::Store;
use crate::triggers::sqs::Queue;
use report::{Part, Report};

/// The longest that one part of it may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Tries all of it; parts that have nothing to do with each other at once. `slack_post`: a
/// message is posted to each policy's channel, and deleted. `call`: they are told of a test
/// incident, for real.
pub async fn examine(settings: &Settings, slack_post: bool, call: &[Recipient]) -> Vec<Line> {
    let mut report = Report::default();
    let loaded = policies(settings, &mut report);
    let mut parts: JoinSet<Part> = JoinSet::new();
    for (name, target) in settings.targets() {
        let loaded = loaded.clone();
        if let Some(render) = target.render.clone() {
            within(&mut parts, format!("target {name}"), async move {
                render::examine(&name, &render).await
            });
            continue;
        }
        within(&mut parts, format!("target {name}"), async move {
            if let Some(kubernetes) = &target.kubernetes {
                return cluster::examine(&name, &target, kubernetes, &loaded).await;
            }
            let account = account_of(&name, &target).await;
            account::examine(&name, &target, &account, &loaded).await
        });
    }
    for (name, of) in all_prometheus(settings) {
        within(&mut parts, name.clone(), async move { source(&name, &of).await.into() });
    }
    let slack = (settings.clone(), loaded.clone());
    within(&mut parts, "slack".to_owned(), async move {
        people::examine(&slack.0, &slack.1, slack_post).await.into()
    });
    let called = (settings.clone(), loaded.clone(), call.to_vec());
    within(&mut parts, "recipients".to_owned(), async move {
        called::examine(&called.0, &called.1, &called.2).await.into()
    });
    let github = (settings.clone(), loaded.clone());
    within(&mut parts, "github".to_owned(), async move {
        github::examine(&github.0, &github.1).await.into()
    });
    if let Some(sqs) = settings.discover.sqs.clone() {
        let settings = settings.clone();
        within(&mut parts, "discover.sqs".to_owned(), async move {
            let own = own_account(&settings).await;
            let mut report = Report::of("discover.sqs");
            account::queue(&Queue::of(&own, &sqs.queue), &mut report).await;
            report.into()
        });
    }
    if settings.outbound.is_some() || loaded.set.iter().any(asks_the_web) {
        report.extend(web::examine(settings, &loaded));
    }
    // While the others go on.
    report.extend(in_time("store", store(settings)).await);
    let mut unasked: Vec<String> = settings.targets().into_keys().collect();
    let mut services = Vec::new();
    while let Some(joined) = parts.join_next().await {
        match joined {
            Ok(part) => {
                report.extend(part.report);
                services.extend(part.services);
                unasked.retain(|target| part.asked.as_ref() != Some(target));
            }
            Err(error) => report.fail(&format!("a part broke off: {error}"), "report it"),
        }
    }
    guarded(&loaded, &services, &unasked, &mut report);
    report.lines()
}

fn asks_the_web(written: &Written) -> bool {
    written.policy.checks.iter().any(|check| !check.sent_out().is_empty() || check.is_of_probe())
}

/// Starts a part.
fn within(
    parts: &mut JoinSet<Part>,
    name: String,
    part: impl Future<Output = Part> + Send + 'static,
) {
    parts.spawn(async move { in_time(&name, part).await });
}

/// A part; one that takes too long is a failure of its own.
async fn in_time<T: From<Report>>(name: &str, part: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, part).await.unwrap_or_else(|_| {
        let mut report = Report::of(name);
        let words = format!("no end within {} s", PATIENCE.as_secs());
        report.fail(&words, "see whether it can be reached from here");
        report.into()
    })
}

fn policies(settings: &Settings, report: &mut Report) -> Loaded {
    report.part("policies");
    let repo = PolicyRepo::open(&settings.policies);
    match repo.load() {
        Ok(loaded) => {
            let count = loaded.set.iter().count();
            report.ok(&format!("{count} read from {}", settings.policies.display()));
            if count == 0 {
                report.warn("nothing is guarded", "write a policy, or draft one with `import`");
            }
            match (&loaded.commit, loaded.dirty) {
                (None, _) => {
                    report.warn("no git checkout", "mode auto needs one: commit the policies");
                }
                (Some(_), true) => report.warn("edited files", "mode auto needs a clean commit"),
                (Some(commit), false) => report.ok(&format!("commit {commit}")),
            }
            loaded
        }
        Err(mistakes) => {
            for mistake in mistakes {
                report.fail(&mistake.to_string(), "see `deployguard check`");
            }
            repo.nothing()
        }
    }
}

async fn store(settings: &Settings) -> Report {
    let mut report = Report::of("store");
    let url = match settings.store.expose() {
        Ok(url) => url,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend `store`");
            return report;
        }
    };
    let store = match Store::open(&url).await {
        Ok(store) => store,
        Err(error) => {
            report.fail(&format!("{}: {error}", settings.store), "see whether it is there");
            return report;
        }
    };
    report.ok(&format!("{} opens, and is migrated", settings.store));
    match store.try_write().await {
        Ok(()) => report.ok("takes writes (tried, and rolled back)"),
        Err(error) => report.fail(&error.to_string(), "let the user write to its tables"),
    }
    match store.leader().await {
        Ok(Some(url)) => report.ok(&format!("leader, as far as the store knows: {url}")),
        Ok(None) => report.ok("nobody leads now"),
        Err(error) => report.fail(&error.to_string(), "let the user read its tables"),
    }
    store.close().await;
    report
}

/// Each Prometheus once.
fn all_prometheus(settings: &Settings) -> BTreeMap<String, PrometheusSettings> {
    let own = settings.targets.iter().filter_map(|(name, target)| {
        Some((format!("prometheus of {name}"), target.prometheus.clone()?))
    });
    let shared = settings.prometheus.iter().map(|one| ("prometheus".to_owned(), one.clone()));
    own.chain(shared).collect()
}

async fn source(name: &str, settings: &PrometheusSettings) -> Report {
    let mut report = Report::of(name);
    let source = match prometheus(settings) {
        Ok(source) => source,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend its url");
            return report;
        }
    };
    let once = Ticks::once(clock::now(), jiff::SignedDuration::from_secs(1));
    for (query, none) in [("vector(1)", "it answers nothing"), ("up", "it scrapes nothing")] {
        let fetched = source.fetch(&Ask::Query(query.to_owned()), once).await;
        let place = format!("{} answers `{query}`", source.name());
        match (fetched.failed.first(), fetched.tracks.len()) {
            (Some((_, why)), _) => {
                report.fail(&format!("{}: {why}", source.name()), "see its url and the way to it");
            }
            (None, 0) => report.warn(&format!("{place}: {none}"), "see its scrape targets"),
            (None, series) => report.ok(&format!("{place}: {series} series")),
        }
    }
    report
}

/// What each policy guards of what was found, and what nothing does.
/// `unasked`: the targets whose services are not all known.
fn guarded(loaded: &Loaded, services: &[ServiceKey], unasked: &[String], report: &mut Report) {
    report.part("policies");
    let mut counts: BTreeMap<&str, usize> =
        loaded.set.iter().map(|written| (written.policy.name.as_str(), 0)).collect();
    let mut unguarded = Vec::new();
    for key in services {
        let policies = match loaded.set.matching(key) {
            Matches::None => {
                unguarded.push(key.to_string());
                continue;
            }
            Matches::One(written) => vec![written],
            Matches::Several(all) => {
                report.warn(&format!("{key}: several policies match"), "let one of them match");
                all
            }
        };
        for written in policies {
            *counts.entry(written.policy.name.as_str()).or_default() += 1;
        }
    }
    for (name, count) in counts {
        let is_unknown = || {
            let target = loaded.set.named(name).and_then(|one| one.policy.matches.target.as_ref());
            let glob = target.and_then(|pattern| Glob::parse(pattern).ok());
            unasked.iter().any(|name| glob.as_ref().is_none_or(|glob| glob.matches(name)))
        };
        if count > 0 {
            report.ok(&format!("{name} guards {count} services now"));
        } else if is_unknown() {
            let words = format!("what {name} guards is not known: its platform could not be asked");
            report.warn(&words, "mend what fails at its target first");
        } else {
            report.warn(&format!("{name} guards nothing now"), "see its `match`");
        }
    }
    for key in unguarded {
        report.warn(&format!("{key} is guarded by nothing"), "write a policy that matches it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{SourceFile, check};

    #[test]
    fn what_nobody_could_be_asked_about_is_not_told_as_guarded_by_nothing() {
        let text = "version: 1\npolicy: shop\nenvironment: production\n\
                    match: { target: 'prod-*', cluster: shop, service: api }\n\
                    phases: { all: { until: 1h, interval: 1m } }\n\
                    checks: { depth: { query: queue_depth, breach: { SEV2: '> 10' } } }\n";
        let file = SourceFile { path: "shop.yaml".into(), bytes: text.into() };
        let folder = tempfile::tempdir().unwrap();
        let mut loaded = PolicyRepo::open(folder.path()).nothing();
        loaded.set = check(&[file]).unwrap();
        let told = |unasked: &[&str]| {
            let unasked: Vec<String> = unasked.iter().map(|name| (*name).to_owned()).collect();
            let mut report = Report::default();
            guarded(&loaded, &[], &unasked, &mut report);
            report.lines().remove(0).what
        };
        let unknown = "what shop guards is not known: its platform could not be asked";
        assert_eq!(told(&["prod-us"]), unknown);
        assert_eq!(told(&["staging"]), "shop guards nothing now");
        assert_eq!(told(&[]), "shop guards nothing now");
    }
}
