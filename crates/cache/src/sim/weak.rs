//! Protocol without one of its guards. The guards are disabled by wrappers; the product has no switches for them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::database::Session;
use super::redis::Connection;
use super::tracking::SimulatedTracking;
use crate::key::{Key, Kind};
use crate::ledger::{
    Epoch, Holder, InstanceKind, Ledger, LedgerError, PendingRows, Registered, RegistrationState,
    RemoteId, Renewal, Serving,
};
use crate::raw::Raw;
use crate::remote::{Acquired, Claimed, Fault, Fence, Release, Remote, RemoteStats};
use crate::token::Token;
use crate::tracking::{InvalidationHandler, Tracking};

/// Disabled guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weakness {
    None,
    /// Plain cache-aside: fills without a lease, deletes after the commit.
    DeleteAfterCommit,
    NoFence,
    NoRelease,
    /// Fills need no lease.
    FillWithoutToken,
    /// Degraded writes are acknowledged without waiting.
    NoWait,
    NoBarrier,
    NoFillGuard,
    /// The generation of a scope is rotated before the commit only.
    OneGeneration,
    /// Values carry no epoch: any process is trusted.
    NoEpoch,
    /// A registering instance does not wait for memory instances.
    NoMemoryWait,
    /// A memory instance opens its gate during an epoch of Redis, and deletes the pending rows of that epoch.
    MemoryDuringEpoch,
    /// The clock of gates and registrations stands still while an instance is stopped.
    StandingClock,
    /// Steps of the database's clock are not detected.
    UnwatchedClock,
    /// The databases of a Redis process are not distinguished.
    NoDatabaseNumber,
    /// Several installations use one Redis database concurrently, with equal epoch numbers.
    SharedStamps,
    /// Any database server is trusted.
    NoDatabaseIdentity,
    /// The passes counted by the database are not compared with the marker.
    NoMarker,
    /// A database server is accepted before its state was compared with the marker.
    EarlyAccept,
}

impl Weakness {
    /// Whether the guard concerns instances with different backends, or clocks.
    pub(super) const fn is_of_mixed_instances(self) -> bool {
        matches!(
            self,
            Self::NoMemoryWait
                | Self::MemoryDuringEpoch
                | Self::StandingClock
                | Self::UnwatchedClock
        )
    }

    pub(super) const ALL: [Self; 18] = [
        Self::DeleteAfterCommit,
        Self::NoFence,
        Self::NoRelease,
        Self::FillWithoutToken,
        Self::NoWait,
        Self::NoBarrier,
        Self::NoFillGuard,
        Self::OneGeneration,
        Self::NoEpoch,
        Self::NoMemoryWait,
        Self::MemoryDuringEpoch,
        Self::StandingClock,
        Self::UnwatchedClock,
        Self::NoDatabaseNumber,
        Self::SharedStamps,
        Self::NoDatabaseIdentity,
        Self::NoMarker,
        Self::EarlyAccept,
    ];
}

impl Weakness {
    /// Identity under which a Redis is known.
    fn known(self, id: RemoteId) -> RemoteId {
        if self == Self::NoEpoch {
            return "always the same".into();
        }
        if self == Self::NoDatabaseNumber {
            return id.split(':').next().unwrap_or_default().into();
        }
        id
    }
}

/// Connection to Redis with a disabled guard.
pub(super) struct WeakConnection(pub(super) Connection, pub(super) Weakness);

#[async_trait]
impl Remote for WeakConnection {
    async fn identity(&self) -> Result<RemoteId, Fault> {
        let id = self.0.identity().await?;
        Ok(self.1.known(id))
    }

    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault> {
        let claimed = self.0.claim(holder).await?;
        Ok(match (self.1, claimed) {
            (Weakness::SharedStamps, _)
            | (Weakness::NoMarker, Claimed::Held { marker: Some(_) }) => {
                Claimed::Held { marker: Some(-1) }
            }
            (_, claimed) => claimed,
        })
    }

    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault> {
        let raised = self.0.raise(holder, number).await?;
        Ok(raised || self.1 == Weakness::SharedStamps)
    }

    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault> {
        self.0.get(key, &self.epoch(epoch)).await
    }

    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault> {
        self.0.get_many(keys, &self.epoch(epoch)).await
    }

    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault> {
        if self.fills_without_lease() {
            return Ok(Acquired::Granted);
        }
        let epoch = self.epoch(epoch);
        self.0.acquire(key, &epoch, token, spoiled).await
    }

    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        let epoch = self.epoch(epoch);
        if self.fills_without_lease() {
            return self.0.set(key, &epoch, value, ttl).await.map(|()| true);
        }
        self.0.fill(key, &epoch, token, value, ttl).await
    }

    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault> {
        self.0.get_scoped(key, &self.epoch(epoch)).await
    }

    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault> {
        self.0.generation(key, &self.epoch(epoch), token).await
    }

    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault> {
        self.0.put(key, &self.epoch(epoch), value, ttl).await
    }

    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault> {
        if matches!(self.1, Weakness::DeleteAfterCommit | Weakness::NoFence) {
            return Ok(());
        }
        self.0.fence(keys, &self.epoch(epoch), token).await
    }

    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault> {
        // The fence is left to expire, and a filled value stays.
        if self.1 == Weakness::NoRelease {
            return Ok(());
        }
        if self.1 == Weakness::OneGeneration {
            let others = keys
                .iter()
                .filter(|(key, _)| key.kind() != Kind::Generation);
            let others: Vec<(Key, Release)> = others.cloned().collect();
            return self.0.release(&others, &self.epoch(epoch), token).await;
        }
        self.0.release(keys, &self.epoch(epoch), token).await
    }

    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault> {
        self.0.scan(pattern).await
    }

    async fn stats(&self) -> Result<RemoteStats, Fault> {
        self.0.stats().await
    }
}

impl WeakConnection {
    fn fills_without_lease(&self) -> bool {
        matches!(
            self.1,
            Weakness::DeleteAfterCommit | Weakness::FillWithoutToken
        )
    }

    fn epoch(&self, epoch: &Epoch) -> Epoch {
        if matches!(self.1, Weakness::NoEpoch | Weakness::NoDatabaseNumber) {
            let remote = self.0.connected_to();
            return Epoch {
                number: epoch.number,
                remote,
            };
        }
        epoch.clone()
    }
}

/// Invalidation connection with a disabled guard.
pub(super) struct WeakTracking(pub(super) SimulatedTracking, pub(super) Weakness);

#[async_trait]
impl Tracking for WeakTracking {
    fn listen(&self, handler: Arc<dyn InvalidationHandler>) {
        self.0.listen(handler);
    }

    fn identity(&self) -> Option<RemoteId> {
        let id = self.0.identity()?;
        Some(self.1.known(id))
    }

    async fn barrier(&self, since: Instant) -> bool {
        self.1 == Weakness::NoBarrier || self.0.barrier(since).await
    }
}

/// Database with a disabled guard.
pub(super) struct WeakSession(pub(super) Session, pub(super) Weakness);

impl WeakSession {
    fn clock(&self, reported: Duration) -> Duration {
        if self.1 == Weakness::UnwatchedClock {
            self.0.unstepped_clock()
        } else {
            reported
        }
    }
}

#[async_trait]
impl Ledger for WeakSession {
    async fn register(&self, kind: InstanceKind) -> Result<Registered, LedgerError> {
        let mut seen = self.0.register(kind).await?;
        if self.1 == Weakness::NoMemoryWait {
            seen.memory_serves = Duration::ZERO;
        }
        seen.free |= kind == InstanceKind::Memory && self.1 == Weakness::MemoryDuringEpoch;
        seen.clock = self.clock(seen.clock);
        Ok(seen)
    }

    async fn renew(&self, answering: &RemoteId) -> Result<Renewal, LedgerError> {
        self.0.renew(answering).await
    }

    async fn registration_state(&self) -> Result<RegistrationState, LedgerError> {
        let state = self.0.registration_state().await?;
        if self.1 == Weakness::EarlyAccept {
            self.0.accept(&state.holder.server).await?;
        }
        Ok(state)
    }

    async fn accept(&self, server: &str) -> Result<bool, LedgerError> {
        self.0.accept(server).await
    }

    async fn count(&self, known: Option<i64>) -> Result<Option<i64>, LedgerError> {
        self.0.count(known).await
    }

    async fn begin(
        &self,
        number: i64,
        remote: &RemoteId,
        lost: Option<i64>,
    ) -> Result<(), LedgerError> {
        self.0.begin(number, remote, lost).await
    }

    async fn renew_memory(&self) -> Result<(), LedgerError> {
        self.0.renew_memory().await
    }

    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError> {
        self.0.pending(limit).await
    }

    async fn waiting(&self) -> Result<u64, LedgerError> {
        self.0.waiting().await
    }

    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError> {
        if epoch.is_none() && self.1 == Weakness::MemoryDuringEpoch {
            return self.0.delete_rows_unchecked(rows).await;
        }
        self.0.settle(rows, epoch).await
    }

    async fn retire(&self, epoch: i64) -> Result<(), LedgerError> {
        self.0.retire(epoch).await
    }

    async fn close(&self, at_least: i64) -> Result<(), LedgerError> {
        self.0.close(at_least).await
    }

    async fn add(&self, keys: &[Key], token: Token) -> Result<(), LedgerError> {
        self.0.add(keys, token).await
    }

    async fn served_for(&self) -> Result<Serving, LedgerError> {
        let Serving { left, clock } = self.0.served_for().await?;
        Ok(Serving {
            left: if self.1 == Weakness::NoWait {
                Duration::ZERO
            } else {
                left
            },
            clock: self.clock(clock),
        })
    }

    async fn waits(&self, token: Token) -> Result<bool, LedgerError> {
        self.0.waits(token).await
    }
}
