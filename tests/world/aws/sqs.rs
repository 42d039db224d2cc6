//! Queues of SQS, as far as whoever receives can see them: visibility time-outs, redelivery,
//! receive counts, dead letters. Pure: no clock, no I/O. No MD5 is answered; the SDK asks for
//! none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::model::{EcsError, Settings};

/// One account's queues in one region.
pub struct Queues {
    settings: Settings,
    by_name: BTreeMap<String, Queue>,
    /// Counts whatever needs an identifier.
    count: u64,
}

struct Queue {
    visibility: SignedDuration,
    /// Where a message goes that was received this often.
    redrive: Option<(String, u32)>,
    messages: Vec<Message>,
}

struct Message {
    id: String,
    body: String,
    sent: Timestamp,
    first_received: Option<Timestamp>,
    received: u32,
    visible: Timestamp,
    /// Of the latest receive; older ones count for nothing.
    receipt: String,
}

macro_rules! request {
    ($name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct $name { $($field: $kind),* }
    };
}

request!(CreateQueue { queue_name: String, attributes: Option<BTreeMap<String, String>> });
request!(SendMessage { queue_url: String, message_body: String });
request!(ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    message_system_attribute_names: Option<Vec<String>>,
});
request!(DeleteMessage { queue_url: String, receipt_handle: String });
request!(ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
});
request!(GetQueueAttributes { queue_url: String, attribute_names: Vec<String> });
request!(DeleteMessageBatch { queue_url: String, entries: Vec<Entry> });
request!(ChangeMessageVisibilityBatch { queue_url: String, entries: Vec<Entry> });
request!(Entry { id: String, receipt_handle: String, visibility_timeout: Option<i64> });

const LONGEST_VISIBILITY: i64 = 43_200;

impl Queues {
    pub fn new(settings: Settings) -> Self {
        Self { settings, by_name: BTreeMap::new(), count: 0 }
    }

    /// Answers one API call. A receive that finds nothing answers at once: the wait is the
    /// edge's.
    pub fn call(
        &mut self,
        operation: &str,
        body: &Value,
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        match operation {
            "CreateQueue" => self.create(read(operation, body)?),
            "GetQueueAttributes" => {
                let GetQueueAttributes { queue_url, attribute_names } = read(operation, body)?;
                self.attributes(&queue_url, &attribute_names, now)
            }
            "SendMessage" => self.send(read(operation, body)?, now),
            "ReceiveMessage" => self.receive(&read(operation, body)?, now),
            "DeleteMessage" => {
                let DeleteMessage { queue_url, receipt_handle } = read(operation, body)?;
                self.queue(&queue_url)?.delete(&receipt_handle)?;
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                let ChangeMessageVisibility { queue_url, receipt_handle, visibility_timeout } =
                    read(operation, body)?;
                self.queue(&queue_url)?.change(&receipt_handle, visibility_timeout, now)?;
                Ok(json!({}))
            }
            "DeleteMessageBatch" => {
                let DeleteMessageBatch { queue_url, entries } = read(operation, body)?;
                let queue = self.queue(&queue_url)?;
                batch(&entries, |entry| queue.delete(&entry.receipt_handle))
            }
            "ChangeMessageVisibilityBatch" => {
                let ChangeMessageVisibilityBatch { queue_url, entries } = read(operation, body)?;
                let queue = self.queue(&queue_url)?;
                batch(&entries, |entry| {
                    queue.change(
                        &entry.receipt_handle,
                        entry.visibility_timeout.unwrap_or_default(),
                        now,
                    )
                })
            }
            other => Err(EcsError::not_modelled(format!("the operation {other}"))),
        }
    }

    /// How long the edge holds this receive open.
    pub fn wait(body: &Value) -> std::time::Duration {
        let seconds = body["WaitTimeSeconds"].as_u64().unwrap_or_default();
        std::time::Duration::from_secs(seconds.min(20))
    }

    /// When something becomes visible by itself.
    pub fn next_visible(&self, now: Timestamp) -> Option<Timestamp> {
        let messages = self.by_name.values().flat_map(|queue| &queue.messages);
        messages.map(|message| message.visible).filter(|at| *at > now).min()
    }

    /// The messages in a queue, in sight and out of it.
    pub fn bodies(&self, name: &str) -> Vec<String> {
        let messages = self.by_name.get(name).into_iter().flat_map(|queue| &queue.messages);
        messages.map(|message| message.body.clone()).collect()
    }

    /// As if every visibility time-out had passed.
    pub fn time_out(&mut self, now: Timestamp) {
        for message in self.by_name.values_mut().flat_map(|queue| &mut queue.messages) {
            message.visible = message.visible.min(now);
        }
    }

    fn create(&mut self, request: CreateQueue) -> Result<Value, EcsError> {
        let mut queue = Queue {
            visibility: SignedDuration::from_secs(30),
            redrive: None,
            messages: Vec::new(),
        };
        for (name, value) in request.attributes.unwrap_or_default() {
            match name.as_str() {
                "VisibilityTimeout" => {
                    queue.visibility = SignedDuration::from_secs(value.parse().unwrap_or(30));
                }
                "RedrivePolicy" => {
                    let policy: Value = serde_json::from_str(&value).unwrap_or_default();
                    let dead = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
                    let dead = dead.rsplit(':').next().unwrap_or_default().to_owned();
                    let most = &policy["maxReceiveCount"];
                    let most = most.as_u64().or_else(|| most.as_str()?.parse().ok());
                    queue.redrive = Some((dead, u32::try_from(most.unwrap_or(1)).unwrap_or(1)));
                }
                other => return Err(EcsError::not_modelled(format!("the attribute {other}"))),
            }
        }
        let Settings { region, account, .. } = &self.settings;
        let name = request.queue_name;
        let url = format!("https://sqs.{region}.amazonaws.com/{account}/{name}");
        self.by_name.entry(name).or_insert(queue);
        Ok(json!({ "QueueUrl": url }))
    }

    fn attributes(
        &mut self,
        url: &str,
        names: &[String],
        now: Timestamp,
    ) -> Result<Value, EcsError> {
        let Settings { region, account, .. } = self.settings.clone();
        let queue = self.queue(url)?;
        let mut attributes = serde_json::Map::new();
        for name in names {
            let value = match name.as_str() {
                "ApproximateNumberOfMessages" => {
                    let waiting = queue.messages.iter().filter(|one| one.visible <= now).count();
                    Some(waiting.to_string())
                }
                "RedrivePolicy" => queue.redrive.as_ref().map(|(dead, most)| {
                    let dead = format!("arn:aws:sqs:{region}:{account}:{dead}");
                    json!({ "deadLetterTargetArn": dead, "maxReceiveCount": most }).to_string()
                }),
                other => return Err(EcsError::not_modelled(format!("the attribute {other}"))),
            };
            attributes.extend(value.map(|value| (name.clone(), json!(value))));
        }
        Ok(json!({ "Attributes": attributes }))
    }

    fn send(&mut self, request: SendMessage, now: Timestamp) -> Result<Value, EcsError> {
        self.count += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.count);
        let message = Message {
            id: id.clone(),
            body: request.message_body,
            sent: now,
            first_received: None,
            received: 0,
            visible: now,
            receipt: String::new(),
        };
        self.queue(&request.queue_url)?.messages.push(message);
        Ok(json!({ "MessageId": id }))
    }

    fn receive(&mut self, request: &ReceiveMessage, now: Timestamp) -> Result<Value, EcsError> {
        let most = request.max_number_of_messages.unwrap_or(1);
        if !(1..=10).contains(&most) || !(0..=20).contains(&request.wait_time_seconds.unwrap_or(0))
        {
            return Err(invalid("a number is out of its range"));
        }
        let mut count = self.count;
        let queue = self.queue(&request.queue_url)?;
        let visibility = match request.visibility_timeout {
            Some(seconds) => visibility(seconds)?,
            None => queue.visibility,
        };
        let names = request.message_system_attribute_names.as_deref().unwrap_or_default();
        let redrive = queue.redrive.clone();
        let (mut answered, mut dead) = (Vec::new(), Vec::new());
        for mut message in std::mem::take(&mut queue.messages) {
            if message.visible > now || answered.len() >= most {
                queue.messages.push(message);
                continue;
            }
            if let Some((_, limit)) = &redrive
                && message.received >= *limit
            {
                dead.push(message);
                continue;
            }
            count += 1;
            message.received += 1;
            message.first_received.get_or_insert(now);
            message.visible = now.saturating_add(visibility).unwrap_or(now);
            message.receipt = format!("receipt-{count}");
            answered.push(message.view(names));
            queue.messages.push(message);
        }
        self.count = count;
        if let Some((name, _)) = redrive {
            let target = self.by_name.get_mut(&name).ok_or_else(no_queue)?;
            target.messages.extend(dead);
        }
        Ok(if answered.is_empty() { json!({}) } else { json!({ "Messages": answered }) })
    }

    fn queue(&mut self, url: &str) -> Result<&mut Queue, EcsError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.by_name.get_mut(name).ok_or_else(no_queue)
    }
}

impl Queue {
    /// With an older receipt it is no mistake, and nothing happens.
    fn delete(&mut self, receipt: &str) -> Result<(), EcsError> {
        known(receipt)?;
        self.messages.retain(|message| message.receipt != receipt);
        Ok(())
    }

    fn change(&mut self, receipt: &str, seconds: i64, now: Timestamp) -> Result<(), EcsError> {
        known(receipt)?;
        let visibility = visibility(seconds)?;
        for message in self.messages.iter_mut().filter(|message| message.receipt == receipt) {
            message.visible = now.saturating_add(visibility).unwrap_or(now);
        }
        Ok(())
    }
}

impl Message {
    fn view(&self, names: &[String]) -> Value {
        let wants = |name: &str| names.iter().any(|one| one == name || one == "All");
        let millis = |at: Timestamp| at.as_millisecond().to_string();
        let first = self.first_received.map(millis).unwrap_or_default();
        let all = [
            ("ApproximateReceiveCount", self.received.to_string()),
            ("ApproximateFirstReceiveTimestamp", first),
            ("SentTimestamp", millis(self.sent)),
        ];
        let attributes: BTreeMap<_, _> = all.into_iter().filter(|(name, _)| wants(name)).collect();
        let (id, receipt) = (&self.id, &self.receipt);
        let mut view = json!({ "MessageId": id, "ReceiptHandle": receipt, "Body": self.body });
        if !attributes.is_empty() {
            view["Attributes"] = json!(attributes);
        }
        view
    }
}

fn batch(
    entries: &[Entry],
    mut apply: impl FnMut(&Entry) -> Result<(), EcsError>,
) -> Result<Value, EcsError> {
    if entries.is_empty() || entries.len() > 10 {
        let message = "a batch has one to ten entries".into();
        return Err(EcsError { code: "TooManyEntriesInBatchRequest", message });
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match apply(entry) {
            Ok(()) => successful.push(json!({ "Id": entry.id })),
            Err(error) => failed.push(json!({
                "Id": entry.id, "Code": error.code, "Message": error.message, "SenderFault": true,
            })),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn read<T: DeserializeOwned>(operation: &str, body: &Value) -> Result<T, EcsError> {
    T::deserialize(body).map_err(|error| EcsError::not_modelled(format!("{operation}: {error}")))
}

fn visibility(seconds: i64) -> Result<SignedDuration, EcsError> {
    if (0..=LONGEST_VISIBILITY).contains(&seconds) {
        return Ok(SignedDuration::from_secs(seconds));
    }
    Err(invalid("VisibilityTimeout must be between 0 and 43200"))
}

fn known(receipt: &str) -> Result<(), EcsError> {
    if receipt.starts_with("receipt-") {
        return Ok(());
    }
    let message = "The input receipt handle is invalid.".into();
    Err(EcsError { code: "ReceiptHandleIsInvalid", message })
}

fn invalid(message: &str) -> EcsError {
    EcsError { code: "InvalidParameterValue", message: message.into() }
}

fn no_queue() -> EcsError {
    let message = "The specified queue does not exist.".into();
    EcsError { code: "QueueDoesNotExist", message }
}
