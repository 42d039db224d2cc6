//! Which dimensions are taken, doubted and refused.

use super::*;

const ALB: (&str, &str) = ("LoadBalancer", "app/web/50dc6c495c0c9188");
const GROUP: (&str, &str) = ("TargetGroup", "targetgroup/api/943f017f100becff");

#[test]
fn what_aws_documents_has_no_finding() {
    let zone = ("AvailabilityZone", "eu-west-1a");
    let (cluster, service) = (("ClusterName", "c"), ("ServiceName", "${service}"));
    let good: &[Case] = &[
        ("AWS/ApplicationELB", "RequestCount", &[ALB]),
        ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", &[ALB, GROUP]),
        ("AWS/ApplicationELB", "TargetResponseTime", &[ALB, GROUP, zone]),
        ("AWS/ApplicationELB", "RequestCountPerTarget", &[GROUP]),
        ("AWS/ApplicationELB", "LambdaUserError", &[GROUP]),
        ("AWS/ApplicationELB", "RequestCount", &[("LoadBalancer", "${labels.alb}")]),
        ("AWS/NetworkELB", "ActiveFlowCount", &[("LoadBalancer", "net/a/1"), zone]),
        ("AWS/ECS", "CPUReservation", &[cluster]),
        ("AWS/ECS", "CPUUtilization", &[cluster, service]),
        ("AWS/ECS", "RequestCount", &[("TargetDiscoveryName", "x")]),
        ("ECS/ContainerInsights", "CpuUtilized", &[cluster, ("TaskDefinitionFamily", "api")]),
        (
            "ECS/ContainerInsights",
            "instance_cpu_utilization",
            &[cluster, ("ContainerInstanceId", "a1"), ("InstanceId", "i-1")],
        ),
        ("AWS/NetworkELB", "HealthyHostCount", &[("LoadBalancer", "net/a/1"), GROUP, zone]),
        ("AWS/ApplicationELB", "RequestCount", &[ALB, zone]),
        ("AWS/ApplicationELB", "UnHealthyHostCount", &[ALB, GROUP, zone]),
        ("AWS/RDS", "CPUUtilization", &[("DBInstanceIdentifier", "main")]),
        ("AWS/RDS", "CPUUtilization", &[("DBClusterIdentifier", "main"), ("Role", "WRITER")]),
        ("AWS/RDS", "DatabaseConnections", &[("ProxyName", "p"), ("TargetRole", "READ")]),
        ("AWS/RDS", "CPUUtilization", &[("DatabaseClass", "db.r6g.large")]),
        ("AWS/RDS", "CPUUtilization", &[("EngineName", "mysql")]),
        ("AWS/Lambda", "Errors", &[("FunctionName", "f"), ("Resource", "f:live")]),
        (
            "AWS/Lambda",
            "Errors",
            &[("FunctionName", "f"), ("Resource", "f:live"), ("ExecutedVersion", "3")],
        ),
        ("AWS/SQS", "NumberOfMessagesSent", &[("QueueName", "q.fifo")]),
        ("AWS/ElastiCache", "CPUUtilization", &[("CacheClusterId", "a"), ("CacheNodeId", "1")]),
        ("AWS/ApiGateway", "Count", &[("ApiId", "a1"), ("Stage", "$default")]),
        ("AWS/DynamoDB", "ThrottledRequests", &[("TableName", "t"), ("Operation", "Query")]),
        (
            "AWS/DynamoDB",
            "ConsumedReadCapacityUnits",
            &[("TableName", "t"), ("GlobalSecondaryIndexName", "by-day")],
        ),
        (
            "AWS/ApiGateway",
            "Latency",
            &[("ApiName", "a"), ("Stage", "s"), ("Resource", "/x"), ("Method", "GET")],
        ),
        ("AWS/DynamoDB", "AccountMaxReads", &[]),
        ("AWS/States", "ExecutionsFailed", &[("StateMachineArn", "arn:aws:states:x")]),
        ("Own/Shop", "Orders", &[("LoadBalancr", "arn:x")]),
    ];
    for (namespace, metric, dimensions) in good {
        let found = check(namespace, metric, dimensions);
        assert_eq!(found, Vec::new(), "{namespace} {metric} {dimensions:?}");
    }
}

type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// Of what is no mere doubt.
fn mends(namespace: &str, metric: &str, dimensions: &[(&str, &str)]) -> Vec<String> {
    let sure = |finding| match finding {
        Finding::Of(_, mistake) | Finding::Missing(mistake) => mistake.mend,
        Finding::Doubtful(..) => None,
    };
    check(namespace, metric, dimensions).into_iter().filter_map(sure).collect()
}

#[test]
#[expect(clippy::type_complexity, reason = "a table")]
fn what_would_have_no_data_is_told_with_what_was_probably_meant() {
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333";
    let balancer = format!("{arn}:loadbalancer/app/web/50dc");
    let group = format!("{arn}:targetgroup/api/943f");
    let alb = "AWS/ApplicationELB";
    let bad: &[(&str, &str, &[(&str, &str)], &str)] = &[
        (alb, "RequestCount", &[], "LoadBalancer: app/NAME/ID"),
        (alb, "RequestCount", &[GROUP], "LoadBalancer: app/NAME/ID"),
        (alb, "UnHealthyHostCount", &[ALB], "TargetGroup: targetgroup/NAME/ID"),
        (alb, "RequestCount", &[("Loadbalancer", "app/a/1")], "did you mean `LoadBalancer`?"),
        (alb, "RequestCount", &[("LoadBalancer", &balancer)], "LoadBalancer: app/web/50dc`"),
        (
            alb,
            "RequestCount",
            &[ALB, ("TargetGroup", &group)],
            "TargetGroup: targetgroup/api/943f`",
        ),
        (alb, "RequestCount", &[("LoadBalancer", "web")], "LoadBalancer: app/NAME/ID`"),
        (
            alb,
            "RequestCount",
            &[("LoadBalancer", "loadbalancer/app/a/1")],
            "`LoadBalancer: app/a/1`",
        ),
        (alb, "RequestCount", &[ALB, ("TargetGroup", "api")], "targetgroup/NAME/ID"),
        ("AWS/NetworkELB", "ActiveFlowCount", &[("LoadBalancer", "app/a/1")], "net/NAME/ID"),
        ("AWS/ECS", "CPUUtilization", &[("ServiceName", "api")], "add `ClusterName: ...`"),
        ("AWS/ECS", "CPUUtilization", &[("clustername", "a")], "did you mean `ClusterName`?"),
        ("AWS/RDS", "CPUUtilization", &[("DBInstanceIdentifer", "a")], "`DBInstanceIdentifier`?"),
        (
            "AWS/RDS",
            "CPUUtilization",
            &[("DBInstanceIdentifier", "arn:aws:rds:e:1:db:main")],
            ": main`",
        ),
        ("AWS/Lambda", "Errors", &[("FunctionName", "arn:aws:lambda:e:1:function:f:live")], ": f`"),
        ("AWS/SQS", "NumberOfMessagesSent", &[], "QueueName: NAME"),
        (
            "AWS/SQS",
            "NumberOfMessagesSent",
            &[("QueueName", "https://sqs.e.amazonaws.com/1/q")],
            ": q`",
        ),
        ("AWS/ApiGateway", "5XXError", &[("Stage", "prod")], "ApiName: NAME"),
        ("AWS/DynamoDB", "ReadThrottleEvents", &[], "TableName: NAME"),
    ];
    for (namespace, metric, dimensions, told) in bad {
        let mends = mends(namespace, metric, dimensions);
        assert!(mends.len() == 1 && mends[0].contains(told), "{metric} {dimensions:?}: {mends:?}");
    }
}

#[test]
fn what_nobody_knows_is_only_remarked() {
    let doubtful = |namespace: &str, dimensions: &[(&str, &str)]| {
        let found = check(namespace, "SomethingNew", dimensions);
        matches!(found[..], [Finding::Doubtful(..)])
    };
    assert!(doubtful("AWS/ApplicationELB", &[GROUP]));
    assert!(doubtful("AWS/ECS", &[("Cluster", "a"), ("ServiceName", "api")]));
    assert!(doubtful("AWS/ECS", &[("ServiceId", "a"), ("ClusterName", "c")]));
    assert!(doubtful("AWS/SQS", &[]));
    assert!(doubtful("AWS/Lambda", &[]));
    assert!(doubtful("AWS/Lambda", &[("SomethingNew", "x"), ("FunctionName", "f")]));
}
