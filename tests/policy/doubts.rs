//! What can be read and is hardly meant.

use super::read_one;

const BASE: &str = include_str!("good_base.yaml");

/// The warnings about a policy with this check among its own and `more` in the end.
fn doubts(check: &str, more: &str) -> Vec<String> {
    let text = BASE.replace("checks:\n", &format!("checks:\n  it: {check}\n"));
    let set = read_one(format!("{text}{more}")).unwrap();
    let all = set.remarks().iter().map(ToString::to_string);
    all.map(|one| one.split_once("warning: ").unwrap().1.to_owned()).collect()
}

fn doubt(check: &str) -> String {
    doubts(check, "").join("\n")
}

#[test]
fn a_value_that_no_phase_has_time_to_measure_is_told() {
    let json = "json: { url: \"https://a.example/?s=${since}\", path: $.n }";
    let of = |more: &str| doubt(&format!("{{ {json}, breach: {{ SEV2: '> 10' }}{more} }}"));
    assert_eq!(of(""), "", "5m of 15m");
    let said = of(", window: 40m");
    assert!(
        said.starts_with("`it` counts from 2")
            && said.contains(
                "when half of its window (40m) lies after the grace: nothing of it is measured by \
                 the end of `immediate`; give it a shorter `window`"
            ),
        "{said}"
    );
    let text = BASE
        .replace("checks:\n", &format!("checks:\n  it: {{ {json}, breach: {{ SEV2: '> 1' }} }}\n"))
        .replace("until: 15m", "until: 2m")
        .replace("until: 1h", "until: 4m")
        .replace("version: 1\n", "version: 1\ngrace: 20s\n");
    let set = read_one(text).unwrap();
    let all: Vec<_> = set.remarks().iter().map(ToString::to_string).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(
        all[0].contains(": warning: `it` counts from 2m 50s on, ")
            && all[0].contains("by the end of `immediate`;"),
        "{all:?}"
    );
}

#[test]
fn a_number_of_an_api_that_nothing_calls_a_time_or_a_share_is_doubted() {
    let of = |path: &str, limit: &str| {
        doubt(&format!(
            "{{ json: {{ url: \"https://a.example\", path: {path} }}, breach: {{ SEV2: '{limit}' }} }}"
        ))
    };
    assert_eq!(of("$.count", "> 20"), "");
    assert_eq!(
        of("$.count", "> 20%"),
        "nothing says that the number at `$.count` is a share from 0 to 1: `> 20%` compares it \
         with 0.2; write a number such as `> 20`, or take a field that is named as a share"
    );
    assert!(of("$.n", "> 20ms").contains("is seconds: `> 20ms` compares it with 0.02"));
    assert!(of("$.latency_ms", "> 20ms").contains("is seconds"), "20ms are 20 there");
    assert_eq!(of("$.latency_seconds", "> 20ms"), "");
    assert_eq!(of("$.error_rate", "> 20%"), "");
}

#[test]
fn a_window_that_is_preferred_and_to_be_avoided_is_told() {
    let of = |prefer: &str, avoid: &str| {
        let gate = "\ngate:\n  time_intervals:\n";
        let lists = format!("{gate}    prefer: [{prefer}]\n    avoid: [{avoid}]\n");
        doubts("{ query: a, breach: { SEV2: '> 1' } }", &lists).join("\n")
    };
    let within = "`Fri 10:00-12:00 UTC` lies wholly within `avoid`; every moment of it is warned \
        of: change one of the two";
    assert_eq!(of("Fri 10:00-12:00 UTC", "Fri UTC"), within);
    assert_eq!(of("Fri 10:00-12:00 UTC", "Fri 11:00-18:00 UTC, Fri 09:00-11:00 UTC"), within);
    assert_eq!(of("Fri 10:00-12:00 UTC", "Fri 11:00-18:00 UTC"), "");
    assert_eq!(of("Mon-Fri 10:00-12:00 UTC", "Fri UTC"), "");
}

#[test]
fn a_name_that_is_not_filled_in_is_told_once_a_line() {
    let of = |job: &str| {
        doubt(&format!(
            "{{ heartbeat: {{ job: {job}, schedule: \"0 * * * *\" }}, breach: {{ SEV3: 1 failure }} }}"
        ))
    };
    assert_eq!(of("push"), "");
    assert_eq!(of("FILL-IN"), "`FILL-IN` has not been filled in; write your own name or id");
    let two = doubt(
        "{ json: { url: \"https://a.example/FILL-IN\", path: $.n, headers: { a: FILL-IN } }, \
         breach: { SEV2: '> 1' } }",
    );
    assert_eq!(two.lines().count(), 1, "{two}");
}

#[test]
fn a_run_that_may_end_after_the_next_is_told() {
    let of = |schedule: &str, late: &str| {
        doubt(&format!(
            "{{ heartbeat: {{ job: push, schedule: \"{schedule}\"{late} }}, breach: {{ SEV3: 1 failure }} }}"
        ))
    };
    assert_eq!(
        of("*/5 * * * *", ", late: 30m"),
        "`late` (30m) is longer than the time between two runs (5m); the next run's beat hides a \
         run that was missed: write a shorter `late`"
    );
    assert!(of("*/5 * * * *", "").starts_with("`late` (10m) "), "what is the default");
    assert_eq!(of("*/5 * * * *", ", late: 4m"), "");
    assert_eq!(of("0 3 29 2 *", ", late: 24h"), "", "a leap day comes");
}
