//! The deployment's one message.

use std::cmp::Reverse;

use slack_morphism::prelude::*;

use super::reply::fields;
use super::{TEXT, bold, emoji, fit, markdown, plain, tone_emoji};
use crate::model::{Card, Health, Tile, Trend, Verdict};
use crate::notify::slack::text::{line, link, mrkdwn};

const UNTITLED: &str = "Deployment";
const TITLE: usize = 150;
const STATUS: usize = 300;
const ABOUT: usize = 120;
/// A context block has ten elements; one is kept for the link.
const ABOUTS: usize = 9;
const URL: usize = 1000;
const FOOTER: usize = 300;
/// The template has six fields.
const TEMPLATE: usize = 6;
/// What a section's fields hold; a box has two sections at most.
const FIELDS: usize = 10;
const TILES: usize = 20;
const TILES_CHARS: usize = 3000;
const NAME: usize = 60;
const VALUE: usize = 100;
const NOTE: usize = 80;
const HEADS: usize = 3;
const HEALTH: usize = 16;
const HEALTH_CHARS: usize = 1000;
const WHY: usize = 80;

pub(super) fn text(card: &Card) -> String {
    let title = if card.title.trim().is_empty() { UNTITLED } else { &card.title };
    let words = mrkdwn(&format!("{title}: {}", card.status), TEXT);
    format!(":{}: {words}", tone_emoji(card.tone))
}

pub(super) fn blocks(card: &Card, mark: &str) -> Vec<SlackBlock> {
    let mut blocks = vec![header(card, mark), status(card)];
    blocks.extend(fields(card.incident.get(..TEMPLATE).unwrap_or(&card.incident)));
    blocks.extend(head(card));
    blocks.extend(tiles(&card.tiles));
    blocks.extend(health(&card.health));
    blocks.extend(context(card));
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

/// "Version v1.5.0 · Deployed 2024-01-15 10:30 UTC".
fn head(card: &Card) -> Option<SlackBlock> {
    let mut elements: Vec<SlackRichTextInlineElement> = Vec::new();
    for (label, value) in card.head.iter().take(HEADS) {
        let between = if elements.is_empty() { "" } else { "     " };
        elements.push(format!("{between}{}: ", line(label, NAME)).into());
        elements.push(bold(or_dash(line(value, VALUE))));
    }
    let section = SlackRichTextSection::new(elements);
    (!card.head.is_empty()).then(|| SlackRichTextBlock::new(vec![section.into()]).into())
}

/// Two columns. Where there are too many, the worst are kept.
fn tiles(tiles: &[Tile]) -> Vec<SlackBlock> {
    let mut worst: Vec<(usize, &Tile)> = tiles.iter().enumerate().collect();
    worst.sort_by_key(|(_, tile)| Reverse(urgency(tile.verdict)));
    let sized = worst.into_iter().map(|(index, one)| {
        let words = tile(one);
        (words.chars().count(), (index, words))
    });
    let (mut kept, left) = fit(sized.collect(), TILES, TILES_CHARS);
    kept.sort_unstable();
    let mut blocks: Vec<SlackBlock> = kept
        .chunks(FIELDS)
        .map(|some| {
            let fields = some.iter().map(|(_, words)| markdown(words.clone()).as_block_text());
            SlackSectionBlock::new().with_fields(fields.collect()).into()
        })
        .collect();
    if left > 0 {
        let words = plain(format!("and {left} more"));
        blocks.push(SlackContextBlock::new(vec![words.into()]).into());
    }
    blocks
}

/// "*error rate*", "0.05%", "▼ -20% (before 0.06%)".
fn tile(tile: &Tile) -> String {
    let name = or_dash(mrkdwn(&tile.name, NAME));
    let loud = matches!(tile.verdict, Verdict::Breach | Verdict::Elevated);
    let mut words = match verdict_emoji(tile.verdict) {
        Some(emoji) => format!(":{emoji}: *{name}*"),
        None => format!("*{name}*"),
    };
    let value = or_dash(mrkdwn(&tile.value, VALUE));
    let star = if loud { "*" } else { "" };
    words.extend(["\n", star, &value, star]);
    let trend = tile.trend.map_or("", arrow);
    let note = mrkdwn(&tile.note, NOTE);
    let mut rest: Vec<String> = Vec::new();
    let told = format!("{trend} {note}");
    rest.extend((!told.trim().is_empty()).then(|| told.trim().to_owned()));
    // Only of what is outside it does the limit matter at a glance.
    rest.extend(loud.then(|| mrkdwn(&tile.limits, VALUE)).filter(|limits| !limits.is_empty()));
    for line in rest {
        words.push('\n');
        words.push_str(&line);
    }
    words
}

fn arrow(trend: Trend) -> &'static str {
    match trend {
        Trend::Up => "▲",
        Trend::Down => "▼",
        Trend::Flat => "→",
    }
}

/// "Health   ✓ api   ✗ database (3 failures)". What is not well comes first.
fn health(health: &[Health]) -> Option<SlackBlock> {
    let mut worst: Vec<&Health> = health.iter().collect();
    worst.sort_by_key(|one| match one.well {
        Some(false) => 0,
        None => 1,
        Some(true) => 2,
    });
    let sized = worst.into_iter().map(|one| {
        let sign = match one.well {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        let name = or_dash(line(&one.name, NAME));
        let why = one.why.as_deref().map(|why| line(why, WHY)).filter(|why| !why.is_empty());
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let words = format!("   {sign} {name}{why}");
        (words.chars().count(), (one.well, words))
    });
    let (kept, left) = fit(sized.collect(), HEALTH, HEALTH_CHARS);
    let mut elements: Vec<SlackRichTextInlineElement> = vec!["Health:".to_owned().into()];
    elements.extend(kept.into_iter().map(|(well, words)| match well {
        Some(false) => bold(words),
        Some(true) | None => words.into(),
    }));
    if left > 0 {
        elements.push(format!("   and {left} more").into());
    }
    let section = SlackRichTextSection::new(elements);
    (!health.is_empty()).then(|| SlackRichTextBlock::new(vec![section.into()]).into())
}

fn or_dash(words: String) -> String {
    if words.is_empty() { "–".to_owned() } else { words }
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

/// They differ in shape, not only in colour. What is well needs none.
fn verdict_emoji(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Breach => Some("x"),
        Verdict::Elevated => Some("warning"),
        Verdict::NoData => Some("grey_question"),
        Verdict::LowTraffic => Some("white_circle"),
        Verdict::Healthy => None,
    }
}
