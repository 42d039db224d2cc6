//! `deployguard init` in front of the stand-in: whatever stands there, what is drafted passes
//! `deployguard check`.

mod cluster;

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::aws::Fault;
use crate::world::aws::cloudwatch::metric::Metric;
use crate::world::server::Server;
use cluster::{CLUSTER, ELB, Told, World, group, names};

#[tokio::test]
async fn a_service_behind_a_load_balancer_is_drafted_from_what_was_measured_of_it() {
    let world = World::of(CLUSTER).await;
    world.web("shop-api", &Value::Null);
    world.alarm("api-cpu", &[("ClusterName", CLUSTER), ("ServiceName", "shop-api")], &[]);
    world.alarm("whole-balancer", &[("LoadBalancer", "app/shop-api/1")], &[]);
    world.alarm("other", &[("ClusterName", CLUSTER), ("ServiceName", "other")], &[]);
    let scale = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1";
    let scaling = [("ClusterName", CLUSTER), ("ServiceName", "shop-api")];
    world.alarm("scale-in", &scaling, &[scale]);
    let told = world.run(&["init", "--ecs", CLUSTER]).await;
    told.policy();
    told.says(&[
        "environment: production",
        "match: { cluster: shop-production, service: shop-api }",
        "extends: ecs-cloudwatch",
        "mode: observe",
        "0.323% of 202 thousand requests; the worst hour of a usual day 2%, of all 2%.",
        "dimensions: { LoadBalancer: app/shop-api/1, TargetGroup: targetgroup/shop-api/1 }",
        "normal: \"< 0.5%\" breach: { SEV2: \"> 3%\", SEV1: \"> 10%\" }",
        "182ms in the middle; the worst hour of a usual day 410ms, of all 410ms.",
        "quantile: 0.95 normal: \"< 250ms\" breach: { SEV2: \"> 500ms\", SEV1: \"> 2s\" }",
        "Over 7 days: 20% in the middle, 20% at the top of a usual day, 20% at most",
        "cpu: normal: \"< 60%\" breach: { SEV2: \"> 80% for 5m\" }",
        "alarms: alarm: names: - api-cpu breach: { SEV2: 1 failure }",
        "shared alarms: alarm: names: - whole-balancer breach: { SEV3: 1 failure }",
    ]);
    told.remarks(&[
        "shop-production in us-east-1 of account 123456789012: 1 service",
        "asking CloudWatch for 7 metrics of the last 7 days: $0.00007",
        "alarms that only scale services ring by day and night; left out: 1",
        "what is before them; left out: 1.",
        "deployguard check",
    ]);
    assert!(!told.out.contains("ephemeral"), "{}", told.out);
    world.fits_the_models();
    let file = world.home.path().join("drafted.yaml");
    std::fs::write(&file, &told.out).expect("written");
    for name in ["api-cpu", "whole-balancer"] {
        world.ecs.cloudwatch().set_alarm(name, "OK", crate::world::now());
    }
    let live = world.run(&["check", "--live", "--service", "shop-api", "drafted.yaml"]).await;
    assert_eq!(live.code, Some(0), "{}{}", live.out, live.err);
    for check in ["error rate", "p95 latency", "cpu", "memory", "alarms", "shared alarms"] {
        let measured = |line: &str| line.trim().starts_with("ok") && line.contains(check);
        assert!(live.out.lines().any(measured), "{check}\n{}", live.out);
    }
}

#[tokio::test]
async fn services_with_load_balancers_of_their_own_become_a_folder_and_nothing_is_overwritten() {
    let world = World::of(CLUSTER).await;
    for name in ["shop-api", "production_test"] {
        world.web(name, &Value::Null);
    }
    for name in ["mailer", "shop-worker"] {
        world.service(CLUSTER, name, &json!({}));
    }
    world.uses("mailer", 97.0, 5.0);
    let insights = [("ClusterName", CLUSTER), ("ServiceName", "shop-worker")];
    for (name, value) in [("EphemeralStorageUtilized", 6.0), ("EphemeralStorageReserved", 20.0)] {
        let metric = Metric::new("ECS/ContainerInsights", name, &insights);
        world.ecs.cloudwatch().generate(&metric, Duration::from_mins(5), move |_| vec![value]);
    }
    let told = world.run(&["init", "--ecs", CLUSTER]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    told.remarks(&["these are 3 policies", "--output policies/", "for {mailer,shop-worker}"]);
    let told = world.run(&["init", "--ecs", CLUSTER, "--output", "policies/"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(0), ""), "{}", told.err);
    let folder = world.home.path().join("policies");
    let wanted = [
        "guard-production_test-policy.yaml",
        "shop-api-production.yaml",
        "shop-production-others.yaml",
    ];
    assert_eq!(names(&folder), wanted);
    let checked = world.run(&["check", "policies"]).await;
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    let others = std::fs::read_to_string(folder.join(wanted[2])).expect("a draft");
    for part in
        ["97% at most (of mailer)", "SEV2: \"> 105% for 5m\"", "expression: used / reserved"]
    {
        assert!(others.contains(part), "{part}\n{others}");
    }
    let again = world.run(&["init", "--ecs", CLUSTER, "--output", "policies/"]).await;
    assert_eq!(again.code, Some(1));
    again.remarks(&["is there already: nothing is overwritten"]);
    let one = world.run(&["init", "--ecs", CLUSTER, "--service", "shop-api"]).await;
    one.policy();
}

#[tokio::test]
async fn without_permissions_it_drafts_what_it_can_and_says_what_to_allow() {
    let world = World::of(CLUSTER).await;
    world.web("api", &Value::Null);
    world.alarm("api-cpu", &[("ClusterName", CLUSTER), ("ServiceName", "api")], &[]);
    world.ecs.fault("DescribeTargetGroups", &Fault::Denied, 9);
    world.ecs.fault("DescribeAlarms", &Fault::Denied, 9);
    world.ecs.fault("GetMetricData", &Fault::Denied, 9);
    let told = world.run(&["init", "--ecs", CLUSTER]).await;
    told.policy();
    told.remarks(&[
        "allow elasticloadbalancing:DescribeTargetGroups",
        "allow cloudwatch:DescribeAlarms",
        "allow cloudwatch:GetMetricData",
    ]);
    told.says(&["(!) No error rate and no latency: its load balancer is not known"]);
    told.says(&["(!) Not measured, and the limits are anybody's: GetMetricData: AccessDenied"]);
    assert!(!told.out.contains("alarm:"), "{}", told.out);
}

#[tokio::test]
async fn whoever_deploys_a_service_is_told_and_groups_that_change_places_are_not_named() {
    let world = World::of(CLUSTER).await;
    let by = |controller: &str| json!({ "deploymentController": { "type": controller } });
    world.web("api", &by("CODE_DEPLOY"));
    let told = world.run(&["init", "--ecs", CLUSTER]).await;
    told.policy();
    told.says(&[
        "CodeDeploy deploys it",
        "change places in a blue/green deployment",
        "dimensions: { LoadBalancer: app/api/1 }",
    ]);
    world.service(CLUSTER, "batch", &by("EXTERNAL"));
    let told = world.run(&["init", "--ecs", CLUSTER, "--service", "batch"]).await;
    told.policy();
    told.says(&["(!) An EXTERNAL controller deploys it: it is watched, and never rolled back."]);
    let advanced = json!({ "advanced": { "alternateTargetGroupArn": group("green") } });
    world.web("blue", &advanced);
    let told = world.run(&["init", "--ecs", CLUSTER, "--service", "blue"]).await;
    told.policy();
    told.says(&["dimensions: { LoadBalancer: app/blue/1 }"]);
    let net = group("tcp");
    world.ecs.set_balancer(&net, Some(&format!("{ELB}:loadbalancer/net/tcp/1")));
    let balancers = json!([{ "targetGroupArn": net, "containerName": "a", "containerPort": 1 },
        { "targetGroupArn": group("gone"), "containerName": "a", "containerPort": 2 }]);
    world.service(CLUSTER, "tcp", &json!({ "loadBalancers": balancers }));
    let told = world.run(&["init", "--ecs", CLUSTER, "--service", "tcp"]).await;
    told.policy();
    told.says(&["(!) No error rate and no latency: net/tcp/1 counts no requests."]);
}

#[tokio::test]
async fn what_is_left_aside_is_guarded_by_no_pattern_and_named() {
    let world = World::of(CLUSTER).await;
    for name in ["shop-a", "shop-b", "shop-c"] {
        world.service(CLUSTER, name, &json!({}));
    }
    let chosen = ["init", "--ecs", CLUSTER, "--service", "shop-a", "--service", "shop-b"];
    let told = world.run(&chosen).await;
    told.policy();
    told.says(&["service: '{shop-a,shop-b}'"]);
    let balancer = format!("{ELB}:loadbalancer/app/inner/1");
    for name in ["outer", "inner"] {
        let balancer = balancer.replace("inner", name);
        world.ecs.set_balancer(&group(name), Some(&balancer));
    }
    let of = |name: &str| json!({ "targetGroupArn": group(name), "containerName": "app", "containerPort": 80 });
    world.service(CLUSTER, "web", &json!({ "loadBalancers": [of("outer"), of("inner")] }));
    let told = world.run(&["init", "--ecs", CLUSTER, "--service", "web"]).await;
    told.policy();
    told.says(&["(!) Neither check sees what comes through targetgroup/inner/1 of app/inner/1"]);
    told.remarks(&["web: error rate and latency are drafted of app/outer/1 alone; left out: \
                    targetgroup/inner/1 of app/inner/1"]);
}

#[tokio::test]
async fn names_from_aws_stay_names_whatever_is_in_them() {
    let world = World::of(CLUSTER).await;
    world.service(CLUSTER, "null", &json!({}));
    let own = [("ClusterName", CLUSTER), ("ServiceName", "null")];
    let hostile = [
        "it's \"odd\": [a, {b}] # c",
        "- x",
        "null",
        "8",
        "a\nmode: auto",
        "${service}",
        "all*",
        "ängstlich",
        "& anchor",
        "true",
        "%x: |",
    ];
    for name in hostile {
        world.alarm(name, &own, &[]);
    }
    world.ecs.cloudwatch().set_alarm("- x", "ALARM", crate::world::now());
    let told = world.run(&["init", "--ecs", CLUSTER]).await;
    let set = told.policy();
    let text = format!("{:?}", set.iter().next().expect("a policy").policy);
    for kept in
        ["it's \\\"odd\\\": [a, {b}] # c", "\"- x\"", "\"null\"", "\"8\"", "\"true\"", "%x: |"]
    {
        assert!(text.contains(kept), "{kept}\n{text}");
    }
    assert!(text.contains("Observe") && !text.contains("all*"), "{text}");
    told.remarks(&["alarm \"a\\nmode: auto\" is left out", "alarm \"all*\" is left out"]);
    told.says(&["(!) In ALARM now"]);
    let bad = world.run(&["init", "--ecs", CLUSTER, "--environment", "a\nmode: auto"]).await;
    assert_eq!((bad.code, bad.out.as_str()), (Some(1), ""));
    let odd = world.run(&["init", "--ecs", CLUSTER, "--environment", "a: # 'b'"]).await;
    assert_eq!(odd.policy().iter().next().expect("a policy").policy.environment, "a: # 'b'");
}

#[tokio::test]
async fn a_cluster_without_services_or_word_of_its_environment_is_drafted_with_what_is_open() {
    let world = World::of("shop").await;
    let told = world.run(&["init", "--ecs", "shop"]).await;
    told.policy();
    told.says(&[
        "(!) There is no service in the cluster yet",
        "(!) The cluster's name does not say which environment it is",
        "environment: unnamed",
        "service: '*'",
    ]);
    for name in ["shop-a", "shop-b"] {
        world.service("shop", name, &json!({}));
    }
    let arn = "arn:aws:ecs:us-east-1:123456789012:cluster/shop";
    let told = world.run(&["init", "--ecs", arn, "--output", "shop.yaml"]).await;
    assert_eq!(told.code, Some(0), "{}", told.err);
    let text = std::fs::read_to_string(world.home.path().join("shop.yaml")).expect("a draft");
    assert!(text.contains("service: 'shop-*'"), "{text}");
    let config = "targets:\n  here: { region: us-east-1 }\n  there: { region: eu-west-1 }\n";
    std::fs::write(world.home.path().join("deployguard.yaml"), config).expect("written");
    let told = world.run(&["init", "--ecs", "shop"]).await;
    assert_eq!(told.code, Some(1));
    told.remarks(&["by `--target NAME`: here, there"]);
    let told = world.run(&["init", "--ecs", arn]).await;
    told.policy();
    told.says(&["match: { target: here, cluster: shop, service: 'shop-*' }"]);
}

#[tokio::test]
async fn a_service_that_the_settings_prometheus_has_an_exporter_of_is_measured_there() {
    let answer = json!({ "status": "success", "data": { "resultType": "vector", "result": [
        { "metric": { "service": "api" }, "value": [0, "2"] },
    ] } });
    let query = move || async move { axum::Json(answer) };
    let router = axum::Router::new().route("/api/v1/query", axum::routing::get(query));
    let prometheus = Server::start(router).await.expect("a free port");
    let world = World::of(CLUSTER).await;
    world.web("api", &Value::Null);
    // The token that nobody has set is none of this command's business.
    let config = format!(
        "prometheus: {{ url: '{}' }}\nslack: {{ token: {{ env: NOWHERE }} }}\n",
        prometheus.url()
    );
    std::fs::write(world.home.path().join("elsewhere.yaml"), config).expect("written");
    let arguments = ["init", "--ecs", CLUSTER, "--config", "elsewhere.yaml"];
    let told = world.run(&arguments).await;
    told.policy();
    told.says(&["extends: ecs-web"]);
    world.service(CLUSTER, "worker", &json!({}));
    let told = world.run(&[&arguments[..], &["--service", "worker"]].concat()).await;
    told.policy();
    told.says(&["extends: ecs-cloudwatch"]);
    told.remarks(&["CPU and memory are CloudWatch's"]);
}

#[tokio::test]
async fn who_can_not_be_asked_is_a_short_error_that_says_what_to_do() {
    let world = World::of(CLUSTER).await;
    let told = world.run(&["init", "--ecs", "shopp"]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    told.remarks(&[
        "no cluster shopp in us-east-1 of account 123456789012: there is shop-production",
    ]);
    let mut command = world.command();
    let output = command.args(["init", "--ecs", CLUSTER]).output().await.expect("it runs");
    Told::of(&output).remarks(&["deployguard: no region: set AWS_REGION"]);
    let mut command = world.command();
    command.env_remove("AWS_ACCESS_KEY_ID").env("AWS_REGION", "us-east-1");
    let output = command.args(["init", "--ecs", CLUSTER]).output().await.expect("it runs");
    let told = Told::of(&output);
    assert!(told.err.lines().count() == 1, "{}", told.err);
    told.remarks(&["no usable credentials", "set AWS_PROFILE"]);
    let told = world.run(&["init", "--ecs", "a b"]).await;
    told.remarks(&["`a b` is no cluster"]);
}

#[tokio::test]
async fn what_can_be_known_to_be_wrong_is_said_before_aws_is_asked() {
    let world = World::of(CLUSTER).await;
    let calls = world.ecs.calls().len();
    std::fs::write(world.home.path().join("there.yaml"), "# mine\n").expect("written");
    let told = world.run(&["init", "--ecs", CLUSTER, "--output", "there.yaml"]).await;
    assert_eq!(told.code, Some(1));
    told.remarks(&["there.yaml is there already: nothing is overwritten"]);
    let told = world.run(&["init", "--ecs", CLUSTER, "--target", "foo"]).await;
    told.remarks(&["the settings know no target `foo`; known: default"]);
    let policy = "version: 1\npolicy: shop\nenvironment: production\n\
                  match: { cluster: shop, service: api }\nextends: ecs-cloudwatch\n\
                  checks: { cpu: { breach: { SEV2: '> 80% for 5m' } } }\n";
    std::fs::write(world.home.path().join("shop.yaml"), policy).expect("written");
    let mut nowhere = world.command();
    let output = nowhere.args(["check", "--live", "shop.yaml"]).output().await.expect("it runs");
    let told = Told::of(&output);
    assert_eq!(told.code, Some(1));
    told.says(&["no region: set AWS_REGION, or give --aws-region"]);
    let told = world.run(&["check", "--live", "--aws-region", "us_east", "shop.yaml"]).await;
    assert_eq!(told.code, Some(2));
    told.remarks(&["no name of a region"]);
    let url = world.ecs.url();
    let told = world.run(&["check", "--live", "--prometheus", &url, "shop.yaml"]).await;
    assert_eq!(told.code, Some(1));
    told.remarks(&["no check asks Prometheus: leave --prometheus out"]);
    assert_eq!(world.ecs.calls().len(), calls, "AWS was not asked");
}

#[tokio::test]
async fn who_is_not_reached_is_not_told_to_log_in() {
    let world = World::of(CLUSTER).await;
    let mut command = world.command();
    // Nobody listens at port 1.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_REGION", "us-east-1");
    let output = command.args(["init", "--ecs", CLUSTER]).output().await.expect("it runs");
    let told = Told::of(&output);
    told.remarks(&["GetCallerIdentity: not reached: ", "is there a way to the network"]);
    assert!(!told.err.contains("log in"), "{}", told.err);
}
