//! Each permission is tied to the call that needs it, in both directions.
//!
//! Calls are found by the names that the SDK's clients give their operations
//! (`.describe_services()`, `operation::register_task_definition::`), and those come from
//! AWS's own models. What is allowed beside that stands in [`BESIDE`], with the reason.

use std::collections::{BTreeMap, BTreeSet};

use super::lint::python;
use super::operations::{READS, WRITES};
use super::template::{DAEMON, Statement, TARGET, read, statements};
use crate::{File, source};

/// The SDK's crate, the name of its model, and the prefix of its actions.
const SERVICES: [(&str, &str, &str); 7] = [
    ("aws_sdk_cloudwatch", "cloudwatch", "cloudwatch"),
    ("aws_sdk_cloudwatchlogs", "logs", "logs"),
    ("aws_sdk_codedeploy", "codedeploy", "codedeploy"),
    ("aws_sdk_ecr", "ecr", "ecr"),
    ("aws_sdk_ecs", "ecs", "ecs"),
    ("aws_sdk_elasticloadbalancingv2", "elbv2", "elasticloadbalancing"),
    ("aws_sdk_sqs", "sqs", "sqs"),
];
/// Operations whose action has another name.
const CALLED: [(&str, &str); 2] = [
    ("sqs:ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"),
    ("sqs:DeleteMessageBatch", "sqs:DeleteMessage"),
];
/// Actions that a word in the code needs, where no operation is called by name.
const BY_WORD: [(&str, &str); 1] = [("AssumeRoleProvider", "sts:AssumeRole")];
/// What is allowed and not called by a name of its own.
const BESIDE: &[(&str, &str)] = &[
    ("codedeploy:GetDeploymentConfig", "CreateDeployment asks for it"),
    ("codedeploy:RegisterApplicationRevision", "CreateDeployment with its content in line does it"),
    ("ecs:TagResource", "RegisterTaskDefinition with tags asks for it"),
    ("iam:PassRole", "RegisterTaskDefinition with roles asks for it"),
];
/// Statements that a role in another account has no use for.
const ONLY_AT_HOME: [&str; 2] = ["GoToOtherAccounts", "HearOfDeployments"];
/// Statements of actions that know no resource.
const OF_NO_RESOURCE: [&str; 2] = ["ListInClusters", "LookWithoutResource"];

/// An action, and where it is called.
type Calls = BTreeMap<String, String>;

/// For each method of the SDK's clients, the services that have it and the operation.
fn operations() -> BTreeMap<String, Vec<(&'static str, String)>> {
    let script = "import botocore.session, json, sys
from botocore import xform_name
session = botocore.session.get_session()
names = lambda service: {xform_name(name): name for name in session.get_service_model(service).operation_names}
print(json.dumps({service: names(service) for service in sys.argv[1:]}))";
    let models = SERVICES.map(|(_, model, _)| model);
    let told = python("python").args(["-c", script]).args(models).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_slice(&told.stdout).unwrap();
    let mut found: BTreeMap<String, Vec<(&str, String)>> = BTreeMap::new();
    for (krate, model, prefix) in SERVICES {
        for (method, name) in &told[model] {
            found.entry(method.clone()).or_default().push((krate, format!("{prefix}:{name}")));
        }
    }
    found
}

/// The actions that the code needs.
fn calls() -> Calls {
    let operations = operations();
    let mut found = Calls::new();
    let mut unclear = Vec::new();
    for file in source() {
        let texts: Vec<&str> = file.tokens.iter().map(|token| token.text.as_str()).collect();
        for (index, text) in texts.iter().enumerate() {
            let place = || format!("{}:{}", file.path, file.tokens[index].line);
            if let Some((_, action)) = BY_WORD.iter().find(|(word, _)| word == text) {
                found.entry((*action).to_owned()).or_insert_with(place);
            }
            let Some(services) = operations.get(*text) else { continue };
            let after = |words: &[&str]| texts[index + 1..].starts_with(words);
            let method = index > 0 && texts[index - 1] == "." && after(&["(", ")"]);
            let path = index > 1 && texts[index - 2..index] == ["operation", "::"];
            if !method && !path {
                continue;
            }
            match chosen(services, &texts) {
                Some(operation) => {
                    let action = CALLED.iter().find(|(name, _)| *name == operation);
                    let action = action.map_or(operation, |(_, action)| *action);
                    found.entry(action.to_owned()).or_insert_with(place);
                }
                None => unclear.push(format!("{}: whose `{text}`? {services:?}", place())),
            }
        }
    }
    assert!(unclear.is_empty(), "import the SDK's crate by name:\n{}", unclear.join("\n"));
    found
}

/// Of several services with such an operation, the one whose crate the file names.
fn chosen<'o>(services: &'o [(&str, String)], texts: &[&str]) -> Option<&'o str> {
    if let [(_, operation)] = services {
        return Some(operation);
    }
    let mut named = services.iter().filter(|(krate, _)| texts.contains(krate));
    named.next().filter(|_| named.next().is_none()).map(|(_, operation)| operation.as_str())
}

fn both(path: &str) -> Vec<Statement> {
    let template = read(path);
    let mut all = statements(&template, "ObservePolicy");
    all.extend(statements(&template, "ActPolicy"));
    all
}

fn actions(statements: &[Statement]) -> BTreeSet<&str> {
    statements.iter().flat_map(|one| &one.actions).map(String::as_str).collect()
}

/// Whether it only looks. A message of the queue is the daemon's own.
fn looks(action: &str) -> bool {
    let (service, name) = action.split_once(':').unwrap();
    let begins = ["Batch", "Describe", "Filter", "Get", "List", "Receive"];
    service == "sqs"
        || action == "sts:AssumeRole"
        || begins.iter().any(|word| name.starts_with(word))
}

#[test]
fn every_call_is_allowed_and_nothing_is_allowed_that_is_not_called() {
    let calls = calls();
    let stated = both(DAEMON);
    let allowed = actions(&stated);
    let mut broken = Vec::new();
    for (action, place) in &calls {
        if !allowed.contains(action.as_str()) {
            let policy = if looks(action) { "ObservePolicy" } else { "ActPolicy" };
            broken.push(format!(
                "{place} calls what {DAEMON} does not allow: add the line `- {action}` to the \
                 statement of {policy} there, and in {TARGET}, that has the resources it needs"
            ));
        }
        if BESIDE.iter().any(|(beside, _)| beside == action) {
            broken.push(format!("{place} calls `{action}`: take its line out of BESIDE here"));
        }
    }
    for action in allowed {
        if !calls.contains_key(action) && !BESIDE.iter().any(|(beside, _)| *beside == action) {
            broken.push(format!(
                "nothing under src/ calls `{action}`: take its line out of {DAEMON} and {TARGET}, \
                 or say in BESIDE here what needs it"
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_call_is_made_to_fail_by_the_tests_of_the_adapters() {
    let calls = calls();
    let failed: BTreeSet<&str> = READS
        .iter()
        .chain(&WRITES)
        .map(|name| CALLED.iter().find(|(called, _)| called == name).map_or(*name, |(_, to)| to))
        .collect();
    for (action, place) in &calls {
        assert!(
            failed.contains(action.as_str()),
            "{place} calls `{action}`: add it to tests/adapters/operations.rs, and say in \
             tests/adapters/reads.rs or faults.rs how it is called and what its failures come to"
        );
    }
    for action in failed {
        assert!(calls.contains_key(action), "nothing under src/ calls `{action}` any more");
    }
}

#[test]
fn the_table_of_the_settings_has_every_call() {
    let document = std::fs::read_to_string("docs/settings.md").unwrap();
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    for (action, place) in calls() {
        let (_, name) = action.split_once(':').unwrap();
        let told = rows.iter().any(|row| row.contains(&format!("{name}`")));
        assert!(
            told,
            "{place} calls `{action}`: add a row to the table under IAM of docs/settings.md"
        );
    }
}

#[test]
fn a_role_in_another_account_may_do_the_same_and_nothing_else() {
    let home = both(DAEMON);
    let wanted: Vec<&Statement> =
        home.iter().filter(|one| !ONLY_AT_HOME.contains(&one.sid.as_str())).collect();
    let there = both(TARGET);
    assert_eq!(there.iter().collect::<Vec<_>>(), wanted, "{TARGET} has statements of its own");
}

#[test]
fn until_it_is_allowed_to_roll_back_it_changes_nothing() {
    for path in [DAEMON, TARGET] {
        let template = read(path);
        let changing: Vec<String> = statements(&template, "ObservePolicy")
            .into_iter()
            .flat_map(|one| one.actions)
            .filter(|action| !looks(action))
            .collect();
        assert!(changing.is_empty(), "{path}: {changing:?} belong into ActPolicy");
        let act = &template["Resources"]["ActPolicy"];
        assert_eq!(act["Condition"].as_str(), Some("MayRollBack"), "{path}");
        let allowed = &template["Parameters"]["AllowRollback"]["Default"];
        assert_eq!(allowed.as_str(), Some("false"), "{path}");
        assert!(act.get("DependsOn").is_none());
    }
}

#[test]
fn whatever_knows_a_resource_names_it() {
    for path in [DAEMON, TARGET] {
        for one in both(path) {
            let text = serde_norway::to_string(&one.whole).unwrap();
            let every = text.lines().any(|line| line.trim() == "Resource: '*'");
            assert_eq!(every, OF_NO_RESOURCE.contains(&one.sid.as_str()), "{path}: {}", one.sid);
            let wild = one.actions.iter().find(|action| action.contains('*'));
            assert_eq!(wild, None, "{path}: {}", one.sid);
        }
        let act = statements(&read(path), "ActPolicy");
        let pass = act.iter().find(|one| one.actions == ["iam:PassRole"]).unwrap();
        let text = serde_norway::to_string(&pass.whole).unwrap();
        assert!(text.contains("Resource: !Ref PassableRoles"), "{path}: {text}");
        assert!(text.contains("iam:PassedToService: ecs-tasks.amazonaws.com"), "{path}: {text}");
    }
}

#[test]
fn calls_are_found_in_both_of_the_sdks_ways() {
    let calls = calls();
    for action in ["ecs:DescribeServices", "ecs:UpdateService", "cloudwatch:GetMetricData"] {
        assert!(calls.contains_key(action), "{action}: {calls:#?}");
    }
    let registers =
        source().iter().any(|file: &File| file.text.contains("register_task_definition"));
    assert_eq!(calls.contains_key("ecs:RegisterTaskDefinition"), registers);
}
