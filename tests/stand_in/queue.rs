//! SQS: visibility, redelivery and dead letters, the same on moto and on ours, and every call
//! held against AWS's service model.

use serde_json::{Value, json};

use crate::moto::{Moto, ours};
use crate::protocol::{as_json, validate};
use crate::world::http::client_builder;

/// One side and its queues.
struct Side {
    url: String,
    queue: String,
    told: Vec<String>,
}

impl Side {
    async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        let credential = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/sqs/aws4_request, \
                          SignedHeaders=host, Signature=0";
        let client = client_builder().build().expect("a client");
        let request = client
            .post(&self.url)
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", credential)
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.expect("JSON"))
    }

    /// Calls with this side's queue, and notes the status and the error.
    async fn tell(&mut self, operation: &str, mut body: Value) -> Value {
        if body["QueueUrl"].is_null() {
            body["QueueUrl"] = json!(self.queue);
        }
        let (status, answer) = self.call(operation, &body).await;
        let code = answer["__type"].as_str().unwrap_or_default();
        let code = code.rsplit('#').next().unwrap_or_default();
        self.told.push(format!("{operation}: {status} {code}"));
        answer
    }

    async fn create(&self, name: &str, attributes: Value) -> String {
        let body = json!({ "QueueName": name, "Attributes": attributes });
        let (status, answer) = self.call("CreateQueue", &body).await;
        assert_eq!(status, 200, "{answer}");
        answer["QueueUrl"].as_str().expect("an address").to_owned()
    }

    /// Receives all there is: notes bodies and counts, and answers the receipts by body.
    async fn receive(&mut self, queue: Option<&str>) -> Vec<(String, String)> {
        let body = json!({
            "QueueUrl": queue.unwrap_or(&self.queue), "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 0, "MessageSystemAttributeNames": ["ApproximateReceiveCount"],
        });
        let answer = self.tell("ReceiveMessage", body).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        let mut seen: Vec<(String, String, String)> = messages
            .iter()
            .map(|one| {
                let count = text(&one["Attributes"]["ApproximateReceiveCount"]);
                (text(&one["Body"]), count, text(&one["ReceiptHandle"]))
            })
            .collect();
        seen.sort();
        self.told.extend(seen.iter().map(|(body, count, _)| format!("got {body}, {count} times")));
        seen.into_iter().map(|(body, _, receipt)| (body, receipt)).collect()
    }
}

/// What happens to two messages, told by whoever answers at `url`.
async fn story(url: String) -> Vec<String> {
    let mut side = Side { url, queue: String::new(), told: Vec::new() };
    let dead = side.create("events-dead", json!({})).await;
    let arn = "arn:aws:sqs:us-east-1:123456789012:events-dead";
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 2 }).to_string();
    let attributes = json!({ "VisibilityTimeout": "60", "RedrivePolicy": redrive });
    side.queue = side.create("events", attributes).await;
    for body in ["first", "second"] {
        side.tell("SendMessage", json!({ "MessageBody": body })).await;
    }
    let both = side.receive(None).await;
    side.receive(None).await;
    let first = both[0].1.clone();
    let shown = json!({ "ReceiptHandle": first, "VisibilityTimeout": 0 });
    side.tell("ChangeMessageVisibility", shown).await;
    let again = side.receive(None).await;
    side.tell("DeleteMessage", json!({ "ReceiptHandle": both[1].1 })).await;
    let entry = json!({ "Id": "0", "ReceiptHandle": again[0].1, "VisibilityTimeout": 0 });
    side.tell("ChangeMessageVisibilityBatch", json!({ "Entries": [entry] })).await;
    side.receive(None).await;
    let letters = side.receive(Some(&dead)).await;
    let entry = json!({ "Id": "0", "ReceiptHandle": letters[0].1 });
    side.tell("DeleteMessageBatch", json!({ "QueueUrl": dead, "Entries": [entry] })).await;
    side.receive(Some(&dead)).await;
    side.tell("DeleteMessage", json!({ "ReceiptHandle": "nonsense" })).await;
    let nowhere = json!({ "QueueUrl": format!("{}-none", side.queue), "MessageBody": "x" });
    side.tell("SendMessage", nowhere).await;
    side.tell("ReceiveMessage", json!({ "MaxNumberOfMessages": 11 })).await;
    side.told
}

#[tokio::test]
async fn a_queue_does_as_motos_does_and_fits_the_service_model() {
    let moto = Moto::start().await;
    let ours = ours().await;
    let (theirs, own) = (story(moto.url.clone()).await, story(ours.url()).await);
    assert_eq!(theirs, own);
    assert!(own.contains(&"got first, 2 times".to_owned()), "{own:#?}");
    let calls: Vec<Value> = ours.calls().iter().map(as_json).collect();
    let verdict = validate(&calls).expect("no faults");
    assert!(verdict.contains("of 7 operations, 0 faults"), "{verdict}");
}
