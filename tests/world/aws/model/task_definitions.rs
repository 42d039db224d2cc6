//! Task definitions: registered, described, deregistered, and resolved when they are placed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Context, EcsError, Model, ids, requests, views};

/// One revision of a family.
#[derive(Debug, Clone)]
pub struct TaskDefinition {
    pub(super) arn: String,
    given: Map<String, Value>,
    tags: Value,
    revision: usize,
    registered_at: Timestamp,
    deregistered_at: Option<Timestamp>,
}

/// What a service revision took from its task definition, images resolved.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) task_definition: String,
    pub(super) containers: Vec<ContainerTemplate>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) cpu: Option<String>,
    pub(super) memory: Option<String>,
}

/// One container of a [`Template`].
#[derive(Debug, Clone)]
pub struct ContainerTemplate {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) digest: String,
}

impl TaskDefinition {
    pub(super) fn is_active(&self) -> bool {
        self.deregistered_at.is_none()
    }

    /// Resolves the images as they are in the registry now.
    pub(super) fn template(&self, context: &mut Context) -> Template {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let definitions = self.given["containerDefinitions"].as_array();
        let mut containers = Vec::new();
        let mut environment = BTreeMap::new();
        for definition in definitions.into_iter().flatten() {
            let image = text(definition, "image");
            let digest = context.digest(&image);
            containers.push(ContainerTemplate { name: text(definition, "name"), image, digest });
            for pair in definition["environment"].as_array().into_iter().flatten() {
                environment.insert(text(pair, "name"), text(pair, "value"));
            }
        }
        let size = |key: &str| self.given.get(key).and_then(Value::as_str).map(str::to_owned);
        let task_definition = self.arn.clone();
        Template {
            task_definition,
            containers,
            environment,
            cpu: size("cpu"),
            memory: size("memory"),
        }
    }

    fn json(&self) -> Value {
        let mut answer = self.given.clone();
        answer.insert("taskDefinitionArn".into(), json!(self.arn));
        answer.insert("revision".into(), json!(self.revision));
        let status = if self.is_active() { "ACTIVE" } else { "INACTIVE" };
        answer.insert("status".into(), json!(status));
        answer.insert("registeredAt".into(), views::epoch(self.registered_at));
        if let Some(at) = self.deregistered_at {
            answer.insert("deregisteredAt".into(), views::epoch(at));
        }
        for list in ["volumes", "placementConstraints"] {
            answer.entry(list).or_insert_with(|| json!([]));
        }
        let sized = ["cpu", "memory"].iter().all(|size| self.given.contains_key(*size));
        let fargate = sized && self.given.get("networkMode").is_some_and(|mode| mode == "awsvpc");
        let compatible = if fargate { json!(["EC2", "FARGATE"]) } else { json!(["EC2"]) };
        answer.insert("compatibilities".into(), compatible);
        Value::Object(answer)
    }
}

impl Context {
    /// The digest an image means: pinned, pushed, or else made from its name.
    fn digest(&mut self, image: &str) -> String {
        use sha2::{Digest, Sha256};
        if let Some((_, digest)) = image.split_once('@') {
            return digest.into();
        }
        let made = || {
            let hash = Sha256::digest(image.as_bytes());
            hash.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
        };
        self.digests.entry(image.into()).or_insert_with(made).clone()
    }
}

impl Model {
    pub(super) fn register_task_definition(
        &mut self,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let mut given = body.as_object().cloned().unwrap_or_default();
        let family = given.get("family").and_then(Value::as_str).unwrap_or_default().to_owned();
        if family.is_empty() {
            return Err(EcsError::client("Family should not be null or empty."));
        }
        let containers = given.get_mut("containerDefinitions").and_then(Value::as_array_mut);
        let containers = containers.filter(|list| !list.is_empty()).ok_or_else(|| {
            EcsError::client("Container definitions should not be null or empty.")
        })?;
        for container in containers {
            complete_container(container)?;
        }
        let tags = given.remove("tags").unwrap_or_else(|| json!([]));
        let revisions = self.task_definitions.entry(family.clone()).or_default();
        let revision = revisions.len() + 1;
        let arn = self.context.ids.task_definition(&family, revision);
        let registered = TaskDefinition {
            arn,
            given,
            tags,
            revision,
            registered_at: now,
            deregistered_at: None,
        };
        let answer = json!({ "taskDefinition": registered.json(), "tags": registered.tags });
        revisions.push(registered);
        Ok(answer)
    }

    pub(super) fn deregister_task_definition(
        &mut self,
        request: &requests::DeregisterTaskDefinition,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        if !request.task_definition.contains(':') {
            return Err(EcsError::invalid("Invalid revision number. Number: "));
        }
        let arn = self.task_definition(&request.task_definition)?.arn.clone();
        let all = self.task_definitions.values_mut().flatten();
        let mut answer = Value::Null;
        for definition in all.filter(|definition| definition.arn == arn) {
            definition.deregistered_at.get_or_insert(now);
            answer = json!({ "taskDefinition": definition.json() });
        }
        Ok(answer)
    }

    pub(super) fn describe_task_definition(
        &self,
        request: &requests::DescribeTaskDefinition,
    ) -> Result<Value, EcsError> {
        let unknown = |_| EcsError::client("Unable to describe task definition.");
        let definition = self.task_definition(&request.task_definition).map_err(unknown)?;
        let mut answer = json!({ "taskDefinition": definition.json() });
        if request.include.iter().any(|include| include.iter().any(|what| what == "TAGS")) {
            answer["tags"] = definition.tags.clone();
        }
        Ok(answer)
    }

    /// `family:revision`, `family` (its newest ACTIVE revision), or the ARN.
    pub(super) fn task_definition(&self, given: &str) -> Result<&TaskDefinition, EcsError> {
        let not_found = || EcsError::client("TaskDefinition not found.");
        let name = ids::last_part(given);
        let found = match name.split_once(':') {
            Some((family, revision)) => {
                let revision = revision.parse::<usize>().ok().filter(|number| *number > 0);
                let family = self.task_definitions.get(family);
                family.zip(revision).and_then(|(all, number)| all.get(number - 1))
            }
            None => self
                .task_definitions
                .get(name)
                .and_then(|all| all.iter().rfind(|definition| definition.is_active())),
        };
        found
            .filter(|definition| !given.starts_with("arn:") || definition.arn == given)
            .ok_or_else(not_found)
    }
}

/// The members that ECS fills in for each container.
fn complete_container(container: &mut Value) -> Result<(), EcsError> {
    let object = container
        .as_object_mut()
        .ok_or_else(|| EcsError::client("Container definitions should be structures."))?;
    for required in ["name", "image"] {
        if object.get(required).and_then(Value::as_str).unwrap_or_default().is_empty() {
            let message = format!("Container.{required} should not be null or empty.");
            return Err(EcsError::client(message));
        }
    }
    object.entry("cpu").or_insert_with(|| json!(0));
    object.entry("essential").or_insert_with(|| json!(true));
    for list in ["environment", "mountPoints", "portMappings", "volumesFrom"] {
        object.entry(list).or_insert_with(|| json!([]));
    }
    Ok(())
}
