//! Which keys were hit of late.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;

/// One hit of so many is remembered.
const EVERY: u64 = 64;
/// So many are kept.
const KEPT: usize = 256;

/// Keys that were hit of late, the oldest overwritten first.
pub(crate) struct Seen {
    hits: AtomicU64,
    keys: Mutex<Vec<Key>>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            hits: AtomicU64::new(0),
            keys: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, key: Key) {
        let hit = self.hits.fetch_add(1, Ordering::Relaxed);
        if !hit.is_multiple_of(EVERY) {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < KEPT {
            keys.push(key);
        } else {
            let place = usize::try_from(hit / EVERY).unwrap_or(0) % KEPT;
            keys[place] = key;
        }
    }

    /// Takes what has gathered.
    pub(crate) fn take(&self) -> Vec<Key> {
        let mut keys =
            std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}
