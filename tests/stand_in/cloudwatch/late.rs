//! Data points that come late, in parts, or not at all.

use std::time::Duration;

use aws_sdk_cloudwatch::types::StatusCode;
use jiff::SignedDuration;

use super::{Account, cpu, minute, of_target_group, points, query};
use crate::world::aws::cloudwatch::metric::{Lag, Trouble};
use crate::world::now;

/// Sets the account's clock to the minute `n` and some seconds.
fn set_clock(account: &Account, n: i64, seconds: i64) {
    let wanted = minute(n) + SignedDuration::from_secs(seconds);
    account.cloudwatch().set_offset(wanted.duration_since(now()));
}

#[tokio::test]
async fn the_sum_of_a_minute_grows_until_all_of_it_has_arrived() {
    let account = Account::start().await;
    let requests = of_target_group("RequestCount");
    let lag = Lag { first: Duration::from_secs(70), last: Duration::from_secs(170) };
    account.cloudwatch().set_lag(&requests, lag);
    account.cloudwatch().put(&requests, minute(5), &[10.0; 11]);
    let mut sums = Vec::new();
    for seconds in [60, 80, 130, 180] {
        set_clock(&account, 5, seconds);
        let found = account.points(query("m", &requests, "Sum"), 0, 10).await;
        sums.push(found.first().map(|(_, sum)| *sum));
    }
    assert_eq!(sums, [None, Some(20.0), Some(70.0), Some(110.0)]);
}

#[tokio::test]
async fn the_newest_minutes_of_a_late_metric_are_not_there_yet() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_mins(1), |_| vec![1.0]);
    let lag = Duration::from_secs(150);
    account.cloudwatch().set_lag(&metric, Lag { first: lag, last: lag });
    set_clock(&account, 10, 5);
    let found = account.points(query("m", &metric, "Sum"), 5, 11).await;
    assert_eq!(found, [(7, 1.0), (6, 1.0), (5, 1.0)]);
}

#[tokio::test]
async fn nothing_is_measured_of_the_future() {
    let account = Account::start().await;
    let metric = cpu();
    account.cloudwatch().generate(&metric, Duration::from_mins(1), |_| vec![1.0]);
    set_clock(&account, 10, 5);
    assert_eq!(account.points(query("m", &metric, "Sum"), 9, 20).await, [(10, 1.0), (9, 1.0)]);
}

#[tokio::test]
async fn a_result_can_be_partial_broken_or_forbidden_while_others_are_complete() {
    let account = Account::start().await;
    let (good, bad) = (cpu(), of_target_group("RequestCount"));
    for metric in [&good, &bad] {
        account.cloudwatch().generate(metric, Duration::from_mins(1), |_| vec![1.0]);
    }
    for (trouble, status, wanted) in [
        (Trouble::Partial { without_newest: 2 }, StatusCode::PartialData, 3),
        (Trouble::Internal, StatusCode::InternalError, 0),
        (Trouble::Forbidden, StatusCode::from("Forbidden"), 0),
    ] {
        account.cloudwatch().set_trouble(&bad, Some(trouble));
        let queries = vec![query("good", &good, "Sum"), query("bad", &bad, "Sum")];
        let answer = account.ask(queries, 0, 5).send().await.expect("an answer");
        let [first, second] = answer.metric_data_results() else { panic!("two results") };
        assert_eq!((first.status_code(), points(first).len()), (Some(&StatusCode::Complete), 5));
        assert_eq!((second.status_code(), points(second).len()), (Some(&status), wanted));
        assert_eq!(second.messages().len(), 1, "{second:?}");
        assert_eq!(points(second).first(), (wanted > 0).then_some(&(2, 1.0)));
    }
    account.cloudwatch().set_trouble(&bad, None);
    assert_eq!(account.points(query("bad", &bad, "Sum"), 0, 5).await.len(), 5);
    assert_eq!(account.validated().trim_end(), "4 calls of 1 operations, 0 faults");
}
