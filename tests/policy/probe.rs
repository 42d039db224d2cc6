//! Probes in policies: what they mean, and what is run.

use deployguard::model::{Ask, Piece, Probing, Shape};
use deployguard::policy::{Check, Policy, Vars};
use jiff::SignedDuration;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn check(text: &str) -> (Policy, Check) {
    let text = format!(
        "version: 1\npolicy: shop\nenvironment: e\nmatch: {{ cluster: c, service: s }}\n\
         phases: {{ all: {{ until: 1h, interval: 15s }} }}\nchecks:\n  smoke tests: {text}\n"
    );
    let set = read_one(text).map_err(|mistakes| told(Err(mistakes))).unwrap();
    let policy = Policy::clone(&set.named("shop").unwrap().policy);
    let check = policy.check("smoke tests").unwrap().clone();
    (policy, check)
}

fn probing(policy: &Policy, check: &Check) -> (SignedDuration, Probing) {
    let question = policy.question(check, &Vars::default(), MINUTE, None, None);
    assert_eq!(question.shape, Shape::Gauge);
    match &question.asks[..] {
        [Ask::Probe(ask)] => (ask.every, ask.of.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_probe_names_a_command_and_is_run_every_five_minutes() {
    let (policy, smoke) = check("{ probe: { command: smoke }, breach: { SEV1: 2 failures } }");
    assert_eq!(probing(&policy, &smoke), (MINUTE * 5, Probing::Command("smoke".into())));
    assert!(smoke.is_of_health() && !smoke.has_past());
    assert!(!smoke.is_of_prometheus() && !smoke.is_of_web());
    // What is run each five minutes is not missed each fifteen seconds.
    assert_eq!(smoke.pace(SignedDuration::from_secs(15)), MINUTE * 5);
    assert_eq!(smoke.pace(MINUTE * 10), MINUTE * 10);
}

#[test]
fn a_probe_of_requests_says_of_each_what_its_answer_must_be() {
    let (policy, flow) = check(
        "{ probe: { every: 1m, requests: [\
           { get: 'https://www.shopflow.io/', expect: { status: 200, body_contains: Cart } },\
           { post: 'https://www.shopflow.io/cart', body: '{\"sku\": \"${service}\"}', \
             headers: { Authorization: 'Bearer ${secrets.shop}' }, \
             expect: { status: '2xx, 409', json: { $.status: ok, $.items: 3 }, within: 2s } },\
           { post: 'https://www.shopflow.io/pay' } ] }, breach: { SEV1: 2 failures } }",
    );
    let (every, Probing::Requests(steps)) = probing(&policy, &flow) else { panic!("{flow:?}") };
    assert_eq!((every, steps.len()), (MINUTE, 3));
    assert_eq!(steps[0].expect.status, [(200, 200)]);
    assert_eq!(steps[0].expect.body_contains.as_deref(), Some("Cart"));
    assert_eq!(steps[1].expect.status, [(200, 299), (409, 409)]);
    let wanted: Vec<_> = steps[1].expect.json.iter().collect();
    assert_eq!(wanted, [(&"$.items".into(), &"3".into()), (&"$.status".into(), &"ok".into())]);
    assert_eq!(steps[1].web.timeout, SignedDuration::from_secs(2));
    let header = &steps[1].web.headers["Authorization"].0;
    assert_eq!(header[1], Piece::Secret("shop".into()));
    assert_eq!(steps[2].web.to_string(), "POST https://www.shopflow.io/pay");
    assert_eq!(steps[2].web.body.as_ref().unwrap().to_string(), "{}");
    assert!(flow.is_of_web());
}

#[test]
fn a_probe_may_ask_the_new_revision_alone() {
    let (_, smoke) = check(
        "{ probe: { command: smoke, new_only: true }, optional: true, \
           breach: { SEV1: 2 failures } }",
    );
    assert!(smoke.optional && smoke.before().is_none());
    let (_, smoke) = check("{ probe: { command: smoke }, breach: { SEV1: 2 failures } }");
    assert!(!smoke.optional && smoke.before().is_some());
}
