//! Checks of what CloudWatch keeps.

use std::collections::BTreeMap;

use deployguard::model::{Ask, Fold, MetricAsk, MetricOf, MetricUnit, Shape};
use deployguard::model::{Deployment, Facts, Inherited, RollbackSafe, Service, ServiceKey};
use deployguard::policy::{Check, Gauged, Measure, Policy, Stated, Unit, Vars};
use jiff::{SignedDuration, Timestamp};

use super::*;

const HEAD: &str = "version: 1
policy: alb
environment: production
match: { cluster: main, service: api }
extends: ecs-cloudwatch
checks:
";

fn policy(checks: &str) -> Policy {
    let set = read_one(format!("{HEAD}{checks}"));
    let set = set.unwrap_or_else(|mistakes| panic!("{}", told(Err(mistakes))));
    let policy = Policy::clone(&set.iter().next().unwrap().policy);
    let kept = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&kept).unwrap(), policy, "what is kept is all");
    policy
}

fn check(text: &str) -> Check {
    policy(&format!("  it: {text}\n")).check("it").unwrap().clone()
}

fn deployment() -> Deployment {
    let key =
        ServiceKey { target: "t".into(), cluster: "main".into(), service: "shopflow-api".into() };
    Deployment {
        id: "d".into(),
        service: Service { name: "shopflow-api".into(), environment: "production".into(), key },
        platform_id: None,
        revision: None,
        source: None,
        started_at: Timestamp::UNIX_EPOCH,
        baseline_end: Timestamp::UNIX_EPOCH,
        undoes: RollbackSafe::Yes,
        inherited: Inherited::default(),
        facts: Facts { labels: [("tg".into(), "group-1".into())].into(), ..Facts::default() },
    }
}

fn asks(check: &Check) -> (Shape, Vec<MetricAsk>) {
    let policy = policy("  cpu: { breach: { SEV2: \"> 80%\" } }\n");
    let minute = SignedDuration::from_mins(1);
    let question = policy.question(check, &Vars::of(&deployment()), minute, None, None);
    let asks = question.asks.into_iter().map(|ask| match ask {
        Ask::Metric(ask) => *ask,
        other => panic!("{other}"),
    });
    (question.shape, asks.collect())
}

const ALB: &str = "namespace: AWS/ApplicationELB, dimensions: { LoadBalancer: app/web/50dc, TargetGroup: \"${labels.tg}\" }";

#[test]
fn a_ratio_counts_the_sums_of_both_sides() {
    let text = format!(
        "{{ ratio: {{ bad: {{ cloudwatch: {{ {ALB}, metric: HTTPCode_Target_5XX_Count }} }}, \
         total: {{ cloudwatch: {{ {ALB}, metric: RequestCount, stat: Sum }} }} }}, breach: {{ SEV2: \"> 1%\" }} }}"
    );
    let (shape, asks) = asks(&check(&text));
    assert_eq!(shape, Shape::BadOfTotal);
    let shown: Vec<String> = asks.iter().map(|ask| ask.metric.to_string()).collect();
    assert_eq!(
        shown[0],
        "Sum of AWS/ApplicationELB HTTPCode_Target_5XX_Count (LoadBalancer=app/web/50dc, TargetGroup=group-1)"
    );
    assert!(asks.iter().all(|ask| ask.fold == Fold::Each), "{asks:?}");
    assert_eq!(asks[0].metric.delay, SignedDuration::from_mins(2));
}

#[test]
fn a_latency_is_the_percentile_of_its_quantile_in_seconds() {
    for (quantile, stat) in [("0.95", "p95"), ("0.999", "p99.9"), ("0.5", "p50")] {
        let text = format!(
            "{{ latency: {{ cloudwatch: {{ {ALB}, metric: TargetResponseTime }}, quantile: {quantile} }}, breach: {{ SEV2: \"> 500ms\" }} }}"
        );
        let check = check(&text);
        assert_eq!(check.unit(), Unit::Seconds);
        let (shape, asks) = asks(&check);
        assert_eq!(shape, Shape::GaugeOf { least: 20 }, "a night's two requests tell nothing");
        let MetricOf::Statistic(made_of) = &asks[1].metric.of else { panic!("{asks:?}") };
        assert_eq!((made_of.metric.as_str(), made_of.stat.as_str()), ("RequestCount", "Sum"));
        let MetricOf::Statistic(asked) = &asks[0].metric.of else { panic!("{asks:?}") };
        assert_eq!((asked.stat.as_str(), asks[0].fold), (stat, Fold::Whole));
        assert_eq!(asks[0].metric.unit, MetricUnit::Base);
    }
}

#[test]
fn percent_goes_from_0_to_100_in_cloudwatch_and_sizes_say_their_unit() {
    let of = |namespace: &str, metric: &str, unit: &str, limit: &str| {
        let check = check(&format!(
            "{{ cloudwatch: {{ namespace: {namespace}, metric: {metric}, dimensions: {{ ClusterName: c }}, stat: Average{unit} }}, breach: {{ SEV2: \"{limit}\" }} }}"
        ));
        asks(&check).1[0].metric.unit
    };
    assert_eq!(of("AWS/ECS", "CPUUtilization", "", "> 80%"), MetricUnit::Percent);
    assert_eq!(of("Own", "share", ", unit: ratio", "> 80%"), MetricUnit::Base);
    assert_eq!(of("AWS/RDS", "FreeStorageSpace", "", "< 5 GB"), MetricUnit::Base);
    assert_eq!(of("ECS/ContainerInsights", "MemoryUtilized", "", "> 1 GiB"), MetricUnit::Megabytes);
    assert_eq!(of("AWS/Lambda", "Duration", "", "> 2s"), MetricUnit::Milliseconds);
    assert_eq!(of("Own", "took", ", unit: microseconds", "> 2s"), MetricUnit::Microseconds);
    assert_eq!(of("AWS/RDS", "DatabaseConnections", "", "> 80"), MetricUnit::Base);
}

#[test]
fn a_count_of_a_load_balancer_is_zero_beside_requests_and_grows_with_no_stretch() {
    let text = |metric: &str, more: &str, limit: &str| {
        check(&format!(
            "{{ cloudwatch: {{ {ALB}, metric: {metric}, stat: Sum, period: 5m{more} }}, breach: {{ SEV2: \"{limit}\" }} }}"
        ))
    };
    let (shape, counted) = asks(&text("HTTPCode_Target_5XX_Count", "", "> 10"));
    assert_eq!((shape, counted.len(), counted[0].fold), (Shape::GaugeBeside, 2, Fold::Highest));
    let MetricOf::Statistic(proof) = &counted[1].metric.of else { panic!("{counted:?}") };
    assert_eq!(proof.metric, "RequestCount");
    assert_eq!(counted[1].metric.period, counted[0].metric.period);
    let (shape, requests) = asks(&text("RequestCount", "", "< 10"));
    assert_eq!((shape, requests.len(), requests[0].fold), (Shape::Gauge, 1, Fold::Lowest));
    let (_, named) =
        asks(&text("HTTPCode_Target_4XX_Count", ", beside: NewConnectionCount", "> 10"));
    let MetricOf::Statistic(proof) = &named[1].metric.of else { panic!("{named:?}") };
    assert_eq!(proof.metric, "NewConnectionCount");
}

#[test]
fn an_expression_asks_for_its_metrics_by_name() {
    let check = check(
        "{ cloudwatch: { expression: \"100 * used / IF(all > 0, all, 1)\", unit: percent, metrics: { \
         used: { namespace: ECS/ContainerInsights, metric: MemoryUtilized, dimensions: { ClusterName: c, ServiceName: \"${service}\" }, stat: Average }, \
         all: { namespace: ECS/ContainerInsights, metric: MemoryReserved, dimensions: { ClusterName: c }, stat: Average } } }, breach: { SEV2: \"> 85% for 5m\" } }",
    );
    let (_, asks) = asks(&check);
    let MetricOf::Math { metrics, .. } = &asks[0].metric.of else { panic!("{asks:?}") };
    let service = BTreeMap::from([
        ("ClusterName".to_owned(), "c".to_owned()),
        ("ServiceName".to_owned(), "shopflow-api".to_owned()),
    ]);
    assert_eq!(metrics["used"].dimensions, service);
    assert_eq!(asks[0].metric.stats().count(), 2);
}

#[test]
fn a_written_unit_wins_over_one_that_is_only_guessed() {
    let of = |metric: &str| {
        check(&format!(
            "{{ cloudwatch: {{ namespace: AWS/ApplicationELB, metric: {metric}, dimensions: {{ \
             LoadBalancer: app/web/1 }}, stat: Average, unit: milliseconds }}, breach: {{ SEV2: \"> 2s\" }} }}"
        ))
    };
    assert_eq!(asks(&of("SomeNewTime")).1[0].metric.unit, MetricUnit::Milliseconds);
}

#[test]
fn every_metric_is_used_by_an_expression_over_all_of_them() {
    let check = check(
        "{ cloudwatch: { expression: SUM(METRICS()), metrics: { \
         a: { namespace: Own, metric: failed, stat: Sum }, \
         b: { namespace: Own, metric: refused, stat: Sum } } }, breach: { SEV2: '> 5' } }",
    );
    assert_eq!(asks(&check).1[0].metric.stats().count(), 2);
}

#[test]
fn alarms_are_a_status() {
    let check =
        check("{ alarm: { names: [\"${service}-5xx\", db-cpu] }, breach: { SEV2: 1 failure } }");
    assert_eq!(check.unit(), Unit::Failures);
    let names = ["${service}-5xx", "db-cpu"].map(str::to_owned).to_vec();
    assert!(
        matches!(&check.measure, Measure::Status { of: Stated::Alarms(found) } if *found == names)
    );
    assert!(!check.has_past(), "an alarm has only a state");
}

#[test]
fn the_bundle_for_cloudwatch_guards_cpu_and_memory_without_a_word() {
    let policy = policy(
        "  cpu: { breach: { SEV1: \"> 95% for 5m\" } }\n  memory: { breach: { SEV2: \"> 80% for 5m\" } }\n",
    );
    for name in ["cpu", "memory"] {
        let check = policy.check(name).unwrap();
        let Measure::Gauge { of: Gauged::Metric(watched), unit: Unit::Ratio } = &check.measure
        else {
            panic!("{check:?}")
        };
        assert_eq!(watched.metric.unit, MetricUnit::Percent);
    }
}
