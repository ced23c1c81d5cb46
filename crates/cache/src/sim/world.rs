//! Everything that several instances share, in one place, and the dice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::database::Tables;
use super::history::History;
use super::redis::Process;
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::tracking::Heard;

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
    pub(super) heard: Arc<dyn Heard>,
    pub(super) process: usize,
    pub(super) live: bool,
    pub(super) cut: bool,
    /// When the last news arrives.
    pub(super) last: Instant,
    /// Grows with every new connection: news of an old one is lost.
    pub(super) connection: u64,
}

/// What is there.
pub(super) struct Parts {
    pub(super) dice: StdRng,
    pub(super) processes: Vec<Process>,
    /// The process that new connections go to.
    pub(super) current: usize,
    pub(super) links: Vec<Link>,
    pub(super) ears: BTreeMap<usize, Ear>,
    pub(super) tables: Tables,
    pub(super) history: History,
    /// How often, of a hundred, something is slow.
    pub(super) slow: u32,
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
            tables: Tables::new(now),
            history: History::default(),
            slow,
        })))
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

    pub(super) async fn think(&self, below: u64) {
        let millis = self.roll(below);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

impl Parts {
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
        self.processes[process].id.as_str().into()
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
