//! Messages of a conversation are handed over one at a time in the order of sending, with any number of dispatchers and
//! any failures.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::delivery::Pace;
use parlance_app::messages::DeleteMessage;
use parlance_domain::MessageStatus;

use crate::support::{
    Answer, Db, Dice, HOUR, Kind, Outgoing, SECOND, SOON, Step, TestClock, World, pace, scale, seed,
};

/// Back-offs of milliseconds, for a clock that runs.
fn fast_retries() -> Pace {
    Pace {
        workers: 32,
        batch: 32,
        grace: Duration::from_millis(2),
        max_attempts: 1_000,
        first_backoff: Duration::from_millis(2),
        longest_backoff: Duration::from_millis(10),
        ..pace()
    }
}

async fn with_running_clock(db: Db) -> World {
    World::with(db, TestClock::running(), false).await
}

fn unreliable(world: &World, seed: u64) {
    world.provider.answers(move |text, before| {
        let id = text.message_id().uuid().as_u128();
        let mixed = u64::try_from(id & u128::from(u64::MAX)).unwrap() ^ seed;
        match Dice(mixed.wrapping_add(before as u64)).below(12) {
            0 => Answer::Later(None),
            1 => Answer::Later(Some(Duration::from_millis(3))),
            2 => Answer::LostTaken,
            3 => Answer::LostUntaken,
            _ => Answer::Accept,
        }
    });
}

/// Sends messages to customers round-robin; several conversations at once.
async fn send_all(world: &Arc<World>, customers: usize, messages: usize) {
    const SENDERS: usize = 4;
    let tasks = (0..SENDERS).map(|task| {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            for number in 1..=messages {
                for customer in (0..customers).filter(|customer| customer % SENDERS == task) {
                    world
                        .send(Outgoing::to(customer).body(number.to_string()))
                        .await;
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

on_both! {
    async fn three_dispatchers_keep_the_order(world: World) {
        let seed = seed("order");
        let world = Arc::new(with_running_clock(world.db).await);
        unreliable(&world, seed);
        let (customers, messages) = (50, 40 * scale());
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(fast_retries()).await);
        }
        send_all(&world, customers, messages).await;
        world.until_all_left().await;
        assert_eq!(world.inversions(), [""; 0]);
        assert_eq!(world.provider.overlaps(), [""; 0], "concurrent hand-overs");
        let accepted: std::collections::HashSet<_> = world.provider.accepts().into_iter().map(|a| a.message).collect();
        assert_eq!(accepted.len(), customers * messages);
        eprintln!("{} messages, {} hand-overs, {} accepted", accepted.len(), world.provider.calls(), world.provider.accepts().len());
    }

    /// Guard off: no delivery is blocked.
    async fn without_the_queue_the_order_is_lost(world: World) {
        let seed = seed("order without the queue");
        let world = Arc::new(with_running_clock(world.db).await);
        unreliable(&world, seed);
        send_all(&world, 10, 12).await;
        world.db.run(if world.db.kind == Kind::Sqlite { "UPDATE deliveries SET blocked = 0" } else { "UPDATE deliveries SET blocked = false" }).await;
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            let dispatcher = world.dispatcher(fast_retries()).await;
            dispatcher.wire.hold(Some(Step::RequestSent));
            dispatcher.wire.until_held(20).await;
            dispatchers.push(dispatcher);
        }
        for dispatcher in &dispatchers {
            dispatcher.wire.hold(None);
        }
        world.until_all_left().await;
        assert_ne!(world.inversions(), [""; 0]);
        assert_ne!(world.provider.overlaps(), [""; 0]);
    }

    /// A conversation with a failing provider delays itself only.
    async fn a_failing_conversation_does_not_delay_others(world: World) {
        world.provider.answers(|text, before| {
            let stuck = text.to == crate::support::world::number(0) && before == 0 && text.body == "1";
            if stuck { Answer::Later(Some(HOUR)) } else { Answer::Accept }
        });
        let _dispatcher = world.dispatcher(pace()).await;
        let stuck = world.send(Outgoing::to(0).body("1")).await;
        world.until_status(stuck.id, MessageStatus::Sending).await;
        for number in 2..6 {
            world.send(Outgoing::to(0).body(number.to_string())).await;
        }
        for number in 1..6 {
            for customer in 1..4 {
                world.send(Outgoing::to(customer).body(number.to_string())).await;
            }
        }
        parlance_testkit::eventually(SOON, async || {
            (world.db.count("deliveries").await == 5).then_some(())
        }).await;
        assert!(world.provider.accepts().iter().all(|accept| accept.to != stuck.to_address));
        world.clock.advance(HOUR);
        world.until_all_left().await;
        assert_eq!(world.inversions(), [""; 0]);
        assert_eq!(world.provider.accepts().len(), 20);
    }

    /// Sends and completions race on one conversation; no delivery stays blocked by none.
    async fn no_delivery_is_stranded(world: World) {
        let seed = seed("no delivery is stranded");
        let world = Arc::new(with_running_clock(world.db).await);
        unreliable(&world, seed);
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(fast_retries()).await);
        }
        let count = 30 * scale();
        let tasks: Vec<_> = (0..8).map(|task| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut dice = Dice(seed.wrapping_add(task));
                for _ in 0..count {
                    // Two conversations; some messages are deleted at once, at any position of the queue.
                    let message = world.send(Outgoing::to(dice.below(2)).body("0")).await;
                    if dice.below(4) == 0 {
                        let gone = world.front.delete_message(&world.owner, DeleteMessage { id: message.id, etag: None });
                        let _ = gone.await;
                    }
                }
            })
        }).collect();
        for task in tasks {
            task.await.unwrap();
        }
        world.until_all_left().await;
        assert_eq!(world.provider.overlaps(), [""; 0], "concurrent hand-overs");
        assert_eq!(world.stranded().await, 0);
    }

    /// Guard off: a send that read the conversation queue before its last delivery was removed.
    async fn a_stale_read_of_the_queue_strands_a_delivery(world: World) {
        world.send(Outgoing::to(1).body("1")).await;
        assert_eq!(world.stranded().await, 0);
        world.db.run(if world.db.kind == Kind::Sqlite { "UPDATE deliveries SET blocked = 1" } else { "UPDATE deliveries SET blocked = true" }).await;
        assert_eq!(world.stranded().await, 1);
        let _dispatcher = world.dispatcher(pace()).await;
        // The delivery of another message shows that the dispatcher works.
        let other = world.send(Outgoing::to(2).body("1")).await;
        world.until_status(other.id, MessageStatus::Sent).await;
        assert_eq!(world.db.count("deliveries").await, 1);
    }

    /// Removing a delivery from the middle of the queue unblocks only the first one.
    async fn removing_a_delivery_unblocks_only_the_next(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let mut queue = Vec::new();
        for number in 1..6 {
            queue.push(world.send(Outgoing::to(1).body(number.to_string())).await.id);
        }
        dispatcher.wire.until_held(1).await;
        for id in [queue[1], queue[3]] {
            world.front.delete_message(&world.owner, DeleteMessage { id, etag: None }).await.unwrap();
        }
        assert_eq!(world.db.count("deliveries WHERE NOT blocked").await, 1);
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let bodies: Vec<String> = world.provider.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["1", "3", "5"]);
        assert_eq!(world.provider.overlaps(), [""; 0]);
    }

    /// Deleting the first delivery of the queue unblocks the next one.
    async fn deleting_the_first_delivery_unblocks_the_next(world: World) {
        let mut queue = Vec::new();
        for number in 1..4 {
            queue.push(world.send(Outgoing::to(1).body(number.to_string())).await.id);
        }
        world.front.delete_message(&world.owner, DeleteMessage { id: queue[0], etag: None }).await.unwrap();
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let bodies: Vec<String> = world.provider.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["2", "3"]);
    }

    /// Scheduled messages enter the conversation queue when they are due.
    async fn scheduled_messages_enter_the_queue_when_due(world: World) {
        let due = world.now().plus(HOUR);
        for number in 1..4 {
            world.send(Outgoing::to(1).body(number.to_string()).at(due)).await;
        }
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        world.clock.advance(HOUR.checked_sub(SECOND).unwrap());
        let now = world.send(Outgoing::to(1).body("0")).await;
        dispatcher.wire.until_held(1).await;
        assert_eq!(world.provider.accepts()[0].message, now.id, "a scheduled message blocks nothing before its time");
        world.clock.advance(SECOND * 2);
        // They have entered the queue.
        parlance_testkit::eventually(SOON, async || {
            (world.db.count("deliveries WHERE state = 'scheduled'").await == 0).then_some(())
        }).await;
        world.send(Outgoing::to(1).body("4")).await;
        assert_eq!(world.db.count("deliveries WHERE NOT blocked").await, 1);
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let bodies: Vec<String> = world.provider.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
        assert_eq!(world.provider.overlaps(), [""; 0]);
    }
}
