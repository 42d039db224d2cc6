//! Faults that are waiting for the next calls of an operation.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use super::lock;

/// For each operation, what goes wrong with its next calls; and what goes wrong with all.
pub struct Faults<F> {
    planned: Mutex<HashMap<String, VecDeque<F>>>,
    storm: Mutex<Option<F>>,
}

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self { planned: Mutex::default(), storm: Mutex::default() }
    }
}

impl<F: Clone> Faults<F> {
    /// The next `times` calls of `operation` meet `fault`, after those that wait already.
    pub fn plan(&self, operation: &str, fault: &F, times: usize) {
        let mut plans = lock(&self.planned);
        let queue = plans.entry(operation.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// The fault of this call, if there is one.
    pub fn take(&self, operation: &str) -> Option<F> {
        if let Some(fault) = lock(&self.storm).clone() {
            return Some(fault);
        }
        lock(&self.planned).get_mut(operation)?.pop_front()
    }

    /// Every call meets `fault` until the next call of this, whatever is planned.
    pub fn storm(&self, fault: Option<F>) {
        *lock(&self.storm) = fault;
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        lock(&self.planned).clear();
    }
}
