//! What people could do now, with the words that they are asked before it is done.

use jiff::{SignedDuration, Timestamp};

use super::words::clock;
use super::{Stage, Watch};
use crate::model::{
    Command, Confirm, Controller, HoldTime, Mode, Offer, RollOut, RollbackPlan, Route, Sighting,
};

/// Times that a decision may be held for, as far as the policy lets it.
const MINUTES: [i64; 8] = [5, 10, 15, 30, 60, 120, 240, 480];

impl Watch {
    /// What would be taken now.
    pub fn offers(&self, now: Timestamp) -> Vec<Offer> {
        if !self.is_open() {
            return Vec::new();
        }
        let offers = [
            self.offers_rollback(now),
            self.offers_ack(),
            self.offers_hold(),
            self.offers_resume(),
            self.offers_cancel(),
        ];
        offers.into_iter().flatten().collect()
    }

    fn offer(&self, command: Command, label: &str) -> Offer {
        Offer {
            command,
            label: label.to_owned(),
            urged: false,
            confirm: None,
            times: Vec::new(),
            incident: self.open_incident().map_or(0, |incident| incident.number),
            spell: self.open_incident().map_or(0, |incident| incident.returns),
            target: None,
        }
    }

    fn offers_ack(&self) -> Option<Offer> {
        let unseen = self.open_incident()?.acked.as_ref().is_none_or(|acked| acked.by_hold);
        unseen.then(|| self.offer(Command::Ack, "Acknowledge"))
    }

    fn offers_rollback(&self, now: Timestamp) -> Option<Offer> {
        self.may_be_rolled_back().ok()?;
        let plan = self.plan(now)?;
        let asked = self.pending.is_some();
        let label = if asked { "Approve rollback" } else { "Roll back now" };
        let title = format!("Roll {} back?", self.deployment.service.name);
        let text = self.call_in_words(&plan);
        let confirm = Confirm { title, text, yes: "Roll back".to_owned() };
        let urged = asked || self.has_open_incident();
        let target = Some(plan.target.short().to_owned());
        let offer = self.offer(Command::Rollback, label);
        Some(Offer { urged, confirm: Some(confirm), target, ..offer })
    }

    /// What the platform will be asked for. It is looked at again right before: what is in
    /// flight now may be over then.
    fn call_in_words(&self, plan: &RollbackPlan) -> String {
        let key = &plan.service;
        if let Some(by) = &plan.means.by {
            return format!(
                "{}/{}: {} → {}, by {by}.",
                key.cluster,
                key.service,
                plan.judged_revision.short(),
                plan.target.short()
            );
        }
        let call = match self.sighting.as_ref().map(|sighting| likely_route(sighting, plan)) {
            Some(Route::StopServiceDeployment) => {
                "StopServiceDeployment, or UpdateService once it has rolled out".to_owned()
            }
            Some(
                route @ (Route::ContinueServiceDeployment
                | Route::UpdateService
                | Route::StopDeployment
                | Route::CreateDeployment
                | Route::UndoRollout
                | Route::SwitchSelector
                | Route::ResetWeights
                | Route::RenderRollback
                | Route::Command
                | Route::Webhook
                | Route::AlreadyInPlace),
            ) => route.as_str().to_owned(),
            None => Route::UpdateService.as_str().to_owned(),
        };
        format!(
            "{}/{}: {} → {}, by {call}. Target: {}.",
            key.cluster,
            key.service,
            plan.judged_revision.short(),
            plan.target.short(),
            plan.target_because
        )
    }

    fn offers_hold(&self) -> Option<Offer> {
        let pending = self.pending.as_ref().filter(|pending| !pending.held)?;
        let until = pending.until?;
        let most = self.policy().actions.hold;
        let shorter = MINUTES.into_iter().map(SignedDuration::from_mins);
        let shorter = shorter.filter(|one| *one < most).filter_map(|one| {
            let until = until.checked_add(one).ok()?;
            Some(HoldTime { label: until_in_words(until, one), until: Some(until) })
        });
        let latest = until.checked_add(most).ok()?;
        let longest = HoldTime { label: until_in_words(latest, most), until: None };
        let times = shorter.chain([longest]).collect();
        Some(Offer { times, ..self.offer(Command::Hold, "Hold: a fix is on the way") })
    }

    fn offers_resume(&self) -> Option<Offer> {
        let pending = self.pending.as_ref()?;
        let held = pending.held_from.is_some() && pending.until.is_some();
        held.then(|| self.offer(Command::Resume, "Stop holding"))
    }

    fn offers_cancel(&self) -> Option<Offer> {
        if matches!(self.stage, Stage::RollingBack(_)) && !self.is_stopped() {
            return None;
        }
        let text = match self.ceiling.mode {
            Mode::Observe => "The deployment is watched no longer.",
            Mode::Ask | Mode::Auto => {
                "The deployment is watched no longer: nobody is asked, and nothing is rolled back."
            }
        };
        let title = format!("Stop watching {}?", self.version());
        let confirm = Confirm { title, text: text.to_owned(), yes: "Stop watching".to_owned() };
        Some(Offer { confirm: Some(confirm), ..self.offer(Command::Cancel, "Cancel watch") })
    }
}

/// What the platform would be called with, as it was last seen.
fn likely_route(sighting: &Sighting, plan: &RollbackPlan) -> Route {
    let rolling = sighting.primary.roll_out == RollOut::InProgress;
    match sighting.controller {
        Controller::CodeDeploy if rolling => Route::StopDeployment,
        Controller::CodeDeploy => Route::CreateDeployment,
        Controller::Rollout => Route::UndoRollout,
        Controller::Selector => Route::SwitchSelector,
        Controller::Weights => Route::ResetWeights,
        Controller::Render => Route::RenderRollback,
        Controller::Ecs | Controller::External => {
            let from_target =
                sighting.source.as_ref().is_some_and(|source| source.same_as(&plan.target));
            if sighting.in_flight.is_some() && from_target && !plan.pins() {
                Route::StopServiceDeployment
            } else {
                Route::UpdateService
            }
        }
    }
}

fn until_in_words(until: Timestamp, more: SignedDuration) -> String {
    format!("until {} ({more:#} more)", clock(until))
}
