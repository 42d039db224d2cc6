//! What a revision changed in its pod template, in words: names, never values. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};

/// Lines, and names in a line: people read this on a card.
const LINES: usize = 12;
const NAMES: usize = 8;

/// What `now` changed of `then`.
pub(super) fn differences(then: &PodTemplateSpec, now: &PodTemplateSpec) -> Vec<String> {
    let mut words = Vec::new();
    let (before, after) = (containers(then), containers(now));
    for (name, container) in &after {
        match before.get(name) {
            Some(former) => of_container(&mut words, name, former, container),
            None => words.push(format!("container {name} is new")),
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    words.extend(gone.map(|name| format!("container {name} is gone")));
    let account = |one: &PodTemplateSpec| {
        one.spec.as_ref().and_then(|spec| spec.service_account_name.clone())
    };
    moved(&mut words, "service account", account(then), account(now));
    let notes = |one: &PodTemplateSpec| {
        one.metadata.as_ref().and_then(|meta| meta.annotations.clone()).unwrap_or_default()
    };
    named(&mut words, "annotations of the pods", &notes(then), &notes(now));
    if words.len() > LINES {
        let more = words.len() - LINES;
        words.truncate(LINES);
        words.push(format!("and {more} more"));
    }
    words
}

pub(super) fn containers(of: &PodTemplateSpec) -> BTreeMap<&str, &Container> {
    let spec = of.spec.as_ref();
    let own = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let first = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    first.iter().chain(own).map(|one| (one.name.as_str(), one)).collect()
}

fn of_container(words: &mut Vec<String>, name: &str, then: &Container, now: &Container) {
    moved(words, &format!("image of {name}"), then.image.clone(), now.image.clone());
    named(words, &format!("environment of {name}"), &environment(then), &environment(now));
    let limits = |one: &Container, what: &str| {
        let limits = one.resources.as_ref()?.limits.as_ref()?;
        limits.get(what).map(|quantity| quantity.0.clone())
    };
    for what in ["cpu", "memory"] {
        moved(words, &format!("{what} limit of {name}"), limits(then, what), limits(now, what));
    }
    let sources = |one: &Container| -> BTreeSet<String> {
        let all = one.env_from.iter().flatten();
        let names = all.filter_map(|from| {
            let map = from.config_map_ref.as_ref().map(|one| format!("ConfigMap {}", one.name));
            map.or_else(|| Some(format!("Secret {}", from.secret_ref.as_ref()?.name)))
        });
        names.collect()
    };
    let (former, latter) = (sources(then), sources(now));
    let both = |from: &BTreeSet<String>, to: &BTreeSet<String>, how: &str| -> Vec<String> {
        from.difference(to).map(|name| format!("{name} {how}")).collect()
    };
    let mut all = both(&latter, &former, "added");
    all.extend(both(&former, &latter, "removed"));
    if !all.is_empty() {
        words.push(format!("environment of {name} from: {}", all.join(", ")));
    }
}

/// Each variable's name, and what tells whether it is another one.
fn environment(of: &Container) -> BTreeMap<String, String> {
    let all = of.env.iter().flatten();
    all.map(|one| {
        let from = one.value_from.as_ref().map(|from| format!("{from:?}"));
        (one.name.clone(), one.value.clone().or(from).unwrap_or_default())
    })
    .collect()
}

fn moved(words: &mut Vec<String>, what: &str, then: Option<String>, now: Option<String>) {
    if then != now {
        let none = || "none".to_owned();
        let (then, now) = (then.unwrap_or_else(none), now.unwrap_or_else(none));
        words.push(format!("{what}: {then} -> {now}"));
    }
}

/// Names that were added, removed or mean something else now.
fn named(
    words: &mut Vec<String>,
    what: &str,
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) {
    let added = now.keys().filter(|name| !then.contains_key(*name));
    let removed = then.keys().filter(|name| !now.contains_key(*name));
    let changed = now.iter().filter(|(name, value)| then.get(*name).is_some_and(|v| v != *value));
    let all: Vec<String> = added
        .map(|name| format!("{name} added"))
        .chain(removed.map(|name| format!("{name} removed")))
        .chain(changed.map(|(name, _)| format!("{name} changed")))
        .collect();
    if all.is_empty() {
        return;
    }
    let shown = all.get(..NAMES.min(all.len())).unwrap_or_default().join(", ");
    let more = match all.len().saturating_sub(NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    words.push(format!("{what}: {shown}{more}"));
}
