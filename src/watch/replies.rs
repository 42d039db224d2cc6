//! What the guard says in a deployment's thread, in finished words.

use jiff::Timestamp;

use super::words::{clock, full, list};
use super::{Actor, Answer, Hushed, PreflightState, RollbackRun, RunStep, Stage, Watch};
use crate::model::{Reply, Revision, Severity, Tone};
use crate::policy::{Check, OnTimeout};

impl Watch {
    /// The incident in ShopFlow's six fields.
    pub(super) fn template(&self, resolution: &str, eta: &str) -> Vec<(String, String)> {
        let Some(incident) = &self.incident else { return Vec::new() };
        let field = |name: &str, value: String| (name.to_owned(), value);
        vec![
            field("Status", incident.status.in_template().to_owned()),
            field("Severity", incident.called_at().to_string()),
            field(
                "Impact",
                list(&incident.checks.iter().cloned().collect::<Vec<_>>()) + " outside the limits",
            ),
            field("Start Time", full(incident.opened_at)),
            field("Resolution", resolution.to_owned()),
            field("ETA", eta.to_owned()),
        ]
    }

    pub(super) fn incident_reply(
        &self,
        tone: Tone,
        headline: String,
        resolution: &str,
        eta: &str,
    ) -> Reply {
        Reply {
            tone,
            headline,
            fields: self.template(resolution, eta),
            lines: self.evidence().into_iter().chain(self.firing()).collect(),
            code: Vec::new(),
            broadcast: self.is_sev1(),
            page: false,
            mentions: Vec::new(),
            offers: Vec::new(),
        }
    }

    fn is_sev1(&self) -> bool {
        self.incident.as_ref().is_some_and(|incident| incident.called_at() == Severity::Sev1)
    }

    pub(super) fn severity(&self) -> String {
        let Some(incident) = &self.incident else { return "incident".to_owned() };
        match self.again_in_words() {
            Some(again) => format!("{} {again}", incident.called_at()),
            None => incident.called_at().to_string(),
        }
    }

    pub(super) fn target_in_words(&self) -> String {
        match &self.preflight {
            PreflightState::Ready { target, because, .. } => {
                format!("{} ({because})", target.short())
            }
            PreflightState::Impossible { because } => format!("none: {because}"),
            PreflightState::Unknown => "not found yet".to_owned(),
        }
    }

    pub(super) fn say_rolling_back(&self, run: &RollbackRun) -> Reply {
        let who = match &run.by {
            Actor::Guard => "deployguard is rolling back".to_owned(),
            Actor::Person(name) => format!("{name} is rolling back"),
            Actor::Platform => "the platform is rolling back".to_owned(),
        };
        let target = format!("{} ({})", run.plan.target.short(), run.plan.target_because);
        let resolution = match &run.by {
            Actor::Guard => format!("{who} to {target}"),
            Actor::Person(_) | Actor::Platform => format!("{who} to {target}: {}", run.because),
        };
        let headline =
            format!("{}: {who} {} to {}", self.severity(), self.title(), run.plan.target.short());
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, "not known");
        if reply.fields.is_empty() {
            reply.lines = vec![resolution];
        }
        self.with_database(reply, true)
    }

    pub(super) fn say_not_ours(&self, because: &str) -> Reply {
        let headline = format!("{}: {} is outside its limits", self.severity(), self.title());
        let resolution = format!("not this deployment's doing: {because}; nothing is rolled back");
        self.incident_reply(Tone::Warn, headline, &resolution, "not known")
    }

    pub(super) fn say_undone_by_platform(&self, run: &RollbackRun) -> Reply {
        let headline = format!("{} is being undone: {}", self.title(), run.because);
        let lines = vec![format!(
            "{} is coming back; deployguard watches the recovery",
            run.plan.target.short()
        )];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_rolled_back_by_hand(&self, to: &str) -> Reply {
        let headline = format!("Somebody has rolled {} back to {to}", self.title());
        let lines = vec!["not deployguard's doing; the older revision is watched anew".to_owned()];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_in_place(&self) -> Reply {
        let Stage::RollingBack(run) = &self.stage else {
            return self.plain(Tone::Warn, "the target is in place".to_owned());
        };
        let by = self.policy().rollback.recover_within;
        let headline = format!(
            "{} is back in place; checking that the numbers recover",
            run.plan.target.short()
        );
        let lines = vec![format!("people are paged if they have not within {by:#}")];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_recovered(&self, since: Timestamp) -> Reply {
        let target = match &self.stage {
            Stage::RollingBack(run) => run.plan.target.short().to_owned(),
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                "the target".to_owned()
            }
        };
        let headline =
            format!("Recovered: {} is healthy on {target}", self.deployment.service.name);
        let resolution =
            format!("{target} was back in place at {}; the numbers recovered", full(since));
        let mut reply = self.incident_reply(Tone::Good, headline, &resolution, "recovered");
        let blamed = self.incident.iter().flat_map(|incident| &incident.checks);
        let job =
            |name: &&String| self.policy().check(name.as_str()).is_some_and(Check::is_of_heartbeat);
        let jobs: Vec<String> = blamed.filter(job).cloned().collect();
        if !jobs.is_empty() {
            reply.lines.push(format!("{}: the next run tells", list(&jobs)));
        }
        self.with_database(reply, false)
    }

    pub(super) fn say_not_recovered(&self) -> Reply {
        let headline = match &self.stage {
            Stage::RollingBack(run) => match run.step {
                RunStep::Recovering { .. } => format!(
                    "The numbers have not recovered on {}: the deployment may not be the cause",
                    run.plan.target.short()
                ),
                RunStep::Acting { .. } | RunStep::Settling { .. } => {
                    format!("The platform has not put {} in place yet", run.plan.target.short())
                }
            },
            Stage::Announced { .. } | Stage::Starting | Stage::Watching | Stage::Ended { .. } => {
                "The numbers have not recovered".to_owned()
            }
        };
        let mut reply =
            self.incident_reply(Tone::Bad, headline, "a person has to look", "not known");
        if self.is_maintained() {
            reply.lines.push("maintenance mode is being turned off meanwhile".to_owned());
        }
        Reply { page: true, ..reply }
    }

    pub(super) fn say_rollback_failed(&self, why: &str) -> Reply {
        let headline = format!("{} was NOT rolled back: {why}", self.title());
        let reply =
            self.incident_reply(Tone::Bad, headline, "a person has to act now", "not known");
        Reply { page: true, ..reply }
    }

    pub(super) fn say_mismatch(&self, mismatch: &str) -> Reply {
        let headline = "The rollback replaced something else than what was judged".to_owned();
        let lines = vec![mismatch.to_owned()];
        Reply { lines, page: true, ..self.plain(Tone::Bad, headline) }
    }

    /// What a pinned rollback leaves behind, and how to get rid of it.
    pub(super) fn say_pinned(&self, target: &Revision, pinned: &Revision) -> Reply {
        let headline = format!(
            "{} is {} with its images pinned to the known-good digests",
            pinned.short(),
            target.short()
        );
        let key = &self.deployment.service.key;
        let lines = vec![
            format!(
                "until somebody deploys another revision, a force-new-deployment of {} ships \
                 these old images again",
                key.service
            ),
            format!(
                "to unpin, once the tag means a good image: aws ecs update-service --cluster {} \
                 --service {} --task-definition {} --force-new-deployment",
                key.cluster,
                key.service,
                target.short()
            ),
        ];
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_maintained(&self, why: &str) -> Reply {
        let name = &self.deployment.service.name;
        let headline = format!("{name} may still be in maintenance mode: turn it off");
        Reply { lines: vec![why.to_owned()], page: true, ..self.plain(Tone::Bad, headline) }
    }

    /// What the rollback changed beside what is in place.
    pub(super) fn say_changed_beside(&self, changed: &[String]) -> Reply {
        let headline = "The rollback changed this too".to_owned();
        Reply { lines: changed.to_vec(), ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_decision_due(&self, now: Timestamp) -> Reply {
        let Some(pending) = &self.pending else { return self.plain(Tone::Warn, String::new()) };
        let (eta, then) = match (pending.until, self.unanswered(pending)) {
            (Some(until), OnTimeout::Rollback) => (
                format!("decision due {}", full(until)),
                format!("unanswered, it is rolled back at {}", clock(until)),
            ),
            (Some(until), OnTimeout::Escalate) => (
                format!("decision due {}", full(until)),
                format!(
                    "unanswered, people are paged again at {}; nothing is rolled back by itself",
                    clock(until)
                ),
            ),
            (None, _) => ("not known".to_owned(), "nothing happens by itself".to_owned()),
        };
        let headline =
            format!("{}: roll {} back? A person has to decide", self.severity(), self.title());
        let resolution = format!("proposed: back to {}", self.target_in_words());
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, &eta);
        reply.lines.push(format!("asked because {}", pending.because));
        let left = pending.until.map(|until| until.duration_since(pending.asked_at));
        reply.lines.extend(left.filter(|left| !left.is_zero()).map(|left| {
            let hold = self.policy().actions.hold;
            format!("{left:#} to fix it or to decide; hold it, for {hold:#} at most, if a fix is on the way")
        }));
        reply.lines.push(then);
        reply.lines.push(format!("to roll back: deployguard rollback {}", self.id));
        reply.offers = self.offers_to_decide(now);
        reply.page = true;
        self.with_database(reply, true)
    }

    /// An open question, once there is another target than it told of. Nobody is paged twice.
    pub(super) fn say_other_target(&self, now: Timestamp) -> Reply {
        let target = self.target().map(Revision::short).unwrap_or_default();
        let headline = format!(
            "{}: the target is now {target}; roll {} back? A person has to decide",
            self.severity(),
            self.title()
        );
        Reply { headline, page: false, broadcast: false, ..self.say_decision_due(now) }
    }

    /// What mode auto would have decided, as it is kept for the digest.
    pub(super) fn say_would(&self) -> Reply {
        let decided = self.decided.last();
        let answer = decided.map_or(Answer::Ask, |decided| decided.answer);
        let what = match answer {
            Answer::RollBack => "rolled back",
            Answer::Ask => "asked whether to roll back",
            Answer::Page => "left to people, who would have been paged",
            Answer::Note | Answer::NotOurs => "left alone",
        };
        let headline = format!(
            "{}: {} is in breach; in mode auto it would have been {what}",
            self.severity(),
            self.title()
        );
        let because =
            self.ceiling.because.as_deref().map(|b| format!(" ({b})")).unwrap_or_default();
        let resolution =
            format!("none: mode observe{because}; target would be {}", self.target_in_words());
        let mut reply = self.incident_reply(Tone::Bad, headline, &resolution, "not known");
        let because = decided.and_then(|decided| decided.because.as_ref());
        reply.lines.extend(because.map(|because| format!("not rolled back because {because}")));
        reply
    }

    pub(super) fn say_noted(&self) -> Reply {
        let headline = format!("{}: {} is in breach", self.severity(), self.title());
        self.incident_reply(
            Tone::Warn,
            headline,
            "noted; the policy asks for no action",
            "not known",
        )
    }

    pub(super) fn say_cannot_roll_back(&self, because: &str) -> Reply {
        let headline = format!(
            "{}: {} is in breach and CANNOT be rolled back by itself",
            self.severity(),
            self.title()
        );
        let mut reply =
            self.incident_reply(Tone::Bad, headline, "a person has to act now", "not known");
        reply.lines.push(format!("no automatic rollback: {because}"));
        reply.page = true;
        self.with_database(reply, true)
    }

    pub(super) fn say_resolved_by_itself(&self) -> Reply {
        let headline = format!("{} is back to normal by itself", self.title());
        self.incident_reply(Tone::Good, headline, "none needed", "recovered")
    }

    /// An incident that kept coming back has stayed away.
    pub(super) fn say_steady(&self) -> Reply {
        let headline = format!("{} is back to normal by itself, and has stayed so", self.title());
        let incident = self.incident.as_ref();
        let lines = incident.map(|incident| {
            let since = incident.calm_at.or(incident.resolved_at).map(full).unwrap_or_default();
            let times = incident.returns.saturating_add(1);
            format!(
                "it came {times} times from {} on; well since {since}",
                full(incident.opened_at)
            )
        });
        Reply { lines: lines.into_iter().collect(), ..self.plain(Tone::Good, headline) }
    }

    /// What the quiet hours kept from people, and is over.
    pub(super) fn say_came_and_went(&self, hushed: &Hushed) -> Reply {
        let times = match hushed.times {
            1 => "once".to_owned(),
            more => format!("{more} times"),
        };
        let headline = format!(
            "{}: a SEV3 came and went in the quiet hours, {times} since {}",
            self.title(),
            full(hushed.since)
        );
        Reply { lines: self.evidence(), broadcast: false, ..self.plain(Tone::Quiet, headline) }
    }

    pub(super) fn say_missing_data(&self, names: &[String]) -> Reply {
        let lines = names.iter().filter_map(|name| {
            let last = self.checks.get(name)?.last.as_ref()?;
            Some(format!("{name}: {} ({})", last.verdict.as_str(), last.reason))
        });
        let target = &self.deployment.service.key.target;
        let once = self.lost.as_ref().map(|_| {
            format!("said once for all deployments of target {target}; their cards show the same")
        });
        let lines = lines.chain(once).collect();
        let headline = format!("{}: {} can't be judged right now", self.title(), list(names));
        Reply { lines, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_alarms_before(&self, names: &[String]) -> Reply {
        let headline = format!(
            "{}: in ALARM since before this deployment, and not held against it: {}",
            self.title(),
            list(names)
        );
        self.plain(Tone::Warn, headline)
    }

    /// The last lines of a task, or why there are none.
    pub(super) fn say_log(&self, task: &str, lines: &Result<Vec<String>, String>) -> Reply {
        let title = self.title();
        let (headline, code) = match lines {
            Ok(code) if code.is_empty() => (format!("{title}: task {task} logged nothing"), None),
            Ok(code) => (format!("{title}: the last lines of task {task}"), Some(code.clone())),
            Err(why) => (format!("{title}: the log of task {task} could not be read: {why}"), None),
        };
        let code = code.unwrap_or_default();
        Reply { code, broadcast: false, ..self.plain(Tone::Quiet, headline) }
    }

    pub(super) fn say_roll_out_failed(&self, reason: Option<String>) -> Reply {
        let who = self.sighting.as_ref().map_or("The platform", |seen| seen.controller.as_str());
        let headline = format!("{who} says that the roll-out of {} failed", self.title());
        let lines = reason.into_iter().collect();
        Reply { lines, page: true, ..self.plain(Tone::Bad, headline) }
    }

    pub(super) fn say_not_in_service(&self) -> Reply {
        let headline = format!("No {} of {} has come into service yet", self.copy(), self.title());
        Reply { page: true, ..self.plain(Tone::Warn, headline) }
    }

    pub(super) fn say_no_target(&self) -> Reply {
        let headline = format!("{} could not be rolled back", self.title());
        let because = match &self.preflight {
            PreflightState::Impossible { because } => because.clone(),
            PreflightState::Ready { .. } | PreflightState::Unknown => self.target_in_words(),
        };
        Reply { lines: vec![format!("because {because}")], ..self.plain(Tone::Warn, headline) }
    }

    /// What keeps the guard from rolling the deployment back by itself, should it burn.
    pub(super) fn say_disarmed(&self, because: &str) -> Reply {
        let title = self.title();
        self.plain(Tone::Warn, format!("{title} will not be rolled back by itself: {because}"))
    }

    pub(super) fn say_ceiling(&self, lowered: bool) -> Reply {
        let because = self.ceiling.because.as_deref().map(|b| format!(": {b}")).unwrap_or_default();
        let way = if lowered { "lowered" } else { "raised" };
        self.plain(Tone::Warn, format!("The mode is {way} to {}{because}", self.ceiling.mode))
    }

    /// What forbids the call came too late: it was on its way.
    pub(super) fn say_called_before(&self, because: &str) -> Reply {
        let headline = format!(
            "The rollback of {} had been called before ({because}): it is with the platform, and \
             followed to its end",
            self.title()
        );
        self.plain(Tone::Warn, headline)
    }

    pub(super) fn plain(&self, tone: Tone, headline: String) -> Reply {
        let broadcast = tone == Tone::Bad && self.is_sev1();
        Reply {
            tone,
            headline,
            fields: Vec::new(),
            lines: Vec::new(),
            code: Vec::new(),
            broadcast,
            page: false,
            mentions: Vec::new(),
            offers: Vec::new(),
        }
    }
}
