use jiff::Timestamp;

use super::*;
use crate::model::{Controller, PlatformDeployment, Revision, RollOut, ServiceKey};

const DECIDED: i64 = 100;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan() -> RollbackPlan {
    RollbackPlan {
        service: ServiceKey {
            target: "k8s".into(),
            cluster: "production".into(),
            service: "api".into(),
        },
        judged: "uid:green:50".into(),
        judged_revision: Revision::named("green"),
        target: Revision::named("blue"),
        target_because: String::new(),
        decided_at: at(DECIDED),
        pin_digests: false,
        means: crate::model::Means::default(),
    }
}

fn seen(controller: Controller, id: &str, revision: &str, created: i64) -> Seen {
    let primary = PlatformDeployment {
        id: id.to_owned(),
        revision: Revision::named(revision),
        created_at: at(created),
        roll_out: RollOut::Completed,
        reason: None,
        weight: None,
        desired: 3,
        running: 3,
        failed: 0,
    };
    let (others, source) = (Vec::new(), None);
    let (again_since, stable) = (None, None);
    let found =
        InPlace { controller, primary, others, source, again_since, stable, observed: true };
    Seen { found, way: Ok(Way::Reset), alike: false }
}

/// What a choice comes to, without its words.
fn kind(step: &Step) -> &'static str {
    match step {
        Step::InPlace { .. } => "in place",
        Step::Superseded(_) => "superseded",
        Step::Refuse(_) => "refused",
        Step::Wait(_) => "waits",
        Step::Go(_) => "goes",
    }
}

#[test]
fn the_table_of_what_is_seen_and_what_is_done() {
    let all = [Controller::Rollout, Controller::Selector, Controller::Weights];
    for controller in all {
        // Id, revision and time of what is in place, and the choice.
        let rows = [
            ("uid:green:50", "green", 50, "goes"),
            ("uid:blue:110", "blue", 110, "in place"),
            ("uid:blue:40", "blue", 40, "in place"),
            ("uid:red:60", "red", 60, "superseded"),
            // Another daemon read another time of the same switch.
            ("uid:green:50", "green", 120, "goes"),
            // The same revision, rolled out anew.
            ("uid:green:51", "green", 120, "superseded"),
        ];
        for (id, revision, created, wanted) in rows {
            let seen = seen(controller, id, revision, created);
            let step = choose(&seen, &plan());
            assert_eq!(kind(&step), wanted, "{controller:?} {id}: {step:?}");
            let mut unseen = seen.clone();
            unseen.found.observed = false;
            assert_eq!(kind(&choose(&unseen, &plan())), "waits", "{controller:?} {id}");
            let refused = Seen { way: Err("gone".into()), ..seen };
            let expected = if wanted == "goes" { "refused" } else { wanted };
            assert_eq!(kind(&choose(&refused, &plan())), expected, "{controller:?} {id}");
            let alike = Seen { alike: true, ..refused };
            assert_eq!(kind(&choose(&alike, &plan())), expected, "{controller:?} {id}");
        }
    }
}

#[test]
fn what_came_again_after_the_decision_is_not_what_was_judged() {
    for (again, wanted) in [(90, "goes"), (100, "goes"), (101, "superseded")] {
        let mut seen = seen(Controller::Weights, "uid:green:50", "green", 50);
        seen.found.again_since = Some(at(again));
        assert_eq!(kind(&choose(&seen, &plan())), wanted, "{again}");
    }
}

#[test]
fn the_same_pods_under_another_name_are_nothing_to_restore() {
    let seen = Seen { alike: true, ..seen(Controller::Selector, "uid:green:50", "green", 50) };
    let Step::Refuse(words) = choose(&seen, &plan()) else { panic!("not refused") };
    assert!(words.contains("would restore nothing"), "{words}");
}

#[test]
fn a_target_that_runs_already_is_nothing_to_restore() {
    let plan = RollbackPlan { target: Revision::named("green"), ..plan() };
    let seen = seen(Controller::Rollout, "uid:green:50", "green", 50);
    assert_eq!(kind(&choose(&seen, &plan)), "refused");
}
