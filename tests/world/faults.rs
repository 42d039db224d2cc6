//! Faults that are waiting for the next calls of an operation.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use super::lock;

/// For each operation, what goes wrong with its next calls.
pub struct Faults<F>(Mutex<HashMap<String, VecDeque<F>>>);

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<F: Clone> Faults<F> {
    /// The next `times` calls of `operation` meet `fault`, after those that wait already.
    pub fn plan(&self, operation: &str, fault: &F, times: usize) {
        let mut plans = lock(&self.0);
        let queue = plans.entry(operation.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// The fault of this call, if there is one.
    pub fn take(&self, operation: &str) -> Option<F> {
        lock(&self.0).get_mut(operation)?.pop_front()
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}
