//! What is allowed, and what is special.

use std::net::IpAddr;

use reqwest::Url;

use super::address::special;
use super::{Allowed, Keyring, Outbound, TO_ONE_HOST};

fn allows(list: &[&str], url: &str) -> Result<(), String> {
    Allowed::parse(list).unwrap().url(&Url::parse(url).unwrap())
}

#[test]
fn nothing_is_allowed_by_an_empty_list() {
    let why = allows(&[], "https://www.shopflow.io/api/health").unwrap_err();
    assert!(why.ends_with("add `https://www.shopflow.io` to `outbound.allow`"), "{why}");
}

#[test]
fn scheme_host_and_port_must_all_be_in_the_list() {
    let list = ["https://www.shopflow.io", "https://*.sentry.io", "http://10.1.0.0/16:9100"];
    for good in [
        "https://www.shopflow.io/api/health?deep=1",
        "https://WWW.ShopFlow.io:443/",
        "https://www.shopflow.io./",
        "https://eu.sentry.io/api/0/",
        "https://a.b.sentry.io/",
        "http://10.1.2.3:9100/metrics",
        "http://0x0a010203:9100/",
        "http://[::ffff:10.1.2.3]:9100/",
    ] {
        assert_eq!(allows(&list, good), Ok(()), "{good}");
    }
    for bad in [
        "http://www.shopflow.io/",
        "https://www.shopflow.io:8443/",
        "https://shopflow.io/",
        "https://www.shopflow.io.evil.example/",
        "https://evil.example/www.shopflow.io",
        "https://sentry.io/",
        "https://evilsentry.io/",
        "http://10.1.2.3/",
        "http://10.2.2.3:9100/",
        "https://10.1.2.3:9100/",
        "https://user@www.shopflow.io/",
        "https://:password@www.shopflow.io/",
        "ftp://www.shopflow.io/",
        "file:///etc/passwd",
    ] {
        assert!(allows(&list, bad).is_err(), "{bad}");
    }
}

#[test]
fn an_address_of_the_host_or_the_cloud_is_allowed_only_by_its_own_entry() {
    let why = allows(&["http://0.0.0.0/0", "http://169.254.0.0/16:81"], "http://10.0.0.1/");
    assert_eq!(why, Ok(()));
    for (list, url) in [
        ("http://localhost", "http://127.0.0.1/"),
        ("http://0.0.0.0/0", "http://127.0.0.1/"),
        ("http://0.0.0.0/0", "http://169.254.169.254/"),
        ("http://*.example", "http://169.254.169.254/"),
        ("http://169.254.169.254:81", "http://169.254.169.254/latest/meta-data"),
        ("http://[::]/0", "http://169.254.169.254/"),
    ] {
        assert!(allows(&[list], url).is_err(), "{list} {url}");
    }
    for (list, url) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/health"),
        ("http://127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/health"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("http://[fe80::]/10", "http://[fe80::1]/"),
        ("http://localhost:3000", "http://localhost:3000/"),
    ] {
        assert_eq!(allows(&[list], url), Ok(()), "{list} {url}");
    }
}

#[test]
fn what_is_special_is_seen_in_every_spelling_and_a_private_network_is_not() {
    for text in [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.170.2",
        "224.0.0.1",
        "255.255.255.255",
        "100.100.100.200",
        "168.63.129.16",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2002:7f00:1::",
    ] {
        assert!(special(text.parse::<IpAddr>().unwrap()).is_some(), "{text}");
    }
    for text in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "8.8.8.8",
        "fd00::1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
    ] {
        assert_eq!(special(text.parse::<IpAddr>().unwrap()), None, "{text}");
    }
}

#[test]
fn an_entry_that_is_none_is_told() {
    for bad in [
        "www.shopflow.io",
        "ftp://a.example",
        "https://",
        "https://a.example/path",
        "https://a.example:0",
        "https://a.example:x",
        "https://*",
        "https://a.*.example",
        "https://*.*.example",
        "https://10.0.0.0/33",
        "https://[::1",
        "https://user@a.example",
        "https://a b.example",
        "",
    ] {
        let why = Allowed::parse(&[bad]).unwrap_err();
        assert!(why.contains("write `https://www.example.com`"), "{bad}: {why}");
    }
    for (bad, words) in [
        ("http://127.0.0.1:18081/health", "has a path, and all of a host is allowed or nothing"),
        ("http://[::1]:18081/health", "has a path, and all of a host is allowed or nothing"),
        ("https://a.example:x", "has no number of a port"),
    ] {
        let why = Allowed::parse(&[bad]).unwrap_err();
        assert!(why.contains(words), "{bad}: {why}");
    }
    let list = ["https://*.Sentry.io", "http://10.1.2.3/16:9100", "http://localhost:80"];
    let shown = Allowed::parse(&list).unwrap().to_string();
    assert_eq!(shown, "https://*.sentry.io, http://10.1.0.0/16:9100, http://localhost");
}

#[test]
fn each_address_that_is_asked_by_itself_has_turns_of_its_own() {
    let way = Outbound::new(Allowed::default(), Keyring::default(), None).unwrap();
    let of = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    let hung = way.host("shop.example", of(1));
    let _taken: Vec<_> = (0..TO_ONE_HOST).map(|_| hung.try_acquire().unwrap()).collect();
    assert!(way.host("shop.example", of(1)).try_acquire().is_err(), "all are taken");
    assert!(way.host("shop.example", of(2)).try_acquire().is_ok());
    assert!(way.host("shop.example", None).try_acquire().is_ok());
    assert!(way.apart(1).host("shop.example", of(1)).try_acquire().is_ok());
}
