//! Deployments that bring a whole second set of tasks up before the requests move over:
//! blue/green, linear and canary of ECS, and what CodeDeploy does.
//!
//! `deployments[0]` is the new set from the start; whether it is PRIMARY is for the view.

use jiff::{SignedDuration, Timestamp};

use super::requests::Strategy;
use super::service::Service;
use super::{Context, ids};

/// `lifecycleStage`, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifecycle {
    PreScaleUp,
    ScaleUp,
    PostScaleUp,
    TestTrafficShift,
    PostTestTrafficShift,
    ProductionTrafficShift,
    PostProductionTrafficShift,
    BakeTime,
    CleanUp,
}

impl Lifecycle {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreScaleUp => "PRE_SCALE_UP",
            Self::ScaleUp => "SCALE_UP",
            Self::PostScaleUp => "POST_SCALE_UP",
            Self::TestTrafficShift => "TEST_TRAFFIC_SHIFT",
            Self::PostTestTrafficShift => "POST_TEST_TRAFFIC_SHIFT",
            Self::ProductionTrafficShift => "PRODUCTION_TRAFFIC_SHIFT",
            Self::PostProductionTrafficShift => "POST_PRODUCTION_TRAFFIC_SHIFT",
            Self::BakeTime => "BAKE_TIME",
            Self::CleanUp => "CLEAN_UP",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::PreScaleUp => Self::ScaleUp,
            Self::ScaleUp => Self::PostScaleUp,
            Self::PostScaleUp => Self::TestTrafficShift,
            Self::TestTrafficShift => Self::PostTestTrafficShift,
            Self::PostTestTrafficShift => Self::ProductionTrafficShift,
            Self::ProductionTrafficShift => Self::PostProductionTrafficShift,
            Self::PostProductionTrafficShift => Self::BakeTime,
            Self::BakeTime | Self::CleanUp => Self::CleanUp,
        }
    }
}

/// How far such a deployment is.
#[derive(Debug, Clone, PartialEq)]
pub struct Staged {
    pub(super) stage: Lifecycle,
    /// Percent of the requests that the new tasks get.
    pub(super) share: f64,
    /// The hook at which it waits.
    pub(super) waits_at: Option<String>,
    /// When it may go on.
    until: Timestamp,
    baking: Baking,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Baking {
    strategy: Strategy,
    /// Percent of the requests that move at a time, and the time after each.
    part: f64,
    after_part: SignedDuration,
    after_all: SignedDuration,
}

/// What a staged deployment does next.
pub enum Onward {
    /// Another new task.
    Start,
    /// Nothing but going on to the next stage, or another part of the requests.
    Moved,
    /// Nothing before this time; none: before somebody says so.
    Rest(Option<Timestamp>),
    /// As a rolling one: the old tasks are stopped.
    AsRolling,
}

impl Service {
    /// Begins it where the service's strategy has stages.
    pub(super) fn stage(&mut self, context: &Context, now: Timestamp) {
        let minutes = |count: u32| {
            let one = SignedDuration::try_from(context.settings.minute).unwrap_or_default();
            one * i32::try_from(count).unwrap_or(i32::MAX)
        };
        let given = &self.configuration;
        let (linear, canary) = (given.linear, given.canary);
        let (part, after_part) = match given.strategy {
            Strategy::Linear => {
                linear.map_or((10.0, 6), |l| (l.step_percent, l.step_bake_time_in_minutes))
            }
            Strategy::Canary => {
                canary.map_or((5.0, 10), |c| (c.canary_percent, c.canary_bake_time_in_minutes))
            }
            Strategy::Rolling | Strategy::BlueGreen => (100.0, 0),
        };
        let baking = Baking {
            strategy: given.strategy,
            part,
            after_part: minutes(after_part),
            after_all: minutes(given.bake_time_in_minutes),
        };
        let first = self.deployments.len() == 1;
        let rolls = given.strategy == Strategy::Rolling && !self.has_task_sets();
        self.staged = (!first && !rolls).then_some(Staged {
            stage: Lifecycle::PreScaleUp,
            share: 0.0,
            waits_at: None,
            until: now,
            baking,
        });
    }

    /// Moves the stages on.
    pub(super) fn onward(&mut self, context: &mut Context, now: Timestamp) -> Onward {
        let id = self.deployments[0].id.clone();
        let running = self.count(&id, super::tasks::Task::is_running);
        let (desired, held) = (self.desired, self.is_held(context));
        let Some(staged) = &mut self.staged else { return Onward::AsRolling };
        if staged.waits_at.is_some() {
            return Onward::Rest(None);
        }
        if now < staged.until {
            return Onward::Rest(Some(staged.until));
        }
        match staged.stage {
            Lifecycle::CleanUp => return Onward::AsRolling,
            Lifecycle::BakeTime if held => return Onward::Rest(None),
            Lifecycle::ScaleUp if running < desired => return Onward::Start,
            Lifecycle::ProductionTrafficShift if staged.share < 100.0 => {
                let first = staged.share == 0.0;
                staged.share = match staged.baking.strategy {
                    Strategy::Canary if !first => 100.0,
                    Strategy::Canary | Strategy::Linear => {
                        (staged.share + staged.baking.part).min(100.0)
                    }
                    Strategy::Rolling | Strategy::BlueGreen => 100.0,
                };
                if staged.share < 100.0 {
                    staged.until = now + staged.baking.after_part;
                }
                return Onward::Moved;
            }
            Lifecycle::PreScaleUp
            | Lifecycle::ScaleUp
            | Lifecycle::PostScaleUp
            | Lifecycle::TestTrafficShift
            | Lifecycle::PostTestTrafficShift
            | Lifecycle::ProductionTrafficShift
            | Lifecycle::PostProductionTrafficShift
            | Lifecycle::BakeTime => {}
        }
        self.enter_next(context, now);
        Onward::Moved
    }

    fn enter_next(&mut self, context: &mut Context, now: Timestamp) {
        let hooks = self.configuration.lifecycle_hooks.clone();
        let Some(staged) = &mut self.staged else { return };
        staged.stage = staged.stage.next();
        if staged.stage == Lifecycle::BakeTime {
            staged.until = now + staged.baking.after_all;
        }
        let name = staged.stage.name();
        if hooks.iter().any(|hook| hook.lifecycle_stages.iter().any(|at| at == name)) {
            staged.waits_at = Some(context.ids.uuid());
        }
        let message = format!("(service {}) is in {name}", self.name);
        context.note(message);
        if let Some(current) = self.current() {
            current.updated_at = now;
        }
    }

    /// Goes on from the hook `id`; false where it does not wait there.
    pub(super) fn go_on(&mut self, id: &str) -> bool {
        let staged = self.staged.as_mut().filter(|s| s.waits_at.as_deref() == Some(id));
        let waited = staged.is_some();
        if let Some(staged) = staged {
            staged.waits_at = None;
        }
        waited
    }

    /// Whether the tasks of this deployment get requests.
    pub(super) fn gets_requests(&self, deployment: &str) -> bool {
        let Some(staged) = &self.staged else { return true };
        let is_new = self.deployments.first().is_some_and(|one| one.id == deployment);
        if is_new { staged.share > 0.0 } else { staged.share < 100.0 }
    }

    /// Whether CodeDeploy or a third party deploys: then there are task sets.
    pub(super) fn has_task_sets(&self) -> bool {
        self.controller != super::requests::Controller::Ecs
    }

    /// The index of PRIMARY. A task set is that only once it gets the requests.
    pub(super) fn primary_index(&self) -> usize {
        let waits = self.staged.as_ref().is_some_and(|staged| staged.share < 100.0);
        usize::from(waits && self.has_task_sets() && self.deployments.len() > 1)
    }

    /// CodeDeploy brings the old task set back: it has been there all the time.
    pub(super) fn reroute(&mut self, context: &mut Context, now: Timestamp) {
        self.staged = None;
        if self.deployments.len() > 1 {
            self.deployments.swap(0, 1);
            self.deployments[0].updated_at = now;
        }
        let definition = ids::last_part(&self.deployments[0].task_definition).to_owned();
        context.note(format!("CodeDeploy: {} goes back to {definition}", self.name));
        self.wake(context, now);
    }
}
