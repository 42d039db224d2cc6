//! The calls that moto models, against moto and against ours: moto speaks CloudWatch as JSON and
//! not as CBOR, and the members are the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Account, minute};
use crate::moto::{Moto, differences};
use crate::world::aws::cloudwatch::cbor;
use crate::world::http::client_builder;

/// Where moto differs from real CloudWatch and ours follows CloudWatch: a path's end, and what
/// moto does.
const MOTO_DIFFERS: [(&str, &str); 3] = [
    ("MetricAlarms.StateValue", "begins as OK, not without data"),
    ("ListMetrics.Metrics", "lists a metric once for each data point"),
    ("MetricDataResults.Label", "labels with name and statistic"),
];

/// Members whose values are each side's own.
const OWN: [&str; 3] =
    ["AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp"];

const CREDENTIAL: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/monitoring/\
                          aws4_request, SignedHeaders=host, Signature=0";

async fn by_json(url: &str, operation: &str, body: &Value) -> (u16, Value) {
    let client = client_builder().build().expect("a client");
    let request = client
        .post(url)
        .header("x-amz-target", format!("GraniteServiceVersion20100801.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", CREDENTIAL)
        .body(body.to_string());
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a text");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

async fn by_cbor(url: &str, operation: &str, body: &Value) -> (u16, Value) {
    let client = client_builder().build().expect("a client");
    let url = format!("{url}/service/GraniteServiceVersion20100801/operation/{operation}");
    let request = client
        .post(url)
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .header("authorization", CREDENTIAL)
        .body(cbor::write(body));
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, cbor::read(&answer.bytes().await.expect("a body")).expect("CBOR"))
}

fn script() -> Vec<(&'static str, Value)> {
    let alarm = json!({ "AlarmName": "cpu", "Namespace": "AWS/ECS", "MetricName": "CPUUtilization",
        "Statistic": "Average", "Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 3,
        "Threshold": 80.5, "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{ "Name": "ServiceName", "Value": "api" }] });
    let state =
        |name: &str| json!({ "AlarmName": name, "StateValue": "ALARM", "StateReason": "x" });
    let mut script = vec![
        ("PutMetricAlarm", alarm),
        ("DescribeAlarms", json!({ "AlarmNames": ["cpu", "none"] })),
        ("SetAlarmState", state("cpu")),
        ("SetAlarmState", state("none")),
        ("DescribeAlarms", json!({ "StateValue": "ALARM" })),
        ("DescribeAlarms", json!({ "AlarmNamePrefix": "x" })),
    ];
    for (n, value) in [(1, 3.5), (1, 5.5), (2, 8.5), (12, 1.5)] {
        let datum = json!({ "MetricName": "Orders", "Value": value,
            "Timestamp": minute(n).as_second() });
        script.push(("PutMetricData", json!({ "Namespace": "Shop", "MetricData": [datum] })));
    }
    for stat in ["Sum", "Average", "Minimum", "Maximum", "SampleCount"] {
        for (period, order) in [(60, "TimestampDescending"), (300, "TimestampAscending")] {
            let metric = json!({ "Namespace": "Shop", "MetricName": "Orders", "Dimensions": [] });
            let stat = json!({ "Metric": metric, "Period": period, "Stat": stat });
            script.push((
                "GetMetricData",
                json!({ "ScanBy": order,
                "MetricDataQueries": [{ "Id": "m", "MetricStat": stat }],
                "StartTime": minute(0).as_second(), "EndTime": minute(20).as_second() }),
            ));
        }
    }
    script.push(("ListMetrics", json!({ "Namespace": "Shop" })));
    script.push(("DeleteAlarms", json!({ "AlarmNames": ["cpu"] })));
    script.push(("DescribeAlarms", json!({})));
    script
}

/// CBOR's 1.0 is JSON's 1.
fn even(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(even),
        Value::Object(members) => members.values_mut().for_each(even),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Takes out what is each side's own.
fn shared(mut answer: Value) -> Value {
    even(&mut answer);
    for alarm in answer["MetricAlarms"].as_array_mut().into_iter().flatten() {
        alarm
            .as_object_mut()
            .expect("an alarm")
            .retain(|member, _| !OWN.contains(&member.as_str()));
    }
    answer
}

#[tokio::test]
async fn ours_answers_as_moto_does_what_moto_models_of_cloudwatch() {
    let moto = Moto::start().await;
    let ours = Account::start().await;
    let mut found = Vec::new();
    for (number, (operation, body)) in script().into_iter().enumerate() {
        let theirs = by_json(&moto.url, operation, &body).await;
        let own = by_cbor(&ours.aws.url(), operation, &body).await;
        let place = format!("call {number} {operation}");
        if (theirs.0 < 300) != (own.0 < 300) {
            found.push(format!("{place}: moto {theirs:?}, ours {own:?}"));
        } else if theirs.0 < 300 {
            differences(&place, &shared(theirs.1), &shared(own.1), &mut found);
        }
    }
    let known = |text: &str| {
        let path = text.split(": ").next().unwrap_or_default();
        MOTO_DIFFERS.iter().position(|(end, _)| path.ends_with(end))
    };
    let seen: BTreeSet<usize> = found.iter().filter_map(|text| known(text)).collect();
    found.retain(|text| known(text).is_none());
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(seen.len(), MOTO_DIFFERS.len(), "moto no longer differs everywhere: {seen:?}");
}
