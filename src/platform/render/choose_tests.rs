use jiff::Timestamp;

use super::super::wave::tests::{at, commit, deploy, key, member};
use super::*;
use crate::model::Revision;

fn plan(at: Timestamp) -> RollbackPlan {
    RollbackPlan {
        service: key(),
        judged: "web-2".into(),
        judged_revision: Revision::named(&commit('b')),
        target: Revision::named(&commit('a')),
        target_because: "it was there before".into(),
        decided_at: at,
        pin_digests: false,
        means: crate::model::Means::default(),
    }
}

/// What a service shows of the judged deployment (commit b at 500) and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Live,
    Coming,
    /// It never came up.
    Failed,
    /// It has no part in it.
    Nothing,
    /// It went back, by whomever.
    Back,
    /// It is on its way back.
    GoingBack,
    /// Its going back failed.
    NotBack,
    /// A newer commit.
    Newer,
    NewerComing,
    /// A newer commit that failed.
    NewerFailed,
}

const ALL: [Shows; 10] = [
    Shows::Live,
    Shows::Coming,
    Shows::Failed,
    Shows::Nothing,
    Shows::Back,
    Shows::GoingBack,
    Shows::NotBack,
    Shows::Newer,
    Shows::NewerComing,
    Shows::NewerFailed,
];

fn shown(name: &str, shows: Shows) -> Member {
    let of = |number: u32, letter, second, status| {
        deploy(&format!("{name}-{number}"), letter, second, status)
    };
    let mut deploys = vec![of(1, 'a', 0, "deactivated")];
    let mut judged = |status| deploys.push(of(2, 'b', 500, status));
    match shows {
        Shows::Coming => judged("build_in_progress"),
        Shows::Failed => judged("build_failed"),
        Shows::Nothing => deploys[0].status = "live".into(),
        Shows::Live
        | Shows::Back
        | Shows::GoingBack
        | Shows::NotBack
        | Shows::Newer
        | Shows::NewerComing
        | Shows::NewerFailed => judged("live"),
    }
    match shows {
        Shows::Back => deploys.push(of(3, 'a', 900, "live")),
        Shows::GoingBack => deploys.push(of(3, 'a', 900, "update_in_progress")),
        Shows::NotBack => deploys.push(of(3, 'a', 900, "update_failed")),
        Shows::Newer => deploys.push(of(3, 'c', 900, "live")),
        Shows::NewerComing => deploys.push(of(3, 'c', 900, "created")),
        Shows::NewerFailed => deploys.push(of(3, 'c', 900, "build_failed")),
        Shows::Live | Shows::Coming | Shows::Failed | Shows::Nothing => {}
    }
    member(name, &deploys)
}

/// The table, for each service by itself: whether it is to go back, and whether it has; of a
/// newer one, whether that is live already.
fn alone(shows: Shows) -> Result<(bool, bool), bool> {
    match shows {
        Shows::Live | Shows::Coming | Shows::NotBack | Shows::NewerFailed => Ok((true, false)),
        Shows::Failed | Shows::Nothing => Ok((false, false)),
        Shows::Back | Shows::GoingBack => Ok((false, true)),
        Shows::Newer => Err(true),
        Shows::NewerComing => Err(false),
    }
}

#[test]
fn every_pair_of_what_two_services_can_show_leads_to_one_step() {
    for web in ALL.into_iter().filter(|shows| *shows != Shows::Nothing) {
        for worker in ALL {
            let members = [shown("web", web), shown("worker", worker)];
            let step = choose(&members, &plan(at(800)));
            let name = format!("{web:?} {worker:?}: {step:?}");
            let (web, worker) = match (alone(web), alone(worker)) {
                (Ok(web), Ok(worker)) => (web, worker),
                (Err(true), _) | (_, Err(true)) => {
                    assert!(matches!(step, Step::Superseded(_)), "{name}");
                    continue;
                }
                (Err(false), _) | (_, Err(false)) => {
                    let Step::Refuse(why) = step else { panic!("{name}") };
                    assert!(why.contains("it is left alone"), "{name}");
                    continue;
                }
            };
            match step {
                Step::RollBack(moves) => {
                    let moved = |of: &str| moves.iter().any(|one| one.deploy == format!("{of}-1"));
                    assert_eq!((moved("web"), moved("worker")), (web.0, worker.0), "{name}");
                    assert_eq!(moves.len(), usize::from(web.0) + usize::from(worker.0), "{name}");
                }
                Step::InPlace { deployment } => {
                    assert!(!web.0 && !worker.0 && (web.1 || worker.1), "{name}");
                    assert!(deployment.is_some_and(|id| id.ends_with("-3")), "{name}");
                }
                Step::Refuse(why) => {
                    assert!(!web.0 && !worker.0 && !web.1 && !worker.1, "{name}");
                    assert!(why.contains("no service got"), "{name}");
                }
                Step::Superseded(_) => panic!("{name}"),
            }
        }
    }
}

#[test]
fn services_go_back_in_the_order_of_the_group() {
    let members = [shown("web", Shows::Live), shown("worker", Shows::Live)];
    let Step::RollBack(moves) = choose(&members, &plan(at(800))) else { panic!() };
    let order: Vec<&str> = moves.iter().map(|one| one.service.as_str()).collect();
    assert_eq!(order, ["srv-web", "srv-worker"]);
}

#[test]
fn what_is_not_in_the_history_can_not_be_put_back() {
    let members = [shown("web", Shows::Live)];
    let unknown = RollbackPlan { target: Revision::named(&commit('e')), ..plan(at(800)) };
    let Step::Refuse(why) = choose(&members, &unknown) else { panic!() };
    assert!(why.contains("none of the newest 2 deploys of web had eeeeeee live"), "{why}");
    let long_ago = RollbackPlan { judged: "dep-0".into(), ..plan(at(800)) };
    assert!(matches!(choose(&members, &long_ago), Step::Refuse(_)));
    let apart = format!("web={}", commit('a'));
    let of_another = RollbackPlan { target: Revision::named(&apart), ..plan(at(800)) };
    let pair = [shown("web", Shows::Live), shown("worker", Shows::Live)];
    assert!(matches!(choose(&pair, &of_another), Step::Refuse(_)));
}

#[test]
fn each_service_goes_back_to_what_it_ran_itself() {
    let members = [shown("web", Shows::Live), shown("worker", Shows::Nothing)];
    let target = format!("web={},worker={}", commit('a'), commit('a'));
    let plan = RollbackPlan { target: Revision::named(&target), ..plan(at(800)) };
    let Step::RollBack(moves) = choose(&members, &plan) else { panic!() };
    assert_eq!(moves.len(), 1, "the worker had no part in it");
    assert_eq!(moves[0].deploy, "web-1");
}
