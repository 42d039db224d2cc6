//! Acting: look again, choose, put each service back, and keep the commit that was bad from
//! coming back by itself.

use std::time::Duration;

use super::Render;
use super::api::{Fault, Kind, PAGE};
use super::choose::{Move, Step, choose};
use super::wave::Member;
use super::wire::{Deploy, Service, short};
use crate::crash;
use crate::model::{ActFailure, Acted, Permit, RollbackPlan, Route};
use crate::platform::LookError;

/// How long a call of a former life may still be on its way.
const SETTLE: Duration = Duration::from_secs(2);
/// Between two looks after a call whose effect is not known, and how many.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
const LOOKS: usize = 3;

/// A group as it is right before acting.
pub(super) struct Seen {
    pub(super) services: Vec<Service>,
    pub(super) members: Vec<Member>,
}

impl Render {
    /// Looks, chooses, and rolls back each service that does not run the target, if the
    /// permit still stands right before the first call. What some services have got is not
    /// taken back when another is refused: a later try leaves them as they are.
    pub(super) async fn act(
        &self,
        permit: &Permit,
        plan: &RollbackPlan,
    ) -> Result<Acted, ActFailure> {
        if !permit.is_first() {
            tokio::time::sleep(SETTLE).await;
        }
        let seen = self.see(plan).await?;
        let acted =
            |route, deployment, mismatch| Acted { deployment, mismatch, ..Acted::by(route) };
        let acted = match choose(&seen.members, plan) {
            Step::InPlace { deployment } => acted(Route::AlreadyInPlace, deployment, None),
            Step::Superseded(words) => return Err(ActFailure::Superseded(words)),
            Step::Refuse(words) => return Err(ActFailure::Refused(words)),
            Step::RollBack(moves) => {
                crash::point("render-before-act");
                permit.stands()?;
                let (first, mismatch) = self.roll(&moves).await?;
                crash::point("render-after-act");
                acted(Route::RenderRollback, first, mismatch)
            }
        };
        // In place already: an earlier try may have ended before this.
        Ok(Acted { beside: self.hold(&seen.services).await, ..acted })
    }

    /// Reads the group: the re-reading immediately before acting.
    pub(super) async fn see(&self, plan: &RollbackPlan) -> Result<Seen, ActFailure> {
        let key = &plan.service;
        let known = match self.members_of(key).await {
            Ok(Some(known)) => known,
            Ok(None) => return Err(ActFailure::Refused(format!("{key} does not exist any more"))),
            Err(LookError::Everywhere(words) | LookError::Transient(words)) => {
                return Err(ActFailure::Transient(words));
            }
            Err(LookError::Permanent(words)) => return Err(ActFailure::Permanent(words)),
        };
        let mut services = Vec::with_capacity(known.len());
        for service in known {
            services.push(self.inner.api.service(&service.id).await?);
        }
        let members = self.history(&services, PAGE).await?;
        Ok(Seen { services, members })
    }

    /// One after the other; the first one's deploy, and what is not as it was asked for.
    async fn roll(&self, moves: &[Move]) -> Result<(Option<String>, Option<String>), ActFailure> {
        let mut done: Vec<(&Move, Deploy)> = Vec::new();
        for one in moves {
            match self.roll_one(one).await {
                Ok(deploy) => done.push((one, deploy)),
                Err(fault) if done.is_empty() => return Err(fault.into()),
                Err(fault) => return Err(ActFailure::Transient(half_way(&done, one, &fault))),
            }
        }
        let odd = done.iter().filter(|(one, deploy)| deploy.content() != one.content);
        let odd: Vec<String> = odd
            .map(|(one, deploy)| {
                let (got, asked) = (deploy.content(), short(&one.content));
                format!("Render deploys {} to {}, not {asked}", short(&got), one.name)
            })
            .collect();
        let mismatch = (!odd.is_empty()).then(|| odd.join("; "));
        Ok((done.into_iter().next().map(|(_, deploy)| deploy.id), mismatch))
    }

    /// Asks once; where the answer is lost, looks for what came of it.
    async fn roll_one(&self, one: &Move) -> Result<Deploy, Fault> {
        let known = self.inner.api.deploys(&one.service, 1).await?;
        let fault = match self.inner.api.roll_back(&one.service, &one.deploy).await {
            Ok(deploy) => return Ok(deploy),
            Err(fault) => fault,
        };
        match fault.kind {
            Kind::Throttled | Kind::Refused => return Err(fault),
            Kind::Unknown => {}
        }
        for _ in 0..LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let Ok(now) = self.inner.api.deploys(&one.service, 1).await else { continue };
            let news = now.into_iter().find(|newest| known.iter().all(|one| one.id != newest.id));
            if let Some(deploy) = news.filter(|deploy| deploy.content() == one.content) {
                return Ok(deploy);
            }
        }
        let words = format!("{}; after {LOOKS} looks {} is not going back", fault.words, one.name);
        Err(Fault { words, ..fault })
    }

    /// Turns automatic deploys off, because Render's API leaves them on, and the next push
    /// may bring back what was bad; says how to turn them on again.
    async fn hold(&self, services: &[Service]) -> Vec<String> {
        let (mut off, mut beside) = (Vec::new(), Vec::new());
        for service in services.iter().filter(|service| service.deploys_by_itself()) {
            let Service { name, id, .. } = service;
            match self.inner.api.stop_auto_deploy(id).await {
                Ok(now) if !now.deploys_by_itself() => off.push(format!("{name} ({id})")),
                Ok(_) => beside.push(still_on(name, "Render answers that it is on still")),
                Err(fault) => beside.push(still_on(name, &fault.words)),
            }
        }
        if !off.is_empty() {
            beside.push(format!(
                "auto-deploy is off for {}, so that the next push does not bring back what was \
                 bad. When it is mended, turn it on again: Settings → Build & Deploy → \
                 Auto-Deploy of each service, or `PATCH /v1/services/ID {{\"autoDeploy\": \
                 \"yes\"}}`",
                off.join(" and ")
            ));
        }
        beside
    }
}

fn still_on(name: &str, why: &str) -> String {
    format!(
        "auto-deploy of {name} could not be turned off ({why}): the next push brings back what \
         was bad. Turn it off: Settings → Build & Deploy → Auto-Deploy"
    )
}

/// Some went back and one did not.
fn half_way(done: &[(&Move, Deploy)], stuck: &Move, fault: &Fault) -> String {
    let done: Vec<String> =
        done.iter().map(|(one, deploy)| format!("{} ({})", one.name, deploy.id)).collect();
    format!(
        "{} goes back to {}, and {} does not: {}. They run different versions until it does",
        done.join(", "),
        short(&stuck.content),
        stuck.name,
        fault.words
    )
}
