//! Instances with different backends on one database, step by step: stopped instances, several memory instances, a paused
//! instance with an epoch of Redis, steps of the database's clock, and early fences.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::database::{Session, Tables};
use super::play::Single;
use super::redis::{Connection, SINGLE};
use super::world::World;
use crate::cache::{Cache, ReadRequest, Shared};
use crate::gate::{GATE_TTL, MARGIN, REGISTRATION_TTL};
use crate::key::{Key, Kind};
use crate::ledger::Ledger as _;
use crate::settings::{Backend, CacheSettings};
use crate::token::Token;
use crate::write::{Fenced, TransactionOutcome, Write};

const REQUEST: ReadRequest<'static> = ReadRequest {
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

/// Reconciles until the gate is open.
async fn opened(cache: &Cache) {
    for _ in 0..100 {
        cache.reconcile().await;
        if is_open(cache) {
            return;
        }
        advance(GATE_TTL / 2).await;
    }
    panic!("the gate did not open: {:?}", cache.gate());
}

async fn fence(cache: &Cache) -> Fenced {
    cache.fence(vec![Write::Changed(SINGLE)]).await
}

/// Whether a write is degraded.
async fn is_degraded(cache: &Cache) -> bool {
    let fenced = fence(cache).await;
    let degraded = fenced.pending().is_some();
    cache.release(fenced, TransactionOutcome::Aborted).await;
    degraded
}

async fn waiting(session: &Session) -> usize {
    session.pending(i64::MAX).await.unwrap().count()
}

/// An instance with a lapsed registration counts as new: a memory instance did not expect its writes.
#[tokio::test(start_paused = true)]
async fn a_lapsed_instance_waits_for_a_memory_instance() {
    for backend in [Backend::Off, Backend::Redis] {
        let world = World::new(1, 2, 0);
        let (stopped, memory) = (start(&world, 0, backend), start(&world, 1, Backend::Memory));
        stopped.reconcile().await;
        assert!(stopped.gate.is_registered());
        memory.reconcile().await;
        assert!(!is_open(&memory), "{backend:?}: another instance lives");
        advance(REGISTRATION_TTL).await;
        opened(&memory).await;

        stopped.reconcile().await;
        assert!(is_open(&memory));
        assert!(!stopped.gate.is_registered(), "{backend:?}");
        assert!(is_degraded(&stopped).await, "{backend:?}");
        memory.reconcile().await;
        assert!(!is_open(&memory), "it sees the other instance");
        advance(GATE_TTL + MARGIN).await;
        stopped.reconcile().await;
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
    off.reconcile().await;
    for _ in 0..20 {
        memory.reconcile().await;
        off.reconcile().await;
        assert!(off.gate.is_registered() && !is_open(&memory));
        assert!(!is_degraded(&off).await);
        advance(GATE_TTL / 2).await;
    }
}

/// Rolling update of memory instances: the new one writes while the old one still serves.
#[tokio::test(start_paused = true)]
async fn a_second_memory_instance_waits_for_the_first() {
    let world = World::new(1, 2, 0);
    let [first, second] = [0, 1].map(|number| start(&world, number, Backend::Memory));
    opened(&first).await;
    assert!(!is_degraded(&first).await);
    second.reconcile().await;
    assert!(is_open(&first));
    assert!(is_degraded(&second).await);
    first.reconcile().await;
    assert!(!is_open(&first) && !is_open(&second));
    advance(GATE_TTL + MARGIN).await;
    second.reconcile().await;
    assert!(!is_degraded(&second).await);
}

/// Pending rows stay for an instance that holds an epoch of Redis, also while it is paused.
#[tokio::test(start_paused = true)]
async fn a_memory_instance_leaves_rows_to_a_paused_epoch() {
    let world = World::new(1, 2, 0);
    let redis = start(&world, 0, Backend::Redis);
    opened(&redis).await;
    let memory = start(&world, 1, Backend::Memory);
    let session = session(&world, 1);
    let row = [Key::new(Kind::Message, 9)];
    session.add(&row, Token(1)).await.unwrap();
    // Longer than the Redis instance counts as alive. Its epoch is not closed yet.
    world.lock().tables(0).close_after = Duration::from_mins(1);
    advance(REGISTRATION_TTL + GATE_TTL).await;
    memory.reconcile().await;
    assert!(!is_open(&memory));
    assert_eq!(waiting(&session).await, 1);
    redis.reconcile().await;
    assert!(is_open(&redis));
    assert_eq!(waiting(&session).await, 0, "the key is released");

    // The Redis instance does not come back: its epoch is closed, and the rows need no release.
    world.lock().tables(0).close_after = Duration::ZERO;
    session.add(&row, Token(2)).await.unwrap();
    advance(REGISTRATION_TTL + GATE_TTL).await;
    memory.reconcile().await;
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

/// All values are dropped if there may be more rows than were read.
#[tokio::test(start_paused = true)]
async fn a_memory_instance_drops_all_values_with_too_many_rows() {
    let world = World::new(1, 1, 0);
    let memory = start(&world, 0, Backend::Memory);
    opened(&memory).await;
    let load = || async { Ok::<_, String>(Some(1)) };
    memory.read(REQUEST, Single, load).await.unwrap();
    assert!(memory.hit(SINGLE, "owner").is_some());
    let session = session(&world, 0);
    session.transact(add_known_behind_unknown).await.unwrap();
    memory.reconcile().await;
    assert!(is_open(&memory));
    assert!(memory.hit(SINGLE, "owner").is_none());
    memory.reconcile().await;
    assert_eq!(waiting(&session).await, 0);
}

/// Rows of keys that only a newer version knows do not hide rows of known keys.
#[tokio::test(start_paused = true)]
async fn a_known_row_behind_many_unknown_ones_keeps_the_gate_shut() {
    let world = World::new(1, 1, 0);
    let redis = start(&world, 0, Backend::Redis);
    opened(&redis).await;
    let before = redis.gate().unwrap().epoch;
    let session = session(&world, 0);
    session.transact(add_known_behind_unknown).await.unwrap();
    advance(GATE_TTL).await;
    redis.reconcile().await;
    assert!(!is_open(&redis), "a row was not read");
    opened(&redis).await;
    assert_ne!(
        redis.gate().unwrap().epoch,
        before,
        "all older values are invalid"
    );
    assert_eq!(waiting(&session).await, 0);
}

/// An early fence must still be valid when the commit begins.
#[tokio::test(start_paused = true)]
async fn an_early_fence_is_invalid_once_its_precondition_has_ended() {
    let world = World::new(1, 2, 0);
    let off = start(&world, 0, Backend::Off);
    off.reconcile().await;
    let free = fence(&off).await;
    assert!(free.pending().is_none() && off.is_fence_valid(&free));
    // Less time is left than a commit may take, although no instance serves yet.
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

/// Steps the database's clock.
fn step(world: &World, change: impl FnOnce(Duration) -> Duration) {
    let mut parts = world.lock();
    let tables = parts.tables(0);
    tables.ahead = change(tables.ahead);
}

/// By the stepped clock the right of the memory instance seems to have ended.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_the_full_time_after_a_clock_step() {
    let world = World::new(1, 2, 0);
    let (off, memory) = (
        start(&world, 0, Backend::Off),
        start(&world, 1, Backend::Memory),
    );
    off.reconcile().await;
    advance(REGISTRATION_TTL).await;
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

/// After a step backwards a writer waits no longer than an instance can serve.
#[tokio::test(start_paused = true)]
async fn a_clock_step_backwards_does_not_delay_writers_for_long() {
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

/// After a step the gate stays shut until everything that was reported before has expired.
#[tokio::test(start_paused = true)]
async fn a_clock_step_shuts_the_gate_for_a_while() {
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
            cache.reconcile().await;
            assert!(!is_open(&cache), "{backend:?}");
            assert!(is_degraded(&cache).await, "{backend:?}");
            advance(REGISTRATION_TTL).await;
            opened(&cache).await;
            let clock = cache.gate().unwrap().clock;
            assert_eq!(clock.steps, 1);
            assert!(clock.largest_skew > much / 2 && clock.largest_skew <= much);
        }
    }
}

/// A step within the margin is tolerated.
#[tokio::test(start_paused = true)]
async fn a_small_step_is_measured_and_changes_nothing() {
    let world = World::new(1, 1, 0);
    let cache = start(&world, 0, Backend::Redis);
    opened(&cache).await;
    step(&world, |ahead| ahead + MARGIN / 2);
    cache.reconcile().await;
    assert!(is_open(&cache));
    let clock = cache.gate().unwrap().clock;
    assert_eq!(clock.steps, 0);
    assert!(clock.largest_skew > Duration::ZERO);
}

/// During a suspension the clock of the runtime stands still, but the clock of the gate does not.
#[tokio::test(start_paused = true)]
async fn a_suspended_instance_serves_nothing_after_it_resumes() {
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
