//! Other ways to bring a version back than the platform's own call: a command or a webhook
//! that the settings name and a policy chooses; and the hooks of maintenance mode.
//!
//! The platform is looked at first, as for its own call: what is not in place any more is not
//! touched, and what is back already is reported. The permit is the same. A webhook is told
//! by its key that it is asked again; a command can't be, so it is run once: who lost the lead
//! meanwhile waits for its end, and after a crash people are asked to look.

mod maintenance;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{LookError, Platform};
use crate::commands::{Commands, Ended, Purpose, Ran};
use crate::crash;
use crate::model::{ActFailure, Acted, Actuator, Permit, RollbackPlan, Route};
pub use webhook::Endpoint;
use webhook::Order;

/// The most of a command's output that is told, in characters; the journal has more.
const MOST_TOLD: usize = 300;

/// Every command and webhook of the settings. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Actuators {
    commands: Commands,
    webhooks: Arc<BTreeMap<String, Endpoint>>,
}

/// What the platform shows of a plan.
enum Standing {
    Judged,
    /// The target, under this deployment.
    Back(String),
}

impl Actuators {
    pub fn new(commands: Commands, webhooks: BTreeMap<String, Endpoint>) -> Self {
        Self { commands, webhooks: Arc::new(webhooks) }
    }

    /// Whether there is such a thing to set off.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn check(&self, actuator: &Actuator) -> Result<(), String> {
        match actuator {
            Actuator::Command(name) => self.commands.check(name, Purpose::RollBack),
            Actuator::Webhook(name) if self.webhooks.contains_key(name) => Ok(()),
            Actuator::Webhook(name) => {
                Err(format!("the settings have no webhook `{name}`: name it under `webhooks`"))
            }
        }
    }

    /// As [`Platform::roll_back`], by the plan's actuator, in maintenance mode where the plan
    /// says so.
    pub(super) async fn roll_back(
        &self,
        host: &impl Platform,
        permit: &Permit,
        plan: &RollbackPlan,
        now: Timestamp,
    ) -> Result<Acted, ActFailure> {
        let means = &plan.means;
        if means.by.is_none() && means.maintenance.is_none() {
            return host.roll_back(permit, plan).await;
        }
        // An earlier life of this try may have turned it on.
        let maybe_on = means.maintenance.is_some() && !permit.is_first();
        // One that still runs is neither overtaken nor shown to users half done.
        let before = match &means.by {
            Some(Actuator::Command(name)) if !permit.is_first() => {
                let ran = self.commands.ended(name, &means.values).await;
                ran.map(|ran| told(name, &ran))
            }
            Some(Actuator::Command(_) | Actuator::Webhook(_)) | None => None,
        };
        let stood = standing(host, plan, now).await;
        let stood = stood.and_then(|stood| permit.stands().map(|()| stood));
        let is_back = match stood {
            Ok(Standing::Judged) => false,
            Ok(Standing::Back(id)) if means.by.is_some() => {
                return Ok(Acted {
                    deployment: Some(id),
                    maintained: maybe_on,
                    ..Acted::by(Route::AlreadyInPlace)
                });
            }
            // The platform's own call finds it, and does what is left to do beside it.
            Ok(Standing::Back(_)) => true,
            // It is tried again.
            Err(failure @ (ActFailure::Transient(_) | ActFailure::Stopped(_))) => {
                return Err(failure);
            }
            Err(failure) if maybe_on => return Err(self.left(failure, permit, plan, now).await),
            Err(failure) => return Err(failure),
        };
        let entered = match &means.maintenance {
            Some(hooks) if !is_back => Some(self.enter(&hooks.on, plan, permit, now).await),
            Some(_) | None => None,
        };
        let done = match &means.by {
            None => host.roll_back(permit, plan).await,
            Some(actuator) => match before {
                Some(told) => told,
                None => self.set_off(actuator, permit, plan, now).await,
            },
        };
        match (done, entered) {
            (Ok(acted), None) => Ok(Acted { maintained: maybe_on, ..acted }),
            (Ok(mut acted), Some(words)) => {
                acted.beside.insert(0, words);
                Ok(Acted { maintained: true, ..acted })
            }
            (Err(failure), None) if !maybe_on => Err(failure),
            (Err(failure), None | Some(_)) => Err(self.left(failure, permit, plan, now).await),
        }
    }

    async fn set_off(
        &self,
        actuator: &Actuator,
        permit: &Permit,
        plan: &RollbackPlan,
        now: Timestamp,
    ) -> Result<Acted, ActFailure> {
        permit.stands()?;
        match actuator {
            Actuator::Command(name) if !permit.is_first() => Err(ActFailure::Permanent(format!(
                "the command `{name}` was begun before and nobody knows what came of it: it is \
                 not run twice. Look, and finish by hand"
            ))),
            Actuator::Command(name) => self.run(name, plan).await,
            Actuator::Webhook(name) => {
                let order = Order::roll_back(plan, permit.watch());
                let said = self.endpoint(name)?.send(&order, now).await?;
                let beside = vec![format!("the webhook `{name}` answered: {said}")];
                Ok(Acted { beside, ..Acted::by(Route::Webhook) })
            }
        }
    }

    async fn run(&self, name: &str, plan: &RollbackPlan) -> Result<Acted, ActFailure> {
        crash::point("command-before");
        let ran = self.commands.run(name, Purpose::RollBack, &plan.means.values).await;
        crash::point("command-after");
        told(name, &ran)
    }

    fn endpoint(&self, name: &str) -> Result<&Endpoint, ActFailure> {
        self.webhooks.get(name).ok_or_else(|| {
            let words = "the settings have no webhook";
            ActFailure::Permanent(format!("{words} `{name}`: name it under `webhooks`"))
        })
    }
}

/// What came of the command `name`.
fn told(name: &str, ran: &Ran) -> Result<Acted, ActFailure> {
    let took = ran.took.as_secs();
    let output = ran.output.text.trim_end().to_owned();
    let what = format!("the command `{name}` {} after {took} s", ran.ended);
    match &ran.ended {
        Ended::Exit(0) => {
            let output = Some(output).filter(|text| !text.is_empty());
            Ok(Acted { beside: vec![what], output, ..Acted::by(Route::Command) })
        }
        Ended::NotRun(_) => Err(ActFailure::Permanent(what)),
        Ended::Exit(_) | Ended::Signal(_) | Ended::TimedOut(_) | Ended::Stopped => {
            let said = ran.output.last_lines(3).join(" / ");
            let told = match last(&said) {
                "" => String::new(),
                said => format!(". Its last words: {said}"),
            };
            Err(ActFailure::Permanent(format!(
                "{what}{told}. What it has changed by then is not known: look"
            )))
        }
    }
}

/// Looks whether the judged deployment is still the one in place.
async fn standing(
    host: &impl Platform,
    plan: &RollbackPlan,
    now: Timestamp,
) -> Result<Standing, ActFailure> {
    let key = &plan.service;
    let looks = host.look(std::slice::from_ref(key), now).await;
    let Some((_, look)) = looks.into_iter().next() else {
        return Err(ActFailure::Transient(format!("{key} could not be looked at")));
    };
    let sighting = match look {
        Ok(Some(sighting)) => sighting,
        Ok(None) => return Err(ActFailure::Refused(format!("{key} does not exist any more"))),
        Err(LookError::Everywhere(why) | LookError::Transient(why)) => {
            return Err(ActFailure::Transient(why));
        }
        Err(LookError::Permanent(why)) => return Err(ActFailure::Permanent(why)),
    };
    let primary = &sighting.primary;
    if primary.id == plan.judged {
        Ok(Standing::Judged)
    } else if plan.is_target(&primary.revision) {
        Ok(Standing::Back(primary.id.clone()))
    } else {
        Err(ActFailure::Superseded(primary.revision.short().to_owned()))
    }
}

/// The end of what was said, as much as is told.
fn last(output: &str) -> &str {
    let output = output.trim();
    let start = output.char_indices().rev().nth(MOST_TOLD - 1).map_or(0, |(at, _)| at);
    &output[start..]
}
