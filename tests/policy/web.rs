//! Health endpoints and JSON APIs in policies: what they mean, and what is asked.

use deployguard::model::{Ask, Edge, Form, Piece, Shape};
use deployguard::policy::{Check, Counted, Measure, Policy, Stated, Unit, Vars};
use jiff::SignedDuration;

use super::*;

fn shop(checks: &str) -> Result<Policy, String> {
    let head = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n\
                phases: { all: { until: 1h, interval: 15s } }\n";
    match read_one(format!("{head}checks:\n{checks}")) {
        Ok(set) => Ok(Policy::clone(&set.named("shop").unwrap().policy)),
        Err(mistakes) => Err(told(Err(mistakes))),
    }
}

fn check(text: &str) -> (Policy, Check) {
    let policy = shop(&format!("  it: {text}\n")).unwrap();
    let check = policy.check("it").unwrap().clone();
    (policy, check)
}

fn asks(policy: &Policy, check: &Check, window: SignedDuration) -> (Shape, Vec<Ask>) {
    let question = policy.question(check, &Vars::default(), window, None, None);
    (question.shape, question.asks)
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

#[test]
fn a_health_endpoint_is_written_as_its_url_or_with_more_about_it() {
    let (_, short) =
        check("{ http: https://www.shopflow.io/api/health, breach: { SEV1: 3 failures } }");
    let (policy, long) = check(
        "{ http: { url: https://www.shopflow.io/api/health, timeout: 10s, expect: [200, 204], \
         depends_on: [gemini_api], version: $.version, \
         headers: { Authorization: 'Bearer ${secrets.health}' } }, breach: { SEV1: 3 failures } }",
    );
    let Measure::Status { of: Stated::Http(health) } = &short.measure else { panic!("{short:?}") };
    assert_eq!(health.web.timeout, SignedDuration::from_secs(5));
    assert!(health.expect.is_empty() && health.depends_on.is_empty());
    let Measure::Status { of: Stated::Http(health) } = &long.measure else { panic!("{long:?}") };
    assert_eq!(health.expect, [200, 204].into());
    assert_eq!(health.web.secrets().collect::<Vec<_>>(), ["health"]);
    assert!(short.is_of_health() && !short.has_past() && !short.is_of_prometheus());
    let (shape, asks) = asks(&policy, &long, MINUTE);
    let [Ask::Health(ask)] = &asks[..] else { panic!("{asks:?}") };
    assert_eq!(shape, Shape::Gauge);
    let header = &ask.web.headers["Authorization"].0;
    assert_eq!(*header, [Piece::Text("Bearer ".into()), Piece::Secret("health".into())]);
    // Where it is shown the secret has its name alone.
    assert_eq!(asks[0].to_string(), "GET https://www.shopflow.io/api/health");
}

#[test]
fn a_json_value_looks_back_over_the_same_window_in_every_phase_and_may_have_a_past() {
    let url = "https://sentry.io/api/0/count?since=${since}";
    let (policy, since) = check(&format!(
        "{{ json: {{ url: '{url}', path: $.count }}, breach: {{ SEV2: '> 10' }} }}"
    ));
    assert_eq!(since.window, Some(MINUTE * 5));
    assert!(since.has_past() && since.looks_back() && since.unit() == Unit::Number);
    let (_, asked) = asks(&policy, &since, MINUTE * 5);
    let [Ask::Json(ask)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(ask.web.url.0.last(), Some(&Piece::Time(Edge::Since, Form::Rfc3339)));
    let (_, now) =
        check("{ json: { url: https://a.example, path: $.n }, breach: { SEV2: '> 10ms' } }");
    assert!(!now.has_past() && !now.looks_back() && now.window.is_none());
    assert_eq!(now.unit(), Unit::Seconds);
    // A sample of the past looks back as far as a sample does.
    assert_eq!(since.past_window(SignedDuration::from_secs(15)), MINUTE * 5);
    // However long a stretch is, few requests are made for it.
    let past = since.past(jiff::Timestamp::UNIX_EPOCH, MINUTE, 120, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((past.count, past.step), (40, MINUTE * 3));
}

#[test]
fn a_ratio_may_count_both_its_sides_in_json() {
    let of = |name: &str| {
        format!(
            "{{ json: {{ url: 'https://es.example/{name}/_count', path: $.count, \
             body: '{{\"since\":${{since_ms}},\"app\":\"${{service}}\"}}' }} }}"
        )
    };
    let (policy, check) = check(&format!(
        "{{ ratio: {{ bad: {}, total: {} }}, breach: {{ SEV2: '> 1%' }} }}",
        of("errors"),
        of("all")
    ));
    let Measure::Ratio { of: Counted::Json(_), total: Counted::Json(_), .. } = &check.measure
    else {
        panic!("{check:?}")
    };
    let (shape, asks) = asks(&policy, &check, MINUTE);
    assert_eq!((shape, asks.len()), (Shape::BadOfTotal, 2));
    assert_eq!(asks[0].to_string(), "POST https://es.example/errors/_count $.count");
}

#[test]
fn a_policy_that_is_written_out_reads_as_the_same_policy() {
    let text = "version: 1\npolicy: shop\nenvironment: e\nmatch: { cluster: c, service: s }\n\
                phases: { all: { until: 1h, interval: 15s } }\nchecks:\n  health:\n    \
                http: { url: 'https://a.example/${service}', expect: [200], depends_on: [x y] }\n    \
                breach: { SEV1: 3 failures }\n  issues:\n    json: { url: 'https://a.example/?s=${since}', \
                path: \"$['a b'][*]\", count: true, method: POST, body: '{\"a\":\"${service}\"}', \
                headers: { DD-API-KEY: '${secrets.dd}' } }\n    breach: { SEV2: '> 10' }\n";
    let first = read_one(text).unwrap();
    let written = first.named("shop").unwrap();
    let again = read_one(written.text.clone()).unwrap();
    assert_eq!(again.named("shop").unwrap().policy, written.policy);
}

#[test]
fn an_address_and_a_body_may_be_longer_than_a_name_and_a_body_may_have_lines() {
    let filters = "x".repeat(500);
    let json = |url: &str, body: &str| {
        shop(&format!(
            "  it:\n    json:\n      url: \"{url}\"\n      path: $.count\n      body: |\n{body}\
             \n    breach: {{ SEV2: '> 10' }}\n"
        ))
    };
    let body = format!("        {{ \"query\":\n          \"{filters}\" }}\n");
    let url = format!("https://es.example/_count?since=${{since}}&q={filters}");
    assert!(json(&url, &body).is_ok(), "{:?}", json(&url, &body));
    let endless = format!("https://es.example/?q={}", "x".repeat(4_096));
    for (url, wrong) in [
        (endless.as_str(), "a text has at most 4096 characters"),
        (r"https://es.example/\na", "a URL has no line breaks"),
    ] {
        let told = json(url, &body).unwrap_err();
        assert!(told.contains(wrong), "{told}");
    }
}

const PAGE: &str = "source: { scrape: ['https://${service}.shop.example/metrics'], every: 10s }\n";

#[test]
fn counters_and_values_are_read_off_the_pages_that_the_policy_names() {
    let checks = "  errors: { ratio: { bad: { counter: 'r{s=\"500\"}' }, total: { counter: r } }, breach: { SEV2: '> 1%' } }\n  \
                  slow: { latency: { counter: d_bucket, quantile: 0.95 }, breach: { SEV2: '> 1s' } }\n  \
                  depth: { query: 'depth{queue=\"${service}\"}', breach: { SEV2: '> 10' } }\n  \
                  asked: { query: 'max(depth)', source: prometheus, breach: { SEV2: '> 10' } }\n  \
                  own: { query: depth, source: { scrape: 'http://10.0.0.1:9100/metrics', each_address: true }, breach: { SEV2: '> 10' } }\n  \
                  health: { http: 'https://shop.example/health', breach: { SEV1: 3 failures } }\n";
    let text = format!(
        "version: 1\npolicy: shop\nenvironment: e\nmatch: {{ cluster: c, service: s }}\n\
         labels: {{ service: app }}\n{PAGE}phases: {{ all: {{ until: 1h, interval: 15s }} }}\n\
         checks:\n{checks}"
    );
    let policy = match read_one(text) {
        Ok(set) => Policy::clone(&set.named("shop").unwrap().policy),
        Err(mistakes) => panic!("{}", told(Err(mistakes))),
    };
    let vars = Vars::default().of_service("api");
    let asked = |name: &str| {
        let check = policy.check(name).unwrap();
        let question = policy.question(check, &vars, MINUTE, None, None);
        let shown: Vec<String> = question.asks.iter().map(ToString::to_string).collect();
        let counts: Vec<bool> = question.asks.iter().map(Ask::is_counter).collect();
        (check.clone(), shown, counts)
    };
    let page = "https://api.shop.example/metrics";
    let (errors, shown, counts) = asked("errors");
    let both = ["r{app=\"api\",s=\"500\"}", "r{app=\"api\"}"];
    assert_eq!(shown, both.map(|selector| format!("{selector} on {page}")));
    assert_eq!(counts, [true, true]);
    assert!(errors.is_of_pages() && errors.has_past() && !errors.is_of_prometheus());
    assert!(!errors.is_of_web() && errors.sent_out().len() == 1);
    assert_eq!(errors.from.as_ref().unwrap().every, SignedDuration::from_secs(10));
    assert_eq!(asked("slow").1, [format!("d_bucket{{app=\"api\"}} on {page}")]);
    let (_, shown, counts) = asked("depth");
    assert_eq!((shown, counts), (vec![format!("depth{{queue=\"api\"}} on {page}")], vec![false]));
    let (prometheus, shown, _) = asked("asked");
    assert!(prometheus.is_of_prometheus() && shown == ["max(depth)"]);
    let (own, shown, _) = asked("own");
    assert_eq!(shown, ["depth on http://10.0.0.1:9100/metrics"]);
    assert!(own.from.unwrap().each_address);
    assert!(asked("health").0.is_of_health() && !asked("health").0.is_of_pages());
}

#[test]
fn a_page_of_each_service_shows_no_others_numbers() {
    let of = |url: &str| {
        let text = format!(
            "version: 1\npolicy: shop\nenvironment: e\nmatch: {{ cluster: c, service: 'shop-*' }}\n\
             source: {{ scrape: '{url}' }}\nphases: {{ all: {{ until: 1h, interval: 15s }} }}\n\
             checks:\n  depth: {{ query: depth, breach: {{ SEV2: '> 10' }} }}\n"
        );
        let set = read_one(text).unwrap();
        set.remarks().iter().filter(|one| one.to_string().contains("shows the same")).count()
    };
    assert_eq!(of("https://${service}.shop.example/metrics"), 0);
    assert_eq!(of("https://www.shop.example/metrics"), 1);
}
