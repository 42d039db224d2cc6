//! Messages to people: their delivery, what waits, and the connection that presses come by.

use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::Metrics;
use super::make::Maker;
use crate::engine::Tried;
use crate::model::Way;
use crate::store::{Letterbox, StoreError};

pub(super) struct Messages {
    deliveries: IntCounterVec,
    waiting: IntGaugeVec,
    oldest: IntGaugeVec,
    /// No series until a connection is wanted.
    sockets: IntGaugeVec,
    connects: IntCounterVec,
}

const DELIVERIES: [&str; 4] = ["delivered", "again", "given_up", "store_error"];

const NONE: &[&str] = &[];

impl Messages {
    pub fn made(make: &mut Maker) -> Result<Self, prometheus::Error> {
        let oldest = "Age of the oldest message that waits; 0 when none does.";
        let sockets =
            "Connections of Slack's Socket Mode: 1, 2 while one is replaced, 0 when none is.";
        let connects = "Tries to open a connection of Slack's Socket Mode.";
        let messages = Self {
            deliveries: make.counters(
                "notification_deliveries_total",
                "Tries to deliver a message.",
                &["channel", "result"],
            )?,
            waiting: make.gauges(
                "outbox_messages",
                "Messages not delivered.",
                &["channel", "status"],
            )?,
            oldest: make.gauges("outbox_oldest_seconds", oldest, &["channel"])?,
            sockets: make.gauges("slack_socket_connected", sockets, &[])?,
            connects: make.counters("slack_socket_connects_total", connects, &["result"])?,
        };
        for way in Way::ALL.map(Way::as_str) {
            for result in DELIVERIES {
                messages.deliveries.with_label_values(&[way, result]).inc_by(0);
            }
        }
        Ok(messages)
    }
}

impl Metrics {
    pub fn delivered(&self, way: Way, tried: &Result<Tried, StoreError>) {
        let result = match tried {
            Ok(Tried::Delivered) => "delivered",
            Ok(Tried::Again) => "again",
            Ok(Tried::GivenUp) => "given_up",
            Err(_) => "store_error",
        };
        self.messages.deliveries.with_label_values(&[way.as_str(), result]).inc();
    }

    /// What waits, as it was found at `now`. `leads`: whether this process leads still; what
    /// waits is another's to tell where it doesn't.
    pub fn letterboxes(
        &self,
        letterboxes: &[Letterbox],
        now: Timestamp,
        leads: impl FnOnce() -> bool,
    ) {
        // Asked under the lock: after the end of a tenure nothing is shown again.
        let _still = self.still();
        if !leads() {
            return;
        }
        for letterbox in letterboxes {
            let way = letterbox.way.as_str();
            let Letterbox { pending, undeliverable, unreadable, oldest, .. } = letterbox;
            let counts = [
                ("pending", pending),
                ("undeliverable", undeliverable),
                ("unreadable", unreadable),
            ];
            for (status, count) in counts {
                self.messages.waiting.with_label_values(&[way, status]).set(i64::from(*count));
            }
            let age = oldest.map_or(0, |oldest| now.duration_since(oldest).as_secs());
            self.messages.oldest.with_label_values(&[way]).set(age.max(0));
        }
    }

    /// What waits is not known here.
    pub(super) fn no_letterboxes(&self) {
        let _still = self.still();
        self.messages.waiting.reset();
        self.messages.oldest.reset();
    }

    /// Connections of Socket Mode: so many more, or fewer, than before.
    pub fn slack_sockets(&self, more: i64) {
        self.messages.sockets.with_label_values(NONE).add(more);
    }

    /// A try to open one; `None`: none yet, but there will be.
    pub fn slack_connected(&self, good: Option<bool>) {
        for (result, is) in [("ok", true), ("failed", false)] {
            let tries = self.messages.connects.with_label_values(&[result]);
            tries.inc_by(u64::from(good == Some(is)));
        }
    }
}
