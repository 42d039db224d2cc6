//! What is said of the database where old code comes back.

use super::world::{Guard, policy, sighting};
use crate::model::{Body, Database, Reply, RollOut, RollbackSafe, Route};
use crate::policy::Unannounced;
use crate::watch::{Event, report, tell};

const SCRIPT: &str = "rollback/v1.5.0_rollback.sql";

fn rolled_back(safe: RollbackSafe, announced: Option<&str>) -> Guard {
    let mut policy = policy();
    policy.rollback.unannounced = Unannounced::Rollback;
    policy.rollback.database.scripts = vec!["rollback/${version}_rollback.sql".into()];
    policy.rollback.database.decided_by = Some("U0DBA".parse().unwrap());
    let mut guard = Guard::over(policy);
    let facts = &mut guard.watch.deployment.facts;
    facts.rollback_safe = safe;
    facts.version = Some("v1.5.0".into());
    facts.database = announced.map(|script| Database { rollback_script: Some(script.to_owned()) });
    let facts = facts.clone();
    let Some((_, Event::Opened { deployment, .. })) = guard.journal.first_mut() else {
        panic!("a journal begins with `opened`");
    };
    deployment.facts = facts;
    guard.settle();
    guard.breaks(40.0);
    guard.accepts(Route::UpdateService);
    guard.sees(sighting(60, "ecs-svc/3", 1, RollOut::InProgress));
    guard.sees(sighting(70, "ecs-svc/3", 1, RollOut::Completed));
    while guard.watch.is_open() {
        guard.reads(0.0);
    }
    guard
}

/// The replies that speak of it.
fn told(guard: &Guard) -> Vec<Reply> {
    let replies = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Reply(reply) => Some(reply.clone()),
        Body::Card(_) | Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => None,
    });
    let speaks = |reply: &Reply| reply.lines.iter().any(|line| line.contains("database"));
    replies.filter(speaks).collect()
}

#[test]
fn a_rollback_says_which_script_is_there_and_who_decides_and_runs_none() {
    let guard = rolled_back(RollbackSafe::Unknown, Some(SCRIPT));
    let replies = told(&guard);
    assert!(replies[0].headline.contains("is rolling back"), "{replies:?}");
    assert!(replies.last().unwrap().headline.contains("Recovered"), "{replies:?}");
    let line = replies[0].lines.last().unwrap();
    assert_eq!(
        line,
        "The database is left as it is: deployguard runs no database script. There is \
         rollback/v1.5.0_rollback.sql. Slack's U0DBA decides."
    );
    assert_eq!(replies[0].mentions, ["U0DBA"], "whoever decides is called");
    assert!(replies.last().unwrap().mentions.is_empty(), "once");
}

#[test]
fn a_script_that_only_the_policy_names_is_not_said_to_be_there() {
    let guard = rolled_back(RollbackSafe::Unknown, None);
    let line = told(&guard)[0].lines.last().unwrap().clone();
    assert!(!line.contains("There is"), "{line}");
    assert!(line.contains(&format!("Look for {SCRIPT}: the policy names it, nobody")), "{line}");
}

#[test]
fn where_none_of_the_data_is_in_the_way_nothing_is_said_of_it() {
    assert_eq!(told(&rolled_back(RollbackSafe::Yes, Some(SCRIPT))).len(), 0);
}

#[test]
fn the_report_says_it_too() {
    let guard = rolled_back(RollbackSafe::Unknown, None);
    let report = report(&tell(&guard.journal, None).unwrap());
    assert!(report.contains("runs no database script"), "{report}");
    assert!(report.contains("v1.5.0") && report.contains("Slack's U0DBA decides"), "{report}");
}
