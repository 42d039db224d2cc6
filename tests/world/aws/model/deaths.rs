//! How a task dies by itself, as its task definition's environment says: `DIES` is `oom`,
//! `exit:CODE`, `health` or `elb`. It comes into service first, and one step later it is gone;
//! ECS starts another one, which does the same.

use std::collections::BTreeMap;

/// What a task dies of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its container is killed for its memory.
    OutOfMemory,
    /// Its container exits with this code.
    Exit(i32),
    /// Its container's own health check fails.
    Health,
    /// The load balancer's health check fails.
    Target,
}

impl Death {
    pub(super) fn of(environment: &BTreeMap<String, String>) -> Option<Self> {
        match environment.get("DIES")?.as_str() {
            "oom" => Some(Self::OutOfMemory),
            "health" => Some(Self::Health),
            "elb" => Some(Self::Target),
            other => other.strip_prefix("exit:")?.parse().ok().map(Self::Exit),
        }
    }

    /// `stopCode` and `stoppedReason` of the API.
    pub(super) fn stop(self) -> (&'static str, String) {
        match self {
            Self::OutOfMemory | Self::Exit(_) => {
                ("EssentialContainerExited", "Essential container in task exited".into())
            }
            Self::Health => {
                ("ServiceSchedulerInitiated", "Task failed container health checks".into())
            }
            Self::Target => {
                let group = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/a/b";
                let words = format!("Task failed ELB health checks in (target-group {group})");
                ("ServiceSchedulerInitiated", words)
            }
        }
    }

    /// `exitCode` of the container.
    pub(super) fn exit_code(self) -> i32 {
        match self {
            Self::OutOfMemory => 137,
            Self::Exit(code) => code,
            Self::Health | Self::Target => 143,
        }
    }

    /// `reason` of the container.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::OutOfMemory => Some("OutOfMemoryError: Container killed due to memory usage"),
            Self::Exit(_) | Self::Health | Self::Target => None,
        }
    }
}
