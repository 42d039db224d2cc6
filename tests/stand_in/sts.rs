//! Taking a role on, and asking who one is.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use deployguard::aws::{Account, AccountSettings, Role};
use deployguard::platform::Platform;
use deployguard::platform::ecs::Ecs as Platformed;
use deployguard::triggers::sqs::Queue;
use serde_json::{Value, json};

use crate::protocol::{as_json, validate};
use crate::world::aws::model::Settings;
use crate::world::aws::{Ecs, NoProcesses};
use crate::world::timeline::Timeline;

const ROLE: &str = "arn:aws:iam::123456789012:role/deployguard";

/// The daemon's way into the account, with this external id; `None`: without the role.
async fn account(aws: &Ecs, external_id: Option<&str>) -> Account {
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    Account::connect(AccountSettings {
        target: "here".into(),
        region: Some("us-east-1".into()),
        endpoint: Some(aws.url()),
        credentials: Some(SharedCredentialsProvider::new(credentials)),
        role: external_id.map(|id| Role { arn: ROLE.into(), external_id: Some(id.to_owned()) }),
    })
    .await
}

#[tokio::test]
async fn only_who_has_taken_the_role_on_is_answered_and_every_call_fits_the_service_model() {
    let aws = Ecs::start(Settings::default(), Arc::new(NoProcesses), Timeline::default()).await;
    let aws = aws.expect("it starts");
    let queue = aws.events_to("events", 3);
    aws.call("CreateCluster", &json!({ "clusterName": "shop" })).expect("a cluster");
    let before = account(&aws, None).await;
    assert_eq!(Platformed::of(&before).clusters().await, Ok(vec!["shop".to_owned()]));
    aws.trust(ROLE, "right");

    let refused = Platformed::of(&before).clusters().await.unwrap_err().to_string();
    assert!(refused.contains("UnrecognizedClientException"), "{refused}");
    let user = before.identity().await.expect("anybody may ask");
    assert_eq!(user.arn, "arn:aws:iam::123456789012:user/deployguard");
    assert!(user.at.is_some(), "the answer says what time it is");

    let right = account(&aws, Some("right")).await;
    assert_eq!(Platformed::of(&right).clusters().await, Ok(vec!["shop".to_owned()]));
    let role = right.identity().await.expect("the role");
    assert_eq!(role.arn, "arn:aws:sts::123456789012:assumed-role/deployguard/deployguard");
    assert_eq!(role.account, "123456789012");
    assert_eq!(Queue::of(&right, &queue).state().await, Ok((0, true)));

    let wrong = account(&aws, Some("wrong")).await;
    let refused = Platformed::of(&wrong).clusters().await.unwrap_err().to_string();
    let told = "no usable credentials: AssumeRole: AccessDenied: User: ";
    assert!(refused.contains(told), "{refused}");

    let calls: Vec<Value> = aws.calls().iter().map(as_json).collect();
    let taken = calls.iter().filter(|call| call["operation"] == "AssumeRole");
    assert_eq!(taken.filter(|call| call["status"] == 200).count(), 1, "taken on once, and kept");
    let verdict = validate(&calls).expect("no faults");
    assert!(verdict.contains("of 4 operations, 0 faults"), "{verdict}");
}
