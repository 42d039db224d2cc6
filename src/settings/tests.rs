//! What the settings take and refuse, and in which words.

use super::*;

pub fn read(text: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deployguard.yaml");
    std::fs::write(&path, text).unwrap();
    Settings::read(&path).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_digest_names_a_channel_and_a_time_that_comes_again() {
    let with =
        |digest: &str| read(&format!("slack: {{ token: {{ env: PATH }} }}\ndigest: {digest}\n"));
    let settings = with("{ slack: C0123ABC, every: Mon 09:00 Europe/Berlin }").unwrap();
    assert_eq!(settings.digest.unwrap().every.to_string(), "Mon 09:00 Europe/Berlin");
    let wrong = with("{ slack: C0123ABC, every: sometimes }").unwrap_err();
    assert!(wrong.contains("`sometimes` is not such as"), "{wrong}");
    let wrong = with("{ slack: '#ops', every: daily 09:00 UTC }").unwrap_err();
    assert!(wrong.contains("a channel's id"), "{wrong}");
}

const LEAST: &str = "prometheus: { url: 'http://127.0.0.1:9090' }\n";

#[test]
fn a_team_with_nothing_but_cloudwatch_names_no_prometheus() {
    let settings = read("aws: { region: eu-west-1 }\n").unwrap();
    assert!(settings.prometheus.is_none());
}

#[test]
fn the_least_settings_name_prometheus_and_get_every_default() {
    let settings = read(LEAST).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.discover.ecs.every.0, SignedDuration::from_secs(15));
    assert!(settings.store.to_string().ends_with("/deployguard.db"), "{}", settings.store);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let wrong = read(&format!("{LEAST}lissen: 127.0.0.1:1\n")).unwrap_err();
    assert!(wrong.contains("unknown field `lissen`") && wrong.contains("line 2"), "{wrong}");
    let wrong = read(&format!("{LEAST}discover: {{ ecs: {{ every: soon }} }}\n")).unwrap_err();
    assert!(wrong.contains("`soon` is no length of time"), "{wrong}");
}

#[test]
fn what_is_no_queue_and_no_topic_is_refused_before_anything_is_asked_of_it() {
    let of = |discover: &str| read(&format!("{LEAST}discover: {{ {discover} }}\n"));
    let queue = "sqs: { queue: 'https://sqs.eu-west-1.amazonaws.com/123456789012/events' }";
    assert!(of(queue).unwrap().discover.sqs.is_some());
    let topic = "sns: { topics: ['arn:aws:sns:eu-west-1:123456789012:events'] }";
    assert!(of(topic).unwrap().discover.sns.is_some());
    for wrong in ["events", "arn:aws:sqs:eu-west-1:123456789012:events", "https://sqs/"] {
        let told = of(&format!("sqs: {{ queue: '{wrong}' }}")).unwrap_err();
        assert!(told.contains("discover.sqs.queue"), "{told}");
    }
    let told = of("sns: { topics: [events] }").unwrap_err();
    assert!(told.contains("`events` is no topic"), "{told}");
    assert_eq!(of("ecs: { every: 1m }").unwrap().discover.ecs.clusters, None);
}

#[test]
fn a_source_that_shows_samples_late_is_given_its_time_within_bounds() {
    let of = |offset: &str| {
        let url = "url: 'http://127.0.0.1:9090'";
        read(&format!("prometheus: {{ {url}, query_offset: {offset} }}\n"))
    };
    assert_eq!(read(LEAST).unwrap().prometheus.unwrap().query_offset, None);
    for (written, seconds) in [("0s", 0), ("90s", 90), ("5m", 300)] {
        let offset = of(written).unwrap().prometheus.unwrap().query_offset;
        assert_eq!(offset, Some(SignedDuration::from_secs(seconds)), "{written}");
    }
    for wrong in ["6m", "-1s", "soon"] {
        assert!(of(wrong).unwrap_err().contains("from `0s` to `5m`"), "{wrong}");
    }
}

#[test]
fn the_slack_token_never_travels_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "xoxb-from-a-file").unwrap();
    let slack = |url: &str| {
        let token = file.display();
        read(&format!("{LEAST}slack: {{ token: {{ file: {token} }}, api_url: '{url}' }}\n"))
    };
    for url in ["http://slack.com/api/", "http://127.0.0.1.evil.example/api/"] {
        assert!(slack(url).unwrap_err().contains("in clear"), "{url}");
    }
    assert!(slack("http://127.0.0.1:8081/api").is_ok());
    assert!(slack("https://slack.com/api/").is_ok());
}

#[test]
fn a_secret_is_never_taken_as_text_and_never_shown() {
    let wrong = read(&format!("{LEAST}slack: {{ token: xoxb-1 }}\n")).unwrap_err();
    assert!(wrong.contains("never as text"), "{wrong}");
    assert!(!wrong.contains("xoxb-1"), "{wrong}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "xoxb-from-a-file\n").unwrap();
    let text = format!("{LEAST}slack: {{ token: {{ file: {} }} }}\n", file.display());
    let settings = read(&text).unwrap();
    assert_eq!(settings.slack.as_ref().unwrap().token.expose(), "xoxb-from-a-file");
    assert!(!format!("{settings:?}").contains("xoxb"), "{settings:?}");
}
