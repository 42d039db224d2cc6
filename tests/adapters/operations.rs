//! Every operation of AWS that the daemon calls, by botocore's service and name. Kept whole by
//! `tests/deploy/permissions.rs`, which finds the calls in the source.

/// Those that change nothing, or nothing but what the queue shows to whom.
pub const READS: [&str; 23] = [
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "codedeploy:BatchGetDeployments",
    "codedeploy:GetApplicationRevision",
    "codedeploy:GetDeployment",
    "codedeploy:ListDeployments",
    "ecr:BatchGetImage",
    "ecs:DescribeServiceDeployments",
    "ecs:DescribeServiceRevisions",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:DescribeTasks",
    "ecs:ListClusters",
    "ecs:ListServiceDeployments",
    "ecs:ListServices",
    "ecs:ListTasks",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sts:AssumeRole",
];

/// Those that change something, once.
pub const WRITES: [&str; 8] = [
    "codedeploy:CreateDeployment",
    "codedeploy:StopDeployment",
    "ecs:ContinueServiceDeployment",
    "ecs:RegisterTaskDefinition",
    "ecs:StopServiceDeployment",
    "ecs:UpdateService",
    "sqs:ChangeMessageVisibilityBatch",
    "sqs:DeleteMessageBatch",
];
