//! A notice as a Slack message. Pure.
//!
//! Words from outside stand in `plain_text` and `rich_text`, which Slack does
//! not parse; the few that must stand in mrkdwn are escaped. Every part has its
//! own bound, small enough that the sum stays inside Slack's.

mod card;
mod offers;
mod reply;

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};
use slack_morphism::prelude::*;

use super::text;
use crate::model::{Body, Notice, Tone};

/// `event_type` of every message's metadata.
pub const EVENT_TYPE: &str = "deployguard";

/// What Slack takes as a block id.
const BLOCK_ID: usize = 255;
/// The text in front of the blocks: notifications and screen readers show it.
const TEXT: usize = 600;

/// The message for a notice. `mentions` are ids of people (U, W) and groups (S),
/// used where a reply pages; others are left out. `buttons`: whether what is offered
/// can be pressed.
pub fn message(notice: &Notice, mentions: &[String], buttons: bool) -> SlackMessageContent {
    let mark = mark(&notice.key);
    let (text, mut blocks) = match &notice.body {
        Body::Card(card) => (card::text(card), card::blocks(card, &mark)),
        Body::Reply(reply) => (reply::text(reply, mentions), reply::blocks(reply, mentions, &mark)),
        Body::Files { charts, .. } => (text::mrkdwn(&charts.join(", "), TEXT), Vec::new()),
        Body::Signal { signal, .. } => (text::mrkdwn(&signal.headline, TEXT), Vec::new()),
        Body::GitHub(note) => (text::mrkdwn(note.words(), TEXT), Vec::new()),
    };
    if buttons {
        let offers = match &notice.body {
            Body::Card(card) => card.offers.as_slice(),
            Body::Reply(reply) => reply.offers.as_slice(),
            Body::Signal { .. } | Body::Files { .. } | Body::GitHub(_) => &[],
        };
        blocks.extend(offers::block(&notice.watch, offers));
    }
    let payload = [("key", mark), ("watch", text::line(notice.watch.as_str(), BLOCK_ID))]
        .map(|(name, value)| (name.to_owned(), value));
    SlackMessageContent::new().with_text(text).with_blocks(blocks).with_metadata(
        SlackMessageMetadata::new(EVENT_TYPE.to_owned()).with_event_payload(payload.into()),
    )
}

/// What a message is recognised by: the notice's key, shortened where it is
/// longer than a block id may be, and still unique then.
pub fn mark(key: &str) -> String {
    let short = text::line(key, BLOCK_ID);
    if short == key {
        return short;
    }
    let digest = Sha256::digest(key);
    let tail: [u8; 8] = std::array::from_fn(|i| digest[i]);
    format!("{}-{:016x}", text::line(key, 200), u64::from_be_bytes(tail))
}

fn tone_emoji(tone: Tone) -> &'static str {
    match tone {
        Tone::Quiet => "mag",
        Tone::Good => "white_check_mark",
        Tone::Warn => "warning",
        Tone::Bad => "rotating_light",
    }
}

fn emoji(name: &str) -> SlackRichTextInlineElement {
    SlackRichTextEmoji::new(name.into()).into()
}

fn bold(words: impl Into<String>) -> SlackRichTextInlineElement {
    SlackRichTextText::new(words.into()).bold().into()
}

fn plain(words: String) -> SlackBlockPlainText {
    SlackBlockPlainText::new(words).with_emoji(false)
}

/// Mrkdwn of ours, in which Slack looks for nothing by itself.
fn markdown(words: String) -> SlackBlockMarkDownText {
    SlackBlockMarkDownText::new(words).with_verbatim(true)
}

/// As many of `lines` as fit, and how many are left over.
fn fit<T>(lines: Vec<(usize, T)>, max_lines: usize, max_chars: usize) -> (Vec<T>, usize) {
    let count = lines.len();
    let mut room = max_chars;
    let kept: Vec<T> = lines
        .into_iter()
        .take(max_lines)
        .map_while(|(size, line)| {
            room = room.checked_sub(size)?;
            Some(line)
        })
        .collect();
    let left = count - kept.len();
    (kept, left)
}
