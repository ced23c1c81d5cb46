//! Shared state of a simulated run: Redis processes, databases, connections and the random number generator.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::database::{RollbackKind, Tables};
use super::history::History;
use super::redis::Process;
use crate::clock::Clock;
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::tracking::InvalidationHandler;

/// Connection of an instance to Redis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Process that the connection is to.
    pub(super) process: usize,
    /// Whether requests do not arrive.
    pub(super) requests_lost: bool,
    /// Whether answers do not arrive.
    pub(super) answers_lost: bool,
    /// When the last request arrives; requests of one connection stay in order.
    pub(super) last: Instant,
}

/// Invalidation connection of an instance.
pub(super) struct TrackingConnection {
    pub(super) handler: Arc<dyn InvalidationHandler>,
    pub(super) process: usize,
    pub(super) live: bool,
    pub(super) cut: bool,
    /// When the last invalidation arrives.
    pub(super) last: Instant,
    /// Number of the connection; invalidations of an earlier one are lost.
    pub(super) connection: u64,
}

/// Database, and what its clients have seen.
struct Store {
    tables: Tables,
    history: History,
}

/// Parts of the simulated system.
pub(super) struct Parts {
    pub(super) rng: SmallRng,
    pub(super) processes: Vec<Process>,
    /// Process that new connections go to.
    pub(super) current: usize,
    pub(super) links: Vec<Link>,
    pub(super) tracking: BTreeMap<usize, TrackingConnection>,
    stores: Vec<Store>,
    /// Store of each instance.
    store_of: Vec<usize>,
    /// Percentage of slow messages.
    pub(super) slow: u32,
    /// Until when each instance cannot reach the database.
    pub(super) cut_until: Vec<Instant>,
    /// Until when each instance is stopped.
    stopped_until: Vec<Instant>,
    /// Total time for which each instance was stopped.
    stopped_for: Vec<Duration>,
}

/// Simulated system that instances share.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Parts>>);

impl World {
    pub(super) fn new(seed: u64, instances: usize, slow: u32) -> Self {
        let now = Instant::now();
        let link = Link {
            process: 0,
            requests_lost: false,
            answers_lost: false,
            last: now,
        };
        Self(Arc::new(Mutex::new(Parts {
            rng: SmallRng::seed_from_u64(seed),
            processes: vec![Process::new(0)],
            current: 0,
            links: vec![link; instances],
            tracking: BTreeMap::new(),
            stores: vec![Store::new(now, 0)],
            store_of: vec![0; instances],
            slow,
            cut_until: vec![now; instances],
            stopped_until: vec![now; instances],
            stopped_for: vec![Duration::ZERO; instances],
        })))
    }

    /// Moves the instance to another installation, with a database that holds the same rows under the same keys.
    pub(super) fn move_to_separate_installation(&self, instance: usize) {
        let mut parts = self.lock();
        let store = Store::new(Instant::now(), parts.stores.len());
        parts.store_of[instance] = parts.stores.len();
        parts.stores.push(store);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap()
    }

    pub(super) fn roll(&self, below: u64) -> u64 {
        self.lock().rng.random_range(0..below)
    }

    /// Waits as long as work or a message takes.
    pub(super) async fn short_delay(&self) {
        let delay = self.lock().delay();
        tokio::time::sleep(delay).await;
    }

    /// Stops an instance, as SIGSTOP does.
    pub(super) fn stop(&self, instance: usize, duration: Duration) {
        let (mut parts, now) = (self.lock(), Instant::now());
        if now >= parts.stopped_until[instance] {
            parts.stopped_until[instance] = now + duration;
            parts.stopped_for[instance] += duration;
        }
    }

    /// Clock that stands still while this instance is stopped.
    pub(super) fn stopping_clock(&self, instance: usize) -> Clock {
        let world = self.clone();
        Arc::new(move || Instant::now() - world.lock().stopped_for[instance])
    }

    /// Runs a future as part of an instance: it makes no progress while the instance is stopped.
    pub(super) async fn run_in<F: Future>(self, instance: usize, work: F) -> F::Output {
        let (mut work, mut wakes) = (pin!(work), pin!(tokio::time::sleep(Duration::ZERO)));
        poll_fn(move |context| {
            let until = self.lock().stopped_until[instance];
            if Instant::now() < until {
                wakes.as_mut().reset(until);
                if wakes.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
            work.as_mut().poll(context)
        })
        .await
    }

    /// Waits for a random time below this number of milliseconds.
    pub(super) async fn random_pause(&self, below: u64) {
        let millis = self.roll(below);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

impl Store {
    fn new(now: Instant, installation: usize) -> Self {
        Self {
            tables: Tables::new(now, installation),
            history: History::default(),
        }
    }
}

impl Parts {
    /// Database of an instance.
    pub(super) fn tables(&mut self, instance: usize) -> &mut Tables {
        &mut self.stores[self.store_of[instance]].tables
    }

    /// History of the clients of an instance's database.
    pub(super) fn history(&mut self, instance: usize) -> &mut History {
        &mut self.stores[self.store_of[instance]].history
    }

    /// Puts the database of an instance into an earlier state: writes acknowledged since are lost.
    pub(super) fn go_back(&mut self, instance: usize, earlier: Tables, how: RollbackKind) {
        let marker = self.processes[self.current].marker(&earlier.holder().database);
        let pause = self.rng.random_range(0..800);
        let Store { tables, history } = &mut self.stores[self.store_of[instance]];
        // A silent rollback that no pass has counted since cannot be detected, as documented; it is not simulated.
        let is_hidden = how == RollbackKind::Silently && !earlier.is_behind(marker);
        if earlier.timeline != tables.timeline || is_hidden {
            return;
        }
        *tables = earlier.replace(tables, marker, (how, pause));
        history.go_back(
            tables.version,
            &tables.messages,
            tables.changes,
            tables.next(0),
        );
    }

    /// Marker of an instance's database in the Redis process that answers the instance.
    pub(super) fn marker_of(&mut self, instance: usize) -> Option<i64> {
        let database = self.tables(instance).holder().database;
        self.processes[self.links[instance].process].marker(&database)
    }

    pub(super) fn delay(&mut self) -> Duration {
        let slow = self.slow;
        let millis = match self.rng.random_range(0..100) {
            n if n < slow => self.rng.random_range(20..90),
            n if n < 4 * slow => self.rng.random_range(4..20),
            _ => self.rng.random_range(0..4),
        };
        Duration::from_millis(millis)
    }

    pub(super) fn id_of(&self, process: usize) -> RemoteId {
        self.processes[process].id().into()
    }

    /// Reports a written lease of a process to every connection that tracks it, in order.
    pub(super) fn broadcast(&mut self, world: &World, process: usize, key: Key) {
        let instances: Vec<usize> = self.tracking.keys().copied().collect();
        for instance in instances {
            let delay = self.delay();
            let Some(tracking) = self.tracking.get_mut(&instance) else {
                continue;
            };
            if !tracking.live || tracking.process != process {
                continue;
            }
            let at = (Instant::now() + delay).max(tracking.last);
            tracking.last = at;
            let (world, connection) = (world.clone(), tracking.connection);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                let handler = {
                    let parts = world.lock();
                    let tracking = parts.tracking.get(&instance);
                    tracking
                        .filter(|tracking| {
                            tracking.connection == connection && tracking.live && !tracking.cut
                        })
                        .map(|tracking| Arc::clone(&tracking.handler))
                };
                if let Some(handler) = handler {
                    handler.changed(key);
                }
            });
        }
    }
}
