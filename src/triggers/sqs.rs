//! A queue of SQS: what is received stays out of others' sight for [`IN_HAND`], and is
//! there again after it unless it was deleted.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Region;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};

use crate::aws::{Account, Fault};

/// The longest that SQS holds a request open, and the most messages it gives at once.
pub const LONG_POLL: Duration = Duration::from_secs(20);
const AT_ONCE: usize = 10;
/// How long a received message is ours.
pub const IN_HAND: Duration = Duration::from_mins(1);
/// A message that can't be read is deleted at this delivery, should the queue have no
/// redrive policy that takes it away before.
pub const MOST_TRIES: u32 = 10;
/// A request may be held open for the whole long poll, so the clients' usual time-outs
/// are too short for it.
const ANSWER: Duration = Duration::from_secs(30);

/// One message that was received.
#[derive(Debug, Clone)]
pub struct Letter {
    pub text: String,
    /// How often it was received, this time included.
    pub tries: u32,
    receipt: String,
}

/// A queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at `url`, in the region that its address names. Nothing is sent.
    pub fn of(account: &Account, url: &str) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3))
            .operation_attempt_timeout(ANSWER)
            .operation_timeout(ANSWER)
            .build();
        let mut config = aws_sdk_sqs::config::Builder::from(account.config());
        config.set_timeout_config(Some(timeouts));
        if let Some(region) = region(url) {
            config.set_region(Some(Region::new(region.to_owned())));
        }
        Self { client: Client::from_conf(config.build()), url: url.to_owned() }
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// How many messages wait, and whether the queue has a redrive policy.
    pub async fn state(&self) -> Result<(u64, bool), Fault> {
        let asked = self.client.get_queue_attributes().queue_url(&self.url);
        let asked = asked
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .attribute_names(QueueAttributeName::RedrivePolicy);
        let answer = asked.send().await.map_err(|e| Fault::of("GetQueueAttributes", &e))?;
        let said = |name| answer.attributes().and_then(|known| known.get(&name));
        let waiting = said(QueueAttributeName::ApproximateNumberOfMessages);
        let waiting = waiting.and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok((waiting, said(QueueAttributeName::RedrivePolicy).is_some()))
    }

    /// At most ten messages. Waits for the first one as long as `wait`, at most
    /// [`LONG_POLL`]; an empty answer is no mistake.
    pub async fn receive(&self, wait: Duration) -> Result<Vec<Letter>, Fault> {
        let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        let asked = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .visibility_timeout(seconds(IN_HAND))
            .wait_time_seconds(seconds(wait.min(LONG_POLL)));
        let answer = asked.send().await.map_err(|e| Fault::of("ReceiveMessage", &e))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(letter).collect())
    }

    /// Deletes them. Those that can't be deleted come again, which is harmless.
    pub async fn delete(&self, letters: &[Letter]) -> Result<(), Fault> {
        for batch in letters.chunks(AT_ONCE) {
            let mut asked = self.client.delete_message_batch().queue_url(&self.url);
            for (number, letter) in batch.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&letter.receipt);
                let entry = entry.build().map_err(|e| Fault::odd("DeleteMessage", &e.to_string()));
                asked = asked.entries(entry?);
            }
            let answer = asked.send().await.map_err(|e| Fault::of("DeleteMessage", &e))?;
            if let Some(one) = answer.failed.first() {
                tracing::debug!(code = one.code, "a message was not deleted and comes again");
            }
        }
        Ok(())
    }

    /// Gives them back at once: whoever asks next gets them.
    pub async fn release(&self, letters: &[Letter]) -> Result<(), Fault> {
        for batch in letters.chunks(AT_ONCE) {
            let mut asked = self.client.change_message_visibility_batch().queue_url(&self.url);
            for (number, letter) in batch.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&letter.receipt)
                    .visibility_timeout(0);
                let entry = entry.build();
                let entry =
                    entry.map_err(|e| Fault::odd("ChangeMessageVisibility", &e.to_string()));
                asked = asked.entries(entry?);
            }
            asked.send().await.map_err(|e| Fault::of("ChangeMessageVisibility", &e))?;
        }
        Ok(())
    }
}

/// `https://sqs.eu-west-1.amazonaws.com/123456789012/name`.
fn region(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://sqs.")?.split('/').next()?;
    host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))
}

fn letter(message: Message) -> Option<Letter> {
    let count = MessageSystemAttributeName::ApproximateReceiveCount;
    let tries = message.attributes.as_ref().and_then(|all| all.get(&count)?.parse().ok());
    Some(Letter {
        receipt: message.receipt_handle?,
        text: message.body.unwrap_or_default(),
        tries: tries.unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_asked_in_the_region_of_its_address() {
        let of = region;
        assert_eq!(of("https://sqs.eu-west-1.amazonaws.com/1/q"), Some("eu-west-1"));
        assert_eq!(of("https://sqs.cn-north-1.amazonaws.com.cn/1/q"), Some("cn-north-1"));
        assert_eq!(of("http://127.0.0.1:4566/1/q"), None);
    }
}
