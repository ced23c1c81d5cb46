//! Batch reads: one request to Redis, one query for all missing rows, and concurrent leases and fills.
//!
//! Concurrent batch reads of one owner share one query, whichever keys each of them misses. As for a single value, leases are
//! acquired before the rows are queried and fills follow. The guarantee holds for each key separately.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cache::{
    Answer, Cache, CacheLookup, Codec, Copies, LOCAL_EPOCH, ReadRequest, Source, Tiers,
};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::{Leased, MemoryTier};
use crate::raw::Raw;
use crate::read::{LeaseResult, LoadRequest, LookupResult, SharedTiers};
use crate::remote::Remote;
use crate::single_flight::{self, FlightRole, Wanted};
use crate::stats::{Operation, Outcome, Tier};
use crate::token::Token;

/// Request to read several values.
#[derive(Debug, Clone, Copy)]
pub struct BatchReadRequest<'a> {
    /// Distinct keys of one kind, which is not a list.
    pub keys: &'a [Key],
    /// Owner that reads; values of another owner are treated as absent.
    pub owner: &'a str,
    /// Accepted staleness while the database is unreachable.
    pub max_staleness: Option<Duration>,
}

impl<'a> BatchReadRequest<'a> {
    fn one(&self, key: Key) -> ReadRequest<'a> {
        ReadRequest {
            key,
            owner: self.owner,
            max_staleness: self.max_staleness,
        }
    }
}

/// Values found so far.
type Lookups<V> = HashMap<Key, CacheLookup<V>>;
type Reply<C> = Result<Lookups<<C as Codec>::Value>, <C as Codec>::Error>;

/// Request to load the missed values of a batch.
struct BatchLoad {
    owner: Arc<str>,
    missing: Wanted,
    /// Deadline for calls to Redis.
    until: Instant,
}

impl Cache {
    /// Reads several values: each from the cache if it is certainly current, the others through `load`, which is called at most
    /// once. Keys without a value are missing in the result.
    pub async fn read_many<C, D, F, L>(
        self: &Arc<Self>,
        lookup: BatchReadRequest<'_>,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        if lookup.keys.is_empty() {
            return Ok(Lookups::new());
        }
        match &self.tiers {
            Tiers::Off => Ok(from_database(load(lookup.keys.to_vec()).await?)),
            Tiers::Memory(_) if self.memory_is_open() => {
                self.read_many_memory(&lookup, codec, load).await
            }
            Tiers::Memory(_) => {
                self.record_gate_shut(&lookup, Tier::Memory);
                self.read_many_shut(&lookup, &codec, load).await
            }
            Tiers::Shared { remote, copies } => {
                // Checked before the lookup: a gate that opened only afterwards would not vouch for what the lookup found.
                let Some(epoch) = self.gate.epoch() else {
                    self.record_gate_shut(&lookup, Tier::Redis);
                    return self.read_many_shut(&lookup, &codec, load).await;
                };
                let tiers = (remote, copies.as_ref());
                self.read_many_shared(tiers, &epoch, &lookup, codec, load)
                    .await
            }
        }
    }

    async fn read_many_memory<C, D, F, L>(
        self: &Arc<Self>,
        lookup: &BatchReadRequest<'_>,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        let mut results = Lookups::new();
        for key in lookup.keys {
            if let Some(encoded) = self.hit(*key, lookup.owner) {
                results.insert(
                    *key,
                    CacheLookup::new(Answer::Encoded(encoded), Source::Memory),
                );
            } else {
                self.record_lookup(*key, Tier::Memory, Outcome::Miss, Instant::now());
            }
        }
        let missing: Wanted = missing(lookup.keys, &results)
            .map(|key| (key, None))
            .collect();
        if missing.is_empty() {
            return Ok(results);
        }
        let batch = BatchLoad {
            owner: lookup.owner.into(),
            missing,
            until: Instant::now() + self.settings.budget,
        };
        results.extend(Box::pin(self.load_many_once(batch, codec, load)).await?);
        Ok(results)
    }

    async fn read_many_shared<C, D, F, L>(
        self: &Arc<Self>,
        (remote, copies): SharedTiers<'_>,
        epoch: &Arc<Epoch>,
        lookup: &BatchReadRequest<'_>,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        let until = Instant::now() + self.settings.budget;
        let mut results = match copies {
            Some(copies) => self.copies((remote, copies), until, lookup, epoch).await,
            None => Lookups::new(),
        };
        let began = Instant::now();
        let wanted: Vec<Key> = missing(lookup.keys, &results).collect();
        if wanted.is_empty() {
            return Ok(results);
        }
        // Taken before the lookup: any later invalidation forbids the copy.
        let mark = |key: &Key| Some((*key, copies?.mark(*key, epoch)?));
        let marks: HashMap<Key, u64> = wanted.iter().filter_map(mark).collect();
        let asking = remote.get_many(&wanted, epoch);
        let answered = self.stall_detector.wait(remote, until, asking).await;
        let is_usable = answered.is_ok();
        let mut missing = Wanted::new();
        for (index, key) in wanted.into_iter().enumerate() {
            let answer = match &answered {
                Ok(raws) => Ok(raws.get(index).cloned().flatten()),
                Err(fault) => Err(fault.clone()),
            };
            match self.evaluate(&lookup.one(key), codec(key), epoch, answer, began) {
                LookupResult::Hit(value) => {
                    if let (Some(copies), Some(mark)) = (copies, marks.get(&key)) {
                        let encoded = codec(key).encode(&value);
                        self.store_copy(copies, (key, *mark), lookup.owner, encoded, epoch);
                    }
                    results.insert(key, CacheLookup::new(Answer::Value(value), Source::Redis));
                }
                LookupResult::Miss(spoiled) => {
                    missing.insert(key, spoiled);
                }
                LookupResult::Foreign | LookupResult::Fault => {
                    missing.insert(key, None);
                }
            }
        }
        if missing.is_empty() {
            return Ok(results);
        }
        if !is_usable {
            let rows = load(missing.into_keys().collect()).await?;
            results.extend(from_database(rows));
            return Ok(results);
        }
        let batch = BatchLoad {
            owner: lookup.owner.into(),
            missing,
            until,
        };
        results.extend(Box::pin(self.load_many_once(batch, codec, load)).await?);
        Ok(results)
    }

    /// Loads the missed values, sharing the query with concurrent batch reads of the owner (single flight).
    async fn load_many_once<C, D, F, L>(
        self: &Arc<Self>,
        mut batch: BatchLoad,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        let wanted: Vec<Key> = batch.missing.keys().copied().collect();
        let Some(kind) = wanted.first().map(|key| key.kind()) else {
            return Ok(Lookups::new());
        };
        let role = self
            .single_flight
            .join_many(kind, &batch.owner, &batch.missing);
        let (result, fallback) = match role {
            FlightRole::Full => return self.fetch_many(batch, &codec, load).await,
            FlightRole::Leader(in_flight) => {
                let rows = self.fetch_many(batch, &codec, load).await;
                drop(in_flight);
                return rows;
            }
            FlightRole::NextLeader(next, result) => {
                let (cache, fallback) = (Arc::clone(self), load.clone());
                next.run(move |wanted, waited| async move {
                    batch.missing = wanted;
                    // The wait was for the database, so it does not count against the budget for Redis.
                    batch.until += waited;
                    cache.fetch_many(batch, &codec, load).await
                });
                (result, fallback)
            }
            FlightRole::Follower(result) => (result, load),
        };
        let Some(shared) = single_flight::result::<Reply<C>>(result).await else {
            // The shared load was lost: each reader loads for itself.
            return fallback(wanted).await.map(from_database);
        };
        let loaded = shared.as_ref().as_ref().map_err(Clone::clone)?;
        let mine = wanted.into_iter();
        Ok(mine
            .filter_map(|key| Some((key, loaded.get(&key)?.clone())))
            .collect())
    }

    /// Acquires the leases, queries the database and fills.
    async fn fetch_many<C, D, F, L>(
        self: &Arc<Self>,
        batch: BatchLoad,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        match &self.tiers {
            Tiers::Off => {
                let rows = load(batch.missing.into_keys().collect()).await?;
                Ok(from_database(rows))
            }
            Tiers::Memory(memory) => self.fetch_many_memory(memory, &batch, codec, load).await,
            Tiers::Shared { remote, .. } => {
                self.fetch_many_shared(remote, batch, codec, load).await
            }
        }
    }

    async fn fetch_many_memory<C, D, F, L>(
        &self,
        memory: &MemoryTier,
        batch: &BatchLoad,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        let (mut results, mut leases) = (Lookups::new(), Vec::new());
        // The gate is checked again, because time has passed.
        let keys = batch.missing.keys().filter(|_| self.memory_is_open());
        for key in keys {
            let token = self.settings.token();
            match memory.acquire(*key, LOCAL_EPOCH, token) {
                Leased::Value(found) if *found.owner == *batch.owner => {
                    let answer = Answer::Encoded(found.encoded);
                    results.insert(*key, CacheLookup::new(answer, Source::Memory));
                }
                Leased::Granted => leases.push((*key, token)),
                Leased::Value(_) | Leased::Busy => {}
            }
        }
        let missing: Vec<Key> = missing(batch.missing.keys(), &results).collect();
        if missing.is_empty() {
            return Ok(results);
        }
        let rows = load(missing).await;
        for lease in leases {
            let row = rows.as_ref().ok().and_then(|rows| rows.get(&lease.0));
            self.fill_memory(memory, lease, codec(lease.0), row);
        }
        results.extend(from_database(rows?));
        Ok(results)
    }

    async fn fetch_many_shared<C, D, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        batch: BatchLoad,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        let mut results = Lookups::new();
        let keys: Vec<Key> = batch.missing.keys().copied().collect();
        let leases = self.leases(remote, batch, codec, &mut results).await;
        let missing: Vec<Key> = missing(&keys, &results).collect();
        if missing.is_empty() {
            return Ok(results);
        }
        let rows = load(missing).await?;
        for lease in leases {
            let key = lease.0;
            if let Some(row) = rows.get(&key) {
                self.fill_shared(remote, lease, codec(key), row);
            }
        }
        results.extend(from_database(rows));
        Ok(results)
    }

    /// Returns copies in this process, after one barrier for all of them.
    async fn copies<V>(
        &self,
        (remote, copies): (&Arc<dyn Remote>, &Copies),
        until: Instant,
        lookup: &BatchReadRequest<'_>,
        epoch: &Epoch,
    ) -> Lookups<V> {
        let mut results = Lookups::new();
        if !copies.is_listening_to(epoch) {
            return results;
        }
        let began = Instant::now();
        let single = lookup
            .keys
            .iter()
            .filter(|key| key.kind() != Kind::Messages);
        let (present, absent): (Vec<Key>, Vec<Key>) =
            single.partition(|key| copies.memory.get(**key, epoch.number).is_some());
        for key in absent {
            let of = (key.kind(), Tier::Memory);
            self.count(of, Operation::Get, Outcome::Miss, began.elapsed());
        }
        if present.is_empty() {
            return results;
        }
        let is_current = self.barrier_passed((remote, copies), (began, until)).await;
        for key in present {
            if !is_current {
                self.record_lookup(key, Tier::Memory, Outcome::Error, began);
            } else if let Some(encoded) =
                self.copy_after_barrier(copies, &lookup.one(key), epoch, began)
            {
                results.insert(
                    key,
                    CacheLookup::new(Answer::Encoded(encoded), Source::Memory),
                );
            }
        }
        results
    }

    /// Acquires the leases of the missed keys concurrently. Values that are present by now are added to the results.
    async fn leases<C, D>(
        &self,
        remote: &Arc<dyn Remote>,
        batch: BatchLoad,
        codec: &D,
        results: &mut Lookups<C::Value>,
    ) -> Vec<(Key, (Arc<Epoch>, Token))>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
    {
        // The gate is checked again, because time has passed; filled values carry the current epoch.
        let Some(epoch) = self.gate.epoch() else {
            return Vec::new();
        };
        let BatchLoad {
            owner,
            missing,
            until,
        } = batch;
        let acquire = |(key, spoiled)| {
            let request = LoadRequest {
                key,
                owner: Arc::clone(&owner),
                spoiled,
                until,
            };
            let (codec, epoch) = (codec(key), Arc::clone(&epoch));
            async move { (key, self.lease(remote, &request, codec, epoch).await) }
        };
        let mut leases = Vec::new();
        for (key, lease) in join_all(missing.into_iter().map(acquire)).await {
            match lease {
                LeaseResult::Value(value) => {
                    results.insert(key, CacheLookup::new(Answer::Value(value), Source::Redis));
                }
                LeaseResult::Granted(epoch, token) => leases.push((key, (epoch, token))),
                LeaseResult::None => {}
            }
        }
        leases
    }

    /// Reads while the gate is shut: from the database, or, if it is unreachable, stale values that the request accepts, provided
    /// that all of them are present.
    async fn read_many_shut<C, D, F, L>(
        &self,
        lookup: &BatchReadRequest<'_>,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        if self.gate.database_is_away()
            && let Some(results) = self.old(lookup, codec).await
        {
            return Ok(results);
        }
        match load(lookup.keys.to_vec()).await {
            Err(error) if C::is_away(&error) => self.old(lookup, codec).await.ok_or(error),
            rows => Ok(from_database(rows?)),
        }
    }

    async fn old<C: Codec>(
        &self,
        lookup: &BatchReadRequest<'_>,
        codec: &impl Fn(Key) -> C,
    ) -> Option<Lookups<C::Value>> {
        match &self.tiers {
            Tiers::Off => None,
            Tiers::Memory(memory) => self.old_memory(memory, lookup),
            Tiers::Shared { remote, .. } => self.old_shared(remote, lookup, codec).await,
        }
    }

    fn old_memory<V>(
        &self,
        memory: &MemoryTier,
        lookup: &BatchReadRequest<'_>,
    ) -> Option<Lookups<V>> {
        let (_, age) = self.allowed_age(lookup.max_staleness)?;
        let old = |key: &Key| {
            let found = memory.get(*key, LOCAL_EPOCH)?;
            (*found.owner == *lookup.owner).then(|| (*key, Answer::Encoded(found.encoded)))
        };
        let old: Option<Vec<_>> = lookup.keys.iter().map(old).collect();
        Some(aged(old?, Source::Memory, age))
    }

    async fn old_shared<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        lookup: &BatchReadRequest<'_>,
        codec: &impl Fn(Key) -> C,
    ) -> Option<Lookups<C::Value>> {
        let (epoch, age) = self.allowed_age(lookup.max_staleness)?;
        let raws = remote.get_many(lookup.keys, &epoch).await.ok()?;
        let old = |(key, raw): (&Key, Option<Raw>)| {
            let value = self.decode(codec(*key), lookup.owner, &epoch, &raw?).ok()?;
            Some((*key, Answer::Value(value)))
        };
        let old: Option<Vec<_>> = lookup.keys.iter().zip(raws).map(old).collect();
        // A node may answer fewer values than it was asked for; the missing ones are unknown.
        let old = old.filter(|old| old.len() == lookup.keys.len())?;
        Some(aged(old, Source::Redis, age))
    }

    fn record_gate_shut(&self, lookup: &BatchReadRequest<'_>, tier: Tier) {
        for key in lookup.keys {
            self.record_lookup(*key, tier, Outcome::Gate, Instant::now());
        }
    }
}

fn aged<V>(old: Vec<(Key, Answer<V>)>, source: Source, age: Duration) -> Lookups<V> {
    let found = |(key, answer)| {
        let stale = Some(age);
        let found = CacheLookup {
            answer,
            source,
            stale,
        };
        (key, found)
    };
    old.into_iter().map(found).collect()
}

fn missing<'a, V>(
    keys: impl IntoIterator<Item = &'a Key>,
    results: &Lookups<V>,
) -> impl Iterator<Item = Key> {
    let is_missing = |key: &&Key| !results.contains_key(*key);
    keys.into_iter().filter(is_missing).copied()
}

fn from_database<V>(rows: HashMap<Key, V>) -> Lookups<V> {
    let found = |(key, row)| (key, CacheLookup::new(Answer::Value(row), Source::Database));
    rows.into_iter().map(found).collect()
}
