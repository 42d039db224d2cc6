//! What stands in an account, as far as a draft of a policy needs it.

use std::collections::BTreeMap;

use super::Controller;

/// A service as the platform shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surveyed {
    pub name: String,
    pub controller: Controller,
    /// In the platform's order; none: no load balancer.
    pub fronts: Vec<Front>,
}

/// Where a load balancer finds a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Front {
    /// A target group by its ARN, and the one that it changes places with in a blue/green
    /// deployment.
    Group { group: String, alternate: Option<String> },
    /// A Classic Load Balancer, by its name.
    Classic(String),
}

/// An alarm that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAlarm {
    pub name: String,
    /// Of each of its metrics.
    pub dimensions: Vec<BTreeMap<String, String>>,
    /// Whether it is in ALARM at this moment.
    pub is_ringing: bool,
    /// Whether all it does is to scale a service: it rings in every quiet night.
    pub scales: bool,
}
