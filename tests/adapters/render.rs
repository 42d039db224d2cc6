//! Render: looking at groups, and rolling them back whatever goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use deployguard::model::{ActFailure, Acted, RollOut, RollbackPlan, Route, ServiceKey, Sighting};
use deployguard::platform::render::{Render, Workspace};
use deployguard::platform::{LookError, Platform};

use crate::ecs::{permit, spawnable};
use crate::world::now;
use crate::world::render::{self as stand_in, API_KEY, OWNER, RenderFault};

const BOTH: [&str; 2] = ["taskforge-web", "taskforge-worker"];
const ROLLBACK: &str = "POST /services/ID/rollback";

struct Stage {
    world: stand_in::Render,
    render: Render,
}

fn key(service: &str) -> ServiceKey {
    let (target, cluster) = ("render".to_owned(), "taskforge".to_owned());
    ServiceKey { target, cluster, service: service.to_owned() }
}

fn connect(world: &stand_in::Render, api_key: &str) -> Render {
    drop(rustls::crypto::ring::default_provider().install_default());
    let members = BOTH.iter().map(|name| (*name).to_owned()).collect();
    Render::connect(Workspace {
        target: "render".into(),
        name: "taskforge".into(),
        url: world.url(),
        api_key: api_key.into(),
        owner: Some(OWNER.into()),
        groups: BTreeMap::from([("taskforge".to_owned(), members)]),
    })
    .expect("a key")
}

impl Stage {
    /// Both run commit a.
    async fn at_rest() -> Self {
        let step = Duration::from_millis(15);
        let world = stand_in::Render::start(step, crate::world::timeline::Timeline::default());
        let world = world.await.expect("a port");
        let build = "pip install -r requirements.txt && python manage.py migrate";
        world.service(BOTH[0], "web_service", build);
        world.service(BOTH[1], "background_worker", "pip install -r requirements.txt");
        world.service("daily-sync", "cron_job", "");
        world.push('a', "The first one");
        world.wait_live(&BOTH, 'a').await;
        let render = connect(&world, API_KEY);
        Self { world, render }
    }

    /// Commit b is live everywhere, and is to go.
    async fn deployed(&self) -> RollbackPlan {
        let before = self.sighting().await.primary.revision;
        self.world.push('b', "Break the database");
        self.world.wait_live(&BOTH, 'b').await;
        let judged = self.sighting().await.primary;
        RollbackPlan {
            service: key("taskforge"),
            judged: judged.id,
            judged_revision: judged.revision,
            target: before,
            target_because: "it ran before".into(),
            decided_at: now(),
            pin_digests: false,
            means: deployguard::model::Means::default(),
        }
    }

    async fn look(&self) -> Result<Option<Sighting>, LookError> {
        let mut looks = spawnable(self.render.look(&[key("taskforge")], now())).await;
        assert_eq!(looks.len(), 1);
        looks.remove(0).1
    }

    async fn sighting(&self) -> Sighting {
        self.look().await.expect("seen").expect("in place")
    }

    async fn roll_back(&self, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        spawnable(self.render.roll_back(&permit(true), plan)).await
    }

    fn changed(&self) -> Vec<String> {
        let short = |call: &String| call.replace("srv-0000000000000000000", "srv-");
        self.world.changes().iter().map(short).collect()
    }
}

const ALL_OF_IT: [&str; 4] = [
    "POST /services/srv-1/rollback",
    "POST /services/srv-2/rollback",
    "PATCH /services/srv-1",
    "PATCH /services/srv-2",
];

#[tokio::test]
async fn a_group_is_seen_as_one_service_through_its_roll_out() {
    let stage = Stage::at_rest().await;
    let listed = stage.render.services("taskforge").await.expect("listed");
    assert_eq!(listed, [key("taskforge")], "the members are in the group, a cron job runs not");
    let first = stage.sighting().await;
    assert!(first.is_stable());
    assert_eq!(first.primary.revision.short(), "aaaaaaa The first one");
    stage.world.push('b', "Add the export\n\nand more");
    let coming = stage.sighting().await;
    assert_eq!(coming.primary, first.primary, "what is built is not in place yet");
    assert!(coming.in_flight.is_some());
    stage.world.wait_live(&BOTH, 'b').await;
    let seen = stage.sighting().await;
    assert!(seen.is_stable() && seen.primary.created_at > first.primary.created_at);
    assert_eq!(seen.source.as_ref(), Some(&first.primary.revision));
    assert_eq!(seen.primary.revision.short(), "bbbbbbb Add the export");
    // A list, and two calls a look.
    let reads = stage.world.calls().iter().filter(|call| call.ends_with("/deploys")).count();
    assert_eq!(reads, 6, "{:?}", stage.world.calls());
}

#[tokio::test]
async fn services_are_found_on_later_pages() {
    let stage = Stage::at_rest().await;
    for number in 0..120 {
        stage.world.service(&format!("other-{number}"), "web_service", "");
    }
    let listed = stage.render.services("taskforge").await.expect("listed");
    assert_eq!(listed.len(), 121);
    assert!(listed.contains(&key("other-119")) && listed.contains(&key("taskforge")));
    let wrong = stage.render.services("shop").await.expect_err("another workspace");
    assert!(wrong.to_string().contains("has one workspace, taskforge"), "{wrong}");
}

#[tokio::test]
async fn a_build_that_fails_leaves_what_is_in_place_to_be_watched() {
    let stage = Stage::at_rest().await;
    let first = stage.sighting().await;
    for name in BOTH {
        stage.world.fails(name, "build_failed", 1);
    }
    stage.world.push('b', "Does not build");
    let failed = async {
        while stage.sighting().await.in_flight.is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), failed).await.expect("it fails");
    assert!(first.shows_the_same_as(&stage.sighting().await));

    stage.world.fails(BOTH[1], "build_failed", 1);
    stage.world.push('c', "The worker does not build");
    let failed = async {
        loop {
            let seen = stage.sighting().await;
            if seen.primary.roll_out == RollOut::Failed {
                break seen.primary;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let half = tokio::time::timeout(Duration::from_secs(10), failed).await.expect("it fails");
    assert_eq!(half.failed, 1);
    let reason = half.reason.expect("said");
    assert!(reason.contains("taskforge-worker: its build failed, and Render keeps aaaaaaa live"));
    assert_eq!(stage.world.live(BOTH[1]), Some('a'));
}

#[tokio::test]
async fn both_go_back_in_order_and_auto_deploy_is_turned_off_and_said() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    let inspected = stage.render.inspect(&plan.service, &plan.judged_revision, &plan.target, false);
    let inspected = inspected.await.expect("inspected");
    assert_eq!((inspected.obstacle, inspected.not_restored.len()), (None, 0));
    assert!(inspected.differences[0].contains("does not run them back"));
    let would = stage.render.foresee(&plan).await.expect("foreseen");
    assert!(would.starts_with("Render's rollback of taskforge-web to aaaaaaa"), "{would}");
    assert!(stage.world.changes().is_empty());

    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!((acted.route, acted.mismatch), (Route::RenderRollback, None));
    assert_eq!(stage.changed(), ALL_OF_IT);
    let said = acted.beside.join("; ");
    assert!(said.contains("auto-deploy is off for taskforge-web") && said.contains("autoDeploy"));
    stage.world.wait_live(&BOTH, 'a').await;
    let seen = stage.sighting().await;
    assert_eq!(Some(seen.primary.id.clone()), acted.deployment);
    assert!(seen.is_stable() && plan.is_target(&seen.primary.revision));
    stage.world.push('b', "The bad one again");
    assert_eq!(stage.sighting().await.primary.id, seen.primary.id, "no push brings it back");

    let again = spawnable(stage.render.roll_back(&permit(false), &plan)).await.expect("in place");
    assert_eq!((again.route, again.deployment), (Route::AlreadyInPlace, Some(seen.primary.id)));
    assert_eq!(stage.changed().len(), 4, "nothing is called twice");
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_effect_is_looked_for_and_not_asked_for_again() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    stage.world.fault(ROLLBACK, &RenderFault::DoneButNoAnswer, 1);
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!(acted.route, Route::RenderRollback);
    assert_eq!(stage.changed(), ALL_OF_IT);
    stage.world.wait_live(&BOTH, 'a').await;
}

#[tokio::test]
async fn what_one_service_got_is_left_when_another_is_refused_and_tried_again() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    stage.world.fault(ROLLBACK, &RenderFault::Status(503), 1);
    let unknown = stage.roll_back(&plan).await.expect_err("nobody knows");
    assert!(matches!(unknown, ActFailure::Transient(_)), "{unknown}");
    assert_eq!(stage.world.live(BOTH[0]), Some('b'), "nothing was done");

    stage.world.refuse(BOTH[1], 400, 1);
    let half = stage.roll_back(&plan).await.expect_err("half of it");
    let ActFailure::Transient(words) = half else { panic!("{half}") };
    assert!(words.starts_with("taskforge-web (dep-"), "{words}");
    assert!(words.contains("taskforge-worker does not") && words.contains("different versions"));
    let before = stage.changed().len();
    let acted = stage.roll_back(&plan).await.expect("the rest of it");
    assert_eq!(acted.route, Route::RenderRollback);
    assert_eq!(stage.changed()[before..], ALL_OF_IT[1..], "the web service is left");
    stage.world.wait_live(&BOTH, 'a').await;
    assert!(stage.sighting().await.is_stable());
}

#[tokio::test]
async fn a_newer_push_is_left_alone() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    stage.world.push('c', "The fix");
    let refused = stage.roll_back(&plan).await.expect_err("it is being built");
    let ActFailure::Refused(words) = refused else { panic!("{refused}") };
    assert!(words.contains("ccccccc The fix") && words.contains("left alone"), "{words}");
    stage.world.wait_live(&BOTH, 'c').await;
    let superseded = stage.roll_back(&plan).await.expect_err("superseded");
    let ActFailure::Superseded(words) = superseded else { panic!("{superseded}") };
    assert!(words.contains("ccccccc The fix"), "{words}");
    assert!(stage.world.changes().is_empty());
}

#[tokio::test]
async fn what_passes_is_transient_and_what_people_must_mend_says_how() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    stage.world.storm(Some(RenderFault::Limited(9)));
    let limited = stage.look().await.expect_err("limited");
    assert!(matches!(&limited, LookError::Everywhere(words) if words.contains("in 9 s")));
    assert!(matches!(stage.roll_back(&plan).await, Err(ActFailure::Transient(_))));
    stage.world.storm(None);
    for (status, mend) in [(401, "render.api_key"), (403, "role"), (404, "can't see")] {
        stage.world.fault(ROLLBACK, &RenderFault::Status(status), 1);
        let refused = stage.roll_back(&plan).await.expect_err("refused");
        assert!(matches!(&refused, ActFailure::Permanent(words) if words.contains(mend)));
    }
    assert_eq!(stage.world.live(BOTH[0]), Some('b'), "nothing was done");
    let wrong = connect(&stage.world, "rnd_wrong").services("taskforge").await;
    assert!(matches!(wrong, Err(LookError::Permanent(words)) if words.contains("HTTP 401")));
}

#[tokio::test]
async fn auto_deploy_that_can_not_be_turned_off_is_said_and_spoils_no_rollback() {
    let stage = Stage::at_rest().await;
    let plan = stage.deployed().await;
    stage.world.fault("PATCH /services/ID", &RenderFault::Status(403), 1);
    let acted = stage.roll_back(&plan).await.expect("rolled back");
    assert_eq!(acted.beside.len(), 2);
    assert!(acted.beside[0].starts_with("auto-deploy of taskforge-web could not be turned off"));
    stage.world.wait_live(&BOTH, 'a').await;
    // A later try finds the target in place, and turns it off still.
    let again = spawnable(stage.render.roll_back(&permit(false), &plan)).await.expect("in place");
    assert!(again.beside[0].starts_with("auto-deploy is off for taskforge-web"));
    assert!(!stage.world.auto_deploys(BOTH[0]));
}
