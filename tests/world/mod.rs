//! The whole outside world of deployguard, on loopback.
#![allow(dead_code)] // Each test binary uses a part of it.

pub mod aws;
pub mod faults;
pub mod server;
pub mod timeline;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic elsewhere: that panic is the failure to report, not this lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
