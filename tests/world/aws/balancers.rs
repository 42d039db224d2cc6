//! Elastic Load Balancing as far as target groups go: awsQuery, a form in and XML out.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::http::Asked;

/// The target groups by their ARNs.
pub type Groups = BTreeMap<String, Group>;

#[derive(Default)]
pub struct Group {
    /// Identifiers and states.
    pub targets: Vec<(String, String)>,
    /// The load balancer that sends to it, by its ARN.
    pub balancer: Option<String>,
}

/// Groups of one answer.
const MOST: usize = 400;

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
    Some(Asked { service: "elbv2", operation, body: body_of(form) })
}

/// Its answer, as recorded and as sent.
pub(super) fn answer(groups: &Groups, asked: &Asked) -> (Value, Response) {
    let (answer, status, text) = match told(groups, asked) {
        Ok((answer, text)) => (answer, StatusCode::OK, text),
        Err((status, code)) => refused(status, code),
    };
    (answer, (status, [(header::CONTENT_TYPE, "text/xml")], text).into_response())
}

/// The form as botocore writes it: `Name.member.1` is the first of a list.
fn body_of(form: BTreeMap<String, String>) -> Value {
    let mut body = Map::new();
    for (key, one) in form {
        match key.split_once(".member.") {
            Some((list, _)) => {
                let list = body.entry(list).or_insert_with(|| json!([]));
                list.as_array_mut().expect("a list").push(json!(one));
            }
            None => {
                body.insert(key, json!(one));
            }
        }
    }
    Value::Object(body)
}

/// The answer, as botocore reads it and as it is sent.
type Told = Result<(Value, String), (StatusCode, &'static str)>;

fn told(groups: &Groups, asked: &Asked) -> Told {
    let gone = (StatusCode::BAD_REQUEST, "TargetGroupNotFound");
    match asked.operation.as_str() {
        "DescribeTargetHealth" => {
            let group = asked.body["TargetGroupArn"].as_str().unwrap_or_default();
            Ok(health(&groups.get(group).ok_or(gone)?.targets))
        }
        "DescribeTargetGroups" => {
            let names = asked.body["TargetGroupArns"].as_array().cloned().unwrap_or_default();
            let one = |arn: &Value| {
                let (arn, group) = groups.get_key_value(arn.as_str()?)?;
                Some((arn.as_str(), group.balancer.as_deref()))
            };
            let found: Vec<_> = if names.is_empty() {
                let all = groups.iter().take(MOST);
                all.map(|(arn, group)| (arn.as_str(), group.balancer.as_deref())).collect()
            } else {
                names.iter().map(one).collect::<Option<_>>().ok_or(gone)?
            };
            Ok(described(&found))
        }
        _ => Err((StatusCode::BAD_REQUEST, "InvalidAction")),
    }
}

fn wrapped(operation: &str, result: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{SPACE}\"><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{REQUEST}</RequestId></ResponseMetadata></{operation}Response>"
    )
}

fn health(targets: &[(String, String)]) -> (Value, String) {
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
    let text = format!("<TargetHealthDescriptions>{text}</TargetHealthDescriptions>");
    (json!({ "TargetHealthDescriptions": shown }), wrapped("DescribeTargetHealth", &text))
}

fn described(groups: &[(&str, Option<&str>)]) -> (Value, String) {
    let (mut shown, mut text) = (Vec::new(), String::new());
    for (arn, balancer) in groups {
        let name = arn.split('/').nth(1).unwrap_or_default();
        let member = balancer.map(|arn| format!("<member>{arn}</member>")).unwrap_or_default();
        shown.push(json!({
            "TargetGroupArn": arn, "TargetGroupName": name, "Protocol": "HTTP", "Port": 80,
            "TargetType": "ip", "LoadBalancerArns": Vec::from_iter(*balancer),
        }));
        let _ = write!(
            text,
            "<member><TargetGroupArn>{arn}</TargetGroupArn>\
             <TargetGroupName>{name}</TargetGroupName><Protocol>HTTP</Protocol><Port>80</Port>\
             <TargetType>ip</TargetType><LoadBalancerArns>{member}</LoadBalancerArns></member>"
        );
    }
    let text = format!("<TargetGroups>{text}</TargetGroups>");
    (json!({ "TargetGroups": shown }), wrapped("DescribeTargetGroups", &text))
}

fn refused(status: StatusCode, code: &str) -> (Value, StatusCode, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"{SPACE}\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not allowed</Message></Error><RequestId>{REQUEST}</RequestId></ErrorResponse>"
    );
    (json!({ "__type": code, "message": "not allowed" }), status, text)
}
