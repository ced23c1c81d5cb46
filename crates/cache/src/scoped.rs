//! What belongs to a scope (an owner, or an owner and a user): lists, statistics, searches.
//!
//! They have no leases. A value carries the generation of its scope that was read before its rows were asked for, and is a hit
//! only while that is in force. A write begins another generation with its fence and one more with its release: what was read
//! before its commit carries one of those that are over. A value that is no hit is overwritten in place.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{ALONE, Answer, Cache, CacheLookup, Codec, Place, ReadRequest, Source};
use crate::key::Key;
use crate::ledger::Epoch;
use crate::memory::Near;
use crate::raw::Raw;
use crate::read::{Errand, Reply, from_database};
use crate::remote::{Fault, Remote};
use crate::stats::{Outcome, Tier};

impl Cache {
    /// Under which number this process keeps a value now.
    pub(crate) fn number_of(near: &Near, key: Key) -> i64 {
        if key.kind().is_scoped() {
            near.generation(key)
        } else {
            ALONE
        }
    }

    /// In Redis, or from the database.
    pub(crate) async fn read_scoped<C, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        epoch: &Arc<Epoch>,
        asked: ReadRequest<'_>,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        let key = asked.key;
        let began = Instant::now();
        let until = began + self.settings.budget;
        let asking = in_force(remote, key, epoch);
        let found = match self.patience.wait(remote, until, asking).await {
            Ok(found) => found,
            Err(fault) => {
                tracing::debug!(%key, %fault, "the cache was no help");
                self.tell(key, Tier::Redis, Outcome::Error, began);
                return Ok(from_database(load().await?));
            }
        };
        let value = found.and_then(|(raw, _)| of_owner(codec, asked.owner, &raw));
        if let Some(value) = value {
            self.tell_hit(key, Tier::Redis, began);
            return Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)));
        }
        self.tell(key, Tier::Redis, Outcome::Miss, began);
        let errand = Errand::new(&asked, None, until);
        self.fly(errand, codec, load).await
    }

    /// Asks the database, and keeps the answer under the generation that was in force before.
    pub(crate) async fn fetch_scoped<C, F, L>(
        self: &Arc<Self>,
        errand: Errand,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let key = errand.key;
        match &self.place {
            Place::Off => Ok(from_database(load().await?)),
            Place::Memory(near) => {
                let generation = near.generation(key);
                let value = load().await?;
                if let Some(value) = &value
                    && self.memory_is_open()
                {
                    self.keep_near(near, key, generation, codec, value);
                }
                Ok(from_database(value))
            }
            Place::Shared { remote, .. } => {
                let begun = self.generation(remote, &errand).await;
                let value = load().await?;
                if let (Some(value), Some((epoch, generation))) = (&value, begun) {
                    self.keep_shared(remote, key, (epoch, generation), codec, value);
                }
                Ok(from_database(value))
            }
        }
    }

    /// The epoch and the generation in force; `None` if nothing can be kept.
    async fn generation(
        &self,
        remote: &Arc<dyn Remote>,
        errand: &Errand,
    ) -> Option<(Arc<Epoch>, String)> {
        let epoch = self.gate.epoch()?;
        let asking = remote.generation(errand.key, &epoch, self.settings.token());
        let asked = self.patience.wait(remote, errand.until, asking).await;
        Some((epoch, asked.ok()?))
    }

    fn keep_near<C: Codec>(
        &self,
        near: &Near,
        key: Key,
        generation: i64,
        codec: C,
        value: &C::Value,
    ) {
        let began = Instant::now();
        let encoded = codec.encode(value);
        if let Some(owner) = codec.owner(value)
            && encoded.len() <= self.largest(key.kind())
        {
            let ttl = self.settings.ttl(key.kind());
            near.put_scoped(key, owner, encoded, generation, ttl);
            self.tell_fill(key, Tier::Memory, &Ok(true), began);
        }
    }

    /// Nobody has to wait for it.
    fn keep_shared<C: Codec>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        key: Key,
        (epoch, generation): (Arc<Epoch>, String),
        codec: C,
        value: &C::Value,
    ) {
        let raw = codec.raw(value);
        if codec.owner(value).is_none() || raw.len() > self.largest(key.kind()) {
            return;
        }
        let (cache, remote) = (Arc::clone(self), Arc::clone(remote));
        tokio::spawn(async move {
            let began = Instant::now();
            let raw = raw.stamped_in(epoch.number, &generation);
            let ttl = cache.settings.ttl(key.kind());
            let put = remote.put(key, &epoch, &raw, ttl).await;
            cache.tell_fill(key, Tier::Redis, &put.map(|()| true), began);
        });
    }

    /// With the database away: what was in force when it was last there.
    pub(crate) async fn old_scoped<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        (epoch, age): (Arc<Epoch>, Duration),
        asked: &ReadRequest<'_>,
        codec: C,
    ) -> Option<CacheLookup<C::Value>> {
        let (raw, _) = in_force(remote, asked.key, &epoch).await.ok()??;
        Some(CacheLookup {
            answer: Answer::Value(of_owner(codec, asked.owner, &raw)?),
            source: Source::Redis,
            stale: Some(age),
        })
    }
}

/// The value, if it is of this epoch and of the generation in force, and that generation.
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
