//! Elastic Load Balancing as far as target health needs it: awsQuery, a form in and XML out.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::http::Asked;

/// The targets of each group, by its ARN: their identifiers and states.
pub type Targets = BTreeMap<String, Vec<(String, String)>>;

const SPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";

/// The request, if it is one of this service.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Asked> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    let form = format!("http://form/?{}", std::str::from_utf8(body).ok()?);
    let form = reqwest::Url::parse(&form).ok()?;
    let mut form: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
    if form.remove("Version").as_deref() != Some("2015-12-01") {
        return None;
    }
    let operation = form.remove("Action")?;
    let body: Map<String, Value> = form.into_iter().map(|(key, one)| (key, json!(one))).collect();
    Some(Asked { service: "elbv2", operation, body: Value::Object(body) })
}

/// Its answer, as recorded and as sent.
pub(super) fn answer(groups: &Targets, asked: &Asked) -> (Value, Response) {
    let (answer, status, text) = match health(groups, asked) {
        Ok(targets) => told(&targets),
        Err((status, code)) => refused(status, code),
    };
    (answer, (status, [(header::CONTENT_TYPE, "text/xml")], text).into_response())
}

fn health(
    groups: &Targets,
    asked: &Asked,
) -> Result<Vec<(String, String)>, (StatusCode, &'static str)> {
    if asked.operation != "DescribeTargetHealth" {
        return Err((StatusCode::BAD_REQUEST, "InvalidAction"));
    }
    let group = asked.body["TargetGroupArn"].as_str().unwrap_or_default();
    groups.get(group).cloned().ok_or((StatusCode::BAD_REQUEST, "TargetGroupNotFound"))
}

fn told(targets: &[(String, String)]) -> (Value, StatusCode, String) {
    let (mut shown, mut text) = (Vec::new(), String::new());
    for (id, state) in targets {
        shown.push(
            json!({ "Target": { "Id": id, "Port": 80 }, "TargetHealth": { "State": state } }),
        );
        let _ = write!(
            text,
            "<member><Target><Id>{id}</Id><Port>80</Port></Target>\
             <TargetHealth><State>{state}</State></TargetHealth></member>"
        );
    }
    let text = format!(
        "<DescribeTargetHealthResponse xmlns=\"{SPACE}\"><DescribeTargetHealthResult>\
         <TargetHealthDescriptions>{text}</TargetHealthDescriptions></DescribeTargetHealthResult>\
         <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata>\
         </DescribeTargetHealthResponse>"
    );
    (json!({ "TargetHealthDescriptions": shown }), StatusCode::OK, text)
}

fn refused(status: StatusCode, code: &str) -> (Value, StatusCode, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"{SPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not allowed</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
    );
    (json!({ "__type": code, "message": "not allowed" }), status, text)
}
