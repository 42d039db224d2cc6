//! A thousand guarded services on one page.

use anyhow::{Context, ensure};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Executor, Row};

use super::driver::{Browser, Screen};
use crate::house::{House, TOKENS, long_story};

const SERVICES: usize = 1000;
/// Of them, with a deployment that is watched now.
const WATCHED: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_guarded_services_are_one_page_that_is_found_through_and_stays_live()
-> anyhow::Result<()> {
    let mut house = House::open(&long_story(), |_| ()).await?;
    house.daemon.knows_its_world(&house.world).await?;
    let id = house.deploy("v2", &[]).await?;
    let enough = |watch: &serde_json::Value| !watch["checks"][0]["value"].is_null();
    house.watch_until("v2", "samples", enough).await?;
    house.daemon.terminate().await?;
    let file = house.daemon.home().join("deployguard.db");
    let store = SqlitePool::connect_with(SqliteConnectOptions::new().filename(file)).await?;
    multiply(&store, &id).await?;
    // Whoever stands by shows what there is, and nobody ends what was made up.
    store
        .execute("UPDATE lease SET owner = 'elsewhere', epoch = epoch + 1, until_ms = 9e15")
        .await?;
    house.daemon.start_with(&TOKENS).await?;

    let browser = Browser::open().await?;
    let url = house.daemon.url().to_owned();
    browser.look(Screen::Desktop, false).await?;
    browser.go(&url).await?;
    let heading =
        |words: &str| format!("document.querySelector('.sum').innerText.includes('{words}')");
    browser.until("all of them", &heading("400 deployments watched")).await?;
    browser.until("all of them", &heading("1000 services guarded")).await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.picture("thousand", Screen::Desktop).await?;
    browser.go(&url).await?;
    let timing = "const one = performance.getEntriesByType('navigation')[0]; return [one.responseEnd \
                  - one.requestStart, one.domContentLoadedEventEnd, one.decodedBodySize].map(Math.round)";
    let timing = browser.run(timing).await?;
    println!(
        "a thousand services: answered in {} ms, shown after {} ms, {} bytes",
        timing[0], timing[1], timing[2]
    );

    // One by its name, with keys; then the last page of all.
    let search = browser.page.find(fantoccini::Locator::Css("input[name=service]")).await?;
    search.send_keys("svc-0777\u{e007}").await?;
    browser.until("the one", &heading("1 service guarded")).await?;
    browser
        .until("its row", "document.querySelectorAll('table.fleet tbody tr').length === 1")
        .await?;
    browser.go(&format!("{url}/?page=4")).await?;
    browser
        .until(
            "the last row",
            "document.querySelector('table.fleet').innerText.includes('svc-0999')",
        )
        .await?;

    // What ends among so many is seen without a reload.
    browser.go(&url).await?;
    browser.until("a live page", "document.querySelector('#live.on')").await?;
    browser.run("window.same = true").await?;
    let ended =
        "UPDATE watches SET is_open = 0, version = version + 1 WHERE service LIKE '%svc-0123'";
    let done = store.execute(ended).await?;
    ensure!(done.rows_affected() == 1, "{done:?}");
    browser.until("one less", &heading("399 deployments watched")).await?;
    assert_eq!(browser.run("return window.same").await?, true);
    assert_eq!(browser.complaints().await?, Vec::<String>::new());
    Ok(())
}

/// Makes many of the one service, and of the one watch over it.
async fn multiply(store: &SqlitePool, id: &str) -> anyhow::Result<()> {
    let watch =
        sqlx::query("SELECT service, deployment, state, opened_ms FROM watches WHERE id = $1");
    let watch = watch.bind(id).fetch_one(store).await?;
    let seen = sqlx::query("SELECT service, state FROM seen").fetch_one(store).await?;
    let (service, state): (String, String) = (watch.get(0), watch.get(2));
    let (place, look): (String, String) = (seen.get(0), seen.get(1));
    ensure!(place.contains("shopflow-api") && service == place, "{service} is not {place}");
    let mut all = store.begin().await?;
    for number in 1..SERVICES {
        let name = format!("shopflow-svc-{number:04}");
        let named = |text: &str| text.replace("shopflow-api", &name);
        sqlx::query("INSERT INTO seen (service, state) VALUES ($1, $2)")
            .bind(named(&place))
            .bind(named(&look))
            .execute(&mut *all)
            .await?;
        if number >= WATCHED {
            continue;
        }
        let own = format!("{}-{number:04}", named(id));
        let state = named(&state.replace(id, "THIS")).replace("THIS", &own);
        sqlx::query(
            "INSERT INTO watches (id, service, deployment, is_open, version, state, opened_ms, \
             updated_ms) VALUES ($1, $2, $3, 1, 1, $4, $5, $5)",
        )
        .bind(&own)
        .bind(named(&service))
        .bind(format!("{}-{number}", watch.get::<String, _>(1)))
        .bind(state)
        .bind(watch.get::<i64, _>(3))
        .execute(&mut *all)
        .await
        .with_context(|| own.clone())?;
    }
    Ok(all.commit().await?)
}
