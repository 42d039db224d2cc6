//! One cluster of Kubernetes.

use super::report::{Part, Report};
use crate::app::targets::cluster;
use crate::engine::wanted_clusters;
use crate::platform::Platform;
use crate::policy_repo::Loaded;
use crate::settings::{KubernetesSettings, TargetSettings};

/// Namespaces that are looked into; more are named, and not tried.
const MOST_NAMESPACES: usize = 20;

/// Tries all that guarding needs there, and answers the services that it found.
pub(super) async fn examine(
    name: &str,
    settings: &TargetSettings,
    kubernetes: &KubernetesSettings,
    loaded: &Loaded,
) -> Part {
    let mut report = Report::of(&format!("target {name}"));
    let cluster = match cluster(name, kubernetes).await {
        Ok(cluster) => cluster,
        Err(why) => {
            report.fail(&why, "see `kubectl config get-contexts`");
            return report.into();
        }
    };
    let (named, patterns) = wanted_clusters(loaded, name);
    let namespaces = settings.clusters.clone().unwrap_or_else(|| named.into_iter().collect());
    if !patterns.is_empty() && settings.clusters.is_none() {
        match cluster.clusters().await {
            Ok(all) => report.ok(&format!("list namespaces: {}", all.len())),
            Err(error) => report.fail(
                &error.to_string(),
                "policies give patterns of namespaces: name them in `clusters` of the target, or \
                 let deployguard list namespaces",
            ),
        }
    }
    if namespaces.is_empty() {
        report.warn("no policy names a namespace of it", "see `match` of the policies");
    }
    let (mut services, mut asked) = (Vec::new(), Some(name.to_owned()));
    for namespace in namespaces.iter().take(MOST_NAMESPACES) {
        match cluster.services(namespace).await {
            Ok(found) => {
                report.ok(&format!("{namespace}: {} services", found.len()));
                // What leads to something else is guarded where a policy says so.
                services.extend(found.into_iter().filter(|key| {
                    !key.service.contains('/') || loaded.set.matching(key).first().is_some()
                }));
            }
            Err(error) => {
                report.fail(&error.to_string(), "apply deploy/kubernetes/rbac.yaml there");
                asked = None;
            }
        }
        for tried in cluster.probe(namespace).await {
            let what = format!("{} in {namespace}", tried.what);
            match tried.allowed {
                Ok(true) => report.ok(&what),
                Ok(false) if tried.to_act => report.warn(
                    &format!("{what} is not allowed: no rollback can be made by it"),
                    "apply deploy/kubernetes/rbac.yaml there, unless policies only observe",
                ),
                Ok(false) => {
                    report.fail(
                        &format!("{what} is not allowed"),
                        "apply deploy/kubernetes/rbac.yaml there",
                    );
                }
                Err(why) => report.fail(&why, "see the way to the cluster"),
            }
        }
    }
    for namespace in namespaces.iter().skip(MOST_NAMESPACES) {
        report.warn(&format!("{namespace} was not tried"), "there are many: try it by itself");
    }
    Part { report, services, asked }
}
