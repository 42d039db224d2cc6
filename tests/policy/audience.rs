//! What `check` warns of where a policy says who is told.

use super::read_one;

/// The warnings about a policy that ends with `more`.
fn warned(more: &str) -> Vec<String> {
    let set = read_one(format!("{}{more}", include_str!("good_base.yaml"))).unwrap();
    let told = set.remarks().iter().map(ToString::to_string);
    told.map(|one| one.split_once("warning: ").unwrap().1.to_owned()).collect()
}

#[test]
fn a_policy_that_acts_and_tells_nobody_is_warned_of_and_one_that_observes_is_not() {
    let channel = "there is no `notify.slack.channel`; write `notify: { slack: { channel: \
                   C0123ABC, page: [S0ONCALL] } }`";
    for mode in ["ask", "auto"] {
        let told = warned(&format!("mode: {mode}\n"));
        assert_eq!(told, [format!("asks at SEV2 and tells nobody: {channel}")]);
    }
    let told = warned("mode: auto\nactions: { SEV2: rollback }\n");
    assert_eq!(told, [format!("rolls back at SEV2 and tells nobody: {channel}")]);
    assert!(warned("mode: observe\n").is_empty());
    assert!(warned("mode: ask\nactions: { SEV2: notify }\n").is_empty(), "it asks nobody");
}

#[test]
fn a_channel_in_which_nobody_is_mentioned_calls_nobody() {
    let of = |notify: &str| warned(&format!("mode: ask\nnotify: {{ {notify} }}\n"));
    let alone = "asks at SEV2 and calls nobody: it is posted to C0DEPLOYS alone; name who is \
                 mentioned: `page: [S0ONCALL]` beside the channel, or `escalate`";
    assert_eq!(of("slack: { channel: C0DEPLOYS }"), [alone]);
    for good in [
        "slack: { channel: C0DEPLOYS, page: [S0ONCALL] }",
        "slack: { channel: C0DEPLOYS }, escalate: { SEV2: [0m S0ONCALL] }",
        "tell: ['email:boss']",
    ] {
        assert!(of(good).is_empty(), "{good}: {:?}", of(good));
    }
}

#[test]
fn people_of_slack_can_t_be_mentioned_without_a_channel() {
    let told = warned("notify: { slack: { page: [S0ONCALL] } }\n");
    assert_eq!(
        told,
        ["S0ONCALL can't be mentioned: there is no channel; give `slack: { channel: C0123ABC }` \
          beside it"]
    );
}

#[test]
fn what_would_come_after_the_watch_and_what_is_there_twice_is_warned_of() {
    let channel = "slack: { channel: C0DEPLOYS, page: [S0ONCALL] }";
    let notify = |more: &str| warned(&format!("notify: {{ {channel}, {more} }}\n"));
    for (told, words) in [
        (notify("escalate: { SEV1: [100d U0MANAGER] }"), "nobody is called after 2400h: the watch"),
        (notify("escalate: { SEV1: [] }"), "`[]` calls nobody at SEV1; write"),
        (notify("escalate: { SEV1: [5m S0ONCALL, 5m U0BOSS] }"), "two rungs at 5m"),
        (notify("escalate: { SEV1: [5m U0BOSS U0BOSS] }"), "`U0BOSS` is there twice"),
        (notify("tell: ['email:a', 'email:a']"), "`email:a` is there twice"),
        (warned("actions: { SEV2: { ask: 30d } }\n"), "an answer is waited for 720h, and the"),
        (warned("actions: { hold: 10d }\n"), "a hold may last 240h, and the watch itself lasts 1h"),
    ] {
        assert!(told.len() == 1 && told[0].contains(words), "{words}: {told:?}");
    }
    let again = notify("escalate: { SEV1: [0m S0ONCALL, 10m S0ONCALL] }");
    assert!(again.is_empty(), "to call somebody again is no slip: {again:?}");
}
