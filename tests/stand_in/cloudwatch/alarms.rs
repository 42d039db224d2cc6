//! Alarms and their history.

use aws_sdk_cloudwatch::error::ProvideErrorMetadata;
use aws_sdk_cloudwatch::operation::put_metric_alarm::builders::PutMetricAlarmFluentBuilder;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    AlarmType, ComparisonOperator, Dimension, HistoryItemType, MetricAlarm, StateValue, Statistic,
};
use serde_json::json;

use super::{Account, expression, minute, of_target_group, query};

impl Account {
    pub fn alarm(&self, name: &str) -> PutMetricAlarmFluentBuilder {
        let alarm = self.client.put_metric_alarm().alarm_name(name).namespace("AWS/ECS");
        let alarm = alarm.metric_name("CPUUtilization").statistic(Statistic::Average).period(60);
        let service = Dimension::builder().name("ServiceName").value("api").build();
        let alarm = alarm.dimensions(service).evaluation_periods(5).datapoints_to_alarm(3);
        let alarm = alarm.comparison_operator(ComparisonOperator::GreaterThanThreshold);
        alarm.threshold(80.0).treat_missing_data("notBreaching")
    }

    async fn state(&self, name: &str, state: StateValue) {
        let set = self.client.set_alarm_state().alarm_name(name).state_value(state);
        set.state_reason("a test").send().await.expect("set");
    }

    async fn described(&self, name: &str) -> MetricAlarm {
        let answer = self.client.describe_alarms().alarm_names(name).send().await;
        answer.expect("described").metric_alarms()[0].clone()
    }
}

#[tokio::test]
async fn an_alarm_begins_without_data_and_says_since_when_it_is_what_it_is() {
    let account = Account::start().await;
    account.alarm("cpu").send().await.expect("an alarm");
    let created = account.described("cpu").await;
    assert_eq!(created.state_value(), Some(&StateValue::InsufficientData));
    assert_eq!((created.threshold(), created.datapoints_to_alarm()), (Some(80.0), Some(3)));
    account.state("cpu", StateValue::Alarm).await;
    let alarm = account.described("cpu").await;
    assert_eq!(alarm.state_value(), Some(&StateValue::Alarm));
    account.state("cpu", StateValue::Alarm).await;
    let again = account.described("cpu").await;
    assert_eq!(again.state_transitioned_timestamp(), alarm.state_transitioned_timestamp());
    assert!(again.state_updated_timestamp() > alarm.state_updated_timestamp());
    account.alarm("cpu").threshold(90.0).send().await.expect("changed");
    let changed = account.described("cpu").await;
    assert_eq!(
        (changed.threshold(), changed.state_value()),
        (Some(90.0), Some(&StateValue::Alarm))
    );
    let unknown = account.client.set_alarm_state().alarm_name("none");
    let unknown = unknown.state_value(StateValue::Ok).state_reason("").send().await;
    let unknown = unknown.expect_err("there is none");
    assert_eq!(unknown.code(), Some("ResourceNotFound"));
    assert_eq!(unknown.raw_response().map(|raw| raw.status().as_u16()), Some(404));
    assert_eq!(account.validated().trim_end(), "9 calls of 3 operations, 0 faults");
}

#[tokio::test]
async fn a_test_can_let_an_alarm_have_rung_before_it_began() {
    let account = Account::start().await;
    account.cloudwatch().put_alarm(&json!({
        "AlarmName": "slow", "Namespace": "AWS/ApplicationELB", "MetricName": "TargetResponseTime",
        "ExtendedStatistic": "p95", "Period": 60, "EvaluationPeriods": 3, "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }));
    account.cloudwatch().set_alarm("slow", "ALARM", minute(3));
    let alarm = account.described("slow").await;
    let since = alarm.state_transitioned_timestamp().map(DateTime::secs);
    assert_eq!((alarm.threshold(), since), (Some(1.0), Some(minute(3).as_second())));
}

#[tokio::test]
async fn alarms_are_found_by_name_prefix_state_and_type_in_pages() {
    let account = Account::start().await;
    for n in 0..7 {
        account.alarm(&format!("cpu-{n}")).send().await.expect("an alarm");
    }
    let composite = account.client.put_composite_alarm().alarm_name("any-cpu");
    composite.alarm_rule("ALARM(\"cpu-0\") OR ALARM(\"cpu-1\")").send().await.expect("an alarm");
    account.state("cpu-3", StateValue::Alarm).await;
    let describe = || account.client.describe_alarms();
    let count = async |call: aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder| {
        let answer = call.send().await.expect("described");
        (answer.metric_alarms().len(), answer.composite_alarms().len())
    };
    assert_eq!(count(describe()).await, (7, 0), "composite alarms only when asked for");
    let both =
        || describe().alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
    assert_eq!(count(both()).await, (7, 1));
    assert_eq!(count(describe().alarm_names("cpu-1").alarm_names("none")).await, (1, 0));
    assert_eq!(count(describe().alarm_name_prefix("cpu-")).await, (7, 0));
    assert_eq!(count(describe().alarm_name_prefix("any")).await, (0, 0));
    assert_eq!(count(describe().state_value(StateValue::Alarm)).await, (1, 0));
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let answer = both().max_records(3).set_next_token(token).send().await.expect("a page");
        pages.push(answer.metric_alarms().len() + answer.composite_alarms().len());
        token = answer.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [3, 3, 2]);
    let names = (0..101).map(|n| format!("a{n}")).collect();
    let refused = describe().set_alarm_names(Some(names)).send().await.expect_err("too many");
    assert_eq!(refused.code(), Some("ValidationError"));
    let refused = describe().next_token("x").send().await.expect_err("no such page");
    assert_eq!(refused.code(), Some("InvalidNextToken"));
    let refused = account.client.delete_alarms().alarm_names("none").send().await;
    assert_eq!(refused.expect_err("unknown").code(), Some("ResourceNotFound"));
    account.client.delete_alarms().alarm_names("cpu-1").send().await.expect("deleted");
    assert_eq!(count(describe()).await, (6, 0));
    assert!(account.validated().contains("of 5 operations, 0 faults"));
}

#[tokio::test]
async fn the_history_tells_every_change_of_state() {
    let account = Account::start().await;
    account.alarm("cpu").send().await.expect("an alarm");
    for state in [StateValue::Ok, StateValue::Alarm, StateValue::Alarm, StateValue::Ok] {
        account.state("cpu", state).await;
    }
    let history = account.client.describe_alarm_history().alarm_name("cpu");
    let changes = history.clone().history_item_type(HistoryItemType::StateUpdate).send().await;
    let changes = changes.expect("a history");
    let told: Vec<_> = changes.alarm_history_items().iter().map(|i| i.history_summary()).collect();
    let wanted = [
        "Alarm updated from ALARM to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ];
    assert_eq!(told, wanted.map(Some));
    assert_eq!(history.send().await.expect("all").alarm_history_items().len(), 4);
    assert_eq!(account.validated().trim_end(), "7 calls of 3 operations, 0 faults");
}

#[tokio::test]
async fn an_alarm_that_contradicts_itself_is_refused() {
    let account = Account::start().await;
    let refusals = [
        account.alarm("a").extended_statistic("p90"),
        account.alarm("a").metrics(query("m", &of_target_group("RequestCount"), "Sum")),
        account.alarm("a").datapoints_to_alarm(6),
        account.alarm("a").threshold_metric_id("m"),
    ];
    for alarm in refusals {
        let refused = alarm.send().await.expect_err("refused");
        assert_eq!(refused.code(), Some("ValidationError"));
    }
    let math = account.client.put_metric_alarm().alarm_name("share").evaluation_periods(1);
    let math = math.comparison_operator(ComparisonOperator::GreaterThanThreshold).threshold(0.1);
    let math = math.metrics(query("m", &of_target_group("RequestCount"), "Sum"));
    math.metrics(expression("x", "m / 2")).send().await.expect("an alarm of metric math");
    assert_eq!(account.described("share").await.metrics().len(), 2);
    assert_eq!(account.validated().trim_end(), "6 calls of 2 operations, 0 faults");
}
