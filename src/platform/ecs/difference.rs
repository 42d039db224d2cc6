//! What a deployment changed in its task definition, in words: names, never values. Pure.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition};

/// Lines, and names in a line: people read this on a card.
const LINES: usize = 12;
const NAMES: usize = 8;

/// What `new` changed of `old`, in words.
pub(super) fn differences(old: &TaskDefinition, new: &TaskDefinition) -> Vec<String> {
    let mut words = Vec::new();
    let by_name = |of: &TaskDefinition| -> BTreeMap<String, ContainerDefinition> {
        let all = of.container_definitions().iter();
        all.map(|one| (one.name().unwrap_or_default().to_owned(), one.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for (name, now) in &after {
        match before.get(name) {
            Some(then) => of_container(&mut words, name, then, now),
            None => words.push(format!("container {name} is new")),
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    words.extend(gone.map(|name| format!("container {name} is gone")));
    moved(&mut words, "CPU", old.cpu(), new.cpu());
    moved(&mut words, "memory", old.memory(), new.memory());
    let mode = |of: &TaskDefinition| of.network_mode().map(|mode| mode.as_str().to_owned());
    moved(&mut words, "network mode", mode(old).as_deref(), mode(new).as_deref());
    moved(&mut words, "task role", role(old.task_role_arn()), role(new.task_role_arn()));
    let execution = (role(old.execution_role_arn()), role(new.execution_role_arn()));
    moved(&mut words, "execution role", execution.0, execution.1);
    if words.len() > LINES {
        let more = words.len() - LINES;
        words.truncate(LINES);
        words.push(format!("and {more} more"));
    }
    words
}

fn of_container(
    words: &mut Vec<String>,
    name: &str,
    then: &ContainerDefinition,
    now: &ContainerDefinition,
) {
    moved(words, &format!("image of {name}"), then.image(), now.image());
    let environment = |of: &ContainerDefinition| -> BTreeMap<String, String> {
        let pairs = of.environment().iter();
        pairs.map(|one| (text(one.name()), text(one.value()))).collect()
    };
    named(words, &format!("environment of {name}"), &environment(then), &environment(now));
    let secrets = |of: &ContainerDefinition| -> BTreeMap<String, String> {
        let all = of.secrets().iter();
        all.map(|one| (one.name().to_owned(), one.value_from().to_owned())).collect()
    };
    named(words, &format!("secrets of {name}"), &secrets(then), &secrets(now));
    let size = |cpu: i32| (cpu != 0).then(|| cpu.to_string());
    moved(
        words,
        &format!("CPU of {name}"),
        size(then.cpu()).as_deref(),
        size(now.cpu()).as_deref(),
    );
    let memory = |of: &ContainerDefinition| of.memory().map(|size| size.to_string());
    let sizes = (memory(then), memory(now));
    moved(words, &format!("memory of {name}"), sizes.0.as_deref(), sizes.1.as_deref());
}

fn moved(words: &mut Vec<String>, what: &str, then: Option<&str>, now: Option<&str>) {
    if then != now {
        let (then, now) = (then.unwrap_or("none"), now.unwrap_or("none"));
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
    let added = now.keys().filter(|name| !then.contains_key(*name)).map(|name| ("added", name));
    let removed = then.keys().filter(|name| !now.contains_key(*name)).map(|name| ("removed", name));
    let changed = now.iter().filter(|(name, value)| then.get(*name).is_some_and(|v| v != *value));
    let changed = changed.map(|(name, _)| ("changed", name));
    let all: Vec<String> =
        added.chain(removed).chain(changed).map(|(how, name)| format!("{name} {how}")).collect();
    if all.is_empty() {
        return;
    }
    let more = all.len().saturating_sub(NAMES);
    let shown = all.get(..NAMES.min(all.len())).unwrap_or_default().join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    words.push(format!("{what}: {shown}{more}"));
}

fn role(arn: Option<&str>) -> Option<&str> {
    arn.map(|arn| arn.rsplit('/').next().unwrap_or(arn))
}

fn text(given: Option<&str>) -> String {
    given.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{KeyValuePair, Secret};

    use super::*;

    fn definition(image: &str, environment: &[(&str, &str)], secret: &str) -> TaskDefinition {
        let pair = |(name, value): &(&str, &str)| {
            KeyValuePair::builder().name(*name).value(*value).build()
        };
        let secret = Secret::builder().name("TOKEN").value_from(secret).build().unwrap();
        let container = ContainerDefinition::builder()
            .name("app")
            .image(image)
            .set_environment(Some(environment.iter().map(pair).collect()))
            .secrets(secret)
            .build();
        TaskDefinition::builder().container_definitions(container).cpu("256").build()
    }

    #[test]
    fn a_difference_names_what_changed_and_no_value() {
        let old =
            definition("api:1", &[("KEPT", "1"), ("GONE", "1"), ("PASSWORD", "old")], "arn:1");
        let new =
            definition("api:2", &[("KEPT", "1"), ("NEW", "1"), ("PASSWORD", "s3cret")], "arn:2");
        let told = differences(&old, &new);
        assert_eq!(
            told,
            [
                "image of app: api:1 -> api:2",
                "environment of app: NEW added, GONE removed, PASSWORD changed",
                "secrets of app: TOKEN changed",
            ]
        );
        assert!(differences(&old, &old).is_empty());
    }

    #[test]
    fn sizes_roles_and_containers_are_told_and_long_lists_are_cut() {
        let old = definition("api:1", &[], "arn");
        let names: Vec<String> = (0..20).map(|n| format!("N{n:02}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let mut new = definition("api:1", &pairs, "arn");
        new.memory = Some("1024".into());
        new.task_role_arn = Some("arn:aws:iam::1:role/api".into());
        let told = differences(&old, &new);
        assert!(told[0].ends_with("N07 added and 12 more"), "{told:?}");
        assert_eq!(told[1..], ["memory: none -> 1024", "task role: none -> api"]);
        let bare = TaskDefinition::builder().build();
        assert_eq!(differences(&bare, &old)[0], "container app is new");
        assert_eq!(differences(&old, &bare)[0], "container app is gone");
    }
}
