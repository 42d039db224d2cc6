//! Services that a policy names beside its own: its peers, and what it needs.

use super::desk::Desk;
use super::raw::PolicyFile;
use super::scalar::{At, ServiceName};
use crate::policy::diagnostic::Mistake;

/// Services that one list may name: each is asked about at every sample.
const MOST: usize = 5;

/// The names at `key`; what is wrong with them is in the report.
pub(super) fn services(
    key: &str,
    names: Option<&Vec<At<ServiceName>>>,
    text: &PolicyFile,
    desk: &mut Desk,
) -> Vec<String> {
    let own = text.matches.as_ref().and_then(|matches| matches.service.as_ref());
    let mut found: Vec<String> = Vec::new();
    for (index, At { value: ServiceName(name), marker }) in names.into_iter().flatten().enumerate()
    {
        if index == MOST {
            let mistake = Mistake::new(format!("`{key}` names at most {MOST} services"));
            desk.at(*marker, mistake.mend("keep those that tell the most"));
            break;
        }
        if found.contains(name) {
            let mistake = Mistake::new(format!("`{name}` is there twice"));
            desk.at(*marker, mistake.mend("remove one of the two"));
        } else if own.is_some_and(|own| own.value.0 == *name) {
            let mistake = Mistake::new(format!("`{name}` is the service that the policy guards"));
            desk.at(*marker, mistake.mend(format!("`{key}` are other services: remove it")));
        }
        found.push(name.clone());
    }
    found
}
