//! What putting a task definition back does not bring back with it. Pure.

use aws_sdk_ecs::types::{NetworkConfiguration, ServiceRevision};

use crate::model::Revision;

/// What differs between two service revisions and is not part of the task
/// definition, in words: `UpdateService` leaves it as it is now.
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
    let moved = then.moved_tags(now).into_iter().map(|(image, digest)| {
        format!("image {image}: the tag has moved on, {digest} would not come back")
    });
    moved.collect()
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

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{AwsVpcConfiguration, LoadBalancer};

    use super::*;

    fn revision(subnets: &[&str], group: &str) -> ServiceRevision {
        let vpc = AwsVpcConfiguration::builder()
            .set_subnets(Some(subnets.iter().map(|one| (*one).to_owned()).collect()))
            .build()
            .unwrap();
        let balancer = LoadBalancer::builder().target_group_arn(group).container_port(80).build();
        ServiceRevision::builder()
            .network_configuration(
                NetworkConfiguration::builder().awsvpc_configuration(vpc).build(),
            )
            .load_balancers(balancer)
            .build()
    }

    #[test]
    fn what_update_service_leaves_is_named_and_order_is_no_difference() {
        let (now, then) = (revision(&["a", "b"], "tg-2"), revision(&["b", "a"], "tg-2"));
        assert_eq!(not_restored(&now, &then), Vec::<String>::new());
        assert_eq!(
            not_restored(&now, &revision(&["c"], "tg-1")),
            [
                "subnets: stays a, b, was c with the target",
                "load balancers: stays tg-2 port 80, was tg-1 port 80 with the target",
            ]
        );
        let bare = ServiceRevision::builder().platform_version("1.4.0").build();
        assert_eq!(not_restored(&now, &bare).len(), 4, "{:?}", not_restored(&now, &bare));
    }

    #[test]
    fn a_tag_that_moved_on_would_not_bring_the_old_image_back() {
        let of = |digests: &[&str]| Revision {
            digests: digests.iter().map(|one| (*one).to_owned()).collect(),
            ..Revision::named("x")
        };
        let now = of(&["api:latest@sha256:b", "proxy:1@sha256:p"]);
        let then = of(&["api:latest@sha256:a", "proxy:1@sha256:p"]);
        let words = ["image api:latest: the tag has moved on, sha256:a would not come back"];
        assert_eq!(moved_tags(&now, &then), words);
        assert!(moved_tags(&of(&["api:2@sha256:b"]), &of(&["api:1@sha256:a"])).is_empty());
        assert!(moved_tags(&of(&[]), &then).is_empty());
    }
}
