//! The last lines that a task logged, where its task definition sends them to CloudWatch Logs
//! with `awslogs`. Two calls that only read, once an incident; secrets are masked before
//! anything leaves this room.

use std::time::Duration;

use aws_sdk_cloudwatchlogs::config::Region;
use aws_sdk_ecs::types::{ContainerDefinition, LogDriver, TaskDefinition};

use super::{TaskHealth, mask};
use crate::aws::Fault;
use crate::model::TaskStop;

/// For both calls together.
const PATIENCE: Duration = Duration::from_secs(3);
/// Events that are asked for. One of them may be many lines.
const EVENTS: i32 = 20;

/// Where a container's task logs.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    group: String,
    stream: String,
    /// `None`: the task's own.
    region: Option<String>,
}

impl TaskHealth {
    /// The last lines of the container that `stop` is about, oldest first, masked and
    /// bounded; none where it logged nothing.
    ///
    /// # Errors
    /// Why there are none to be had, in words.
    pub async fn last_lines(&self, stop: &TaskStop) -> Result<Vec<String>, String> {
        let read = tokio::time::timeout(PATIENCE, self.read(stop)).await;
        read.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    async fn read(&self, stop: &TaskStop) -> Result<Vec<String>, String> {
        let asked = self.ecs.describe_task_definition().task_definition(&stop.definition);
        let sent = asked.send().await;
        let answer = sent.map_err(|e| Fault::of("DescribeTaskDefinition", &e).words)?;
        let definition = answer.task_definition.ok_or("the task definition is gone")?;
        let Place { group, stream, region } = place(&definition, stop)?;
        let mut config = self.logs.config().to_builder();
        if let Some(region) = region {
            config = config.region(Region::new(region));
        }
        let logs = aws_sdk_cloudwatchlogs::Client::from_conf(config.build());
        let asked = logs.get_log_events().log_group_name(&group).log_stream_name(stream);
        let sent = asked.limit(EVENTS).start_from_head(false).send().await;
        let answer = sent.map_err(|e| Fault::of("GetLogEvents", &e).words)?;
        Ok(mask::excerpt(answer.events().iter().filter_map(|event| event.message())))
    }
}

/// Where the container logs that `stop` is about, or else the first essential one.
fn place(definition: &TaskDefinition, stop: &TaskStop) -> Result<Place, String> {
    let all = definition.container_definitions();
    let named = |one: &&ContainerDefinition| one.name() == stop.container.as_deref();
    let essential = |one: &&ContainerDefinition| one.essential() != Some(false);
    let container = all
        .iter()
        .find(|one| stop.container.is_some() && named(one))
        .or_else(|| all.iter().find(essential))
        .ok_or("the task definition names no such container")?;
    let name = container.name().unwrap_or_default();
    let logs = container.log_configuration().filter(|log| *log.log_driver() == LogDriver::Awslogs);
    let Some(options) = logs.and_then(|log| log.options()) else {
        return Err(format!("container {name} does not log with awslogs"));
    };
    let option = |name: &str| options.get(name).filter(|value| !value.is_empty()).cloned();
    let (Some(group), Some(prefix)) = (option("awslogs-group"), option("awslogs-stream-prefix"))
    else {
        return Err(format!("the awslogs of container {name} lacks a group or a stream prefix"));
    };
    let stream = format!("{prefix}/{name}/{}", stop.task);
    Ok(Place { group, stream, region: option("awslogs-region") })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::LogConfiguration;
    use jiff::Timestamp;

    use super::*;
    use crate::model::StopKind;

    fn stop(container: Option<&str>) -> TaskStop {
        TaskStop {
            at: Timestamp::UNIX_EPOCH,
            task: "0123abcd".into(),
            definition: "api:42".into(),
            kind: StopKind::OutOfMemory,
            container: container.map(str::to_owned),
            reason: String::new(),
            memory: None,
        }
    }

    fn container(name: &str, driver: LogDriver, options: &[(&str, &str)]) -> ContainerDefinition {
        let mut log = LogConfiguration::builder().log_driver(driver);
        for (key, value) in options {
            log = log.options(*key, *value);
        }
        let log = log.build().unwrap();
        ContainerDefinition::builder().name(name).log_configuration(log).build()
    }

    #[test]
    fn the_stream_is_the_prefix_the_container_and_the_task() {
        let options = [("awslogs-group", "/ecs/api"), ("awslogs-stream-prefix", "ecs")];
        let definition = TaskDefinition::builder()
            .container_definitions(container("proxy", LogDriver::Splunk, &[]))
            .container_definitions(container("app", LogDriver::Awslogs, &options))
            .container_definitions(container("bare", LogDriver::Awslogs, &options[..1]))
            .build();
        let found = place(&definition, &stop(Some("app"))).unwrap();
        assert_eq!((found.group.as_str(), found.stream.as_str()), ("/ecs/api", "ecs/app/0123abcd"));
        assert!(place(&definition, &stop(Some("proxy"))).unwrap_err().contains("awslogs"));
        assert!(place(&definition, &stop(None)).unwrap_err().contains("proxy"), "the first one");
        assert!(place(&definition, &stop(Some("bare"))).unwrap_err().contains("prefix"));
        assert!(place(&TaskDefinition::builder().build(), &stop(None)).is_err());
    }
}
