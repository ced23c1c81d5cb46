//! Reconciliation: renews the right to serve, releases the keys that degraded writers have recorded, and opens the gate.
//!
//! The order is essential: the right to serve is renewed and committed first, and only then are the pending rows read. A degraded
//! writer commits its rows and then reads which instances may still serve. Either it sees the renewal and waits for it, or the
//! renewal came later, and then the rows read here include those of the writer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::cache::{Cache, LOCAL_EPOCH, Tiers};
use crate::gate::{CLOCK_STEPPED, GATE_TTL, RECONCILE_INTERVAL};
use crate::key::Key;
use crate::ledger::{
    Epoch, Holder, InstanceKind, LedgerError, Pending, PendingRows, Registered, RegistrationState,
    RemoteId, Renewal,
};
use crate::memory::MemoryTier;
use crate::remote::{Claimed, Fault, Remote};
use crate::stats::{Outcome, Tier};
use crate::token::Token;
use crate::write::release_all;

/// Most pending rows that are released one by one; beyond that a new epoch retires all of them.
const MAX_ROWS: i64 = 10_000;
/// Rows that are released concurrently: few enough for Redis to answer all of them within the time of one call.
const ROWS_PER_BATCH: usize = 64;
/// How long a start waits for the first reconciliation pass; without Redis it goes on without one.
const READY_TIMEOUT: Duration = Duration::from_secs(3);
/// How often expired values are removed from the memory tier.
const SWEEP_INTERVAL: Duration = Duration::from_secs(20);

/// Reason why a reconciliation pass did not finish.
enum ReconcileError {
    Database(LedgerError),
    Cache(Fault),
    /// A later pass will finish.
    Wait(&'static str),
    /// Another installation uses the shared tier.
    Refused(String),
}

impl From<LedgerError> for ReconcileError {
    fn from(error: LedgerError) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for ReconcileError {
    fn from(fault: Fault) -> Self {
        Self::Cache(fault)
    }
}

/// System that a pass calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependency {
    Database,
    Remote,
}

/// Call that a pass waits for, and since when; names the culprit if the pass times out.
struct PendingCall(Mutex<(Dependency, Instant)>);

impl PendingCall {
    fn new(began: Instant) -> Self {
        Self(Mutex::new((Dependency::Database, began)))
    }

    /// Records that a call begins.
    fn begin(&self, dependency: Dependency) {
        *self.0.lock() = (dependency, Instant::now());
    }

    /// System that delayed a pass; `None` if no single call took long.
    fn slow_dependency(&self) -> Option<Dependency> {
        let (dependency, since) = *self.0.lock();
        (since.elapsed() >= GATE_TTL / 2).then_some(dependency)
    }
}

impl Cache {
    /// Background work: reconciles, removes expired values and accepts database servers, until the cache is dropped.
    pub async fn keep(self: Arc<Self>) {
        let accepting = Arc::clone(&self).accept_servers();
        tokio::join!(self.keep_gate(), accepting);
    }

    async fn keep_gate(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        let keeps_a_gate = self.keeps_a_gate();
        if !keeps_a_gate {
            self.ready.send_replace(true);
        }
        drop(self);
        let mut swept = Instant::now();
        loop {
            let Some(cache) = weak.upgrade() else { return };
            let began = Instant::now();
            if keeps_a_gate {
                cache.reconcile().await;
            }
            if swept.elapsed() >= SWEEP_INTERVAL {
                swept = Instant::now();
                cache.memory_status();
            }
            drop(cache);
            tokio::time::sleep_until(began + RECONCILE_INTERVAL).await;
        }
    }

    /// Waits until this instance may take requests: it is registered, and its first reconciliation pass has finished or cannot
    /// finish.
    pub async fn wait_until_ready(&self) {
        let mut ready = self.ready.subscribe();
        let _ = tokio::time::timeout(READY_TIMEOUT, ready.wait_for(|ready| *ready)).await;
    }

    /// Runs one reconciliation pass. The gate is open after a pass that finishes.
    pub(crate) async fn reconcile(&self) {
        let began = self.gate.now();
        let call = PendingCall::new(Instant::now());
        let work = async {
            match &self.tiers {
                Tiers::Off => self.reconcile_off().await,
                Tiers::Memory(memory) => self.reconcile_memory(memory, began).await,
                Tiers::Shared { remote, .. } => self.reconcile_shared(remote, began, &call).await,
            }
        };
        let ended = tokio::time::timeout(GATE_TTL, work).await;
        match ended {
            Ok(Ok(())) => self.finish_startup(),
            Ok(Err(ReconcileError::Wait(why))) => self.gate.trouble(why, false),
            Ok(Err(ReconcileError::Refused(why))) => {
                self.finish_startup();
                if self.gate.refuse(why.as_str()) {
                    tracing::error!("nothing is cached: {why}");
                }
            }
            Ok(Err(ReconcileError::Cache(fault))) => {
                // No pass will finish soon, so the start does not wait for one.
                self.finish_startup();
                self.gate.trouble(format!("redis: {fault}"), false);
            }
            Ok(Err(ReconcileError::Database(error))) => self.gate.trouble(error.to_string(), true),
            Err(_) => self.report_timeout(&call),
        }
    }

    fn report_timeout(&self, call: &PendingCall) {
        match call.slow_dependency() {
            Some(Dependency::Database) => self
                .gate
                .trouble("the database did not answer in time", true),
            Some(Dependency::Remote) => {
                self.finish_startup();
                self.gate.trouble("redis did not answer in time", false);
            }
            None => self.gate.trouble(
                "too many pending keys for one pass; the next pass continues",
                false,
            ),
        }
    }

    /// Ends the start once writes may rely on the registration.
    fn finish_startup(&self) {
        if self.gate.is_registered() {
            self.ready.send_replace(true);
        }
    }

    /// Registers this instance. After the start and after every gap in its registration, other instances did not expect writes of
    /// it, and one of them may serve from its memory. In that case it registers twice. A memory instance renews before it reads
    /// the other registrations: either the second registration here sees that renewal, or the renewal came after the first
    /// registration was committed, and then the memory instance sees this one and stops.
    async fn register(&self) -> Result<Registered, ReconcileError> {
        let began = self.gate.now();
        let mut seen = self.register_once().await?;
        if !self.gate.is_known() {
            seen = self.register_once().await?;
            self.gate
                .write_after(self.gate.degraded_wait(seen.memory_serves));
        }
        self.gate.register(began, seen.free);
        if !self.gate.clock_is_steady() {
            return Err(ReconcileError::Wait(CLOCK_STEPPED));
        }
        Ok(seen)
    }

    async fn register_once(&self) -> Result<Registered, LedgerError> {
        let kind = match &self.tiers {
            Tiers::Off => InstanceKind::Off,
            Tiers::Memory(_) => InstanceKind::Memory,
            Tiers::Shared { .. } => InstanceKind::Shared,
        };
        let asked = self.gate.now();
        let seen = self.ledger.register(kind).await?;
        self.gate.observe(asked, seen.clock);
        Ok(seen)
    }

    /// Pass of an instance without a cache: there is no gate to open, but other instances must know that this one writes.
    async fn reconcile_off(&self) -> Result<(), ReconcileError> {
        self.register().await?;
        self.ledger.close(0).await?;
        self.count_pending().await
    }

    /// Counts pending rows where no pass releases them, so that operators see them accumulate.
    async fn count_pending(&self) -> Result<(), ReconcileError> {
        let waiting = self.ledger.waiting().await?;
        self.gate.set_pending(waiting);
        Ok(())
    }

    /// Pass of an instance with the memory backend. It opens the gate only while no other instance lives and no epoch of Redis
    /// can be served. A paused instance may still hold such an epoch, and the pending rows are meant for it.
    async fn reconcile_memory(
        &self,
        memory: &MemoryTier,
        began: Instant,
    ) -> Result<(), ReconcileError> {
        self.ledger.renew_memory().await?;
        let seen = self.register().await?;
        let state = self.ledger.registration_state().await?;
        if self.is_another_database(&state).await? {
            self.gate
                .close("another database answers, or an earlier state of it: a new epoch begins");
            memory.empty();
            return Ok(());
        }
        self.ledger.close(0).await?;
        let shared = if seen.others > 0 {
            Some("another instance uses this database, so all reads go to the database")
        } else if !seen.free {
            Some(
                "an epoch of Redis has not been closed for long enough, so all reads go to the database",
            )
        } else {
            None
        };
        if let Some(why) = shared {
            self.gate.close(why);
            memory.empty();
            return self.count_pending().await;
        }
        let rows = self.ledger.pending(MAX_ROWS + 1).await?;
        self.gate.set_pending(rows.count() as u64);
        // While the gate was shut, another instance may have started, written and been forgotten. Rows that were not read may
        // concern any key.
        if self.gate.epoch().is_none() || are_too_many(&rows) {
            memory.empty();
        }
        for row in &rows.known {
            memory.release(row.key, row.token);
        }
        // If this process was suspended meanwhile, it may have missed an instance that needs these rows.
        if self.gate.now() >= began + GATE_TTL {
            return Err(ReconcileError::Wait(
                "the last pass took too long; the next pass continues",
            ));
        }
        let known = rows.known.iter().map(|row| row.id);
        let ids: Vec<i64> = known.chain(rows.unknown.iter().copied()).collect();
        self.delete_rows(&ids, None).await?;
        self.gate.set_pending(0);
        let epoch = Epoch {
            number: LOCAL_EPOCH,
            remote: RemoteId::from("this process"),
        };
        self.gate.open(epoch, began);
        Ok(())
    }

    /// Whether another database answers than at the last pass, or an earlier state of the same one.
    async fn is_another_database(&self, state: &RegistrationState) -> Result<bool, ReconcileError> {
        let last = self.last_pass().clone();
        let known = last.as_ref().map(|(_, number)| *number);
        let Some(number) = self.ledger.count(known).await? else {
            self.ledger
                .begin(state.epoch, &RemoteId::from(""), known)
                .await?;
            return Ok(true);
        };
        let server = &state.holder.server;
        let is_another = last.is_some_and(|(last, _)| last != *server);
        *self.last_pass() = Some((server.clone(), number));
        Ok(is_another)
    }

    fn last_pass(&self) -> MutexGuard<'_, Option<(String, i64)>> {
        self.last_pass.lock()
    }

    async fn reconcile_shared(
        &self,
        remote: &Arc<dyn Remote>,
        began: Instant,
        call: &PendingCall,
    ) -> Result<(), ReconcileError> {
        self.register().await?;
        let state = self.ledger.registration_state().await?;
        call.begin(Dependency::Remote);
        let claimed = claim(remote, &state.holder).await;
        call.begin(Dependency::Database);
        let (answering, marker) = match claimed {
            Ok((answering, Claimed::Held { marker })) => (answering, marker),
            Ok((_, Claimed::Refused(why))) => {
                // As without Redis: no instance of this database serves from it.
                self.ledger.close(0).await?;
                self.count_pending().await?;
                return Err(ReconcileError::Refused(why));
            }
            Err(fault) => {
                // In a long outage of Redis, rows would accumulate without end.
                self.ledger.close(MAX_ROWS).await?;
                self.count_pending().await?;
                return Err(fault.into());
            }
        };
        self.gate.admit();
        self.compare_with_marker(remote, &state, &answering, marker, call)
            .await?;
        let epoch = match self.ledger.renew(&answering).await? {
            Renewal::Renewed(epoch) => epoch,
            Renewal::Recorded => {
                return Err(ReconcileError::Wait(
                    "another Redis answers: a new epoch begins",
                ));
            }
            Renewal::TooYoung => {
                return Err(ReconcileError::Wait("a new epoch is about to be in force"));
            }
        };
        let rows = self.ledger.pending(MAX_ROWS + 1).await?;
        self.gate.set_pending(rows.count() as u64);
        if are_too_many(&rows) {
            self.ledger.retire(epoch.number).await?;
            return Err(ReconcileError::Wait(
                "too many writes waited: a new epoch begins",
            ));
        }
        self.release_rows(remote, &epoch, &rows.known, call).await?;
        if self.gate.open(epoch, began) {
            tracing::info!("the cache is open");
        }
        Ok(())
    }

    /// Compares the passes that the database has counted with the marker in the shared tier. A pass raises the marker to its
    /// number after that number is committed. So the database has counted at least as many, unless it went back to an earlier
    /// state.
    async fn compare_with_marker(
        &self,
        remote: &Arc<dyn Remote>,
        state: &RegistrationState,
        answering: &RemoteId,
        marker: Option<i64>,
        call: &PendingCall,
    ) -> Result<(), ReconcileError> {
        let Some(number) = self.ledger.count(marker).await? else {
            tracing::error!(
                "the database is in an earlier state than the cached values: they are invalidated"
            );
            self.ledger.begin(state.epoch, answering, marker).await?;
            return Err(ReconcileError::Wait(
                "the database went back to an earlier state: a new epoch begins",
            ));
        };
        // Without a marker nothing proves that the database is in the state that the cached values come from.
        if marker.is_none() {
            self.ledger.begin(state.epoch, answering, None).await?;
        }
        call.begin(Dependency::Remote);
        let raised = remote.raise(&state.holder, number).await?;
        call.begin(Dependency::Database);
        match (raised, marker) {
            (true, Some(_)) => Ok(()),
            (true, None) => Err(ReconcileError::Wait(
                "Redis has no marker: a new epoch begins",
            )),
            (false, _) => Err(ReconcileError::Wait(
                "the claim of the Redis database was lost",
            )),
        }
    }

    /// Releases the keys of pending rows in batches. Rows of released keys are deleted even if others failed: the next pass need
    /// not repeat them, and their writers stop waiting.
    async fn release_rows(
        &self,
        remote: &Arc<dyn Remote>,
        epoch: &Epoch,
        rows: &[Pending],
        call: &PendingCall,
    ) -> Result<(), ReconcileError> {
        let (mut left, mut fault) = (rows.len(), None);
        for batch in rows.chunks(ROWS_PER_BATCH) {
            call.begin(Dependency::Remote);
            let writes = batch.chunk_by(|one, next| one.token == next.token);
            let releases = writes.map(|write| async move {
                let keys: Vec<Key> = write.iter().map(|row| row.key).collect();
                let token = write.first().map_or(Token(0), |row| row.token);
                let began = Instant::now();
                let released = release_all(remote, epoch, &keys, token).await;
                let outcome = released.as_ref().map_or(Outcome::Error, |()| Outcome::Ok);
                self.record_invalidated_keys(
                    keys.into_iter(),
                    Tier::Redis,
                    outcome,
                    began.elapsed(),
                );
                released.map(|()| write)
            });
            let mut released = Vec::new();
            for done in join_all(releases).await {
                match done {
                    Ok(write) => released.extend_from_slice(write),
                    Err(failed) => fault = Some(failed),
                }
            }
            if released.is_empty() {
                break;
            }
            call.begin(Dependency::Database);
            let ids: Vec<i64> = released.iter().map(|row| row.id).collect();
            self.delete_rows(&ids, Some(epoch.number)).await?;
            left -= released.len();
            self.gate.set_pending(left as u64);
        }
        fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Deletes pending rows, if the epoch still is the given one.
    async fn delete_rows(&self, ids: &[i64], epoch: Option<i64>) -> Result<(), ReconcileError> {
        if self.ledger.settle(ids, epoch).await? {
            Ok(())
        } else {
            Err(ReconcileError::Wait("another epoch began meanwhile"))
        }
    }
}

/// Whether there are more rows than are released one by one. Rows of unknown keys count, because known ones may come after them.
fn are_too_many(rows: &PendingRows) -> bool {
    rows.count() as u64 > MAX_ROWS.unsigned_abs()
}

/// Claims the shared tier for the database that answers.
pub(crate) async fn claim(
    remote: &Arc<dyn Remote>,
    holder: &Holder,
) -> Result<(RemoteId, Claimed), Fault> {
    let answering = remote.identity().await?;
    Ok((answering, remote.claim(holder).await?))
}
