//! What comes from outside the guard: alerts about services, and people who go through the
//! gate.

use jiff::Timestamp;

use super::handle::{EngineHandle, Input, Refused};
use super::step::Step;
use crate::model::{Alert, GateOverride, WatchId};
use crate::store::Write;
use crate::watch::{Event, Watch};

impl EngineHandle {
    /// Keeps that somebody goes through the gate. Returns once it is durable.
    pub async fn go_through(&self, over: GateOverride) -> Result<(), Refused> {
        let over = Box::new(over);
        self.call(|reply| Input::GoThrough { over, reply }).await
    }

    /// Takes alerts in. Returns once they are durable.
    pub async fn hear_alerts(&self, alerts: Vec<Alert>) -> Result<(), Refused> {
        self.call(|reply| Input::Alerts { alerts, reply }).await
    }
}

impl Step<'_> {
    /// An alert is kept, and told to the service's open watches if it is news.
    pub(super) fn hear_alert(&mut self, alert: &Alert) {
        self.write(Write::Alert(alert.clone()));
        let watches: Vec<WatchId> = self.of(&alert.service).iter().map(|w| w.id.clone()).collect();
        for id in watches {
            let is_news = self.watch(&id).is_some_and(|watch| watch.alert_is_news(alert));
            if is_news && let Err(why) = self.deliver(&id, Event::Alerted(Box::new(alert.clone())))
            {
                tracing::error!(watch = %id, %why, "an alert could not be told");
            }
        }
    }

    /// Finds the deployments for which somebody went through the gate, and says so there.
    pub(super) fn bind_overrides(&mut self, now: Timestamp) {
        for over in self.overrides_in_force(now) {
            let is_it = |watch: &&Watch| {
                let deployment = &watch.deployment;
                watch.opened_at >= over.at
                    && (over.named.is_nothing()
                        || over.named.means(&deployment.facts, deployment.revision.as_ref()))
            };
            let found = self.of(&over.service).into_iter().filter(is_it);
            let Some(id) = found.map(|watch| watch.id.clone()).next() else { continue };
            let bound = GateOverride { watch: Some(id.clone()), ..over };
            match self.deliver(&id, Event::WentThrough(Box::new(bound.clone()))) {
                Ok(()) => self.keep_override(bound),
                Err(why) => tracing::error!(watch = %id, %why, "an override could not be told"),
            }
        }
    }
}
