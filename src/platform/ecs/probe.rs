//! Every reading call that guarding needs, tried once on a real service.

use aws_sdk_ecs::types::TaskDefinition;

use super::Ecs;
use super::decode::last_part;
use crate::aws::Fault;
use crate::model::ServiceKey;

/// A call by its IAM name, and how it went; `Ok(None)`: there was nothing to try it on.
pub type Tried = (&'static str, Result<Option<String>, Fault>);

impl Ecs {
    /// Tries the calls on one service. Changes nothing.
    pub async fn probe(&self, key: &ServiceKey) -> Vec<Tried> {
        let mut tried: Vec<Tried> = Vec::new();
        let client = &self.inner.client;
        let described = client
            .describe_services()
            .cluster(&key.cluster)
            .services(&key.service)
            .send()
            .await
            .map_err(|error| Fault::of("DescribeServices", &error));
        let service = described.as_ref().ok().and_then(|answer| answer.services().first());
        let definition = service.and_then(|one| one.task_definition()).map(str::to_owned);
        tried.push(("ecs:DescribeServices", described.map(|_| Some(key.to_string()))));
        let listed = client
            .list_service_deployments()
            .cluster(&key.cluster)
            .service(&key.service)
            .max_results(1)
            .send()
            .await
            .map_err(|error| Fault::of("ListServiceDeployments", &error));
        let newest = listed.as_ref().ok().and_then(|answer| answer.service_deployments().first());
        let revision = newest.and_then(|one| one.target_service_revision_arn()).map(str::to_owned);
        let deployment = newest.and_then(|one| one.service_deployment_arn()).map(str::to_owned);
        let listed = listed.map(|answer| Some(format!("{}", answer.service_deployments().len())));
        tried.push(("ecs:ListServiceDeployments", listed));
        tried.push(("ecs:DescribeServiceDeployments", self.try_deployment(deployment).await));
        let revised = match revision {
            Some(arn) => {
                self.inner.history.describe_revisions(&[arn]).await.map(|_| Some(String::new()))
            }
            None => Ok(None),
        };
        tried.push(("ecs:DescribeServiceRevisions", revised));
        let (defined, images) = self.try_definition(definition).await;
        tried.push(("ecs:DescribeTaskDefinition", defined));
        let found = self.images(&images).await;
        let told = match found.unasked.into_iter().next() {
            Some(why) => Err(Fault::odd("BatchGetImage", &why)),
            None => Ok(images.iter().any(|name| super::registry::is_ecr(name)).then(String::new)),
        };
        tried.push(("ecr:BatchGetImage", told));
        tried
    }

    async fn try_deployment(&self, arn: Option<String>) -> Result<Option<String>, Fault> {
        let Some(arn) = arn else { return Ok(None) };
        let asked = self.inner.client.describe_service_deployments();
        let sent = asked.service_deployment_arns(arn).send().await;
        sent.map(|_| Some(String::new()))
            .map_err(|error| Fault::of("DescribeServiceDeployments", &error))
    }

    async fn try_definition(
        &self,
        arn: Option<String>,
    ) -> (Result<Option<String>, Fault>, Vec<String>) {
        let Some(arn) = arn else { return (Ok(None), Vec::new()) };
        let asked = self.inner.client.describe_task_definition().task_definition(&arn);
        match asked.send().await {
            Ok(answer) => {
                let containers =
                    answer.task_definition().map(TaskDefinition::container_definitions);
                let images = containers.unwrap_or_default().iter();
                let images = images.filter_map(|one| one.image().map(str::to_owned)).collect();
                (Ok(Some(last_part(&arn).to_owned())), images)
            }
            Err(error) => (Err(Fault::of("DescribeTaskDefinition", &error)), Vec::new()),
        }
    }
}
