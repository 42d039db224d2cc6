//! The tasks of a deployment: what is asked about them, and what ended one.
//!
//! Only the judged deployment's own tasks count, and of those only the ones that came to
//! harm. That a task was scaled in, replaced by a later deployment, stopped by a person, or
//! lost with its Spot capacity or host says nothing about its revision.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ServiceKey;

/// What is known of a deployment's tasks as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskGauge {
    /// Tasks that came to harm within the last ten minutes.
    Failures,
    /// The share (0-1) of the desired tasks that run. While the roll-out lasts nobody
    /// expects them all: 1.
    Running,
    /// The share (0-1) of the targets that are healthy, of those whose health is known. 1
    /// while the roll-out lasts, because both revisions stand behind the load balancer
    /// then, and where there is none.
    HealthyTargets,
}

/// Whose tasks are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TasksOf {
    pub service: ServiceKey,
    /// The platform's id of the deployment or task set: `startedBy` of its tasks.
    pub deployment: String,
    /// ARN of the task definition.
    pub task_definition: String,
}

/// What is asked of the platform about tasks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TasksAsk {
    pub gauge: TaskGauge,
    /// `None` where no deployment is known that could have tasks.
    pub of: Option<TasksOf>,
}

/// The label by which a [`TaskStop`] comes back beside the number of failures, as JSON.
pub const TASK_STOP: &str = "task_stop";

/// A task of the judged deployment that came to harm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct TaskStop {
    pub at: Timestamp,
    /// The last part of its ARN.
    pub task: String,
    /// `api:42`.
    pub definition: String,
    pub kind: StopKind,
    /// The container that it is about, where the platform names one.
    pub container: Option<String>,
    /// In the platform's words, bounded.
    pub reason: String,
    /// MiB of the task, where it has a limit of its own.
    pub memory: Option<u32>,
}

/// What ended a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    OutOfMemory,
    /// An essential container ended, with this exit code if it is known.
    Exited(Option<i32>),
    /// The container's own health check.
    Unhealthy,
    /// The health check of the load balancer.
    UnhealthyTarget,
    ImagePull,
    /// It could not be placed or started, image aside.
    NotStarted,
    /// Spot capacity, a host or a zone was taken away.
    Interrupted,
    /// Scaled in, replaced by a deployment, or stopped by a person.
    Asked,
}

impl StopKind {
    /// Whether it is held against the revision.
    pub fn is_harm(self) -> bool {
        match self {
            Self::OutOfMemory
            | Self::Exited(_)
            | Self::Unhealthy
            | Self::UnhealthyTarget
            | Self::ImagePull
            | Self::NotStarted => true,
            Self::Interrupted | Self::Asked => false,
        }
    }

    /// Whether its containers ran, so that they may have logged something.
    pub fn has_run(self) -> bool {
        match self {
            Self::OutOfMemory | Self::Exited(_) | Self::Unhealthy | Self::UnhealthyTarget => true,
            Self::ImagePull | Self::NotStarted | Self::Interrupted | Self::Asked => false,
        }
    }
}

impl TaskStop {
    /// What happened to it: what tasks with the same story share.
    pub fn story(&self) -> String {
        let container = self.container.as_deref().unwrap_or("container");
        match self.kind {
            StopKind::OutOfMemory => {
                let memory = self.memory.map(|mib| format!(" (memory {mib} MiB)"));
                format!("killed: out of memory{}", memory.unwrap_or_default())
            }
            StopKind::Exited(Some(code)) => {
                format!("stopped: essential container {container} exited with code {code}")
            }
            StopKind::Exited(None) => format!("stopped: essential container {container} exited"),
            StopKind::Unhealthy => "stopped: failed container health checks".to_owned(),
            StopKind::UnhealthyTarget => {
                "stopped: failed the load balancer's health checks".to_owned()
            }
            StopKind::ImagePull => format!("not started: no image ({})", self.reason),
            StopKind::NotStarted => format!("not started ({})", self.reason),
            StopKind::Interrupted => "interrupted with the host".to_owned(),
            StopKind::Asked => "stopped on request".to_owned(),
        }
    }

    /// One line for each story, the most frequent first, at most `most` lines: "3 tasks of
    /// api:42 were killed: out of memory (memory 512 MiB)".
    pub fn in_words(stops: &[TaskStop], most: usize) -> Vec<String> {
        let mut told: Vec<(String, &str, usize)> = Vec::new();
        for stop in stops {
            let story = stop.story();
            match told.iter_mut().find(|(one, of, _)| *one == story && *of == stop.definition) {
                Some((_, _, count)) => *count += 1,
                None => told.push((story, &stop.definition, 1)),
            }
        }
        told.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        let line = |(story, of, count): (String, &str, usize)| match count {
            1 => format!("1 task of {of} was {story}"),
            _ => format!("{count} tasks of {of} were {story}"),
        };
        told.into_iter().take(most).map(line).collect()
    }
}

impl fmt::Display for TaskGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failures => "failures",
            Self::Running => "running",
            Self::HealthyTargets => "healthy_targets",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(kind: StopKind) -> TaskStop {
        TaskStop {
            at: Timestamp::UNIX_EPOCH,
            task: "t".into(),
            definition: "api:42".into(),
            kind,
            container: Some("app".into()),
            reason: "because".into(),
            memory: Some(512),
        }
    }

    #[test]
    fn tasks_with_one_story_are_told_of_in_one_line_the_most_frequent_first() {
        let stops = [StopKind::Exited(Some(137)), StopKind::OutOfMemory, StopKind::OutOfMemory];
        assert_eq!(
            TaskStop::in_words(&stops.map(stop), 5),
            [
                "2 tasks of api:42 were killed: out of memory (memory 512 MiB)",
                "1 task of api:42 was stopped: essential container app exited with code 137",
            ]
        );
        assert_eq!(TaskStop::in_words(&stops.map(stop), 1).len(), 1);
    }
}
