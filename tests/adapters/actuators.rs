//! Rolling back by what the settings name, instead of by the platform's own call.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use deployguard::model::{ActFailure, Acted, Actuator, MaintenanceHooks, RollbackPlan, Route};
use deployguard::platform::{Accounts, Actuators, Endpoint};
use deployguard::settings::{CommandSettings, commands};
use serde_json::json;

use crate::client::SERVICE;
use crate::ecs::{Stage, permit};
use crate::world::called::HttpFault;
use crate::world::called::webhook::{Receiver, SECRET};
use crate::world::now;

/// ECS, with scripts and a webhook that policies may name.
struct Place {
    stage: Stage,
    folder: tempfile::TempDir,
    receiver: Receiver,
    scripts: BTreeMap<String, CommandSettings>,
    accounts: Accounts,
}

/// What the script does after it has written down what it was told.
const SCRIPTS: [(&str, &str); 5] = [
    ("slow", "while [ ! -e \"${0%/*}/go\" ]; do sleep 0.05; done"),
    ("good", "echo going back; exit 0"),
    ("bad", "echo nothing can be done >&2; exit 3"),
    ("on", "exit 0"),
    ("off", "exit 0"),
];

impl Place {
    async fn start() -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (stage, folder) = (Stage::at_rest().await, tempfile::tempdir()?);
        let mut all: BTreeMap<String, CommandSettings> = BTreeMap::new();
        for (name, then) in SCRIPTS {
            let script = folder.path().join(name);
            let told = folder.path().join("told");
            let text = format!(
                "#!/bin/sh\nfor one in {name} \"$@\"; do printf '%s|' \"$one\"; done >> {told}\n\
                 printf '\\n' >> {told}\n{then}\n",
                told = told.display()
            );
            std::fs::write(&script, text)?;
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
            let run = [&*script.to_string_lossy(), "--to", "${target.revision}", "${labels.note}"];
            all.insert(name.into(), serde_json::from_value(json!({ "run": run }))?);
        }
        let receiver = Receiver::start().await?;
        let accounts = begun(&stage, &receiver, &all)?;
        Ok(Self { stage, folder, receiver, scripts: all, accounts })
    }

    /// Another process.
    fn begins_anew(&mut self) -> anyhow::Result<()> {
        self.accounts = begun(&self.stage, &self.receiver, &self.scripts)?;
        Ok(())
    }

    async fn plan(&self, by: Option<Actuator>) -> RollbackPlan {
        let mut plan = self.stage.deploy_to_the_end().await;
        plan.means.by = by;
        let values = [("target.revision", "api:1"), ("labels.note", "a b; $(rm -rf /)")];
        plan.means.values =
            values.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
        plan
    }

    /// The scripts that were run, in their order.
    fn ran(&self) -> Vec<String> {
        let told = self.told();
        told.iter().filter_map(|line| Some(line.split_once('|')?.0.to_owned())).collect()
    }

    async fn roll_back(&self, first: bool, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        self.accounts.roll_back(&permit(first), plan, now()).await
    }

    /// What each script was run with, in order.
    fn told(&self) -> Vec<String> {
        let told = std::fs::read_to_string(self.folder.path().join("told")).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }
}

fn begun(
    stage: &Stage,
    receiver: &Receiver,
    scripts: &BTreeMap<String, CommandSettings>,
) -> anyhow::Result<Accounts> {
    let endpoint = Endpoint::new(&receiver.url(), SECRET, reqwest::header::HeaderMap::new());
    let webhooks = BTreeMap::from([("deployer".to_owned(), endpoint?)]);
    let hosts = [("test".to_owned(), stage.ecs.clone().into())];
    let accounts = hosts.into_iter().collect::<Accounts>();
    Ok(accounts.with(Actuators::new(commands(scripts)?, webhooks)))
}

fn command(name: &str) -> Actuator {
    Actuator::Command(name.to_owned())
}

#[tokio::test]
async fn a_command_gets_its_arguments_as_they_are_and_ecs_is_not_called() {
    let place = Place::start().await.unwrap();
    let plan = place.plan(Some(command("good"))).await;
    let before = place.stage.changes();
    let acted = place.roll_back(true, &plan).await.unwrap();
    assert_eq!((acted.route, acted.output.as_deref()), (Route::Command, Some("going back")));
    assert_eq!(place.told(), ["good|--to|api:1|a b; $(rm -rf /)|"]);
    assert_eq!(place.stage.changes_after(before), [] as [&str; 0]);
}

#[tokio::test]
async fn a_command_that_fails_is_told_with_its_last_words_and_never_run_twice() {
    let mut place = Place::start().await.unwrap();
    let plan = place.plan(Some(command("bad"))).await;
    let Err(ActFailure::Permanent(why)) = place.roll_back(true, &plan).await else { panic!() };
    assert!(why.contains("exit code 3") && why.contains("nothing can be done"), "{why}");
    let Err(ActFailure::Permanent(again)) = place.roll_back(false, &plan).await else { panic!() };
    assert_eq!(again, why, "who ran it knows what came of it");
    place.begins_anew().unwrap();
    let Err(ActFailure::Permanent(why)) = place.roll_back(false, &plan).await else { panic!() };
    assert!(why.contains("not run twice"), "{why}");
    assert_eq!(place.told().len(), 1);
}

#[tokio::test]
async fn who_lost_the_lead_while_the_command_runs_waits_for_its_end_in_maintenance_mode() {
    let place = Place::start().await.unwrap();
    let mut plan = place.plan(Some(command("slow"))).await;
    let hook = |name: &str| Actuator::Command(name.to_owned());
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("off") });
    let go = place.folder.path().join("go");
    let begun = async {
        while place.ran() != ["on", "slow"] {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    // Nobody waits for the first call any more; its command goes on.
    tokio::select! {
        acted = place.roll_back(true, &plan) => panic!("{acted:?}"),
        () = begun => {}
    }
    let again = place.roll_back(false, &plan);
    tokio::pin!(again);
    let early = tokio::time::timeout(std::time::Duration::from_millis(200), &mut again).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(place.ran(), ["on", "slow"]);
    std::fs::write(go, "").unwrap();
    let acted = again.await.unwrap();
    assert_eq!((acted.route, acted.maintained), (Route::Command, true));
    assert!(!place.ran().contains(&"off".to_owned()), "it is off once the target is in place");
    assert_eq!(place.ran().iter().filter(|name| *name == "slow").count(), 1);
}

#[tokio::test]
async fn what_is_not_in_place_any_more_is_not_touched() {
    let place = Place::start().await.unwrap();
    let plan = place.plan(Some(command("good"))).await;
    let third = place.stage.account.register(&[("N", "3")]).await;
    place.stage.account.update(&third).await;
    place.stage.account.ecs.wait_stable(SERVICE).await;
    let refused = place.roll_back(true, &plan).await;
    assert!(matches!(refused, Err(ActFailure::Superseded(_))), "{refused:?}");
    assert_eq!(place.told(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_target_that_is_back_already_is_reported_and_nothing_is_run() {
    let place = Place::start().await.unwrap();
    let plan = place.plan(None).await;
    place.stage.roll_back(&plan).await.unwrap();
    place.stage.account.ecs.wait_stable(SERVICE).await;
    let plan = RollbackPlan {
        means: deployguard::model::Means { by: Some(command("good")), ..plan.means.clone() },
        ..plan
    };
    let acted = place.roll_back(false, &plan).await.unwrap();
    assert_eq!(acted.route, Route::AlreadyInPlace);
    assert_eq!(place.told(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_stop_before_the_command_keeps_it_from_running() {
    let place = Place::start().await.unwrap();
    let plan = place.plan(Some(command("good"))).await;
    let stop = deployguard::model::StopSwitch::default();
    stop.stop("paused by dana");
    let permit = permit(true).unless(stop);
    let stopped = place.accounts.roll_back(&permit, &plan, now()).await;
    assert!(matches!(stopped, Err(ActFailure::Stopped(_))), "{stopped:?}");
    assert_eq!(place.told(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_webhook_is_asked_again_under_its_key_where_nobody_knows() {
    let place = Place::start().await.unwrap();
    let plan = place.plan(Some(Actuator::Webhook("deployer".into()))).await;
    place.receiver.fault(&HttpFault::Status(503), 1);
    let first = place.roll_back(true, &plan).await;
    assert!(matches!(first, Err(ActFailure::Transient(_))), "{first:?}");
    let acted = place.roll_back(false, &plan).await.unwrap();
    assert_eq!(acted.route, Route::Webhook);
    place.roll_back(false, &plan).await.unwrap();
    let deliveries = place.receiver.deliveries();
    assert_eq!(deliveries.iter().map(|one| one.repeated).collect::<Vec<_>>(), [false, true]);
    assert_eq!(deliveries[0].event, "rollback");
    assert_eq!(deliveries[0].body["values"]["target.revision"], "api:1");
}

#[tokio::test]
async fn maintenance_mode_is_on_before_the_call_and_off_where_there_was_none() {
    let place = Place::start().await.unwrap();
    let mut plan = place.plan(None).await;
    let hook = |name: &str| Actuator::Command(name.to_owned());
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("off") });
    let acted = place.roll_back(true, &plan).await.unwrap();
    assert_eq!((acted.route, acted.maintained), (Route::UpdateService, true));
    assert!(acted.beside[0].contains("maintenance mode was turned on"), "{:?}", acted.beside);
    assert_eq!(place.told(), ["on|--to|api:1|a b; $(rm -rf /)|"]);

    let place = Place::start().await.unwrap();
    let mut plan = place.plan(Some(command("bad"))).await;
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("off") });
    assert!(place.roll_back(true, &plan).await.is_err());
    assert_eq!(place.ran(), ["on", "bad", "off"]);
}

#[tokio::test]
async fn what_an_earlier_life_may_have_turned_on_is_turned_off_where_there_is_nothing_to_do() {
    let place = Place::start().await.unwrap();
    let mut plan = place.plan(Some(command("good"))).await;
    let hook = |name: &str| Actuator::Command(name.to_owned());
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("off") });
    let third = place.stage.account.register(&[("N", "3")]).await;
    place.stage.account.update(&third).await;
    place.stage.account.ecs.wait_stable(SERVICE).await;
    let first = place.roll_back(true, &plan).await;
    assert!(matches!(first, Err(ActFailure::Superseded(_))), "{first:?}");
    assert_eq!(place.ran(), [] as [&str; 0]);
    let again = place.roll_back(false, &plan).await;
    assert!(matches!(again, Err(ActFailure::Superseded(_))), "{again:?}");
    assert_eq!(place.ran(), ["off"]);
    // Where that fails too, whoever decides learns of it.
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("bad") });
    let stuck = place.roll_back(false, &plan).await;
    assert!(matches!(stuck, Err(ActFailure::Maintained { .. })), "{stuck:?}");
}

#[tokio::test]
async fn the_platform_finishes_what_is_back_already_and_maintenance_mode_is_left_after_it() {
    let place = Place::start().await.unwrap();
    let mut plan = place.plan(None).await;
    place.stage.roll_back(&plan).await.unwrap();
    place.stage.account.ecs.wait_stable(SERVICE).await;
    let hook = |name: &str| Actuator::Command(name.to_owned());
    plan.means.maintenance = Some(MaintenanceHooks { on: hook("on"), off: hook("off") });
    let acted = place.roll_back(false, &plan).await.unwrap();
    assert_eq!((acted.route, acted.maintained), (Route::AlreadyInPlace, true));
    assert_eq!(place.ran(), [] as [&str; 0], "it is off when the target is seen in place");
}
