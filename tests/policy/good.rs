//! What good policies mean, and how files work together.

use deployguard::model::{
    Ask, Deployment, Facts, Inherited, Mode, Revision, RollbackSafe, Service, ServiceKey, Severity,
    Shape,
};
use deployguard::policy::{Action, Matches, Measure, OnTimeout, Unit, Vars};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

const BASE: &str = include_str!("good_base.yaml");

fn key(cluster: &str, service: &str) -> ServiceKey {
    ServiceKey { target: "t".into(), cluster: cluster.into(), service: service.into() }
}

fn deployment() -> Deployment {
    Deployment {
        id: "d".into(),
        service: Service {
            name: "api\"".into(),
            environment: "production".into(),
            key: key("shop", "api"),
        },
        platform_id: None,
        revision: Some(Revision::named("arn:x/api:42")),
        source: None,
        started_at: Timestamp::UNIX_EPOCH,
        baseline_end: Timestamp::UNIX_EPOCH,
        undoes: RollbackSafe::Yes,
        inherited: Inherited::default(),
        facts: Facts { labels: [("cell".into(), "a|b".into())].into(), ..Facts::default() },
    }
}

#[test]
fn what_a_policy_does_not_say_has_its_default() {
    let set = read_one(BASE).unwrap();
    let policy = &set.named("shop").unwrap().policy;
    assert_eq!(policy.mode, Mode::Observe);
    assert_eq!(policy.grace, SignedDuration::from_mins(2));
    assert_eq!(policy.no_data_notify_after, SignedDuration::from_mins(3));
    assert!((policy.min_coverage - 0.5).abs() < 1e-12);
    assert_eq!(policy.rollback.known_good_after, "short-term");
    assert_eq!(policy.rollback.max_age, SignedDuration::from_hours(168));
    assert_eq!(policy.actions.of(Severity::Sev1), Action::Rollback);
    let ask = Action::Ask { wait: SignedDuration::from_mins(15), on_timeout: OnTimeout::Escalate };
    assert_eq!(policy.actions.of(Severity::Sev2), ask);
    assert_eq!(policy.actions.ask_after, Some(SignedDuration::from_hours(1)));
    let errors = policy.check("errors").unwrap();
    assert!((errors.min_traffic - 20.0).abs() < 1e-12);
    assert_eq!(policy.check("memory").unwrap().unit(), Unit::Ratio);
    assert_eq!(
        policy.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(),
        ["errors", "latency", "memory"],
        "in the order of the file"
    );
}

#[test]
fn the_severity_of_a_baseline_breach_is_the_mildest_of_the_limits() {
    let with = |breach: &str| {
        let text = BASE.replace(
            "    breach: { SEV2: \"> 1%\" }",
            &format!("    {breach}\n    baseline: {{ worse_by: 2x }}"),
        );
        let set = read_one(text).unwrap();
        let policy = &set.named("shop").unwrap().policy;
        policy.check("errors").unwrap().baseline.as_ref().unwrap().severity
    };
    assert_eq!(with("breach: { SEV1: \"> 10%\", SEV2: \"> 1%\" }"), Severity::Sev2);
    assert_eq!(with("window: 2m"), Severity::Sev3);
}

#[test]
fn a_check_asks_what_its_measure_says() {
    let text = BASE.replace("phases:\n", "labels: { service: svc }\nphases:\n").replace(
        "max(memory_ratio{service=\"${service}\"})",
        "'max(m{a=\"${service}\",b=~\"${labels.cell}\",c=\"${version}${revision}\"}) / 2'",
    );
    let set = read_one(text).unwrap();
    let policy = &set.named("shop").unwrap().policy;
    let vars = Vars::of(&deployment());
    let window = SignedDuration::from_secs(90);
    let ask = |name: &str| policy.question(policy.check(name).unwrap(), &vars, window, None, None);
    let counter = |selector: &str| Ask::Counter(selector.to_owned());

    let errors = ask("errors");
    assert_eq!(errors.shape, Shape::BadOfTotal);
    assert_eq!(
        errors.asks,
        [
            counter(r#"http_requests_total{svc="api\"",status=~"5.."}"#),
            counter(r#"http_requests_total{svc="api\""}"#),
        ]
    );
    assert_eq!(errors.instance, "instance", "Prometheus' own label");
    assert_eq!(errors.labels, ["instance".to_owned()].into());
    let latency = ask("latency");
    assert_eq!(latency.shape, Shape::Histogram);
    assert_eq!(latency.asks, [counter(r#"http_seconds_bucket{svc="api\""}"#)]);
    let memory = ask("memory");
    assert_eq!(memory.shape, Shape::Gauge);
    let query = r#"max(m{a="api\"",b=~"a\\|b",c="api:42"}) / 2"#;
    assert_eq!(memory.asks, [Ask::Query(query.to_owned())]);
}

#[test]
fn a_count_by_query_counts_in_the_window() {
    let text = BASE
        .replace("counter: http_requests_total }", "query: 'sum(increase(all[${window}]))' }")
        .replace("phases:\n", "labels: { instance: task, version: release }\nphases:\n");
    let set = read_one(text).unwrap();
    let policy = &set.named("shop").unwrap().policy;
    let window = SignedDuration::from_secs(90);
    let errors = policy.check("errors").unwrap();
    let question = policy.question(errors, &Vars::of(&deployment()), window, None, None);
    assert_eq!(question.asks[1], Ask::Query("sum(increase(all[90s]))".into()));
    assert_eq!(question.instance, "task");
    assert_eq!(question.labels, ["release".to_owned(), "task".to_owned()].into());
}

#[test]
fn every_question_is_promql_whatever_the_deployment_is_called() {
    let set = read_one(BASE.replace("phases:\n", "labels: { service: svc }\nphases:\n")).unwrap();
    let policy = &set.named("shop").unwrap().policy;
    for name in ["\"", "\\", "a\nb", "`", "}) or vector(0) #", ".*", "", "\u{fffd}", "'"] {
        let mut deployment = deployment();
        deployment.service.name = name.to_owned();
        for check in &policy.checks {
            let vars = Vars::of(&deployment);
            let minute = SignedDuration::from_mins(1);
            for ask in policy.question(check, &vars, minute, None, None).asks {
                let Some(query) = ask.promql() else { continue };
                let parsed = promql_parser::parser::parse(query);
                assert!(parsed.is_ok(), "{query}: {parsed:?}");
                assert!(!query.contains('\n'), "{query}");
            }
        }
    }
}

#[test]
fn values_come_from_the_nearest_file_that_gives_them() {
    let files = [
        file("p/_defaults.yaml", "grace: 3m\nmode: ask\nmatch: { cluster: shop }\n"),
        file("p/team/_defaults.yaml", "mode: auto\n"),
        file("p/team/a.yaml", BASE.replace("cluster: shop, ", "")),
        file("other/b.yaml", BASE.replace("policy: shop", "policy: b").replace("api", "b")),
    ];
    let set = read(&files).unwrap();
    let shop = set.named("shop").unwrap();
    assert_eq!((shop.policy.mode, shop.policy.grace), (Mode::Auto, SignedDuration::from_mins(3)));
    assert_eq!(shop.policy.matches.cluster, "shop");
    assert_eq!(set.named("b").unwrap().policy.mode, Mode::Observe, "another folder's defaults");
    let place = |path: &str| {
        let origin = set.provenance("shop").iter().find(|origin| origin.path == path).unwrap();
        format!("{}:{}", origin.file, origin.line)
    };
    assert_eq!(place("mode"), "p/team/_defaults.yaml:1");
    assert_eq!(place("grace"), "p/_defaults.yaml:1");
    assert_eq!(place("checks.errors.breach.SEV2"), "p/team/a.yaml:14");
    assert_eq!(place("min_coverage"), "<defaults>:4");
}

#[test]
fn a_mistake_in_a_folders_defaults_is_told_there_and_once() {
    let second = BASE.replace("policy: shop", "policy: b").replace("service: api", "service: b");
    let files = [
        file(
            "p/_defaults.yaml",
            "mode: atuo\ngraec: 1m\nchecks: { memory: { normal: \"< 1s\" } }\n",
        ),
        file("p/a.yaml", BASE),
        file("p/b.yaml", second),
    ];
    assert_eq!(
        told(read(&files)),
        "p/_defaults.yaml:1:7: `atuo` is not a mode; did you mean `auto`?\n\
         p/_defaults.yaml:2:1: unknown key `graec`; did you mean `grace`?\n\
         p/a.yaml:20:21: the limits of this check are times (`ms`, `s`), and `> 85%` is in percent\n\
         p/b.yaml:20:21: the limits of this check are times (`ms`, `s`), and `> 85%` is in percent\n"
    );
}

#[test]
fn a_bundle_gives_phases_and_the_checks_that_are_mentioned() {
    let head = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n";
    let cpu = "extends: ecs-web\nchecks: { cpu: { breach: { SEV2: \"> 80%\" } } }\n";
    let set = read_one(format!("{head}{cpu}")).unwrap();
    let policy = &set.named("shop").unwrap().policy;
    assert_eq!(policy.phases.len(), 3);
    assert_eq!(policy.horizon(), SignedDuration::from_hours(24));
    let measured: Vec<_> = policy.checks.iter().filter(|check| !check.is_of_tasks()).collect();
    assert_eq!(measured.len(), 1, "memory is offered, and not taken");
    assert!(matches!(&measured[0].measure, Measure::Gauge { unit: Unit::Ratio, .. }));
    assert_eq!(policy.checks.len(), 4, "the health of tasks needs no word");
    let phases = "phases: { first: { until: 5m, interval: 10s }, short-term: { until: 30m } }\n";
    let set = read_one(format!("{head}{phases}{cpu}")).unwrap();
    let names = set.named("shop").unwrap().policy.phases.iter().map(|phase| phase.name.clone());
    assert_eq!(names.collect::<Vec<_>>(), ["first", "immediate", "short-term", "long-term"]);
}

#[test]
fn a_query_of_its_own_keeps_the_leak_of_the_bundle_where_its_limits_are_of_the_same_kind() {
    let with = |memory: &str| {
        let head = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n";
        let text = format!("{head}extends: ecs-web\nchecks:\n  memory:\n    {memory}\n");
        let set = read_one(text).unwrap();
        let remarks: Vec<_> = set.remarks().iter().map(ToString::to_string).collect();
        let leak = set.named("shop").unwrap().policy.checks[0].leak;
        (leak.map(|leak| (leak.wall, leak.within)), remarks)
    };
    let kept = Some((1.0, SignedDuration::from_hours(24)));
    let own = "query: used / all\n    normal: \"< 70%\"\n    breach: { SEV2: \"> 85% for 5m\" }";
    assert_eq!(with(own), (kept, vec![]));
    let sooner = format!("{own}\n    leak: {{ within: 12h }}");
    assert_eq!(with(&sooner), (Some((1.0, SignedDuration::from_hours(12))), vec![]));
    let note = |wall: &str| {
        vec![format!(
            "policies/x.yaml:8:5: note: `memory` has a query of its own, and no `leak` any more: \
             the bundle's wall of `{wall}` does not go with its limits; give it a `leak: \
             {{ wall: ..., within: 24h }}` in the unit of its limits"
        )]
    };
    let bytes = "query: used\n    breach: { SEV2: \"> 2 GiB\" }";
    assert_eq!(with(bytes), (None, note("100%")));
    let free = "query: free / all\n    breach: { SEV2: \"< 10%\" }";
    assert_eq!(with(free), (None, note("100%")));
    let walled = format!("{bytes}\n    leak: {{ wall: 3 GiB, within: 6h }}");
    let wall = 3.0 * 1024.0 * 1024.0 * 1024.0;
    assert_eq!(with(&walled), (Some((wall, SignedDuration::from_hours(6))), vec![]));
}

#[test]
fn what_shows_the_same_for_every_service_of_a_pattern_is_warned_of() {
    let with = |service: &str, labels: &str, query: &str| {
        let text = BASE
            .replace("service: api }", &format!("service: \"{service}\" }}"))
            .replace("phases:\n", &format!("{labels}phases:\n"))
            .replace("max(memory_ratio{service=\"${service}\"})", &format!("'{query}'"));
        let set = read_one(text).unwrap();
        set.remarks().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let label = "labels: { service: service }\n";
    let own = "max(x{service=\"${service}\"})";
    assert!(with("shop-*", label, own).is_empty());
    assert!(with("shop-api", "", "max(x)").is_empty(), "one service has its numbers to itself");
    assert!(with("shop-*", label, "max(x{version=\"${version}\"})").is_empty());
    let edge = "max(x{service=\"${service}\"} / on () y{service=\"edge\"})";
    assert!(with("shop-*", label, edge).is_empty());

    let bare = with("shop-*", "", own);
    assert_eq!(bare.len(), 3, "{bare:?}");
    assert_eq!(
        bare[0],
        "policies/x.yaml:11:23: warning: `errors` shows the same for every service of `shop-*`: \
         nothing narrows it to one; add `labels: { service: LABEL }`, or narrow it by \
         `service=\"${service}\"`"
    );
    let query = "policies/x.yaml:20:12: warning: `memory` ";
    for text in ["max(x)", "max(x{cluster=\"${cluster}\"})", "rate(x[${window}])"] {
        let words = format!(
            "{query}shows the same for every service of `shop-*`: nothing narrows it to one; \
             narrow it by `service=\"${{service}}\"`"
        );
        assert_eq!(with("shop-*", label, text), [words], "{text}");
    }
    for (text, matcher) in [
        ("max(x{service=\"shop-api\"})", "service=\"shop-api\""),
        ("max(x{service=~\"shop-.*\"})", "service=~\"shop-.*\""),
        ("max(x{job=\"shop-api\",version=\"${version}\"})", "job=\"shop-api\""),
    ] {
        let said = with("{shop-api,shop-web}", label, text);
        let asks = format!("{query}asks for `{matcher}`, whichever service of ");
        assert!(said.len() == 1 && said[0].starts_with(&asks), "{text}: {said:?}");
    }
    assert!(with("*", label, "max(x{job=\"a\"})")[0].contains("nothing narrows it"));
}

#[test]
fn after_is_replaced_as_a_whole() {
    let after = |text: &str| {
        let text = BASE.replace("phases:\n", &format!("actions: {{ after: {text} }}\nphases:\n"));
        read_one(text).unwrap().named("shop").unwrap().policy.actions.ask_after
    };
    assert_eq!(after("{ 2h: ask }"), Some(SignedDuration::from_hours(2)));
    assert_eq!(after("{}"), None);
}

#[test]
fn the_past_of_a_query_is_asked_for_with_the_window_of_its_samples() {
    let files = deployguard::policy_repo::collect(&["policies/taskflow".into()]).unwrap();
    let set = read(&files).unwrap();
    let policy = &set.named("taskflow-production").unwrap().policy;
    let (step, minute) = (SignedDuration::from_secs(15), SignedDuration::from_mins(1));
    let past = |name: &str| policy.check(name).unwrap().past_window(step);
    assert_eq!((past("cpu"), past("sentry errors")), (minute, minute * 5));
    assert_eq!(past("error rate"), step, "counters are differenced from sample to sample");
}

#[test]
fn an_expanded_policy_reads_as_the_same_policy() {
    let files = deployguard::policy_repo::collect(&["policies".into()]).unwrap();
    let set = read(&files).unwrap();
    assert_eq!(set.len(), 8);
    for written in set.iter() {
        let calendars = files.iter().filter(|file| {
            std::path::Path::new(&file.path).extension().is_some_and(|of| of == "ics")
        });
        let calendars = calendars.map(|one| file("policies/holidays.ics", one.bytes.clone()));
        let mut alone = vec![file("policies/x.yaml", written.text.clone())];
        alone.extend(calendars);
        let again = read(&alone).unwrap();
        let again = again.named(&written.policy.name).unwrap();
        assert_eq!(again.policy, written.policy);
        assert_eq!(again.digest, written.digest);
    }
}

#[test]
fn what_yaml_would_misread_is_quoted_when_expanded() {
    for name in [
        "a: b", "- x", "null", "'", "it's", "\"x\"", "#1", "a #b", "{x}", "&a", "1", "ü", "%x",
        "x:",
    ] {
        let quoted = format!("policy: '{}'", name.replace('\'', "''"));
        let set = read_one(BASE.replace("policy: shop", &quoted)).unwrap();
        let written = set.named(name).unwrap();
        let again = read_one(written.text.clone()).unwrap();
        assert_eq!(again.named(name).unwrap().policy, written.policy, "{name}");
    }
}

#[test]
fn two_policies_share_neither_name_nor_service() {
    let with = |name: &str, cluster: &str, service: &str| {
        BASE.replace("policy: shop", &format!("policy: {name}")).replace(
            "{ cluster: shop, service: api }",
            &format!("{{ cluster: '{cluster}', service: '{service}' }}"),
        )
    };
    let both = |second: String| {
        told(check(&[file("a.yaml", with("a", "shop", "web-*")), file("b.yaml", second)]))
    };
    assert_eq!(
        both(with("a", "other", "x")),
        "b.yaml:2:9: two policies are named `a`; the other is in a.yaml:2\n"
    );
    assert_eq!(
        both(with("b", "sh*", "*-front")),
        "b.yaml:4:35: `a` and `b` both guard services that `shop/web-*` and `sh*/*-front` match; \
         a service has one policy; the other is in a.yaml:4\n"
    );
    assert_eq!(both(with("b", "shop", "api-*")), "2 policies\n");
    assert_eq!(both(with("b", "shop2", "web-*")), "2 policies\n");
    let target = with("b", "shop", "web-1").replace("{ cluster", "{ target: eu, cluster");
    let other = with("a", "shop", "web-*").replace("{ cluster", "{ target: us, cluster");
    assert_eq!(told(check(&[file("a.yaml", other), file("b.yaml", target)])), "2 policies\n");
}

#[test]
fn policies_that_guard_one_service_are_all_found_while_the_guard_runs() {
    let second = BASE.replace("policy: shop", "policy: b").replace("service: api", "service: a*");
    let files = [file("a.yaml", BASE), file("b.yaml", second)];
    assert!(check(&files).is_err());
    let set = read(&files).unwrap();
    let Matches::Several(all) = set.matching(&key("shop", "api")) else { panic!("two guard it") };
    assert_eq!(all.len(), 2);
    assert!(matches!(set.matching(&key("shop", "admin")), Matches::One(_)));
    assert_eq!(set.overlaps().len(), 1);
}

#[test]
fn known_good_comes_after_short_term_or_else_the_second_phase_or_the_only_one() {
    let after = |phases: &str| {
        let text = BASE.replace(
            "  immediate: { until: 15m, interval: 15s }\n  short-term: { until: 1h, interval: 30s }\n",
            phases,
        );
        let set = read_one(text).unwrap();
        set.named("shop").unwrap().policy.rollback.known_good_after.clone()
    };
    let (a, b) = ("  a: { until: 5m, interval: 5s }\n", "  b: { until: 10m, interval: 5s }\n");
    let short = "  short-term: { until: 1h, interval: 30s }\n";
    assert_eq!(after(&format!("{a}{b}{short}")), "short-term");
    assert_eq!(after(&format!("{a}{b}")), "b");
    assert_eq!(after(a), "a");
}

#[test]
fn a_service_finds_its_policy_or_the_nearest_names() {
    let set = read_one(BASE.replace("service: api", "service: 'api-*'")).unwrap();
    assert!(matches!(set.matching(&key("shop", "api-1")), Matches::One(_)));
    assert!(matches!(set.matching(&key("shop", "web-1")), Matches::None));
    assert_eq!(set.nearest(&key("shpo", "api-1")), ["shop/api-*"]);
    assert!(set.nearest(&key("elsewhere", "thing")).is_empty());
}

#[test]
fn deployguard_is_never_meant_by_a_wildcard() {
    let with = |service: &str| {
        read_one(BASE.replace("service: api", &format!("service: '{service}'"))).unwrap()
    };
    let own = key("shop", "deployguard");
    assert!(matches!(with("*").matching(&own), Matches::None));
    assert!(matches!(with("deployguard*").matching(&own), Matches::None));
    assert!(matches!(with("deployguard").matching(&own), Matches::One(_)));
    assert!(matches!(with("*").matching(&key("shop", "deployguard-2")), Matches::One(_)));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = read_one(BASE).unwrap();
    let set = read_one(format!("\u{feff}{}", BASE.replace('\n', "\r\n"))).unwrap();
    assert_eq!(set.named("shop").unwrap().digest, plain.named("shop").unwrap().digest);
}

#[test]
fn what_is_no_text_is_refused_at_its_place() {
    let says = |bytes: Vec<u8>| told(read_one(bytes));
    let with = |tail: &[u8]| [b"version: 1\npolicy: ".as_slice(), tail].concat();
    assert_eq!(says(with(b"\xff\xfe")), "policies/x.yaml:2:9: the file is not UTF-8 text\n");
    assert_eq!(says(with(b"a\0b")), "policies/x.yaml:2:10: a control character (U+0000)\n");
    let large = with(&vec![b'a'; 2_000_000]);
    assert_eq!(says(large), "policies/x.yaml:1:1: the file is larger than 256 KiB\n");
    for deep in
        ["- ".repeat(100_000), "[".repeat(200_000), "{a: ".repeat(50_000), "? ".repeat(90_000)]
    {
        let told = says(format!("x: {deep}").into_bytes());
        assert!(told.starts_with("policies/x.yaml:1:") && told.lines().count() == 1, "{told:.200}");
    }
    let mappings = format!("x: {}1{}", "{a: ".repeat(20), "}".repeat(20));
    assert_eq!(says(mappings.into_bytes()), "policies/x.yaml:1:64: nested more than 16 deep\n");
    let stairs: String = (0..600).flat_map(|n| [" ".repeat(n), "a:\n".to_owned()]).collect();
    assert!(says(stairs.into_bytes()).contains("columns"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_the_reader_panic(
        at in 0..BASE.len(),
        take in 0..40_usize,
        put in "[ \\-?:,\\[\\]{}#&*!|>'\"%@`a1\n\t~$\\\\]{0,12}",
    ) {
        let end = (at + take).min(BASE.len());
        let text = format!("{}{put}{}", &BASE[..at], &BASE[end..]);
        if let Err(mistakes) = read_one(text) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                prop_assert!(mistake.line > 0 && mistake.column > 0, "{mistake}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}") {
        let _ = read_one(text);
    }
}
