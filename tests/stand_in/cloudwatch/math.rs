//! Metric math.

use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::types::{MetricDataQuery, StatusCode};

use super::{Account, expression, minute, of_target_group, per, points, query};
use crate::world::aws::cloudwatch::metric::{Metric, Trouble};

fn errors() -> Metric {
    of_target_group("HTTPCode_Target_5XX_Count")
}

fn requests() -> Metric {
    of_target_group("RequestCount")
}

fn hidden(query: MetricDataQuery) -> MetricDataQuery {
    let mut query = query;
    query.return_data = Some(false);
    query
}

/// Requests in the minutes 0 to 4 but for 3; errors in 1 alone.
async fn account() -> Account {
    let account = Account::start().await;
    for n in [0, 1, 2, 4] {
        account.cloudwatch().put(&requests(), minute(n), &[100.0, 100.0]);
    }
    account.cloudwatch().put(&errors(), minute(1), &[5.0]);
    account
}

impl Account {
    async fn computed(&self, text: &str) -> Result<Vec<(i64, f64)>, (String, String)> {
        let queries = vec![
            hidden(query("e", &errors(), "Sum")),
            hidden(query("r", &requests(), "Sum")),
            hidden(query("gone", &of_target_group("Gone"), "Sum")),
            hidden(per(300, "slow", &requests(), "Sum")),
            expression("x", text),
        ];
        match self.ask(queries, 0, 5).send().await {
            Ok(answer) => Ok(points(&answer.metric_data_results()[0])),
            Err(error) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                Err((text(error.code()), text(error.message())))
            }
        }
    }
}

#[tokio::test]
async fn an_operator_has_a_value_where_both_sides_have_one() {
    let account = account().await;
    for (text, wanted) in [
        ("e", vec![(1, 5.0)]),
        ("100 * e / r", vec![(1, 2.5)]),
        ("r - e", vec![(1, 195.0)]),
        ("2 + 3 * e ^ 2", vec![(1, 77.0)]),
        ("(2 + 3) * -e", vec![(1, -25.0)]),
        ("e / (e - 5)", vec![]),
        ("r > 150 AND r < 250", vec![(4, 1.0), (2, 1.0), (1, 1.0), (0, 1.0)]),
    ] {
        assert_eq!(account.computed(text).await, Ok(wanted), "{text}");
    }
}

#[tokio::test]
async fn a_gap_is_filled_unless_the_metric_never_had_a_data_point() {
    let account = account().await;
    let ratio = account.computed("FILL(e, 0) / r").await;
    assert_eq!(ratio, Ok(vec![(4, 0.0), (2, 0.0), (1, 0.025), (0, 0.0)]));
    let repeated = account.computed("FILL(r, REPEAT)").await.expect("values");
    assert_eq!(repeated.len(), 5);
    assert_eq!(account.computed("FILL(gone, 0)").await, Ok(vec![]));
}

#[tokio::test]
async fn functions_join_several_metrics_by_time() {
    let account = account().await;
    for (text, wanted) in [
        ("SUM([e, r])", vec![(4, 200.0), (2, 200.0), (1, 205.0), (0, 200.0)]),
        ("MAX([e, r])", vec![(4, 200.0), (2, 200.0), (1, 200.0), (0, 200.0)]),
        ("MIN([e, r])", vec![(4, 200.0), (2, 200.0), (1, 5.0), (0, 200.0)]),
        ("AVG([e, r])", vec![(4, 200.0), (2, 200.0), (1, 102.5), (0, 200.0)]),
        ("e / SUM(r)", vec![(1, 5.0 / 800.0)]),
        ("e / PERIOD(e)", vec![(1, 5.0 / 60.0)]),
        ("IF(r >= 200, e, 0)", vec![(1, 5.0)]),
        ("IF(FILL(e, 0) > 0, 1, 0)", vec![(4, 0.0), (3, 0.0), (2, 0.0), (1, 1.0), (0, 0.0)]),
        ("ABS(0 - CEIL(e / 2))", vec![(1, 3.0)]),
    ] {
        assert_eq!(account.computed(text).await, Ok(wanted), "{text}");
    }
}

#[tokio::test]
async fn expressions_build_on_expressions() {
    let account = account().await;
    let queries = vec![
        hidden(query("e", &errors(), "Sum")),
        hidden(query("r", &requests(), "Sum")),
        expression("share", "e / r"),
        expression("percent", "share * 100"),
    ];
    let answer = account.ask(queries, 0, 5).send().await.expect("data");
    let found: Vec<_> = answer.metric_data_results().iter().map(points).collect();
    assert_eq!(found, [[(1, 0.025)], [(1, 2.5)]]);
    assert_eq!(answer.metric_data_results()[1].label(), Some("percent"));
    assert_eq!(account.validated().trim_end(), "1 calls of 1 operations, 0 faults");
}

#[tokio::test]
async fn the_trouble_of_a_metric_is_that_of_what_it_makes() {
    let account = account().await;
    account.cloudwatch().set_trouble(&errors(), Some(Trouble::Internal));
    let queries = vec![
        hidden(query("e", &errors(), "Sum")),
        hidden(query("r", &requests(), "Sum")),
        expression("x", "e / r"),
    ];
    let answer = account.ask(queries, 0, 5).send().await.expect("data");
    let result = &answer.metric_data_results()[0];
    assert_eq!((result.status_code(), points(result)), (Some(&StatusCode::InternalError), vec![]));
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_what_is_not_modelled_says_so() {
    let account = account().await;
    for (text, code, message) in [
        ("e +", "ValidationError", "expected a metric"),
        ("e r", "ValidationError", "expected nothing more"),
        ("(e", "ValidationError", "expected ')'"),
        ("nothing * 2", "ValidationError", "no query of this id"),
        ("x + 1", "ValidationError", "circle"),
        ("1 + 1", "ValidationError", "not a time series"),
        ("SEARCH('{AWS/ECS} CPU', 'Sum', 60)", "NotModelled", "SEARCH"),
        ("ANOMALY_DETECTION_BAND(e, 2)", "NotModelled", "ANOMALY_DETECTION_BAND"),
        ("RATE(e)", "NotModelled", "RATE"),
        ("METRICS()", "NotModelled", "several series"),
        ("e / slow", "NotModelled", "different periods"),
    ] {
        let refused = account.computed(text).await.expect_err(text);
        assert_eq!(refused.0, code, "{text}: {}", refused.1);
        assert!(refused.1.contains(message), "{text}: {}", refused.1);
    }
}
