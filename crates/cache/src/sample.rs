//! Sample of recently hit keys.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::key::Key;

/// One hit in this many is sampled.
const SAMPLE_INTERVAL: u64 = 64;
/// Most sampled keys.
const CAPACITY: usize = 256;

/// Recently hit keys; the oldest is overwritten first.
pub(crate) struct RecentHits {
    hits: AtomicU64,
    keys: Mutex<Vec<Key>>,
}

impl RecentHits {
    pub(crate) fn new() -> Self {
        Self {
            hits: AtomicU64::new(0),
            keys: Mutex::default(),
        }
    }

    pub(crate) fn record(&self, key: Key) {
        let hit = self.hits.fetch_add(1, Ordering::Relaxed);
        if !hit.is_multiple_of(SAMPLE_INTERVAL) {
            return;
        }
        let mut keys = self.keys.lock();
        if keys.len() < CAPACITY {
            keys.push(key);
        } else {
            let index = usize::try_from(hit / SAMPLE_INTERVAL).unwrap_or(0) % CAPACITY;
            keys[index] = key;
        }
    }

    /// Takes the sampled keys.
    pub(crate) fn take(&self) -> Vec<Key> {
        let mut keys = std::mem::take(&mut *self.keys.lock());
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
