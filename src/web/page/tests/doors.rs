//! Who gets in, and what is refused.

use axum::http::{Request, StatusCode, header};

use super::super::session::Session;
use super::house::{BILLING, House, OPERATE, READ, form_of};
use crate::engine::clock;
use crate::watch::tests::world::{Guard, policy};
use crate::web::forward::secret;

const PROXY: [u8; 4] = [10, 1, 2, 3];
const ELSEWHERE: [u8; 4] = [192, 0, 2, 1];

#[tokio::test]
async fn a_page_asks_for_a_log_in_and_goes_on_where_somebody_wanted_to_go() {
    let house = House::open().await;
    let page = house.get("/history?service=api", "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header(header::LOCATION), "/login?next=%2Fhistory%3Fservice%3Dapi");
    let page = house.get("/login?next=%2Fhistory", "").await;
    assert_eq!(page.field("next"), "/history");
    let wrong = house.post("/login", "", "token=no-token&next=/").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.text.contains("This token is unknown"), "{}", wrong.text);
    let page = house.post("/login", "", &format!("token={READ}&next=/history")).await;
    assert_eq!((page.status, page.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/history"));
    let set = page.header(header::SET_COOKIE).to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    let cookie = set.split(';').next().unwrap();
    assert_eq!(house.get("/", cookie).await.status, StatusCode::OK);
    assert_eq!(house.get("/", &cookie.replace('.', "0.")).await.status, StatusCode::SEE_OTHER);
    // The script reads the API by the session; nothing is changed by it.
    assert_eq!(house.get("/api/v1/watches", cookie).await.status, StatusCode::OK);
    assert_eq!(house.get("/api/v1/watches", "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_name_that_somebody_sends_is_no_session() {
    let house = House::open().await;
    let request = Request::get("/api/v1/watches").header("x-deployguard-caller", "oncall");
    let page = house.send(request, "", [127, 0, 0, 1]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{}", page.text);
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused() {
    let house = House::open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let cookie = house.log_in(OPERATE).await;
    let address = format!("/watches/{}/act/cancel", guard.watch.id);
    let asked = house.get(&address, &cookie).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    let form = format!("form_token={}&incident=0&returns=0", asked.field("form_token"));
    let foreign: [&[(&str, &str)]; 4] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")],
        &[],
    ];
    for headers in foreign {
        let mut request = form_of(&address, &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let page = house.send(request, &form, [127, 0, 0, 1]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(page.text.contains("did not come from this page"), "{}", page.text);
    }
    for form in
        ["form_token=&incident=0", "incident=0", &form.replace("form_token=", "form_token=0")]
    {
        let page = house.post(&address, &cookie, form).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{form}");
        assert!(page.text.contains("of another session"), "{}", page.text);
    }
    let other = house.log_in(OPERATE).await;
    let page = house.post(&address, &other, &form).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "the form of another session");
}

#[tokio::test]
async fn who_may_only_read_or_is_for_other_services_is_offered_nothing_and_refused() {
    let house = House::open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let address = format!("/watches/{}", guard.watch.id);
    let cookie = house.log_in(OPERATE).await;
    let page = house.get(&address, &cookie).await;
    assert!(page.text.contains("/act/rollback"), "{}", page.text);
    for (token, words) in
        [(READ, "viewer may look at this page"), (BILLING, "is not for api in production")]
    {
        let cookie = house.log_in(token).await;
        let page = house.get(&address, &cookie).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(!page.text.contains("/act/"), "{}", page.text);
        assert!(page.text.contains(words), "no {words:?} in {}", page.text);
        let asked = house.get(&format!("{address}/act/rollback"), &cookie).await;
        assert_eq!(asked.status, StatusCode::FORBIDDEN);
        let posted = house.post(&format!("{address}/act/rollback"), &cookie, "form_token=x").await;
        assert_eq!(posted.status, StatusCode::FORBIDDEN);
        assert!(posted.text.contains(words), "{}", posted.text);
    }
    let nobody = house.post(&format!("{address}/act/rollback"), "", "form_token=x").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_proxy_is_believed_from_its_own_address_alone() {
    let house = House::open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let ask = |path: &str, from, groups: &str| {
        let request = Request::get(path).header("x-forwarded-user", "dana");
        let request = request.header("x-forwarded-groups", groups);
        house.send(request, "", from)
    };
    assert_eq!(ask("/", ELSEWHERE, "oncall").await.status, StatusCode::SEE_OTHER);
    let page = ask("/", PROXY, "staff").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("<span>dana</span>") && !page.text.contains("/act/"),
        "{}",
        page.text
    );
    let page = ask("/", PROXY, "staff, oncall").await;
    assert!(page.text.contains("/act/rollback"), "{}", page.text);
    let address = format!("/watches/{}/act/cancel", guard.watch.id);
    assert_eq!(ask(&address, PROXY, "staff").await.status, StatusCode::FORBIDDEN);
    let asked = ask(&address, PROXY, "oncall").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert!(asked.text.contains("with the name dana"), "{}", asked.text);
    // What the proxy says reads the API as well, and acts there for nobody.
    assert_eq!(ask("/api/v1/watches", PROXY, "").await.status, StatusCode::OK);
    assert_eq!(ask("/api/v1/watches", ELSEWHERE, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn many_wrong_tokens_are_answered_no_longer_and_a_right_one_gets_in() {
    let house = House::open().await;
    for _ in 0..5 {
        let page = house.post("/login", "", "token=guess").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let page = house.post("/login", "", "token=guess").await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(page.header(header::RETRY_AFTER), "60");
    let page = house.post("/login", "", &format!("token={OPERATE}")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "behind a proxy it is everybody's address");
    let request = form_of("/login", "").header("origin", "http://127.0.0.1:8080");
    let page = house.send(request, "token=guess", ELSEWHERE).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "who comes from elsewhere is told");
}

#[tokio::test]
async fn a_session_ends_with_the_value_of_its_token() {
    let house = House::open().await;
    let secret = secret(&house.face).await.unwrap();
    let cookie = |digest: &[u8; 32]| {
        let session = Session::begin(secret, "viewer", digest, clock::now()).unwrap();
        format!("deployguard-session={}", session.write(secret))
    };
    let now = house.face.tokens.digest_of(READ).unwrap().1;
    assert_eq!(house.get("/", &cookie(now)).await.status, StatusCode::OK);
    let before = house.face.tokens.digest_of(OPERATE).unwrap().1;
    let page = house.get("/", &cookie(before)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "the token has another value now");
    let page = house.get("/api/v1/watches", &cookie(before)).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_proxy_s_headers_that_are_there_twice_name_nobody() {
    let house = House::open().await;
    let ask = async |headers: &[(&str, &str)]| {
        let request = headers
            .iter()
            .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        house.send(request, "", PROXY).await.status
    };
    let (user, groups) = ("x-forwarded-user", "x-forwarded-groups");
    assert_eq!(ask(&[(user, "dana"), (groups, "oncall")]).await, StatusCode::OK);
    for twice in [
        &[(user, "evil"), (user, "dana")][..],
        &[(user, "dana"), (user, "dana")],
        &[(user, "dana"), (groups, "oncall"), (groups, "staff")],
    ] {
        assert_eq!(ask(twice).await, StatusCode::SEE_OTHER, "{twice:?}");
    }
}

#[tokio::test]
async fn a_proxy_with_a_secret_is_believed_by_it_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "proxy-secret-0123456789").unwrap();
    let text = format!("file: '{}'", file.path().display());
    let house = House::with(|settings| {
        let proxy = settings.web.proxy.as_mut().unwrap();
        proxy.secret = Some(serde_norway::from_str(&text).unwrap());
    })
    .await;
    let ask = async |secrets: &[&str]| {
        let request = Request::get("/").header("x-forwarded-user", "dana");
        let request = secrets
            .iter()
            .fold(request, |request, secret| request.header("x-deployguard-proxy-secret", *secret));
        house.send(request, "", PROXY).await.status
    };
    assert_eq!(ask(&["proxy-secret-0123456789"]).await, StatusCode::OK);
    for wrong in [&[][..], &["proxy-secret-0123456780"], &["", "proxy-secret-0123456789"]] {
        assert_eq!(ask(wrong).await, StatusCode::SEE_OTHER, "{wrong:?}");
    }
}

#[tokio::test]
async fn what_a_proxy_passes_on_as_authorization_hinders_no_session() {
    let house = House::open().await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let cookie = house.log_in(READ).await;
    let ask = |path: &str, authorization: &str, cookie: &str, user: &str| {
        let request = Request::get(path).header(header::AUTHORIZATION, authorization);
        let request = request.header("x-forwarded-user", user).header(header::COOKIE, cookie);
        house.send(request, "", PROXY)
    };
    let report = format!("/api/v1/watches/{}/report.md", guard.watch.id);
    for authorization in ["Basic ZGFuYTpzZWNyZXQ=", "Bearer of.another.house"] {
        for path in ["/api/v1/watches", &report] {
            for (cookie, user) in [(cookie.as_str(), ""), ("", "dana")] {
                let page = ask(path, authorization, cookie, user).await;
                assert_eq!(page.status, StatusCode::OK, "{path} {authorization}: {}", page.text);
            }
            let page = ask(path, authorization, "", "").await;
            assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path} {authorization}");
        }
    }
}

#[tokio::test]
async fn what_is_read_by_a_session_is_kept_by_no_cache() {
    let house = House::open().await;
    let cookie = house.log_in(READ).await;
    let page = house.get("/api/v1/watches", &cookie).await;
    assert_eq!(page.header(header::CACHE_CONTROL), "no-store");
    let request = Request::get("/api/v1/watches").header("x-forwarded-user", "dana");
    let page = house.send(request, "", PROXY).await;
    assert_eq!((page.status, page.header(header::CACHE_CONTROL)), (StatusCode::OK, "no-store"));
    let page = house.get("/", &cookie).await.text;
    let file = page.split('"').find(|part| part.starts_with("/assets/")).unwrap();
    let file = house.get(file, &cookie).await;
    assert!(file.header(header::CACHE_CONTROL).contains("immutable"), "it is the same for all");
}

#[tokio::test]
async fn what_can_t_be_read_is_told_on_a_page() {
    let house = House::open().await;
    let cookie = house.log_in(READ).await;
    for (path, words) in [("/?page=many", "query"), ("/watches/%ff", "UTF-8")] {
        let page = house.get(path, &cookie).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(page.text.starts_with("<!DOCTYPE html>"), "{path}: {}", page.text);
        assert!(page.text.contains(words) && page.text.contains("viewer"), "{}", page.text);
    }
    for (path, form) in [("/login", "next=/"), ("/watches/x/act/cancel", "incident=many")] {
        let page = house.post(path, &cookie, form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", page.text);
        assert!(page.text.starts_with("<!DOCTYPE html>"), "{path}: {}", page.text);
    }
    let piece = house.get("/watches/x/part", "").await;
    assert_eq!(piece.status, StatusCode::UNAUTHORIZED);
    assert!(piece.text.starts_with('{'), "the script shows no page: {}", piece.text);
}

#[tokio::test]
async fn logging_out_ends_it_and_needs_the_session_s_own_form() {
    let house = House::open().await;
    let cookie = house.log_in(READ).await;
    let page = house.get("/", &cookie).await;
    let refused = house.post("/logout", &cookie, "form_token=x").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let form = format!("form_token={}", page.field("form_token"));
    let gone = house.post("/logout", &cookie, &form).await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    assert!(gone.header(header::SET_COOKIE).contains("Max-Age=0"));
}

#[tokio::test]
async fn open_reads_let_everybody_look_and_nobody_act() {
    let house = House::with(|settings| settings.open_reads = true).await;
    let guard = Guard::settled(policy());
    house.keep(&guard).await;
    let address = format!("/watches/{}", guard.watch.id);
    let page = house.get(&address, "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Log in") && !page.text.contains("/act/"), "{}", page.text);
    let asked = house.get(&format!("{address}/act/cancel"), "").await;
    assert!(asked.header(header::LOCATION).starts_with("/login?next=%2Fwatches%2F"));
    let posted = house.post(&format!("{address}/act/cancel"), "", "form_token=").await;
    assert_eq!(posted.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_page_says_what_it_may_load_and_its_files_are_kept_for_ever() {
    let house = House::with(|settings| settings.open_reads = true).await;
    for path in ["/", "/history", "/login", "/watches/nobody"] {
        let page = house.get(path, "").await;
        let policy = page.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert!(!page.text.contains(" style=") && !page.text.contains("<style"), "{path}");
        assert!(!page.text.contains(" onclick") && page.text.matches("<script").count() == 1);
        for kind in ["css", "js"] {
            let from = page.text.find("/assets/page.").unwrap();
            let file = page.text[from..].split('"').find(|one| one.ends_with(kind)).unwrap();
            let file = house.get(file, "").await;
            assert_eq!(file.status, StatusCode::OK);
            assert!(file.header(header::CACHE_CONTROL).contains("immutable"));
        }
    }
    assert_eq!(house.get("/assets/page.0.css", "").await.status, StatusCode::NOT_FOUND);
}
