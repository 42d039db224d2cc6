//! What can be pressed.

use slack_morphism::prelude::*;

use super::{BLOCK_ID, plain};
use crate::model::{About, Command, Offer, WatchId};
use crate::notify::slack::text::line;

/// Slack takes 25; a watch offers five things at most, one of them with times.
const OFFERS: usize = 5;
const LABEL: usize = 75;
const VALUE: usize = 2000;
const TITLE: usize = 100;
const TEXT: usize = 300;
const YES: usize = 30;
/// Slack takes 100; all of a message's words have a bound too.
const CHOICES: usize = 12;
const CHOICE: usize = 40;

/// A row of buttons. A select has no value of its own, so the block carries what it is
/// about.
pub(super) fn block(watch: &WatchId, offers: &[Offer]) -> Option<SlackBlock> {
    let about = offers.first().map(|offer| About::of(watch, offer))?;
    let about = About { target: None, ..about }.to_string();
    let block_id = (about.chars().count() <= BLOCK_ID).then_some(about);
    let select =
        offers.iter().position(|offer| !offer.times.is_empty()).filter(|_| block_id.is_some());
    let fits = |(index, offer): &(usize, &Offer)| offer.times.is_empty() || Some(*index) == select;
    let shown = offers.iter().enumerate().filter(fits).take(OFFERS).map(|(_, offer)| offer);
    let elements: Vec<_> = shown.filter_map(|offer| element(watch, offer)).collect();
    if elements.is_empty() {
        return None;
    }
    Some(SlackActionsBlock::new(elements).opt_block_id(block_id.map(Into::into)).into())
}

fn element(watch: &WatchId, offer: &Offer) -> Option<SlackActionBlockElement> {
    let action = SlackActionId::new(format!("deployguard.{}", offer.command.as_str()));
    let label = or(line(&offer.label, LABEL), offer.command.as_str());
    if !offer.times.is_empty() {
        return Some(select(action, label, offer).into());
    }
    let value = About::of(watch, offer).to_string();
    if value.chars().count() > VALUE {
        return None;
    }
    let style = match offer.command {
        Command::Rollback if offer.urged => Some(SlackBlockButtonStyle::Danger),
        Command::Ack => Some(SlackBlockButtonStyle::Primary),
        Command::Rollback | Command::Hold | Command::Resume | Command::Cancel => None,
    };
    let button = SlackBlockButtonElement::new(plain(label).into())
        .with_action_id(action)
        .with_value(value)
        .opt_style(style)
        .opt_confirm(confirm(offer));
    Some(button.into())
}

fn select(action: SlackActionId, label: String, offer: &Offer) -> SlackBlockStaticSelectElement {
    // The longest comes last, and must not be what is cut.
    let skipped = offer.times.len().saturating_sub(CHOICES);
    let choices = offer.times.iter().skip(skipped).map(|time| {
        let label = plain(or(line(&time.label, CHOICE), "–"));
        SlackBlockChoiceItem::new(label.into(), time.value())
    });
    SlackBlockStaticSelectElement::new()
        .with_action_id(action)
        .with_placeholder(plain(label).into())
        .with_options(choices.collect())
        .opt_confirm(confirm(offer))
}

/// Plain text: nothing in it formats.
fn confirm(offer: &Offer) -> Option<SlackBlockConfirmItem> {
    let confirm = offer.confirm.as_ref()?;
    let [title, text, yes] = [(&confirm.title, TITLE), (&confirm.text, TEXT), (&confirm.yes, YES)]
        .map(|(words, max)| or(line(words, max), "–"));
    let text = plain(text).as_block_text();
    let item = SlackBlockConfirmItem::new(
        plain(title).into(),
        text,
        plain(yes).into(),
        plain("Back".to_owned()).into(),
    );
    let dangerous = matches!(offer.command, Command::Rollback);
    Some(item.opt_style(dangerous.then(|| "danger".to_owned())))
}

/// Slack takes no empty text.
fn or(words: String, instead: &str) -> String {
    if words.is_empty() { instead.to_owned() } else { words }
}
