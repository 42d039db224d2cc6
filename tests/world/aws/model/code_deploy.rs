//! AWS `CodeDeploy`, as far as it deploys ECS services.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::service::Rollout;
use super::{Context, EcsError, Model, Service, views};

/// Its applications and deployments.
#[derive(Default)]
pub struct CodeDeploy {
    applications: BTreeMap<String, Application>,
    /// Oldest first.
    deployments: Vec<Release>,
}

#[derive(Default)]
struct Application {
    /// The content of each `AppSpec` that was deployed, by its SHA-256.
    specs: BTreeMap<String, String>,
    groups: BTreeMap<String, Group>,
}

struct Group {
    cluster: String,
    service: String,
    last_good: Option<String>,
}

/// One of its deployments.
#[derive(Clone)]
struct Release {
    id: String,
    application: String,
    group: String,
    sha256: String,
    previous: Option<String>,
    status: &'static str,
    creator: &'static str,
    description: Option<String>,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    /// The task set it made; of a rollback that reroutes, the one it takes away.
    task_set: String,
    rolled_back_by: Option<String>,
    rolls_back: Option<String>,
}

fn missing(code: &'static str, message: &str) -> EcsError {
    EcsError { code, message: message.into() }
}

fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body[member].as_str().unwrap_or_default()
}

impl Model {
    pub(super) fn call_code_deploy(
        &mut self,
        operation: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        match operation {
            "CreateApplication" => {
                let name = text(body, "applicationName").to_owned();
                self.code_deploy.applications.entry(name).or_default();
                Ok(json!({ "applicationId": self.context.ids.uuid() }))
            }
            "CreateDeploymentGroup" => self.create_group(body),
            "CreateDeployment" => self.create_deployment(body, now),
            "GetDeployment" => {
                let found = self.code_deploy.deployment(text(body, "deploymentId"))?;
                Ok(json!({ "deploymentInfo": info(found) }))
            }
            "BatchGetDeployments" => {
                let ids = body["deploymentIds"].as_array().cloned().unwrap_or_default();
                let found = ids.iter().filter_map(Value::as_str);
                let found: Result<Vec<_>, _> =
                    found.map(|id| self.code_deploy.deployment(id).map(info)).collect();
                Ok(json!({ "deploymentsInfo": found? }))
            }
            "ListDeployments" => Ok(self.code_deploy.list(body)),
            "StopDeployment" => self.stop_deployment(body, now),
            "GetApplicationRevision" => self.code_deploy.revision(body),
            other => Err(EcsError::not_modelled(format!("the operation {other}"))),
        }
    }

    fn create_group(&mut self, body: &Value) -> Result<Value, EcsError> {
        let service = &body["ecsServices"][0];
        let group = Group {
            cluster: text(service, "clusterName").into(),
            service: text(service, "serviceName").into(),
            last_good: None,
        };
        let name = text(body, "deploymentGroupName").to_owned();
        let application = self.code_deploy.application(text(body, "applicationName"))?;
        application.groups.insert(name, group);
        Ok(json!({ "deploymentGroupId": self.context.ids.uuid() }))
    }

    fn create_deployment(&mut self, body: &Value, now: Timestamp) -> Result<Value, EcsError> {
        let (app, group) = (text(body, "applicationName"), text(body, "deploymentGroupName"));
        let busy =
            self.code_deploy.deployments.iter().any(|one| {
                one.application == app && one.group == group && one.status == "InProgress"
            });
        if busy {
            let message = "The Deployment Group already has an active Deployment";
            return Err(missing("DeploymentLimitExceededException", message));
        }
        let content = text(&body["revision"]["appSpecContent"], "content").to_owned();
        let definition = named_definition(&content).ok_or_else(|| {
            missing("InvalidRevisionException", "No TaskDefinition in the AppSpec")
        })?;
        let definition = self.task_definition(&definition).cloned();
        let definition = definition.ok().filter(super::TaskDefinition::is_active);
        let definition = definition.ok_or_else(|| {
            missing("InvalidECSServiceException", "The task definition can't be placed")
        })?;
        let id = format!("d-{}", &self.context.ids.uuid()[..8].to_uppercase());
        let sha256 = hash(&content);
        let application = self.code_deploy.application(app)?;
        application.specs.insert(sha256.clone(), content);
        let found = application.groups.get(group).ok_or_else(|| {
            missing("DeploymentGroupDoesNotExistException", "No such deployment group")
        })?;
        let (cluster, name) = (found.cluster.clone(), found.service.clone());
        let previous = found.last_good.clone();
        let services = self.clusters.get_mut(&cluster).ok_or_else(EcsError::cluster_not_found)?;
        let service = services.get_mut(&name).ok_or_else(EcsError::service_not_found)?;
        service.deploy(&mut self.context, "CreateDeployment", &definition, now);
        service.deployments[0].code_deploy = Some(id.clone());
        self.code_deploy.deployments.push(Release {
            id: id.clone(),
            application: app.into(),
            group: group.into(),
            sha256,
            previous,
            status: "InProgress",
            creator: "user",
            description: body["description"].as_str().map(str::to_owned),
            created_at: now,
            completed_at: None,
            task_set: service.deployments[0].id.clone(),
            rolled_back_by: None,
            rolls_back: None,
        });
        Ok(json!({ "deploymentId": id }))
    }

    /// With a rollback, the requests go back to the old task set, as a deployment of its
    /// own.
    fn stop_deployment(&mut self, body: &Value, now: Timestamp) -> Result<Value, EcsError> {
        let asked = self.code_deploy.deployment(text(body, "deploymentId"))?.clone();
        if asked.status != "InProgress" {
            let message = "The deployment is already complete.";
            return Err(missing("DeploymentAlreadyCompletedException", message));
        }
        let id = format!("d-{}", &self.context.ids.uuid()[..8].to_uppercase());
        let application = self.code_deploy.application(&asked.application)?;
        let group = application.groups.get(&asked.group);
        let (cluster, name) =
            group.map(|group| (group.cluster.clone(), group.service.clone())).unwrap_or_default();
        let services = self.clusters.get_mut(&cluster).ok_or_else(EcsError::cluster_not_found)?;
        let service = services.get_mut(&name).ok_or_else(EcsError::service_not_found)?;
        let before = service.task_definition().map(str::to_owned);
        service.reroute(&mut self.context, now);
        note_stop(&mut self.context, service, before, now);
        let back = body["autoRollbackEnabled"] == json!(true);
        for one in self.code_deploy.deployments.iter_mut().filter(|one| one.id == asked.id) {
            one.status = "Stopped";
            one.completed_at = Some(now);
            one.rolled_back_by = back.then(|| id.clone());
        }
        if back {
            let sha256 = asked.previous.clone().unwrap_or_else(|| asked.sha256.clone());
            self.code_deploy.deployments.push(Release {
                id,
                sha256,
                creator: "codeDeployRollback",
                description: None,
                created_at: now,
                rolls_back: Some(asked.id.clone()),
                ..asked
            });
        }
        Ok(json!({ "status": "Pending", "statusMessage": "Stopping" }))
    }

    /// What the services have come to, as `CodeDeploy` tells it.
    pub(super) fn settle_releases(&mut self, now: Timestamp) {
        let Self { code_deploy, clusters, .. } = self;
        for release in code_deploy.deployments.iter_mut().filter(|r| r.status == "InProgress") {
            let application = code_deploy.applications.get_mut(&release.application);
            let Some(group) = application.and_then(|a| a.groups.get_mut(&release.group)) else {
                continue;
            };
            let service = clusters.get(&group.cluster).and_then(|all| all.get(&group.service));
            let Some(service) = service else { continue };
            let of_it = |one: &&super::service::Deployment| one.id == release.task_set;
            let made = service.deployments.iter().find(of_it);
            let over = match (&release.rolls_back, made) {
                (Some(_), taken_away) => taken_away.is_none(),
                (None, made) => {
                    made.is_some_and(|one| one.rollout == Rollout::Completed)
                        && service.deployments.len() == 1
                }
            };
            if over {
                release.status = "Succeeded";
                release.completed_at = Some(now);
                group.last_good = Some(release.sha256.clone());
            }
        }
    }
}

fn note_stop(context: &mut Context, service: &Service, before: Option<String>, now: Timestamp) {
    context.mutations.push(super::Mutation {
        origin: context.origin,
        operation: "StopDeployment",
        service: service.name.clone(),
        before,
        after: service.task_definition().unwrap_or_default().to_owned(),
        at: now,
    });
}

impl CodeDeploy {
    fn application(&mut self, name: &str) -> Result<&mut Application, EcsError> {
        let missing = || missing("ApplicationDoesNotExistException", "No such application");
        self.applications.get_mut(name).ok_or_else(missing)
    }

    fn deployment(&self, id: &str) -> Result<&Release, EcsError> {
        let missing = || missing("DeploymentDoesNotExistException", "No such deployment");
        self.deployments.iter().find(|one| one.id == id).ok_or_else(missing)
    }

    /// Newest first.
    fn list(&self, body: &Value) -> Value {
        let start = body["createTimeRange"]["start"].as_f64().unwrap_or(0.0);
        let named = |one: &&Release| {
            one.application == text(body, "applicationName")
                && one.group == text(body, "deploymentGroupName")
                && views::seconds(one.created_at) >= start
        };
        let ids: Vec<_> = self.deployments.iter().rev().filter(named).map(|one| &one.id).collect();
        json!({ "deployments": ids })
    }

    fn revision(&mut self, body: &Value) -> Result<Value, EcsError> {
        let sha256 = text(&body["revision"]["appSpecContent"], "sha256").to_owned();
        let name = text(body, "applicationName").to_owned();
        let content = self
            .application(&name)?
            .specs
            .get(&sha256)
            .cloned()
            .ok_or_else(|| missing("RevisionDoesNotExistException", "No such revision"))?;
        let spec = json!({ "content": content, "sha256": sha256 });
        let revision = json!({ "revisionType": "AppSpecContent", "appSpecContent": spec });
        Ok(json!({ "applicationName": name, "revision": revision, "revisionInfo": {} }))
    }
}

/// The content of an `AppSpec` is not told here, as `CodeDeploy` documents.
fn info(release: &Release) -> Value {
    let revision = |sha256: &String| json!({ "revisionType": "AppSpecContent", "appSpecContent": { "sha256": sha256 } });
    let mut answer = json!({
        "applicationName": release.application,
        "deploymentGroupName": release.group,
        "deploymentId": release.id,
        "revision": revision(&release.sha256),
        "status": release.status,
        "createTime": views::epoch(release.created_at),
        "creator": release.creator,
        "computePlatform": "ECS",
    });
    if let Some(previous) = &release.previous {
        answer["previousRevision"] = revision(previous);
    }
    if let Some(description) = &release.description {
        answer["description"] = json!(description);
    }
    if let Some(at) = release.completed_at {
        answer["completeTime"] = views::epoch(at);
    }
    let mut rollback = json!({});
    if let Some(id) = &release.rolled_back_by {
        rollback["rollbackDeploymentId"] = json!(id);
    }
    if let Some(id) = &release.rolls_back {
        rollback["rollbackTriggeringDeploymentId"] = json!(id);
    }
    answer["rollbackInfo"] = rollback;
    answer
}

/// The task definition's ARN in an `AppSpec`, JSON or YAML.
fn named_definition(content: &str) -> Option<String> {
    let start = content.find("arn:aws:ecs:")?;
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}');
    content[start..].split(ends).next().map(str::to_owned)
}

fn hash(content: &str) -> String {
    let bytes = Sha256::digest(content);
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
