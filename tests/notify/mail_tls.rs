//! E-mail over TLS: with STARTTLS and from the first byte on, as the settings have it.

use serde_json::{Value, json};

use crate::doctor::doctor;
use crate::world::called::smtp::{MailServer, Secured, USER};
use crate::world::called::tls::{ELSEWHERE, HERE, server};

/// Settings speak to a server of this machine in clear; this address they do not take for it.
const ANOTHER: &str = "127.0.0.2";

/// What doctor says when it writes to the server at `url`. `trusting`: this machine knows
/// the authority.
async fn called(url: &str, trusting: bool) -> Vec<String> {
    let authority =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/called/mail_keys/authority.pem");
    let roots = [("SSL_CERT_FILE", if trusting { authority } else { "/dev/null" })];
    let settings: Value = json!({ "email": {
        "smtp": { "url": url, "user": USER, "password": { "env": "MAIL_PASSWORD" } },
        "from": "deployguard@guard.example", "to": { "one": ["a@example.com"] },
    } });
    let told = doctor("recipients", settings, &["--call", "email:one"], &roots).await;
    told.into_iter().filter(|line| line.contains("email:one")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_arrives_over_starttls_and_nothing_but_that_is_said_in_clear() {
    let mail = MailServer::start_at(ANOTHER, Secured::StartTls(server(HERE))).await.unwrap();
    let told = called(&mail.url(), true).await;
    assert!(told.iter().all(|line| line.starts_with("ok ")), "{told:#?}");
    assert_eq!(mail.letters().len(), 2);
    let said = mail.in_clear();
    assert!(said.iter().all(|verb| ["EHLO", "STARTTLS"].contains(&verb.as_str())), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_arrives_over_tls_from_the_first_byte_on() {
    let mail = MailServer::start_at("127.0.0.1", Secured::Tls(server(HERE))).await.unwrap();
    let told = called(&mail.url().replace("smtp:", "smtps:"), true).await;
    assert!(told.iter().all(|line| line.starts_with("ok ")), "{told:#?}");
    assert_eq!(mail.letters().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_to_be_believed_gets_no_letter_and_no_password() {
    for (certificate, trusting, why) in
        [(HERE, false, "UnknownIssuer"), (ELSEWHERE, true, "not valid for name")]
    {
        for implicit in [true, false] {
            let config = server(certificate);
            let secured = if implicit { Secured::Tls(config) } else { Secured::StartTls(config) };
            let mail = MailServer::start_at(ANOTHER, secured).await.unwrap();
            let url = mail.url();
            let url = if implicit { url.replace("smtp:", "smtps:") } else { url };
            let told = called(&url, trusting).await;
            assert!(!told.is_empty());
            for line in told {
                assert!(line.starts_with("fail ") && line.contains(why), "{line}");
                assert!(line.contains("SSL_CERT_FILE"), "what to do: {line}");
            }
            assert!(mail.letters().is_empty());
            let said = mail.in_clear();
            let known = ["EHLO", "STARTTLS", "QUIT"];
            assert!(said.iter().all(|verb| known.contains(&verb.as_str())), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_only_in_clear_gets_nothing_where_tls_is_wanted() {
    let mail = MailServer::start_at(ANOTHER, Secured::Clear).await.unwrap();
    for url in [mail.url(), mail.url().replace("smtp:", "smtps:")] {
        let told = called(&url, true).await;
        assert!(!told.is_empty() && told.iter().all(|line| line.starts_with("fail ")), "{told:#?}");
    }
    assert!(mail.letters().is_empty());
}
