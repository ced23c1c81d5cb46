//! Everything that several instances share, in one place, and the dice.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::database::{Back, Tables};
use super::history::History;
use super::redis::Process;
use crate::clock::Clock;
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::tracking::InvalidationHandler;

/// How an instance is connected to Redis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// To which process.
    pub(super) process: usize,
    /// Requests do not arrive.
    pub(super) deaf: bool,
    /// Answers do not come back.
    pub(super) mute: bool,
    /// When the last request arrives: one connection keeps the order.
    pub(super) last: Instant,
}

/// The connection of an instance that hears of writes.
pub(super) struct Ear {
    pub(super) heard: Arc<dyn InvalidationHandler>,
    pub(super) process: usize,
    pub(super) live: bool,
    pub(super) cut: bool,
    /// When the last news arrives.
    pub(super) last: Instant,
    /// Grows with every new connection: news of an old one is lost.
    pub(super) connection: u64,
}

/// A database, and what its clients have seen.
struct Store {
    tables: Tables,
    history: History,
}

/// What is there.
pub(super) struct Parts {
    pub(super) dice: StdRng,
    pub(super) processes: Vec<Process>,
    /// The process that new connections go to.
    pub(super) current: usize,
    pub(super) links: Vec<Link>,
    pub(super) ears: BTreeMap<usize, Ear>,
    stores: Vec<Store>,
    /// Which store an instance is connected to.
    store_of: Vec<usize>,
    /// How often, of a hundred, something is slow.
    pub(super) slow: u32,
    /// Until when each instance does not reach the database.
    pub(super) cut_until: Vec<Instant>,
    /// Until when each instance is stopped.
    stopped_until: Vec<Instant>,
    /// For how long each instance was stopped in all.
    stopped_for: Vec<Duration>,
}

#[derive(Clone)]
pub(super) struct World(Arc<Mutex<Parts>>);

impl World {
    pub(super) fn new(seed: u64, instances: usize, slow: u32) -> Self {
        let now = Instant::now();
        let link = Link {
            process: 0,
            deaf: false,
            mute: false,
            last: now,
        };
        Self(Arc::new(Mutex::new(Parts {
            dice: StdRng::seed_from_u64(seed),
            processes: vec![Process::new(0)],
            current: 0,
            links: vec![link; instances],
            ears: BTreeMap::new(),
            stores: vec![Store::new(now, 0)],
            store_of: vec![0; instances],
            slow,
            cut_until: vec![now; instances],
            stopped_until: vec![now; instances],
            stopped_for: vec![Duration::ZERO; instances],
        })))
    }

    /// The instance belongs to another installation, whose database holds the same rows under the same keys.
    pub(super) fn part(&self, instance: usize) {
        let mut parts = self.lock();
        let store = Store::new(Instant::now(), parts.stores.len());
        parts.store_of[instance] = parts.stores.len();
        parts.stores.push(store);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap()
    }

    pub(super) fn roll(&self, below: u64) -> u64 {
        self.lock().dice.random_range(0..below)
    }

    /// A moment of work or of travel.
    pub(super) async fn dawdle(&self) {
        let delay = self.lock().delay();
        tokio::time::sleep(delay).await;
    }

    /// Stops an instance, as SIGSTOP does.
    pub(super) fn stop(&self, instance: usize, lasts: Duration) {
        let (mut parts, now) = (self.lock(), Instant::now());
        if now >= parts.stopped_until[instance] {
            parts.stopped_until[instance] = now + lasts;
            parts.stopped_for[instance] += lasts;
        }
    }

    /// A clock that stands still while this instance is stopped.
    pub(super) fn clock_that_stops(&self, instance: usize) -> Clock {
        let world = self.clone();
        Arc::new(move || Instant::now() - world.lock().stopped_for[instance])
    }

    /// Runs as a part of an instance: while it is stopped, this does not go on.
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

    pub(super) async fn think(&self, below: u64) {
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
    /// The database of an instance.
    pub(super) fn tables(&mut self, instance: usize) -> &mut Tables {
        &mut self.stores[self.store_of[instance]].tables
    }

    /// What the clients of an instance's database have seen.
    pub(super) fn history(&mut self, instance: usize) -> &mut History {
        &mut self.stores[self.store_of[instance]].history
    }

    /// The database of an instance is in this earlier state of itself: what was acknowledged since is lost.
    pub(super) fn go_back(&mut self, instance: usize, earlier: Tables, how: Back) {
        let marker = self.processes[self.current].marker(&earlier.holder().database);
        let pause = self.dice.random_range(0..800);
        let Store { tables, history } = &mut self.stores[self.store_of[instance]];
        // What no pass has counted since is not found out, and that is said of it.
        let is_hidden = how == Back::Silently && !earlier.is_behind(marker);
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

    /// The marker that the process which answers an instance keeps of its database.
    pub(super) fn marker_of(&mut self, instance: usize) -> Option<i64> {
        let database = self.tables(instance).holder().database;
        self.processes[self.links[instance].process].marker(&database)
    }

    pub(super) fn delay(&mut self) -> Duration {
        let slow = self.slow;
        let millis = match self.dice.random_range(0..100) {
            n if n < slow => self.dice.random_range(20..90),
            n if n < 4 * slow => self.dice.random_range(4..20),
            _ => self.dice.random_range(0..4),
        };
        Duration::from_millis(millis)
    }

    pub(super) fn id_of(&self, process: usize) -> RemoteId {
        self.processes[process].id().into()
    }

    /// A lease was written in a process: every connection that tracks it hears of it, in order.
    pub(super) fn broadcast(&mut self, world: &World, process: usize, key: Key) {
        let instances: Vec<usize> = self.ears.keys().copied().collect();
        for instance in instances {
            let delay = self.delay();
            let Some(ear) = self.ears.get_mut(&instance) else {
                continue;
            };
            if !ear.live || ear.process != process {
                continue;
            }
            let at = (Instant::now() + delay).max(ear.last);
            ear.last = at;
            let (world, connection) = (world.clone(), ear.connection);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                let heard = {
                    let parts = world.lock();
                    let ear = parts.ears.get(&instance);
                    ear.filter(|ear| ear.connection == connection && ear.live && !ear.cut)
                        .map(|ear| Arc::clone(&ear.heard))
                };
                if let Some(heard) = heard {
                    heard.changed(key);
                }
            });
        }
    }
}
