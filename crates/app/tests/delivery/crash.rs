//! A dispatcher dies at each step of a hand-over: nothing of it runs on. Whoever comes after finds every message.

use parlance_app::delivery::Pace;
use parlance_domain::{MessageId, MessageStatus};

use crate::support::{
    Answer, Db, Dice, HOUR, SECOND, SOON, Step, TestClock, World, pace, scale, seed,
};

/// Where it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Claimed,
    RequestSent,
    Accepted,
    BeforeCommit,
}

const DEATHS: [Death; 4] = [
    Death::Claimed,
    Death::RequestSent,
    Death::Accepted,
    Death::BeforeCommit,
];

/// Sends messages to customers, and lets a dispatcher die with all of them in its hands.
async fn die(
    world: &World,
    death: Death,
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
    let dispatcher = world.mortal(pace).await;
    dispatcher.wire.hold(Some(match death {
        Death::Claimed => Step::Claimed,
        Death::RequestSent => Step::RequestSent,
        Death::Accepted | Death::BeforeCommit => Step::Accepted,
    }));
    dispatcher.wire.until_held(sent.len()).await;
    if death == Death::BeforeCommit {
        dispatcher.hold_scribe();
        dispatcher.wire.hold(None);
        dispatcher.until_scribe_is_held().await;
    }
    dispatcher.kill();
    if death == Death::RequestSent {
        for &id in &sent {
            if dice.below(2) == 0 {
                world.far.arrives(id);
            }
        }
    }
    sent
}

async fn survives(db: Db, idempotent: bool) {
    let world = World::with(db, TestClock::standing(), idempotent).await;
    let mut dice = Dice(seed("a dispatcher that dies"));
    let count = 32 * scale();
    for (round, death) in DEATHS.into_iter().enumerate() {
        let sent = die(&world, death, round * count..(round + 1) * count, &mut dice).await;
        world.clock.advance(HOUR + SECOND);
        let successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        successor.go_down().await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.is_empty(), "{death:?}: {wrong:#?}");
        let twice = sent
            .iter()
            .filter(|id| world.far.accepted(**id) > 1)
            .count();
        match death {
            Death::Claimed => assert_eq!(twice, 0, "nobody had called the provider"),
            Death::RequestSent => assert!(twice <= count),
            // The at-most-once quarter is left alone.
            Death::Accepted | Death::BeforeCommit => assert_eq!(twice, count / 4 * 3, "{death:?}"),
        }
    }
    eprintln!("{} messages, four deaths", count * DEATHS.len());
}

mod an_idempotent_provider_sees_each_once {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        survives(Db::sqlite().await, true).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        survives(Db::postgres().await, true).await;
    }
}

mod any_provider_takes_each {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sqlite() {
        survives(Db::sqlite().await, false).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn postgres() {
        survives(Db::postgres().await, false).await;
    }
}

on_both! {
    /// One after the other dies at a moment of nobody's choosing, while messages fail now and then.
    async fn at_any_moment(world: World) {
        let seed = seed("dispatchers that die at any moment");
        let mut dice = Dice(seed);
        world.far.answers(move |text, before| {
            let mut dice = Dice(seed ^ u64::try_from(text.message_id.uuid().as_u128() >> 64).unwrap() ^ before as u64);
            match dice.below(10) {
                0 => Answer::Later(None),
                1 => Answer::LostTaken,
                2 => Answer::LostUntaken,
                _ => Answer::Accept,
            }
        });
        // As often as dispatchers die, and a few times more for its own failures.
        let patient = Pace { max_attempts: 1_000, workers: 8, batch: 8, ..pace() };
        let count = 60 * scale();
        let sent = world.send_to_each(0..count, |outgoing| outgoing).await;
        for _ in 0..6 * scale() {
            let dispatcher = world.mortal(patient.clone()).await;
            let enough = world.far.calls() + 1 + dice.below(count / 4);
            parlance_testkit::eventually(SOON, async || {
                let done = world.far.calls() >= enough || world.db.count("deliveries").await == 0;
                world.clock.advance(SECOND);
                done.then_some(())
            }).await;
            dispatcher.kill();
            world.clock.advance(HOUR);
        }
        let _last = world.dispatcher(patient).await;
        parlance_testkit::eventually(SOON, async || {
            world.clock.advance(SECOND * 10);
            (world.db.count("deliveries").await == 0).then_some(())
        }).await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Guard off: a claim that leaves no trace of an attempt that was begun.
    async fn without_a_trace_of_the_attempt_it_leaves_twice(world: World) {
        let sent = die(&world, Death::Accepted, 0..8, &mut Dice(1)).await;
        world.db.run("UPDATE deliveries SET state = 'waiting', attempt = 0").await;
        world.clock.advance(HOUR + SECOND);
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.iter().any(|w| w.contains("handed over twice")), "{wrong:#?}");
    }

    /// Guard off: a job that is taken off the queue when it is claimed.
    async fn without_a_lease_it_is_lost(world: World) {
        let sent = die(&world, Death::Claimed, 0..8, &mut Dice(1)).await;
        world.db.run("DELETE FROM deliveries").await;
        world.clock.advance(HOUR + SECOND);
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.iter().any(|w| w.contains("is lost")), "{wrong:#?}");
    }

    /// Guard off: the provider's key changes with the attempt.
    async fn without_a_stable_key_an_idempotent_provider_sees_it_twice(world: World) {
        let World { db, clock, .. } = world;
        let world = World::with(db, clock, false).await;
        let sent = die(&world, Death::Accepted, 0..8, &mut Dice(1)).await;
        world.clock.advance(HOUR + SECOND);
        let successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        drop(successor);
        assert!(world.wrongs(&sent).await.is_empty());
        // The same, of a provider that is said to be idempotent.
        world.far.call_idempotent();
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.iter().any(|w| w.contains("was seen 2 times")), "{wrong:#?}");
    }

    /// A worker that dies on the same message each time does not do so for ever.
    async fn what_kills_its_worker_each_time_is_given_up(world: World) {
        world.far.answers(|_, _| Answer::Panic);
        let message = world.send(crate::support::Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(Pace { max_attempts: 3, ..pace() }).await;
        for call in 1..=3 {
            parlance_testkit::eventually(SOON, async || (world.far.calls() == call).then_some(())).await;
            world.clock.advance(HOUR + SECOND);
        }
        let found = world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(world.far.calls(), 3);
        assert_eq!(found.progress.error.unwrap().code, "no_answer");
        assert_eq!(world.wrong_story(message.id).await, [""; 0]);
        assert_eq!(world.db.count("deliveries").await, 0);
    }

    /// A hand that breaks does not keep its place.
    async fn a_broken_hand_is_free_again(world: World) {
        world.far.answers(|_, before| if before == 0 { Answer::Panic } else { Answer::Accept });
        let sent = world.send_to_each(0..5, |outgoing| outgoing).await;
        let _dispatcher = world.dispatcher(Pace { workers: 1, ..pace() }).await;
        parlance_testkit::eventually(SOON, async || (world.far.calls() == 5).then_some(())).await;
        world.clock.advance(HOUR + SECOND);
        world.until_all_left().await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
