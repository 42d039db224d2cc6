//! What a policy says beside the judging: what is written at GitHub, and the database.

use deployguard::model::{Recipient, Revert};

use super::*;

const BASE: &str = include_str!("good_base.yaml");

fn read_with(more: &str) -> Result<deployguard::policy::PolicySet, String> {
    read_one(format!("{BASE}{more}\n").as_str()).map_err(|wrong| format!("{wrong:?}"))
}

#[test]
fn statuses_are_written_and_nothing_is_opened_unless_the_policy_says_otherwise() {
    let rule = |more: &str| read_with(more).unwrap().named("shop").unwrap().policy.notify.github;
    let usual = rule("");
    assert_eq!((usual.statuses, usual.revert), (true, Revert::Off));
    let said = rule("notify: { github: { statuses: false, revert: pull-request } }");
    assert_eq!((said.statuses, said.revert), (false, Revert::PullRequest));
    assert_eq!(rule("notify: { github: { revert: off } }").revert, Revert::Off);
    for (more, told) in [
        ("notify: { github: { revert: merge } }", "`merge` is not what is opened"),
        ("notify: { github: { repository: acme/other } }", "repository"),
        ("notify: { tell: ['github:acme/other'] }", "nobody"),
    ] {
        let wrong = read_with(more).unwrap_err();
        assert!(wrong.contains(told), "{more}: {wrong}");
    }
}

#[test]
fn scripts_of_the_database_are_named_and_so_is_who_decides() {
    let more = "rollback: { database: { scripts: ['rollback/${version}_rollback.sql'], \
                decided_by: U0DBA } }";
    let set = read_with(more).unwrap();
    let rule = &set.named("shop").unwrap().policy.rollback.database;
    assert_eq!(rule.scripts, ["rollback/${version}_rollback.sql"]);
    assert_eq!(rule.decided_by, Some(Recipient::Slack("U0DBA".into())));
    for (more, told) in [
        ("rollback: { database: { scripts: ['${versoin}.sql'] } }", "unknown variable"),
        ("rollback: { database: { scripts: ['${version.sql'] } }", "without its `}`"),
        ("rollback: { database: { scripts: [''] } }", "no script is named"),
        ("rollback: { database: { decided_by: dba } }", "`dba` is nobody"),
        ("rollback: { database: { run: true } }", "run"),
    ] {
        let wrong = read_with(more).unwrap_err();
        assert!(wrong.contains(told), "{more}: {wrong}");
    }
}
