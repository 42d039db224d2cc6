use super::*;
use crate::model::{Means, RollOut, ServiceKey};

const JUDGED: &str = "ecs-svc/2";

fn revision(number: u32) -> Revision {
    Revision {
        service_revision: Some(format!("arn:revision/{number}")),
        ..Revision::named(&format!("arn:aws:ecs:x:1:task-definition/api:{number}"))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

/// Decided at 100 that api:2, in place since 10, goes back to api:1.
fn plan() -> RollbackPlan {
    RollbackPlan {
        service: ServiceKey { target: "t".into(), cluster: "c".into(), service: "api".into() },
        judged: JUDGED.into(),
        judged_revision: revision(2),
        target: revision(1),
        target_because: "it was good".into(),
        decided_at: at(100),
        pin_digests: false,
        means: Means::default(),
    }
}

fn deployment(id: &str, of: u32, created: i64) -> PlatformDeployment {
    PlatformDeployment {
        id: id.into(),
        revision: revision(of),
        created_at: at(created),
        roll_out: RollOut::InProgress,
        reason: None,
        weight: None,
        desired: 3,
        running: 1,
        failed: 0,
    }
}

fn flight(stage: Stage, sources: &[u32], back_to: Option<u32>) -> Flight {
    Flight {
        arn: "arn:flight".into(),
        stage,
        hook: None,
        target: Some(revision(2)),
        sources: sources.iter().map(|n| (*n > 0).then(|| revision(*n))).collect(),
        back_to: back_to.map(revision),
        reason: None,
    }
}

fn seen(primary: PlatformDeployment, flight: Option<Flight>) -> Seen {
    Seen {
        controller: Deployer::Ecs,
        primary,
        others: Vec::new(),
        flight,
        release: None,
        unplaceable: None,
        pinned: None,
    }
}

/// The kind of step, with what tells one from another of its kind.
fn kind(step: &Step) -> &str {
    match step {
        Step::InPlace { deployment: Some(id) } => id,
        Step::InPlace { deployment: None } => "in place",
        Step::Superseded(_) => "superseded",
        Step::Refuse(_) => "refuse",
        Step::Wait(_) => "wait",
        Step::Stop { .. } => "stop",
        Step::Update => "update",
        Step::Continue { .. } => "continue",
        Step::StopRelease { .. } => "stop in CodeDeploy",
        Step::Deploy { .. } => "deploy in CodeDeploy",
    }
}

/// Every state that a service deployment can be in; source 0 is one that could
/// not be read.
fn flights() -> Vec<Option<Flight>> {
    use Stage::{Ended, RollbackFailed, RolledBack, RollingBack, Running, StopRequested, Unknown};
    let mut all = vec![None];
    for stage in [Running, StopRequested, RollingBack, RolledBack, RollbackFailed, Ended, Unknown] {
        for sources in [&[1][..], &[3], &[0], &[1, 3], &[]] {
            for back_to in [None, Some(1), Some(3)] {
                let one = flight(stage, sources, back_to);
                all.push(Some(Flight { target: Some(revision(9)), ..one.clone() }));
                all.push(Some(Flight { target: None, ..one.clone() }));
                all.push(Some(one));
            }
        }
    }
    all
}

#[test]
fn while_the_judged_deployment_stands_its_service_deployment_decides() {
    use Stage::{Ended, RollbackFailed, RolledBack, RollingBack, Running, StopRequested, Unknown};
    let table = [
        (None, "update"),
        (Some(flight(Running, &[1], None)), "stop"),
        (Some(flight(Running, &[3], None)), "update"),
        (Some(flight(Running, &[1, 3], None)), "update"),
        (Some(flight(Running, &[0], None)), "update"),
        (Some(flight(Running, &[], None)), "update"),
        (Some(Flight { target: Some(revision(9)), ..flight(Running, &[1], None) }), "update"),
        (Some(Flight { target: None, ..flight(Running, &[1], None) }), "update"),
        (Some(flight(StopRequested, &[1], None)), "wait"),
        (Some(flight(RollingBack, &[1], None)), "in place"),
        (Some(flight(RollingBack, &[3], None)), "refuse"),
        (Some(flight(RollingBack, &[1, 3], None)), "wait"),
        (Some(flight(RollingBack, &[1, 3], Some(1))), "in place"),
        (Some(flight(RollingBack, &[1], Some(3))), "refuse"),
        (Some(flight(RolledBack, &[1], Some(1))), "update"),
        (Some(flight(RollbackFailed, &[1], Some(1))), "update"),
        (Some(flight(Ended, &[1], None)), "update"),
        (Some(flight(Unknown, &[1], None)), "update"),
    ];
    for (flight, expected) in table {
        let seen = seen(deployment(JUDGED, 2, 10), flight);
        assert_eq!(kind(&choose(&seen, &plan())), expected, "{seen:?}");
    }
}

#[test]
fn what_is_primary_instead_decides_whether_it_is_ours() {
    use Stage::{RolledBack, RollingBack};
    let table = [
        // The target, begun after the decision: a former life's work.
        (deployment("ecs-svc/3", 1, 101), None, "ecs-svc/3"),
        // Clocks differ a little.
        (deployment("ecs-svc/3", 1, 96), None, "ecs-svc/3"),
        // The target, begun before: somebody else's.
        (deployment("ecs-svc/3", 1, 90), None, "superseded"),
        (deployment("ecs-svc/3", 3, 101), None, "superseded"),
        (deployment("ecs-svc/3", 2, 101), None, "superseded"),
        // ECS's own rollback, begun before the decision.
        (deployment("ecs-svc/3", 1, 90), Some(flight(RollingBack, &[1], Some(1))), "ecs-svc/3"),
        (deployment("ecs-svc/3", 1, 90), Some(flight(RolledBack, &[1], Some(1))), "ecs-svc/3"),
        (deployment("ecs-svc/3", 3, 90), Some(flight(RollingBack, &[3], Some(3))), "refuse"),
        (deployment("ecs-svc/3", 3, 90), Some(flight(RolledBack, &[3], Some(3))), "superseded"),
        // A third deployment on top of it.
        (deployment("ecs-svc/4", 4, 95), Some(flight(RollingBack, &[1], Some(1))), "superseded"),
    ];
    for (primary, flight, expected) in table {
        let seen = seen(primary, flight);
        assert_eq!(kind(&choose(&seen, &plan())), expected, "{seen:?}");
    }
}

#[test]
fn nothing_is_called_unless_everything_fits_in_every_combination() {
    let primaries = [
        deployment(JUDGED, 2, 10),
        deployment("ecs-svc/3", 1, 101),
        deployment("ecs-svc/3", 1, 50),
        deployment("ecs-svc/3", 3, 101),
        deployment("ecs-svc/3", 2, 101),
    ];
    let mut calls = 0;
    for primary in &primaries {
        for flight in flights() {
            for controller in [Deployer::Ecs, Deployer::CodeDeploy, Deployer::External] {
                for unplaceable in [None, Some("INACTIVE".to_owned())] {
                    let flight = flight.clone();
                    let seen = Seen { controller, unplaceable, ..seen(primary.clone(), flight) };
                    let step = choose(&seen, &plan());
                    if !matches!(step, Step::Stop { .. } | Step::Update) {
                        continue;
                    }
                    calls += 1;
                    assert_eq!(seen.primary.id, JUDGED, "{seen:?}");
                    assert_eq!(seen.controller, Deployer::Ecs, "without a release: {seen:?}");
                    assert_eq!(seen.unplaceable, None, "{seen:?}");
                    let stage = seen.flight.as_ref().filter(|f| is_of_judged(f, &plan()));
                    let stage = stage.map(|flight| flight.stage);
                    assert!(
                        !matches!(stage, Some(Stage::RollingBack | Stage::StopRequested)),
                        "{seen:?}"
                    );
                    if let Step::Stop { .. } = step {
                        assert_eq!(stage, Some(Stage::Running), "{seen:?}");
                        let sources = seen.flight.map(|flight| flight.sources);
                        assert_eq!(sources, Some(vec![Some(revision(1))]));
                    }
                }
            }
        }
    }
    assert!(calls > 100, "only {calls} combinations act");
}

#[test]
fn a_target_that_runs_already_or_cannot_be_placed_is_refused_with_the_reason() {
    let same = RollbackPlan { target: revision(2), ..plan() };
    let standing = seen(deployment(JUDGED, 2, 10), None);
    let Step::Refuse(words) = choose(&standing, &same) else { panic!() };
    assert_eq!(words, "both sides are api:2: putting it back would restore nothing");

    let gone = Seen { unplaceable: Some("api:1 is INACTIVE".into()), ..standing.clone() };
    assert_eq!(choose(&gone, &plan()), Step::Refuse("api:1 is INACTIVE".into()));

    let other = Seen { controller: Deployer::External, ..standing };
    let Step::Refuse(words) = choose(&other, &plan()) else { panic!() };
    assert!(words.starts_with("an external controller deploys this service"), "{words}");
}

#[test]
fn a_source_with_other_digests_is_not_the_target() {
    let mut plan = plan();
    plan.target.digests = vec!["api@sha256:a".into()];
    let mut flight = flight(Stage::Running, &[1], None);
    flight.sources[0].as_mut().unwrap().digests = vec!["api@sha256:b".into()];
    let seen = seen(deployment(JUDGED, 2, 10), Some(flight));
    assert_eq!(choose(&seen, &plan), Step::Update);
}

#[test]
fn a_deployment_in_between_is_a_mismatch_and_old_ones_are_not() {
    let judged = deployment(JUDGED, 2, 10);
    let old = deployment("ecs-svc/1", 4, 5);
    let between = deployment("ecs-svc/x", 3, 100);
    let told = |others: &[PlatformDeployment], since| mismatch(others, since, &plan());
    assert_eq!(told(&[], None), None);
    assert_eq!(told(&[judged.clone(), old.clone()], None), None);
    assert_eq!(told(std::slice::from_ref(&old), Some(at(10))), None);
    assert_eq!(told(&[judged.clone(), deployment("ecs-svc/0", 1, 50)], None), None);
    for others in [vec![judged, old.clone(), between.clone()], vec![old, between]] {
        let words = told(&others, Some(at(10))).unwrap();
        assert!(words.contains("replaced ecs-svc/x (api:3)"), "{words}");
        assert!(words.contains("not only what was judged, ecs-svc/2 (api:2)"), "{words}");
    }
}

#[test]
fn code_deploy_is_stopped_only_where_it_would_go_back_to_the_target() {
    let release = |stage| Release {
        id: "d-1".into(),
        application: "shop".into(),
        group: "api".into(),
        stage,
        rollback: None,
    };
    let of = |stage, others: Vec<PlatformDeployment>| Seen {
        controller: Deployer::CodeDeploy,
        others,
        release: Some(release(stage)),
        ..seen(deployment(JUDGED, 2, 10), None)
    };
    let (target, other) = (deployment("ecs-svc/1", 1, 5), deployment("ecs-svc/0", 3, 4));
    let table = [
        (of(Stage::Running, vec![target.clone()]), "stop in CodeDeploy"),
        (of(Stage::Running, vec![other.clone()]), "refuse"),
        (of(Stage::Running, vec![target.clone(), other.clone()]), "refuse"),
        (of(Stage::Running, vec![]), "refuse"),
        (of(Stage::RollingBack, vec![target.clone()]), "ecs-svc/1"),
        (of(Stage::RollingBack, vec![other]), "refuse"),
        (of(Stage::Ended, vec![]), "deploy in CodeDeploy"),
        (of(Stage::RollbackFailed, vec![target.clone()]), "deploy in CodeDeploy"),
        (of(Stage::Unknown, vec![target.clone()]), "wait"),
        // The old task set gets the requests again, however long it has been there.
        (Seen { primary: target, ..of(Stage::RolledBack, vec![]) }, "ecs-svc/1"),
    ];
    for (seen, expected) in table {
        assert_eq!(kind(&choose(&seen, &plan())), expected, "{seen:?}");
    }
}
