//! The calls about service deployments and service revisions.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::requests::{self, page, page_size};
use super::service::{Mutation, ServiceDeployment, Status};
use super::{Context, EcsError, Model, Service, ids, views};

impl Model {
    pub(super) fn list_service_deployments(
        &self,
        request: &requests::ListServiceDeployments,
    ) -> Result<Value, EcsError> {
        let (_, services) = self.cluster(request.cluster.as_deref())?;
        let service = services
            .get(ids::last_part(&request.service))
            .ok_or_else(EcsError::service_not_found)?;
        let wanted = |entry: &&ServiceDeployment| {
            let status = entry.status.name();
            let created = views::seconds(entry.created_at);
            let window = request.created_at.as_ref();
            request.status.as_ref().is_none_or(|asked| asked.iter().any(|one| one == status))
                && window.and_then(|w| w.after).is_none_or(|after| created >= after)
                && window.and_then(|w| w.before).is_none_or(|before| created <= before)
        };
        let entries = service.history.iter().filter(wanted);
        let briefs = entries.map(|entry| views::brief(service, entry)).collect();
        let size = page_size(request.max_results, 20)?;
        let (briefs, next) = page(briefs, request.next_token.as_deref(), size)?;
        Ok(views::with_token(json!({ "serviceDeployments": briefs }), next))
    }

    pub(super) fn describe_service_deployments(
        &self,
        request: &requests::DescribeServiceDeployments,
    ) -> Result<Value, EcsError> {
        at_most_20(&request.service_deployment_arns, "serviceDeploymentArns")?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for asked in &request.service_deployment_arns {
            let hit = self.services().find_map(|service| {
                let entry = service.history.iter().find(|entry| entry.arn == *asked)?;
                Some(views::service_deployment(service, entry))
            });
            match hit {
                Some(entry) => found.push(entry),
                None => failures.push(views::missing(asked)),
            }
        }
        Ok(json!({ "serviceDeployments": found, "failures": failures }))
    }

    pub(super) fn describe_service_revisions(
        &self,
        request: &requests::DescribeServiceRevisions,
    ) -> Result<Value, EcsError> {
        at_most_20(&request.service_revision_arns, "serviceRevisionArns")?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for asked in &request.service_revision_arns {
            let hit = self.services().find_map(|service| {
                Some(views::service_revision(service, service.revision(asked)?))
            });
            match hit {
                Some(revision) => found.push(revision),
                None => failures.push(views::missing(asked)),
            }
        }
        Ok(json!({ "serviceRevisions": found, "failures": failures }))
    }

    /// Asks for a rollback; while one is under way it simply goes on, as AWS documents.
    pub(super) fn stop_service_deployment(
        &mut self,
        request: requests::StopServiceDeployment,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let arn = request.service_deployment_arn;
        if request.stop_type.as_deref().is_some_and(|kind| kind != "ROLLBACK") {
            return Err(EcsError::not_modelled("any stopType but ROLLBACK"));
        }
        let (service, context) = self.deployed_by(&arn)?;
        let current = service.current().filter(|current| current.arn == arn).ok_or_else(|| {
            EcsError::conflict("The service deployment is not in a state that can be stopped.")
        })?;
        let answer = json!({ "serviceDeploymentArn": arn });
        if matches!(current.status, Status::Pending | Status::InProgress) {
            request_rollback(service, context, "StopServiceDeployment", now)?;
        }
        Ok(answer)
    }

    /// Goes on from the hook at which it waits, or rolls back from there.
    pub(super) fn continue_service_deployment(
        &mut self,
        request: requests::ContinueServiceDeployment,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let arn = request.service_deployment_arn;
        let back = match request.action.as_deref() {
            None | Some("CONTINUE") => false,
            Some("ROLLBACK") => true,
            Some(other) => return Err(EcsError::invalid(format!("{other} is no action"))),
        };
        let (service, context) = self.deployed_by(&arn)?;
        let is_current = service.current().is_some_and(|current| current.arn == arn);
        if !is_current || !service.go_on(&request.hook_id) {
            return Err(EcsError::invalid("The hook is not awaiting an action."));
        }
        if back {
            request_rollback(service, context, "ContinueServiceDeployment", now)?;
        }
        service.wake(context, now);
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    fn deployed_by(&mut self, arn: &str) -> Result<(&mut Service, &mut Context), EcsError> {
        let services = self.clusters.values_mut().flat_map(|services| services.values_mut());
        let service = services
            .into_iter()
            .find(|service| service.history.iter().any(|entry| entry.arn == arn))
            .ok_or_else(EcsError::deployment_not_found)?;
        Ok((service, &mut self.context))
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        self.clusters.values().flat_map(|services| services.values())
    }
}

fn request_rollback(
    service: &mut Service,
    context: &mut Context,
    operation: &'static str,
    now: Timestamp,
) -> Result<(), EcsError> {
    let source = service.last_completed.clone().ok_or_else(|| {
        EcsError::conflict("There is no completed service revision to roll back to.")
    })?;
    let after = service.definition_of(&source).to_owned();
    let before = service.task_definition().map(str::to_owned);
    if let Some(current) = service.current() {
        current.status = Status::RollbackRequested;
        current.updated_at = now;
    }
    let name = service.name.clone();
    context.note(format!("{operation}: {name} goes back to {}", ids::last_part(&after)));
    let origin = context.origin;
    let service_name = name;
    context.mutations.push(Mutation {
        origin,
        operation,
        service: service_name,
        before,
        after,
        at: now,
    });
    service.wake(context, now);
    Ok(())
}

fn at_most_20(arns: &[String], member: &str) -> Result<(), EcsError> {
    match arns.len() {
        0 => Err(EcsError::invalid(format!("{member} cannot be empty."))),
        1..=20 => Ok(()),
        _ => Err(EcsError::invalid(format!("{member} can have at most 20 items."))),
    }
}
