//! One message of a conversation is handed over at a time, in the order of sending, whoever dispatches and whatever fails.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::delivery::Pace;
use parlance_app::messages::DeleteMessage;
use parlance_domain::MessageStatus;

use crate::support::{
    Answer, Db, Dice, HOUR, Kind, Outgoing, SECOND, SOON, Step, TestClock, World, pace, scale, seed,
};

/// Failures that pass in milliseconds, on a clock that runs.
fn hurried() -> Pace {
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

async fn in_a_hurry(db: Db) -> World {
    World::with(db, TestClock::running(), false).await
}

fn unreliable(world: &World, seed: u64) {
    world.far.answers(move |text, before| {
        let id = text.message_id.uuid().as_u128();
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

/// Sends so many messages to each of so many customers, in turn; several conversations at once.
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
    async fn is_kept_by_three_dispatchers(world: World) {
        let seed = seed("order");
        let world = Arc::new(in_a_hurry(world.db).await);
        unreliable(&world, seed);
        let (customers, messages) = (50, 40 * scale());
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(hurried()).await);
        }
        send_all(&world, customers, messages).await;
        world.until_all_left().await;
        assert_eq!(world.inversions(), [""; 0]);
        assert_eq!(world.far.crowded(), [""; 0], "two at once");
        let taken: std::collections::HashSet<_> = world.far.accepts().into_iter().map(|a| a.message).collect();
        assert_eq!(taken.len(), customers * messages);
        eprintln!("{} messages, {} hand-overs, {} taken", taken.len(), world.far.calls(), world.far.accepts().len());
    }

    /// Guard off: nothing is blocked.
    async fn is_lost_without_the_line(world: World) {
        let seed = seed("order without the line");
        let world = Arc::new(in_a_hurry(world.db).await);
        unreliable(&world, seed);
        send_all(&world, 10, 12).await;
        world.db.run(if world.db.kind == Kind::Sqlite { "UPDATE deliveries SET blocked = 0" } else { "UPDATE deliveries SET blocked = false" }).await;
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            let dispatcher = world.dispatcher(hurried()).await;
            dispatcher.wire.hold(Some(Step::RequestSent));
            dispatcher.wire.until_held(20).await;
            dispatchers.push(dispatcher);
        }
        for dispatcher in &dispatchers {
            dispatcher.wire.hold(None);
        }
        world.until_all_left().await;
        assert_ne!(world.inversions(), [""; 0]);
        assert_ne!(world.far.crowded(), [""; 0]);
    }

    /// A conversation whose provider keeps failing holds up itself and no other.
    async fn of_one_conversation_does_not_hold_up_another(world: World) {
        world.far.answers(|text, before| {
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
        assert!(world.far.accepts().iter().all(|accept| accept.to != stuck.to_address));
        world.clock.advance(HOUR);
        world.until_all_left().await;
        assert_eq!(world.inversions(), [""; 0]);
        assert_eq!(world.far.accepts().len(), 20);
    }

    /// Sends and completions race on one conversation; none is left that waits for nobody.
    async fn nobody_waits_for_ever(world: World) {
        let seed = seed("nobody waits for ever");
        let world = Arc::new(in_a_hurry(world.db).await);
        unreliable(&world, seed);
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(hurried()).await);
        }
        let count = 30 * scale();
        let tasks: Vec<_> = (0..8).map(|task| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut dice = Dice(seed.wrapping_add(task));
                for _ in 0..count {
                    // Two conversations; some are taken back at once, wherever they stand.
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
        assert_eq!(world.far.crowded(), [""; 0], "two at once");
        assert_eq!(world.stranded().await, 0);
    }

    /// Guard off: a send that looked at the line before the last job was removed.
    async fn a_stale_look_at_the_line_strands_a_job(world: World) {
        world.send(Outgoing::to(1).body("1")).await;
        assert_eq!(world.stranded().await, 0);
        world.db.run(if world.db.kind == Kind::Sqlite { "UPDATE deliveries SET blocked = 1" } else { "UPDATE deliveries SET blocked = true" }).await;
        assert_eq!(world.stranded().await, 1);
        let _dispatcher = world.dispatcher(pace()).await;
        // Another's way shows that the dispatcher works.
        let other = world.send(Outgoing::to(2).body("1")).await;
        world.until_status(other.id, MessageStatus::Sent).await;
        assert_eq!(world.db.count("deliveries").await, 1);
    }

    /// What is taken out of the middle of the line frees nobody who is not first.
    async fn a_job_that_is_taken_out_frees_the_next_only(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let mut line = Vec::new();
        for number in 1..6 {
            line.push(world.send(Outgoing::to(1).body(number.to_string())).await.id);
        }
        dispatcher.wire.until_held(1).await;
        for id in [line[1], line[3]] {
            world.front.delete_message(&world.owner, DeleteMessage { id, etag: None }).await.unwrap();
        }
        assert_eq!(world.db.count("deliveries WHERE NOT blocked").await, 1);
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let bodies: Vec<String> = world.far.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["1", "3", "5"]);
        assert_eq!(world.far.crowded(), [""; 0]);
    }

    /// Deleting the first of the line lets the next one go.
    async fn the_next_goes_when_the_first_is_deleted(world: World) {
        let mut line = Vec::new();
        for number in 1..4 {
            line.push(world.send(Outgoing::to(1).body(number.to_string())).await.id);
        }
        world.front.delete_message(&world.owner, DeleteMessage { id: line[0], etag: None }).await.unwrap();
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let bodies: Vec<String> = world.far.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["2", "3"]);
    }

    /// Scheduled ones take their place in the line when they are due.
    async fn scheduled_ones_stand_in_line_too(world: World) {
        let due = world.now().plus(HOUR);
        for number in 1..4 {
            world.send(Outgoing::to(1).body(number.to_string()).at(due)).await;
        }
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        world.clock.advance(HOUR.checked_sub(SECOND).unwrap());
        let now = world.send(Outgoing::to(1).body("0")).await;
        dispatcher.wire.until_held(1).await;
        assert_eq!(world.far.accepts()[0].message, now.id, "what is scheduled holds up nothing before its time");
        world.clock.advance(SECOND * 2);
        // They have come into the line.
        parlance_testkit::eventually(SOON, async || {
            (world.db.count("deliveries WHERE state = 'scheduled'").await == 0).then_some(())
        }).await;
        world.send(Outgoing::to(1).body("4")).await;
        assert_eq!(world.db.count("deliveries WHERE NOT blocked").await, 1);
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let bodies: Vec<String> = world.far.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
        assert_eq!(world.far.crowded(), [""; 0]);
    }
}
