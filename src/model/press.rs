//! What people can do to a watch, as it is offered to them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::WatchId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Seen; stops escalation only.
    Ack,
    /// A fix is on the way: stops the timer, once, for a time that the policy bounds.
    Hold,
    /// The timer goes on as if nobody had held it.
    Resume,
    /// Put the target back now.
    Rollback,
    /// Watch no longer.
    Cancel,
}

impl Command {
    pub const ALL: [Self; 5] = [Self::Ack, Self::Hold, Self::Resume, Self::Rollback, Self::Cancel];

    /// Its name in addresses and in what a button carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Hold => "hold",
            Self::Resume => "resume",
            Self::Rollback => "rollback",
            Self::Cancel => "cancel",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.as_str() == name)
    }
}

/// Something that a person can do now, as it is shown to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub command: Command,
    /// "Approve the rollback".
    pub label: String,
    /// What the open incident called for.
    #[serde(default)]
    pub urged: bool,
    /// Asked before it is done; `None`: done at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Of a hold: until when it may last, the longest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<HoldTime>,
    /// The incident that it is about; 0: none is open.
    pub incident: u32,
    /// Times that the incident had come back by then.
    #[serde(default)]
    pub spell: u32,
    /// What a rollback would put in place, `family:revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What a person is asked before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    pub title: String,
    /// What will be called, of which service, from what to what.
    pub text: String,
    pub yes: String,
}

/// A time that a decision may be held until.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldTime {
    /// "until 10:49:00 UTC (5m more)".
    pub label: String,
    /// `None`: as long as the policy allows.
    pub until: Option<Timestamp>,
}

/// What a button is about: the watch, and what its message told of, so that what has changed
/// since is not acted on. Written `WATCH#INCIDENT.SPELL@TARGET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub watch: WatchId,
    /// 0: none was open.
    pub incident: u32,
    /// Times that it had come back; `None` on buttons from before that was carried.
    pub spell: Option<u32>,
    /// What a rollback would put in place.
    pub target: Option<String>,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.watch, self.incident)?;
        if let Some(spell) = self.spell {
            write!(f, ".{spell}")?;
        }
        match &self.target {
            Some(target) => write!(f, "@{target}"),
            None => Ok(()),
        }
    }
}

impl About {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn read(text: &str) -> Option<Self> {
        let (watch, seen) = text.rsplit_once('#')?;
        let (seen, target) = match seen.split_once('@') {
            Some((seen, target)) => (seen, Some(target.to_owned())),
            None => (seen, None),
        };
        let (incident, spell) = match seen.split_once('.') {
            Some((incident, spell)) => (incident, Some(spell.parse().ok()?)),
            None => (seen, None),
        };
        let incident = incident.parse().ok()?;
        let whole = !watch.is_empty() && target.as_ref().is_none_or(|target| !target.is_empty());
        whole.then(|| Self { watch: WatchId::typed(watch), incident, spell, target })
    }

    /// What an offer is about.
    pub fn of(watch: &WatchId, offer: &Offer) -> Self {
        // The watch and what was seen are told apart by the last of these.
        let target = offer.target.clone().filter(|target| !target.contains('#'));
        let (incident, spell) = (offer.incident, Some(offer.spell));
        Self { watch: watch.clone(), incident, spell, target }
    }
}

impl HoldTime {
    /// What the choice carries.
    pub fn value(&self) -> String {
        self.until.map_or("longest".to_owned(), |until| until.as_second().to_string())
    }

    /// Reads what [`HoldTime::value`] wrote: until when, `None` for the longest.
    pub fn read(value: &str) -> Option<Option<Timestamp>> {
        if value == "longest" {
            return Some(None);
        }
        Timestamp::from_second(value.parse().ok()?).ok().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_button_carries_reads_as_it_was_written() {
        let bare =
            About { watch: WatchId::typed("api#x-1a2b"), incident: 2, spell: None, target: None };
        let spelled = About { spell: Some(3), ..bare.clone() };
        let whole = About { target: Some("shop.v2_api:41".to_owned()), ..spelled.clone() };
        assert_eq!(bare.to_string(), "api#x-1a2b#2", "as buttons from before carry it");
        assert_eq!(whole.to_string(), "api#x-1a2b#2.3@shop.v2_api:41");
        for about in [bare, spelled, whole] {
            assert_eq!(About::read(&about.to_string()), Some(about));
        }
        for wrong in ["", "api", "#1", "api#", "api#-1", "api#two", "api#1.", "api#1.0@", "api#@x"]
        {
            assert_eq!(About::read(wrong), None, "{wrong}");
        }
        let time =
            HoldTime { label: String::new(), until: Timestamp::from_second(1_700_000_000).ok() };
        assert_eq!(HoldTime::read(&time.value()), Some(time.until));
        assert_eq!(HoldTime::read("longest"), Some(None));
        assert_eq!(HoldTime::read("99999999999999999"), None);
        for command in Command::ALL {
            assert_eq!(Command::named(command.as_str()), Some(command));
        }
    }
}
