//! What putting a task definition back does not bring back with it. Pure.

use aws_sdk_ecs::types::{NetworkConfiguration, ServiceRevision};

use crate::model::Revision;

/// What differs between two service revisions and is not part of the task
/// definition, in words: UpdateService leaves it as it is now.
pub(super) fn not_restored(now: &ServiceRevision, then: &ServiceRevision) -> Vec<String> {
    let mut words = Vec::new();
    network(&mut words, now.network_configuration(), then.network_configuration());
    let balancers = |revision: &ServiceRevision| {
        let named = revision.load_balancers().iter().map(|one| {
            let name = one.target_group_arn().or(one.load_balancer_name()).unwrap_or("unnamed");
            format!("{name} port {}", one.container_port().unwrap_or_default())
        });
        sorted(named.collect())
    };
    changed(&mut words, "load balancers", &balancers(now), &balancers(then));
    let platform = |revision: &ServiceRevision| {
        vec![revision.platform_version().unwrap_or("default").to_owned()]
    };
    changed(&mut words, "platform version", &platform(now), &platform(then));
    changed(&mut words, "capacity", &capacity(now), &capacity(then));
    let others = [
        ("volumes", now.volume_configurations() != then.volume_configurations()),
        ("service discovery", now.service_registries() != then.service_registries()),
        (
            "Service Connect",
            now.service_connect_configuration() != then.service_connect_configuration(),
        ),
        ("VPC Lattice", now.vpc_lattice_configurations() != then.vpc_lattice_configurations()),
        (
            "encryption of ephemeral storage",
            now.fargate_ephemeral_storage() != then.fargate_ephemeral_storage(),
        ),
    ];
    let differing = others.iter().filter(|(_, differs)| *differs);
    words.extend(differing.map(|(what, _)| format!("{what}: not as it was with the target")));
    words
}

/// Images whose tag means another digest now than it did in `then`: the target's
/// task definition would start what the tag means now.
pub(super) fn moved_tags(now: &Revision, then: &Revision) -> Vec<String> {
    let split = |digest: &'static str, of: &str| {
        let (image, digest) = of.split_once(digest)?;
        Some((image.to_owned(), digest.to_owned()))
    };
    let parted = |revision: &Revision| -> Vec<(String, String)> {
        revision.digests.iter().filter_map(|one| split("@", one)).collect()
    };
    let current = parted(now);
    let moved = parted(then).into_iter().filter(|(image, digest)| {
        let mut same_image = current.iter().filter(|(other, _)| other == image).peekable();
        same_image.peek().is_some() && same_image.all(|(_, other)| other != digest)
    });
    moved
        .map(|(image, digest)| {
            format!("image {image}: the tag has moved on, {digest} would not come back")
        })
        .collect()
}

fn network(
    words: &mut Vec<String>,
    now: Option<&NetworkConfiguration>,
    then: Option<&NetworkConfiguration>,
) {
    let vpc = |one: Option<&NetworkConfiguration>| {
        let vpc = one.and_then(|one| one.awsvpc_configuration())?;
        let public = vpc.assign_public_ip().map_or("default", |assign| assign.as_str());
        let (subnets, groups) = (vpc.subnets().to_vec(), vpc.security_groups().to_vec());
        Some([sorted(subnets), sorted(groups), vec![public.to_owned()]])
    };
    let [now, then] = [vpc(now), vpc(then)].map(Option::unwrap_or_default);
    for ((what, now), then) in
        ["subnets", "security groups", "public IP"].into_iter().zip(&now).zip(&then)
    {
        changed(words, what, now, then);
    }
}

fn capacity(revision: &ServiceRevision) -> Vec<String> {
    let strategy = revision.capacity_provider_strategy().iter().map(|one| {
        format!("{} (weight {}, base {})", one.capacity_provider(), one.weight(), one.base())
    });
    let launch = revision.launch_type().map(|launch| launch.as_str().to_owned());
    sorted(strategy.chain(launch).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn changed(words: &mut Vec<String>, what: &str, now: &[String], then: &[String]) {
    if now != then {
        let said = |names: &[String]| {
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        words.push(format!("{what}: stays {}, was {} with the target", said(now), said(then)));
    }
}
