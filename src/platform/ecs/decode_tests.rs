use std::collections::HashMap;

use aws_sdk_ecs::types::{
    ContainerImage, Rollback, ServiceDeployment, ServiceDeploymentAlarms, ServiceDeploymentStatus,
    ServiceRevision, ServiceRevisionSummary,
};

use super::super::flight::{Stage, revision};
use super::*;

fn definition(number: u32) -> String {
    format!("arn:aws:ecs:x:1:task-definition/api:{number}")
}

fn key() -> ServiceKey {
    ServiceKey { target: "t".into(), cluster: "c".into(), service: "api".into() }
}

fn deployment(id: u32, status: &str, of: u32) -> aws_sdk_ecs::types::builders::DeploymentBuilder {
    Deployment::builder()
        .id(format!("ecs-svc/{id}"))
        .status(status)
        .task_definition(definition(of))
        .desired_count(3)
        .running_count(3)
        .created_at(DateTime::from_secs_and_nanos(1000 + i64::from(id), 500_000_000))
}

fn service() -> aws_sdk_ecs::types::builders::ServiceBuilder {
    Service::builder().service_name("api").status("ACTIVE")
}

fn look(service: &Service, flight: Option<&Flight>) -> Sighting {
    sighting(&key(), service, flight, Timestamp::UNIX_EPOCH).unwrap().unwrap()
}

/// api:2 replaces api:1, in this status.
fn flight(status: ServiceDeploymentStatus, rollback: Option<Rollback>) -> Flight {
    let summary = |arn: &str| ServiceRevisionSummary::builder().arn(arn).build();
    let found = ServiceDeployment::builder()
        .service_deployment_arn("arn:flight")
        .status(status)
        .source_service_revisions(summary("rev/1"))
        .target_service_revision(summary("rev/2"))
        .set_rollback(rollback)
        .alarms(ServiceDeploymentAlarms::builder().triggered_alarm_names("p95").build())
        .build();
    let revisions = [1_u32, 2].map(|n| {
        let image = ContainerImage::builder().image("api:latest");
        let image = image.image_digest(format!("sha256:{n}")).build();
        let found = ServiceRevision::builder()
            .service_revision_arn(format!("rev/{n}"))
            .task_definition(definition(n))
            .container_images(image)
            .build();
        (format!("rev/{n}"), revision(&found).unwrap().0)
    });
    Flight::of(&found, &HashMap::from(revisions)).unwrap()
}

#[test]
fn a_rolling_service_shows_what_comes_what_goes_and_where_it_came_from() {
    let rolling = deployment(2, "PRIMARY", 2)
        .running_count(1)
        .failed_tasks(2)
        .rollout_state(DeploymentRolloutState::InProgress)
        .rollout_state_reason("ECS deployment ecs-svc/2 in progress.");
    let service = service()
        .deployments(rolling.build())
        .deployments(
            deployment(1, "ACTIVE", 1).rollout_state(DeploymentRolloutState::Completed).build(),
        )
        .deployments(deployment(0, "INACTIVE", 7).build())
        .current_service_deployment("arn:flight")
        .build();
    let flight = flight(ServiceDeploymentStatus::InProgress, None);
    let seen = look(&service, Some(&flight));
    assert_eq!(
        (seen.primary.id.as_str(), seen.primary.roll_out),
        ("ecs-svc/2", RollOut::InProgress)
    );
    assert_eq!((seen.primary.desired, seen.primary.running, seen.primary.failed), (3, 1, 2));
    assert_eq!(seen.primary.created_at.as_millisecond(), 1_002_500);
    assert_eq!(seen.primary.revision.service_revision.as_deref(), Some("rev/2"));
    assert_eq!(seen.primary.revision.digests, ["api:latest@sha256:2"]);
    assert_eq!(seen.others.len(), 1, "INACTIVE is history");
    assert_eq!(seen.others[0].revision.service_revision.as_deref(), Some("rev/1"));
    assert_eq!(seen.source.unwrap().name, definition(1));
    assert_eq!(seen.in_flight.as_deref(), Some("arn:flight"));
    assert_eq!(seen.native_rollback, None);
    assert_eq!(seen.controller, Controller::Ecs);
}

#[test]
fn a_stable_service_is_not_in_flight_though_ecs_names_a_service_deployment() {
    let primary = deployment(2, "PRIMARY", 2).rollout_state(DeploymentRolloutState::Completed);
    let service =
        service().deployments(primary.build()).current_service_deployment("arn:flight").build();
    let over = flight(ServiceDeploymentStatus::Successful, None);
    for told in [Some(&over), None] {
        let seen = look(&service, told);
        assert!(seen.is_stable());
        assert_eq!((seen.in_flight, seen.native_rollback), (None, None));
    }
}

#[test]
fn ecs_rolling_back_by_itself_is_said_with_its_reason_and_stays_said_afterwards() {
    let back = Rollback::builder().reason("tasks failed to start").service_revision_arn("rev/1");
    let service = service()
        .deployments(deployment(3, "PRIMARY", 1).build())
        .deployments(
            deployment(2, "ACTIVE", 2).rollout_state(DeploymentRolloutState::Failed).build(),
        )
        .build();
    for status in
        [ServiceDeploymentStatus::RollbackInProgress, ServiceDeploymentStatus::RollbackSuccessful]
    {
        let seen = look(&service, Some(&flight(status, Some(back.clone().build()))));
        let reason = seen.native_rollback.unwrap();
        assert_eq!(reason, "tasks failed to start (alarms: p95)");
        assert_eq!(seen.primary.revision.service_revision.as_deref(), Some("rev/1"));
        assert_eq!(seen.others[0].revision.service_revision.as_deref(), Some("rev/2"));
        assert_eq!(seen.others[0].roll_out, RollOut::Failed);
    }
    // A later deployment of something else is not told by it.
    let later = deployment(4, "PRIMARY", 5).build();
    let service = Service::builder().deployments(later).build();
    let seen = look(
        &service,
        Some(&flight(ServiceDeploymentStatus::RollbackSuccessful, Some(back.build()))),
    );
    assert_eq!((seen.native_rollback, seen.source), (None, None));
    assert_eq!(seen.primary.revision, Revision::named(&definition(5)));
}

#[test]
fn the_circuit_breaker_is_recognised_without_the_service_deployment() {
    let words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/3.";
    let primary = deployment(3, "PRIMARY", 1).rollout_state_reason(words).build();
    let seen = look(&service().deployments(primary).build(), None);
    assert_eq!(seen.native_rollback.as_deref(), Some(words));
}

#[test]
fn a_missing_roll_out_state_is_told_from_the_counts() {
    let primary = |running| deployment(2, "PRIMARY", 2).running_count(running).build();
    let old = deployment(1, "ACTIVE", 1).build();
    let cases = [
        (service().deployments(primary(3)), RollOut::Completed),
        (service().deployments(primary(2)), RollOut::InProgress),
        (service().deployments(primary(3)).deployments(old), RollOut::InProgress),
    ];
    for (service, expected) in cases {
        assert_eq!(look(&service.build(), None).primary.roll_out, expected);
    }
}

#[test]
fn a_service_of_another_controller_is_seen_through_its_task_sets() {
    use aws_sdk_ecs::types::{DeploymentController as By, DeploymentControllerType as Kind};
    let set = |id: &str, status: &str, of| {
        TaskSet::builder()
            .id(id)
            .status(status)
            .task_definition(definition(of))
            .computed_desired_count(2)
            .running_count(2)
            .created_at(DateTime::from_secs(5))
            .stability_status(StabilityStatus::SteadyState)
            .build()
    };
    let by = |kind: Kind| By::builder().r#type(kind).build().unwrap();
    let cases = [
        (Kind::CodeDeploy, Controller::CodeDeploy),
        (Kind::External, Controller::External),
        (Kind::from("SOMETHING_NEW"), Controller::External),
    ];
    for (kind, expected) in cases {
        let service = service()
            .deployment_controller(by(kind))
            .task_sets(set("ecs-svc/1", "PRIMARY", 1))
            .task_sets(set("ecs-svc/2", "ACTIVE", 2))
            .build();
        let seen = look(&service, None);
        assert_eq!(seen.controller, expected);
        assert_eq!((seen.primary.id.as_str(), seen.others.len()), ("ecs-svc/1", 1));
        assert_eq!(seen.primary.roll_out, RollOut::Completed);
    }
}

#[test]
fn what_is_gone_is_nothing_and_what_is_incomplete_is_an_error() {
    let seen = |service: &Service| sighting(&key(), service, None, Timestamp::UNIX_EPOCH);
    assert_eq!(seen(&service().build()), Ok(None));
    let gone = Service::builder().status("INACTIVE");
    assert_eq!(seen(&gone.deployments(deployment(1, "PRIMARY", 1).build()).build()), Ok(None));
    let nameless = Deployment::builder().status("PRIMARY").build();
    let error = seen(&service().deployments(nameless).build()).unwrap_err();
    assert_eq!(error, "a PRIMARY deployment without an id");
}

#[test]
fn several_sources_are_no_source_and_half_the_digests_are_none() {
    let mut several = flight(ServiceDeploymentStatus::InProgress, None);
    several.sources.push(None);
    assert_eq!((several.source(), several.stage), (None, Stage::Running));
    let image = |digest: Option<&str>| {
        ContainerImage::builder().image("api:1").set_image_digest(digest.map(Into::into)).build()
    };
    let found = ServiceRevision::builder()
        .task_definition(definition(1))
        .container_images(image(Some("sha256:a")))
        .container_images(image(None))
        .build();
    let (half, complete) = revision(&found).unwrap();
    assert_eq!((half.digests.len(), complete), (0, false));
}
