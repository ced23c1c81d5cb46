//! Values of a scope (an owner, or an owner and a user): lists, statistics and searches.
//!
//! They have no leases. A value carries the generation of its scope that was read before its rows were queried, and is a hit only
//! while that generation is in force. A write rotates the generation with its fence and again with its release, so a value read
//! before the commit carries an outdated generation. A value that is no hit is overwritten in place.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{Answer, Cache, CacheLookup, Codec, LOCAL_EPOCH, ReadRequest, Source, Tiers};
use crate::key::Key;
use crate::ledger::Epoch;
use crate::memory::MemoryTier;
use crate::raw::Raw;
use crate::read::{LoadRequest, Reply, from_database};
use crate::remote::{Fault, Remote};
use crate::stats::{Outcome, Tier};

impl Cache {
    /// Number under which the memory backend stores a value: the generation of its scope, or the local epoch.
    pub(crate) fn number_of(memory: &MemoryTier, key: Key) -> i64 {
        if key.kind().is_scoped() {
            memory.generation(key)
        } else {
            LOCAL_EPOCH
        }
    }

    /// Reads a value of a scope from Redis, or loads it.
    pub(crate) async fn read_scoped<C, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        epoch: &Arc<Epoch>,
        lookup: ReadRequest<'_>,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        let key = lookup.key;
        let began = Instant::now();
        let until = began + self.settings.budget;
        let asking = in_force(remote, key, epoch);
        let found = match self.stall_detector.wait(remote, until, asking).await {
            Ok(found) => found,
            Err(fault) => {
                tracing::debug!(%key, %fault, "redis lookup failed; reading from the database");
                self.record_lookup(key, Tier::Redis, Outcome::Error, began);
                return Ok(from_database(load().await?));
            }
        };
        let value = found.and_then(|(raw, _)| of_owner(codec, lookup.owner, &raw));
        if let Some(value) = value {
            self.record_hit(key, Tier::Redis, began);
            return Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)));
        }
        self.record_lookup(key, Tier::Redis, Outcome::Miss, began);
        let request = LoadRequest::new(&lookup, None, until);
        self.load_once(request, codec, load).await
    }

    /// Loads a value from the database and stores it under the generation that was in force before the query.
    pub(crate) async fn fetch_scoped<C, F, L>(
        self: &Arc<Self>,
        request: LoadRequest,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let key = request.key;
        match &self.tiers {
            Tiers::Off => Ok(from_database(load().await?)),
            Tiers::Memory(memory) => {
                let generation = memory.generation(key);
                let value = load().await?;
                if let Some(value) = &value
                    && self.memory_is_open()
                {
                    self.store_memory(memory, key, generation, codec, value);
                }
                Ok(from_database(value))
            }
            Tiers::Shared { remote, .. } => {
                let begun = self.generation(remote, &request).await;
                let value = load().await?;
                if let (Some(value), Some((epoch, generation))) = (&value, begun) {
                    self.store_shared(remote, key, (epoch, generation), codec, value);
                }
                Ok(from_database(value))
            }
        }
    }

    /// Returns the epoch and the generation in force; `None` if nothing can be stored.
    async fn generation(
        &self,
        remote: &Arc<dyn Remote>,
        request: &LoadRequest,
    ) -> Option<(Arc<Epoch>, String)> {
        let epoch = self.gate.epoch()?;
        let asking = remote.generation(request.key, &epoch, self.settings.token());
        let generation = self
            .stall_detector
            .wait(remote, request.until, asking)
            .await;
        Some((epoch, generation.ok()?))
    }

    fn store_memory<C: Codec>(
        &self,
        memory: &MemoryTier,
        key: Key,
        generation: i64,
        codec: C,
        value: &C::Value,
    ) {
        let began = Instant::now();
        let encoded = codec.encode(value);
        if let Some(owner) = codec.owner(value)
            && encoded.len() <= self.max_bytes(key.kind())
        {
            let ttl = self.settings.ttl(key.kind());
            memory.put_scoped(key, owner, encoded, generation, ttl);
            self.record_fill(key, Tier::Memory, &Ok(true), began);
        }
    }

    /// Stores a value in the shared tier, in the background.
    fn store_shared<C: Codec>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        key: Key,
        (epoch, generation): (Arc<Epoch>, String),
        codec: C,
        value: &C::Value,
    ) {
        let raw = codec.raw(value);
        if codec.owner(value).is_none() || raw.len() > self.max_bytes(key.kind()) {
            return;
        }
        let (cache, remote) = (Arc::clone(self), Arc::clone(remote));
        tokio::spawn(async move {
            let began = Instant::now();
            let raw = raw.stamped_in(epoch.number, &generation);
            let ttl = cache.settings.ttl(key.kind());
            let put = remote.put(key, &epoch, &raw, ttl).await;
            cache.record_fill(key, Tier::Redis, &put.map(|()| true), began);
        });
    }

    /// Reads a stale value of a scope while the database is unreachable.
    pub(crate) async fn old_scoped<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        (epoch, age): (Arc<Epoch>, Duration),
        lookup: &ReadRequest<'_>,
        codec: C,
    ) -> Option<CacheLookup<C::Value>> {
        let (raw, _) = in_force(remote, lookup.key, &epoch).await.ok()??;
        Some(CacheLookup {
            answer: Answer::Value(of_owner(codec, lookup.owner, &raw)?),
            source: Source::Redis,
            stale: Some(age),
        })
    }
}

/// Reads the value, if it carries this epoch and the generation in force, and that generation.
pub(crate) async fn in_force(
    remote: &Arc<dyn Remote>,
    key: Key,
    epoch: &Epoch,
) -> Result<Option<(Raw, String)>, Fault> {
    let (generation, raw) = remote.get_scoped(key, epoch).await?;
    let in_force = |(raw, generation): &(Raw, String)| raw.is_in(epoch.number, generation);
    Ok(raw.zip(generation).filter(in_force))
}

fn of_owner<C: Codec>(codec: C, owner: &str, raw: &Raw) -> Option<C::Value> {
    let value = codec.parse(raw)?;
    (codec.owner(&value)? == owner).then_some(value)
}
