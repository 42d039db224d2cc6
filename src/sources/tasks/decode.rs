//! From what ECS says of a stopped task to what ended it. Pure.

use aws_sdk_ecs::types::{Container, Task, TaskStopCode};
use jiff::Timestamp;

use crate::model::{StopKind, TaskStop, TasksOf};

/// Characters of a reason that are kept: it may hold a stack trace.
const MOST_OF_A_REASON: usize = 300;

/// What ended `task`, where it has ended and belongs to the judged deployment: of the same
/// task definition, and started by that deployment.
pub(super) fn stop(task: &Task, of: &TasksOf) -> Option<TaskStop> {
    let own = task.task_definition_arn() == Some(of.task_definition.as_str())
        && task.started_by() == Some(of.deployment.as_str());
    if !own || task.last_status() != Some("STOPPED") {
        return None;
    }
    let at = task.stopped_at().or(task.stopping_at())?.to_millis().ok()?;
    let kind = kind(task);
    let container = culprit(task, kind);
    let words = match (kind, container.and_then(Container::reason), task.stopped_reason()) {
        // The container's own words say more than "Essential container in task exited".
        (StopKind::OutOfMemory | StopKind::Exited(_), Some(words), _) | (_, _, Some(words)) => {
            words
        }
        (_, words, None) => words.unwrap_or("no reason given"),
    };
    Some(TaskStop {
        at: Timestamp::from_millisecond(at).ok()?,
        task: last_part(task.task_arn()?).to_owned(),
        definition: last_part(&of.task_definition).to_owned(),
        kind,
        container: container.and_then(Container::name).map(str::to_owned),
        reason: words.chars().filter(|c| !c.is_control()).take(MOST_OF_A_REASON).collect(),
        memory: task.memory().and_then(|mib| mib.parse().ok()),
    })
}

fn kind(task: &Task) -> StopKind {
    let code = task.stop_code();
    let reason = task.stopped_reason().unwrap_or_default();
    let all = || task.containers().iter().filter_map(Container::reason).chain([reason]);
    let says = |words: &[&str]| all().any(|one| words.iter().any(|word| one.contains(word)));
    // ECS stops an unhealthy task as it stops one that is not needed: only the words differ.
    if reason.contains("failed container health checks") {
        return StopKind::Unhealthy;
    }
    if reason.contains("failed ELB health checks") {
        return StopKind::UnhealthyTarget;
    }
    match code {
        Some(
            TaskStopCode::SpotInterruption
            | TaskStopCode::TerminationNotice
            | TaskStopCode::InfrastructureHealth,
        ) => StopKind::Interrupted,
        Some(TaskStopCode::EssentialContainerExited) if says(&["OutOfMemory"]) => {
            StopKind::OutOfMemory
        }
        Some(TaskStopCode::EssentialContainerExited) => {
            StopKind::Exited(exited(task).and_then(Container::exit_code))
        }
        Some(TaskStopCode::TaskFailedToStart) | None
            if says(&[
                "CannotPullContainer",
                "CannotPullECRContainer",
                "CannotPullImageManifest",
            ]) =>
        {
            StopKind::ImagePull
        }
        Some(TaskStopCode::TaskFailedToStart) => StopKind::NotStarted,
        None if reason.starts_with("Host EC2") => StopKind::Interrupted,
        None if says(&["OutOfMemory"]) => StopKind::OutOfMemory,
        None if reason.starts_with("Essential container") => {
            StopKind::Exited(exited(task).and_then(Container::exit_code))
        }
        // By the scheduler or a person; and what is not known to be harm is none.
        None | Some(_) => StopKind::Asked,
    }
}

/// The container that a stop is about.
fn culprit(task: &Task, kind: StopKind) -> Option<&Container> {
    let mut all = task.containers().iter();
    match kind {
        StopKind::OutOfMemory => {
            all.find(|one| one.reason().is_some_and(|words| words.contains("OutOfMemory")))
        }
        StopKind::Exited(_) => exited(task),
        StopKind::ImagePull | StopKind::NotStarted => all.find(|one| one.reason().is_some()),
        StopKind::Unhealthy => {
            all.find(|one| one.health_status().is_some_and(|health| health.as_str() == "UNHEALTHY"))
        }
        StopKind::UnhealthyTarget | StopKind::Interrupted | StopKind::Asked => None,
    }
    .or_else(|| task.containers().first().filter(|_| task.containers().len() == 1))
}

/// The container that ended first as far as its exit code tells: those that ECS stops after
/// it end with 0, or with 137 or 143 by the signal.
fn exited(task: &Task) -> Option<&Container> {
    let rank = |one: &&Container| match one.exit_code() {
        Some(0) => 2,
        Some(137 | 143) => 1,
        Some(_) => 0,
        None => 3,
    };
    task.containers().iter().min_by_key(rank)
}

pub(super) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
