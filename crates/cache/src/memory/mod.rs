//! The tier in this process: alone with its leases (`memory`), or copies of what the shared tier holds (`hybrid`).
//!
//! Values lie in a bounded map that readers ask without a lock of ours. Whatever decides about a value (its lease, the count of
//! what was heard about it) lies in shards under a mutex each, and values change only under it.

mod leases;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quick_cache::sync::Cache as Values;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use tokio::time::Instant;

use crate::key::{Key, Kind};
use crate::remote::Token;
use leases::Leases;

/// A value in the form in which this process answers with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedValue {
    /// One thing.
    One(Bytes),
    /// Several, newest first.
    List(Arc<EncodedList>),
}

/// The newest of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedList {
    /// The place of the first.
    pub newest: i64,
    /// All of them.
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

/// What a place in a list takes besides its bytes.
const ITEM_BYTES: usize = 72;
/// What an entry takes besides its bytes: its key, its place in the map, and its head.
const ENTRY_BYTES: usize = 192;
/// As many as the list in the shared tier has.
pub(crate) const LIST_LENGTH: usize = 50;

/// A value and whose it is.
#[derive(Debug, Clone)]
struct Entry {
    owner: Arc<str>,
    encoded: EncodedValue,
    /// Writers who are changing the head of this list, the latest last: until the last of them has gone it is a miss.
    marks: Option<Arc<Vec<Token>>>,
    epoch: i64,
    expires: Instant,
}

impl Entry {
    fn is_good(&self, epoch: i64) -> bool {
        self.marks.is_none() && self.epoch == epoch && Instant::now() < self.expires
    }
}

/// What a hit finds.
#[derive(Debug, Clone)]
pub(crate) struct NearValue {
    pub(crate) owner: Arc<str>,
    pub(crate) encoded: EncodedValue,
}

/// The bounds in entries and in bytes in one number: every entry weighs at least its share of the bytes.
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

/// Counts what had to go for want of room.
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
    /// How often something was heard about a key of this shard.
    heard: u64,
}

/// What is in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Entries that are good.
    pub entries: u64,
    /// Their bytes, with what it takes to keep them.
    pub bytes: u64,
    /// Entries that went for want of room, ever.
    pub evictions: u64,
}

const SHARDS: usize = 64;

/// The tier in this process.
pub(crate) struct Near {
    values: Values<Key, Entry, Weights, DefaultHashBuilder, Evictions>,
    shards: [Mutex<Shard>; SHARDS],
    evictions: Evictions,
    owners: Mutex<HashSet<Arc<str>>>,
    generations: Mutex<HashMap<u128, i64>>,
    /// Counts generations: in one process a number never comes again.
    next_generation: AtomicI64,
    /// Whether what others write is heard.
    live: AtomicBool,
    /// Tests show what happens without it.
    #[cfg(test)]
    pub(crate) unguarded: AtomicBool,
}

impl Near {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        let (entries, bytes) = (max_entries.max(1), max_bytes.max(1));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let least = bytes.div_ceil(u64::try_from(entries).unwrap_or(u64::MAX));
        let evictions = Evictions(Arc::new(Default::default()));
        let weights = Weights { least };
        // Few entries in many shards would leave a shard no room for one.
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
            // It is missing nothing; if it says so all the same, its own choice of shards will do.
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
            unguarded: AtomicBool::new(false),
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, Shard> {
        // Ids are ordered by time and random at their end.
        let index = usize::try_from(key.id() % (SHARDS as u128)).unwrap_or(0);
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, if it is good in this epoch.
    pub(crate) fn get(&self, key: Key, epoch: i64) -> Option<NearValue> {
        let entry = self.values.get(&key)?;
        entry.is_good(epoch).then_some(NearValue {
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

    /// One text for all entries of an owner.
    fn interned(&self, owner: &str) -> Arc<str> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = owners.get(owner) {
            return Arc::clone(known);
        }
        let owner: Arc<str> = owner.into();
        owners.insert(Arc::clone(&owner));
        owner
    }

    /// Forgets what has expired; by kind, what is left.
    pub(crate) fn sweep(&self) -> [MemoryStatus; Kind::ALL.len()] {
        let left: [(AtomicU64, AtomicU64); Kind::ALL.len()] = Default::default();
        let now = Instant::now();
        self.values.retain(|key, entry| {
            let good = now < entry.expires;
            if good {
                let (entries, bytes) = &left[key.kind().index()];
                let size = u64::try_from(entry.encoded.len() + ENTRY_BYTES).unwrap_or(u64::MAX);
                entries.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(size, Ordering::Relaxed);
            }
            good
        });
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.leases.forget_expired(now);
        }
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|owner| Arc::strong_count(owner) > 1);
        std::array::from_fn(|kind| MemoryStatus {
            entries: left[kind].0.load(Ordering::Relaxed),
            bytes: left[kind].1.load(Ordering::Relaxed),
            evictions: self.evictions.0[kind].load(Ordering::Relaxed),
        })
    }

    /// Every key there is.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.values.iter().map(|(key, _)| key).collect()
    }
}

/// With leases: this tier stands alone.
impl Near {
    /// Asks for the lease.
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

    /// Puts the value there if the lease still stands, and gives the lease back.
    pub(crate) fn fill(
        &self,
        (key, token): (Key, Token),
        value: Option<(&str, EncodedValue)>,
        epoch: i64,
        ttl: Duration,
    ) -> bool {
        let mut shard = self.shard(key);
        let stands = shard.leases.give_back(key, token, Instant::now());
        match value {
            Some((owner, encoded)) if stands => {
                self.put(key, owner, encoded, epoch, ttl);
                true
            }
            _ => false,
        }
    }

    /// From now on there is no value, and no lease but those of writers.
    pub(crate) fn fence(&self, key: Key, token: Token) {
        if key.kind() == Kind::Generation {
            return self.turn(key);
        }
        let mut shard = self.shard(key);
        shard.leases.fence(key, token, Instant::now());
        self.values.remove(&key);
    }

    /// As `fence`, but the list stays under a mark.
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

    /// The write is over: the value goes, in case somebody has filled it since the fence was lost.
    pub(crate) fn release(&self, key: Key, token: Token) {
        if key.kind() == Kind::Generation {
            return self.turn(key);
        }
        let mut shard = self.shard(key);
        shard.leases.release(key, token);
        self.values.remove(&key);
    }

    /// The write is over and has added a message: it goes on top if the list is as it was when it was fenced.
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
        let ours_alone = entry
            .marks
            .as_deref()
            .is_some_and(|marks| marks == &[token]);
        match &entry.encoded {
            EncodedValue::List(list)
                if ours_alone && list.newest == sequence - 1 && entry.epoch == epoch =>
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

    /// Whether a writer has it fenced.
    pub(crate) fn is_fenced(&self, key: Key) -> bool {
        self.shard(key).leases.is_fenced(key, Instant::now())
    }
}

/// As many scopes have a generation; of more, all are forgotten, and what was found under them with them.
const GENERATIONS: usize = 100_000;

/// By generations: what belongs to a scope has no leases.
impl Near {
    /// Begins another generation.
    fn turn(&self, key: Key) {
        self.with_generations(|generations| {
            generations.insert(key.id(), self.unused());
        });
    }

    fn unused(&self) -> i64 {
        self.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    fn with_generations<T>(&self, look: impl FnOnce(&mut HashMap<u128, i64>) -> T) -> T {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if generations.len() >= GENERATIONS {
            generations.clear();
        }
        look(&mut generations)
    }

    /// The generation of the scope that a key is of; one that never was if there is none.
    pub(crate) fn generation(&self, key: Key) -> i64 {
        self.with_generations(|generations| {
            *generations.entry(key.id()).or_insert_with(|| self.unused())
        })
    }

    /// Keeps what was found under a generation.
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

/// What came of asking for the lease.
#[derive(Debug)]
pub(crate) enum Leased {
    /// There is a value by now.
    Value(NearValue),
    /// A write is under way.
    Busy,
    /// It is taken.
    Granted,
}

/// As copies of what the shared tier holds.
impl Near {
    /// How things stand for the key; `None` while nothing is heard from that process.
    pub(crate) fn mark(&self, key: Key) -> Option<u64> {
        let shard = self.shard(key);
        self.is_live().then_some(shard.heard)
    }

    /// Whether others are heard.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Keeps a copy, unless something was heard about it since the mark was taken.
    pub(crate) fn copy(
        &self,
        (key, mark): (Key, u64),
        owner: &str,
        encoded: EncodedValue,
        epoch: i64,
        ttl: Duration,
    ) -> bool {
        let shard = self.shard(key);
        let unheard = shard.heard == mark && self.is_live();
        #[cfg(test)]
        let unheard = unheard || self.unguarded.load(Ordering::Relaxed);
        if unheard {
            self.put(key, owner, encoded, epoch, ttl);
        }
        unheard
    }

    /// Somebody has written to it; whether there was something to forget.
    pub(crate) fn changed(&self, key: Key) -> bool {
        let mut shard = self.shard(key);
        shard.heard = shard.heard.wrapping_add(1);
        self.values.remove(&key).is_some()
    }

    /// From now on everything is heard.
    pub(crate) fn hear(&self) {
        self.empty();
        self.live.store(true, Ordering::Release);
    }

    /// Nothing is heard any more.
    pub(crate) fn lose(&self) {
        self.live.store(false, Ordering::Release);
        self.empty();
    }

    /// Forgets everything, and what is just being looked up.
    pub(crate) fn empty(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.heard = shard.heard.wrapping_add(1);
            shard.leases.forget_readers();
        }
        self.values.clear();
        self.with_generations(HashMap::clear);
    }
}
