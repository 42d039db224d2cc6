use std::time::Duration;

use deployguard::model::Turn;
use deployguard::notify::email::render::letter;
use deployguard::notify::email::{Email, Security};
use deployguard::notify::{Call, DeliverError, TEST};
use lettre::message::Mailbox;

use crate::call::{call, hostile, turns};
use crate::world::called::smtp::{MailServer, PASSWORD, SmtpFault, USER};

fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap()
}

fn to() -> Vec<Mailbox> {
    vec![mailbox("Boss <boss@example.com>"), mailbox("deputy@example.com")]
}

fn client(server: &MailServer, password: &str) -> Email {
    let address = server.address();
    let login = Some((USER.to_owned(), password.to_owned()));
    let from = mailbox("deployguard <deployguard@guard.example>");
    let host = address.ip().to_string();
    let email = Email::connect((&host, address.port()), Security::Clear, login, from);
    email.unwrap().with_time_out(Duration::from_millis(500))
}

async fn pair() -> (MailServer, Email) {
    let server = MailServer::start().await.unwrap();
    let email = client(&server, PASSWORD);
    (server, email)
}

#[tokio::test]
async fn the_letters_of_an_incident_are_one_thread_that_no_machine_answers() {
    let (server, email) = pair().await;
    for (number, turn) in (1..).zip(turns()) {
        email.call(&to(), &call(number, turn)).await.unwrap();
    }
    let letters = server.letters();
    assert_eq!(letters.len(), 7);
    let thread = letters[0].header("References").to_owned();
    let mut ids = std::collections::BTreeSet::new();
    for letter in &letters {
        assert_eq!(letter.from, "deployguard@guard.example");
        assert_eq!(letter.to, ["boss@example.com", "deputy@example.com"]);
        assert_eq!(letter.header("References"), thread);
        assert_eq!(letter.header("In-Reply-To"), thread);
        assert_eq!(letter.header("Auto-Submitted"), "auto-generated");
        assert!(letter.header("Content-Type").starts_with("text/plain"), "{letter:?}");
        let id = letter.header("Message-ID");
        assert!(id.starts_with('<') && id.ends_with("@guard.example>"), "{id}");
        ids.insert(id.to_owned());
    }
    assert_eq!(ids.len(), 7, "each has an id of its own");
    assert_eq!(
        letters[2].header("Subject"),
        "[SEV1] shopflow-api v1.5.0 in production: acknowledged by dana"
    );
    for said in ["SEV1: deployguard is rolling back", "Status: Identified", "- error rate 12.4%"] {
        assert!(letters[0].body.contains(said), "{said}: {}", letters[0].body);
    }
}

#[test]
fn a_letter_that_is_repeated_is_the_same_to_the_last_byte() {
    let mut call = call(1, Turn::Opened);
    let from = mailbox("deployguard@guard.example");
    let one = letter(&call, &from, &to(), None).unwrap().formatted();
    call.now += jiff::SignedDuration::from_mins(5);
    assert_eq!(one, letter(&call, &from, &to(), None).unwrap().formatted());
}

/// The body of a letter, in one line.
fn body(call: &Call, home: Option<&str>) -> String {
    let from = mailbox("deployguard@guard.example");
    let letter = letter(call, &from, &to(), home).unwrap().formatted();
    let text = String::from_utf8(letter).unwrap().replace("=\r\n", "").replace("=3D", "=");
    text.split_once("\r\n\r\n").unwrap().1.replace("\r\n", " ")
}

#[test]
fn a_letter_ends_with_what_is_left_to_its_reader() {
    let ends = [
        "with `deployguard ack shopflow-api-1a2b3c4d`: nobody else is called then. ",
        "with `deployguard ack shopflow-api-1a2b3c4d`: nobody else is called then. ",
        "dana sees to it, and nobody else is called. How it stands: `deployguard watches \
         shopflow-api-1a2b3c4d`. ",
        "A person has to act: see the deployment's thread, or `deployguard watches \
         shopflow-api-1a2b3c4d`. ",
        "The numbers are watched until they are well again: `deployguard watches \
         shopflow-api-1a2b3c4d`. ",
        "It is over: there is nothing to do. What happened: `deployguard report \
         shopflow-api-1a2b3c4d`. ",
    ];
    for (turn, end) in turns().into_iter().zip(ends) {
        let said = body(&call(1, turn.clone()), None);
        assert!(said.ends_with(end), "{turn:?}: {said}");
    }
    let mut test = call(1, Turn::Resolved);
    TEST.clone_into(&mut test.signal.deployment.id);
    assert!(body(&test, None).ends_with("This is a test: there is nothing to do. "));
}

#[test]
fn a_letter_links_to_the_release_and_to_the_watch_where_the_daemon_says_where_it_is() {
    let call = call(1, Turn::Opened);
    let release = "Link: https://ci.example/runs/18231?a=1&b=2 ";
    let watch = "Watch: https://guard.example/api/v1/watches/shopflow-api-1a2b3c4d ";
    let there = body(&call, Some("https://guard.example/"));
    assert!(there.contains(release) && there.contains(watch), "{there}");
    assert!(!body(&call, None).contains("Watch: "));
}

#[tokio::test]
async fn no_words_get_into_the_headers() {
    let (server, email) = pair().await;
    email.call(&to(), &hostile(Turn::Opened)).await.unwrap();
    let letter = server.letters().remove(0);
    let mut names: Vec<_> =
        letter.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    let known = [
        "auto-submitted",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "in-reply-to",
        "message-id",
        "references",
        "subject",
        "to",
    ];
    assert_eq!(names, known, "{:?}", letter.headers);
    assert_eq!(letter.to, ["boss@example.com", "deputy@example.com"]);
    assert!(letter.body.is_ascii());
    assert!(letter.header("Subject").len() < 1500, "{}", letter.header("Subject"));
}

#[tokio::test]
async fn where_one_address_is_refused_the_others_get_it() {
    let (server, email) = pair().await;
    // The first of the two, together and then by itself.
    server.fault("RCPT", &SmtpFault::Reply(550), 2);
    email.call(&to(), &call(1, Turn::Opened)).await.unwrap();
    let letters = server.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].to, ["deputy@example.com"]);
    server.fault("RCPT", &SmtpFault::Reply(550), 3);
    let error = email.call(&to(), &call(1, Turn::Opened)).await.unwrap_err();
    assert!(matches!(error, DeliverError::Permanent(_)), "{error:?}");
}

#[tokio::test]
async fn a_password_that_is_refused_waits_for_people_and_is_never_shown() {
    let server = MailServer::start().await.unwrap();
    let email = client(&server, "wrong-password");
    let error = email.call(&to(), &call(1, Turn::Opened)).await.unwrap_err();
    let DeliverError::Transient { reason, retry_after } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_mins(5)));
    assert!(reason.contains("535") && reason.contains("user and password"), "{reason}");
    assert!(!format!("{email:?} {error:?}").contains("wrong-password"));
    assert!(server.letters().is_empty());
}

#[tokio::test]
async fn where_starttls_is_wanted_and_not_offered_nothing_is_sent() {
    let server = MailServer::start().await.unwrap();
    let address = server.address();
    let login = Some((USER.to_owned(), PASSWORD.to_owned()));
    let from = mailbox("deployguard@guard.example");
    let email =
        Email::connect(("127.0.0.1", address.port()), Security::StartTls, login, from).unwrap();
    let error = email.call(&to(), &call(1, Turn::Opened)).await.unwrap_err();
    let DeliverError::Transient { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_mins(5)), "people mend it");
    assert!(server.letters().is_empty());
}

#[tokio::test]
async fn a_probe_signs_on_and_writes_to_nobody() {
    let (server, email) = pair().await;
    assert_eq!(email.probe().await.unwrap(), "takes the connection and the login");
    let why = client(&server, "wrong-password").probe().await.unwrap_err();
    assert!(why.contains("535"), "{why}");
    assert!(server.letters().is_empty());
}
