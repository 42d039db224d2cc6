//! The calls that create, change and read services.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::requests::{self, Controller, page, page_size};
use super::{EcsError, Model, Service, ids, views};

impl Model {
    pub(super) fn create_service(
        &mut self,
        request: requests::CreateService,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let (cluster, services) = self.cluster(request.cluster.as_deref())?;
        if services.contains_key(&request.service_name) {
            return Err(EcsError::invalid("Creation of service was not idempotent."));
        }
        let given = request.task_definition.as_deref();
        let given = given.ok_or_else(|| EcsError::invalid("TaskDefinition can not be blank."))?;
        let definition = self.placeable(given)?.clone();
        let controller = request.deployment_controller.map_or(Controller::Ecs, |c| c.r#type);
        let name = request.service_name;
        let mut service = Service {
            arn: self.context.ids.service(&cluster, &name),
            cluster_arn: self.context.ids.cluster(&cluster),
            cluster: cluster.clone(),
            created_at: now,
            desired: request.desired_count.unwrap_or(0),
            controller,
            configuration: request.deployment_configuration.unwrap_or_default(),
            launch_type: request.launch_type,
            load_balancers: request.load_balancers,
            network: request.network_configuration,
            deployments: Vec::new(),
            history: Vec::new(),
            revisions: Vec::new(),
            last_completed: None,
            tasks: Vec::new(),
            events: Vec::new(),
            due: None,
            staged: None,
            name: name.clone(),
        };
        service.deploy(&mut self.context, "CreateService", &definition, now);
        let answer = json!({ "service": views::service(&service) });
        self.clusters.entry(cluster).or_default().insert(name, service);
        Ok(answer)
    }

    pub(super) fn update_service(
        &mut self,
        request: requests::UpdateService,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let controller = self.service_mut(request.cluster.as_deref(), &request.service)?.controller;
        let wanted = request.task_definition.as_deref();
        if wanted.is_some() && controller != Controller::Ecs {
            return Err(not_by_update(controller));
        }
        let wanted = wanted.map(|given| self.placeable(given).cloned()).transpose()?;
        let forced = request.force_new_deployment.unwrap_or(false);
        let cluster = self.cluster(request.cluster.as_deref())?.0;
        let current = {
            let service = self.service_mut(Some(&cluster), &request.service)?;
            service.task_definition().unwrap_or_default().to_owned()
        };
        let definition = match wanted {
            Some(wanted) => wanted,
            None => self.task_definition(&current)?.clone(),
        };
        let services = self.clusters.get_mut(&cluster).ok_or_else(EcsError::cluster_not_found)?;
        let service = services
            .get_mut(ids::last_part(&request.service))
            .ok_or_else(EcsError::service_not_found)?;
        if let Some(configuration) = request.deployment_configuration {
            service.configuration = configuration;
        }
        if let Some(desired) = request.desired_count {
            service.desired = desired;
            service.wake(&self.context, now);
        }
        if forced || definition.arn != current {
            service.deploy(&mut self.context, "UpdateService", &definition, now);
        }
        Ok(json!({ "service": views::service(service) }))
    }

    pub(super) fn describe_services(
        &self,
        request: &requests::DescribeServices,
    ) -> Result<Value, EcsError> {
        let (_, services) = self.cluster(request.cluster.as_deref())?;
        if request.services.is_empty() {
            return Err(EcsError::invalid("Services cannot be empty."));
        }
        if request.services.len() > 10 {
            return Err(EcsError::invalid("Services can have at most 10 items."));
        }
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for asked in &request.services {
            match services.get(ids::last_part(asked)) {
                Some(service) => found.push(views::service(service)),
                None => failures.push(views::missing(&self.context.ids.missing("service", asked))),
            }
        }
        Ok(json!({ "services": found, "failures": failures }))
    }

    pub(super) fn list_clusters(
        &self,
        request: &requests::ListClusters,
    ) -> Result<Value, EcsError> {
        let arns = self.clusters.keys().map(|name| self.context.ids.cluster(name)).collect();
        let size = page_size(request.max_results, 100)?;
        let (arns, next) = page(arns, request.next_token.as_deref(), size)?;
        Ok(views::with_token(json!({ "clusterArns": arns }), next))
    }

    pub(super) fn list_services(
        &self,
        request: &requests::ListServices,
    ) -> Result<Value, EcsError> {
        let (_, services) = self.cluster(request.cluster.as_deref())?;
        let arns = services.values().map(|service| service.arn.clone()).collect();
        let size = page_size(request.max_results, 10)?;
        let (arns, next) = page(arns, request.next_token.as_deref(), size)?;
        Ok(views::with_token(json!({ "serviceArns": arns }), next))
    }

    /// A task definition that a service may be told to run.
    fn placeable(&self, given: &str) -> Result<&super::TaskDefinition, EcsError> {
        let definition = self.task_definition(given)?;
        if definition.is_active() {
            Ok(definition)
        } else {
            Err(EcsError::client("TaskDefinition is inactive"))
        }
    }
}

fn not_by_update(controller: Controller) -> EcsError {
    let (name, instead) = match controller {
        Controller::Ecs => ("ECS", "UpdateService"),
        Controller::CodeDeploy => ("CODE_DEPLOY", "AWS CodeDeploy"),
        Controller::External => ("EXTERNAL", "CreateTaskSet"),
    };
    EcsError::invalid(format!(
        "Unable to update task definition on services with a {name} deployment controller. \
         Use {instead} to trigger a new deployment."
    ))
}
