//! What to look at next: the runbook of document 002 that fits, with this incident's facts
//! in its steps, and what a rollback of code leaves to people.

use super::impact::Harm;
use super::markdown::{plain, time};
use crate::model::{Metric, MetricOf, Mode, Outcome, RollbackSafe};
use crate::policy::{Check, Counted, Gauged, Measure, Unit};
use crate::watch::story::{Deed, Story};
use crate::watch::words::list;

/// The runbooks of document 002, as their numbers stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runbook {
    HighErrorRate,
    HighLatency,
    DatabaseDown,
}

impl Runbook {
    fn title(self) -> &'static str {
        match self {
            Self::HighErrorRate => "TaskFlow's runbook 1, High Error Rate",
            Self::HighLatency => "TaskFlow's runbook 2, High Latency",
            Self::DatabaseDown => "TaskFlow's runbook 3, Database Down",
        }
    }

    /// By the kind of what is measured; a database is known by its name or namespace.
    pub fn of(check: &Check) -> Self {
        if is_of_a_database(check) {
            return Self::DatabaseDown;
        }
        match &check.measure {
            Measure::Latency { .. } => Self::HighLatency,
            Measure::Ratio { .. }
            | Measure::Status { .. }
            | Measure::Gauge { of: Gauged::Tasks(_), .. } => Self::HighErrorRate,
            Measure::Gauge { unit, .. } => match unit {
                // Times, and what makes them long: processor and memory.
                Unit::Seconds | Unit::Bytes | Unit::Ratio => Self::HighLatency,
                Unit::Number | Unit::Failures => Self::HighErrorRate,
            },
        }
    }
}

fn is_of_a_database(check: &Check) -> bool {
    const WORDS: [&str; 8] =
        ["aurora", "database", "db", "mysql", "pg", "postgres", "postgresql", "rds"];
    let name = check.name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    let keeps = |metric: &Metric| {
        let one = |namespace: &str| matches!(namespace, "AWS/RDS" | "AWS/DocDB" | "AWS/Neptune");
        match &metric.of {
            MetricOf::Statistic(stat) => one(&stat.namespace),
            MetricOf::Math { metrics, .. } => metrics.values().any(|stat| one(&stat.namespace)),
        }
    };
    let of_metric = match &check.measure {
        Measure::Gauge { of: Gauged::Metric(watched), .. } => keeps(&watched.metric),
        Measure::Ratio { of: Counted::Metric(metric), .. } => keeps(metric),
        Measure::Ratio { .. }
        | Measure::Latency { .. }
        | Measure::Gauge { .. }
        | Measure::Status { .. } => false,
    };
    of_metric || words.any(|word| WORDS.contains(&word))
}

/// The runbooks that fit, each with its steps.
pub fn next(story: &Story, harms: &[Harm<'_>]) -> String {
    let mut fitting: Vec<Runbook> = harms.iter().map(|harm| Runbook::of(harm.check)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    let facts = Facts::of(story, harms);
    let mut said = String::new();
    for runbook in fitting {
        said += &format!("\n### {}\n\n", runbook.title());
        let steps = match runbook {
            Runbook::HighErrorRate => errors(&facts),
            Runbook::HighLatency => latency(&facts),
            Runbook::DatabaseDown => database(&facts),
        };
        for (number, step) in steps.iter().enumerate() {
            said += &format!("{}. {step}\n", number + 1);
        }
    }
    said + "\n### Data and migrations\n\n" + &migration(story) + "\n"
}

/// What the steps are filled with; Markdown already.
struct Facts {
    service: String,
    place: String,
    version: String,
    deployed: String,
    by: String,
    since: String,
    /// "error rate 40%, p95 latency 2s".
    worst: String,
    /// What was done about it, one sentence.
    done: String,
    /// Others that were deployed at the same time.
    rivals: String,
    blame: Option<String>,
    /// Processor, memory and the like, as last measured.
    resources: String,
}

impl Facts {
    fn of(story: &Story, harms: &[Harm<'_>]) -> Self {
        let watch = &story.watch;
        let deployment = &watch.deployment;
        let worst = harms.iter().filter_map(|harm| {
            Some(format!("{} {}", harm.check.name, harm.check.show(harm.worst?)))
        });
        let author = deployment.facts.author.as_ref();
        let rivals: Vec<String> =
            watch.rivals.iter().map(|one| format!("{} {}", one.service, one.deployment)).collect();
        Self {
            service: plain(&deployment.service.name),
            place: plain(&deployment.service.key.to_string()),
            version: plain(&watch.version()),
            deployed: time(deployment.started_at),
            by: author.map(|author| format!(" by {}", plain(author))).unwrap_or_default(),
            since: harms
                .iter()
                .map(|harm| harm.since)
                .min()
                .map_or_else(|| time(deployment.started_at), time),
            worst: plain(&list(&worst.collect::<Vec<_>>())),
            done: done(story),
            rivals: if rivals.is_empty() {
                "no other that deployguard watches".to_owned()
            } else {
                plain(&list(&rivals))
            },
            blame: story.incidents.values().rev().find_map(|one| one.excused.as_deref()).map(plain),
            resources: resources(story),
        }
    }
}

fn done(story: &Story) -> String {
    let in_place = story.deeds.iter().rev().find_map(|(at, deed)| match deed {
        Deed::InPlace { target } => Some((at, target)),
        Deed::Opened { .. }
        | Deed::Worse { .. }
        | Deed::Resolved { .. }
        | Deed::Asked { .. }
        | Deed::RollBack { .. }
        | Deed::Accepted { .. }
        | Deed::Withdrawn
        | Deed::Failed { .. }
        | Deed::Pressed(_)
        | Deed::Ended(_) => None,
    });
    let watch = &story.watch;
    let incident = watch.incident.as_ref();
    if let Some((at, target)) = in_place {
        format!("it was, to {}, in place since {} UTC", plain(target), time(*at))
    } else if let Some(why) = &watch.rollback_spent {
        format!("it was NOT ({}): a person has to do it now", plain(why))
    } else if watch.is_rolling_back() {
        "it is under way".to_owned()
    } else if watch.ceiling.mode == Mode::Observe {
        "it was not, because the mode is observe".to_owned()
    } else if let Some(why) = incident.and_then(|one| one.excused.as_ref()) {
        format!("it was not, because {}", plain(why))
    } else if incident.is_some_and(|one| one.resolved_at.is_some()) {
        "it was not, and the numbers came back by themselves".to_owned()
    } else if watch.is_open() {
        let id = plain(watch.id.as_str());
        format!("it is not yet; to do it now: `deployguard rollback {id}`")
    } else {
        "it was not".to_owned()
    }
}

fn resources(story: &Story) -> String {
    const WORDS: [&str; 5] = ["cpu", "memory", "mem", "disk", "connections"];
    let checks = story.watch.policy().checks.iter().filter(|check| {
        let name = check.name.to_lowercase();
        WORDS.iter().any(|word| name.contains(word))
    });
    let shown: Vec<String> = checks
        .filter_map(|check| {
            let last = story.samples.get(&check.name)?.iter().rev().find_map(|one| one.value)?;
            Some(format!("{} {}", check.name, check.show(last)))
        })
        .collect();
    if shown.is_empty() {
        "the policy measures none: see the platform's own metrics".to_owned()
    } else {
        format!("last measured: {}", plain(&list(&shown)))
    }
}

fn errors(facts: &Facts) -> Vec<String> {
    let Facts { service, place, version, deployed, by, since, worst, done, rivals, .. } = facts;
    vec![
        format!("Read the error log of {service} ({place}) from {since} UTC on: {worst}."),
        format!("Is {service} where it begins? Look at what it calls, and at what calls it."),
        format!(
            "What was deployed: {version}{by}, from {deployed} UTC on; at the same time: {rivals}."
        ),
        format!("What was deployed so lately is to be rolled back: {done}."),
        match &facts.blame {
            Some(blame) => format!("It may not be the deployment: {blame}. Look there first."),
            None => "Where the numbers stay bad on the former revision, the deployment is not the \
                 cause: look for it in what else changed."
                .to_owned(),
        },
        format!(
            "Mend it and deploy the fix; {version} itself is never what deployguard goes back to \
             once it was found bad."
        ),
    ]
}

fn latency(facts: &Facts) -> Vec<String> {
    let Facts { service, version, since, worst, resources, done, .. } = facts;
    vec![
        format!("Open the dashboards of {service} from {since} UTC on: {worst}."),
        format!(
            "Find what it waits for: the database, {service} itself, or the network between them."
        ),
        format!("Compare the database's slow queries before and after {since} UTC."),
        format!("Look at what it uses: {resources}."),
        format!("If it is too small for its load, scale it. Was it rolled back? {done}."),
        format!("If {version} asks more or slower queries than before, mend those."),
    ]
}

fn database(facts: &Facts) -> Vec<String> {
    let Facts { service, since, worst, version, .. } = facts;
    vec![
        format!("Read the database's log from {since} UTC on: {worst}."),
        format!("Can the tasks of {service} reach it? Name, route, security group, credentials."),
        "Has it disk and connections left?".to_owned(),
        "If it hangs, restart it; a person decides, and says so in the thread.".to_owned(),
        "Restore from the backup only if the data is damaged; who owns the data decides."
            .to_owned(),
        format!("Afterwards verify the data that {version} wrote since {since} UTC."),
    ]
}

/// What putting old code back does not do.
fn migration(story: &Story) -> String {
    let deployment = &story.watch.deployment;
    let went_back = story.watch.outcome() == Some(Outcome::RolledBack);
    let whom = match &deployment.facts.author {
        Some(author) => format!("{} and whoever owns the schema decide", plain(author)),
        None => "whoever owns the schema decides".to_owned(),
    };
    let said = match deployment.facts.rollback_safe {
        RollbackSafe::Yes => {
            "It was announced as safe to roll back: the old code works with the data as it is."
                .to_owned()
        }
        RollbackSafe::No => format!(
            "It was announced as NOT safe to roll back (`rollback_safe: false`): a migration or \
             the like came with it. {whom} what becomes of the data, before old code runs on it."
        ),
        RollbackSafe::Unknown => format!(
            "Nobody announced whether a migration came with it. {whom} whether the old code \
             works with the data as it is."
        ),
    };
    let script =
        if went_back { "Only code was put back." } else { "A rollback puts only code back." };
    let there = story.watch.database_in_words().map(|words| format!(" {}", plain(&words)));
    let there = there.unwrap_or_default();
    format!("{said} {script} deployguard never runs a database's rollback scripts.{there}")
}
