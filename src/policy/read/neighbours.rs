//! What policies must not share: a name, and a service.

use super::Found;
use super::report::Report;
use crate::policy::Match;
use crate::policy::diagnostic::Mistake;
use crate::policy::glob::Glob;

pub(super) fn check(found: &[Found], report: &mut Report) {
    for (index, second) in found.iter().enumerate() {
        for first in &found[..index] {
            names(first, second, report);
            services(first, second, report);
        }
    }
}

fn names(first: &Found, second: &Found, report: &mut Report) {
    let name = &second.written.policy.name;
    if *name == first.written.policy.name {
        let mistake = Mistake::new(format!("two policies are named `{name}`"))
            .mend(format!("the other is in {}", report.place(first.name_at)));
        report.at(second.name_at, mistake);
    }
}

fn services(first: &Found, second: &Found, report: &mut Report) {
    let (a, b) = (&first.written.policy, &second.written.policy);
    if let Some(example) = shared(&a.matches, &b.matches) {
        let mistake = Mistake::new(format!("`{}` and `{}` both guard {example}", a.name, b.name))
            .mend(format!(
                "a service has one policy; the other is in {}",
                report.place(first.service_at)
            ));
        report.at(second.service_at, mistake);
    }
}

/// A service that both match, as `cluster/service`.
fn shared(a: &Match, b: &Match) -> Option<String> {
    let meet = |a: &str, b: &str| {
        let name = Glob::parse(a).ok()?.shared(&Glob::parse(b).ok()?)?;
        // A pattern that needs no letters at all is better shown as itself.
        Some(if name.is_empty() { a.to_owned() } else { name })
    };
    if let (Some(a), Some(b)) = (&a.target, &b.target) {
        meet(a, b)?;
    }
    Some(format!("`{}/{}`", meet(&a.cluster, &b.cluster)?, meet(&a.service, &b.service)?))
}
