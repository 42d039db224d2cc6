//! Whether images are still in Amazon ECR. Other registries are not asked.

use std::collections::BTreeSet;

use aws_sdk_ecr::types::{ImageFailureCode, ImageIdentifier};

use super::Ecs;
use crate::aws::Fault;

/// Images of one task definition that are looked for.
const IMAGES: usize = 10;

/// An image in ECR.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image<'a> {
    account: &'a str,
    region: &'a str,
    repository: &'a str,
    /// Whether `reference` is a digest and not a tag.
    by_digest: bool,
    reference: &'a str,
}

/// Whether an image is in ECR, by its name.
pub(super) fn is_ecr(name: &str) -> bool {
    read(name).is_some()
}

/// What was found out about images.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Images that are gone.
    pub(super) gone: Vec<String>,
    /// Why it could not be asked.
    pub(super) unasked: BTreeSet<String>,
}

impl Ecs {
    /// Looks for images as a task definition names them. What can't be asked, for
    /// whatever reason, is told and is no obstacle: the registry is not what acts.
    pub(super) async fn images(&self, named: &[String]) -> Found {
        let mut found = Found::default();
        for name in named.iter().take(IMAGES) {
            let Some(image) = read(name) else { continue };
            match self.is_there(&image).await {
                Ok(true) => {}
                Ok(false) => found.gone.push(name.clone()),
                Err(fault) => {
                    tracing::debug!(fault = fault.words, "the registry could not be asked");
                    found.unasked.insert(format!(
                        "whether the image is still in the registry could not be asked ({})",
                        fault.code.as_deref().unwrap_or("BatchGetImage: no answer")
                    ));
                }
            }
        }
        found
    }

    async fn is_there(&self, image: &Image<'_>) -> Result<bool, Fault> {
        let id = ImageIdentifier::builder();
        let id = if image.by_digest {
            id.image_digest(image.reference)
        } else {
            id.image_tag(image.reference)
        };
        let region = aws_sdk_ecr::config::Region::new(image.region.to_owned());
        let asked = self.inner.ecr.batch_get_image().registry_id(image.account);
        let asked = asked.repository_name(image.repository).image_ids(id.build());
        let there = aws_sdk_ecr::Config::builder().region(region);
        let sent = asked.customize().config_override(there).send().await;
        match sent.map_err(|error| Fault::of("BatchGetImage", &error)) {
            Ok(answer) => Ok(!answer
                .failures()
                .iter()
                .any(|one| one.failure_code() == Some(&ImageFailureCode::ImageNotFound))),
            Err(fault) if fault.is("RepositoryNotFoundException") => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY[:TAG][@DIGEST]`; `None`: elsewhere.
fn read(name: &str) -> Option<Image<'_>> {
    let (host, path) = name.split_once('/')?;
    let (account, place) = host.split_once(".dkr.ecr.")?;
    let region = place.strip_suffix(".amazonaws.com.cn").or(place.strip_suffix(".amazonaws.com"))?;
    let (path, digest) = match path.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (path, None),
    };
    let (repository, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    let by_digest = digest.is_some();
    Some(Image { account, region, repository, by_digest, reference: digest.unwrap_or(tag) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_in_ecr_are_looked_for_by_digest_or_tag() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        let name = |path: &str| format!("{host}/{path}");
        let of = |path: &str| {
            let name = name(path);
            let image = read(&name).expect("in ECR");
            assert_eq!((image.account, image.region), ("123456789012", "eu-west-1"));
            (image.repository.to_owned(), image.by_digest, image.reference.to_owned())
        };
        assert_eq!(of("shop/api:v1"), ("shop/api".into(), false, "v1".into()));
        assert_eq!(of("api"), ("api".into(), false, "latest".into()));
        assert_eq!(of("api:v1@sha256:a"), ("api".into(), true, "sha256:a".into()));
        assert_eq!(of("api@sha256:a"), ("api".into(), true, "sha256:a".into()));
        for elsewhere in ["nginx:1", "public.ecr.aws/x/y:1", "registry.example/api:1"] {
            assert_eq!(read(elsewhere), None, "{elsewhere}");
        }
    }
}
