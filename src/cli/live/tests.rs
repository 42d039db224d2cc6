//! The command against a server of its own.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Answers each path as it is told until the test ends; the port.
fn served() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 2048];
            let length = stream.read(&mut asked).unwrap();
            let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
            let (status, body) = match asked.split(' ').nth(1).unwrap_or_default() {
                "/health" => (
                    "200 OK",
                    r#"{"status":"up","version":"7","checks":{"db":"up","stripe":"up"}}"#,
                ),
                "/sick" => ("503 Unavailable", r#"{"status":"down","checks":{"db":"down"}}"#),
                "/away" => ("503 Unavailable", "away"),
                "/plain" => ("200 OK", "OK"),
                _ => ("404 Not Found", "<html></html>"),
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

/// What is said of a policy with these checks, and whether it is a success.
fn said(checks: &str, settings: Option<&str>, labels: &[&str]) -> (ExitCode, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = served();
    let folder = tempfile::tempdir().unwrap();
    let policy = format!(
        "version: 1\npolicy: shop\nenvironment: production\n\
         match: {{ cluster: shop, service: api }}\n\
         phases: {{ all: {{ until: 1h, interval: 1m }} }}\nchecks:\n{checks}"
    );
    let file = folder.path().join("shop.yaml");
    std::fs::write(&file, policy.replace("PORT", &port.to_string())).unwrap();
    let config = settings.map(|settings| {
        let file = folder.path().join("deployguard.yaml");
        let all = format!("outbound: {{ allow: ['http://127.0.0.1:{port}'] }}\n{settings}");
        std::fs::write(&file, all).unwrap();
        file
    });
    let labels = labels.iter().map(|text| label(text).unwrap()).collect();
    let live = Live { wanted: true, config, labels, ..Live::default() };
    let mut out = Vec::new();
    let code = match run(&[file], &live, &mut out) {
        Ok(code) => code,
        Err(error) => {
            out.extend(format!("{error:#}").bytes());
            ExitCode::FAILURE
        }
    };
    (code, String::from_utf8(out).unwrap())
}

fn is(code: ExitCode, wanted: u8) -> bool {
    format!("{code:?}") == format!("{:?}", ExitCode::from(wanted))
}

const BREACH: &str = "breach: { SEV1: 3 failures }";

#[test]
fn an_endpoint_that_is_down_is_doubted_with_the_reason() {
    let checks = format!(
        "  good: {{ http: 'http://127.0.0.1:PORT/health', {BREACH} }}\n  \
         typo: {{ http: 'http://127.0.0.1:PORT/healht', {BREACH} }}\n  \
         sick: {{ http: 'http://127.0.0.1:PORT/sick', {BREACH} }}\n"
    );
    let (code, said) = said(&checks, Some(""), &[]);
    assert!(is(code, 0), "a doubt fails nothing\n{said}");
    for words in [
        "    ok       good  0 down in 3 series; SEV1 3 failures\n",
        "    doubt    typo  1 down in 1 series; SEV1 3 failures\n",
        "it is down now (HTTP 404): it judges nothing until it has been up; is the path right?\n",
        "    doubt    sick  ",
        "down now: db (HTTP 503): it judges nothing until it has been up\n",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

#[test]
fn names_that_the_answer_does_not_have_are_doubted_with_those_that_were_meant() {
    let checks = format!(
        "  typo: {{ http: {{ url: 'http://127.0.0.1:PORT/health', depends_on: [strip], \
         version: $.versio }}, {BREACH} }}\n  \
         right: {{ http: {{ url: 'http://127.0.0.1:PORT/health', depends_on: [stripe], \
         version: $.version }}, {BREACH} }}\n  \
         plain: {{ http: {{ url: 'http://127.0.0.1:PORT/plain', depends_on: [stripe] }}, \
         {BREACH} }}\n"
    );
    let (code, said) = said(&checks, Some(""), &[]);
    assert!(is(code, 0), "{said}");
    for words in [
        "    doubt    typo   ",
        "`depends_on` names `strip`, and the answer has no such check: it excuses nothing; did \
         you mean `stripe`?\n",
        "the answer has no text or number at `$.versio`; did you mean `$.version`?\n",
        "    ok       right  ",
        "    doubt    plain  ",
        "the answer is no JSON mapping: `depends_on` and `version` find nothing in it\n",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

#[test]
fn a_check_whose_source_is_not_reached_is_refused_and_the_others_are_shown() {
    let checks = format!(
        "  away: {{ json: {{ url: 'http://127.0.0.1:PORT/away', path: $.n }}, \
         breach: {{ SEV2: '> 1' }} }}\n  \
         good: {{ http: 'http://127.0.0.1:PORT/health', {BREACH} }}\n"
    );
    let (code, said) = said(&checks, Some(""), &[]);
    assert!(is(code, 3), "{code:?} {said}");
    for words in ["    refused  away", "not reached: ", "    ok       good  0 down"] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

#[test]
fn a_heartbeat_is_said_to_be_skipped_and_without_settings_what_to_give() {
    let checks = format!(
        "  sync: {{ heartbeat: {{ job: sync, schedule: '0 * * * *', late: 5m }}, \
         breach: {{ SEV3: 1 failure }} }}\n  \
         good: {{ http: 'http://127.0.0.1:PORT/health', {BREACH} }}\n"
    );
    let (code, said) = said(&checks, None, &[]);
    assert!(is(code, 1), "{said}");
    for words in [
        "    skipped  sync  not asked: the job tells the daemon",
        "    refused  good",
        "give --config FILE: `outbound` in the settings says what may be asked\n",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
}

#[test]
fn the_labels_of_a_command_are_asked_for_and_a_command_that_is_not_there_is_told() {
    let checks = "  smoke: { probe: { command: smoke }, breach: { SEV1: 2 failures } }\n";
    let settings = "commands: { smoke: { run: [no-such-program, '${labels.x}'], \
                    env: { T: { env: NOT_THERE }, Y: '${labels.y}' } } }\n";
    let (_, told) = said(checks, Some(settings), &["x=1"]);
    let words = "its command `smoke` can't be run for a deployment that is announced without the \
                 label `y`\n";
    assert!(told.contains(words), "{told}");
    let (_, told) = said(checks, Some(settings), &["z=1"]);
    assert!(told.contains("asks for the label `z`; asked for: x, y"), "{told}");
    let (_, told) = said(checks, Some("commands: { smoky: { run: [true] } }\n"), &[]);
    assert!(told.contains("no command `smoke`; did you mean `smoky`?"), "{told}");
}
