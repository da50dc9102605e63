//! A small map of this process alone that keeps what is asked for, up to so many entries.

use std::borrow::Borrow;
use std::hash::Hash;

use moka::sync::Cache as Moka;

/// What this process has worked out and would work out again: nothing in it is ever out of date, so nobody invalidates it.
pub struct Bounded<K, V>(Moka<K, V>);

impl<K, V> Bounded<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps so many entries; 0: none.
    #[must_use]
    pub fn new(entries_max: u64) -> Self {
        Self(Moka::new(entries_max))
    }

    /// The entry, if it is kept.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    /// Keeps it, in the place of another if there is no room.
    pub fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// How many are kept, after what was put off.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.entry_count()
    }
}
