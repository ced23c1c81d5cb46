//! Read path: the memory tier, then Redis, then the database. A loaded value is filled into the tiers for the next read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{
    Answer, Cache, CacheLookup, Codec, Copies, LOCAL_EPOCH, ReadRequest, Source, Tiers, title,
};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::{EncodedValue, Leased, MemoryTier};
use crate::raw::Raw;
use crate::remote::{Acquired, Fault, Remote};
use crate::single_flight::{self, FlightRole};
use crate::stats::{Operation, Outcome, Tier};

/// Shared tier, and the copies of this process if it keeps any.
pub(crate) type SharedTiers<'a> = (&'a Arc<dyn Remote>, Option<&'a Copies>);

/// Request to load a missed value.
pub(crate) struct LoadRequest {
    pub(crate) key: Key,
    pub(crate) owner: Arc<str>,
    /// Unusable value that was found; it is deleted before the fill.
    pub(crate) spoiled: Option<Raw>,
    /// Deadline for calls to Redis.
    pub(crate) until: Instant,
}

pub(crate) type Reply<C> = Result<Option<CacheLookup<<C as Codec>::Value>>, <C as Codec>::Error>;

/// Result of a lookup in Redis.
pub(crate) enum LookupResult<V> {
    Hit(V),
    Miss(Option<Raw>),
    /// The value belongs to another owner.
    Foreign,
    /// The call to Redis failed.
    Fault,
}

impl Cache {
    /// Looks up a value of the memory backend without awaiting anything.
    pub fn hit(&self, key: Key, owner: &str) -> Option<EncodedValue> {
        let Tiers::Memory(memory) = &self.tiers else {
            return None;
        };
        if !self.memory_is_open() {
            return None;
        }
        let began = Instant::now();
        let found = memory.get(key, Self::number_of(memory, key))?;
        if *found.owner != *owner {
            return None;
        }
        self.record_hit(key, Tier::Memory, began);
        Some(found.encoded)
    }

    /// Reads a value: from the cache if it is certainly current, else through `load`.
    ///
    /// The futures of all paths except hits are boxed, here and below. A future is moved several times before it is polled, and a
    /// future large enough for every path would cost a hit more than its lookup.
    pub async fn read<C, F, L>(
        self: &Arc<Self>,
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
        match &self.tiers {
            Tiers::Off => Ok(from_database(load().await?)),
            Tiers::Memory(memory) => {
                if !self.memory_is_open() {
                    self.record_lookup(key, Tier::Memory, Outcome::Gate, Instant::now());
                    return Box::pin(self.shut_memory(memory, lookup, codec, load)).await;
                }
                self.record_lookup(key, Tier::Memory, Outcome::Miss, Instant::now());
                let request =
                    LoadRequest::new(&lookup, None, Instant::now() + self.settings.budget);
                Box::pin(self.load_once(request, codec, load)).await
            }
            Tiers::Shared { remote, copies } => {
                // Checked before the lookup: a gate that opened only afterwards would not vouch for what the lookup found.
                let Some(epoch) = self.gate.epoch() else {
                    self.record_lookup(key, Tier::Redis, Outcome::Gate, Instant::now());
                    return Box::pin(self.shut(remote, lookup, codec, load)).await;
                };
                if key.kind().is_scoped() {
                    return self.read_scoped(remote, &epoch, lookup, codec, load).await;
                }
                let until = Instant::now() + self.settings.budget;
                let tiers = (remote, copies.as_ref());
                if let Some(encoded) = self.copy(tiers, until, &lookup, &epoch).await {
                    return Ok(Some(CacheLookup::new(
                        Answer::Encoded(encoded),
                        Source::Memory,
                    )));
                }
                self.read_shared(tiers, until, &epoch, lookup, codec, load)
                    .await
            }
        }
    }

    async fn read_shared<C, F, L>(
        self: &Arc<Self>,
        (remote, copies): SharedTiers<'_>,
        until: Instant,
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
        // Taken before the lookup: any later invalidation forbids the copy.
        let mark = copies.and_then(|copies| copies.mark(key, epoch));
        let asking = remote.get(key, epoch);
        let answered = self.stall_detector.wait(remote, until, asking).await;
        match self.evaluate(&lookup, codec, epoch, answered, began) {
            LookupResult::Hit(value) => {
                if let (Some(copies), Some(mark)) = (copies, mark) {
                    self.store_copy(
                        copies,
                        (key, mark),
                        lookup.owner,
                        codec.encode(&value),
                        epoch,
                    );
                }
                Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)))
            }
            LookupResult::Miss(spoiled) => {
                let request = LoadRequest::new(&lookup, spoiled, until);
                Box::pin(self.load_once(request, codec, load)).await
            }
            LookupResult::Foreign | LookupResult::Fault => Ok(from_database(load().await?)),
        }
    }

    /// Returns a copy in this process, if all invalidations from before this read have been received.
    async fn copy(
        &self,
        (remote, copies): SharedTiers<'_>,
        until: Instant,
        lookup: &ReadRequest<'_>,
        epoch: &Epoch,
    ) -> Option<crate::memory::EncodedValue> {
        let (key, copies) = (lookup.key, copies?);
        if key.kind() == Kind::Messages || !copies.is_listening_to(epoch) {
            return None;
        }
        let began = Instant::now();
        if copies.memory.get(key, epoch.number).is_none() {
            // Not logged: Redis is asked next, and that lookup logs the result.
            let of = (key.kind(), Tier::Memory);
            self.count(of, Operation::Get, Outcome::Miss, began.elapsed());
            return None;
        }
        if !self.barrier_passed((remote, copies), (began, until)).await {
            self.record_lookup(key, Tier::Memory, Outcome::Error, began);
            return None;
        }
        self.copy_after_barrier(copies, lookup, epoch, began)
    }

    /// Waits until every invalidation that copies may not miss has been received.
    pub(crate) async fn barrier_passed(
        &self,
        (remote, copies): (&Arc<dyn Remote>, &Copies),
        (began, until): (Instant, Instant),
    ) -> bool {
        let since = began.checked_sub(self.settings.max_staleness);
        let barrier = copies.tracking.barrier(since.unwrap_or(began));
        let asking = async { barrier.await.then_some(()).ok_or(Fault::Slow) };
        self.stall_detector
            .wait(remote, until, asking)
            .await
            .is_ok()
    }

    /// Returns the copy if it still exists after the barrier, and if the invalidation connection still is the one of this epoch.
    pub(crate) fn copy_after_barrier(
        &self,
        copies: &Copies,
        lookup: &ReadRequest<'_>,
        epoch: &Epoch,
        began: Instant,
    ) -> Option<EncodedValue> {
        let found = copies.memory.get(lookup.key, epoch.number);
        let found = found.filter(|_| copies.is_listening_to(epoch));
        match found {
            Some(found) if *found.owner == *lookup.owner => {
                self.record_hit(lookup.key, Tier::Memory, began);
                Some(found.encoded)
            }
            Some(_) | None => {
                self.record_lookup(lookup.key, Tier::Memory, Outcome::Miss, began);
                None
            }
        }
    }

    /// Stores a copy of a Redis value, unless its key was invalidated since the mark was taken.
    pub(crate) fn store_copy(
        &self,
        copies: &Copies,
        at: (Key, u64),
        owner: &str,
        encoded: crate::memory::EncodedValue,
        epoch: &Epoch,
    ) {
        let kind = at.0.kind();
        if kind == Kind::Messages {
            return;
        }
        let began = Instant::now();
        let ttl = self.settings.ttl(kind);
        let stored = copies.memory.copy(at, owner, encoded, epoch.number, ttl);
        let outcome = if stored {
            Outcome::Ok
        } else {
            Outcome::Refused
        };
        self.count(
            (kind, Tier::Memory),
            Operation::Set,
            outcome,
            began.elapsed(),
        );
    }

    /// Evaluates an answer of Redis.
    pub(crate) fn evaluate<C: Codec>(
        &self,
        lookup: &ReadRequest<'_>,
        codec: C,
        epoch: &Epoch,
        answered: Result<Option<Raw>, Fault>,
        began: Instant,
    ) -> LookupResult<C::Value> {
        let key = lookup.key;
        let (result, outcome) = match answered {
            Ok(Some(raw)) => match self.decode(codec, lookup.owner, epoch, &raw) {
                Ok(value) => (LookupResult::Hit(value), Outcome::Hit),
                Err(Unusable::Foreign) => (LookupResult::Foreign, Outcome::Spoiled),
                Err(Unusable::Spoiled) => (LookupResult::Miss(Some(raw)), Outcome::Spoiled),
            },
            Ok(None) => (LookupResult::Miss(None), Outcome::Miss),
            Err(fault) => {
                tracing::debug!(%key, %fault, "redis lookup failed; reading from the database");
                (LookupResult::Fault, Outcome::Error)
            }
        };
        if outcome == Outcome::Hit {
            self.record_hit(key, Tier::Redis, began);
        } else {
            self.record_lookup(key, Tier::Redis, outcome, began);
        }
        result
    }

    /// Decodes the text, if it carries this epoch, parses, and belongs to this owner.
    #[expect(clippy::unused_self, reason = "callers read better with a method")]
    pub(crate) fn decode<C: Codec>(
        &self,
        codec: C,
        owner: &str,
        epoch: &Epoch,
        raw: &Raw,
    ) -> Result<C::Value, Unusable> {
        if !raw.is_of(epoch.number) {
            return Err(Unusable::Spoiled);
        }
        let value = codec.parse(raw).ok_or(Unusable::Spoiled)?;
        match codec.owner(&value) {
            Some(actual) if actual == owner => Ok(value),
            Some(_) => Err(Unusable::Foreign),
            None => Err(Unusable::Spoiled),
        }
    }

    /// Loads a missed value, sharing the load with concurrent readers of the same key (single flight).
    pub(crate) async fn load_once<C, F, L>(
        self: &Arc<Self>,
        mut request: LoadRequest,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        let (result, fallback) = match self.single_flight.join(request.key, &request.owner) {
            FlightRole::Full => return self.fetch(request, codec, load).await,
            FlightRole::Leader(in_flight) => {
                let row = self.fetch(request, codec, load).await;
                drop(in_flight);
                return row;
            }
            FlightRole::NextLeader(next, result) => {
                let (cache, fallback) = (Arc::clone(self), load.clone());
                next.run(move |_, waited| async move {
                    // The wait was for the database, so it does not count against the budget for Redis.
                    request.until += waited;
                    cache.fetch(request, codec, load).await
                });
                (result, fallback)
            }
            FlightRole::Follower(result) => (result, load),
        };
        match single_flight::result::<Reply<C>>(result).await {
            Some(shared) => (*shared).clone(),
            // The shared load was lost: each reader loads for itself.
            None => fallback().await.map(from_database),
        }
    }

    /// Acquires the lease, loads from the database and fills.
    async fn fetch<C, F, L>(self: &Arc<Self>, request: LoadRequest, codec: C, load: F) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        if request.key.kind().is_scoped() {
            return self.fetch_scoped(request, codec, load).await;
        }
        match &self.tiers {
            Tiers::Off => Ok(from_database(load().await?)),
            Tiers::Memory(memory) => self.fetch_memory(memory, &request, codec, load).await,
            Tiers::Shared { remote, .. } => self.fetch_shared(remote, request, codec, load).await,
        }
    }

    async fn fetch_memory<C, F, L>(
        &self,
        memory: &MemoryTier,
        request: &LoadRequest,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let key = request.key;
        let token = self.settings.token();
        let lease = match self
            .memory_is_open()
            .then(|| memory.acquire(key, LOCAL_EPOCH, token))
        {
            Some(Leased::Value(found)) if *found.owner == *request.owner => {
                return Ok(Some(CacheLookup::new(
                    Answer::Encoded(found.encoded),
                    Source::Memory,
                )));
            }
            Some(Leased::Granted) => Some((key, token)),
            Some(Leased::Value(_) | Leased::Busy) | None => None,
        };
        let value = load().await?;
        if let Some(lease) = lease {
            self.fill_memory(memory, lease, codec, value.as_ref());
        }
        Ok(from_database(value))
    }

    async fn fetch_shared<C, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
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
        // The gate is checked again, because time has passed; the filled value carries the current epoch.
        let lease = match self.gate.epoch() {
            Some(epoch) => self.lease(remote, &request, codec, epoch).await,
            None => LeaseResult::None,
        };
        let under = match lease {
            LeaseResult::Value(value) => {
                return Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)));
            }
            LeaseResult::None => return Ok(from_database(load().await?)),
            LeaseResult::Granted(epoch, token) => (epoch, token),
        };
        let value = load().await?;
        if let Some(value) = &value {
            self.fill_shared(remote, (key, under), codec, value);
        }
        Ok(from_database(value))
    }

    /// Acquires the lease of a key, or returns the value if it is present by now.
    pub(crate) async fn lease<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        request: &LoadRequest,
        codec: C,
        epoch: Arc<Epoch>,
    ) -> LeaseResult<C::Value> {
        let token = self.settings.token();
        let asking = remote.acquire(request.key, &epoch, token, request.spoiled.as_ref());
        match self
            .stall_detector
            .wait(remote, request.until, asking)
            .await
        {
            Ok(Acquired::Granted) => LeaseResult::Granted(epoch, token),
            Ok(Acquired::Value(raw)) => self
                .decode(codec, &request.owner, &epoch, &raw)
                .map_or(LeaseResult::None, LeaseResult::Value),
            Ok(Acquired::Busy) | Err(_) => LeaseResult::None,
        }
    }

    /// Reads while the gate is shut: from the database, or a stale value that the request accepts if the database is unreachable.
    async fn shut<C, F, L>(
        &self,
        remote: &Arc<dyn Remote>,
        lookup: ReadRequest<'_>,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let old = async || {
            let (epoch, age) = self.allowed_age(lookup.max_staleness)?;
            if lookup.key.kind().is_scoped() {
                return self.old_scoped(remote, (epoch, age), &lookup, codec).await;
            }
            let raw = remote.get(lookup.key, &epoch).await.ok()??;
            let value = self.decode(codec, lookup.owner, &epoch, &raw).ok()?;
            Some(CacheLookup {
                answer: Answer::Value(value),
                source: Source::Redis,
                stale: Some(age),
            })
        };
        // The database is known to be unreachable: do not wait for another time-out before serving a stale value.
        if self.gate.database_is_away()
            && let Some(found) = old().await
        {
            return Ok(Some(found));
        }
        match load().await {
            Err(error) if C::is_away(&error) => old().await.map_or(Err(error), |f| Ok(Some(f))),
            row => Ok(from_database(row?)),
        }
    }

    /// Reads from the memory backend while the gate is shut.
    async fn shut_memory<C, F, L>(
        &self,
        memory: &MemoryTier,
        lookup: ReadRequest<'_>,
        _: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let old = || {
            let (_, age) = self.allowed_age(lookup.max_staleness)?;
            let found = memory.get(lookup.key, Self::number_of(memory, lookup.key))?;
            (*found.owner == *lookup.owner).then_some(CacheLookup {
                answer: Answer::Encoded(found.encoded),
                source: Source::Memory,
                stale: Some(age),
            })
        };
        if self.gate.database_is_away()
            && let Some(found) = old()
        {
            return Ok(Some(found));
        }
        match load().await {
            Err(error) if C::is_away(&error) => old().map_or(Err(error), |found| Ok(Some(found))),
            row => Ok(from_database(row?)),
        }
    }

    /// Returns the last epoch and its age, if the age is within the limit.
    pub(crate) fn allowed_age(&self, limit: Option<Duration>) -> Option<(Arc<Epoch>, Duration)> {
        let limit = limit?;
        self.gate.last().filter(|(_, age)| *age <= limit)
    }

    /// Counts and logs a hit, and samples its key for the auditor.
    pub(crate) fn record_hit(&self, key: Key, tier: Tier, began: Instant) {
        self.recent_hits.record(key);
        self.count(
            (key.kind(), tier),
            Operation::Get,
            Outcome::Hit,
            began.elapsed(),
        );
        tracing::debug!("{} cache hit: {}", title(key.kind()), Id(key));
    }

    /// Counts and logs a lookup that was no hit.
    pub(crate) fn record_lookup(&self, key: Key, tier: Tier, outcome: Outcome, began: Instant) {
        self.count((key.kind(), tier), Operation::Get, outcome, began.elapsed());
        tracing::debug!(
            result = outcome.as_str(),
            "{} cache miss: {}",
            title(key.kind()),
            Id(key)
        );
    }
}

/// Reason why a text in Redis cannot be used.
pub(crate) enum Unusable {
    /// It does not parse, or carries another epoch.
    Spoiled,
    /// It belongs to another owner.
    Foreign,
}

/// Result of acquiring a lease.
pub(crate) enum LeaseResult<V> {
    Value(V),
    Granted(Arc<Epoch>, crate::token::Token),
    None,
}

/// Id of a key without its prefix, as the log shows it.
pub(crate) struct Id(pub(crate) Key);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = Key::new(Kind::Message, self.0.id()).to_string();
        f.write_str(text.strip_prefix("message:").unwrap_or(&text))
    }
}

impl LoadRequest {
    pub(crate) fn new(lookup: &ReadRequest<'_>, spoiled: Option<Raw>, until: Instant) -> Self {
        Self {
            key: lookup.key,
            owner: lookup.owner.into(),
            spoiled,
            until,
        }
    }
}

impl Copies {
    /// Whether the invalidation connection is live and connected to the process of this epoch.
    pub(crate) fn is_listening_to(&self, epoch: &Epoch) -> bool {
        self.memory.is_live() && self.tracking.identity().as_ref() == Some(&epoch.remote)
    }

    /// Returns the mark that [`Cache::store_copy`] needs; `None` while no invalidations are received.
    pub(crate) fn mark(&self, key: Key, epoch: &Epoch) -> Option<u64> {
        if self.is_listening_to(epoch) {
            self.memory.mark(key)
        } else {
            None
        }
    }
}

pub(crate) fn from_database<V>(row: Option<V>) -> Option<CacheLookup<V>> {
    row.map(|value| CacheLookup::new(Answer::Value(value), Source::Database))
}
