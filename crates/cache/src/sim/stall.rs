//! A Redis from which nothing comes any more, and what that costs a read.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::database::Session;
use super::play::Single;
use super::redis::{Connection, SINGLE};
use super::tracking::Hearing;
use super::world::World;
use crate::cache::{Cache, ReadRequest, Shared, Source};
use crate::remote::{Fault, Remote};
use crate::settings::{Backend, CacheSettings};
use crate::stall::Patience;

const ASKED: ReadRequest<'static> = ReadRequest {
    key: SINGLE,
    owner: "owner",
    max_staleness: None,
};
const SILENCE: Duration = Duration::from_millis(10);
const BUDGET: Duration = Duration::from_millis(50);
/// Clocks of the runtime are no finer.
const TICK: Duration = Duration::from_millis(1);

struct Lab {
    world: World,
    cache: Arc<Cache>,
}

impl Lab {
    /// With a copy in memory.
    async fn new(patience: Duration) -> Self {
        let (world, instance) = (World::new(1, 1, 0), 0);
        let settings = CacheSettings {
            budget: BUDGET,
            patience,
            ..CacheSettings::new(Backend::Hybrid, Arc::new(|| 7))
        };
        let session = Session {
            world: world.clone(),
            instance,
        };
        let hearing = Hearing {
            world: world.clone(),
            instance,
        };
        let shared = Shared {
            remote: connection(&world),
            tracking: Some(Arc::new(hearing)),
        };
        let cache = Cache::new(settings, Some(shared), Arc::new(session));
        tokio::spawn(Arc::clone(&cache).keep());
        cache.wait_until_ready().await;
        let lab = Self { world, cache };
        while lab.read().await != Source::Memory {
            sleep(TICK).await;
        }
        lab
    }

    async fn read(&self) -> Source {
        let load = || async { Ok::<_, String>(Some(1)) };
        let found = self.cache.read(ASKED, Single, load).await.unwrap();
        found.unwrap().source
    }

    /// How long a read takes that ends at the database.
    async fn cost(&self) -> Duration {
        let began = Instant::now();
        assert_eq!(self.read().await, Source::Database);
        began.elapsed()
    }

    fn hush(&self, hushed: bool) {
        let mut parts = self.world.lock();
        parts.links[0].deaf = hushed;
        let later = Duration::from_mins(u64::from(hushed));
        for ear in parts.ears.values_mut() {
            ear.last = Instant::now() + later;
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
async fn the_first_who_wait_find_out_and_the_others_do_not_ask() {
    let lab = Lab::new(SILENCE).await;
    lab.hush(true);
    let late = async {
        sleep(SILENCE / 2).await;
        lab.cost().await
    };
    let (first, late) = tokio::join!(lab.cost(), late);
    assert!(first <= SILENCE + TICK, "{first:?}");
    assert!(late <= SILENCE / 2 + TICK, "{late:?}");
    assert_eq!(lab.cost().await, Duration::ZERO);
    lab.hush(false);
    while lab.read().await != Source::Memory {
        sleep(TICK).await;
    }
}

/// A barrier and a lookup together cost no more than either may.
#[tokio::test(start_paused = true)]
async fn the_budget_is_for_all_questions_of_a_read() {
    let lab = Lab::new(BUDGET).await;
    lab.hush(true);
    let cost = lab.cost().await;
    assert!(cost <= BUDGET + TICK, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn while_others_are_answered_it_is_worth_waiting() {
    let patience = Patience::new(SILENCE);
    let remote = connection(&World::new(1, 1, 0));
    let began = Instant::now();
    let waits = patience.wait(&remote, began + BUDGET, pending::<Result<(), Fault>>());
    let others = async {
        loop {
            sleep(SILENCE / 2).await;
            let answer = async { Ok::<_, Fault>(()) };
            let until = Instant::now() + BUDGET;
            assert_eq!(patience.wait(&remote, until, answer).await, Ok(()));
        }
    };
    tokio::select! {
        answer = waits => assert_eq!(answer, Err(Fault::Slow)),
        () = others => {}
    }
    assert!(began.elapsed() >= BUDGET);
}
