//! `GetMetricData`: statistics, periods, retention, limits, pages.

use std::time::Duration;

use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::types::{MetricDataQuery, ScanBy, StatusCode};

use super::{Account, cpu, days, minute, of_target_group, per, points, query, wire};
use crate::world::aws::Fault;
use crate::world::aws::cloudwatch::metric::{Metric, StatisticSet};
use crate::world::now;

#[tokio::test]
async fn each_statistic_of_a_minute_is_what_its_values_make() {
    let account = Account::start().await;
    let latency = of_target_group("TargetResponseTime");
    account.cloudwatch().put(&latency, minute(3), &[0.1, 0.4]);
    account.cloudwatch().put(&latency, minute(3), &[0.2, 0.3, 1.0]);
    let wanted = [
        ("SampleCount", 5.0),
        ("Sum", 2.0),
        ("Average", 0.4),
        ("Minimum", 0.1),
        ("Maximum", 1.0),
        ("p50", 0.3),
        ("p90", 0.76),
        ("p99.5", 0.988),
        ("p100", 1.0),
    ];
    for (stat, value) in wanted {
        let found = account.points(query("m", &latency, stat), 0, 10).await;
        assert_eq!(found.len(), 1, "{stat}");
        assert_eq!(found[0].0, 3, "{stat}");
        assert!((found[0].1 - value).abs() < 1e-9, "{stat}: {found:?}");
    }
    assert_eq!(account.validated().trim_end(), "9 calls of 1 operations, 0 faults");
}

#[tokio::test]
async fn percentiles_need_values_of_their_own_and_none_below_zero() {
    let account = Account::start().await;
    let metric = cpu();
    let set = |minimum, maximum| StatisticSet { count: 4.0, sum: 8.0, minimum, maximum };
    account.cloudwatch().put_set(&metric, minute(1), set(1.0, 3.0));
    account.cloudwatch().put_set(&metric, minute(2), set(2.0, 2.0));
    account.cloudwatch().put(&metric, minute(3), &[-1.0, 5.0]);
    assert_eq!(account.points(query("m", &metric, "p90"), 0, 10).await, [(2, 2.0)]);
    let average = account.points(query("m", &metric, "Average"), 0, 10).await;
    assert_eq!(average, [(3, 2.0), (2, 2.0), (1, 2.0)]);
}

#[tokio::test]
async fn the_newest_comes_first_the_start_belongs_to_it_and_the_end_does_not() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_secs(20), |at| {
        vec![f64::from(i32::try_from((at.as_second() - minute(0).as_second()) / 60).unwrap_or(-1))]
    });
    let sums = account.points(query("m", &metric, "SampleCount"), 10, 13).await;
    assert_eq!(sums, [(12, 3.0), (11, 3.0), (10, 3.0)]);
    let ascending = account.ask(vec![query("m", &metric, "Average")], 10, 13);
    let ascending = ascending.scan_by(ScanBy::TimestampAscending).send().await.expect("data");
    let result = &ascending.metric_data_results()[0];
    assert_eq!(points(result), [(10, 10.0), (11, 11.0), (12, 12.0)]);
    assert_eq!(
        (result.label(), result.status_code()),
        (Some("CPUUtilization"), Some(&StatusCode::Complete))
    );
    let empty =
        account.points(query("m", &Metric::new("AWS/ECS", "CPUUtilization", &[]), "Sum"), 0, 9);
    assert!(empty.await.is_empty(), "other dimensions are another metric");
}

#[tokio::test]
async fn periods_are_counted_from_the_start_in_whole_minutes() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_mins(1), |_| vec![1.0]);
    let five = || per(300, "m", &metric, "Sum");
    assert_eq!(account.points(five(), 10, 20).await, [(15, 5.0), (10, 5.0)]);
    // What is not over, or begins off the grid, is what it is.
    assert_eq!(account.points(five(), 12, 20).await, [(17, 3.0), (12, 5.0)]);
    let call = account.client.get_metric_data().metric_data_queries(query("m", &metric, "Sum"));
    let call = call.start_time(wire(minute(5) + Duration::from_secs(42)));
    let call = call.end_time(wire(minute(6) + Duration::from_secs(1)));
    let answer = call.send().await.expect("data");
    assert_eq!(points(&answer.metric_data_results()[0]), [(6, 1.0), (5, 1.0)]);
}

#[tokio::test]
async fn old_data_are_kept_at_long_periods_only() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_mins(1), |_| vec![1.0]);
    let hour = wire(minute(60));
    let at = |age| minute(0) - days(age);
    let count = async |period, age| {
        let call =
            account.client.get_metric_data().metric_data_queries(per(period, "m", &metric, "Sum"));
        let until = hour.secs() - age * 86_400;
        let call = call
            .start_time(wire(at(age)))
            .end_time(aws_sdk_cloudwatch::primitives::DateTime::from_secs(until));
        call.send().await.expect("data").metric_data_results()[0].values().len()
    };
    let mut found = Vec::new();
    for age in [1, 14, 16, 62, 64, 454, 456] {
        let counts = [count(60, age).await, count(300, age).await, count(3600, age).await];
        found.push((age, counts));
    }
    let wanted = [
        (1, [60, 12, 1]),
        (14, [60, 12, 1]),
        (16, [0, 12, 1]),
        (62, [0, 12, 1]),
        (64, [0, 0, 1]),
        (454, [0, 0, 1]),
        (456, [0, 0, 0]),
    ];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn periods_below_a_minute_need_high_resolution_and_are_kept_for_three_hours() {
    let account = Account::start().await;
    let (fine, plain) = (of_target_group("fine"), of_target_group("plain"));
    account.cloudwatch().set_high_resolution(&fine);
    for metric in [&fine, &plain] {
        account.cloudwatch().generate(metric, Duration::from_secs(5), |_| vec![1.0]);
    }
    let count = async |metric, until: i64| {
        let query = per(10, "m", metric, "Sum");
        let answer = account.ask(vec![query], until - 2, until).send().await.expect("data");
        answer.metric_data_results()[0].values().to_vec()
    };
    assert_eq!(count(&fine, 30).await, [2.0; 12]);
    assert_eq!(count(&plain, 30).await, [12.0; 2]);
    assert!(count(&fine, -200).await.is_empty(), "three hours are over");
}

#[tokio::test]
async fn what_breaks_the_rules_of_a_call_is_refused() {
    let account = Account::start().await;
    let metric = cpu();
    let refusal = async |queries: Vec<MetricDataQuery>| {
        let refused = account.ask(queries, 0, 5).send().await.expect_err("refused");
        (
            refused.code().unwrap_or_default().to_owned(),
            refused.message().unwrap_or_default().to_owned(),
        )
    };
    let many = |count: usize| (0..count).map(|n| query(&format!("m{n}"), &metric, "Sum")).collect();
    assert!(account.ask(many(500), 0, 5).send().await.is_ok());
    let wanted = [
        (many(501), "must not have a size greater than 500"),
        (vec![], "is required"),
        (vec![query("M", &metric, "Sum")], "must match"),
        (vec![query("m-1", &metric, "Sum")], "must match"),
        (vec![query("m", &metric, "Sum"), query("m", &cpu(), "Average")], "not unique"),
        (vec![per(90, "m", &metric, "Sum")], "Period must be"),
        (vec![query("m", &metric, "p101")], "Invalid stat"),
        (vec![query("m", &metric, "sum")], "Invalid stat"),
        (vec![MetricDataQuery::builder().id("m").build()], "either Expression or MetricStat"),
    ];
    for (queries, message) in wanted {
        let found = refusal(queries).await;
        assert_eq!(found.0, "ValidationError");
        assert!(found.1.contains(message), "{found:?}");
    }
    let backwards = account.ask(vec![query("m", &metric, "Sum")], 5, 5).send().await;
    assert_eq!(backwards.expect_err("refused").code(), Some("ValidationError"));
    let not_ours = refusal(vec![query("m", &metric, "tm90")]).await;
    assert_eq!(not_ours.0, "NotModelled");
}

#[tokio::test]
async fn long_answers_come_in_pages() {
    let account = Account::start().await;
    let metrics = [cpu(), of_target_group("RequestCount")];
    for metric in &metrics {
        account.cloudwatch().generate(metric, Duration::from_mins(1), |_| vec![1.0]);
    }
    let queries = || vec![query("a", &metrics[0], "Sum"), query("b", &metrics[1], "Sum")];
    let mut found = vec![Vec::new(), Vec::new()];
    let (mut token, mut pages, mut statuses) = (None, 0, Vec::new());
    loop {
        let call = account.ask(queries(), 0, 10).max_datapoints(7).set_next_token(token);
        let answer = call.send().await.expect("a page");
        for (result, all) in answer.metric_data_results().iter().zip(&mut found) {
            all.extend(points(result));
            statuses.push(result.status_code().expect("a status").as_str().to_owned());
        }
        pages += 1;
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let wanted: Vec<(i64, f64)> = (0..10).rev().map(|minute| (minute, 1.0)).collect();
    assert_eq!((pages, &found), (3, &vec![wanted.clone(), wanted]));
    let expected =
        ["PartialData", "PartialData", "Complete", "PartialData", "Complete", "Complete"];
    assert_eq!(statuses, expected);
    let call = account.ask(queries(), 0, 10).next_token("nonsense").send().await;
    assert_eq!(call.expect_err("no such page").code(), Some("InvalidNextToken"));
    assert_eq!(account.validated().trim_end(), "4 calls of 1 operations, 0 faults");
}

#[tokio::test]
async fn an_answer_holds_100800_data_points_at_most() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_mins(1), |_| vec![1.0]);
    let queries = (0..11).map(|n| query(&format!("m{n}"), &metric, "Sum")).collect();
    let call = account.ask(queries, -9600, 0).send().await.expect("data");
    let count: usize = call.metric_data_results().iter().map(|result| result.values().len()).sum();
    assert_eq!((count, call.next_token().is_some()), (100_800, true));
}

#[tokio::test]
async fn faults_of_the_account_carry_the_names_that_sdks_show() {
    let account = Account::start().await;
    let ask = async || account.ask(vec![query("m", &cpu(), "Sum")], 0, 5).send().await;
    for (fault, code, status) in [
        (Fault::Throttle, "Throttling", 400),
        (Fault::Denied, "AccessDenied", 403),
        (Fault::Error5xx, "InternalServiceError", 500),
    ] {
        account.aws.fault("GetMetricData", &fault, 1);
        let refused = ask().await.expect_err("a fault");
        assert_eq!(refused.code(), Some(code));
        let raw = refused.raw_response().expect("an answer");
        assert_eq!(raw.status().as_u16(), status);
        assert!(refused.message().is_some(), "{code} says nothing");
    }
    for fault in [
        Fault::Html(200),
        Fault::Hang(Duration::from_millis(50)),
        Fault::DropConnectionAfterApplying,
    ] {
        account.aws.fault("GetMetricData", &fault, 1);
        ask().await.expect_err("no answer");
    }
    assert!(ask().await.is_ok());
    assert_eq!(account.validated().trim_end(), "7 calls of 1 operations, 0 faults");
    let calls = account.aws.calls();
    let body = &calls[0].body;
    assert_eq!(calls[0].service, "cloudwatch");
    assert_eq!(body["StartTime"], serde_json::json!(minute(0).as_duration().as_secs_f64()));
    assert!(calls[0].at <= now());
}
