//! One flight per key: of many who miss the same value at once, one asks the database.
//!
//! A flight is shared only by those who came before its row was asked for: one who came later could have seen an acknowledged
//! write that the row does not show. So a flight that has begun takes nobody on; those who come meanwhile wait together for
//! the next one, which begins when it has ended.
//!
//! Who asks for many boards once for all that is missing, on a route that all such questions of an owner share, and the next flight
//! brings what any of them wants.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::key::{Key, Kind};
use crate::raw::Raw;

/// What a flight brings home, for all who share it.
type Cargo = Arc<dyn Any + Send + Sync>;
type Home = watch::Receiver<Option<Cargo>>;

/// What many miss, each with what was found of it and cannot be used.
pub(crate) type Wanted = HashMap<Key, Option<Raw>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    One(Key),
    Many(Kind),
}

/// What is asked for, and whose: an answer for one owner is none for another.
type Route = (What, Arc<str>);

struct Next {
    home: Home,
    /// By those who share a flight for many.
    wanted: Wanted,
    turn: oneshot::Sender<Wanted>,
}

/// As many leases can be taken in the time that a read has for Redis.
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
    Next(NextFlight, Home),
    /// Others wait for the next flight already: go with them.
    With(Home),
    /// The next flight has no room for so much more: fly alone.
    Full,
}

/// A flight that waits for its turn.
pub(crate) struct NextFlight {
    /// With what all want who have boarded by then.
    turn: oneshot::Receiver<Wanted>,
    flight: Flight,
    landing: watch::Sender<Option<Cargo>>,
}

impl NextFlight {
    /// Fetches when its turn has come, knowing what is wanted and how long that took. In a task: others depend on it, and whoever
    /// boarded first may leave.
    pub(crate) fn fetch<F, L>(self, fetch: F)
    where
        F: FnOnce(Wanted, Duration) -> L + Send + 'static,
        L: Future<Output: Send + Sync + 'static> + Send,
    {
        tokio::spawn(async move {
            let boarded = Instant::now();
            // Whoever flies tells at its end, whatever happens.
            let Ok(wanted) = self.turn.await else { return };
            let cargo: Cargo = Arc::new(fetch(wanted, boarded.elapsed()).await);
            let _ = self.landing.send(Some(cargo));
            drop(self.flight);
        });
    }
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

    fn shard(&self, what: What) -> MutexGuard<'_, HashMap<Route, Option<Next>>> {
        let index = match what {
            What::One(key) => usize::try_from(key.id() % (SHARDS as u128)).unwrap_or(0),
            What::Many(_) => 0,
        };
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn board(self: &Arc<Self>, key: Key, owner: &str) -> Boarding {
        self.board_for((What::One(key), owner.into()), &Wanted::new())
    }

    /// For several keys of that kind.
    pub(crate) fn board_for_many(
        self: &Arc<Self>,
        kind: Kind,
        owner: &Arc<str>,
        wanted: &Wanted,
    ) -> Boarding {
        self.board_for((What::Many(kind), Arc::clone(owner)), wanted)
    }

    fn board_for(self: &Arc<Self>, route: Route, wanted: &Wanted) -> Boarding {
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
                for (key, spoiled) in wanted {
                    let noted = next.wanted.entry(*key).or_default();
                    *noted = noted.take().or_else(|| spoiled.clone());
                }
                Boarding::With(next.home.clone())
            }
            Some(empty) => {
                let (landing, home) = watch::channel(None);
                let (turn_sender, turn) = oneshot::channel();
                *empty = Some(Next {
                    home: home.clone(),
                    wanted: wanted.clone(),
                    turn: turn_sender,
                });
                let next = NextFlight {
                    turn,
                    flight: flight(),
                    landing,
                };
                Boarding::Next(next, home)
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(self.route.0);
        // The next flight has the place from now on, and takes nobody on any more.
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
pub(crate) async fn home<C: Send + Sync + 'static>(mut home: Home) -> Option<Arc<C>> {
    let cargo = home.wait_for(Option::is_some).await.ok()?.clone()?;
    cargo.downcast().ok()
}
