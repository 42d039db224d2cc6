//! Pictures and reports in a deployment's thread, by Slack's upload in three steps: a place
//! is asked for each file, its bytes are brought there, and all are shared as one message.
//! What is not shared is discarded by Slack, so only the last step can be done twice.

use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::api::Place;
use super::fault::Fault;
use super::{Slack, text};
use crate::crash;
use crate::notify::{DeliverError, Enclosure, Letter, Parcel, Thread};

const PLACE: &str = "files.getUploadURLExternal";
const COMPLETE: &str = "files.completeUploadExternal";

/// What Slack takes as a description of a picture.
const MOST_ALT: usize = 1000;
const MOST_TITLE: usize = 200;
const MOST_COMMENT: usize = 600;
const MOST_STEM: usize = 60;
/// A share whose answer was lost shows a while later: looked for not before this.
const SHOWS_AFTER: Duration = Duration::from_secs(15);

impl Slack {
    /// Shares files under the deployment's message. Bounded in time.
    pub async fn hand_in(&self, letter: &Letter, parcel: &Parcel) -> Result<Thread, DeliverError> {
        let thread = letter.thread.as_ref().ok_or_else(|| DeliverError::Transient {
            reason: "the deployment's message is not delivered yet".to_owned(),
            retry_after: None,
        })?;
        let mark = mark(&letter.notice.key);
        if letter.maybe_sent && self.has_files(thread, &mark).await? {
            return Ok(thread.clone());
        }
        let mut files = Vec::new();
        for file in &parcel.files {
            let name = name(file, &mark);
            let alt = file.alt.as_deref().map(|alt| text::line(alt, MOST_ALT));
            let place = self.api.upload_place(&name, file.bytes.len(), alt.as_deref()).await;
            let place = place.map_err(|fault| fault.into_file_error(PLACE))?;
            let brought = self.api.bring(&place.upload_url, file.kind, &file.bytes).await;
            brought.map_err(|fault| fault.into_file_error("the upload"))?;
            files.push((place.file_id, text::line(&file.title, MOST_TITLE)));
        }
        crash::point("share-before");
        let comment = text::mrkdwn(&parcel.comment, MOST_COMMENT);
        let completed = self.api.complete(files, thread, &comment).await;
        crash::point("share-after");
        match completed {
            Ok(()) => Ok(thread.clone()),
            Err(fault @ Fault::Unanswered(_)) => Err(DeliverError::Transient {
                reason: fault.into_file_error(COMPLETE).to_string(),
                retry_after: Some(SHOWS_AFTER),
            }),
            Err(fault) => Err(fault.into_file_error(COMPLETE)),
        }
    }

    /// Whether a message in the thread has files of this mark.
    async fn has_files(&self, thread: &Thread, mark: &str) -> Result<bool, DeliverError> {
        let wanted = |message: &Value| {
            let files = message["files"].as_array()?;
            let ours = |file: &Value| file["name"].as_str().is_some_and(|name| name.contains(mark));
            files.iter().any(ours).then_some(())
        };
        let found = self.api.find(&Place::Thread(thread), wanted).await;
        match found {
            Err(fault) if fault.is_gone() => {
                Err(DeliverError::Permanent("the thread is gone".to_owned()))
            }
            found => Ok(self.found(found, "conversations.replies")?.is_some()),
        }
    }
}

/// What the files of a notice are recognised by: of its key, and fit for a file's name.
fn mark(key: &str) -> String {
    let digest = Sha256::digest(key);
    let head: [u8; 8] = std::array::from_fn(|i| digest[i]);
    format!("{:016x}", u64::from_be_bytes(head))
}

/// `error-rate-00c0ffee.png`.
fn name(file: &Enclosure, mark: &str) -> String {
    let mut stem = String::new();
    for char in file.stem.chars() {
        match char {
            char if char.is_ascii_alphanumeric() => stem.push(char.to_ascii_lowercase()),
            _ if stem.ends_with('-') || stem.is_empty() => {}
            _ => stem.push('-'),
        }
    }
    stem.truncate(MOST_STEM);
    let stem = stem.trim_end_matches('-');
    let stem = if stem.is_empty() { "file" } else { stem };
    format!("{stem}-{mark}.{}", file.extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_is_plain_whatever_the_check_is_called() {
        let name = |stem: &str| {
            let (stem, title) = (stem.to_owned(), String::new());
            let file = Enclosure {
                stem,
                title,
                extension: "png",
                alt: None,
                kind: "image/png",
                bytes: Vec::new(),
            };
            super::name(&file, "00c0ffee")
        };
        assert_eq!(name("Error rate (5xx)"), "error-rate-5xx-00c0ffee.png");
        assert_eq!(name("../../etc/<b>"), "etc-b-00c0ffee.png");
        assert_eq!(name("日本"), "file-00c0ffee.png");
        assert!(name(&"x".repeat(500)).len() < 90);
        assert_ne!(mark("w/1"), mark("w/11"));
    }
}
