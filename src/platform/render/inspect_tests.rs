use serde_json::json;

use super::super::wave::tests::{commit, deploy, member};
use super::*;

fn service(name: &str, build: &str, suspended: &str) -> Service {
    serde_json::from_value(json!({
        "id": format!("srv-{name}"), "name": name, "type": "web_service",
        "autoDeploy": "yes", "suspended": suspended,
        "serviceDetails": { "envSpecificDetails": { "buildCommand": build } },
    }))
    .unwrap()
}

fn target() -> Revision {
    Revision::named(&commit('a'))
}

#[test]
fn migrations_of_a_build_are_told_and_stop_nothing() {
    let build = "pip install -r requirements.txt && python manage.py migrate";
    let services = [service("web", build, "not_suspended")];
    let members =
        [member("web", &[deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-2", 'b', 9, "live")])];
    let found = inspected(&services, &members, &target());
    assert_eq!((found.obstacle, found.not_restored.len()), (None, 0));
    assert!(found.differences[0].starts_with("the build command of web runs migrations"));
    assert_eq!(found.differences[1], STAYS);
    let plain = [service("web", "pip install -r requirements.txt", "not_suspended")];
    assert_eq!(inspected(&plain, &members, &target()).differences, [STAYS]);
}

#[test]
fn a_build_that_render_keeps_no_longer_is_an_obstacle_and_one_that_it_may_not_keep_is_told() {
    let services = [service("web", "", "not_suspended")];
    let after = |others: i64| {
        let mut deploys = vec![deploy("dep-0", 'a', 0, "deactivated")];
        deploys.extend((1..=others).map(|n| deploy(&format!("dep-{n}"), 'b', n, "deactivated")));
        inspected(&services, &[member("web", &deploys)], &target())
    };
    assert_eq!((after(5).obstacle, after(5).unasked.len()), (None, 0));
    assert_eq!(after(6).obstacle, None);
    assert!(after(6).unasked[0].contains("Render keeps 5 to 30 builds"));
    assert_eq!(after(30).obstacle, None);
    assert!(after(31).obstacle.unwrap().contains("Render keeps 30 builds at most"));
}

#[test]
fn what_can_not_go_back_is_said_with_why() {
    let history = [deploy("dep-1", 'a', 0, "deactivated"), deploy("dep-2", 'b', 9, "live")];
    let suspended = [service("web", "", "suspended")];
    let why = inspected(&suspended, &[member("web", &history)], &target()).obstacle;
    assert_eq!(why.as_deref(), Some("web is suspended"));
    let failed = [deploy("dep-1", 'a', 0, "build_failed"), deploy("dep-2", 'b', 9, "live")];
    let services = [service("web", "", "not_suspended")];
    let why = inspected(&services, &[member("web", &failed)], &target()).obstacle.unwrap();
    assert!(why.contains("none of the newest 2 deploys of web had aaaaaaa live"), "{why}");
}
