//! What `deployguard import cloudwatch-alarms` makes of alarms: the files in `import/`, with what
//! it prints beside them. `UPDATE_EXPECTED=1` writes those texts anew: read them.

use std::path::PathBuf;
use std::process::ExitCode;

use deployguard::cli::import::{Import, Kind, run};
use deployguard::policy::{Frame, ImportFrom, UNSAID, import};
use proptest::prelude::*;

use super::*;

const ALARMS: &str = include_str!("import/alarms.json");
const STACK: &str = include_str!("import/stack.yaml");

fn imported(path: &str, matches: Option<&str>) -> (bool, String, String) {
    let wanted = Import {
        kind: Kind::CloudwatchAlarms,
        file: PathBuf::from(path),
        policy: None,
        environment: "production".into(),
        matches: matches.map(str::to_owned),
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&wanted, &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code == ExitCode::SUCCESS, text(out), text(err))
}

fn drafted(text: &str, service: &str) -> Result<String, String> {
    let frame = Frame {
        policy: None,
        environment: "production".into(),
        cluster: if service == UNSAID { UNSAID } else { "*" }.into(),
        service: service.into(),
    };
    import(ImportFrom::CloudWatchAlarms, &file("alarms.json", text), &frame)
        .map(|drafted| drafted.text)
        .map_err(|mistake| mistake.to_string())
}

/// One alarm on the CPU of a service, with these members changed.
fn alarm(name: &str, service: &str, members: &str) -> String {
    format!(
        r#"{{ "AlarmName": "{name}", "Namespace": "AWS/ECS", "MetricName": "CPUUtilization",
        "Statistic": "Maximum", "Dimensions": [{{ "Name": "ClusterName", "Value": "shop" }},
        {{ "Name": "ServiceName", "Value": "{service}" }}], "Period": 60, "EvaluationPeriods": 3,
        "AlarmActions": ["arn:aws:sns:us-east-1:1:ops"], "Threshold": 80,
        "ComparisonOperator": "GreaterThanThreshold"{members} }}"#
    )
}

fn file_of(alarms: &[String]) -> String {
    format!(r#"{{ "MetricAlarms": [{}] }}"#, alarms.join(", "))
}

#[test]
fn more_alarms_than_a_policy_holds_are_refused_at_once_with_what_to_do() {
    let one = |number: u32| {
        format!(
            r#"{{ "AlarmName": "queue-{number}", "MetricName": "NumberOfMessagesSent", "Namespace": "AWS/SQS",
            "Statistic": "Sum", "Dimensions": [{{ "Name": "QueueName", "Value": "q{number}" }}],
            "Period": 60, "EvaluationPeriods": 1, "Threshold": 100,
            "ComparisonOperator": "GreaterThanThreshold" }}"#
        )
    };
    let text = file_of(&(0..1_500).map(one).collect::<Vec<_>>());
    let frame = deployguard::policy::Frame {
        policy: None,
        environment: "production".into(),
        cluster: "c".into(),
        service: "s".into(),
    };
    let from = deployguard::policy::ImportFrom::CloudWatchAlarms;
    let refused = deployguard::policy::import(from, &file("alarms.json", text), &frame);
    let said = refused.unwrap_err().to_string();
    assert!(
        said.contains("1500 rules would have about") && said.contains("--alarm-name-prefix"),
        "{said}"
    );
}

#[test]
fn each_file_of_alarms_gives_the_policy_and_the_arguments_beside_it() {
    for (name, ending) in [("alarms", "json"), ("stack", "yaml")] {
        let (good, out, err) = imported(&format!("tests/policy/import/{name}.{ending}"), None);
        assert!(good, "{err}");
        let raw = told(check(&[file("draft.yaml", out.as_str())]));
        let unsaid = out.matches(UNSAID).count() - out.matches("as CHANGE-ME").count();
        assert_eq!(raw.matches("stands for a name that nobody gave").count(), unsaid, "{raw}");
        let dimensions = out.replace(&format!(": {UNSAID}\n"), ": '${labels.said}'\n");
        let set = check(&[file("draft.yaml", dimensions.replace(UNSAID, "shop"))]);
        assert_eq!(told(set), "1 policies\n", "{out}");
        let said = format!("{out}\n--- and on stderr\n{err}");
        let beside = format!("tests/policy/import/{name}.txt");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(&beside, &said).unwrap();
        }
        assert_eq!(said, std::fs::read_to_string(&beside).unwrap_or_default(), "{name}");
    }
}

#[test]
fn alarms_of_several_services_want_a_word_about_which() {
    let text = file_of(&[alarm("a", "api", ""), alarm("w", "web", "")]);
    let refused = drafted(&text, UNSAID).unwrap_err();
    assert!(refused.contains("about 2 services: shop/api, shop/web"), "{refused}");
    assert!(refused.contains("--match shop/api"), "{refused}");
    let one = drafted(&text, "web").unwrap();
    assert!(one.contains("it is about another service, `api`"), "{one}");
    assert_eq!(one.matches("ServiceName: '${service}'").count(), 1, "{one}");
    let both = drafted(&text, "*").unwrap();
    assert_eq!(both.matches("ServiceName: '${service}'").count(), 1, "{both}");
    assert!(both.contains("and w, line"), "{both}");
}

#[test]
fn severities_of_the_same_metric_become_one_check() {
    let page = r#", "Threshold": 95, "AlarmDescription": "sev1""#;
    let second = alarm("b", "api", "").replace(r#""Threshold": 80"#, r#""Was": 80"#);
    let second =
        second.replace(r#""GreaterThanThreshold""#, &format!(r#""GreaterThanThreshold"{page}"#));
    let out = drafted(&file_of(&[alarm("a", "api", ""), second]), UNSAID).unwrap();
    assert!(out.contains(r#"breach: { SEV1: "> 95% for 3m", SEV2: "> 80% for 3m" }"#), "{out}");
}

#[test]
fn an_odd_alarm_is_kept_with_its_reason_and_the_others_are_drafted() {
    let odd = alarm("odd", "api", "").replace("ClusterName", "ClustrName");
    let named = |name: &str| alarm(name, "api", "").replace("CPUUtilization", "MemoryUtilization");
    // Two are named as checks of the bundle, which measure something else.
    let others = [alarm("memory", "api", ""), named("task failures"), odd];
    let out = drafted(&file_of(&others), "api").unwrap();
    let (checks, kept) = out.split_once("# Not translated").unwrap();
    assert!(checks.contains("  memory 2:") && checks.contains("  task failures 2:"), "{out}");
    assert!(kept.contains("# odd, ") && kept.contains("did you mean `ClusterName`?"), "{out}");
    told(check(&[file("draft.yaml", out.as_str())]));
}

#[test]
fn the_alarms_own_unit_wins_over_what_is_guessed_by_the_end_of_a_name() {
    let of = |metric: &str, members: &str| {
        let alarm = alarm("slow", "api", members).replace("AWS/ECS", "AWS/RDS");
        let alarm = alarm.replace("CPUUtilization", metric);
        drafted(&file_of(&[alarm]), "api").unwrap()
    };
    let proxy = of("QueryResponseLatency", "");
    assert!(proxy.contains("unit: microseconds"), "{proxy}");
    let new = of("SomeNewUtilization", r#", "Unit": "Milliseconds""#);
    assert!(new.contains("unit: milliseconds"), "{new}");
    let sure = of("ReadLatency", r#", "Unit": "Milliseconds""#);
    assert!(sure.contains("unit: seconds"), "{sure}");
}

#[test]
fn the_alarms_of_a_whole_account_fit() {
    let alarms: Vec<String> = (0..1500).map(|n| alarm(&format!("a{n}"), "api", "")).collect();
    let text = file_of(&alarms);
    assert!(text.len() > 500_000, "{}", text.len());
    let out = drafted(&text, UNSAID).unwrap();
    assert_eq!(out.matches("cloudwatch:").count(), 1, "they all ask the same");
}

#[test]
fn what_holds_no_alarms_is_told() {
    let refused = |text| drafted(text, UNSAID).unwrap_err();
    let none = refused("{ \"Alarms\": [] }");
    assert!(
        none.starts_with("alarms.json:1:3: no alarms: there is neither `MetricAlarms`"),
        "{none}"
    );
    assert!(none.contains("describe-alarms"), "{none}");
    assert!(refused("{").starts_with("alarms.json:"));
    let (good, out, _) = imported("tests/policy/import/taskflow.yaml", None);
    assert!(!good && out.is_empty());
    let empty = drafted("{ \"MetricAlarms\": [] }", UNSAID).unwrap();
    assert!(empty.lines().all(|line| line.is_empty() || line.starts_with('#')), "{empty}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn no_file_of_alarms_makes_the_import_panic(
        which in 0..2_usize,
        at in 0..16_000_usize,
        take in 0..30_usize,
        put in "[ \\-?:,\\[\\]{}#&*!|>'\"%@`a1\n<=()$\\\\é]{0,8}",
    ) {
        let text = [ALARMS, STACK][which];
        let at = at % text.len();
        let end = (at + take).min(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(end));
        let _ = drafted(&format!("{}{put}{}", &text[..at], &text[end..]), UNSAID);
    }
}
