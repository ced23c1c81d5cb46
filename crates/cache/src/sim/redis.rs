//! Simulated Redis, as far as the protocol uses one: a lease and a value per key, and atomic scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::world::{Parts, World};
use crate::gate::REGISTRATION_TTL;
use crate::key::{Key, Kind};
use crate::ledger::{Epoch, Holder, RemoteId};
use crate::raw::{Raw, stamp};
use crate::remote::{
    Acquired, Claimed, Fault, Fence, GENERATION_TTL, Release, Remote, RemoteStats,
};
use crate::token::Token;

const TIMEOUT: Duration = Duration::from_millis(50);
const READ_LEASE: Duration = Duration::from_secs(2);
const WRITE_FENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default)]
pub(super) struct SimulatedLease {
    reader: Option<(Token, Instant)>,
    writers: Vec<(Token, Instant)>,
}

impl SimulatedLease {
    fn expire(&mut self) {
        let now = Instant::now();
        self.reader = self.reader.filter(|(_, until)| now < *until);
        self.writers.retain(|(_, until)| now < *until);
    }
}

/// Claim of a numbered database of a process.
#[derive(Debug, Clone)]
struct Claim {
    holder: Holder,
    until: Instant,
    marker: Option<i64>,
}

/// Numbered database of a process, with its contents.
#[derive(Debug, Clone)]
pub(super) struct Process {
    server: usize,
    number: usize,
    claim: Option<Claim>,
    pub(super) values: BTreeMap<Key, (Raw, Instant)>,
    pub(super) leases: BTreeMap<Key, SimulatedLease>,
    rotations: u64,
}

impl Process {
    pub(super) fn new(server: usize) -> Self {
        Self {
            server,
            number: 0,
            claim: None,
            values: BTreeMap::new(),
            leases: BTreeMap::new(),
            rotations: 0,
        }
    }

    /// Next database of the same process, empty.
    pub(super) fn next_database(&self) -> Self {
        Self {
            number: self.number + 1,
            ..Self::new(self.server)
        }
    }

    /// Another process with a copy of the contents.
    pub(super) fn copied_to(&self, server: usize) -> Self {
        Self {
            values: self.values.clone(),
            claim: self.claim.clone(),
            ..Self::new(server)
        }
    }

    pub(super) fn id(&self) -> String {
        format!("process {}:{}", self.server, self.number)
    }

    /// Evicts the key of the claim.
    pub(super) fn lose_claim(&mut self) {
        self.claim = None;
    }

    /// Marker of a database of the service.
    pub(super) fn marker(&self, database: &str) -> Option<i64> {
        let claim = self.claim.as_ref();
        claim
            .filter(|claim| claim.holder.database == database)?
            .marker
    }

    fn claim(&mut self, holder: &Holder) -> Claimed {
        let now = Instant::now();
        let known = self.claim.take();
        if let Some(other) = &known
            && other.holder != *holder
            && now < other.until
        {
            self.claim = known;
            return Claimed::Refused("another installation".to_owned());
        }
        let marker = known.filter(|known| known.holder.database == holder.database);
        let marker = marker.and_then(|known| known.marker);
        self.claim = Some(Claim {
            holder: holder.clone(),
            until: now + REGISTRATION_TTL,
            marker,
        });
        Claimed::Held { marker }
    }

    fn raise(&mut self, holder: &Holder, number: i64) -> bool {
        let held = self.claim.as_mut().filter(|known| known.holder == *holder);
        let Some(claim) = held else { return false };
        claim.marker = claim.marker.max(Some(number));
        true
    }

    pub(super) fn value(&mut self, key: Key) -> Option<Raw> {
        if self
            .values
            .get(&key)
            .is_some_and(|(_, until)| *until <= Instant::now())
        {
            self.values.remove(&key);
        }
        self.values.get(&key).map(|(raw, _)| raw.clone())
    }

    fn lease(&mut self, key: Key) -> &mut SimulatedLease {
        let lease = self.leases.entry(key).or_default();
        lease.expire();
        lease
    }

    fn acquire(&mut self, key: Key, token: Token, spoiled: Option<&Raw>) -> Acquired {
        if let Some(value) = self.value(key) {
            if spoiled != Some(&value) {
                return Acquired::Value(value);
            }
            self.values.remove(&key);
        }
        let lease = self.lease(key);
        if !lease.writers.is_empty() {
            return Acquired::Busy;
        }
        lease.reader = Some((token, Instant::now() + READ_LEASE));
        Acquired::Granted
    }

    fn fill(&mut self, key: Key, token: Token, value: Raw, ttl: Duration) -> bool {
        let lease = self.lease(key);
        if lease.reader.is_none_or(|(reader, _)| reader != token) {
            return false;
        }
        lease.reader = None;
        self.values.insert(key, (value, Instant::now() + ttl));
        true
    }

    fn rotate(&mut self, key: Key, generation: String) -> String {
        let value = Raw::One(generation.clone().into());
        self.values
            .insert(key, (value, Instant::now() + GENERATION_TTL));
        generation
    }

    fn fence(&mut self, key: Key, how: Fence, token: Token) {
        if key.kind() == Kind::Generation {
            self.rotations += 1;
            self.rotate(key, format!("{token}-{}", self.rotations));
            return;
        }
        let lease = self.lease(key);
        lease.reader = None;
        lease.writers.push((token, Instant::now() + WRITE_FENCE));
        match how {
            Fence::Delete => {
                self.values.remove(&key);
            }
            Fence::Mark => {
                if let Some((Raw::List(items), _)) = self.values.get_mut(&key) {
                    items.insert(0, mark(token));
                }
            }
        }
    }

    fn release(&mut self, key: Key, how: &Release, token: Token, epoch: i64) {
        if key.kind() == Kind::Generation {
            self.rotations += 1;
            self.rotate(key, format!("{token}-{}", self.rotations));
            return;
        }
        let lease = self.lease(key);
        lease.reader = None;
        lease.writers.retain(|(writer, _)| *writer != token);
        if let Release::Append {
            sequence,
            element,
            ttl,
        } = how
            && let Some((Raw::List(items), until)) = self.values.get_mut(&key)
        {
            let before = format!("{}\"sequence\":{},", stamp(epoch), sequence - 1);
            let fits = items.first() == Some(&mark(token))
                && items
                    .get(1)
                    .is_some_and(|head| head.starts_with(before.as_bytes()));
            if fits {
                let Raw::One(element) = Raw::One(element.clone()).stamped(epoch) else {
                    return;
                };
                items[0] = element;
                items.truncate(50);
                *until = Instant::now() + *ttl;
                return;
            }
        }
        self.values.remove(&key);
    }
}

fn text(raw: Raw) -> Option<String> {
    match raw {
        Raw::One(text) => String::from_utf8(text.into()).ok(),
        Raw::List(_) => None,
    }
}

fn mark(token: Token) -> Bytes {
    format!("{{\"fence\":\"{token}\"}}").into()
}

/// Connection of one instance to Redis.
pub(super) struct Connection {
    pub(super) world: World,
    pub(super) instance: usize,
}

impl Connection {
    /// Sends a command, which takes effect when it arrives, even if the caller has given up by then.
    async fn call<T: Send + 'static>(
        &self,
        epoch: Option<&Epoch>,
        effect: impl FnOnce(&mut Parts, &World, usize) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (arrival, process) = {
            let mut parts = self.world.lock();
            let delay = parts.delay();
            let link = parts.links[self.instance];
            let id = parts.id_of(link.process);
            if epoch.is_some_and(|epoch| epoch.remote != id) {
                return Err(Fault::Elsewhere);
            }
            let arrival = (Instant::now() + delay).max(link.last);
            parts.links[self.instance].last = arrival;
            (arrival, link.process)
        };
        let (answer, answered) = oneshot::channel();
        let (world, instance) = (self.world.clone(), self.instance);
        tokio::spawn(async move {
            tokio::time::sleep_until(arrival).await;
            let (result, back) = {
                let mut parts = world.lock();
                let link = parts.links[instance];
                if link.requests_lost || link.process != process {
                    return;
                }
                let result = effect(&mut parts, &world, process);
                (result, parts.delay())
            };
            tokio::time::sleep(back).await;
            let link = world.lock().links[instance];
            if !link.answers_lost && link.process == process {
                let _ = answer.send(result);
            }
        });
        match tokio::time::timeout(TIMEOUT, answered).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Fault::Away("the connection broke".to_owned())),
            Err(_) => Err(Fault::Slow),
        }
    }
}

impl Connection {
    /// Plain SET without a lease.
    pub(super) async fn set(
        &self,
        key: Key,
        epoch: &Epoch,
        value: &Raw,
        ttl: Duration,
    ) -> Result<(), Fault> {
        let value = value.clone();
        self.call(Some(epoch), move |parts, world, p| {
            parts.processes[p]
                .values
                .insert(key, (value, Instant::now() + ttl));
            parts.broadcast(world, p, key);
        })
        .await
    }

    pub(super) fn connected_to(&self) -> RemoteId {
        let parts = self.world.lock();
        parts.id_of(parts.links[self.instance].process)
    }
}

#[async_trait]
impl Remote for Connection {
    async fn identity(&self) -> Result<RemoteId, Fault> {
        self.call(None, |parts, _, process| parts.id_of(process))
            .await
    }

    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault> {
        let holder = holder.clone();
        self.call(None, move |parts, _, p| parts.processes[p].claim(&holder))
            .await
    }

    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault> {
        let holder = holder.clone();
        self.call(None, move |parts, _, p| {
            parts.processes[p].raise(&holder, number)
        })
        .await
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        self.call(Some(epoch), move |parts, _, p| {
            parts.processes[p].value(key)
        })
        .await
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        let keys = keys.to_vec();
        self.call(Some(epoch), move |parts, _, p| {
            keys.iter()
                .map(|key| parts.processes[p].value(*key))
                .collect()
        })
        .await
    }

    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault> {
        let spoiled = spoiled.cloned();
        self.call(Some(epoch), move |parts, world, p| {
            let acquired = parts.processes[p].acquire(key, token, spoiled.as_ref());
            if acquired == Acquired::Granted {
                parts.broadcast(world, p, key);
            }
            acquired
        })
        .await
    }

    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        let value = value.clone();
        self.call(Some(epoch), move |parts, world, p| {
            let filled = parts.processes[p].fill(key, token, value, ttl);
            if filled {
                parts.broadcast(world, p, key);
            }
            filled
        })
        .await
    }

    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault> {
        self.call(Some(epoch), move |parts, _, p| {
            let process = &mut parts.processes[p];
            let generation = process.value(key.generation()).and_then(text);
            (generation, process.value(key))
        })
        .await
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        self.call(Some(epoch), move |parts, _, p| {
            let process = &mut parts.processes[p];
            let known = process.value(key.generation()).and_then(text);
            known.unwrap_or_else(|| process.rotate(key.generation(), token.to_string()))
        })
        .await
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        self.set(key, epoch, value, ttl).await
    }

    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault> {
        for (key, how) in keys.iter().copied() {
            self.call(Some(epoch), move |parts, world, p| {
                parts.processes[p].fence(key, how, token);
                parts.broadcast(world, p, key);
            })
            .await?;
        }
        Ok(())
    }

    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        let number = epoch.number;
        for (key, how) in keys.iter().cloned() {
            self.call(Some(epoch), move |parts, world, p| {
                parts.processes[p].release(key, &how, token, number);
                parts.broadcast(world, p, key);
            })
            .await?;
        }
        Ok(())
    }

    async fn scan(&self, _: &str) -> Result<Vec<Key>, Fault> {
        self.call(None, |parts, _, p| {
            parts.processes[p].values.keys().copied().collect()
        })
        .await
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        Ok(RemoteStats::default())
    }
}

/// Keys of the simulation. `ABSENT` is never written.
pub(super) const SINGLE: Key = Key::new(Kind::Message, 1);
pub(super) const LIST: Key = Key::new(Kind::Messages, 2);
pub(super) const ABSENT: Key = Key::new(Kind::Message, 4);
pub(super) const STATS: Key = Key::new(Kind::Stats, 3);
pub(super) const SCOPE: Key = STATS.generation();
