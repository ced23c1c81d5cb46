//! The keeper: drains what writers could not tell, and opens the gate.
//!
//! The order is essential: the right to serve is renewed and committed first, and only then are the rows read. A writer without
//! the cache commits its row and then reads who may still serve: either it sees the renewal and waits for it, or the renewal
//! came later, and then the rows that are read here have that row among them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::cache::{ALONE, Cache, Place};
use crate::gate::{CLOCK_STEPPED, DRAIN_EVERY, GATE_TTL};
use crate::key::Key;
use crate::ledger::{
    Epoch, Holder, InstanceKind, LedgerError, Pending, PendingRows, Registered, RegistrationState,
    RemoteId, Renewal,
};
use crate::memory::Near;
use crate::remote::{Claimed, Fault, Remote, Token};
use crate::stats::{Outcome, Tier};
use crate::write::release_all;

/// More rows than this are not drained one by one: a new epoch makes all of them moot.
const MOST_ROWS: i64 = 10_000;
/// So many rows are released side by side: few enough that Redis answers all of them within the time of one call.
const PORTION: usize = 64;
/// How long a start waits for the first drain; with Redis away it goes on without.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often what has expired is swept out of this process.
const SWEEP_EVERY: Duration = Duration::from_secs(20);

/// Why a drain did not end.
enum Trouble {
    Database(LedgerError),
    Cache(Fault),
    /// It will, later.
    Wait(&'static str),
    /// Another installation uses the shared tier.
    Refused(String),
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Database(error)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Cache(fault)
    }
}

/// Whom a drain asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Database,
    Remote,
}

/// Whom a drain asks now, and since when: for the words, if it takes too long.
struct Asking(Mutex<(Side, Instant)>);

impl Asking {
    fn new(began: Instant) -> Self {
        Self(Mutex::new((Side::Database, began)))
    }

    fn now(&self, side: Side) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (side, Instant::now());
    }

    /// Who is to blame for a drain that took too long; nobody, if it was no one answer that it waited for.
    fn culprit(&self) -> Option<Side> {
        let (side, since) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (since.elapsed() >= GATE_TTL / 2).then_some(side)
    }
}

impl Cache {
    /// Keeps the gate, sweeps, and accepts the database server, until the cache is dropped.
    pub async fn keep(self: Arc<Self>) {
        let accepting = Arc::clone(&self).accept_servers();
        tokio::join!(self.keep_gate(), accepting);
    }

    async fn keep_gate(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        let keeps_a_gate = self.keeps_a_gate();
        if !keeps_a_gate {
            self.settled.send_replace(true);
        }
        drop(self);
        let mut swept = Instant::now();
        loop {
            let Some(cache) = weak.upgrade() else { return };
            let began = Instant::now();
            if keeps_a_gate {
                cache.drain().await;
            }
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                cache.memory_status();
            }
            drop(cache);
            tokio::time::sleep_until(began + DRAIN_EVERY).await;
        }
    }

    /// Waits until this instance may write and be asked: the others know of it, and it has drained once or cannot.
    pub async fn wait_until_ready(&self) {
        let mut settled = self.settled.subscribe();
        let _ = tokio::time::timeout(PATIENCE, settled.wait_for(|settled| *settled)).await;
    }

    /// One drain; at its end the gate is open.
    pub(crate) async fn drain(&self) {
        let began = self.gate.now();
        let asking = Asking::new(Instant::now());
        let work = async {
            match &self.place {
                Place::Off => self.drain_nothing().await,
                Place::Memory(near) => self.drain_near(near, began).await,
                Place::Shared { remote, .. } => self.drain_shared(remote, began, &asking).await,
            }
        };
        let ended = tokio::time::timeout(GATE_TTL, work).await;
        match ended {
            Ok(Ok(())) => self.settle_in(),
            Ok(Err(Trouble::Wait(why))) => self.gate.trouble(why, false),
            Ok(Err(Trouble::Refused(why))) => {
                self.settle_in();
                if self.gate.refuse(why.as_str()) {
                    tracing::error!("nothing is cached: {why}");
                }
            }
            Ok(Err(Trouble::Cache(fault))) => {
                // Nobody will drain soon, so nobody waits for it either.
                self.settle_in();
                self.gate.trouble(format!("redis: {fault}"), false);
            }
            Ok(Err(Trouble::Database(error))) => self.gate.trouble(error.to_string(), true),
            Err(_) => self.drain_took_too_long(&asking),
        }
    }

    fn drain_took_too_long(&self, asking: &Asking) {
        match asking.culprit() {
            Some(Side::Database) => self
                .gate
                .trouble("the database did not answer in time", true),
            Some(Side::Remote) => {
                self.settle_in();
                self.gate.trouble("redis did not answer in time", false);
            }
            None => self.gate.trouble(
                "too many writes waited for one drain: the next goes on",
                false,
            ),
        }
    }

    /// The start is over once writes may rely on the registration.
    fn settle_in(&self) {
        if self.gate.is_registered() {
            self.settled.send_replace(true);
        }
    }

    /// Registers this instance. After the start and after every gap the other instances did not count on its writes, and one of
    /// them may serve from its memory. Then it looks twice: such an instance renews before it looks at the others. So its renewal
    /// is seen by the second look, or came after the first was committed, and then it sees this instance and stops.
    async fn register(&self) -> Result<Registered, Trouble> {
        let began = self.gate.now();
        let mut seen = self.look_at_others().await?;
        if !self.gate.is_known() {
            seen = self.look_at_others().await?;
            self.gate
                .write_after(self.gate.wait_for(seen.memory_serves));
        }
        self.gate.register(began, seen.free);
        if !self.gate.clock_is_steady() {
            return Err(Trouble::Wait(CLOCK_STEPPED));
        }
        Ok(seen)
    }

    async fn look_at_others(&self) -> Result<Registered, LedgerError> {
        let kind = match &self.place {
            Place::Off => InstanceKind::Off,
            Place::Memory(_) => InstanceKind::Memory,
            Place::Shared { .. } => InstanceKind::Shared,
        };
        let asked = self.gate.now();
        let seen = self.ledger.register(kind).await?;
        self.gate.observe(asked, seen.clock);
        Ok(seen)
    }

    /// Without a cache there is nothing to open; but others must know that somebody writes.
    async fn drain_nothing(&self) -> Result<(), Trouble> {
        self.register().await?;
        self.ledger.close(0).await?;
        self.count_pending().await
    }

    /// Where nobody drains, somebody must see what gathers.
    async fn count_pending(&self) -> Result<(), Trouble> {
        let waiting = self.ledger.waiting().await?;
        self.gate.set_pending(waiting);
        Ok(())
    }

    /// Opens the gate of an instance that keeps values in its own memory: only while no other instance lives, and no epoch can be
    /// served from Redis. An instance that is paused may still hold such an epoch, and the rows that wait are for it.
    async fn drain_near(&self, near: &Near, began: Instant) -> Result<(), Trouble> {
        self.ledger.renew_memory().await?;
        let seen = self.register().await?;
        let state = self.ledger.registration_state().await?;
        if self.is_another_database(&state).await? {
            self.gate
                .close("the database is not in the state in which it was: a new epoch begins");
            near.empty();
            return Ok(());
        }
        self.ledger.close(0).await?;
        let shared = if seen.others > 0 {
            Some("another instance uses this database, so everything is read from it")
        } else if !seen.free {
            Some(
                "an epoch of Redis has not been closed for long enough, so everything is read from the database",
            )
        } else {
            None
        };
        if let Some(why) = shared {
            self.gate.close(why);
            near.empty();
            return self.count_pending().await;
        }
        let rows = self.ledger.pending(MOST_ROWS + 1).await?;
        self.gate.set_pending(rows.count() as u64);
        // While it was shut, another instance may have come, written, and gone with all its traces. And rows that were not read
        // may be about anything.
        if self.gate.epoch().is_none() || is_too_many(&rows) {
            near.empty();
        }
        for row in &rows.known {
            near.release(row.key, row.token);
        }
        // A process that was suspended since may have missed an instance that needs these rows.
        if self.gate.now() >= began + GATE_TTL {
            return Err(Trouble::Wait(
                "the last drain took too long: the next goes on",
            ));
        }
        let known = rows.known.iter().map(|row| row.id);
        let ids: Vec<i64> = known.chain(rows.unknown.iter().copied()).collect();
        self.settle(&ids, None).await?;
        self.gate.set_pending(0);
        let alone = Epoch {
            number: ALONE,
            remote: RemoteId::from("this process"),
        };
        self.gate.open(alone, began);
        Ok(())
    }

    /// Whether the database is another one than at the last pass, or in an earlier state.
    async fn is_another_database(&self, state: &RegistrationState) -> Result<bool, Trouble> {
        let last = self.counted().clone();
        let known = last.as_ref().map(|(_, number)| *number);
        let Some(number) = self.ledger.count(known).await? else {
            self.ledger
                .begin(state.epoch, &RemoteId::from(""), known)
                .await?;
            return Ok(true);
        };
        let server = &state.holder.server;
        let is_another = last.is_some_and(|(last, _)| last != *server);
        *self.counted() = Some((server.clone(), number));
        Ok(is_another)
    }

    fn counted(&self) -> MutexGuard<'_, Option<(String, i64)>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drain_shared(
        &self,
        remote: &Arc<dyn Remote>,
        began: Instant,
        asking: &Asking,
    ) -> Result<(), Trouble> {
        self.register().await?;
        let state = self.ledger.registration_state().await?;
        asking.now(Side::Remote);
        let claimed = claim(remote, &state.holder).await;
        asking.now(Side::Database);
        let (answering, marker) = match claimed {
            Ok((answering, Claimed::Held { marker })) => (answering, marker),
            Ok((_, Claimed::Refused(why))) => {
                // As without a Redis: no instance of this database serves from it.
                self.ledger.close(0).await?;
                self.count_pending().await?;
                return Err(Trouble::Refused(why));
            }
            Err(fault) => {
                // With Redis away for long, rows would gather for ever.
                self.ledger.close(MOST_ROWS).await?;
                self.count_pending().await?;
                return Err(fault.into());
            }
        };
        self.gate.admit();
        self.reconcile(remote, &state, &answering, marker, asking)
            .await?;
        let epoch = match self.ledger.renew(&answering).await? {
            Renewal::Renewed(epoch) => epoch,
            Renewal::Recorded => {
                return Err(Trouble::Wait("another Redis answers: a new epoch begins"));
            }
            Renewal::TooYoung => return Err(Trouble::Wait("a new epoch is about to be in force")),
        };
        let rows = self.ledger.pending(MOST_ROWS + 1).await?;
        self.gate.set_pending(rows.count() as u64);
        if is_too_many(&rows) {
            self.ledger.retire(epoch.number).await?;
            return Err(Trouble::Wait("too many writes waited: a new epoch begins"));
        }
        self.release_rows(remote, &epoch, &rows.known, asking)
            .await?;
        if self.gate.open(epoch, began) {
            tracing::info!("the cache is open");
        }
        Ok(())
    }

    /// Compares the passes that the database has counted with the marker in the shared tier. A pass raises the marker to its number
    /// after that is committed, so the database has counted as many at least, unless it went back to an earlier state.
    async fn reconcile(
        &self,
        remote: &Arc<dyn Remote>,
        state: &RegistrationState,
        answering: &RemoteId,
        marker: Option<i64>,
        asking: &Asking,
    ) -> Result<(), Trouble> {
        let Some(number) = self.ledger.count(marker).await? else {
            tracing::error!(
                "the database is in an earlier state than the one that cached values are of: they are dropped"
            );
            self.ledger.begin(state.epoch, answering, marker).await?;
            return Err(Trouble::Wait(
                "the database went back to an earlier state: a new epoch begins",
            ));
        };
        // Without a marker nothing proves that the database is where it was when the values were put there.
        if marker.is_none() {
            self.ledger.begin(state.epoch, answering, None).await?;
        }
        asking.now(Side::Remote);
        let raised = remote.raise(&state.holder, number).await?;
        asking.now(Side::Database);
        match (raised, marker) {
            (true, Some(_)) => Ok(()),
            (true, None) => Err(Trouble::Wait("a new epoch begins")),
            (false, _) => Err(Trouble::Wait("the claim of Redis was lost")),
        }
    }

    /// In portions, and what is released is settled whatever came of the rest: it need not be done again by the next drain, and
    /// its writers wait no longer.
    async fn release_rows(
        &self,
        remote: &Arc<dyn Remote>,
        epoch: &Epoch,
        rows: &[Pending],
        asking: &Asking,
    ) -> Result<(), Trouble> {
        let (mut left, mut fault) = (rows.len(), None);
        for portion in rows.chunks(PORTION) {
            asking.now(Side::Remote);
            let writes = portion.chunk_by(|one, next| one.token == next.token);
            let releases = writes.map(|write| async move {
                let keys: Vec<Key> = write.iter().map(|row| row.key).collect();
                let token = write.first().map_or(Token(0), |row| row.token);
                let began = Instant::now();
                let released = release_all(remote, epoch, &keys, token).await;
                let outcome = released.as_ref().map_or(Outcome::Error, |()| Outcome::Ok);
                self.tell_invalidated(keys.into_iter(), Tier::Redis, outcome, began.elapsed());
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
            asking.now(Side::Database);
            let ids: Vec<i64> = released.iter().map(|row| row.id).collect();
            self.settle(&ids, Some(epoch.number)).await?;
            left -= released.len();
            self.gate.set_pending(left as u64);
        }
        fault.map_or(Ok(()), |fault| Err(fault.into()))
    }

    async fn settle(&self, ids: &[i64], epoch: Option<i64>) -> Result<(), Trouble> {
        if self.ledger.settle(ids, epoch).await? {
            Ok(())
        } else {
            Err(Trouble::Wait("another epoch began meanwhile"))
        }
    }
}

/// Whether there are more rows than are released one by one, those of unknown keys among them: known ones may lie behind.
fn is_too_many(rows: &PendingRows) -> bool {
    rows.count() as u64 > MOST_ROWS.unsigned_abs()
}

/// Claims the shared tier for the database that answers.
pub(crate) async fn claim(
    remote: &Arc<dyn Remote>,
    holder: &Holder,
) -> Result<(RemoteId, Claimed), Fault> {
    let answering = remote.identity().await?;
    Ok((answering, remote.claim(holder).await?))
}
