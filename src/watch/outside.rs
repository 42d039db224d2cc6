//! What others say of a deployment: alerts, which decide nothing, and who went through the
//! gate for it.

use jiff::Timestamp;

use super::{Said, Watch};
use crate::model::{Alert, GateOverride, Reply, Tone};

/// Alerts that one watch keeps.
const MOST: usize = 20;

impl Watch {
    /// An alert fires, or is over. It is in the timeline, and in the thread while an
    /// incident is open.
    pub(super) fn alerted(&mut self, alert: &Alert, now: Timestamp, said: &mut Said) {
        if !self.alert_is_news(alert) {
            return;
        }
        let known = self.alerts.iter().position(|known| known.fingerprint == alert.fingerprint);
        if let Some(known) = known {
            self.alerts[known] = alert.clone();
        } else if self.alerts.len() < MOST {
            self.alerts.push(alert.clone());
        } else {
            if self.told.insert("alerts".to_owned()) {
                self.note(now, format!("more than {MOST} alerts: the others are not shown"));
            }
            return;
        }
        if !self.has_open_incident() {
            self.note(now, alert.words());
            return;
        }
        let summary = alert.summary.clone().into_iter().collect();
        let reply = Reply {
            tone: if alert.ended.is_some() { Tone::Good } else { Tone::Quiet },
            headline: sentence(&alert.words()),
            fields: Vec::new(),
            lines: summary,
            code: Vec::new(),
            broadcast: false,
            page: false,
            mentions: Vec::new(),
            offers: Vec::new(),
        };
        self.reply(now, reply, said);
    }

    /// Whether the alert says something that the watch does not know.
    pub fn alert_is_news(&self, alert: &Alert) -> bool {
        let known = self.alerts.iter().find(|known| known.fingerprint == alert.fingerprint);
        known.map_or(alert.ended.is_none(), |known| known.differs(alert))
    }

    /// The alerts that fire, one a line.
    pub(super) fn firing(&self) -> impl Iterator<Item = String> {
        self.alerts.iter().filter(|alert| alert.ended.is_none()).map(Alert::words)
    }

    /// Somebody had this deployed although the gate said no.
    pub(super) fn went_through(&mut self, over: &GateOverride, now: Timestamp, said: &mut Said) {
        let topic = format!("override {}", over.id);
        let reply = |_: &Watch| {
            let via = over.via.as_ref().map(|via| format!(" (by the token {via})"));
            let by = format!("{}{}", over.by, via.unwrap_or_default());
            let was = over.reasons.iter().map(|reason| format!("The gate said: {}", reason.words));
            Reply {
                tone: Tone::Warn,
                headline: format!("Deployed through the gate: {by} overrode it: {}", over.reason),
                fields: Vec::new(),
                lines: was.collect(),
                code: Vec::new(),
                broadcast: false,
                page: false,
                mentions: Vec::new(),
                offers: Vec::new(),
            }
        };
        self.reply_once(&topic, now, reply, said);
    }
}

/// As a line of its own begins.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}
