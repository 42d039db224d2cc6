//! Rolling back where CodeDeploy deploys: through CodeDeploy, once.

use aws_sdk_codedeploy::types::{AppSpecContent, RevisionLocation, RevisionLocationType};
use deployguard::model::{ActFailure, Controller, RollbackPlan, Route};
use deployguard::platform::Platform;

use crate::client::{Account, SERVICE};
use crate::ecs::{Stage, permit};
use crate::world::aws::Fault;

pub struct Shop {
    pub stage: Stage,
    client: aws_sdk_codedeploy::Client,
}

impl Shop {
    /// api:1 runs, deployed by CodeDeploy.
    pub async fn open() -> Self {
        let (account, client) = Account::with_code_deploy().await;
        let shop = Self { stage: Stage::of(account).await, client };
        let first = shop.stage.account.ecs.task_definition(SERVICE).expect("api:1");
        shop.create(&first).await;
        shop.stage.account.ecs.wait_stable(SERVICE).await;
        shop
    }

    async fn create(&self, definition: &str) {
        let content =
            format!("version: 0.0\nResources: [TargetService: {{TaskDefinition: {definition}}}]");
        let content = AppSpecContent::builder().content(content).build();
        let revision = RevisionLocation::builder()
            .revision_type(RevisionLocationType::AppSpecContent)
            .app_spec_content(content)
            .build();
        let call = self.client.create_deployment().application_name("shop");
        let call = call.deployment_group_name("api").revision(revision);
        call.send().await.expect("deployed");
    }

    /// CodeDeploy deploys api:2, and its task set gets the requests. The old one is kept until
    /// the end is waited for.
    pub async fn deploy(&self) -> RollbackPlan {
        let target = self.stage.sighting().await.primary.revision;
        let second = self.stage.account.register(&[]).await;
        self.stage.account.ecs.hold(&second);
        self.create(&second).await;
        self.stage.account.ecs.wait_running(SERVICE, &second, 3).await;
        self.stage.plan(target).await
    }

    pub async fn deploy_to_the_end(&self) -> RollbackPlan {
        let plan = self.deploy().await;
        self.stage.account.ecs.wait_stable(SERVICE).await;
        plan
    }

    pub async fn is_back(&self) {
        self.stage.account.ecs.wait_stable(SERVICE).await;
        let seen = self.stage.sighting().await;
        assert_eq!((seen.primary.revision.short(), seen.is_stable()), ("api:1", true));
    }
}

#[tokio::test]
async fn a_task_set_is_seen_from_its_first_task_on_and_rolls_out_until_it_gets_the_requests() {
    let shop = Shop::open().await;
    let plan = shop.deploy().await;
    let seen = shop.stage.sighting().await;
    assert_eq!(seen.controller, Controller::CodeDeploy);
    assert_eq!((seen.primary.id.as_str(), seen.primary.revision.short()), (&*plan.judged, "api:2"));
    assert_eq!(seen.others[0].revision.short(), "api:1");
    assert!(!seen.is_stable());
}

#[tokio::test]
async fn a_deployment_of_code_deploy_in_flight_is_stopped_with_a_rollback() {
    for fault in [None, Some(Fault::DropConnectionAfterApplying)] {
        let shop = Shop::open().await;
        let plan = shop.deploy().await;
        let before = shop.stage.changes();
        if let Some(fault) = fault {
            shop.stage.account.ecs.fault("StopDeployment", &fault, 1);
        }
        let acted = shop.stage.roll_back(&plan).await.expect("rolled back");
        assert_eq!((acted.route, acted.mismatch), (Route::StopDeployment, None));
        let again = shop.stage.ecs.roll_back(&permit(false), &plan).await.expect("in place");
        assert_eq!(again.route, Route::AlreadyInPlace);
        shop.is_back().await;
        assert_eq!(shop.stage.changes_after(before), ["StopDeployment"]);
    }
}

#[tokio::test]
async fn one_that_is_over_is_deployed_anew_with_the_former_app_spec() {
    for fault in [None, Some(Fault::DropConnectionAfterApplying)] {
        let shop = Shop::open().await;
        let plan = shop.deploy_to_the_end().await;
        let before = shop.stage.changes();
        if let Some(fault) = fault {
            shop.stage.account.ecs.fault("CreateDeployment", &fault, 1);
        }
        let acted = shop.stage.roll_back(&plan).await.expect("rolled back");
        assert_eq!((acted.route, acted.mismatch), (Route::CreateDeployment, None));
        let again = shop.stage.ecs.roll_back(&permit(false), &plan).await.expect("in place");
        assert!(matches!(again.route, Route::AlreadyInPlace | Route::CreateDeployment));
        shop.is_back().await;
        assert_eq!(shop.stage.changes_after(before), ["CreateDeployment"], "once");
        let calls = shop.stage.account.ecs.calls();
        let created = calls.iter().rfind(|call| call.operation == "CreateDeployment");
        let body = created.expect("called").body.to_string();
        assert!(body.contains("version: 0.0") && body.contains("task-definition/api:1"), "{body}");
    }
}

#[tokio::test]
async fn what_code_deploy_has_rolled_back_by_itself_is_reported_and_never_fought() {
    let shop = Shop::open().await;
    let plan = shop.deploy().await;
    let calls = shop.stage.account.ecs.calls();
    let newest = calls.iter().rfind(|call| call.operation == "CreateDeployment");
    let id = newest.expect("called").answer["deploymentId"].as_str().unwrap_or_default();
    let stop = shop.client.stop_deployment().deployment_id(id).auto_rollback_enabled(true);
    stop.send().await.expect("stopped by somebody");
    let before = shop.stage.changes();
    let acted = shop.stage.roll_back(&plan).await.expect("in place");
    assert_eq!(acted.route, Route::AlreadyInPlace);
    shop.is_back().await;
    assert_eq!(shop.stage.changes(), before);
}

#[tokio::test]
async fn without_leave_to_read_code_deploy_nothing_is_done_and_people_hear_which_call_it_was() {
    let shop = Shop::open().await;
    let plan = shop.deploy().await;
    let before = shop.stage.changes();
    shop.stage.account.ecs.fault("GetDeployment", &Fault::Denied, 1);
    let failure = shop.stage.roll_back(&plan).await.expect_err("refused");
    let ActFailure::Permanent(words) = failure else { panic!("{failure:?}") };
    assert!(words.starts_with("GetDeployment"), "{words}");
    assert_eq!(shop.stage.changes(), before);
}
