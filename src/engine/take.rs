//! Taking inputs in: from what came to which watch, within one step.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::again::anew;
use super::guard::{Guarded, Scope, ceiling, guarded, service};
use super::handle::{Announced, Input, Paused, Refused, WantKind};
use super::live::Kept;
use super::run::Engine;
use super::step::Step;
use crate::model::{Announcement, ServiceKey, Sighting, WatchId};
use crate::policy_repo::{Loaded, Reload};
use crate::store::{Pause, Write};
use crate::watch::{Command, Event, Illegal, IntakeStep, Seen, on_announcement, on_sighting};

/// What is answered to whoever brought the input, once the step is kept.
pub(super) enum Outcome {
    Announced(Result<Announced, Refused>),
    Plain(Result<(), Refused>),
    Paused(Result<Paused, Refused>),
    /// With the pauses that are left.
    Unpaused(Result<Vec<Pause>, Refused>),
    Nothing,
}

/// What the store knew of a batch before it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By the announcer's id: the digest of the body, and the watch.
    pub announcements: BTreeMap<String, (String, WatchId)>,
    /// Watches that have ended, over deployments that are seen in place again.
    pub ended: BTreeSet<WatchId>,
    /// Watches that have ended, of which somebody could not be told something.
    pub untold: BTreeMap<WatchId, Kept>,
}

impl Known {
    /// Brings to its watch what somebody could not be told. Of several in one batch any may
    /// be the first that is news.
    pub(super) fn tell(
        &self,
        step: &mut Step<'_>,
        watch: &WatchId,
        event: &Event,
    ) -> Result<(), Illegal> {
        step.untold(watch, event, self.untold.get(watch).cloned())
    }
}

impl Engine {
    pub(super) fn take(
        &self,
        step: &mut Step<'_>,
        input: &Input,
        known: &mut Known,
        now: Timestamp,
    ) -> Outcome {
        match input {
            Input::Announce { announcement, digest, .. } => {
                Outcome::Announced(self.announce(step, announcement, digest, known))
            }
            Input::Press { watch, press, .. } => {
                let event = Event::Pressed(press.clone());
                let calling = self.busy.contains(&(watch.clone(), WantKind::RollBack));
                Outcome::Plain(match step.watch(watch) {
                    None => Err(Refused::NotFound(format!("no open watch is called {watch}"))),
                    Some(_) if calling && press.command == Command::Cancel => {
                        let why = "the platform is being called right now; try again";
                        Err(Refused::Conflict(why.to_owned()))
                    }
                    Some(_) => step.deliver(watch, event).map_err(|why| Refused::Conflict(why.0)),
                })
            }
            Input::Pause { pause, .. } => Outcome::Paused(self.pause(step, pause)),
            Input::Unpause { turn, .. } => Outcome::Unpaused(self.unpause(step, turn)),
            Input::Looked(looks) => {
                for (key, look) in looks {
                    if let Ok(Some(sighting)) = look {
                        self.sight(step, key, sighting, known);
                    }
                }
                Outcome::Nothing
            }
            Input::GoThrough { over, .. } => {
                let (by, reason, service) = (&over.by, &over.reason, &over.service);
                tracing::warn!(%service, by, reason, "the gate is overridden");
                step.keep_override((**over).clone());
                Outcome::Plain(Ok(()))
            }
            Input::Alerts { alerts, .. } => {
                for alert in alerts {
                    step.hear_alert(alert);
                }
                Outcome::Plain(Ok(()))
            }
            Input::Kept { .. } => Outcome::Plain(Ok(())),
            Input::Policies(reload) => {
                if let Reload::Good(_) = &**reload {
                    self.adjust_ceilings(step);
                }
                Outcome::Nothing
            }
            Input::Untold { watch, event, .. } => {
                let told = known.tell(step, watch, event);
                Outcome::Plain(told.map_err(|why| Refused::Conflict(why.0)))
            }
            Input::Done { watch, event, .. } => {
                if let Ok(event) = event
                    && let Err(why) = step.deliver(watch, (**event).clone())
                {
                    tracing::warn!(watch = %watch, %why, at = %now, "a result came too late");
                }
                Outcome::Nothing
            }
        }
    }

    fn pause(&self, step: &mut Step<'_>, pause: &Pause) -> Result<Paused, Refused> {
        let pause = Pause { scope: Scope::whole(&pause.scope), ..pause.clone() };
        if let Scope::Environment(name) = Scope::read(&pause.scope).map_err(Refused::Invalid)? {
            self.is_known(step, &name)?;
        }
        let Pause { scope, by, reason, .. } = &pause;
        tracing::info!(scope, by, reason, "paused");
        let paused = step.pause(pause);
        self.adjust_ceilings(step);
        Ok(paused)
    }

    /// Whether a policy or an open watch is of the environment: the pause of another would
    /// stop nothing, and whoever asked for it would think that it does.
    fn is_known(&self, step: &Step<'_>, environment: &str) -> Result<(), Refused> {
        let of_policies = self.loaded().set.iter().map(|one| one.policy.environment.clone());
        let watches = step.open_watches().into_iter();
        let of_watches = watches.map(|watch| watch.deployment.service.environment.clone());
        let known: BTreeSet<String> = of_policies.chain(of_watches).collect();
        if known.contains(environment) {
            return Ok(());
        }
        let near = crate::policy::nearest(environment, known.iter().map(String::as_str));
        let mend = match near.first() {
            Some(near) => format!("did you mean `environment:{near}`?"),
            None if known.is_empty() => "there is no policy; `all` pauses everything".to_owned(),
            None => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("known: {}", known.join(", "))
            }
        };
        Err(Refused::Invalid(format!(
            "no policy and no open watch is of the environment `{environment}`: {mend}"
        )))
    }

    fn unpause(&self, step: &mut Step<'_>, turn: &Pause) -> Result<Vec<Pause>, Refused> {
        let turn = &Pause { scope: Scope::whole(&turn.scope), ..turn.clone() };
        let Pause { scope, by, reason, .. } = turn;
        let Some(left) = step.unpause(turn.clone()) else {
            Scope::read(scope).map_err(Refused::Invalid)?;
            let known: Vec<String> =
                step.pauses().iter().map(|pause| format!("`{}`", pause.scope)).collect();
            return Err(Refused::NotFound(if known.is_empty() {
                format!("`{scope}` is not paused; nothing is")
            } else {
                format!("`{scope}` is not paused; paused: {}", known.join(", "))
            }));
        };
        tracing::info!(scope, by, reason, "unpaused");
        self.adjust_ceilings(step);
        Ok(left)
    }

    fn loaded(&self) -> &Loaded {
        &self.policies
    }

    fn announce(
        &self,
        step: &mut Step<'_>,
        announcement: &Announcement,
        digest: &str,
        known: &mut Known,
    ) -> Result<Announced, Refused> {
        if let Some((before, watch)) = known.announcements.get(&announcement.id) {
            return if before == digest {
                Ok(Announced::Watched(watch.clone()))
            } else {
                Err(Refused::Conflict(format!(
                    "`{}` was announced before with another body",
                    announcement.id
                )))
            };
        }
        let key = &announcement.service.key;
        let Some(guarded) = guarded(self.loaded(), key) else {
            let mut nearest = self.loaded().set.nearest(key);
            let seen = self.live.seen.keys().map(|seen| seen.service.as_str());
            nearest
                .extend(crate::policy::nearest(&key.service, seen).into_iter().map(str::to_owned));
            return Ok(Announced::Unguarded { nearest });
        };
        let mut announcement = announcement.clone();
        announcement.service = service(key, &guarded.pinned.policy);
        let watch = match on_announcement(&announcement, &step.of(key)) {
            IntakeStep::Deliver(watch, event) => {
                step.deliver(&watch, *event).map_err(|why| Refused::Conflict(why.0))?;
                watch
            }
            IntakeStep::Open(deployment, by) => {
                let at_most = ceiling(&guarded, None, step.pauses(), key);
                step.open(*deployment, by, guarded.pinned, at_most)
                    .map_err(|why| Refused::Conflict(why.0))?
            }
            IntakeStep::Adopt(_) => {
                return Err(Refused::Invalid("an announcement adopts nothing".to_owned()));
            }
        };
        known.announcements.insert(announcement.id.clone(), (digest.to_owned(), watch.clone()));
        step.write(Write::Announcement {
            id: announcement.id,
            digest: digest.to_owned(),
            watch: watch.clone(),
        });
        Ok(Announced::Watched(watch))
    }

    /// One look at one service.
    fn sight(&self, step: &mut Step<'_>, key: &ServiceKey, sighting: &Sighting, known: &Known) {
        let guarded = guarded(self.loaded(), key);
        let open = step.of(key);
        // While the platform is being called, its answer says more than a look,
        // which may have been taken before or after. The next look comes soon.
        if open.iter().any(|watch| self.busy.contains(&(watch.id.clone(), WantKind::RollBack))) {
            return;
        }
        let named = match (&guarded, open.first()) {
            (Some(guarded), _) => service(key, &guarded.pinned.policy),
            (None, Some(watch)) => watch.deployment.service.clone(),
            (None, None) => return,
        };
        let steps = on_sighting(sighting, step.seen(key), &open, &named);
        let primary = &sighting.primary;
        // What is guarded is not known: a deployment that nobody watches for that reason is
        // not seen, so that its watch begins once the policies can be read.
        let may_begin = guarded.is_none() && self.loaded().unread.is_some();
        let begins = |intake: &IntakeStep| matches!(intake, IntakeStep::Open(..));
        let unseen = may_begin && steps.iter().any(begins);
        for intake in anew(steps, &known.ended, sighting.at) {
            carry_out(step, intake, guarded.as_ref(), key);
        }
        if unseen {
            return;
        }
        if step.seen(key).is_none_or(|seen| {
            seen.platform_id != primary.id || !seen.revision.same_as(&primary.revision)
        }) {
            let poison = step
                .of(key)
                .into_iter()
                .find(|watch| watch.platform_id() == Some(primary.id.as_str()))
                .and_then(crate::watch::Watch::poison);
            let spoiled = step.seen(key).map(|seen| seen.spoiled.clone()).unwrap_or_default();
            step.see(Seen {
                spoiled,
                service: key.clone(),
                platform_id: primary.id.clone(),
                revision: primary.revision.clone(),
                poison,
            });
        }
    }

    /// Brings every open watch's ceiling up to date with policies and pauses.
    fn adjust_ceilings(&self, step: &mut Step<'_>) {
        let changes: Vec<_> = step
            .open_watches()
            .into_iter()
            .filter_map(|watch| {
                let key = &watch.deployment.service.key;
                let current =
                    self.loaded().set.named(&watch.policy().name).map(|written| &*written.policy);
                let overlap = guarded(self.loaded(), key).and_then(|guarded| guarded.overlap);
                let guarded = Guarded { pinned: watch.pinned.clone(), overlap };
                let ceiling = ceiling(&guarded, current, step.pauses(), key);
                (ceiling != watch.ceiling).then(|| (watch.id.clone(), ceiling))
            })
            .collect();
        for (watch, ceiling) in changes {
            if let Err(why) = step.deliver(&watch, Event::CeilingChanged(ceiling)) {
                tracing::error!(watch = %watch, %why, "the mode could not be changed");
            }
        }
    }
}

fn carry_out(step: &mut Step<'_>, intake: IntakeStep, guarded: Option<&Guarded>, key: &ServiceKey) {
    let result = match (intake, guarded) {
        (IntakeStep::Adopt(entry), _) => {
            tracing::info!(service = %key, revision = entry.revision.short(), "presumed good");
            step.enter(*entry);
            Ok(())
        }
        (IntakeStep::Deliver(watch, event), _) => step.deliver(&watch, *event),
        // Nothing guards it any more: its former watch ends, no new one begins.
        (IntakeStep::Open(..), None) => Ok(()),
        (IntakeStep::Open(deployment, by), Some(guarded)) => {
            let at_most = ceiling(guarded, None, step.pauses(), key);
            step.open(*deployment, by, guarded.pinned.clone(), at_most).map(|_| ())
        }
    };
    if let Err(why) = result {
        tracing::error!(service = %key, %why, "a look could not be taken in");
    }
}
