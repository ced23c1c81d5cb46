//! Write path: fence, commit, release, and the degraded path of a write that cannot reach the cache.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{Cache, LOCAL_EPOCH, NewestEntry, Tiers, name};
use crate::gate::MAX_COMMIT;
use crate::key::Key;
use crate::ledger::Epoch;
use crate::memory::MemoryTier;
use crate::read::Id;
use crate::remote::{Fault, Fence, Release, Remote};
use crate::stats::{Operation, Outcome, Tier};
use crate::token::Token;

/// Change that a write makes to a cached key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The value changes.
    Changed(Key),
    /// A message is added to its list; without the entry (see [`Cache::value_format`]) the list changes like any other key.
    Appended(Key, Option<NewestEntry>),
}

impl Write {
    /// Key that changes.
    pub const fn key(&self) -> Key {
        match self {
            Self::Changed(key) | Self::Appended(key, _) => *key,
        }
    }
}

/// Outcome of the transaction of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// The transaction is committed.
    Committed,
    /// The transaction is rolled back.
    Aborted,
    /// The database did not answer: the transaction may still commit.
    Unknown,
}

/// Write with fenced keys, or on the degraded path.
#[derive(Debug)]
#[must_use = "a fence that is not released keeps its keys out of the cache for seconds"]
pub struct Fenced {
    writes: Vec<Write>,
    keys: Vec<Key>,
    token: Token,
    path: FencePath,
}

/// How the keys of a write are protected.
#[derive(Debug)]
enum FencePath {
    /// Not at all: nothing is cached.
    Nothing,
    /// By fences in the memory tier.
    Memory,
    /// By fences in the shared tier, under this epoch.
    Shared(Arc<Epoch>),
    /// No instance may serve from a cache, provided that this still holds after the commit.
    Free,
    /// By rows in `cache_pending`.
    Degraded,
}

impl Fenced {
    /// Rows that must be written in the same transaction if the write is degraded: its keys and the token of its fence.
    pub fn pending(&self) -> Option<(&[Key], Token)> {
        matches!(self.path, FencePath::Degraded).then_some((&*self.keys, self.token))
    }
}

/// How often a degraded writer polls its pending rows.
const PENDING_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Delay before a writer retries to record its pending rows.
const RETRY_DELAY: Duration = Duration::from_millis(100);

impl Cache {
    /// Fences keys before the commit: readers find no value and may not fill one. Never fails: a write that cannot be
    /// fenced is degraded and leaves rows (see [`Fenced::pending`]).
    pub async fn fence(&self, writes: Vec<Write>) -> Fenced {
        let keys: Vec<Key> = writes.iter().map(Write::key).collect();
        let token = self.settings.token();
        let path = if writes.is_empty() {
            FencePath::Nothing
        } else {
            self.try_fence(&writes, token).await
        };
        Fenced {
            writes,
            keys,
            token,
            path,
        }
    }

    async fn try_fence(&self, writes: &[Write], token: Token) -> FencePath {
        if !self.keeps_a_gate() {
            return match &self.tiers {
                Tiers::Memory(memory) => {
                    fence_memory(memory, writes, token);
                    FencePath::Memory
                }
                Tiers::Off | Tiers::Shared { .. } => FencePath::Nothing,
            };
        }
        // Before the first reconciliation pass, and after a long stop, other instances do not know of this one.
        if !self.gate.is_registered() {
            return FencePath::Degraded;
        }
        match &self.tiers {
            Tiers::Shared { remote, .. } => match self.gate.epoch() {
                Some(epoch) => self.fence_shared(remote, epoch, writes, token).await,
                None => self.free_or_degraded(),
            },
            Tiers::Memory(memory) => {
                fence_memory(memory, writes, token);
                self.free_or_degraded()
            }
            Tiers::Off => self.free_or_degraded(),
        }
    }

    fn is_still_free(&self) -> bool {
        self.gate.is_free_for(Duration::ZERO) && self.gate.is_registered()
    }

    /// Whether an early fence still protects a commit that begins now. If not, the caller must release it as aborted and fence
    /// again.
    pub fn is_fence_valid(&self, fenced: &Fenced) -> bool {
        match &fenced.path {
            FencePath::Nothing | FencePath::Memory | FencePath::Degraded => true,
            FencePath::Shared(epoch) => self.is_shared_under(epoch),
            FencePath::Free => self.gate.is_free_for(MAX_COMMIT) && self.gate.is_registered(),
        }
    }

    fn is_shared_under(&self, epoch: &Epoch) -> bool {
        self.gate.is_open_under(epoch) && self.gate.is_registered()
    }

    fn free_or_degraded(&self) -> FencePath {
        if self.gate.is_free_for(MAX_COMMIT) {
            FencePath::Free
        } else {
            FencePath::Degraded
        }
    }

    async fn fence_shared(
        &self,
        remote: &Arc<dyn Remote>,
        epoch: Arc<Epoch>,
        writes: &[Write],
        token: Token,
    ) -> FencePath {
        let fences: Vec<(Key, Fence)> = writes
            .iter()
            .map(|write| match write {
                Write::Changed(key) | Write::Appended(key, None) => (*key, Fence::Delete),
                Write::Appended(key, Some(_)) => (*key, Fence::Mark),
            })
            .collect();
        let began = Instant::now();
        match remote.fence(&fences, &epoch, token).await {
            Ok(()) => FencePath::Shared(epoch),
            Err(fault) => {
                tracing::debug!(%fault, "fencing a write failed");
                self.record_invalidation(writes, Tier::Redis, Outcome::Error, began.elapsed());
                FencePath::Degraded
            }
        }
    }

    /// Releases the fences after the commit. When this returns, no new read can see an older value.
    pub async fn release(&self, fenced: Fenced, ended: TransactionOutcome) {
        // The transaction may still commit: its keys stay fenced until the database must have ended it.
        if ended == TransactionOutcome::Unknown {
            return;
        }
        let committed = ended == TransactionOutcome::Committed;
        let Fenced {
            writes,
            keys,
            token,
            path,
        } = fenced;
        if let Tiers::Memory(memory) = &self.tiers
            && !matches!(path, FencePath::Nothing)
        {
            let began = Instant::now();
            self.release_memory(memory, &writes, token, committed);
            self.record_invalidation(&writes, Tier::Memory, Outcome::Ok, began.elapsed());
        }
        match path {
            FencePath::Nothing | FencePath::Memory => {}
            FencePath::Shared(epoch) => self.release_shared(&epoch, writes, token, committed).await,
            FencePath::Free if !committed || self.is_still_free() => {}
            // Another instance may have begun to serve since the fence.
            FencePath::Free => self.record_pending(&keys, token).await,
            FencePath::Degraded if !committed => {}
            FencePath::Degraded => self.wait_for_others(token).await,
        }
    }

    fn release_memory(&self, memory: &MemoryTier, writes: &[Write], token: Token, committed: bool) {
        for write in writes {
            match write {
                Write::Appended(key, Some(top)) if committed => {
                    let ttl = self.settings.ttl(key.kind());
                    let item = (top.sequence, top.element.clone());
                    memory.release_list((*key, token), item, LOCAL_EPOCH, ttl);
                }
                Write::Changed(key) | Write::Appended(key, _) => memory.release(*key, token),
            }
        }
    }

    async fn release_shared(
        &self,
        epoch: &Epoch,
        writes: Vec<Write>,
        token: Token,
        committed: bool,
    ) {
        let Tiers::Shared { remote, .. } = &self.tiers else {
            return;
        };
        let began = Instant::now();
        let keys: Vec<Key> = writes.iter().map(Write::key).collect();
        let releases: Vec<(Key, Release)> = writes
            .iter()
            .map(|write| self.release_of(write, committed))
            .collect();
        let released = remote.release(&releases, epoch, token).await;
        let outcome = match &released {
            Ok(()) => Outcome::Ok,
            Err(fault) => {
                tracing::debug!(%fault, "releasing a write failed");
                Outcome::Error
            }
        };
        self.record_invalidation(&writes, Tier::Redis, outcome, began.elapsed());
        // Checked again after the fence: other instances may read from another Redis process by now.
        if committed && !(released.is_ok() && self.is_shared_under(epoch)) {
            self.record_pending(&keys, token).await;
        }
    }

    fn release_of(&self, write: &Write, committed: bool) -> (Key, Release) {
        match write {
            Write::Appended(key, Some(top)) if committed => {
                let release = Release::Append {
                    sequence: top.sequence,
                    element: top.element.clone(),
                    ttl: self.settings.ttl(key.kind()),
                };
                (*key, release)
            }
            Write::Changed(key) | Write::Appended(key, _) => (*key, Release::Delete),
        }
    }

    /// Records the keys of a committed write that could not be released, then waits as if the rows had been part of its
    /// transaction.
    async fn record_pending(&self, keys: &[Key], token: Token) {
        while let Err(error) = self.ledger.add(keys, token).await {
            tracing::warn!(%error, "recording the keys of a committed write failed; it is retried and not acknowledged yet");
            tokio::time::sleep(RETRY_DELAY).await;
        }
        self.wait_for_others(token).await;
    }

    /// Waits until the rows of this write are deleted, or until every instance that may not have seen them has stopped serving.
    async fn wait_for_others(&self, token: Token) {
        let began = Instant::now();
        self.until_others_stop(token).await;
        self.stats.waited(began.elapsed());
    }

    async fn until_others_stop(&self, token: Token) {
        let served = loop {
            let asked = self.gate.now();
            match self.ledger.served_for().await {
                Ok(serving) => {
                    self.gate.observe(asked, serving.clock);
                    break self.gate.degraded_wait(serving.left);
                }
                Err(error) => {
                    tracing::warn!(%error, "reading how long other instances may serve failed; it is retried, and the write is not acknowledged yet");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        };
        let passed = self.gate.now() + served;
        loop {
            let left = passed.saturating_duration_since(self.gate.now());
            if left.is_zero() || matches!(self.ledger.waits(token).await, Ok(false)) {
                return;
            }
            tokio::time::sleep(left.min(PENDING_POLL_INTERVAL)).await;
        }
    }

    /// Counts and logs the invalidation of the keys of a write.
    fn record_invalidation(&self, writes: &[Write], tier: Tier, outcome: Outcome, took: Duration) {
        let keys = writes.iter().map(Write::key);
        self.record_invalidated_keys(keys, tier, outcome, took);
    }

    /// Counts and logs the invalidation of keys.
    pub(crate) fn record_invalidated_keys(
        &self,
        keys: impl Iterator<Item = Key>,
        tier: Tier,
        outcome: Outcome,
        took: Duration,
    ) {
        for key in keys {
            self.count((key.kind(), tier), Operation::Invalidate, outcome, took);
            if outcome == Outcome::Ok {
                tracing::debug!("Invalidated {} cache: {}", name(key.kind()), Id(key));
            }
        }
    }

    /// Invalidates keys without a write, on request of an operator.
    pub async fn invalidate(&self, keys: &[Key]) -> Result<(), Fault> {
        let (began, token) = (Instant::now(), self.settings.token());
        let (tier, done) = match &self.tiers {
            Tiers::Off => return Ok(()),
            Tiers::Memory(memory) => {
                for key in keys {
                    memory.release(*key, token);
                }
                (Tier::Memory, Ok(()))
            }
            Tiers::Shared { remote, .. } => {
                let epoch = self.serving_epoch()?;
                let released = release_all(remote, &epoch, keys, token).await;
                (Tier::Redis, released)
            }
        };
        let outcome = done.as_ref().map_or(Outcome::Error, |()| Outcome::Ok);
        self.record_invalidated_keys(keys.iter().copied(), tier, outcome, began.elapsed());
        done
    }

    /// Invalidates all copies in every instance, including copies of values that have expired in Redis.
    pub async fn invalidate_copies(&self) -> Result<(), Fault> {
        match &self.tiers {
            Tiers::Off | Tiers::Memory(_) => Ok(()),
            Tiers::Shared { remote, .. } => {
                let (epoch, token) = (self.serving_epoch()?, self.settings.token());
                release_all(remote, &epoch, &[Key::EVERYTHING], token).await
            }
        }
    }

    fn serving_epoch(&self) -> Result<Arc<Epoch>, Fault> {
        let shut = || Fault::Away("the gate is shut; nothing is served from the cache".to_owned());
        self.gate.epoch().ok_or_else(shut)
    }
}

/// Keys that are released concurrently.
const KEYS_PER_BATCH: usize = 256;

/// Releases keys by deletion, in batches.
pub(crate) async fn release_all(
    remote: &Arc<dyn Remote>,
    epoch: &Epoch,
    keys: &[Key],
    token: Token,
) -> Result<(), Fault> {
    for batch in keys.chunks(KEYS_PER_BATCH) {
        let releases: Vec<(Key, Release)> = batch.iter().map(|k| (*k, Release::Delete)).collect();
        remote.release(&releases, epoch, token).await?;
    }
    Ok(())
}

fn fence_memory(memory: &MemoryTier, writes: &[Write], token: Token) {
    for write in writes {
        match write {
            Write::Changed(key) | Write::Appended(key, None) => memory.fence(*key, token),
            Write::Appended(key, Some(_)) => memory.fence_list(*key, token),
        }
    }
}
