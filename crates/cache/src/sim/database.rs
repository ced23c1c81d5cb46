//! A database as far as the protocol uses it: two resources with versions, and the tables of the instances. A transaction happens
//! at one moment, some time after it was sent and some time before its answer comes.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::world::World;
use crate::gate::{G, MARGIN};
use crate::key::Key;
use crate::ledger::{
    Epoch, Ledger, LedgerError, Pending, PendingRows, Registered, RemoteId, Renewal, Serving,
};
use crate::remote::Token;

/// Less than outside, so that epochs are closed within a run.
const LEFT_ALONE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
struct Recorded {
    number: i64,
    remote: String,
    at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Alive {
    memory: bool,
    until: Instant,
    serves_until: Instant,
}

#[derive(Debug)]
struct Row {
    id: i64,
    /// None for one that only a newer version knows.
    key: Option<Key>,
    token: Token,
    moot: bool,
}

/// What the database holds.
pub(super) struct Tables {
    /// The version of the single resource.
    pub(super) version: u64,
    /// The versions of the messages in the list, by their sequence less one.
    pub(super) messages: Vec<u64>,
    /// How often anything has changed.
    pub(super) changes: u64,
    instances: BTreeMap<usize, Alive>,
    epoch: Option<Recorded>,
    rows: Vec<Row>,
    next_row: i64,
    /// Until when it does not answer.
    pub(super) away_until: Instant,
    /// How far its clock is ahead of the one that everything runs by.
    pub(super) ahead: Duration,
    /// How old an epoch must be to be closed.
    pub(super) left_alone: Duration,
    origin: Instant,
}

impl Tables {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            version: 1,
            messages: vec![1],
            changes: 0,
            instances: BTreeMap::new(),
            epoch: None,
            rows: Vec::new(),
            next_row: 1,
            away_until: now,
            // So far that it can be set back.
            ahead: Duration::from_mins(10),
            left_alone: LEFT_ALONE,
            origin: now,
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
            moot: false,
        });
        self.next_row += 1;
    }

    /// What the database's clock says.
    pub(super) fn now(&self) -> Instant {
        Instant::now() + self.ahead
    }

    /// The same as the database says it.
    fn clock(&self) -> Duration {
        self.now() - self.origin
    }

    fn young(&self) -> bool {
        let now = self.now();
        self.epoch
            .as_ref()
            .is_some_and(|epoch| now < epoch.at + G + MARGIN)
    }

    /// Whether no instance can serve under an epoch.
    fn free(&self) -> bool {
        let closed = self
            .epoch
            .as_ref()
            .is_none_or(|epoch| epoch.remote.is_empty());
        closed && !self.young()
    }

    fn record(&mut self, remote: String) {
        let number = self.epoch.as_ref().map_or(1, |epoch| epoch.number + 1);
        let at = self.now();
        self.epoch = Some(Recorded { number, remote, at });
    }
}

/// The connection of one instance.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) world: World,
    pub(super) instance: usize,
}

impl Session {
    /// Sends a transaction: it happens when it arrives.
    pub(super) async fn transact<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&mut Tables) -> T + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        let (world, instance) = (self.world.clone(), self.instance);
        tokio::spawn(async move {
            world.dawdle().await;
            let until = {
                let parts = world.lock();
                parts.tables.away_until.max(parts.cut_until[instance])
            };
            tokio::time::sleep_until(until).await;
            let result = effect(&mut world.lock().tables);
            world.dawdle().await;
            let _ = answer.send(result);
        });
        answered.await.map_err(|_| LedgerError("away".to_owned()))
    }
}

impl Session {
    /// Deletes rows, whatever epoch there is.
    pub(super) async fn settle_blindly(&self, rows: &[i64]) -> Result<bool, LedgerError> {
        let rows = rows.to_vec();
        self.transact(move |tables| {
            tables.rows.retain(|row| !rows.contains(&row.id));
            true
        })
        .await
    }

    /// What the database's clock would say if it had never stepped.
    pub(super) fn even_clock(&self) -> Duration {
        Instant::now() - self.world.lock().tables.origin
    }
}

#[async_trait]
impl Ledger for Session {
    async fn register(&self, memory: bool) -> Result<Registered, LedgerError> {
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
            let until = now + 3 * G;
            let alive = Alive {
                memory,
                until,
                serves_until,
            };
            tables.instances.insert(me, alive);
            let others = tables.instances.iter().filter(|(id, _)| **id != me);
            let memory_serves = others
                .clone()
                .filter(|(_, alive)| alive.memory)
                .map(|(_, alive)| alive.serves_until.saturating_duration_since(now))
                .max()
                .unwrap_or_default();
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
                .filter(|epoch| epoch.remote == answering);
            let Some(epoch) = recorded else {
                tables.record(answering);
                return Renewal::Recorded;
            };
            if tables.young() {
                return Renewal::TooYoung;
            }
            let until = tables.now() + G + MARGIN;
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

    async fn renew_memory(&self) -> Result<(), LedgerError> {
        let me = self.instance;
        self.transact(move |tables| {
            let now = tables.now();
            let alive = Alive {
                memory: true,
                until: now + 3 * G,
                serves_until: now + G + MARGIN,
            };
            tables.instances.insert(me, alive);
        })
        .await
    }

    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError> {
        self.transact(move |tables| {
            let mut found = PendingRows::default();
            let rows = tables.rows.iter().filter(|row| !row.moot);
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
            let waiting = tables.rows.iter().filter(|row| !row.moot);
            waiting.count() as u64
        })
        .await
    }

    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError> {
        let rows = rows.to_vec();
        self.transact(move |tables| {
            let current = tables.epoch.as_ref().map(|epoch| epoch.number);
            let may = match epoch {
                Some(_) => epoch == current,
                None => tables.free(),
            };
            if !may {
                return false;
            }
            tables
                .rows
                .retain(|row| !row.moot && !rows.contains(&row.id));
            true
        })
        .await
    }

    async fn retire(&self, epoch: i64) -> Result<(), LedgerError> {
        self.transact(move |tables| {
            if let Some(recorded) = tables.epoch.clone().filter(|e| e.number == epoch) {
                tables.record(recorded.remote);
                tables.rows.iter_mut().for_each(|row| row.moot = true);
            }
        })
        .await
    }

    async fn close(&self, at_least: i64) -> Result<(), LedgerError> {
        self.transact(move |tables| {
            let now = tables.now();
            let serves = tables.instances.values();
            let served = serves.filter(|a| !a.memory).any(|a| now < a.serves_until);
            let open = tables.epoch.as_ref().is_some_and(|epoch| {
                !epoch.remote.is_empty() && now >= epoch.at + tables.left_alone
            });
            if open && !served && i64::try_from(tables.rows.len()).unwrap() >= at_least {
                tables.record(String::new());
                tables.rows.iter_mut().for_each(|row| row.moot = true);
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
            let now = tables.now();
            let serves = tables.instances.values();
            let left = serves
                .map(|alive| alive.serves_until.saturating_duration_since(now))
                .max()
                .unwrap_or_default();
            Serving {
                left,
                clock: tables.clock(),
            }
        })
        .await
    }

    async fn waits(&self, token: Token) -> Result<bool, LedgerError> {
        self.transact(move |tables| {
            tables
                .rows
                .iter()
                .any(|row| row.token == token && !row.moot)
        })
        .await
    }
}
