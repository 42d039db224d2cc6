//! The dimensions of AWS's own metrics. CloudWatch answers a set of dimensions that it does
//! not have as it answers a quiet service: with nothing.

use crate::policy::diagnostic::{Mistake, nearest, quoted};

/// A namespace of AWS's, as its service's documentation has it.
struct Space {
    name: &'static str,
    /// Every dimension that its metrics can have.
    known: &'static [&'static str],
    /// Of these a metric has one at least; none: it has numbers of a whole account too.
    needs: &'static [&'static str],
    /// Metrics that need none of them, by how they begin.
    but: &'static [&'static str],
    /// Metrics of which it is known for sure, by how they begin: AWS adds others, with other
    /// dimensions.
    sure: &'static [&'static str],
}

const SPACES: [Space; 11] = [
    Space {
        name: "AWS/ApplicationELB",
        known: &["LoadBalancer", "TargetGroup", "AvailabilityZone"],
        needs: &["LoadBalancer"],
        but: &["RequestCountPerTarget", "Lambda"],
        sure: &[
            "ActiveConnectionCount",
            "HTTPCode_",
            "HealthyHostCount",
            "NewConnectionCount",
            "ProcessedBytes",
            "RequestCount",
            "TargetResponseTime",
            "UnHealthyHostCount",
        ],
    },
    Space {
        name: "AWS/NetworkELB",
        known: &["LoadBalancer", "TargetGroup", "AvailabilityZone"],
        needs: &["LoadBalancer"],
        but: &[],
        sure: &[
            "ActiveFlowCount",
            "HealthyHostCount",
            "NewFlowCount",
            "ProcessedBytes",
            "TCP_",
            "UnHealthyHostCount",
        ],
    },
    Space {
        name: "AWS/ELB",
        known: &["LoadBalancerName", "AvailabilityZone", "Service"],
        needs: &[],
        but: &[],
        sure: &[],
    },
    Space {
        name: "AWS/ECS",
        known: &["ClusterName", "ServiceName", "DiscoveryName", "TargetDiscoveryName"],
        needs: &["ClusterName", "DiscoveryName", "TargetDiscoveryName"],
        but: &[],
        sure: &["CPU", "Memory"],
    },
    Space {
        name: "ECS/ContainerInsights",
        known: &[
            "ClusterName",
            "ServiceName",
            "TaskDefinitionFamily",
            "TaskId",
            "ContainerName",
            "EC2InstanceId",
            "ContainerInstanceId",
            "InstanceId",
            "CapacityProviderName",
            "VolumeName",
        ],
        needs: &["ClusterName"],
        but: &[],
        sure: &["Cpu", "DesiredTaskCount", "Memory", "PendingTaskCount", "RunningTaskCount"],
    },
    Space {
        name: "AWS/RDS",
        known: &[
            "DBInstanceIdentifier",
            "DBClusterIdentifier",
            "DbClusterIdentifier",
            "DatabaseClass",
            "EngineName",
            "Role",
            "SourceRegion",
            "ProxyName",
            "Target",
            "TargetGroup",
            "TargetRole",
        ],
        needs: &[],
        but: &[],
        sure: &[],
    },
    Space {
        name: "AWS/Lambda",
        known: &["FunctionName", "Resource", "ExecutedVersion", "EventSourceMappingUUID"],
        needs: &[],
        but: &[],
        sure: &["Duration", "Errors", "Invocations", "Throttles"],
    },
    Space {
        name: "AWS/SQS",
        known: &["QueueName"],
        needs: &["QueueName"],
        but: &[],
        sure: &["Approximate", "NumberOf", "SentMessageSize"],
    },
    Space {
        name: "AWS/ElastiCache",
        known: &[
            "CacheClusterId",
            "CacheNodeId",
            "ReplicationGroupId",
            "NodeGroupId",
            "clusterId",
            "Tier",
        ],
        needs: &[],
        but: &[],
        sure: &["CPUUtilization", "EngineCPUUtilization"],
    },
    Space {
        name: "AWS/ApiGateway",
        known: &["ApiName", "ApiId", "Stage", "Method", "Resource", "Route"],
        needs: &["ApiName", "ApiId"],
        but: &[],
        sure: &["4", "5", "Count", "IntegrationLatency", "Latency"],
    },
    Space {
        name: "AWS/DynamoDB",
        known: &[
            "TableName",
            "GlobalSecondaryIndexName",
            "Operation",
            "OperationType",
            "DelegatedOperation",
            "ReceivingRegion",
            "StreamLabel",
            "Verb",
        ],
        needs: &["TableName", "Operation"],
        but: &["Account", "Max", "UserErrors"],
        sure: &["Consumed", "Provisioned", "Read", "SuccessfulRequest", "Throttled", "Write"],
    },
];

/// Dimensions that never stand without another: by namespace, the one and the other.
const TOGETHER: [(&str, &str, &str); 7] = [
    ("AWS/ApplicationELB", "AvailabilityZone", "LoadBalancer or TargetGroup"),
    ("AWS/NetworkELB", "TargetGroup", "LoadBalancer"),
    ("AWS/ECS", "ServiceName", "ClusterName"),
    ("ECS/ContainerInsights", "ServiceName", "ClusterName"),
    ("AWS/Lambda", "ExecutedVersion", "FunctionName"),
    ("AWS/ElastiCache", "CacheNodeId", "CacheClusterId"),
    ("AWS/DynamoDB", "GlobalSecondaryIndexName", "TableName"),
];

/// Metrics of a target group alone.
const OF_A_GROUP: [&str; 2] = ["HealthyHostCount", "UnHealthyHostCount"];

/// What is wrong with one dimension, or with none by name where one is missing.
#[derive(Debug, PartialEq)]
pub(in crate::policy) enum Finding {
    /// Under this name.
    Of(String, Mistake),
    Missing(Mistake),
    /// No mistake, or nobody knows.
    Doubtful(Option<String>, Mistake),
}

/// Everything that is wrong with the dimensions of a metric of AWS's own.
pub(in crate::policy) fn check(
    namespace: &str,
    metric: &str,
    dimensions: &[(&str, &str)],
) -> Vec<Finding> {
    let Some(space) = SPACES.iter().find(|space| space.name == namespace) else {
        return Vec::new();
    };
    let mut found: Vec<Finding> =
        dimensions.iter().filter_map(|(name, _)| unknown(space, name)).collect();
    // What is misspelt is not missing too, and what is unknown may stand in its place.
    if found.is_empty() {
        found.extend(missing(space, metric, dimensions));
    }
    found.extend(dimensions.iter().filter_map(|(name, value)| {
        let wrong = wrong_value(space, name, value)?;
        Some(Finding::Of((*name).to_owned(), wrong))
    }));
    found
}

fn unknown(space: &Space, name: &str) -> Option<Finding> {
    if space.known.contains(&name) {
        return None;
    }
    let mistake = Mistake::new(format!("`{name}` is no dimension of {}", space.name));
    let folded = name.to_lowercase();
    let begun = |known: &&&str| name.len() > 3 && known.to_lowercase().starts_with(&folded);
    let near = nearest(name, space.known.iter().copied()).into_iter().next();
    let near = near.or_else(|| space.known.iter().find(begun).copied());
    let meant = near.map(|near| format!("did you mean `{near}`?"));
    // AWS adds dimensions whose names are like others; one slip of the pen is no other name.
    let is_slip = |near: &str| strsim::damerau_levenshtein(&folded, &near.to_lowercase()) <= 1;
    if let Some(meant) = meant.clone().filter(|_| near.is_some_and(is_slip)) {
        return Some(Finding::Of(name.to_owned(), mistake.mend(meant)));
    }
    let mend = meant.unwrap_or_else(|| format!("known are {}", quoted(space.known)));
    let mistake = Mistake::new(format!("{} as far as is known", mistake.message));
    Some(Finding::Doubtful(Some(name.to_owned()), mistake.mend(mend)))
}

fn missing(space: &Space, metric: &str, dimensions: &[(&str, &str)]) -> Option<Finding> {
    let has = |name: &str| dimensions.iter().any(|(known, _)| *known == name);
    let excused = space.but.iter().any(|start| metric.starts_with(start));
    let is_sure = space.sure.iter().any(|start| metric.starts_with(start));
    let never = |what: String, mend: String| {
        let mistake = |then: &str| Mistake::new(format!("{what}: CloudWatch {then}")).mend(&mend);
        Some(if is_sure {
            Finding::Missing(mistake("would have no data for it"))
        } else {
            Finding::Doubtful(None, mistake("may have no data for it"))
        })
    };
    if let Some((_, name, other)) = TOGETHER
        .iter()
        .find(|(of, name, other)| *of == space.name && has(name) && !other.split(" or ").any(has))
    {
        return never(
            format!("`{metric}` has the dimension `{name}` only together with `{other}`"),
            format!("add `{other}: ...` to its `dimensions`"),
        );
    }
    if !excused && !space.needs.is_empty() && !space.needs.iter().any(|name| has(name)) {
        let first = space.needs.first().copied().unwrap_or_default();
        return never(
            format!("`{metric}` of {} needs the dimension `{first}`", space.name),
            format!("add {}", example(space)),
        );
    }
    if ["AWS/ApplicationELB", "AWS/NetworkELB"].contains(&space.name)
        && OF_A_GROUP.contains(&metric)
        && !has("TargetGroup")
    {
        return never(
            format!("`{metric}` of {} needs the dimension `TargetGroup`", space.name),
            "add `TargetGroup: targetgroup/NAME/ID`".to_owned(),
        );
    }
    let whole = dimensions.is_empty() && !excused;
    whole.then(|| {
        let what = format!("`{metric}` without `dimensions` is of everything in the account");
        Finding::Doubtful(None, Mistake::new(what).mend(format!("add {}", example(space))))
    })
}

/// What stands in the `dimensions` of a metric of this kind.
fn example(space: &Space) -> &'static str {
    match space.name {
        "AWS/ApplicationELB" => "`dimensions: { LoadBalancer: app/NAME/ID }`",
        "AWS/NetworkELB" => "`dimensions: { LoadBalancer: net/NAME/ID }`",
        "AWS/ELB" => "`dimensions: { LoadBalancerName: NAME }`",
        "AWS/ECS" | "ECS/ContainerInsights" => {
            "`dimensions: { ClusterName: \"${cluster}\", ServiceName: \"${service}\" }`"
        }
        "AWS/RDS" => "`dimensions: { DBInstanceIdentifier: NAME }`",
        "AWS/Lambda" => "`dimensions: { FunctionName: NAME }`",
        "AWS/SQS" => "`dimensions: { QueueName: NAME }`",
        "AWS/ElastiCache" => "`dimensions: { CacheClusterId: NAME }`",
        "AWS/ApiGateway" => "`dimensions: { ApiName: NAME }`, or `ApiId` of an HTTP API",
        "AWS/DynamoDB" => "`dimensions: { TableName: NAME }`",
        _ => "`dimensions`",
    }
}

/// Values of another shape than CloudWatch's.
fn wrong_value(space: &Space, name: &str, value: &str) -> Option<Mistake> {
    if !space.known.contains(&name) {
        return None;
    }
    let write = |meant: &str| format!("write `{name}: {meant}`");
    if value.starts_with("arn:") {
        let mistake = Mistake::new(format!("`{name}` is no ARN to CloudWatch"));
        let meant = of_arn(name, value);
        return Some(mistake.mend(meant.map_or_else(|| write("NAME"), |meant| write(&meant))));
    }
    if name == "QueueName" && value.starts_with("https://") {
        let meant = value.trim_end_matches('/').rsplit('/').next().unwrap_or("NAME");
        let mistake = Mistake::new("`QueueName` is no URL to CloudWatch");
        return Some(mistake.mend(write(meant)));
    }
    // The rest of it comes with the deployment.
    if value.contains("${") {
        return None;
    }
    let start = match (space.name, name) {
        ("AWS/ApplicationELB", "LoadBalancer") => "app",
        ("AWS/NetworkELB", "LoadBalancer") => "net",
        ("AWS/ApplicationELB" | "AWS/NetworkELB", "TargetGroup") => "targetgroup",
        _ => return None,
    };
    let parts: Vec<&str> = value.split('/').collect();
    if matches!(parts[..], [first, name, id] if first == start && !name.is_empty() && !id.is_empty())
    {
        return None;
    }
    let mistake = Mistake::new(format!("`{value}` is no `{name}` of {}", space.name));
    Some(match value.strip_prefix("loadbalancer/") {
        Some(rest) if rest.starts_with(&format!("{start}/")) => mistake.mend(write(rest)),
        Some(_) | None => mistake
            .mend(format!("{}, as the end of its ARN has it", write(&format!("{start}/NAME/ID")))),
    })
}

/// What CloudWatch calls it, of its ARN.
fn of_arn(name: &str, arn: &str) -> Option<String> {
    // A variable may stand in it, and has no colons.
    let resource = arn.splitn(6, ':').nth(5)?;
    let meant = match name {
        "LoadBalancer" => resource.strip_prefix("loadbalancer/")?,
        "TargetGroup" => resource.starts_with("targetgroup/").then_some(resource)?,
        "FunctionName" => resource.strip_prefix("function:")?.split(':').next()?,
        // Its name is not in its ARN.
        "ApiName" | "Resource" => return None,
        "TableName" => resource.strip_prefix("table/")?.split('/').next()?,
        _ => resource.rsplit(['/', ':']).next()?,
    };
    (!meant.is_empty()).then(|| meant.to_owned())
}

#[cfg(test)]
mod tests;
