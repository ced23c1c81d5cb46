//! Common parts of the tests: a database of either kind, a clock that is set by hand, a provider, dispatchers that can
//! be killed, and the invariants at the end.

pub(crate) mod check;
pub(crate) mod clock;
pub(crate) mod db;
pub(crate) mod dispatcher;
pub(crate) mod fake_provider;
pub(crate) mod world;

use std::time::Duration;

pub(crate) use clock::TestClock;
pub(crate) use db::{Db, Kind};
pub(crate) use dispatcher::Dispatcher;
pub(crate) use fake_provider::{Answer, FakeProvider, Step, Wire};
pub(crate) use world::{Outgoing, World, pace};

/// Time-out for conditions: longer than anything takes on a busy machine, because it is reached only in a failure.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// A second of test time.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An hour of test time.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// Runs a test body on SQLite and on Postgres.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn body($world: World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                body(World::new($crate::support::Db::sqlite().await).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                body(World::new($crate::support::Db::postgres().await).await).await;
            }
        }
    )*};
}

/// Factor for the counts.
pub(crate) fn scale() -> usize {
    variable("DELIVERY_SCALE").map_or(1, |n| usize::try_from(n).unwrap())
}

/// Seed of a run, printed so that the run can be repeated.
pub(crate) fn seed(of: &str) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    let seed = variable("DELIVERY_SEED").unwrap_or_else(|| RandomState::new().hash_one(of));
    eprintln!("{of}: DELIVERY_SEED={seed}");
    seed
}

fn variable(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment sets the duration and seed of a run"
    )]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}

/// Pseudo-random numbers from a seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
