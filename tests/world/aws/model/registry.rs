//! Amazon ECR: which images are there.

use serde_json::{Value, json};

use super::{EcsError, Model};

impl Model {
    pub(super) fn call_ecr(&mut self, operation: &str, body: &Value) -> Result<Value, EcsError> {
        match operation {
            "BatchGetImage" => Ok(self.batch_get_image(body)),
            other => Err(EcsError::not_modelled(format!("the operation {other}"))),
        }
    }

    /// An image is there unless it was taken away.
    pub fn delete_image(&mut self, repository: &str, reference: &str) {
        self.deleted_images.insert(format!("{repository}@{reference}"));
    }

    fn batch_get_image(&self, body: &Value) -> Value {
        let repository = body["repositoryName"].as_str().unwrap_or_default();
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in body["imageIds"].as_array().into_iter().flatten() {
            let given = id["imageDigest"].as_str().or(id["imageTag"].as_str());
            let reference = given.unwrap_or_default();
            if self.deleted_images.contains(&format!("{repository}@{reference}")) {
                failures.push(json!({
                    "imageId": id,
                    "failureCode": "ImageNotFound",
                    "failureReason": "Requested image not found",
                }));
            } else {
                images.push(json!({ "repositoryName": repository, "imageId": id }));
            }
        }
        json!({ "images": images, "failures": failures })
    }
}
