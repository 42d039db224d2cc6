//! `PutMetricData` over the wire, and `ListMetrics`.

use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::types::{
    DimensionFilter, MetricDatum, RecentlyActive, StandardUnit, StatisticSet,
};

use super::{Account, cpu, days, minute, per, query, wire};
use crate::world::aws::cloudwatch::metric::Metric;

fn own() -> Metric {
    Metric::new("Shop", "Orders", &[])
}

#[tokio::test]
async fn data_put_over_the_wire_are_read_back() {
    let account = Account::start().await;
    let put = async |datum: MetricDatum| {
        account.client.put_metric_data().namespace("Shop").metric_data(datum).send().await
    };
    let datum = || MetricDatum::builder().metric_name("Orders").unit(StandardUnit::Count);
    put(datum().value(1.0).timestamp(wire(minute(1))).build()).await.expect("taken");
    let several = datum().timestamp(wire(minute(2))).set_values(Some(vec![1.0, 3.0]));
    put(several.set_counts(Some(vec![3.0, 1.0])).build()).await.expect("taken");
    let set = StatisticSet::builder().sample_count(2.0).sum(8.0).minimum(3.0).maximum(5.0);
    let set = datum().timestamp(wire(minute(3))).statistic_values(set.build());
    put(set.build()).await.expect("taken");
    let fine = datum().value(1.0).storage_resolution(1).build();
    put(fine).await.expect("taken, as of now");
    let sums = account.points(query("m", &own(), "Sum"), 0, 5).await;
    assert_eq!(sums, [(3, 8.0), (2, 6.0), (1, 1.0)]);
    let medians = account.points(query("m", &own(), "p50"), 0, 5).await;
    assert_eq!(medians, [(2, 1.0), (1, 1.0)]);
    let mut by_unit = per(60, "m", &own(), "Sum");
    if let Some(stat) = &mut by_unit.metric_stat {
        stat.unit = Some(StandardUnit::Bytes);
    }
    assert!(account.points(by_unit, 0, 5).await.is_empty(), "no unit is converted");
    assert_eq!(account.validated().trim_end(), "7 calls of 2 operations, 0 faults");
}

#[tokio::test]
async fn data_of_aws_itself_or_of_a_time_too_far_away_are_refused() {
    let account = Account::start().await;
    let put = async |namespace: &str, age: i64| {
        let datum = MetricDatum::builder().metric_name("Orders").value(1.0);
        let datum = datum.timestamp(wire(minute(0) - days(age))).build();
        let call = account.client.put_metric_data().namespace(namespace).metric_data(datum);
        call.send().await.err().and_then(|error| error.code().map(str::to_owned))
    };
    assert_eq!(put("Shop", 13).await, None);
    for (namespace, age) in [("AWS/ECS", 0), ("Shop", 15), ("Shop", -1)] {
        let code = put(namespace, age).await;
        assert_eq!(code.as_deref(), Some("InvalidParameterValue"), "{namespace} {age}");
    }
}

#[tokio::test]
async fn metrics_are_listed_by_what_names_them_while_they_are_alive() {
    let account = Account::start().await;
    let cloudwatch = account.cloudwatch();
    cloudwatch.generate(&cpu(), Duration::from_mins(1), |_| vec![1.0]);
    let quiet = Metric::new("AWS/ECS", "Quiet", &[("ClusterName", "shop")]);
    cloudwatch.put(&quiet, minute(0) - days(1), &[1.0]);
    let dead = Metric::new("AWS/ECS", "Dead", &[("ClusterName", "shop")]);
    cloudwatch.put(&dead, minute(0) - days(20), &[1.0]);
    let names = async |recent: bool, filter: Option<DimensionFilter>| {
        let call = account.client.list_metrics().namespace("AWS/ECS");
        let call = call.set_recently_active(recent.then_some(RecentlyActive::Pt3H));
        let answer = call.set_dimensions(filter.map(|f| vec![f])).send().await.expect("a list");
        let names = answer.metrics().iter().filter_map(|metric| metric.metric_name());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(false, None).await, ["CPUUtilization", "Quiet"]);
    assert_eq!(names(true, None).await, ["CPUUtilization"]);
    let filter = |value: Option<&str>| {
        let name = if value.is_some() { "ClusterName" } else { "ServiceName" };
        Some(DimensionFilter::builder().name(name).set_value(value.map(str::to_owned)).build())
    };
    assert_eq!(names(false, filter(Some("shop"))).await.len(), 2);
    assert_eq!(names(false, filter(Some("other"))).await.len(), 0);
    assert_eq!(names(false, filter(None)).await, ["CPUUtilization"]);
}

#[tokio::test]
async fn a_list_of_many_metrics_comes_in_pages_of_500() {
    let account = Account::start().await;
    for n in 0..1100 {
        account.cloudwatch().put(&Metric::new("Shop", &format!("m{n}"), &[]), minute(0), &[1.0]);
    }
    let pages = account.client.list_metrics().into_paginator().send();
    let pages = pages.collect::<Result<Vec<_>, _>>().await.expect("pages");
    let counts: Vec<usize> = pages.iter().map(|page| page.metrics().len()).collect();
    assert_eq!(counts, [500, 500, 100]);
    let wrong = account.client.list_metrics().next_token("x").send().await.expect_err("refused");
    assert_eq!(wrong.code(), Some("InvalidParameterValue"));
    assert_eq!(account.validated().trim_end(), "4 calls of 1 operations, 0 faults");
}
