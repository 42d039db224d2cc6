//! A bounded memory of what does not change any more.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A map that forgets its oldest entry when it is full. Shared between tasks.
pub(super) struct Cache<K, V> {
    most: usize,
    inner: Mutex<(HashMap<K, V>, VecDeque<K>)>,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn of_at_most(most: usize) -> Self {
        Self { most, inner: Mutex::default() }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).0.get(key).cloned()
    }

    /// Keeps `value`; an entry that is already there keeps its age.
    pub(super) fn put(&self, key: K, value: V) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, by_age) = &mut *inner;
        if entries.insert(key.clone(), value).is_none() {
            by_age.push_back(key);
        }
        while by_age.len() > self.most {
            if let Some(oldest) = by_age.pop_front() {
                entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room() {
        let cache = Cache::of_at_most(2);
        for key in ["a", "b", "a", "c"] {
            cache.put(key.to_owned(), key.len());
        }
        assert_eq!([cache.get("a"), cache.get("b"), cache.get("c")], [None, Some(1), Some(1)]);
    }
}
