//! A dispatcher is killed at each step of a hand-over. Its successor processes every message.

use parlance_app::delivery::Pace;
use parlance_domain::{MessageId, MessageStatus};

use crate::support::{
    Answer, Db, Dice, HOUR, SECOND, SOON, Step, TestClock, World, pace, scale, seed,
};

/// Step at which the dispatcher is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CrashPoint {
    Claimed,
    RequestSent,
    Accepted,
    BeforeCommit,
}

const CRASH_POINTS: [CrashPoint; 4] = [
    CrashPoint::Claimed,
    CrashPoint::RequestSent,
    CrashPoint::Accepted,
    CrashPoint::BeforeCommit,
];

/// Sends messages to customers, and kills a dispatcher while it is handing over all of them.
async fn crash(
    world: &World,
    crash_point: CrashPoint,
    customers: std::ops::Range<usize>,
    dice: &mut Dice,
) -> Vec<MessageId> {
    let at_most_once = |customer: usize| customer.is_multiple_of(4);
    let mut sent = Vec::new();
    for customer in customers {
        let outgoing = crate::support::Outgoing::to(customer);
        let outgoing = if at_most_once(customer) {
            outgoing.at_most_once()
        } else {
            outgoing
        };
        sent.push(world.send(outgoing).await.id);
    }
    let pace = Pace {
        workers: sent.len(),
        batch: sent.len(),
        ..pace()
    };
    let dispatcher = world.killable_dispatcher(pace).await;
    dispatcher.wire.hold(Some(match crash_point {
        CrashPoint::Claimed => Step::Claimed,
        CrashPoint::RequestSent => Step::RequestSent,
        CrashPoint::Accepted | CrashPoint::BeforeCommit => Step::Accepted,
    }));
    dispatcher.wire.until_held(sent.len()).await;
    if crash_point == CrashPoint::BeforeCommit {
        dispatcher.hold_outcome_writer();
        dispatcher.wire.hold(None);
        dispatcher.until_outcome_writer_is_held().await;
    }
    dispatcher.kill();
    if crash_point == CrashPoint::RequestSent {
        for &id in &sent {
            if dice.below(2) == 0 {
                world.provider.deliver_late(id);
            }
        }
    }
    sent
}

async fn no_message_is_lost(db: Db, idempotent: bool) {
    let world = World::with(db, TestClock::standing(), idempotent).await;
    let mut dice = Dice(seed("a dispatcher that is killed"));
    let count = 32 * scale();
    for (round, crash_point) in CRASH_POINTS.into_iter().enumerate() {
        let sent = crash(
            &world,
            crash_point,
            round * count..(round + 1) * count,
            &mut dice,
        )
        .await;
        world.clock.advance(HOUR + SECOND);
        let successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        successor.go_down().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{crash_point:?}: {violations:#?}");
        let twice = sent
            .iter()
            .filter(|id| world.provider.accepted(**id) > 1)
            .count();
        match crash_point {
            CrashPoint::Claimed => assert_eq!(twice, 0, "the provider had not been called"),
            CrashPoint::RequestSent => assert!(twice <= count),
            // Messages with the policy at-most-once, a quarter, are not handed over again.
            CrashPoint::Accepted | CrashPoint::BeforeCommit => {
                assert_eq!(twice, count / 4 * 3, "{crash_point:?}");
            }
        }
    }
    eprintln!("{} messages, four crash points", count * CRASH_POINTS.len());
}

mod an_idempotent_provider_delivers_each_once {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        no_message_is_lost(Db::sqlite().await, true).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        no_message_is_lost(Db::postgres().await, true).await;
    }
}

mod every_provider_accepts_each {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        no_message_is_lost(Db::sqlite().await, false).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        no_message_is_lost(Db::postgres().await, false).await;
    }
}

on_both! {
    /// Dispatchers are killed at random times, while some messages fail.
    async fn killed_at_random_times(world: World) {
        let seed = seed("dispatchers that are killed at random times");
        let mut dice = Dice(seed);
        world.provider.answers(move |text, before| {
            let mut dice = Dice(seed ^ u64::try_from(text.message_id().uuid().as_u128() >> 64).unwrap() ^ before as u64);
            match dice.below(10) {
                0 => Answer::Later(None),
                1 => Answer::LostTaken,
                2 => Answer::LostUntaken,
                _ => Answer::Accept,
            }
        });
        // As many attempts as dispatchers are killed, and some more for provider failures.
        let many_attempts = Pace { max_attempts: 1_000, workers: 8, batch: 8, ..pace() };
        let count = 60 * scale();
        let sent = world.send_to_each(0..count, |outgoing| outgoing).await;
        for _ in 0..6 * scale() {
            let dispatcher = world.killable_dispatcher(many_attempts.clone()).await;
            let enough = world.provider.calls() + 1 + dice.below(count / 4);
            parlance_testkit::eventually(SOON, async || {
                let done = world.provider.calls() >= enough || world.db.count("deliveries").await == 0;
                world.clock.advance(SECOND);
                done.then_some(())
            }).await;
            dispatcher.kill();
            world.clock.advance(HOUR);
        }
        let _last = world.dispatcher(many_attempts).await;
        parlance_testkit::eventually(SOON, async || {
            world.clock.advance(SECOND * 10);
            (world.db.count("deliveries").await == 0).then_some(())
        }).await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// Guard off: a claim that does not record the started attempt.
    async fn without_a_recorded_attempt_it_is_sent_twice(world: World) {
        let sent = crash(&world, CrashPoint::Accepted, 0..8, &mut Dice(1)).await;
        world.db.run("UPDATE deliveries SET state = 'waiting', attempt = 0").await;
        world.clock.advance(HOUR + SECOND);
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.iter().any(|w| w.contains("handed over twice")), "{violations:#?}");
    }

    /// Guard off: a delivery that is removed from the queue when it is claimed.
    async fn without_a_lease_it_is_lost(world: World) {
        let sent = crash(&world, CrashPoint::Claimed, 0..8, &mut Dice(1)).await;
        world.db.run("DELETE FROM deliveries").await;
        world.clock.advance(HOUR + SECOND);
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.iter().any(|w| w.contains("is lost")), "{violations:#?}");
    }

    /// Guard off: an idempotency key that changes with the attempt.
    async fn without_a_stable_key_an_idempotent_provider_delivers_twice(world: World) {
        let World { db, clock, .. } = world;
        let world = World::with(db, clock, false).await;
        let sent = crash(&world, CrashPoint::Accepted, 0..8, &mut Dice(1)).await;
        world.clock.advance(HOUR + SECOND);
        let successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        drop(successor);
        assert!(world.violations(&sent).await.is_empty());
        // The same for a provider that claims to be idempotent.
        world.provider.set_idempotent();
        let violations = world.violations(&sent).await;
        assert!(violations.iter().any(|w| w.contains("was seen 2 times")), "{violations:#?}");
    }

    /// A message that makes its worker panic each time is given up.
    async fn a_message_that_always_panics_its_worker_is_given_up(world: World) {
        world.provider.answers(|_, _| Answer::Panic);
        let message = world.send(crate::support::Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(Pace { max_attempts: 3, ..pace() }).await;
        for call in 1..=3 {
            parlance_testkit::eventually(SOON, async || (world.provider.calls() == call).then_some(())).await;
            world.clock.advance(HOUR + SECOND);
        }
        let failed = world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(world.provider.calls(), 3);
        assert_eq!(failed.progress.error.unwrap().code, "no_answer");
        assert_eq!(world.event_violations(message.id).await, [""; 0]);
        assert_eq!(world.db.count("deliveries").await, 0);
    }

    /// A worker that panics releases its slot.
    async fn a_panicked_worker_releases_its_slot(world: World) {
        world.provider.answers(|_, before| if before == 0 { Answer::Panic } else { Answer::Accept });
        let sent = world.send_to_each(0..5, |outgoing| outgoing).await;
        let _dispatcher = world.dispatcher(Pace { workers: 1, ..pace() }).await;
        parlance_testkit::eventually(SOON, async || (world.provider.calls() == 5).then_some(())).await;
        world.clock.advance(HOUR + SECOND);
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
