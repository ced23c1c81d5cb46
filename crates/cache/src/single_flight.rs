//! Single flight: concurrent misses of one key share one load from the database.
//!
//! Readers share a load only if they arrived before its row was queried. A later reader may have seen an acknowledged write that
//! the row does not contain. Therefore no reader joins a load that is in flight; readers that arrive meanwhile wait together for
//! the next load, which starts when the present one has ended.
//!
//! A batch read joins once for all keys that it misses. All batch reads of one owner and kind share one load key, and the next
//! load fetches the keys of all of them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::key::{Key, Kind};
use crate::raw::Raw;

/// Result of a load, for all readers that share it.
type SharedResult = Arc<dyn Any + Send + Sync>;
type ResultReceiver = watch::Receiver<Option<SharedResult>>;

/// Keys that batch reads miss, each with the unusable value that was found under it.
pub(crate) type Wanted = HashMap<Key, Option<Raw>>;

/// What a load fetches: one key, or the missed keys of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    One(Key),
    Many(Kind),
}

/// Identity of a load: its subject and the owner. Owners never share a load.
type LoadKey = (Subject, Arc<str>);

/// Load that waits for the present one to end.
struct NextLoad {
    result: ResultReceiver,
    /// Keys of the batch reads that share this load.
    wanted: Wanted,
    start: oneshot::Sender<Wanted>,
}

/// Most keys of one load: as many leases can be acquired within the budget of a read for Redis.
const MAX_WANTED: usize = 400;

const SHARDS: usize = 16;

/// Loads that are in flight, and the next load of each.
pub(crate) struct SingleFlight {
    shards: [Mutex<HashMap<LoadKey, Option<NextLoad>>>; SHARDS],
}

/// Role of a reader that missed.
pub(crate) enum FlightRole {
    /// No load is in flight: the reader loads at once.
    Leader(InFlight),
    /// A load is in flight: the reader runs the next load, which starts when the present one has ended.
    NextLeader(QueuedLoad, ResultReceiver),
    /// The next load is already queued: the reader shares it.
    Follower(ResultReceiver),
    /// The next load has no room for the keys of the reader, which loads by itself.
    Full,
}

/// Load that waits until the one before it has ended.
pub(crate) struct QueuedLoad {
    /// Receives the keys that all sharing readers want by then.
    start: oneshot::Receiver<Wanted>,
    in_flight: InFlight,
    result_sender: watch::Sender<Option<SharedResult>>,
}

impl QueuedLoad {
    /// Runs the load when the one before it has ended, with the wanted keys and the time waited. Runs in a task, because other
    /// readers depend on it and the first reader may be cancelled.
    pub(crate) fn run<F, L>(self, run: F)
    where
        F: FnOnce(Wanted, Duration) -> L + Send + 'static,
        L: Future<Output: Send + Sync + 'static> + Send,
    {
        tokio::spawn(async move {
            let queued_at = Instant::now();
            // `InFlight` sends the keys when it is dropped, however the load before has ended.
            let Ok(wanted) = self.start.await else { return };
            let shared: SharedResult = Arc::new(run(wanted, queued_at.elapsed()).await);
            let _ = self.result_sender.send(Some(shared));
            drop(self.in_flight);
        });
    }
}

/// Guard of a load that is or will be in flight. The load ends when the guard is dropped.
pub(crate) struct InFlight {
    single_flight: Arc<SingleFlight>,
    key: LoadKey,
}

impl SingleFlight {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
        })
    }

    fn shard(&self, subject: Subject) -> MutexGuard<'_, HashMap<LoadKey, Option<NextLoad>>> {
        let index = match subject {
            Subject::One(key) => usize::try_from(key.id() % (SHARDS as u128)).unwrap_or(0),
            Subject::Many(_) => 0,
        };
        self.shards[index].lock()
    }

    /// Joins the load of one key.
    pub(crate) fn join(self: &Arc<Self>, key: Key, owner: &str) -> FlightRole {
        self.join_load((Subject::One(key), owner.into()), &Wanted::new())
    }

    /// Joins the load of several keys of one kind.
    pub(crate) fn join_many(
        self: &Arc<Self>,
        kind: Kind,
        owner: &Arc<str>,
        wanted: &Wanted,
    ) -> FlightRole {
        self.join_load((Subject::Many(kind), Arc::clone(owner)), wanted)
    }

    fn join_load(self: &Arc<Self>, key: LoadKey, wanted: &Wanted) -> FlightRole {
        let in_flight = || InFlight {
            single_flight: Arc::clone(self),
            key: key.clone(),
        };
        let mut shard = self.shard(key.0);
        match shard.get_mut(&key) {
            None => {
                let in_flight = in_flight();
                shard.insert(key, None);
                FlightRole::Leader(in_flight)
            }
            Some(Some(next)) if next.wanted.len() + wanted.len() > MAX_WANTED => FlightRole::Full,
            Some(Some(next)) => {
                for (key, spoiled) in wanted {
                    let known = next.wanted.entry(*key).or_default();
                    *known = known.take().or_else(|| spoiled.clone());
                }
                FlightRole::Follower(next.result.clone())
            }
            Some(empty) => {
                let (result_sender, result) = watch::channel(None);
                let (start_sender, start) = oneshot::channel();
                *empty = Some(NextLoad {
                    result: result.clone(),
                    wanted: wanted.clone(),
                    start: start_sender,
                });
                let next = QueuedLoad {
                    start,
                    in_flight: in_flight(),
                    result_sender,
                };
                FlightRole::NextLeader(next, result)
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut shard = self.single_flight.shard(self.key.0);
        // The next load is in flight from now on, and no reader may join it any more.
        match shard.get_mut(&self.key).and_then(Option::take) {
            Some(next) => {
                let _ = next.start.send(next.wanted);
            }
            None => {
                shard.remove(&self.key);
            }
        }
    }
}

/// Waits for the result of a shared load; `None` if the load was lost.
pub(crate) async fn result<C: Send + Sync + 'static>(mut result: ResultReceiver) -> Option<Arc<C>> {
    let shared = result.wait_for(Option::is_some).await.ok()?.clone()?;
    shared.downcast().ok()
}
