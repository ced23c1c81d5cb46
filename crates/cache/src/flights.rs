//! One flight per key: of many who miss the same value at once, one asks the database.
//!
//! A flight is shared only by those who came before its row was asked for: one who came later could have seen an acknowledged
//! write that the row does not show. So a flight that has begun takes nobody on; those who come meanwhile wait together for
//! the next one, which begins when it has ended.
//!
//! Who asks for many boards once for all that is missing, under a name that all such questions of an owner have, and the next
//! flight brings what any of them wanted.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::key::Key;

/// What a flight brings home, for all who share it.
pub(crate) type Cargo = Arc<dyn Any + Send + Sync>;
type Home = watch::Receiver<Option<Cargo>>;

/// The key and whose value is asked for: an answer for one owner is none for another.
type Route = (Key, Arc<str>);

struct Next {
    home: Home,
    /// What all who board want, if that is not the one key of the route.
    wanted: HashSet<Key>,
    turn: oneshot::Sender<HashSet<Key>>,
}

/// Larger flights would make all wait who want a little.
const MOST_WANTED: usize = 400;

const SHARDS: usize = 16;

/// All flights.
pub(crate) struct Flights {
    shards: [Mutex<HashMap<Route, Option<Next>>>; SHARDS],
}

/// What somebody who missed does now.
pub(crate) enum Boarding {
    /// Nobody is under way: fly at once, alone.
    Now(Flight),
    /// Somebody is: this is the next flight, which begins with its turn.
    Next {
        /// With what all want who have boarded by then.
        turn: oneshot::Receiver<HashSet<Key>>,
        flight: Flight,
        landing: watch::Sender<Option<Cargo>>,
        home: Home,
    },
    /// Others wait for the next flight already: go with them.
    With(Home),
    /// The next flight is full.
    Full,
}

/// A flight that is under way, or will be. Ends when it is dropped, whatever happens.
pub(crate) struct Flight {
    flights: Arc<Flights>,
    route: Route,
}

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        })
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Route, Option<Next>>> {
        let index = usize::try_from(key.id() % (SHARDS as u128)).unwrap_or(0);
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn board(self: &Arc<Self>, key: Key, owner: &str) -> Boarding {
        self.board_for((key, owner.into()), &[])
    }

    /// For several keys of one kind.
    pub(crate) fn board_for_many(self: &Arc<Self>, keys: &[Key], owner: &Arc<str>) -> Boarding {
        match keys.first() {
            // No value has this key.
            Some(key) => self.board_for((Key::new(key.kind(), 0), Arc::clone(owner)), keys),
            None => Boarding::Full,
        }
    }

    fn board_for(self: &Arc<Self>, route: Route, wanted: &[Key]) -> Boarding {
        let flight = || Flight {
            flights: Arc::clone(self),
            route: route.clone(),
        };
        let mut shard = self.shard(route.0);
        match shard.get_mut(&route) {
            None => {
                let flight = flight();
                shard.insert(route, None);
                Boarding::Now(flight)
            }
            Some(Some(next)) if next.wanted.len() + wanted.len() > MOST_WANTED => Boarding::Full,
            Some(Some(next)) => {
                next.wanted.extend(wanted);
                Boarding::With(next.home.clone())
            }
            Some(empty) => {
                let (landing, home) = watch::channel(None);
                let (turn_sender, turn) = oneshot::channel();
                *empty = Some(Next {
                    home: home.clone(),
                    wanted: wanted.iter().copied().collect(),
                    turn: turn_sender,
                });
                Boarding::Next {
                    turn,
                    flight: flight(),
                    landing,
                    home,
                }
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(self.route.0);
        // The next flight has the place from now on, and is full.
        match shard.get_mut(&self.route).and_then(Option::take) {
            Some(next) => {
                let _ = next.turn.send(next.wanted);
            }
            None => {
                shard.remove(&self.route);
            }
        }
    }
}

/// Waits for what a flight brings home; `None` if it never arrived.
pub(crate) async fn home(mut home: Home) -> Option<Cargo> {
    home.wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|cargo| cargo.clone())
}
