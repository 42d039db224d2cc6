//! Which policy guards a service, and what it may do at most right now.

use crate::model::{Mode, Service, ServiceKey};
use crate::policy::{Glob, Match, Matches, Policy};
use crate::policy_repo::Loaded;
use crate::store::Pause;
use crate::watch::{Ceiling, Pinned};

/// The policy of a service, with what forbids it to act.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    pub pinned: Pinned,
    /// Set when several policies match: then the first one only notifies.
    pub overlap: Option<String>,
}

/// The policy that guards `key`; `None`: nothing guards it.
pub(super) fn guarded(loaded: &Loaded, key: &ServiceKey) -> Option<Guarded> {
    let (entry, overlap) = match loaded.set.matching(key) {
        Matches::None => return None,
        Matches::One(entry) => (entry, None),
        Matches::Several(entries) => {
            let names: Vec<_> = entries.iter().map(|e| e.policy.name.as_str()).collect();
            let overlap = format!("several policies match: {}", names.join(", "));
            (*entries.first()?, Some(overlap))
        }
    };
    let pinned = Pinned {
        policy: (*entry.policy).clone(),
        file: loaded.shown(&entry.file),
        text: entry.text.clone(),
        commit: loaded.commit.clone(),
        dirty: loaded.dirty,
    };
    Some(Guarded { pinned, overlap })
}

/// Whether a policy guards anything of an account and region.
pub(super) fn is_about(matches: &Match, target: &str) -> bool {
    let pattern = matches.target.as_ref().map(|text| Glob::parse(text));
    pattern.is_none_or(|glob| glob.is_ok_and(|glob| glob.matches(target)))
}

/// The service under the name and environment of the policy that guards it.
pub(super) fn service(key: &ServiceKey, policy: &Policy) -> Service {
    Service {
        name: key.name().to_owned(),
        environment: policy.environment.clone(),
        key: key.clone(),
    }
}

/// The most that a watch may do: the lowest of all that has a say.
pub(super) fn ceiling(
    guarded: &Guarded,
    current: Option<&Policy>,
    pauses: &[Pause],
    key: &ServiceKey,
) -> Ceiling {
    let pinned = &guarded.pinned;
    let mut ceiling = Ceiling { mode: pinned.policy.mode, because: None };
    let mut lower = |mode: Mode, because: String| {
        if mode < ceiling.mode {
            ceiling = Ceiling { mode, because: Some(because) };
        }
    };
    if let Some(current) = current {
        lower(current.mode, "the policy's mode was lowered".to_owned());
    }
    if pinned.commit.is_none() {
        lower(Mode::Ask, "auto needs policies in a git checkout".to_owned());
    } else if pinned.dirty {
        lower(Mode::Ask, "auto needs a clean commit; the policy files are edited".to_owned());
    }
    if let Some(overlap) = &guarded.overlap {
        lower(Mode::Observe, overlap.clone());
    }
    for pause in pauses.iter().filter(|pause| covers(pause, key, &pinned.policy.environment)) {
        let why = pause.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        lower(Mode::Observe, format!("paused by {}{why}", pause.by));
    }
    ceiling
}

/// Whether a pause's scope takes a service in.
pub(super) fn covers(pause: &Pause, key: &ServiceKey, environment: &str) -> bool {
    match Scope::read(&pause.scope) {
        Ok(Scope::Environment(paused)) => paused == environment,
        Ok(Scope::Place(globs)) => {
            let names = [&key.target, &key.cluster, &key.service];
            globs.iter().zip(names).all(|(glob, name)| glob.matches(name))
        }
        // A scope that a later version can't read stays paused.
        Ok(Scope::All) | Err(_) => true,
    }
}

/// What a pause stops.
pub(super) enum Scope {
    All,
    Environment(String),
    /// Patterns of target, cluster and service.
    Place([Glob; 3]),
}

impl Scope {
    /// `CLUSTER/SERVICE` is so in every target; any other scope is as it is written.
    pub(super) fn whole(text: &str) -> String {
        let parts = ServiceKey::parts(text).filter(|_| !text.starts_with("environment:"));
        let is_place = matches!(parts, Some((None, _, _)));
        if is_place { format!("*/{text}") } else { text.to_owned() }
    }

    /// Reads `all`, `environment:NAME` or `TARGET/CLUSTER/SERVICE`.
    pub(super) fn read(text: &str) -> Result<Scope, String> {
        if text == "all" {
            return Ok(Scope::All);
        }
        if let Some(name) = text.strip_prefix("environment:").filter(|name| !name.is_empty()) {
            return Ok(Scope::Environment(name.to_owned()));
        }
        let Some((Some(target), cluster, service)) = ServiceKey::parts(text) else {
            return Err(format!(
                "`{text}` is no scope: give `all`, `environment:NAME` or a pattern CLUSTER/SERVICE or TARGET/CLUSTER/SERVICE"
            ));
        };
        let glob = |part| Glob::parse(part).map_err(|why| format!("`{text}`: {why}"));
        Ok(Scope::Place([glob(target)?, glob(cluster)?, glob(service)?]))
    }
}
