//! Simulated database, as far as the protocol uses one: two resources with versions, and the tables of the instances. A
//! transaction takes effect atomically, some time after it was sent and some time before its answer arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::weak::Weakness;
use super::world::World;
use crate::gate::{GATE_TTL, MARGIN};
use crate::key::Key;
use crate::ledger::{
    Epoch, Holder, InstanceKind, Ledger, LedgerError, Pending, PendingRows, Registered,
    RegistrationState, RemoteId, Renewal, Serving,
};
use crate::token::Token;

/// Shorter than in production, so that epochs are closed within a run.
const CLOSE_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
struct Recorded {
    number: i64,
    remote: String,
    database: String,
    at: Instant,
}

/// How a database returns to an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RollbackKind {
    /// A lagging replica is promoted.
    Promoted,
    /// The server starts from an earlier copy of its files.
    Restored,
    /// The whole machine is rolled back: the database itself cannot notice.
    Silently,
}

#[derive(Debug, Clone, Copy)]
struct Alive {
    kind: InstanceKind,
    until: Instant,
    serves_until: Instant,
}

#[derive(Debug, Clone)]
struct Row {
    id: i64,
    /// `None` for a key that only a newer version knows.
    key: Option<Key>,
    token: Token,
    retired: bool,
}

/// Contents of the database.
#[derive(Clone)]
pub(super) struct Tables {
    /// Installation that the database belongs to.
    installation: usize,
    /// Timeline of the last promotion, and timeline in which the server was started.
    promoted: u64,
    started: u64,
    /// Number of returns to an earlier state. Versions written now are above all versions written before.
    pub(super) timeline: u64,
    /// Reconciliation passes.
    counted: i64,
    /// Marker in the shared tier when a new server was started on this state.
    later: i64,
    /// Accepted server, on which deliveries may be claimed.
    accepted: String,
    /// Whether a server was accepted although the marker proved that its state was an earlier one.
    pub(super) accepted_too_early: bool,
    rng: SmallRng,
    pub(super) weakness: Weakness,
    /// Version of the single resource.
    pub(super) version: u64,
    /// Versions of the messages in the list, by sequence minus one.
    pub(super) messages: Vec<u64>,
    /// Number of changes.
    pub(super) changes: u64,
    instances: BTreeMap<usize, Alive>,
    epoch: Option<Recorded>,
    rows: Vec<Row>,
    next_row: i64,
    /// Until when the database does not answer.
    pub(super) away_until: Instant,
    /// How far its clock is ahead of the simulation's.
    pub(super) ahead: Duration,
    /// Age from which an epoch may be closed.
    pub(super) close_after: Duration,
    origin: Instant,
    /// Until when connections are refused.
    starts_until: Instant,
}

impl Tables {
    pub(super) fn new(now: Instant, installation: usize) -> Self {
        Self {
            installation,
            promoted: 0,
            started: 0,
            timeline: 0,
            counted: 0,
            later: 0,
            accepted: String::new(),
            accepted_too_early: false,
            rng: SmallRng::seed_from_u64(installation as u64),
            weakness: Weakness::None,
            version: 1,
            messages: vec![1],
            changes: 0,
            instances: BTreeMap::new(),
            epoch: None,
            rows: Vec::new(),
            next_row: 1,
            away_until: now,
            // Far enough ahead to be set back.
            ahead: Duration::from_mins(10),
            close_after: CLOSE_AFTER,
            origin: now,
            starts_until: now,
        }
    }

    pub(super) fn add_rows(&mut self, keys: &[Key], token: Token) {
        for key in keys {
            self.add_row(Some(*key), token);
        }
    }

    pub(super) fn add_row(&mut self, key: Option<Key>, token: Token) {
        self.rows.push(Row {
            id: self.next_row,
            key,
            token,
            retired: false,
        });
        self.next_row += 1;
    }

    /// Time of the database's clock.
    pub(super) fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// Time of the database's clock since its epoch, as it is reported.
    fn clock(&self) -> Duration {
        self.now() - self.origin
    }

    fn young(&self) -> bool {
        let now = self.now();
        self.epoch
            .as_ref()
            .is_some_and(|epoch| now < epoch.at + GATE_TTL + MARGIN)
    }

    /// Whether no epoch can be served.
    fn free(&self) -> bool {
        let closed = self
            .epoch
            .as_ref()
            .is_none_or(|epoch| epoch.remote.is_empty());
        closed && !self.young() && self.is_recorded_here()
    }

    fn record(&mut self, remote: String) {
        let number = self.number() + 1;
        let step = if self.weakness == Weakness::SharedStamps {
            0
        } else {
            self.rng.random_range(0..1 << 32)
        };
        self.epoch = Some(Recorded {
            number: number + step,
            remote,
            database: self.database(),
            at: self.now(),
        });
    }

    fn number(&self) -> i64 {
        self.epoch.as_ref().map_or(0, |epoch| epoch.number)
    }

    /// Identity of the server that answers.
    fn database(&self) -> String {
        if self.weakness == Weakness::NoDatabaseIdentity {
            return "always the same".to_owned();
        }
        format!("{} {}", self.promoted, self.started)
    }

    /// Installation and server that claim a shared tier.
    pub(super) fn holder(&self) -> Holder {
        Holder {
            database: format!("{} {}", self.installation, self.promoted),
            server: self.database(),
        }
    }

    /// Whether the epoch was recorded by the server that answers, or no epoch is recorded.
    fn is_recorded_here(&self) -> bool {
        let epoch = self.epoch.as_ref();
        epoch.is_none_or(|epoch| epoch.database == self.database())
    }

    /// How long instances may still serve. Rows written on another server may lack the latest renewals.
    fn served_for(&self, until: impl Iterator<Item = Instant>) -> Duration {
        let now = self.now();
        if !self.is_recorded_here() {
            return GATE_TTL + MARGIN;
        }
        let recorded = self
            .epoch
            .as_ref()
            .map(|epoch| epoch.at + GATE_TTL + MARGIN);
        let recorded = recorded.filter(|_| self.weakness != Weakness::NoDatabaseIdentity);
        let until = until.chain(recorded).max();
        until.map_or(Duration::ZERO, |u| u.saturating_duration_since(now))
    }

    /// Replaces a later state; the database answers again after a while.
    pub(super) fn replace(
        mut self,
        later: &Self,
        marker: Option<i64>,
        (how, millis): (RollbackKind, u64),
    ) -> Self {
        self.accepted_too_early = later.accepted_too_early;
        self.timeline = later.timeline + 1;
        self.rng = later.rng.clone();
        let pause = match how {
            RollbackKind::Promoted => {
                self.promoted = self.timeline;
                millis
            }
            RollbackKind::Restored => {
                self.started = self.timeline;
                self.later = marker.unwrap_or_default();
                1_100 + millis
            }
            RollbackKind::Silently => 1_100 + millis,
        };
        self.starts_until = Instant::now() + Duration::from_millis(pause);
        self.away_until = self.starts_until;
        self
    }

    /// Next version after this one. Versions of a later timeline are above all of an earlier one.
    pub(super) fn next(&self, version: u64) -> u64 {
        (self.timeline << 32) + (version & u64::from(u32::MAX)) + 1
    }

    /// Whether a live instance uses a shared tier.
    fn is_shared(&self) -> bool {
        let now = self.now();
        let mut alive = self.instances.values().filter(|alive| now < alive.until);
        alive.any(|alive| alive.kind == InstanceKind::Shared)
    }

    /// Whether the marker proves that passes were counted after this state.
    pub(super) fn is_behind(&self, marker: Option<i64>) -> bool {
        marker.is_some_and(|marker| marker > self.counted)
    }
}

/// Connection of one instance to its database.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) world: World,
    pub(super) instance: usize,
}

impl Session {
    /// Sends a transaction, which takes effect when it arrives.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&mut Tables) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let (world, instance) = (self.world.clone(), self.instance);
        let (timeline, starts_until) = {
            let mut parts = world.lock();
            let tables = parts.tables(instance);
            (tables.timeline, tables.starts_until)
        };
        if Instant::now() < starts_until {
            world.short_delay().await;
            return Err(LedgerError("connection refused".to_owned()));
        }
        tokio::spawn(async move {
            world.short_delay().await;
            let until = {
                let mut parts = world.lock();
                let cut_until = parts.cut_until[instance];
                parts.tables(instance).away_until.max(cut_until)
            };
            tokio::time::sleep_until(until).await;
            let result = {
                let mut parts = world.lock();
                let tables = parts.tables(instance);
                // The connection was to the state before, and is lost.
                if tables.timeline != timeline {
                    return;
                }
                effect(tables)
            };
            world.short_delay().await;
            let _ = answer.send(result);
        });
        answered
            .await
            .map_err(|_| LedgerError("connection lost".to_owned()))
    }
}

impl Session {
    /// Deletes rows under any epoch.
    pub(super) async fn delete_rows_unchecked(&self, rows: &[i64]) -> Result<bool, LedgerError> {
        let rows = rows.to_vec();
        self.transact(move |tables| {
            tables.rows.retain(|row| !rows.contains(&row.id));
            true
        })
        .await
    }

    /// Time that the database's clock would report without its steps.
    pub(super) fn unstepped_clock(&self) -> Duration {
        Instant::now() - self.world.lock().tables(self.instance).origin
    }
}

#[async_trait]
impl Ledger for Session {
    async fn register(&self, kind: InstanceKind) -> Result<Registered, LedgerError> {
        let me = self.instance;
        self.transact(move |tables| {
            let now = tables.now();
            tables
                .instances
                .retain(|_, alive| now < alive.until || now < alive.serves_until);
            let serves_until = tables
                .instances
                .get(&me)
                .map_or(now, |alive| alive.serves_until);
            let until = now + 3 * GATE_TTL;
            let alive = Alive {
                kind,
                until,
                serves_until,
            };
            tables.instances.insert(me, alive);
            let others = tables.instances.iter().filter(|(id, _)| **id != me);
            let memory = others
                .clone()
                .filter(|(_, alive)| alive.kind == InstanceKind::Memory);
            let memory_serves = tables.served_for(memory.map(|(_, alive)| alive.serves_until));
            Registered {
                others: others.filter(|(_, alive)| now < alive.until).count() as u64,
                free: tables.free(),
                memory_serves,
                clock: tables.clock(),
            }
        })
        .await
    }

    async fn renew(&self, answering: &RemoteId) -> Result<Renewal, LedgerError> {
        let (me, answering) = (self.instance, answering.to_string());
        self.transact(move |tables| {
            let recorded = tables
                .epoch
                .clone()
                .filter(|epoch| epoch.remote == answering && tables.is_recorded_here());
            let Some(epoch) = recorded else {
                tables.record(answering);
                return Renewal::Recorded;
            };
            if tables.young() {
                return Renewal::TooYoung;
            }
            let until = tables.now() + GATE_TTL + MARGIN;
            if let Some(alive) = tables.instances.get_mut(&me) {
                alive.serves_until = until;
            }
            Renewal::Renewed(Epoch {
                number: epoch.number,
                remote: epoch.remote.as_str().into(),
            })
        })
        .await
    }

    async fn registration_state(&self) -> Result<RegistrationState, LedgerError> {
        self.transact(|tables| RegistrationState {
            holder: tables.holder(),
            is_accepted: tables.accepted == tables.database(),
            is_shared: tables.is_shared(),
            epoch: tables.number(),
        })
        .await
    }

    async fn accept(&self, server: &str) -> Result<bool, LedgerError> {
        let (server, marker) = (
            server.to_owned(),
            self.world.lock().marker_of(self.instance),
        );
        self.transact(move |tables| {
            let is_proven = marker.is_some_and(|marker| marker >= tables.later);
            tables.accepted_too_early |= is_proven && tables.is_behind(Some(tables.later));
            tables.accepted = server;
            true
        })
        .await
    }

    async fn count(&self, known: Option<i64>) -> Result<Option<i64>, LedgerError> {
        self.transact(move |tables| {
            if known > Some(tables.counted) {
                return None;
            }
            tables.counted += 1;
            Some(tables.counted)
        })
        .await
    }

    async fn begin(
        &self,
        number: i64,
        remote: &RemoteId,
        lost: Option<i64>,
    ) -> Result<(), LedgerError> {
        let remote = remote.to_string();
        self.transact(move |tables| {
            if tables.number() == number {
                tables.record(remote);
                tables.counted = tables.counted.max(lost.unwrap_or_default());
            }
        })
        .await
    }

    async fn renew_memory(&self) -> Result<(), LedgerError> {
        let me = self.instance;
        self.transact(move |tables| {
            let now = tables.now();
            let alive = Alive {
                kind: InstanceKind::Memory,
                until: now + 3 * GATE_TTL,
                serves_until: now + GATE_TTL + MARGIN,
            };
            tables.instances.insert(me, alive);
        })
        .await
    }

    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError> {
        self.transact(move |tables| {
            let mut found = PendingRows::default();
            let rows = tables.rows.iter().filter(|row| !row.retired);
            for row in rows.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
                match row.key {
                    Some(key) => found.known.push(Pending {
                        id: row.id,
                        key,
                        token: row.token,
                    }),
                    None => found.unknown.push(row.id),
                }
            }
            found
        })
        .await
    }

    async fn waiting(&self) -> Result<u64, LedgerError> {
        self.transact(|tables| {
            let waiting = tables.rows.iter().filter(|row| !row.retired);
            waiting.count() as u64
        })
        .await
    }

    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError> {
        let rows = rows.to_vec();
        self.transact(move |tables| {
            let current = tables.epoch.as_ref().map(|epoch| epoch.number);
            let may = match epoch {
                Some(_) => epoch == current && tables.is_recorded_here(),
                None => tables.free(),
            };
            if !may {
                return false;
            }
            tables
                .rows
                .retain(|row| !row.retired && !rows.contains(&row.id));
            true
        })
        .await
    }

    async fn retire(&self, epoch: i64) -> Result<(), LedgerError> {
        self.transact(move |tables| {
            if let Some(recorded) = tables.epoch.clone().filter(|e| e.number == epoch) {
                tables.record(recorded.remote);
                tables.rows.iter_mut().for_each(|row| row.retired = true);
            }
        })
        .await
    }

    async fn close(&self, at_least: i64) -> Result<(), LedgerError> {
        self.transact(move |tables| {
            let now = tables.now();
            let serves = tables.instances.values();
            let served = serves
                .filter(|a| a.kind != InstanceKind::Memory)
                .any(|a| now < a.serves_until);
            let closed = |epoch: &Recorded| epoch.remote.is_empty();
            if tables.epoch.as_ref().is_some_and(closed) && !tables.is_recorded_here() {
                tables.record(String::new());
            }
            let open = tables
                .epoch
                .as_ref()
                .is_some_and(|epoch| !closed(epoch) && now >= epoch.at + tables.close_after);
            if open && !served && i64::try_from(tables.rows.len()).unwrap() >= at_least {
                tables.record(String::new());
                tables.rows.iter_mut().for_each(|row| row.retired = true);
            }
        })
        .await
    }

    async fn add(&self, keys: &[Key], token: Token) -> Result<(), LedgerError> {
        let keys = keys.to_vec();
        self.transact(move |tables| tables.add_rows(&keys, token))
            .await
    }

    async fn served_for(&self) -> Result<Serving, LedgerError> {
        self.transact(|tables| {
            let serves = tables.instances.values();
            Serving {
                left: tables.served_for(serves.map(|alive| alive.serves_until)),
                clock: tables.clock(),
            }
        })
        .await
    }

    async fn waits(&self, token: Token) -> Result<bool, LedgerError> {
        self.transact(move |tables| {
            // Retired rows count: the instance that ended their epoch may not know every instance that still serves under it.
            tables.rows.iter().any(|row| row.token == token)
        })
        .await
    }
}
