//! Instances with different caches beside one another, step by step: an instance that stops, a second one that keeps values in its
//! own memory, an epoch of Redis that is only paused, a database whose clock steps, and fences made ahead.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::database::{Session, Tables};
use super::play::Single;
use super::redis::{Connection, SINGLE};
use super::world::World;
use crate::cache::{Cache, ReadRequest, Shared};
use crate::gate::{ALIVE, GATE_TTL, MARGIN};
use crate::key::{Key, Kind};
use crate::ledger::Ledger as _;
use crate::remote::Token;
use crate::settings::{Backend, CacheSettings};
use crate::write::{Fenced, TransactionOutcome, Write};

const ASKED: ReadRequest<'static> = ReadRequest {
    key: SINGLE,
    owner: "owner",
    max_staleness: None,
};

fn session(world: &World, instance: usize) -> Session {
    Session {
        world: world.clone(),
        instance,
    }
}

fn start(world: &World, instance: usize, backend: Backend) -> Arc<Cache> {
    let connection = Connection {
        world: world.clone(),
        instance,
    };
    let shared = Shared {
        remote: Arc::new(connection),
        tracking: None,
    };
    let settings = CacheSettings::new(backend, Arc::new(|| 7));
    Cache::new(settings, Some(shared), Arc::new(session(world, instance)))
}

fn is_open(cache: &Cache) -> bool {
    cache.gate().is_some_and(|gate| gate.open)
}

/// Drains until the gate is open.
async fn opened(cache: &Cache) {
    for _ in 0..100 {
        cache.drain().await;
        if is_open(cache) {
            return;
        }
        advance(GATE_TTL / 2).await;
    }
    panic!("it did not open: {:?}", cache.gate());
}

async fn fence(cache: &Cache) -> Fenced {
    cache.fence(vec![Write::Changed(SINGLE)]).await
}

/// Whether a write leaves rows, and then waits for the instances that serve.
async fn is_degraded(cache: &Cache) -> bool {
    let fenced = fence(cache).await;
    let degraded = fenced.pending().is_some();
    cache.release(fenced, TransactionOutcome::Aborted).await;
    degraded
}

async fn waiting(session: &Session) -> usize {
    session.pending(i64::MAX).await.unwrap().count()
}

/// Every instance whose registration has lapsed counts as new: one that serves from its memory did not count on it.
#[tokio::test(start_paused = true)]
async fn a_lapsed_instance_waits_for_one_that_serves_from_memory() {
    for backend in [Backend::Off, Backend::Redis] {
        let world = World::new(1, 2, 0);
        let (stopped, memory) = (start(&world, 0, backend), start(&world, 1, Backend::Memory));
        stopped.drain().await;
        assert!(stopped.gate.is_registered());
        memory.drain().await;
        assert!(!is_open(&memory), "{backend:?}: it is not alone");
        advance(ALIVE).await;
        opened(&memory).await;

        stopped.drain().await;
        assert!(is_open(&memory));
        assert!(!stopped.gate.is_registered(), "{backend:?}");
        assert!(is_degraded(&stopped).await, "{backend:?}");
        memory.drain().await;
        assert!(!is_open(&memory), "it sees the other one");
        advance(GATE_TTL + MARGIN).await;
        stopped.drain().await;
        assert!(stopped.gate.is_registered(), "{backend:?}");
    }
}

/// A registration that is renewed in time does not wait again.
#[tokio::test(start_paused = true)]
async fn an_instance_without_a_gap_stays_registered() {
    let world = World::new(1, 2, 0);
    let (off, memory) = (
        start(&world, 0, Backend::Off),
        start(&world, 1, Backend::Memory),
    );
    off.drain().await;
    for _ in 0..20 {
        memory.drain().await;
        off.drain().await;
        assert!(off.gate.is_registered() && !is_open(&memory));
        assert!(!is_degraded(&off).await);
        advance(GATE_TTL / 2).await;
    }
}

/// A rolling update of instances that keep values in their own memory: the new one writes while the old one still serves.
#[tokio::test(start_paused = true)]
async fn a_second_memory_instance_waits_for_the_first() {
    let world = World::new(1, 2, 0);
    let [first, second] = [0, 1].map(|number| start(&world, number, Backend::Memory));
    opened(&first).await;
    assert!(!is_degraded(&first).await);
    second.drain().await;
    assert!(is_open(&first));
    assert!(is_degraded(&second).await);
    first.drain().await;
    assert!(!is_open(&first) && !is_open(&second));
    advance(GATE_TTL + MARGIN).await;
    second.drain().await;
    assert!(!is_degraded(&second).await);
}

/// Rows are for the instance that holds an epoch of Redis, also while it is paused.
#[tokio::test(start_paused = true)]
async fn a_memory_instance_leaves_rows_to_a_paused_epoch() {
    let world = World::new(1, 2, 0);
    let redis = start(&world, 0, Backend::Redis);
    opened(&redis).await;
    let memory = start(&world, 1, Backend::Memory);
    let session = session(&world, 1);
    let row = [Key::new(Kind::Message, 9)];
    session.add(&row, Token(1)).await.unwrap();
    // Longer than it counts as alive. Its epoch is not closed yet.
    world.lock().tables(0).left_alone = Duration::from_mins(1);
    advance(ALIVE + GATE_TTL).await;
    memory.drain().await;
    assert!(!is_open(&memory));
    assert_eq!(waiting(&session).await, 1);
    redis.drain().await;
    assert!(is_open(&redis));
    assert_eq!(waiting(&session).await, 0, "it has released the key");

    // Gone for good, its epoch is closed, and then the rows need no release.
    world.lock().tables(0).left_alone = Duration::ZERO;
    session.add(&row, Token(2)).await.unwrap();
    advance(ALIVE + GATE_TTL).await;
    memory.drain().await;
    assert!(!is_open(&memory), "closed just now");
    opened(&memory).await;
    assert_eq!(waiting(&session).await, 0);
}

/// Adds a row of a known key behind more rows of unknown keys than one pass reads.
fn add_known_behind_unknown(tables: &mut Tables) {
    for _ in 0..=10_000 {
        tables.add_row(None, Token(1));
    }
    tables.add_rows(&[SINGLE], Token(2));
}

/// Everything that was in memory goes if rows may lie behind those that were read.
#[tokio::test(start_paused = true)]
async fn a_memory_instance_forgets_all_behind_too_many_rows() {
    let world = World::new(1, 1, 0);
    let memory = start(&world, 0, Backend::Memory);
    opened(&memory).await;
    let load = || async { Ok::<_, String>(Some(1)) };
    memory.read(ASKED, Single, load).await.unwrap();
    assert!(memory.hit(SINGLE, "owner").is_some());
    let session = session(&world, 0);
    session.transact(add_known_behind_unknown).await.unwrap();
    memory.drain().await;
    assert!(is_open(&memory));
    assert!(memory.hit(SINGLE, "owner").is_none());
    memory.drain().await;
    assert_eq!(waiting(&session).await, 0);
}

/// Rows of keys that only a newer version knows do not hide known ones.
#[tokio::test(start_paused = true)]
async fn a_known_row_behind_many_unknown_ones_keeps_the_gate_shut() {
    let world = World::new(1, 1, 0);
    let redis = start(&world, 0, Backend::Redis);
    opened(&redis).await;
    let before = redis.gate().unwrap().epoch;
    let session = session(&world, 0);
    session.transact(add_known_behind_unknown).await.unwrap();
    advance(GATE_TTL).await;
    redis.drain().await;
    assert!(!is_open(&redis), "a row was not read");
    opened(&redis).await;
    assert_ne!(
        redis.gate().unwrap().epoch,
        before,
        "all older values are dead"
    );
    assert_eq!(waiting(&session).await, 0);
}

/// A fence made ahead counts as made when the commit begins.
#[tokio::test(start_paused = true)]
async fn a_fence_made_ahead_does_not_hold_once_what_it_relied_on_has_ended() {
    let world = World::new(1, 2, 0);
    let off = start(&world, 0, Backend::Off);
    off.drain().await;
    let free = fence(&off).await;
    assert!(free.pending().is_none() && off.is_fence_valid(&free));
    // Less is left than a commit may take, though no instance serves yet.
    advance(GATE_TTL.saturating_sub(Duration::from_millis(300))).await;
    assert!(!off.is_fence_valid(&free));
    off.release(free, TransactionOutcome::Aborted).await;
    let again = fence(&off).await;
    assert!(again.pending().is_some() && off.is_fence_valid(&again));
    off.release(again, TransactionOutcome::Aborted).await;

    let redis = start(&world, 1, Backend::Redis);
    opened(&redis).await;
    let shared = fence(&redis).await;
    assert!(shared.pending().is_none() && redis.is_fence_valid(&shared));
    advance(GATE_TTL).await;
    assert!(!redis.is_fence_valid(&shared), "the gate is shut");
    redis.release(shared, TransactionOutcome::Aborted).await;
}

/// Moves the database's clock.
fn step(world: &World, change: impl FnOnce(Duration) -> Duration) {
    let mut parts = world.lock();
    let tables = parts.tables(0);
    tables.ahead = change(tables.ahead);
}

/// By the stepped clock the right of the instance in memory is over, which it is not.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_in_full_after_a_step_of_the_databases_clock() {
    let world = World::new(1, 2, 0);
    let (off, memory) = (
        start(&world, 0, Backend::Off),
        start(&world, 1, Backend::Memory),
    );
    off.drain().await;
    advance(ALIVE).await;
    opened(&memory).await;
    step(&world, |ahead| ahead + Duration::from_secs(2));
    let fenced = fence(&off).await;
    let (keys, token) = fenced.pending().unwrap();
    session(&world, 0).add(keys, token).await.unwrap();
    let acknowledged = async {
        off.release(fenced, TransactionOutcome::Committed).await;
        is_open(&memory)
    };
    assert!(!acknowledged.await);
    assert_eq!(off.gate().unwrap().clock.steps, 1);
}

/// Backwards a writer waits no longer than an instance can serve.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_keeps_no_writer_waiting_for_long() {
    let world = World::new(1, 2, 0);
    let (off, memory) = (
        start(&world, 0, Backend::Off),
        start(&world, 1, Backend::Memory),
    );
    opened(&memory).await;
    step(&world, |ahead| ahead.saturating_sub(Duration::from_mins(5)));
    let fenced = fence(&off).await;
    let (keys, token) = fenced.pending().unwrap();
    session(&world, 0).add(keys, token).await.unwrap();
    let began = tokio::time::Instant::now();
    off.release(fenced, TransactionOutcome::Committed).await;
    assert!(began.elapsed() <= 2 * GATE_TTL, "{:?}", began.elapsed());
}

/// After a step nothing is served until what was said before it has ended.
#[tokio::test(start_paused = true)]
async fn a_step_of_the_databases_clock_shuts_the_gate_for_a_while() {
    for backend in [Backend::Redis, Backend::Memory] {
        for ahead in [true, false] {
            let world = World::new(1, 1, 0);
            let cache = start(&world, 0, backend);
            opened(&cache).await;
            let much = Duration::from_secs(1);
            step(&world, |now| {
                if ahead {
                    now + much
                } else {
                    now.saturating_sub(much)
                }
            });
            cache.drain().await;
            assert!(!is_open(&cache), "{backend:?}");
            assert!(is_degraded(&cache).await, "{backend:?}");
            advance(ALIVE).await;
            opened(&cache).await;
            let clock = cache.gate().unwrap().clock;
            assert_eq!(clock.steps, 1);
            assert!(clock.largest_skew > much / 2 && clock.largest_skew <= much);
        }
    }
}

/// Less than the margin is what the margin is for.
#[tokio::test(start_paused = true)]
async fn a_small_step_is_measured_and_changes_nothing() {
    let world = World::new(1, 1, 0);
    let cache = start(&world, 0, Backend::Redis);
    opened(&cache).await;
    step(&world, |ahead| ahead + MARGIN / 2);
    cache.drain().await;
    assert!(is_open(&cache));
    let clock = cache.gate().unwrap().clock;
    assert_eq!(clock.steps, 0);
    assert!(clock.largest_skew > Duration::ZERO);
}

/// The machine was suspended: the runtime's clock has not moved, but that of the gate has.
#[tokio::test(start_paused = true)]
async fn a_suspended_instance_serves_nothing_when_it_goes_on() {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::Instant;

    let world = World::new(1, 1, 0);
    let suspended = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&suspended);
    let settings = CacheSettings {
        clock: Arc::new(move || {
            Instant::now() + Duration::from_secs(counted.load(Ordering::Relaxed))
        }),
        ..CacheSettings::new(Backend::Memory, Arc::new(|| 7))
    };
    let cache = Cache::new(settings, None, Arc::new(session(&world, 0)));
    opened(&cache).await;
    assert!(cache.gate.is_registered());
    suspended.store(5, Ordering::Relaxed);
    assert!(!is_open(&cache) && !cache.gate.is_registered());
    assert!(is_degraded(&cache).await);
}
