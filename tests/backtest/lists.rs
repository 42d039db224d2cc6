//! Lists of deployments with mistakes, and Prometheus out of reach.

use deployguard::backtest::read_deployments;
use deployguard::model::RollbackSafe;

use crate::command::Desk;

const NOWHERE: &str = "http://127.0.0.1:1";

fn mistakes(list: &str) -> Vec<String> {
    let mistakes = read_deployments("list.csv", list.as_bytes()).unwrap_err();
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_list_is_read_whatever_the_order_of_its_columns() {
    let list = "\u{feff}at,id,labels,environment,service\r\n\
        2026-03-02T12:00:00+01:00, d1 ,\"version=v2; team = a,b ;\",production,api\r\n\r\n\
        2026-03-02T12:00:00Z,d2,,production,api\r\n";
    let all = read_deployments("list.csv", list.as_bytes()).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[0].id.as_str(), all[0].at.to_string().as_str()),
        ("d1", "2026-03-02T11:00:00Z")
    );
    assert_eq!(all[0].labels["version"], "v2");
    assert_eq!(all[0].labels["team"], "a,b");
    assert!(all[0].bad_from.is_none(), "without the column nothing is known");
}

#[test]
fn an_empty_bad_from_is_healthy() {
    let list = "id,service,environment,at,bad_from\nd1,api,prod,2026-03-02T12:00:00Z,\n\
        d2,api,prod,2026-03-02T13:00:00Z,2026-03-02T13:04:00Z\n";
    let all = read_deployments("list.csv", list.as_bytes()).unwrap();
    assert_eq!(all[0].bad_from, Some(None));
    assert!(all[1].bad_from.flatten().is_some());
}

#[test]
fn a_row_that_is_cut_off_is_not_healthy() {
    let cut = "id,service,environment,at,labels,bad_from\n\
        d1,api,prod,2026-03-02T12:00:00Z,version=2\n";
    assert_eq!(mistakes(cut), ["list.csv:2:1: 5 fields, the header has 6: leave none out"]);
    let plain = "id,service,environment,at\nd1,api,prod,2026-03-02T12:00:00Z\n";
    assert_eq!(read_deployments("list.csv", plain.as_bytes()).unwrap()[0].bad_from, None);
}

#[test]
fn what_may_not_be_undone_is_in_a_column_of_its_own() {
    let list = "id,service,environment,at,rollback_safe\nd1,api,prod,2026-03-02T12:00:00Z,no\n\
        d2,api,prod,2026-03-02T13:00:00Z,\n";
    let all = read_deployments("list.csv", list.as_bytes()).unwrap();
    assert_eq!(all[0].rollback_safe, RollbackSafe::No);
    assert_eq!(all[1].rollback_safe, RollbackSafe::Yes, "what is not said may be");
    let maybe = list.replace(",no", ",maybe");
    assert_eq!(
        mistakes(&maybe),
        ["list.csv:2:1: rollback_safe: `maybe` is none of yes, no, unknown"]
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_field() {
    let list = "id,service,environment,at,labels,bad_from\n\
        d1,,prod,yesterday,version,tomorrow\n\
        d1,api,prod,2026-03-02T12:00:00Z,,\n\
        d1,api,prod,2026-03-02T12:00:00Z,a=1;a=2,\n\
        \"d\n5\",api,prod,2026-03-02T12:00:00,,,x\n\
        d1,api,prod,2026-03-02T12:00:00Z,,\n\
        d6,api\n";
    assert_eq!(
        mistakes(list),
        [
            "list.csv:2:1: service: is empty",
            "list.csv:2:1: at: `yesterday` is no RFC 3339 time such as 2026-11-20T10:30:00Z",
            "list.csv:2:1: labels: `version` is not name=value",
            "list.csv:2:1: bad_from: `tomorrow` is no RFC 3339 time such as 2026-11-20T10:30:00Z",
            "list.csv:4:1: labels: `a` is there twice",
            "list.csv:5:1: 7 fields, the header has 6",
            "list.csv:5:1: id: has control characters",
            "list.csv:5:1: at: `2026-03-02T12:00:00` is no RFC 3339 time such as 2026-11-20T10:30:00Z",
            "list.csv:7:1: id: `d1` is the id of line 3 already",
            "list.csv:8:1: 2 fields, the header has 6: leave none out",
        ]
    );
    assert_eq!(
        mistakes("id,servcie,environment,at,at\n"),
        [
            "list.csv:1:1: unknown column `servcie`; did you mean `service`?",
            "list.csv:1:1: the column `at` is there twice",
            "list.csv:1:1: the column `service` is missing",
        ]
    );
    assert_eq!(mistakes("").len(), 4, "an empty file has no columns");
    assert!(
        read_deployments("x", &b"id,service,environment,at\n\xff,a,b,2026-03-02T12:00:00Z\n"[..])
            .unwrap_err()[0]
            .message
            .contains("UTF-8")
    );
}

#[tokio::test]
async fn mistakes_of_list_and_policy_end_with_1_and_print_nothing_else() {
    let desk = Desk::new(NOWHERE.to_owned(), "id,service,environment,at\nd1,shop-a,production,x\n");
    let said = desk.run(&[]).await;
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("list.csv:2:1: at: `x` is no RFC 3339 time"), "{}", said.err);
    std::fs::write(desk.path("shop.yaml"), "version: 1\npolicy: shop\nphase: {}\n").unwrap();
    let said = desk.run(&[]).await;
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("shop.yaml:3:1: unknown key `phase`"), "{}", said.err);
}

#[tokio::test]
async fn a_prometheus_out_of_reach_ends_with_3_and_a_sentence() {
    let list = "id,service,environment,at\nd1,shop-a,production,2026-03-02T12:00:00Z\n";
    let desk = Desk::new(NOWHERE.to_owned(), list);
    let said = desk.run(&["--format", "json"]).await;
    assert_eq!((said.code, said.out.as_str()), (3, ""), "{}", said.err);
    let sentence = "deployguard: Prometheus can't be asked: http://127.0.0.1:1 can't be reached";
    assert!(said.err.contains(sentence), "{}", said.err);
    let desk = Desk::new("ftp://x".to_owned(), list);
    assert_eq!(desk.run(&[]).await.code, 3);
    let search = ["--discover", "up", "--from", "2026-03-02T12:00:00Z"];
    assert_eq!(desk.run_plain(&search).await.code, 2, "what to search for is not said");
}

#[tokio::test]
async fn an_empty_list_is_an_empty_answer() {
    let desk = Desk::new(NOWHERE.to_owned(), "id,service,environment,at\n");
    let found = desk.json(&[]).await;
    assert_eq!(found["deployments"], serde_json::json!([]));
    assert_eq!(found["summary"]["deployments"], 0);
}
