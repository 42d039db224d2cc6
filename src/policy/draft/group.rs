//! Which services one policy can speak of.

use super::{Before, Scene, Seen, environment, is_name};
use crate::model::Controller;
use crate::policy::Glob;

/// What one pattern may stand for.
const MOST_CHOICES: usize = 60;
const LONGEST_PATTERN: usize = 250;

/// Services with a policy in common.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub name: String,
    pub pattern: String,
    pub services: Vec<&'a Seen>,
}

pub(super) fn groups<'a>(scene: &Scene, services: &'a [Seen]) -> Vec<Group<'a>> {
    let (own, rest): (Vec<&Seen>, Vec<&Seen>) = services.iter().partition(|one| stands_alone(one));
    let mut groups: Vec<Group> = own
        .iter()
        .map(|one| Group {
            name: name_of(scene, one),
            pattern: one.name.clone(),
            services: vec![*one],
        })
        .collect();
    if let ([], [only]) = (&own[..], &rest[..]) {
        return vec![Group {
            name: name_of(scene, only),
            pattern: only.name.clone(),
            services: rest,
        }];
    }
    if own.is_empty() && rest.is_empty() {
        return vec![Group {
            name: scene.cluster.clone(),
            pattern: "*".to_owned(),
            services: rest,
        }];
    }
    let name =
        if own.is_empty() { scene.cluster.clone() } else { format!("{}-others", scene.cluster) };
    // A pattern would guard those too that are left aside.
    let pattern = if scene.has_others { None } else { together(&rest, &own) };
    match pattern {
        Some(pattern) => groups.push(Group { name, pattern, services: rest }),
        None => groups.extend(pieces(&rest).into_iter().map(|services| Group {
            name: name.clone(),
            pattern: choices(&services),
            services,
        })),
    }
    groups
}

/// Whether what is known of it can't be said of another too.
fn stands_alone(one: &Seen) -> bool {
    one.before != Before::Nothing || !one.alarms.is_empty() || one.controller != Controller::Ecs
}

fn name_of(scene: &Scene, one: &Seen) -> String {
    let given = scene.environment.clone().filter(|word| is_name(word));
    let environment = given.or_else(|| environment(&scene.cluster));
    match environment.filter(|word| !one.name.to_ascii_lowercase().contains(word.as_str())) {
        Some(word) => format!("{}-{word}", one.name),
        None => one.name.clone(),
    }
}

/// One pattern that also fits services to come, and none of `others`.
fn together(services: &[&Seen], others: &[&Seen]) -> Option<String> {
    let [first, _, ..] = services else { return None };
    let shared = |prefix: &str| services.iter().all(|one| one.name.starts_with(prefix));
    let ends = first.name.char_indices().filter(|(_, char)| "-_".contains(*char));
    let prefix = ends.map(|(at, _)| &first.name[..=at]).rfind(|prefix| shared(prefix));
    let free = |pattern: &String| {
        let glob = Glob::parse(pattern);
        glob.is_ok_and(|glob| others.iter().all(|one| !glob.matches(&one.name)))
    };
    let prefix = prefix.map(|prefix| format!("{prefix}*")).filter(free);
    prefix.or_else(|| others.is_empty().then(|| "*".to_owned()))
}

/// As many in a piece as a pattern can name.
fn pieces<'a>(services: &[&'a Seen]) -> Vec<Vec<&'a Seen>> {
    let mut pieces: Vec<Vec<&Seen>> = Vec::new();
    for one in services {
        match pieces.last_mut() {
            Some(piece)
                if piece.len() < MOST_CHOICES
                    && choices(piece).len() + one.name.len() < LONGEST_PATTERN =>
            {
                piece.push(one);
            }
            Some(_) | None => pieces.push(vec![one]),
        }
    }
    pieces
}

fn choices(services: &[&Seen]) -> String {
    let names: Vec<&str> = services.iter().map(|one| one.name.as_str()).collect();
    match names[..] {
        [one] => one.to_owned(),
        _ => format!("{{{}}}", names.join(",")),
    }
}
