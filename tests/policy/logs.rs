//! Counts of events in logs: what they mean, and what is asked.

use deployguard::model::{Ask, LogsAsk};
use deployguard::policy::{Policy, Unit, Vars};
use jiff::SignedDuration;

use super::*;

#[test]
fn errors_in_logs_are_counted_over_five_minutes_in_every_phase() {
    let text = "version: 1\npolicy: unifocus\nenvironment: e\n\
                match: { cluster: c, service: s }\n\
                phases: { all: { until: 1h, interval: 15s } }\n\
                checks:\n  errors in logs:\n    logs: { group: '/ecs/unifocus-prod-${service}', \
                pattern: ERROR }\n    normal: '< 5'\n    breach: { SEV2: '> 20 for 5m' }\n    \
                baseline: { against: [before], worse_by: 3x }\n";
    let set = read_one(text.to_owned()).map_err(|mistakes| told(Err(mistakes))).unwrap();
    let policy = Policy::clone(&set.named("unifocus").unwrap().policy);
    let check = policy.check("errors in logs").unwrap();
    let five = SignedDuration::from_mins(5);
    assert_eq!(check.window(SignedDuration::from_secs(15)), five);
    assert_eq!((check.unit(), check.looks_back(), check.has_past()), (Unit::Number, true, true));
    assert!(!check.is_of_prometheus() && !check.is_of_web());
    let question = policy.question(check, &Vars::default().of_service("api"), five, None, None);
    let (group, pattern) = ("/ecs/unifocus-prod-api".to_owned(), "ERROR".to_owned());
    assert_eq!(question.asks, [Ask::Logs(LogsAsk { group, pattern, window: five })]);
}
