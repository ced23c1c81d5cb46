//! Several values at once: one question to Redis, one to the database for all that is missing, leases and fills side by side.
//!
//! Those of an owner who miss something at the same time go to the database together, whatever each of them misses. The leases
//! are taken before the rows are asked for and the fills come after, as for one value; what each key is promised holds for each
//! key by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cache::{ALONE, Answer, Cache, CacheLookup, Codec, Copies, Place, ReadRequest, Source};
use crate::key::{Key, Kind};
use crate::ledger::Epoch;
use crate::memory::{Leased, Near};
use crate::raw::Raw;
use crate::read::{Errand, Lease, Look, Tiers};
use crate::remote::{Remote, Token};
use crate::single_flight::{self, Boarding, Wanted};
use crate::stats::{Operation, Outcome, Tier};

/// What is asked for together.
#[derive(Debug, Clone, Copy)]
pub struct BatchReadRequest<'a> {
    /// Each once, all of one kind, and no lists.
    pub keys: &'a [Key],
    /// By whom: what is another owner's does not exist.
    pub owner: &'a str,
    /// How old they may be while the database is away.
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

/// What was found so far.
type Finds<V> = HashMap<Key, CacheLookup<V>>;
type Reply<C> = Result<Finds<<C as Codec>::Value>, <C as Codec>::Error>;

/// What has to be asked of the database.
struct Rest {
    owner: Arc<str>,
    missing: Wanted,
    /// When the budget is spent.
    until: Instant,
}

impl Cache {
    /// Reads values: each from the cache if that is sure to be what the database would say, the others by `load`, which is
    /// called at most once. What there is not, is not among them.
    pub async fn read_many<C, D, F, L>(
        self: &Arc<Self>,
        asked: BatchReadRequest<'_>,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        if asked.keys.is_empty() {
            return Ok(Finds::new());
        }
        match &self.place {
            Place::Off => Ok(from_database(load(asked.keys.to_vec()).await?)),
            Place::Memory(_) if self.memory_is_open() => {
                self.read_many_near(&asked, codec, load).await
            }
            Place::Memory(_) => {
                self.tell_gate(&asked, Tier::Memory);
                self.read_many_shut(&asked, &codec, load).await
            }
            Place::Shared { remote, copies } => {
                // Before anything is asked for: later is too late.
                let Some(epoch) = self.gate.epoch() else {
                    self.tell_gate(&asked, Tier::Redis);
                    return self.read_many_shut(&asked, &codec, load).await;
                };
                let tiers = (remote, copies.as_ref());
                self.read_many_shared(tiers, &epoch, &asked, codec, load)
                    .await
            }
        }
    }

    async fn read_many_near<C, D, F, L>(
        self: &Arc<Self>,
        asked: &BatchReadRequest<'_>,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        let mut finds = Finds::new();
        for key in asked.keys {
            if let Some(encoded) = self.hit(*key, asked.owner) {
                finds.insert(
                    *key,
                    CacheLookup::new(Answer::Encoded(encoded), Source::Memory),
                );
            } else {
                self.tell(*key, Tier::Memory, Outcome::Miss, Instant::now());
            }
        }
        let missing: Wanted = missing(asked.keys, &finds).map(|key| (key, None)).collect();
        if missing.is_empty() {
            return Ok(finds);
        }
        let rest = Rest {
            owner: asked.owner.into(),
            missing,
            until: Instant::now() + self.settings.budget,
        };
        finds.extend(Box::pin(self.fly_for_many(rest, codec, load)).await?);
        Ok(finds)
    }

    async fn read_many_shared<C, D, F, L>(
        self: &Arc<Self>,
        (remote, copies): Tiers<'_>,
        epoch: &Arc<Epoch>,
        asked: &BatchReadRequest<'_>,
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
        let mut finds = match copies {
            Some(copies) => self.copies((remote, copies), until, asked, epoch).await,
            None => Finds::new(),
        };
        let began = Instant::now();
        let wanted: Vec<Key> = missing(asked.keys, &finds).collect();
        if wanted.is_empty() {
            return Ok(finds);
        }
        // Before the lookup: what is heard from now on forbids the copy.
        let mark = |key: &Key| Some((*key, copies?.mark(*key, epoch)?));
        let marks: HashMap<Key, u64> = wanted.iter().filter_map(mark).collect();
        let asking = remote.get_many(&wanted, epoch);
        let answered = self.patience.wait(remote, until, asking).await;
        let is_of_use = answered.is_ok();
        let mut missing = Wanted::new();
        for (index, key) in wanted.into_iter().enumerate() {
            let answer = match &answered {
                Ok(raws) => Ok(raws.get(index).cloned().flatten()),
                Err(fault) => Err(fault.clone()),
            };
            match self.look(&asked.one(key), codec(key), epoch, answer, began) {
                Look::Hit(value) => {
                    if let (Some(copies), Some(mark)) = (copies, marks.get(&key)) {
                        let encoded = codec(key).encode(&value);
                        self.keep_copy(copies, (key, *mark), asked.owner, encoded, epoch);
                    }
                    finds.insert(key, CacheLookup::new(Answer::Value(value), Source::Redis));
                }
                Look::Miss(spoiled) => {
                    missing.insert(key, spoiled);
                }
                Look::Foreign | Look::Fault => {
                    missing.insert(key, None);
                }
            }
        }
        if missing.is_empty() {
            return Ok(finds);
        }
        if !is_of_use {
            let rows = load(missing.into_keys().collect()).await?;
            finds.extend(from_database(rows));
            return Ok(finds);
        }
        let rest = Rest {
            owner: asked.owner.into(),
            missing,
            until,
        };
        finds.extend(Box::pin(self.fly_for_many(rest, codec, load)).await?);
        Ok(finds)
    }

    /// Goes to the database, together with others of the owner if there are some.
    async fn fly_for_many<C, D, F, L>(
        self: &Arc<Self>,
        mut rest: Rest,
        codec: D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Send + Sync + 'static,
        F: FnOnce(Vec<Key>) -> L + Clone + Send + 'static,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>> + Send + 'static,
    {
        let wanted: Vec<Key> = rest.missing.keys().copied().collect();
        let Some(kind) = wanted.first().map(|key| key.kind()) else {
            return Ok(Finds::new());
        };
        let boarding = self
            .flights
            .board_for_many(kind, &rest.owner, &rest.missing);
        let (home, alone) = match boarding {
            Boarding::Full => return self.fetch_many(rest, &codec, load).await,
            Boarding::Now(flight) => {
                let rows = self.fetch_many(rest, &codec, load).await;
                drop(flight);
                return rows;
            }
            Boarding::Next(next, home) => {
                let (cache, alone) = (Arc::clone(self), load.clone());
                next.fetch(move |wanted, waited| async move {
                    rest.missing = wanted;
                    // It was the database that took this time.
                    rest.until += waited;
                    cache.fetch_many(rest, &codec, load).await
                });
                (home, alone)
            }
            Boarding::With(home) => (home, load),
        };
        let Some(cargo) = single_flight::home::<Reply<C>>(home).await else {
            // It was lost: everybody for himself.
            return alone(wanted).await.map(from_database);
        };
        let brought = cargo.as_ref().as_ref().map_err(Clone::clone)?;
        let mine = wanted.into_iter();
        Ok(mine
            .filter_map(|key| Some((key, brought.get(&key)?.clone())))
            .collect())
    }

    /// Takes the leases, asks the database, fills.
    async fn fetch_many<C, D, F, L>(self: &Arc<Self>, rest: Rest, codec: &D, load: F) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        match &self.place {
            Place::Off => {
                let rows = load(rest.missing.into_keys().collect()).await?;
                Ok(from_database(rows))
            }
            Place::Memory(near) => self.fetch_many_near(near, &rest, codec, load).await,
            Place::Shared { remote, .. } => self.fetch_many_shared(remote, rest, codec, load).await,
        }
    }

    async fn fetch_many_near<C, D, F, L>(
        &self,
        near: &Near,
        rest: &Rest,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        let (mut finds, mut leases) = (Finds::new(), Vec::new());
        // Again, since time has passed.
        let keys = rest.missing.keys().filter(|_| self.memory_is_open());
        for key in keys {
            let token = self.settings.token();
            match near.acquire(*key, ALONE, token) {
                Leased::Value(found) if *found.owner == *rest.owner => {
                    let answer = Answer::Encoded(found.encoded);
                    finds.insert(*key, CacheLookup::new(answer, Source::Memory));
                }
                Leased::Granted => leases.push((*key, token)),
                Leased::Value(_) | Leased::Busy => {}
            }
        }
        let missing: Vec<Key> = missing(rest.missing.keys(), &finds).collect();
        if missing.is_empty() {
            return Ok(finds);
        }
        let rows = load(missing).await;
        for lease in leases {
            let row = rows.as_ref().ok().and_then(|rows| rows.get(&lease.0));
            self.fill_near(near, lease, codec(lease.0), row);
        }
        finds.extend(from_database(rows?));
        Ok(finds)
    }

    async fn fetch_many_shared<C, D, F, L>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        rest: Rest,
        codec: &D,
        load: F,
    ) -> Reply<C>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
        F: FnOnce(Vec<Key>) -> L,
        L: Future<Output = Result<HashMap<Key, C::Value>, C::Error>>,
    {
        let mut finds = Finds::new();
        let keys: Vec<Key> = rest.missing.keys().copied().collect();
        let leases = self.leases(remote, rest, codec, &mut finds).await;
        let missing: Vec<Key> = missing(&keys, &finds).collect();
        if missing.is_empty() {
            return Ok(finds);
        }
        let rows = load(missing).await?;
        for lease in leases {
            let key = lease.0;
            if let Some(row) = rows.get(&key) {
                self.fill_shared(remote, lease, codec(key), row);
            }
        }
        finds.extend(from_database(rows));
        Ok(finds)
    }

    /// Copies in this process, after one barrier for all of them.
    async fn copies<V>(
        &self,
        (remote, copies): (&Arc<dyn Remote>, &Copies),
        until: Instant,
        asked: &BatchReadRequest<'_>,
        epoch: &Epoch,
    ) -> Finds<V> {
        let mut finds = Finds::new();
        if !copies.hears(epoch) {
            return finds;
        }
        let began = Instant::now();
        let single = asked.keys.iter().filter(|key| key.kind() != Kind::Messages);
        let (there, absent): (Vec<Key>, Vec<Key>) =
            single.partition(|key| copies.near.get(**key, epoch.number).is_some());
        for key in absent {
            let of = (key.kind(), Tier::Memory);
            self.count(of, Operation::Get, Outcome::Miss, began.elapsed());
        }
        if there.is_empty() {
            return finds;
        }
        let heard = self.has_heard((remote, copies), (began, until)).await;
        for key in there {
            if !heard {
                self.tell(key, Tier::Memory, Outcome::Error, began);
            } else if let Some(encoded) =
                self.copy_after_barrier(copies, &asked.one(key), epoch, began)
            {
                finds.insert(
                    key,
                    CacheLookup::new(Answer::Encoded(encoded), Source::Memory),
                );
            }
        }
        finds
    }

    /// Asks for the leases of what was missed, side by side. What is there by now is found.
    async fn leases<C, D>(
        &self,
        remote: &Arc<dyn Remote>,
        rest: Rest,
        codec: &D,
        finds: &mut Finds<C::Value>,
    ) -> Vec<(Key, (Arc<Epoch>, Token))>
    where
        C: Codec,
        D: Fn(Key) -> C + Sync,
    {
        // Again, since time has passed; what is filled carries the epoch of this moment.
        let Some(epoch) = self.gate.epoch() else {
            return Vec::new();
        };
        let Rest {
            owner,
            missing,
            until,
        } = rest;
        let ask = |(key, spoiled)| {
            let errand = Errand {
                key,
                owner: Arc::clone(&owner),
                spoiled,
                until,
            };
            let (codec, epoch) = (codec(key), Arc::clone(&epoch));
            async move { (key, self.lease(remote, &errand, codec, epoch).await) }
        };
        let mut leases = Vec::new();
        for (key, lease) in join_all(missing.into_iter().map(ask)).await {
            match lease {
                Lease::Value(value) => {
                    finds.insert(key, CacheLookup::new(Answer::Value(value), Source::Redis));
                }
                Lease::Granted(epoch, token) => leases.push((key, (epoch, token))),
                Lease::None => {}
            }
        }
        leases
    }

    /// With the gate shut: the database, or, while it is away, what is not older than the request allows, if all of it is there.
    async fn read_many_shut<C, D, F, L>(
        &self,
        asked: &BatchReadRequest<'_>,
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
            && let Some(finds) = self.old(asked, codec).await
        {
            return Ok(finds);
        }
        match load(asked.keys.to_vec()).await {
            Err(error) if C::is_away(&error) => self.old(asked, codec).await.ok_or(error),
            rows => Ok(from_database(rows?)),
        }
    }

    async fn old<C: Codec>(
        &self,
        asked: &BatchReadRequest<'_>,
        codec: &impl Fn(Key) -> C,
    ) -> Option<Finds<C::Value>> {
        match &self.place {
            Place::Off => None,
            Place::Memory(near) => self.old_near(near, asked),
            Place::Shared { remote, .. } => self.old_shared(remote, asked, codec).await,
        }
    }

    fn old_near<V>(&self, near: &Near, asked: &BatchReadRequest<'_>) -> Option<Finds<V>> {
        let (_, age) = self.allowed_age(asked.max_staleness)?;
        let old = |key: &Key| {
            let found = near.get(*key, ALONE)?;
            (*found.owner == *asked.owner).then(|| (*key, Answer::Encoded(found.encoded)))
        };
        let old: Option<Vec<_>> = asked.keys.iter().map(old).collect();
        Some(aged(old?, Source::Memory, age))
    }

    async fn old_shared<C: Codec>(
        &self,
        remote: &Arc<dyn Remote>,
        asked: &BatchReadRequest<'_>,
        codec: &impl Fn(Key) -> C,
    ) -> Option<Finds<C::Value>> {
        let (epoch, age) = self.allowed_age(asked.max_staleness)?;
        let raws = remote.get_many(asked.keys, &epoch).await.ok()?;
        let old = |(key, raw): (&Key, Option<Raw>)| {
            let value = self.open(codec(*key), asked.owner, &epoch, &raw?).ok()?;
            Some((*key, Answer::Value(value)))
        };
        let old: Option<Vec<_>> = asked.keys.iter().zip(raws).map(old).collect();
        // A node that says less than it was asked for has said nothing of the rest.
        let old = old.filter(|old| old.len() == asked.keys.len())?;
        Some(aged(old, Source::Redis, age))
    }

    fn tell_gate(&self, asked: &BatchReadRequest<'_>, tier: Tier) {
        for key in asked.keys {
            self.tell(*key, tier, Outcome::Gate, Instant::now());
        }
    }
}

fn aged<V>(old: Vec<(Key, Answer<V>)>, source: Source, age: Duration) -> Finds<V> {
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
    finds: &Finds<V>,
) -> impl Iterator<Item = Key> {
    let is_missing = |key: &&Key| !finds.contains_key(*key);
    keys.into_iter().filter(is_missing).copied()
}

fn from_database<V>(rows: HashMap<Key, V>) -> Finds<V> {
    let found = |(key, row)| (key, CacheLookup::new(Answer::Value(row), Source::Database));
    rows.into_iter().map(found).collect()
}
