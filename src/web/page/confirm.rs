//! What a person is asked before something is done: exactly what will be called.

use axum::http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};

use super::brief::Brief;
use super::card;
use super::parts;
use super::who::Person;
use crate::engine::Foreseen;
use crate::model::{Command, Offer};
use crate::web::problem::Problem;

/// The question about one offer. `foreseen`: of a rollback; `key`: of what this one form does,
/// so that it is done once however often the form is sent.
pub fn confirm(
    brief: &Brief,
    offer: &Offer,
    foreseen: Option<&Foreseen>,
    (person, key): (&Person, &str),
) -> Markup {
    let view = &brief.view;
    let address = parts::address(&view.id);
    let title = offer
        .confirm
        .as_ref()
        .map_or_else(|| format!("{}?", offer.label), |confirm| confirm.title.clone());
    let yes = offer.confirm.as_ref().map_or(offer.label.as_str(), |confirm| confirm.yes.as_str());
    let blocked = foreseen.is_some_and(|seen| !seen.obstacles.is_empty());
    html! {
        h1 { (title) }
        p { a href=(address) { (card::title_of(view)) } ": " (view.status) }
        div.said.(parts::tone(brief.tone)) {
            @if let Some(confirm) = &offer.confirm { p { (confirm.text) } }
            @if let Some(seen) = foreseen { (call(seen)) }
            @if let Some(words) = without_a_call(offer.command) { p { (words) } }
        }
        @if !blocked {
            form.confirm method="post" action={ (address) "/act/" (offer.command.as_str()) } {
                input type="hidden" name="form_token" value=(person.form_token);
                input type="hidden" name="key" value=(key);
                input type="hidden" name="incident" value=(offer.incident);
                input type="hidden" name="returns" value=(offer.spell);
                @if let Some(target) = &offer.target { input type="hidden" name="target" value=(target); }
                @if !offer.times.is_empty() {
                    label {
                        "Hold "
                        select name="until" {
                            @for (index, time) in offer.times.iter().enumerate() {
                                option value=(time.value()) selected[index + 1 == offer.times.len()] { (time.label) }
                            }
                        }
                    }
                }
                label { "Why (others read it) " input type="text" name="reason" maxlength="300"; }
                p.buttons {
                    button.urged type="submit" { (yes) }
                    a.button href=(address) { "Leave it" }
                }
                p.quiet.small { "It is written down with the name " (person.caller.name) "." }
            }
        } @else {
            p { a.button href=(address) { "Back" } }
        }
    }
}

fn call(seen: &Foreseen) -> Markup {
    html! {
        dl.fields {
            @if let Some(route) = &seen.route { dt { "Will be called" } dd { (route) } }
            @if let Some(target) = &seen.target { dt { "Back to" } dd { (target) } }
            @if let Some(because) = &seen.because { dt { "Because" } dd { (because) } }
        }
        @if let Some(why) = &seen.unasked {
            p {
                strong { "What will be called could not be looked up now: " } (why)
                ". The guard looks again before it acts, and does nothing that is refused then."
            }
        }
        @if !seen.not_restored.is_empty() {
            p { "What this does not bring back:" }
            ul { @for line in &seen.not_restored { li { (line) } } }
        }
        @if !seen.obstacles.is_empty() {
            p { strong { "Nothing would be done:" } }
            ul { @for line in &seen.obstacles { li { (line) } } }
        }
    }
}

/// What is done where no platform is called.
fn without_a_call(command: Command) -> Option<&'static str> {
    match command {
        Command::Ack => Some(
            "Others see that you have it in hand, and nobody further is called. Nothing is \
             called at the platform, and what is decided by the policy goes on.",
        ),
        Command::Hold => {
            Some("The decision waits longer, once. Nothing is called at the platform until then.")
        }
        Command::Resume => Some(
            "The decision's time goes on as if nobody had held it; what is over by then follows \
             at once.",
        ),
        Command::Rollback | Command::Cancel => None,
    }
}

/// The offer of this command among those that there are.
pub fn offered(brief: &Brief, command: Command) -> Option<&Offer> {
    brief.offers.iter().find(|offer| offer.command == command)
}

/// How long a hold lasts from now, from what was chosen; `None`: as long as the policy lets it.
///
/// # Errors
/// That time is over.
pub fn hold_for(until: Option<Timestamp>, now: Timestamp) -> Result<Option<String>, Problem> {
    let Some(until) = until else { return Ok(None) };
    if until <= now {
        return Err(Problem::new(StatusCode::CONFLICT, "that time is over"));
    }
    Ok(Some(format!("{}s", until.duration_since(now).as_secs().max(1))))
}
