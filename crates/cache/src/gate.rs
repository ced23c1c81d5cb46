//! The gate: whether what lies in the cache may be used now.
//!
//! It opens when a drain has ended, until [`GATE_TTL`] after that drain began. So a writer who could not tell the cache has to wait that
//! long at most, and whoever could not drain for that long uses nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, ClockState, DatabaseClock};
use crate::ledger::Epoch;

/// How long a drain is good for.
pub const GATE_TTL: Duration = Duration::from_secs(1);
/// What clocks may differ by in that time, unless the settings say otherwise.
pub const MARGIN: Duration = Duration::from_millis(50);
/// How long a commit may take that relies on nobody serving. One that takes longer is found out after it; but only if its process
/// lives until then.
pub(crate) const COMMIT: Duration = Duration::from_millis(400);
/// How often a drain begins.
pub(crate) const DRAIN_EVERY: Duration = Duration::from_millis(500);
/// How long an instance that has told of itself counts as alive.
pub(crate) const ALIVE: Duration = Duration::from_secs(3);

/// Why nothing is served after a step.
pub(crate) const CLOCK_STEPPED: &str =
    "the database's clock stepped: what was said before is not relied on for three seconds";

/// What an operator sees of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// Whether it is open.
    pub open: bool,
    /// The epoch in force, if it is.
    pub epoch: Option<i64>,
    /// How long ago the last drain that ended had begun; nothing older than that can be stale.
    pub reconciled: Option<Duration>,
    /// Why the last drain did not end, in words; empty if it did.
    pub trouble: String,
    /// How many rows waited for a drain when last counted.
    pub pending: u64,
    /// Steps of the database's clock.
    pub clock: ClockState,
    /// Whether another installation uses the shared tier.
    pub refused: bool,
}

#[derive(Debug)]
struct Inner {
    clock: DatabaseClock,
    epoch: Option<Arc<Epoch>>,
    /// When the last drain that ended had begun.
    reconciled: Option<Instant>,
    /// Until when the other instances count us among them.
    registered: Option<Instant>,
    /// From when on a write may rely on the registration: no instance that has not seen it serves from its memory any more.
    writes_from: Option<Instant>,
    /// Until when nobody can be serving from a shared tier.
    free: Option<Instant>,
    /// The database did not answer the last drain.
    database_away: bool,
    trouble: String,
    pending: u64,
    /// Since when another installation has used the shared tier without a break.
    refused_since: Option<Instant>,
    refused: bool,
}

/// What the keeper finds, and readers and writers ask.
pub(crate) struct Gate {
    clock: Clock,
    margin: Duration,
    inner: RwLock<Inner>,
}

impl Gate {
    pub(crate) fn shut(clock: Clock, margin: Duration) -> Self {
        let inner = Inner {
            clock: DatabaseClock::new(clock()),
            epoch: None,
            reconciled: None,
            registered: None,
            writes_from: None,
            free: None,
            database_away: false,
            trouble: "it has not reconciled yet".to_owned(),
            pending: 0,
            refused_since: None,
            refused: false,
        };
        Self {
            clock,
            margin,
            inner: RwLock::new(inner),
        }
    }

    /// The time by which everything here ends.
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The epoch, if the gate is open.
    pub(crate) fn epoch(&self) -> Option<Arc<Epoch>> {
        let now = self.now();
        self.read(|inner| {
            let open = inner.reconciled.is_some_and(|began| now < began + GATE_TTL);
            open.then(|| inner.epoch.clone()).flatten()
        })
    }

    /// Whether it is open, and under this epoch.
    pub(crate) fn is_open_under(&self, epoch: &Epoch) -> bool {
        self.epoch().is_some_and(|now| *now == *epoch)
    }

    /// A drain that began then has ended. Whether the epoch is another one than before.
    pub(crate) fn open(&self, epoch: Epoch, began: Instant) -> bool {
        let now = self.now();
        self.write(|inner| {
            // The clock may have stepped since.
            if !inner.clock.is_steady(now) {
                return false;
            }
            let changed = inner.epoch.as_deref() != Some(&epoch);
            inner.epoch = Some(Arc::new(epoch));
            inner.reconciled = Some(began);
            inner.database_away = false;
            inner.trouble.clear();
            changed
        })
    }

    /// A drain has not ended.
    pub(crate) fn trouble(&self, why: impl Into<String>, database_away: bool) {
        self.write(|inner| {
            inner.trouble = why.into();
            inner.database_away = database_away;
        });
    }

    /// Another holder has the claim of the shared tier: nothing may be used. After a failover that is the claim which this
    /// installation made for the database before it, until that expires. So only a refusal that lasts for longer is one by another
    /// installation. Returns whether that is new.
    pub(crate) fn refuse(&self, why: impl Into<String>) -> bool {
        let now = self.now();
        self.close(why);
        self.write(|inner| {
            let since = *inner.refused_since.get_or_insert(now);
            let is_another = now >= since + ALIVE + GATE_TTL;
            is_another && !std::mem::replace(&mut inner.refused, true)
        })
    }

    /// No other installation uses the shared tier.
    pub(crate) fn admit(&self) {
        self.write(|inner| (inner.refused_since, inner.refused) = (None, false));
    }

    /// Nothing may be used, at once.
    pub(crate) fn close(&self, why: impl Into<String>) {
        self.write(|inner| {
            inner.reconciled = None;
            inner.trouble = why.into();
        });
    }

    pub(crate) fn set_pending(&self, rows: u64) {
        self.write(|inner| inner.pending = rows);
    }

    /// The other instances count this one among them since then at the latest. Perhaps no instance can be serving.
    pub(crate) fn register(&self, began: Instant, free: bool) {
        let now = self.now();
        self.write(|inner| {
            inner.registered = Some(began + ALIVE);
            inner.free = (free && inner.clock.is_steady(now)).then_some(began + GATE_TTL);
        });
    }

    /// Has writes wait by rows for so long, since an instance that serves from its memory has not seen the registration yet.
    pub(crate) fn write_after(&self, wait: Duration) {
        let from = self.now() + wait;
        self.write(|inner| inner.writes_from = Some(from));
    }

    /// Whether the other instances have counted this one among them without a gap.
    pub(crate) fn is_known(&self) -> bool {
        let now = self.now();
        self.read(|inner| inner.registered.is_some_and(|until| now < until))
    }

    /// Whether they do, and none serves from its memory that does not know it.
    pub(crate) fn is_registered(&self) -> bool {
        let now = self.now();
        self.read(|inner| {
            inner.registered.is_some_and(|until| now < until)
                && inner.writes_from.is_some_and(|from| now >= from)
        })
    }

    /// Compares what the database's clock said with the clock of this process. After a step beyond the margin nothing is used
    /// that the database said before: neither the right to serve, nor the registration, nor that no instance serves.
    pub(crate) fn observe(&self, asked: Instant, said: Duration) {
        let answered = self.now();
        let limits = (self.margin, ALIVE);
        let step = self.write(|inner| {
            let step = inner.clock.observe((asked, answered), said, limits);
            if step.is_some() {
                inner.reconciled = None;
                inner.registered = None;
                inner.free = None;
                CLOCK_STEPPED.clone_into(&mut inner.trouble);
            }
            step
        });
        if let Some(step) = step {
            tracing::warn!(
                ?step,
                "the database's clock stepped; nothing is served from the cache for {ALIVE:?}. Let its clock be slewed, not \
                 stepped, or raise CACHE_CLOCK_MARGIN_MS"
            );
        }
    }

    /// Whether the database's clock can be relied on.
    pub(crate) fn clock_is_steady(&self) -> bool {
        let now = self.now();
        self.read(|inner| inner.clock.is_steady(now))
    }

    /// How long to wait for instances that may serve for so long by the database's clock: never longer than an instance can,
    /// and that long if the clock cannot be relied on.
    pub(crate) fn wait_for(&self, left: Duration) -> Duration {
        let most = GATE_TTL + self.margin;
        if self.clock_is_steady() {
            left.min(most)
        } else {
            most
        }
    }

    /// Whether nobody can be serving from a shared tier, now and for a while.
    pub(crate) fn is_free_for(&self, long: Duration) -> bool {
        let then = self.now() + long;
        self.read(|inner| inner.free.is_some_and(|until| then < until))
    }

    /// The last epoch, and how long ago nothing of it could be stale.
    pub(crate) fn last(&self) -> Option<(Arc<Epoch>, Duration)> {
        self.read(|inner| {
            let epoch = inner.epoch.clone()?;
            let age = self.now().saturating_duration_since(inner.reconciled?);
            Some((epoch, age))
        })
    }

    /// Whether the last drain found the database away.
    pub(crate) fn database_is_away(&self) -> bool {
        self.read(|inner| inner.database_away)
    }

    pub(crate) fn state(&self) -> GateState {
        let now = self.now();
        self.read(|inner| {
            let open = inner.reconciled.is_some_and(|began| now < began + GATE_TTL);
            GateState {
                open,
                epoch: inner.epoch.as_ref().filter(|_| open).map(|e| e.number),
                reconciled: inner
                    .reconciled
                    .map(|began| now.saturating_duration_since(began)),
                trouble: inner.trouble.clone(),
                pending: inner.pending,
                clock: inner.clock.state(),
                refused: inner.refused,
            }
        })
    }
}
