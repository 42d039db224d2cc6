//! Metric sources: they fetch and decode, and never judge.
//!
//! A question goes through four rooms: [`plan`] finds the fewest requests for all that is due,
//! [`prometheus`], [`cloudwatch`], [`TaskHealth`] and [`Web`] ask them, and [`pages`] answers
//! what it has read itself, [`counters`] takes the differences of raw counters, [`assemble`]
//! makes a measurement of the answers. All but the second are pure.

mod asked;
pub mod assemble;
mod beats;
mod buckets;
pub mod cloudwatch;
pub mod counters;
mod logs;
pub mod pages;
pub mod plan;
mod prober;
pub mod prometheus;
mod tasks;
mod track;
mod web;

use crate::model::{Ask, Ticks};

pub use asked::{Answered, Asked};
pub use assemble::assemble;
pub use beats::{Beats, Keeper};
pub use cloudwatch::{CloudWatch, Spent};
pub use logs::Logs;
pub use pages::Pages;
pub use plan::{Due, Plan, Request, measure};
pub use prober::Prober;
pub use prometheus::Prometheus;
pub use tasks::TaskHealth;
pub use track::{Fetched, Track};
pub use web::{Seen, Web};

/// What can be asked about the services of one account and region. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub prometheus: Option<Prometheus>,
    pub cloudwatch: Option<CloudWatch>,
    pub tasks: Option<TaskHealth>,
    pub logs: Option<Logs>,
    pub web: Option<Web>,
    pub prober: Option<Prober>,
    pub pages: Option<Pages>,
    /// What scheduled jobs told.
    pub beats: Option<Beats>,
    /// Why there is none of them, where that is not for the settings of a target to say.
    pub none_because: Option<String>,
}

impl Sources {
    /// Nothing can be asked: the settings have no such target, any more.
    pub fn of_no_target(target: &str) -> Self {
        let because = format!("the settings have no target `{target}`: name it under `targets`");
        Self { none_because: Some(because), ..Self::default() }
    }

    /// The kinds of sources that there are.
    pub fn kinds(&self) -> Vec<&'static str> {
        let each = [
            (self.prometheus.is_some(), prometheus::KIND),
            (self.cloudwatch.is_some(), cloudwatch::KIND),
            (self.tasks.is_some(), tasks::KIND),
            (self.logs.is_some(), logs::KIND),
            (self.web.is_some(), web::HEALTH),
            (self.web.is_some(), web::JSON),
            (self.pages.is_some(), pages::KIND),
            (self.prober.is_some(), prober::KIND),
            (self.beats.is_some(), beats::KIND),
        ];
        each.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect()
    }

    /// The requests since the last time this was asked. What reads pages tells of its own.
    pub fn take_asked(&self) -> Vec<Asked> {
        let tallies = [
            self.prometheus.as_ref().map(Prometheus::tally),
            self.cloudwatch.as_ref().map(CloudWatch::tally),
            self.tasks.as_ref().map(TaskHealth::tally),
            self.logs.as_ref().map(Logs::tally),
            self.web.as_ref().map(Web::tally),
            self.prober.as_ref().map(Prober::tally),
            self.beats.as_ref().map(Beats::tally),
        ];
        tallies.into_iter().flatten().flat_map(asked::Tally::take).collect()
    }

    /// Asks one thing over `ticks`, whichever source it is for.
    pub async fn fetch(&self, ask: &Ask, ticks: Ticks) -> Fetched {
        let request = Request { ask: ask.clone(), ticks };
        plan::fetch(self, vec![request]).await.pop().unwrap_or_default()
    }
}

impl From<Prometheus> for Sources {
    fn from(prometheus: Prometheus) -> Self {
        Self { prometheus: Some(prometheus), ..Self::default() }
    }
}
