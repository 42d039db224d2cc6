//! The deployment's one message.

use std::cmp::Reverse;

use slack_morphism::prelude::*;

use super::{TEXT, bold, emoji, fit, markdown, plain, tone_emoji};
use crate::model::{Card, CardCheck, Verdict};
use crate::notify::slack::text::{line, link, mrkdwn};

const UNTITLED: &str = "Deployment";
const TITLE: usize = 150;
const STATUS: usize = 300;
const ABOUT: usize = 200;
/// A context block has ten elements; one is kept for the link.
const ABOUTS: usize = 9;
const URL: usize = 1000;
const FOOTER: usize = 300;
const CHECKS: usize = 24;
const CHECKS_CHARS: usize = 4000;

pub(super) fn text(card: &Card) -> String {
    let title = if card.title.trim().is_empty() { UNTITLED } else { &card.title };
    let words = mrkdwn(&format!("{title}: {}", card.status), TEXT);
    format!(":{}: {words}", tone_emoji(card.tone))
}

pub(super) fn blocks(card: &Card, mark: &str) -> Vec<SlackBlock> {
    let mut blocks = vec![header(card, mark), status(card)];
    blocks.extend(context(card));
    blocks.extend(checks(&card.checks));
    if !card.footer.trim().is_empty() {
        let footer = plain(line(&card.footer, FOOTER));
        blocks.push(SlackContextBlock::new(vec![footer.into()]).into());
    }
    blocks
}

fn header(card: &Card, mark: &str) -> SlackBlock {
    let title = line(&card.title, TITLE);
    let title = if title.is_empty() { UNTITLED.to_owned() } else { title };
    SlackHeaderBlock::new(plain(title).into()).with_block_id(mark.into()).into()
}

fn status(card: &Card) -> SlackBlock {
    let words = bold(format!("  {}", line(&card.status, STATUS)));
    let section = SlackRichTextSection::new(vec![emoji(tone_emoji(card.tone)), words]);
    SlackRichTextBlock::new(vec![section.into()]).into()
}

fn context(card: &Card) -> Option<SlackBlock> {
    let link = card.url.as_deref().and_then(|url| link(url, URL)).map(|link| {
        SlackContextBlockElement::MarkDown(markdown(format!(
            "<{}|Open on {}>",
            link.target, link.host
        )))
    });
    let elements: Vec<_> = card
        .about
        .iter()
        .map(|about| line(about, ABOUT))
        .filter(|about| !about.is_empty())
        .take(ABOUTS)
        .map(|about| SlackContextBlockElement::Plain(plain(about)))
        .chain(link)
        .collect();
    (!elements.is_empty()).then(|| SlackContextBlock::new(elements).into())
}

/// The worst come first, so that the end of a long list is what gets cut.
fn checks(checks: &[CardCheck]) -> Option<SlackBlock> {
    let mut ordered: Vec<&CardCheck> = checks.iter().collect();
    ordered.sort_by_key(|check| Reverse(urgency(check.verdict)));
    let lines = ordered.into_iter().map(check).collect();
    let (mut sections, left) = fit(lines, CHECKS, CHECKS_CHARS);
    if left > 0 {
        sections.push(SlackRichTextSection::from(format!("and {left} more")));
    }
    let elements: Vec<_> = sections.into_iter().map(SlackRichTextElement::from).collect();
    (!elements.is_empty()).then(|| SlackRichTextBlock::new(elements).into())
}

fn check(check: &CardCheck) -> (usize, SlackRichTextSection) {
    let loud = matches!(check.verdict, Verdict::Breach | Verdict::Elevated);
    let name = format!("  {}  ", line(&check.name, 80));
    let value = line(&check.value, 120);
    let mut rest = String::new();
    // What it was before says more at a glance than the limits do.
    for part in [line(check.baseline.as_deref().unwrap_or(""), 80), line(&check.limits, 160)] {
        if !part.is_empty() {
            rest.push_str("  ·  ");
            rest.push_str(&part);
        }
    }
    let size = [&name, &value, &rest].iter().map(|part| part.chars().count()).sum::<usize>();
    let mut elements = vec![emoji(verdict_emoji(check.verdict))];
    elements.push(if loud { bold(name) } else { name.into() });
    if !value.is_empty() {
        elements.push(if check.verdict.is_measured() { bold(value) } else { value.into() });
    }
    if !rest.is_empty() {
        elements.push(rest.into());
    }
    (size, SlackRichTextSection::new(elements))
}

fn urgency(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Breach => 4,
        Verdict::Elevated => 3,
        Verdict::NoData => 2,
        Verdict::LowTraffic => 1,
        Verdict::Healthy => 0,
    }
}

/// They differ in shape, not only in colour.
fn verdict_emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Breach => "x",
        Verdict::Elevated => "warning",
        Verdict::NoData => "grey_question",
        Verdict::LowTraffic => "white_circle",
        Verdict::Healthy => "white_check_mark",
    }
}
