//! A message in the deployment's thread.

use std::collections::BTreeSet;

use slack_morphism::prelude::*;

use super::{TEXT, bold, emoji, fit, markdown, tone_emoji};
use crate::model::Reply;
use crate::notify::slack::text::{line, mrkdwn};

const HEADLINE: usize = 300;
/// Slack's bound for one section; further fields become lines.
const FIELDS: usize = 10;
const LABEL: usize = 60;
const VALUE: usize = 300;
const LINE: usize = 300;
const LINES: usize = 24;
const LINES_CHARS: usize = 3000;
/// All of a code block is one text, of which Slack takes 3,000.
const CODE_CHARS: usize = 2000;
const MENTIONS: usize = 20;

pub(super) fn text(reply: &Reply, mentions: &[String]) -> String {
    let headline = mrkdwn(&reply.headline, TEXT);
    let text = format!(":{}: {headline}", tone_emoji(reply.tone));
    match called(reply, mentions) {
        Some(called) => format!("{text} {called}"),
        None => text,
    }
}

pub(super) fn blocks(reply: &Reply, mentions: &[String], mark: &str) -> Vec<SlackBlock> {
    let headline = bold(format!("  {}", line(&reply.headline, HEADLINE)));
    let first = SlackRichTextSection::new(vec![emoji(tone_emoji(reply.tone)), headline]);
    let first = SlackRichTextBlock::new(vec![first.into()]).with_block_id(mark.into());
    let mut blocks: Vec<SlackBlock> = vec![first.into()];
    if let Some(called) = called(reply, mentions) {
        let called = markdown(called).as_block_text();
        blocks.push(SlackSectionBlock::new().with_text(called).into());
    }
    blocks.extend(fields(&reply.fields));
    blocks.extend(lines(reply));
    blocks.extend(code(reply));
    blocks
}

/// Labels with their values, in two columns.
pub(super) fn fields(all: &[(String, String)]) -> Option<SlackBlock> {
    let fields: Vec<_> = all.iter().take(FIELDS).map(field).collect();
    (!fields.is_empty()).then(|| SlackSectionBlock::new().with_fields(fields).into())
}

fn field((label, value): &(String, String)) -> SlackBlockText {
    let label = match mrkdwn(label, LABEL) {
        label if label.is_empty() => "–".to_owned(),
        label => label,
    };
    let value = match mrkdwn(value, VALUE) {
        value if value.is_empty() => "–".to_owned(),
        value => value,
    };
    markdown(format!("*{label}*\n{value}")).as_block_text()
}

fn lines(reply: &Reply) -> Option<SlackBlock> {
    let more_fields =
        reply.fields.iter().skip(FIELDS).map(|(label, value)| format!("{label}: {value}"));
    let lines = more_fields
        .chain(reply.lines.iter().cloned())
        .map(|words| line(&words, LINE))
        .filter(|words| !words.is_empty())
        .map(|words| (words.chars().count(), words))
        .collect();
    let (mut kept, left) = fit(lines, LINES, LINES_CHARS);
    if left > 0 {
        kept.push(format!("and {left} more"));
    }
    if kept.is_empty() {
        return None;
    }
    let items = kept.into_iter().map(SlackRichTextListElement::from).collect();
    let list = SlackRichTextList::new(SlackRichTextListStyle::Bullet, items);
    Some(SlackRichTextBlock::new(vec![list.into()]).into())
}

/// What a program wrote, as it wrote it: Slack reads nothing in a preformatted text. The last
/// lines matter most.
fn code(reply: &Reply) -> Option<SlackBlock> {
    let newest_first = reply.code.iter().rev().map(|words| line(words, LINE));
    let lines = newest_first.map(|words| (words.chars().count() + 1, words)).collect();
    let (mut kept, _) = fit(lines, LINES, CODE_CHARS);
    if kept.iter().all(String::is_empty) {
        return None;
    }
    kept.reverse();
    let text = SlackRichTextText::new(kept.join("\n"));
    let text = SlackRichTextPreformatted::new(vec![text.into()]);
    Some(SlackRichTextBlock::new(vec![text.into()]).into())
}

/// Who is called, as mrkdwn: the one place that may ping.
fn called(reply: &Reply, mentions: &[String]) -> Option<String> {
    let paged = mentions.iter().filter(|_| reply.page);
    let ids: BTreeSet<&String> = paged.chain(&reply.mentions).collect();
    let called: Vec<_> = ids.into_iter().filter_map(|id| mention(id)).take(MENTIONS).collect();
    (!called.is_empty()).then(|| called.join(" "))
}

fn mention(id: &str) -> Option<String> {
    let is_id = (2..=20).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    match id.bytes().next() {
        Some(b'S') if is_id => Some(format!("<!subteam^{id}>")),
        Some(b'U' | b'W') if is_id => Some(format!("<@{id}>")),
        _ => None,
    }
}
