//! How long what is tried, when its words need their time, and what an end means to whom.
//! Pure; the postman goes by it.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};

use crate::model::{Body, Notice, Recipient, Reply, Signal, Turn};

/// Between two tries to connect to what brings us something, at first and at most.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause between two tries to deliver a letter.
const LONGEST_OF_LETTERS: SignedDuration = SignedDuration::from_mins(5);
/// After this long a letter is news no longer.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(24);
/// How long the end of an incident is tried: without it the incident stays open for ever
/// with whoever has heard of it.
pub(super) const END_TOO_OLD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A reply that is delivered later than this after it was said carries its time.
const SAID_NOW: SignedDuration = SignedDuration::from_mins(1);

/// The pauses between tries to connect, without end.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

/// A reply that comes late says of when it is: it is read as of now otherwise.
pub(super) fn dated(notice: &Notice, now: Timestamp) -> Notice {
    let late = now.duration_since(notice.at) > SAID_NOW;
    match &notice.body {
        Body::Reply(reply) if late => {
            let same_day = notice.at.duration_since(now).abs() < SignedDuration::from_hours(12);
            let form = if same_day { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
            let headline = format!("{}: {}", notice.at.strftime(form), reply.headline);
            let reply = Reply { headline, ..reply.clone() };
            Notice { body: Body::Reply(reply), ..notice.clone() }
        }
        Body::Reply(_)
        | Body::Card(_)
        | Body::Files { .. }
        | Body::Signal { .. }
        | Body::GitHub(_) => notice.clone(),
    }
}

pub(super) fn pages(body: &Body) -> bool {
    match body {
        Body::Reply(reply) => reply.page,
        Body::Card(_) | Body::Files { .. } | Body::Signal { .. } | Body::GitHub(_) => false,
    }
}

/// How long it is tried.
pub(super) fn too_old(notice: &Notice) -> SignedDuration {
    match &notice.body {
        Body::Signal { signal, .. } if closes(signal) => END_TOO_OLD,
        Body::Signal { .. }
        | Body::Card(_)
        | Body::Reply(_)
        | Body::Files { .. }
        | Body::GitHub(_) => TOO_OLD,
    }
}

/// Whether it may hear of the end of what it has never heard of.
pub(super) fn takes_any_end(who: &Recipient) -> bool {
    match who {
        // Resolving a key that it does not know makes nothing.
        Recipient::PagerDuty(_) => true,
        Recipient::Slack(_)
        | Recipient::Webhook(_)
        | Recipient::Email(_)
        | Recipient::GitHub(_) => false,
    }
}

/// Whether it ends what a recipient has heard of, and means nothing to one who has not.
pub(super) fn closes(signal: &Signal) -> bool {
    match signal.turn {
        Turn::Resolved | Turn::Closed => true,
        Turn::Opened
        | Turn::Called
        | Turn::Acknowledged { .. }
        | Turn::NeedsHelp
        | Turn::RolledBack { .. } => false,
    }
}

/// 1 s, 2 s, 4 s ... up to five minutes.
pub(super) fn pause_after(attempts: u32) -> SignedDuration {
    SignedDuration::from_secs(1_i64 << attempts.min(9)).min(LONGEST_OF_LETTERS)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Tone, WatchId};

    /// A reply of that time.
    pub fn said(at: Timestamp) -> Notice {
        let reply = Reply {
            tone: Tone::Bad,
            headline: "SEV2: deployguard is rolling back".to_owned(),
            fields: Vec::new(),
            lines: Vec::new(),
            code: Vec::new(),
            broadcast: false,
            page: false,
            mentions: Vec::new(),
            offers: Vec::new(),
        };
        let watch = WatchId::typed("w");
        Notice { watch, key: "w/1".to_owned(), at, body: Body::Reply(reply) }
    }

    #[test]
    fn a_reply_that_comes_late_says_of_when_it_is() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let read = |later: i64| match dated(&said(at(600)), at(600 + later)).body {
            Body::Reply(reply) => reply.headline,
            Body::Card(_) | Body::Files { .. } | Body::Signal { .. } | Body::GitHub(_) => {
                String::new()
            }
        };
        assert_eq!(read(60), "SEV2: deployguard is rolling back");
        assert_eq!(read(61), "00:10:00 UTC: SEV2: deployguard is rolling back");
        let of_yesterday = "1970-01-01 00:10:00 UTC: SEV2: deployguard is rolling back";
        assert_eq!(read(24 * 3600), of_yesterday);
    }

    #[test]
    fn pauses_double_up_to_five_minutes() {
        assert_eq!(pause_after(0), SignedDuration::from_secs(1));
        assert_eq!(pause_after(3), SignedDuration::from_secs(8));
        assert_eq!(pause_after(60), LONGEST_OF_LETTERS);
    }
}
