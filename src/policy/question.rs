//! From a check to the queries that are asked, variables expanded.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Check, Policy};
use crate::model::{Deployment, Question};

/// The variables of a query, by name (`service`, `labels.x`, ...). `${window}`
/// is not among them: it comes with the call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, String>);

impl Vars {
    /// The variables of a deployment under `policy`.
    pub fn of(_deployment: &Deployment) -> Self {
        todo!()
    }
}

impl Policy {
    /// What `check` asks its source over the last `window`. Pure: the same
    /// arguments give the same question, so equal questions of several watches
    /// can share a request.
    pub fn question(&self, _check: &Check, _vars: &Vars, _window: SignedDuration) -> Question {
        todo!()
    }
}
