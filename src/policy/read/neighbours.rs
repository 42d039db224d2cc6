//! What policies must not share: a name, and a service.

use super::Found;
use super::report::Report;
use crate::policy::Match;
use crate::policy::diagnostic::{Diagnostic, Mistake};
use crate::policy::glob::Glob;

/// Reports names that are there twice, and returns the pairs that guard one
/// service: a running guard lives with those, by only notifying.
pub(super) fn check(found: &[Found], report: &mut Report) -> Vec<Diagnostic> {
    let mut overlaps = Vec::new();
    for (index, second) in found.iter().enumerate() {
        for first in &found[..index] {
            names(first, second, report);
            overlaps.extend(overlap(first, second, report));
        }
    }
    overlaps
}

fn names(first: &Found, second: &Found, report: &mut Report) {
    let name = &second.written.policy.name;
    if *name == first.written.policy.name {
        let mistake = Mistake::new(format!("two policies are named `{name}`"))
            .mend(format!("the other is in {}", report.place(first.name_at)));
        report.at(second.name_at, mistake);
    }
}

fn overlap(first: &Found, second: &Found, report: &Report) -> Option<Diagnostic> {
    let (a, b) = (&first.written.policy, &second.written.policy);
    let shared = shared(&a.matches, &b.matches)?;
    let other = report.place(first.service_at);
    let mistake = Mistake::new(format!("`{}` and `{}` both guard {shared}", a.name, b.name))
        .mend(format!("a service has one policy; the other is in {other}"));
    Some(report.placed(second.service_at, mistake))
}

/// A service that both match, as `cluster/service`; or the two patterns, where a
/// name that fits both would be made up.
fn shared(a: &Match, b: &Match) -> Option<String> {
    let meet = |a: &str, b: &str| Glob::parse(a).ok()?.shared(&Glob::parse(b).ok()?);
    if let (Some(a), Some(b)) = (&a.target, &b.target) {
        meet(a, b)?;
    }
    let (cluster, service) = (meet(&a.cluster, &b.cluster)?, meet(&a.service, &b.service)?);
    let named = |a: &str, b: &str| {
        [a, b].iter().any(|text| Glob::parse(text).is_ok_and(|glob| glob.plain().is_some()))
    };
    Some(if named(&a.cluster, &b.cluster) && named(&a.service, &b.service) {
        format!("`{cluster}/{service}`")
    } else {
        format!(
            "services that `{}/{}` and `{}/{}` match",
            a.cluster, a.service, b.cluster, b.service
        )
    })
}
