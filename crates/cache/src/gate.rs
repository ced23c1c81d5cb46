//! Gate: the time-limited right of an instance to serve from the cache.
//!
//! It opens when a reconciliation pass has finished, until [`GATE_TTL`] after the begin of that pass. So a degraded writer
//! waits at most that long, and an instance that could not reconcile for that long serves nothing from the cache.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use crate::clock::{Clock, ClockState, DatabaseClock};
use crate::ledger::Epoch;

/// How long a reconciliation pass keeps the gate open.
pub const GATE_TTL: Duration = Duration::from_secs(1);
/// Default of the allowed difference of clocks within that time.
pub const MARGIN: Duration = Duration::from_millis(50);
/// Longest commit that may rely on no instance serving. A longer commit is detected afterwards, but only if its process lives
/// until then.
pub(crate) const MAX_COMMIT: Duration = Duration::from_millis(400);
/// How often a reconciliation pass begins.
pub(crate) const RECONCILE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a registered instance counts as alive.
pub(crate) const REGISTRATION_TTL: Duration = Duration::from_secs(3);

/// Reason for a shut gate after a clock step.
pub(crate) const CLOCK_STEPPED: &str =
    "the database's clock stepped: nothing that it reported before is relied on for three seconds";

/// State of the gate, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// Whether it is open.
    pub open: bool,
    /// The epoch in force, if it is.
    pub epoch: Option<i64>,
    /// Age of the last finished reconciliation pass, from its begin; upper bound of the staleness.
    pub reconciled: Option<Duration>,
    /// Why the last reconciliation pass did not finish; empty if it did.
    pub trouble: String,
    /// Pending rows at the last count.
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
    /// Begin of the last finished reconciliation pass.
    reconciled: Option<Instant>,
    /// Until when other instances count this one as alive.
    registered: Option<Instant>,
    /// From when on writes may rely on the registration: no instance that has not seen it serves from its memory any more.
    writes_from: Option<Instant>,
    /// Until when no instance can be serving from a shared tier.
    free: Option<Instant>,
    /// Whether the database did not answer the last pass.
    database_away: bool,
    trouble: String,
    pending: u64,
    /// Since when another installation has held the claim of the shared tier without a break.
    refused_since: Option<Instant>,
    refused: bool,
}

/// Gate of one instance: set by reconciliation, checked by readers and writers.
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
            trouble: "no reconciliation pass has finished yet".to_owned(),
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

    /// Reads the clock by which gate and registration end.
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> T {
        look(&self.inner.read())
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.write())
    }

    /// Epoch in force, if the gate is open.
    pub(crate) fn epoch(&self) -> Option<Arc<Epoch>> {
        let now = self.now();
        self.read(|inner| {
            let open = inner.reconciled.is_some_and(|began| now < began + GATE_TTL);
            open.then(|| inner.epoch.clone()).flatten()
        })
    }

    /// Whether the gate is open under this epoch.
    pub(crate) fn is_open_under(&self, epoch: &Epoch) -> bool {
        self.epoch().is_some_and(|now| *now == *epoch)
    }

    /// Opens the gate after a pass that began at `began`. Returns whether the epoch has changed.
    pub(crate) fn open(&self, epoch: Epoch, began: Instant) -> bool {
        let now = self.now();
        self.write(|inner| {
            // The clock may have stepped since the pass began.
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

    /// Records why a pass did not finish.
    pub(crate) fn trouble(&self, why: impl Into<String>, database_away: bool) {
        self.write(|inner| {
            inner.trouble = why.into();
            inner.database_away = database_away;
        });
    }

    /// Shuts the gate because another holder has the claim of the shared tier. After a failover of the database, that is the
    /// claim which this installation made for the server before, until it expires. So only a refusal that lasts longer is due to
    /// another installation. Returns whether that has just been established.
    pub(crate) fn refuse(&self, why: impl Into<String>) -> bool {
        let now = self.now();
        self.close(why);
        self.write(|inner| {
            let since = *inner.refused_since.get_or_insert(now);
            let is_another = now >= since + REGISTRATION_TTL + GATE_TTL;
            is_another && !std::mem::replace(&mut inner.refused, true)
        })
    }

    /// Records that this installation holds the claim of the shared tier.
    pub(crate) fn admit(&self) {
        self.write(|inner| (inner.refused_since, inner.refused) = (None, false));
    }

    /// Shuts the gate at once.
    pub(crate) fn close(&self, why: impl Into<String>) {
        self.write(|inner| {
            inner.reconciled = None;
            inner.trouble = why.into();
        });
    }

    pub(crate) fn set_pending(&self, rows: u64) {
        self.write(|inner| inner.pending = rows);
    }

    /// Records a registration that began at `began`. `free`: no instance can be serving from a shared tier.
    pub(crate) fn register(&self, began: Instant, free: bool) {
        let now = self.now();
        self.write(|inner| {
            inner.registered = Some(began + REGISTRATION_TTL);
            inner.free = (free && inner.clock.is_steady(now)).then_some(began + GATE_TTL);
        });
    }

    /// Degrades writes for this time, because an instance that serves from its memory has not seen the registration yet.
    pub(crate) fn write_after(&self, wait: Duration) {
        let from = self.now() + wait;
        self.write(|inner| inner.writes_from = Some(from));
    }

    /// Whether other instances have counted this one as alive without a gap.
    pub(crate) fn is_known(&self) -> bool {
        let now = self.now();
        self.read(|inner| inner.registered.is_some_and(|until| now < until))
    }

    /// Whether writes may rely on the registration: no instance that has not seen it serves from its memory.
    pub(crate) fn is_registered(&self) -> bool {
        let now = self.now();
        self.read(|inner| {
            inner.registered.is_some_and(|until| now < until)
                && inner.writes_from.is_some_and(|from| now >= from)
        })
    }

    /// Compares the time reported by the database with the clock of this process. After a step beyond the margin, everything that
    /// the database granted before is void: the right to serve, the registration, and the absence of serving instances.
    pub(crate) fn observe(&self, asked: Instant, reported: Duration) {
        let answered = self.now();
        let limits = (self.margin, REGISTRATION_TTL);
        let step = self.write(|inner| {
            let step = inner.clock.observe((asked, answered), reported, limits);
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
                "the database's clock stepped; nothing is served from the cache for {REGISTRATION_TTL:?}. Slew the clock of the \
                 database server instead of stepping it, or raise CACHE_CLOCK_MARGIN_MS"
            );
        }
    }

    /// Whether the database's clock has not stepped recently.
    pub(crate) fn clock_is_steady(&self) -> bool {
        let now = self.now();
        self.read(|inner| inner.clock.is_steady(now))
    }

    /// How long a writer waits for instances that may serve for `left` by the database's clock. At most the longest time that an
    /// instance can serve, and exactly that if the clock has stepped recently.
    pub(crate) fn degraded_wait(&self, left: Duration) -> Duration {
        let most = GATE_TTL + self.margin;
        if self.clock_is_steady() {
            left.min(most)
        } else {
            most
        }
    }

    /// Whether no instance can be serving from a shared tier, from now on for this time.
    pub(crate) fn is_free_for(&self, time: Duration) -> bool {
        let then = self.now() + time;
        self.read(|inner| inner.free.is_some_and(|until| then < until))
    }

    /// Last epoch, and the upper bound of the staleness of its values.
    pub(crate) fn last(&self) -> Option<(Arc<Epoch>, Duration)> {
        self.read(|inner| {
            let epoch = inner.epoch.clone()?;
            let age = self.now().saturating_duration_since(inner.reconciled?);
            Some((epoch, age))
        })
    }

    /// Whether the database did not answer the last pass.
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
