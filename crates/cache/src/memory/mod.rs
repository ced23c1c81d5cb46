//! Memory tier: values in this process, either alone with leases (`memory`) or as copies of the shared tier (`hybrid`).
//!
//! Values are kept in a bounded map that readers use without a lock of this module. Everything that decides about a value (its
//! lease, the count of its invalidations) is kept in shards with a mutex each, and values change only under that mutex.

mod leases;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use quick_cache::sync::Cache as Values;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use tokio::time::Instant;

use crate::key::{Key, Kind};
use crate::token::Token;
use leases::Leases;

/// Value in the format in which this process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedValue {
    /// Single value.
    One(Bytes),
    /// List, newest first.
    List(Arc<EncodedList>),
}

/// Newest entries of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedList {
    /// Sequence of the first entry.
    pub newest: i64,
    /// The entries.
    pub items: Vec<Bytes>,
}

impl EncodedValue {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(body) => body.len(),
            Self::List(list) => list.items.iter().map(|item| item.len() + ITEM_BYTES).sum(),
        }
    }
}

/// Overhead of an entry of a list, in bytes.
const ITEM_BYTES: usize = 72;
/// Overhead of a value: its key, its slot in the map, and its header.
const ENTRY_BYTES: usize = 192;
/// Length of a list, as in the shared tier.
pub(crate) const LIST_LENGTH: usize = 50;

/// Stored value with its owner.
#[derive(Debug, Clone)]
struct Entry {
    owner: Arc<str>,
    encoded: EncodedValue,
    /// Writers that are changing the head of this list, the latest last. The list is a miss while there are any.
    marks: Option<Arc<Vec<Token>>>,
    epoch: i64,
    expires: Instant,
}

impl Entry {
    fn is_good(&self, epoch: i64) -> bool {
        self.marks.is_none() && self.epoch == epoch && Instant::now() < self.expires
    }
}

/// Value found by a lookup.
#[derive(Debug, Clone)]
pub(crate) struct MemoryValue {
    pub(crate) owner: Arc<str>,
    pub(crate) encoded: EncodedValue,
}

/// Weight of an entry. It combines the bounds in entries and in bytes: every entry weighs at least its share of the bytes.
#[derive(Debug, Clone)]
struct Weights {
    least: u64,
}

impl Weighter<Key, Entry> for Weights {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        let bytes = entry.encoded.len() + ENTRY_BYTES;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(self.least)
    }
}

/// Counts evictions, by kind.
#[derive(Debug, Clone)]
struct Evictions(Arc<[AtomicU64; Kind::ALL.len()]>);

impl Lifecycle<Key, Entry> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), key: Key, _: Entry) {
        self.0[key.kind().index()].fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Shard {
    leases: Leases,
    /// Number of invalidations of keys of this shard.
    invalidations: u64,
}

/// Size of the memory tier, for one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Entries that have not expired.
    pub entries: u64,
    /// Bytes of these entries, including overhead.
    pub bytes: u64,
    /// Evicted entries since the start.
    pub evictions: u64,
}

const SHARDS: usize = 64;

/// Tier in this process.
pub(crate) struct MemoryTier {
    values: Values<Key, Entry, Weights, DefaultHashBuilder, Evictions>,
    shards: [Mutex<Shard>; SHARDS],
    evictions: Evictions,
    owners: Mutex<HashSet<Arc<str>>>,
    generations: Mutex<HashMap<u128, i64>>,
    /// Next generation number; numbers are never reused in a process.
    next_generation: AtomicI64,
    /// Whether invalidations are received.
    live: AtomicBool,
    /// Disables the fill guard, for tests that must then fail.
    #[cfg(test)]
    pub(crate) fill_guard_off: AtomicBool,
}

impl MemoryTier {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        let (entries, bytes) = (max_entries.max(1), max_bytes.max(1));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let least = bytes.div_ceil(u64::try_from(entries).unwrap_or(u64::MAX));
        let evictions = Evictions(Arc::new(Default::default()));
        let weights = Weights { least };
        // With few entries in many shards, a shard would have no room for a single entry.
        let shards = (entries / 64).clamp(1, SHARDS);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(entries.min(1 << 20))
            .weight_capacity(bytes)
            .shards(shards)
            .build();
        let values = match options {
            Ok(options) => Values::with_options(
                options,
                weights,
                DefaultHashBuilder::default(),
                evictions.clone(),
            ),
            // Cannot fail, because all options are set; the default number of shards serves as fallback.
            Err(_) => Values::with(
                entries.min(1 << 20),
                bytes,
                weights,
                DefaultHashBuilder::default(),
                evictions.clone(),
            ),
        };
        Self {
            values,
            shards: std::array::from_fn(|_| Mutex::default()),
            evictions,
            owners: Mutex::default(),
            generations: Mutex::default(),
            next_generation: AtomicI64::new(1),
            live: AtomicBool::new(false),
            #[cfg(test)]
            fill_guard_off: AtomicBool::new(false),
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        // Ids begin with a timestamp and end with random bits.
        let index = usize::try_from(key.id() % (SHARDS as u128)).unwrap_or(0);
        self.shards[index].lock()
    }

    /// Returns the value, if it is valid in this epoch.
    pub(crate) fn get(&self, key: Key, epoch: i64) -> Option<MemoryValue> {
        let entry = self.values.get(&key)?;
        entry.is_good(epoch).then_some(MemoryValue {
            owner: entry.owner,
            encoded: entry.encoded,
        })
    }

    fn put(&self, key: Key, owner: &str, encoded: EncodedValue, epoch: i64, ttl: Duration) {
        let entry = Entry {
            owner: self.interned(owner),
            encoded,
            marks: None,
            epoch,
            expires: Instant::now() + ttl,
        };
        self.values.insert(key, entry);
    }

    /// Interns an owner: all its entries share one text.
    fn interned(&self, owner: &str) -> Arc<str> {
        let mut owners = self.owners.lock();
        if let Some(known) = owners.get(owner) {
            return Arc::clone(known);
        }
        let owner: Arc<str> = owner.into();
        owners.insert(Arc::clone(&owner));
        owner
    }

    /// Removes expired values, leases and owners. Returns the remaining size by kind.
    pub(crate) fn sweep(&self) -> [MemoryStatus; Kind::ALL.len()] {
        let left: [(AtomicU64, AtomicU64); Kind::ALL.len()] = Default::default();
        let now = Instant::now();
        self.values.retain(|key, entry| {
            let is_valid = now < entry.expires;
            if is_valid {
                let (entries, bytes) = &left[key.kind().index()];
                let size = u64::try_from(entry.encoded.len() + ENTRY_BYTES).unwrap_or(u64::MAX);
                entries.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(size, Ordering::Relaxed);
            }
            is_valid
        });
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.leases.drop_expired(now);
        }
        let mut owners = self.owners.lock();
        owners.retain(|owner| Arc::strong_count(owner) > 1);
        std::array::from_fn(|kind| MemoryStatus {
            entries: left[kind].0.load(Ordering::Relaxed),
            bytes: left[kind].1.load(Ordering::Relaxed),
            evictions: self.evictions.0[kind].load(Ordering::Relaxed),
        })
    }

    /// Returns all keys.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.values.iter().map(|(key, _)| key).collect()
    }
}

/// Leases and fences, for the memory backend.
impl MemoryTier {
    /// Acquires the lease of a key.
    pub(crate) fn acquire(&self, key: Key, epoch: i64, token: Token) -> Leased {
        let mut shard = self.shard(key);
        if let Some(found) = self.get(key, epoch) {
            return Leased::Value(found);
        }
        if shard.leases.acquire(key, token, Instant::now()) {
            Leased::Granted
        } else {
            Leased::Busy
        }
    }

    /// Stores the value if the lease is still valid, and ends the lease.
    pub(crate) fn fill(
        &self,
        (key, token): (Key, Token),
        value: Option<(&str, EncodedValue)>,
        epoch: i64,
        ttl: Duration,
    ) -> bool {
        let mut shard = self.shard(key);
        let is_valid = shard.leases.give_back(key, token, Instant::now());
        match value {
            Some((owner, encoded)) if is_valid => {
                self.put(key, owner, encoded, epoch, ttl);
                true
            }
            _ => false,
        }
    }

    /// Fences a key: deletes the value, revokes the reader's lease and forbids new ones.
    pub(crate) fn fence(&self, key: Key, token: Token) {
        if key.kind() == Kind::Generation {
            return self.rotate_generation(key);
        }
        let mut shard = self.shard(key);
        shard.leases.fence(key, token, Instant::now());
        self.values.remove(&key);
    }

    /// Fences a list, which stays with a mark.
    pub(crate) fn fence_list(&self, key: Key, token: Token) {
        let mut shard = self.shard(key);
        shard.leases.fence(key, token, Instant::now());
        if let Some(mut entry) = self.values.get(&key) {
            let mut marks = entry.marks.map(Arc::unwrap_or_clone).unwrap_or_default();
            marks.push(token);
            entry.marks = Some(Arc::new(marks));
            self.values.insert(key, entry);
        }
    }

    /// Releases a key. The value is deleted, in case a reader has filled it after the fence expired.
    pub(crate) fn release(&self, key: Key, token: Token) {
        if key.kind() == Kind::Generation {
            return self.rotate_generation(key);
        }
        let mut shard = self.shard(key);
        shard.leases.release(key, token);
        self.values.remove(&key);
    }

    /// Releases a list after a message was added: the message is prepended if the list is unchanged since the fence.
    pub(crate) fn release_list(
        &self,
        (key, token): (Key, Token),
        (sequence, item): (i64, Bytes),
        epoch: i64,
        ttl: Duration,
    ) {
        let mut shard = self.shard(key);
        shard.leases.release(key, token);
        let Some(mut entry) = self.values.get(&key) else {
            return;
        };
        let is_only_mark = entry
            .marks
            .as_deref()
            .is_some_and(|marks| marks == &[token]);
        match &entry.encoded {
            EncodedValue::List(list)
                if is_only_mark && list.newest == sequence - 1 && entry.epoch == epoch =>
            {
                let rest = list.items.iter().take(LIST_LENGTH - 1).cloned();
                let items = std::iter::once(item).chain(rest).collect();
                entry.encoded = EncodedValue::List(Arc::new(EncodedList {
                    newest: sequence,
                    items,
                }));
                entry.marks = None;
                entry.expires = Instant::now() + ttl;
                self.values.insert(key, entry);
            }
            EncodedValue::List(_) | EncodedValue::One(_) => {
                self.values.remove(&key);
            }
        }
    }

    /// Whether a writer has fenced the key.
    pub(crate) fn is_fenced(&self, key: Key) -> bool {
        self.shard(key).leases.is_fenced(key, Instant::now())
    }
}

/// Most scopes with a generation. Beyond that all generations are dropped, which invalidates the values stored under them.
const MAX_GENERATIONS: usize = 100_000;

/// Values of scopes: they depend on generations and have no leases.
impl MemoryTier {
    /// Rotates the generation of a scope.
    fn rotate_generation(&self, key: Key) {
        self.with_generations(|generations| {
            generations.insert(key.id(), self.unused_generation());
        });
    }

    fn unused_generation(&self) -> i64 {
        self.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    fn with_generations<T>(&self, look: impl FnOnce(&mut HashMap<u128, i64>) -> T) -> T {
        let mut generations = self.generations.lock();
        if generations.len() >= MAX_GENERATIONS {
            generations.clear();
        }
        look(&mut generations)
    }

    /// Returns the generation of the scope of a key; a new one if the scope has none.
    pub(crate) fn generation(&self, key: Key) -> i64 {
        self.with_generations(|generations| {
            *generations
                .entry(key.id())
                .or_insert_with(|| self.unused_generation())
        })
    }

    /// Stores a value under a generation.
    pub(crate) fn put_scoped(
        &self,
        key: Key,
        owner: &str,
        encoded: EncodedValue,
        generation: i64,
        ttl: Duration,
    ) {
        let _shard = self.shard(key);
        self.put(key, owner, encoded, generation, ttl);
    }
}

/// Result of acquiring a lease.
#[derive(Debug)]
pub(crate) enum Leased {
    /// A value is present by now.
    Value(MemoryValue),
    /// A write is under way.
    Busy,
    /// The lease is acquired.
    Granted,
}

/// Copies of the shared tier, for the hybrid backend.
impl MemoryTier {
    /// Returns the mark of a key for [`MemoryTier::copy`]; `None` while no invalidations are received.
    pub(crate) fn mark(&self, key: Key) -> Option<u64> {
        let shard = self.shard(key);
        self.is_live().then_some(shard.invalidations)
    }

    /// Whether invalidations are received.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Stores a copy, unless its shard was invalidated since the mark was taken. Returns whether it was stored.
    pub(crate) fn copy(
        &self,
        (key, mark): (Key, u64),
        owner: &str,
        encoded: EncodedValue,
        epoch: i64,
        ttl: Duration,
    ) -> bool {
        let shard = self.shard(key);
        let unchanged = shard.invalidations == mark && self.is_live();
        #[cfg(test)]
        let unchanged = unchanged || self.fill_guard_off.load(Ordering::Relaxed);
        if unchanged {
            self.put(key, owner, encoded, epoch, ttl);
        }
        unchanged
    }

    /// Removes the copy of a changed key. Returns whether there was one.
    pub(crate) fn invalidate(&self, key: Key) -> bool {
        let mut shard = self.shard(key);
        shard.invalidations = shard.invalidations.wrapping_add(1);
        self.values.remove(&key).is_some()
    }

    /// The invalidation connection is live: drops all copies from before, and accepts new ones.
    pub(crate) fn connected(&self) {
        self.empty();
        self.live.store(true, Ordering::Release);
    }

    /// The invalidation connection is lost: drops all copies, and accepts none.
    pub(crate) fn disconnected(&self) {
        self.live.store(false, Ordering::Release);
        self.empty();
    }

    /// Drops all values, generations and readers' leases; copies of lookups in progress are refused.
    pub(crate) fn empty(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.invalidations = shard.invalidations.wrapping_add(1);
            shard.leases.drop_readers();
        }
        self.values.clear();
        self.with_generations(HashMap::clear);
    }
}
