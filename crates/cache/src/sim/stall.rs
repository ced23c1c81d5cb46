//! Stalled Redis, and what it costs a read.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::database::Session;
use super::play::Single;
use super::redis::{Connection, SINGLE};
use super::tracking::SimulatedTracking;
use super::world::World;
use crate::cache::{Cache, ReadRequest, Shared, Source};
use crate::remote::{Fault, Remote};
use crate::settings::{Backend, CacheSettings};
use crate::stall::StallDetector;

const REQUEST: ReadRequest<'static> = ReadRequest {
    key: SINGLE,
    owner: "owner",
    max_staleness: None,
};
const STALL_TIMEOUT: Duration = Duration::from_millis(10);
const BUDGET: Duration = Duration::from_millis(50);
/// Resolution of the timers of the runtime.
const TICK: Duration = Duration::from_millis(1);

struct Harness {
    world: World,
    cache: Arc<Cache>,
}

impl Harness {
    /// Starts an instance with a copy in memory.
    async fn new(stall_timeout: Duration) -> Self {
        let (world, instance) = (World::new(1, 1, 0), 0);
        let settings = CacheSettings {
            budget: BUDGET,
            stall_timeout,
            ..CacheSettings::new(Backend::Hybrid, Arc::new(|| 7))
        };
        let session = Session {
            world: world.clone(),
            instance,
        };
        let tracking = SimulatedTracking {
            world: world.clone(),
            instance,
        };
        let shared = Shared {
            remote: connection(&world),
            tracking: Some(Arc::new(tracking)),
        };
        let cache = Cache::new(settings, Some(shared), Arc::new(session));
        tokio::spawn(Arc::clone(&cache).keep());
        cache.wait_until_ready().await;
        let harness = Self { world, cache };
        while harness.read().await != Source::Memory {
            sleep(TICK).await;
        }
        harness
    }

    async fn read(&self) -> Source {
        let load = || async { Ok::<_, String>(Some(1)) };
        let found = self.cache.read(REQUEST, Single, load).await.unwrap();
        found.unwrap().source
    }

    /// Duration of a read that ends at the database.
    async fn time_to_database(&self) -> Duration {
        let began = Instant::now();
        assert_eq!(self.read().await, Source::Database);
        began.elapsed()
    }

    fn set_hung(&self, hung: bool) {
        let mut parts = self.world.lock();
        parts.links[0].requests_lost = hung;
        let later = Duration::from_mins(u64::from(hung));
        for tracking in parts.tracking.values_mut() {
            tracking.last = Instant::now() + later;
        }
    }
}

fn connection(world: &World) -> Arc<dyn Remote> {
    Arc::new(Connection {
        world: world.clone(),
        instance: 0,
    })
}

#[tokio::test(start_paused = true)]
async fn waiting_reads_detect_a_stall_and_later_reads_skip_redis() {
    let harness = Harness::new(STALL_TIMEOUT).await;
    harness.set_hung(true);
    let late = async {
        sleep(STALL_TIMEOUT / 2).await;
        harness.time_to_database().await
    };
    let (first, late) = tokio::join!(harness.time_to_database(), late);
    assert!(first <= STALL_TIMEOUT + TICK, "{first:?}");
    assert!(late <= STALL_TIMEOUT / 2 + TICK, "{late:?}");
    assert_eq!(harness.time_to_database().await, Duration::ZERO);
    harness.set_hung(false);
    while harness.read().await != Source::Memory {
        sleep(TICK).await;
    }
}

/// A barrier and a lookup together take no longer than the budget.
#[tokio::test(start_paused = true)]
async fn the_budget_covers_all_requests_of_a_read() {
    let harness = Harness::new(BUDGET).await;
    harness.set_hung(true);
    let time_to_database = harness.time_to_database().await;
    assert!(time_to_database <= BUDGET + TICK, "{time_to_database:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_while_other_requests_are_answered() {
    let detector = StallDetector::new(STALL_TIMEOUT);
    let remote = connection(&World::new(1, 1, 0));
    let began = Instant::now();
    let waits = detector.wait(&remote, began + BUDGET, pending::<Result<(), Fault>>());
    let others = async {
        loop {
            sleep(STALL_TIMEOUT / 2).await;
            let answer = async { Ok::<_, Fault>(()) };
            let until = Instant::now() + BUDGET;
            assert_eq!(detector.wait(&remote, until, answer).await, Ok(()));
        }
    };
    tokio::select! {
        answer = waits => assert_eq!(answer, Err(Fault::Slow)),
        () = others => {}
    }
    assert!(began.elapsed() >= BUDGET);
}
