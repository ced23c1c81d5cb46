//! The way in for reads: near, then Redis, then the database, and what it says is put where the next one looks first.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{
    ALONE, Answer, Cache, CacheLookup, Codec, Copies, Place, ReadRequest, Source, title,
};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::{EncodedValue, Leased, Near};
use crate::raw::Raw;
use crate::remote::{Acquired, Fault, Remote};
use crate::single_flight::{self, Boarding};
use crate::stats::{Operation, Outcome, Tier};

/// What instances share, and the copies of this one if it keeps any.
pub(crate) type Tiers<'a> = (&'a Arc<dyn Remote>, Option<&'a Copies>);

/// What a reader brings along on a flight.
pub(crate) struct Errand {
    pub(crate) key: Key,
    pub(crate) owner: Arc<str>,
    /// What was found and cannot be used.
    pub(crate) spoiled: Option<Raw>,
    /// When the budget is spent.
    pub(crate) until: Instant,
}

pub(crate) type Reply<C> = Result<Option<CacheLookup<<C as Codec>::Value>>, <C as Codec>::Error>;

/// What a look into Redis came to.
pub(crate) enum Look<V> {
    Hit(V),
    Miss(Option<Raw>),
    /// It is there, and another owner's.
    Foreign,
    /// Redis is no help now.
    Fault,
}

impl Cache {
    /// What this process alone holds, without any waiting: the quickest way there is.
    pub fn hit(&self, key: Key, owner: &str) -> Option<EncodedValue> {
        let Place::Memory(near) = &self.place else {
            return None;
        };
        if !self.memory_is_open() {
            return None;
        }
        let began = Instant::now();
        let found = near.get(key, Self::number_of(near, key))?;
        if *found.owner != *owner {
            return None;
        }
        self.tell_hit(key, Tier::Memory, began);
        Some(found.encoded)
    }

    /// Reads a value: from the cache if that is sure to be what the database would say, else by `load`.
    ///
    /// What does not end in a hit is boxed, here and below: a future is moved several times before it is polled, and one with
    /// room for all of that costs a hit more than its lookup.
    pub async fn read<C, F, L>(
        self: &Arc<Self>,
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
        match &self.place {
            Place::Off => Ok(from_database(load().await?)),
            Place::Memory(near) => {
                if !self.memory_is_open() {
                    self.tell(key, Tier::Memory, Outcome::Gate, Instant::now());
                    return Box::pin(self.shut_memory(near, asked, codec, load)).await;
                }
                self.tell(key, Tier::Memory, Outcome::Miss, Instant::now());
                let errand = Errand::new(&asked, None, Instant::now() + self.settings.budget);
                Box::pin(self.fly(errand, codec, load)).await
            }
            Place::Shared { remote, copies } => {
                // Before anything is asked for: later is too late.
                let Some(epoch) = self.gate.epoch() else {
                    self.tell(key, Tier::Redis, Outcome::Gate, Instant::now());
                    return Box::pin(self.shut(remote, asked, codec, load)).await;
                };
                if key.kind().is_scoped() {
                    return self.read_scoped(remote, &epoch, asked, codec, load).await;
                }
                let until = Instant::now() + self.settings.budget;
                let tiers = (remote, copies.as_ref());
                if let Some(encoded) = self.copy(tiers, until, &asked, &epoch).await {
                    return Ok(Some(CacheLookup::new(
                        Answer::Encoded(encoded),
                        Source::Memory,
                    )));
                }
                self.read_shared(tiers, until, &epoch, asked, codec, load)
                    .await
            }
        }
    }

    async fn read_shared<C, F, L>(
        self: &Arc<Self>,
        (remote, copies): Tiers<'_>,
        until: Instant,
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
        // Before the lookup: what is heard from now on forbids the copy.
        let mark = copies.and_then(|copies| copies.mark(key, epoch));
        let asking = remote.get(key, epoch);
        let answered = self.patience.wait(remote, until, asking).await;
        match self.look(&asked, codec, epoch, answered, began) {
            Look::Hit(value) => {
                if let (Some(copies), Some(mark)) = (copies, mark) {
                    self.keep_copy(
                        copies,
                        (key, mark),
                        asked.owner,
                        codec.encode(&value),
                        epoch,
                    );
                }
                Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)))
            }
            Look::Miss(spoiled) => {
                let errand = Errand::new(&asked, spoiled, until);
                Box::pin(self.fly(errand, codec, load)).await
            }
            Look::Foreign | Look::Fault => Ok(from_database(load().await?)),
        }
    }

    /// A copy in this process, if everything that was written before now has been heard.
    async fn copy(
        &self,
        (remote, copies): Tiers<'_>,
        until: Instant,
        asked: &ReadRequest<'_>,
        epoch: &Epoch,
    ) -> Option<crate::memory::EncodedValue> {
        let (key, copies) = (asked.key, copies?);
        if key.kind() == Kind::Messages || !copies.hears(epoch) {
            return None;
        }
        let began = Instant::now();
        if copies.near.get(key, epoch.number).is_none() {
            // Without a line in the log: Redis is asked next, and says what came of the read.
            let of = (key.kind(), Tier::Memory);
            self.count(of, Operation::Get, Outcome::Miss, began.elapsed());
            return None;
        }
        if !self.has_heard((remote, copies), (began, until)).await {
            self.tell(key, Tier::Memory, Outcome::Error, began);
            return None;
        }
        self.copy_after_barrier(copies, asked, epoch, began)
    }

    /// Whether everything has been heard that copies must not be older than.
    pub(crate) async fn has_heard(
        &self,
        (remote, copies): (&Arc<dyn Remote>, &Copies),
        (began, until): (Instant, Instant),
    ) -> bool {
        let since = began.checked_sub(self.settings.max_staleness);
        let barrier = copies.tracking.barrier(since.unwrap_or(began));
        let asking = async { barrier.await.then_some(()).ok_or(Fault::Slow) };
        self.patience.wait(remote, until, asking).await.is_ok()
    }

    /// Only what is still there after the barrier, and only if it was this connection that was asked.
    pub(crate) fn copy_after_barrier(
        &self,
        copies: &Copies,
        asked: &ReadRequest<'_>,
        epoch: &Epoch,
        began: Instant,
    ) -> Option<EncodedValue> {
        let found = copies.near.get(asked.key, epoch.number);
        let found = found.filter(|_| copies.hears(epoch));
        match found {
            Some(found) if *found.owner == *asked.owner => {
                self.tell_hit(asked.key, Tier::Memory, began);
                Some(found.encoded)
            }
            Some(_) | None => {
                self.tell(asked.key, Tier::Memory, Outcome::Miss, began);
                None
            }
        }
    }

    pub(crate) fn keep_copy(
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
        let kept = copies.near.copy(at, owner, encoded, epoch.number, ttl);
        let outcome = if kept { Outcome::Ok } else { Outcome::Refused };
        self.count(
            (kind, Tier::Memory),
            Operation::Set,
            outcome,
            began.elapsed(),
        );
    }

    /// What Redis said, as far as it is of use.
    pub(crate) fn look<C: Codec>(
        &self,
        asked: &ReadRequest<'_>,
        codec: C,
        epoch: &Epoch,
        answered: Result<Option<Raw>, Fault>,
        began: Instant,
    ) -> Look<C::Value> {
        let key = asked.key;
        let (look, outcome) = match answered {
            Ok(Some(raw)) => match self.open(codec, asked.owner, epoch, &raw) {
                Ok(value) => (Look::Hit(value), Outcome::Hit),
                Err(Unfit::Foreign) => (Look::Foreign, Outcome::Spoiled),
                Err(Unfit::Spoiled) => (Look::Miss(Some(raw)), Outcome::Spoiled),
            },
            Ok(None) => (Look::Miss(None), Outcome::Miss),
            Err(fault) => {
                tracing::debug!(%key, %fault, "the cache was no help");
                (Look::Fault, Outcome::Error)
            }
        };
        if outcome == Outcome::Hit {
            self.tell_hit(key, Tier::Redis, began);
        } else {
            self.tell(key, Tier::Redis, outcome, began);
        }
        look
    }

    /// The value in the text, if it is of this epoch, ours, and for this owner.
    #[expect(clippy::unused_self, reason = "a method reads better where it is used")]
    pub(crate) fn open<C: Codec>(
        &self,
        codec: C,
        owner: &str,
        epoch: &Epoch,
        raw: &Raw,
    ) -> Result<C::Value, Unfit> {
        if !raw.is_of(epoch.number) {
            return Err(Unfit::Spoiled);
        }
        let value = codec.parse(raw).ok_or(Unfit::Spoiled)?;
        match codec.owner(&value) {
            Some(whose) if whose == owner => Ok(value),
            Some(_) => Err(Unfit::Foreign),
            None => Err(Unfit::Spoiled),
        }
    }

    /// Goes to the database, together with others who want the same if there are some.
    pub(crate) async fn fly<C, F, L>(
        self: &Arc<Self>,
        mut errand: Errand,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L + Clone + Send + 'static,
        L: Future<Output = Result<Option<C::Value>, C::Error>> + Send + 'static,
    {
        let (home, alone) = match self.flights.board(errand.key, &errand.owner) {
            Boarding::Full => return self.fetch(errand, codec, load).await,
            Boarding::Now(flight) => {
                let row = self.fetch(errand, codec, load).await;
                drop(flight);
                return row;
            }
            Boarding::Next(next, home) => {
                let (cache, alone) = (Arc::clone(self), load.clone());
                next.fetch(move |_, waited| async move {
                    // It was the database that took this time.
                    errand.until += waited;
                    cache.fetch(errand, codec, load).await
                });
                (home, alone)
            }
            Boarding::With(home) => (home, load),
        };
        match single_flight::home::<Reply<C>>(home).await {
            Some(cargo) => (*cargo).clone(),
            // It was lost: everybody for himself.
            None => alone().await.map(from_database),
        }
    }

    /// Takes the lease, asks the database, fills.
    async fn fetch<C, F, L>(self: &Arc<Self>, errand: Errand, codec: C, load: F) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        if errand.key.kind().is_scoped() {
            return self.fetch_scoped(errand, codec, load).await;
        }
        match &self.place {
            Place::Off => Ok(from_database(load().await?)),
            Place::Memory(near) => self.fetch_near(near, &errand, codec, load).await,
            Place::Shared { remote, .. } => self.fetch_shared(remote, errand, codec, load).await,
        }
    }

    async fn fetch_near<C, F, L>(&self, near: &Near, errand: &Errand, codec: C, load: F) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let key = errand.key;
        let token = self.settings.token();
        let lease = match self
            .memory_is_open()
            .then(|| near.acquire(key, ALONE, token))
        {
            Some(Leased::Value(found)) if *found.owner == *errand.owner => {
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
            self.fill_near(near, lease, codec, value.as_ref());
        }
        Ok(from_database(value))
    }

    async fn fetch_shared<C, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
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
        // Again, since time has passed; what is filled carries the epoch of this moment.
        let lease = match self.gate.epoch() {
            Some(epoch) => self.lease(remote, &errand, codec, epoch).await,
            None => Lease::None,
        };
        let under = match lease {
            Lease::Value(value) => {
                return Ok(Some(CacheLookup::new(Answer::Value(value), Source::Redis)));
            }
            Lease::None => return Ok(from_database(load().await?)),
            Lease::Granted(epoch, token) => (epoch, token),
        };
        let value = load().await?;
        if let Some(value) = &value {
            self.fill_shared(remote, (key, under), codec, value);
        }
        Ok(from_database(value))
    }

    pub(crate) async fn lease<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        errand: &Errand,
        codec: C,
        epoch: Arc<Epoch>,
    ) -> Lease<C::Value> {
        let token = self.settings.token();
        let asking = remote.acquire(errand.key, &epoch, token, errand.spoiled.as_ref());
        match self.patience.wait(remote, errand.until, asking).await {
            Ok(Acquired::Granted) => Lease::Granted(epoch, token),
            Ok(Acquired::Value(raw)) => self
                .open(codec, &errand.owner, &epoch, &raw)
                .map_or(Lease::None, Lease::Value),
            Ok(Acquired::Busy) | Err(_) => Lease::None,
        }
    }

    /// With the gate shut: the database, or, while it is away, what is not older than the request allows.
    async fn shut<C, F, L>(
        &self,
        remote: &Arc<dyn Remote>,
        asked: ReadRequest<'_>,
        codec: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let old = async || {
            let (epoch, age) = self.allowed_age(asked.max_staleness)?;
            if asked.key.kind().is_scoped() {
                return self.old_scoped(remote, (epoch, age), &asked, codec).await;
            }
            let raw = remote.get(asked.key, &epoch).await.ok()??;
            let value = self.open(codec, asked.owner, &epoch, &raw).ok()?;
            Some(CacheLookup {
                answer: Answer::Value(value),
                source: Source::Redis,
                stale: Some(age),
            })
        };
        // Known to be away: whoever allows an old answer need not wait until that is found out again.
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

    /// The same for what this process alone holds.
    async fn shut_memory<C, F, L>(
        &self,
        near: &Near,
        asked: ReadRequest<'_>,
        _: C,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        F: FnOnce() -> L,
        L: Future<Output = Result<Option<C::Value>, C::Error>>,
    {
        let old = || {
            let (_, age) = self.allowed_age(asked.max_staleness)?;
            let found = near.get(asked.key, Self::number_of(near, asked.key))?;
            (*found.owner == *asked.owner).then_some(CacheLookup {
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

    /// The last epoch and its age, if that is allowed.
    pub(crate) fn allowed_age(&self, limit: Option<Duration>) -> Option<(Arc<Epoch>, Duration)> {
        let limit = limit?;
        self.gate.last().filter(|(_, age)| *age <= limit)
    }

    pub(crate) fn tell_hit(&self, key: Key, tier: Tier, began: Instant) {
        self.seen.note(key);
        self.count(
            (key.kind(), tier),
            Operation::Get,
            Outcome::Hit,
            began.elapsed(),
        );
        tracing::debug!("{} cache hit: {}", title(key.kind()), Id(key));
    }

    pub(crate) fn tell(&self, key: Key, tier: Tier, outcome: Outcome, began: Instant) {
        self.count((key.kind(), tier), Operation::Get, outcome, began.elapsed());
        tracing::debug!(
            result = outcome.as_str(),
            "{} cache miss: {}",
            title(key.kind()),
            Id(key)
        );
    }
}

/// Why a text in Redis is of no use.
pub(crate) enum Unfit {
    Spoiled,
    Foreign,
}

pub(crate) enum Lease<V> {
    Value(V),
    Granted(Arc<Epoch>, crate::remote::Token),
    None,
}

/// The id alone, as the log shows it.
pub(crate) struct Id(pub(crate) Key);

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = Key::new(Kind::Message, self.0.id()).to_string();
        f.write_str(text.strip_prefix("message:").unwrap_or(&text))
    }
}

impl Errand {
    pub(crate) fn new(asked: &ReadRequest<'_>, spoiled: Option<Raw>, until: Instant) -> Self {
        Self {
            key: asked.key,
            owner: asked.owner.into(),
            spoiled,
            until,
        }
    }
}

impl Copies {
    /// Whether the connection that hears is live, and to the process of this epoch.
    pub(crate) fn hears(&self, epoch: &Epoch) -> bool {
        self.near.is_live() && self.tracking.identity().as_ref() == Some(&epoch.remote)
    }

    pub(crate) fn mark(&self, key: Key, epoch: &Epoch) -> Option<u64> {
        if self.hears(epoch) {
            self.near.mark(key)
        } else {
            None
        }
    }
}

pub(crate) fn from_database<V>(row: Option<V>) -> Option<CacheLookup<V>> {
    row.map(|value| CacheLookup::new(Answer::Value(value), Source::Database))
}
