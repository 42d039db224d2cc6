//! A cluster with services, what was measured of them, and the command in front of it.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use deployguard::policy::{PolicySet, SourceFile, check};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::protocol::{as_json, validate};
use crate::world::aws::cloudwatch::metric::Metric;
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::timeline::Timeline;

pub const CLUSTER: &str = "shop-production";
pub const ELB: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012";
const MINUTE: Duration = Duration::from_mins(1);

/// An account with the cluster, and a folder to draft into.
pub struct World {
    pub ecs: Ecs,
    pub home: TempDir,
}

impl World {
    pub async fn of(cluster: &str) -> Self {
        let ecs = Ecs::start(Settings::default(), Arc::new(NoProcesses), Timeline::default()).await;
        let world =
            Self { ecs: ecs.expect("a free port"), home: TempDir::new().expect("a folder") };
        world.call("CreateCluster", &json!({ "clusterName": cluster }));
        let containers = json!([{ "name": "app", "image": "shop:1" }]);
        let task = json!({ "family": "app", "containerDefinitions": containers });
        world.call("RegisterTaskDefinition", &task);
        world
    }

    fn call(&self, operation: &str, body: &Value) {
        self.ecs.call(operation, body).expect("it is taken");
    }

    /// A service as it is; `more` is of `CreateService`.
    pub fn service(&self, cluster: &str, name: &str, more: &Value) {
        let mut body = json!({
            "cluster": cluster, "serviceName": name, "taskDefinition": "app", "desiredCount": 1,
        });
        let more = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().expect("an object").extend(more);
        self.call("CreateService", &body);
    }

    /// A service behind a load balancer (`app/NAME/1`) of its own, and what was measured there.
    pub fn web(&self, name: &str, more: &Value) {
        let balancer = format!("app/{name}/1");
        self.ecs.set_balancer(&group(name), Some(&format!("{ELB}:loadbalancer/{balancer}")));
        let mut balancers = json!([{
            "targetGroupArn": group(name), "containerName": "app", "containerPort": 80,
        }]);
        if let Some(advanced) = more.get("advanced") {
            balancers[0]["advancedConfiguration"] = advanced.clone();
        }
        let mut body = json!({ "loadBalancers": balancers });
        if let Some(controller) = more.get("deploymentController") {
            body["deploymentController"] = controller.clone();
        }
        self.service(CLUSTER, name, &body);
        let target_group = format!("targetgroup/{name}/1");
        let own: &[(&str, &str)] = &[("LoadBalancer", &balancer), ("TargetGroup", &target_group)];
        for dimensions in [own, &own[..1]] {
            let of = |metric: &str| Metric::new("AWS/ApplicationELB", metric, dimensions);
            let cloudwatch = self.ecs.cloudwatch();
            // 1200 requests each hour with three errors, and with 24 once a day.
            cloudwatch.generate(&of("RequestCount"), MINUTE, |_| vec![1.0; 20]);
            cloudwatch.generate(&of("HTTPCode_Target_5XX_Count"), MINUTE, |at| {
                let at = at.as_second();
                let errors = if at / 3600 % 24 == 5 { 24 } else { 3 };
                vec![1.0; if at % 3600 == 0 { errors } else { 0 }]
            });
            cloudwatch.generate(&of("TargetResponseTime"), MINUTE, |at| {
                vec![if at.as_second() / 3600 % 24 == 5 { 0.41 } else { 0.182 }]
            });
        }
        self.uses(name, 20.0, 30.0);
    }

    /// What its tasks use, in percent.
    pub fn uses(&self, name: &str, cpu: f64, memory: f64) {
        let five = Duration::from_mins(5);
        let dimensions = [("ClusterName", CLUSTER), ("ServiceName", name)];
        let of = |metric: &str| Metric::new("AWS/ECS", metric, &dimensions);
        self.ecs.cloudwatch().generate(&of("CPUUtilization"), five, move |_| vec![cpu]);
        self.ecs.cloudwatch().generate(&of("MemoryUtilization"), five, move |_| vec![memory]);
    }

    pub fn alarm(&self, name: &str, dimensions: &[(&str, &str)], actions: &[&str]) {
        let pair = |(name, value): &(&str, &str)| json!({ "Name": name, "Value": value });
        let dimensions: Vec<Value> = dimensions.iter().map(pair).collect();
        self.ecs.cloudwatch().put_alarm(&json!({
            "AlarmName": name, "Namespace": "AWS/ECS", "MetricName": "CPUUtilization",
            "Dimensions": dimensions, "Statistic": "Average", "Period": 60, "Threshold": 80.0,
            "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1,
            "AlarmActions": actions,
        }));
    }

    /// Runs the command in the folder.
    pub async fn run(&self, arguments: &[&str]) -> Told {
        let mut command = self.command();
        command.env("AWS_REGION", Settings::default().region);
        Told::of(&command.args(arguments).output().await.expect("it runs"))
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deployguard"));
        command.env_clear().current_dir(self.home.path());
        command.env("AWS_ENDPOINT_URL", self.ecs.url()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }

    /// Every call so far, held to AWS's service models.
    pub fn fits_the_models(&self) {
        let calls: Vec<Value> = self.ecs.calls().iter().map(as_json).collect();
        let verdict = validate(&calls).expect("no faults");
        assert!(verdict.contains("0 faults"), "{verdict}");
    }
}

pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The one policy on stdout, which `check` takes.
    pub fn policy(&self) -> PolicySet {
        assert_eq!(self.code, Some(0), "{}", self.err);
        let bytes = self.out.clone().into_bytes();
        let set = check(&[SourceFile { path: "policies/x.yaml".to_owned(), bytes }]);
        let set = set.unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{}", self.out));
        assert_eq!(set.len(), 1);
        set
    }

    pub fn says(&self, lines: &[&str]) {
        for line in lines {
            let said = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let bare = said(&self.out.replace("\n  #", "").replace("\n#", ""));
            assert!(bare.contains(&said(line)), "{line}\n{}", self.out);
        }
    }

    pub fn remarks(&self, lines: &[&str]) {
        for line in lines {
            assert!(self.err.contains(line), "{line}\n{}", self.err);
        }
    }
}

pub fn group(name: &str) -> String {
    format!("{ELB}:targetgroup/{name}/1")
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let names = entries.map(|one| one.expect("a file").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
