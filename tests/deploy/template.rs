//! CloudFormation's templates, as far as the tests read them.

use serde_norway::Value;

/// The daemon and everything around it.
pub const DAEMON: &str = "deploy/deployguard.yaml";
/// The role in another account.
pub const TARGET: &str = "deploy/target-role.yaml";

/// A template as it is written: functions are tagged values, `!Ref X` and the like.
pub fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_norway::from_str(&text).unwrap_or_else(|wrong| panic!("{path}: {wrong}"))
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub sid: String,
    pub actions: Vec<String>,
    pub whole: Value,
}

/// The statements of the policy `name`, those behind conditions too.
pub fn statements(template: &Value, name: &str) -> Vec<Statement> {
    let document = &template["Resources"][name]["Properties"]["PolicyDocument"];
    let all = document["Statement"].as_sequence().unwrap_or_else(|| panic!("{name}: no policy"));
    all.iter().map(|one| statement(one, one)).collect()
}

fn statement(one: &Value, whole: &Value) -> Statement {
    if let Value::Tagged(tagged) = one {
        assert_eq!(tagged.tag.to_string(), "!If", "{one:?}");
        // The condition, the statement, and nothing.
        return statement(&tagged.value[1], whole);
    }
    let actions = match &one["Action"] {
        Value::String(action) => vec![action.clone()],
        Value::Sequence(all) => all.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
        other => panic!("{other:?} is no action"),
    };
    let sid = one["Sid"].as_str().unwrap_or_else(|| panic!("no Sid: {one:?}")).to_owned();
    Statement { sid, actions, whole: whole.clone() }
}

/// The container `name` of the task.
pub fn container(name: &str) -> Value {
    let template = read(DAEMON);
    let task = &template["Resources"]["TaskDefinition"]["Properties"];
    let all = task["ContainerDefinitions"].as_sequence().unwrap();
    all.iter().find(|one| one["Name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
}

/// A variable of a container's environment.
pub fn variable(container: &Value, name: &str) -> Value {
    let all = container["Environment"].as_sequence().unwrap();
    let found = all.iter().find(|one| one["Name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))["Value"].clone()
}
