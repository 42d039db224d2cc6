//! Who is beside whom in a list, and what a finding that is kept rests on.

use jiff::{SignedDuration, Timestamp};

use super::calendar::Calendar;
use super::deployments::{Past, read_deployments};
use super::setup::{Keys, Setup};
use crate::model::Mode;
use crate::policy::{SourceFile, check};

const POLICY: &str = r#"
version: 1
policy: shop
environment: production
match: { cluster: "*", service: "shop-*" }
mode: auto
labels: { service: service, version: version, instance: instance }
phases:
  immediate: { until: 15m, interval: 15s }
  long: { until: HORIZON, interval: 1m }
rollback: { known_good_after: immediate }
checks:
  errors:
    ratio:
      bad: { counter: 'requests_total{code=~"5.."}' }
      total: { counter: requests_total }
    normal: "< 0.5%"
    breach: { SEV2: "> 2%", SEV1: "> 10%" }
"#;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
}

fn setup(horizon: &str) -> Setup {
    let bytes = POLICY.replace("HORIZON", horizon).into_bytes();
    let policies = check(&[SourceFile { path: "shop.yaml".into(), bytes }]).unwrap();
    let written = policies.iter().next().unwrap().clone();
    let in_service_after = SignedDuration::ZERO;
    Setup { policies, written, mode: Mode::Auto, in_service_after, now: at(100_000) }
}

/// `service[@cluster]` and the minute of each deployment.
fn list(deployed: &[(&str, i64)]) -> Vec<Past> {
    let mut text = "id,service,environment,at,labels\n".to_owned();
    for (name, minute) in deployed {
        let (service, cluster) = name.split_once('@').unwrap_or((name, "shop"));
        let row =
            format!("{name} {minute},{service},production,{},cluster={cluster}\n", at(*minute));
        text.push_str(&row);
    }
    read_deployments("list.csv", text.as_bytes()).unwrap()
}

#[test]
fn where_all_deploy_daily_those_of_an_hour_ago_are_controls() {
    let setup = setup("24h");
    let all = list(&[("shop-a", 0), ("shop-b", 1), ("shop-own", 60), ("shop-a", 1440)]);
    let calendar = Calendar::of(&setup, &all);
    assert_eq!(setup.scene(&calendar, &all[2]).others, ["shop-a"], "b is of 59 minutes ago");
    let later = Setup { in_service_after: SignedDuration::from_mins(1), ..setup };
    let calendar = Calendar::of(&later, &all);
    assert!(later.scene(&calendar, &all[2]).others.is_empty(), "in service for 59 minutes");
}

#[test]
fn a_service_of_the_same_name_in_another_cluster_is_another_service() {
    let setup = setup("24h");
    let all = list(&[("shop-x@a", 0), ("shop-x@b", 20), ("shop-x@a", 200)]);
    let calendar = Calendar::of(&setup, &all);
    let superseded = setup.scene(&calendar, &all[0]).superseded;
    assert_eq!(superseded, Some((all[2].at, all[2].id.clone())));
    let other = setup.scene(&calendar, &all[1]);
    assert_eq!(other.superseded, None);
    assert_eq!(other.deployment.baseline_end, all[1].at, "nothing of its own is unproven");
    assert_eq!(calendar.beside(&all[1]), [0, 2], "rivals of one environment");
    assert!(other.others.is_empty() && other.beside.is_empty(), "controls are of one cluster");
}

/// The name of the finding of the deployment with this id.
fn key(horizon: &str, deployed: &[(&str, i64)], of: &str, build: &str) -> String {
    let (setup, all) = (setup(horizon), list(deployed));
    let calendar = Calendar::of(&setup, &all);
    let keys = Keys::of(&setup, &calendar, all.len(), "http://prometheus", build);
    keys.get(all.iter().position(|past| past.id == of).unwrap())
}

#[test]
fn a_finding_of_another_build_is_not_used_again() {
    let deployed = [("shop-a", 0)];
    let first = key("45m", &deployed, "shop-a 0", "1");
    assert_eq!(first, key("45m", &deployed, "shop-a 0", "1"));
    assert_ne!(first, key("45m", &deployed, "shop-a 0", "2"));
}

/// Beside `a` is `b`, whose trail rests on its control `c`: one more deployment of `c`
/// unsettles that, is over before `a` begins, and changes no other deployment.
#[test]
fn a_finding_rests_on_what_unsettles_the_controls_of_those_beside_it() {
    let before = [("shop-a", 0), ("shop-b", -40), ("shop-c", -20), ("shop-d", -5000)];
    let mut more = before.to_vec();
    more.push(("shop-c", -38));
    let (setup, all) = (setup("45m"), list(&more));
    let calendar = Calendar::of(&setup, &all);
    assert_eq!(calendar.beside(&all[0]), [1, 2], "the new one is not beside it");
    assert_ne!(key("45m", &before, "shop-a 0", "1"), key("45m", &more, "shop-a 0", "1"));
    let mut far = before.to_vec();
    far.push(("shop-d", -3000));
    assert_eq!(
        key("45m", &before, "shop-a 0", "1"),
        key("45m", &far, "shop-a 0", "1"),
        "what has nothing to do with it leaves it"
    );
}
