//! A worker is held past its lease and wakes up when somebody else has the message: its outcome changes nothing.

use parlance_app::delivery::Pace;
use parlance_app::messages::DeliveryEventKind;
use parlance_domain::{Message, MessageId, MessageStatus};

use crate::support::{
    Answer, Db, Dispatcher, HOUR, Outgoing, SECOND, SOON, Step, TestClock, World, pace,
};

/// A worker that holds a message past its lease; its answer is the given one.
async fn sleeper(world: &World, answer: Answer) -> (Dispatcher, MessageId) {
    world
        .far
        .answers(move |_, before| if before == 0 { answer } else { Answer::Accept });
    // One hand, or it would take the message over from itself.
    let sleeper = world
        .dispatcher(Pace {
            workers: 1,
            ..pace()
        })
        .await;
    sleeper.wire.hold(Some(Step::RequestSent));
    let message = world.send(Outgoing::to(1)).await;
    sleeper.wire.until_held(1).await;
    world.clock.advance(HOUR + SECOND);
    (sleeper, message.id)
}

/// Wakes it up; returns when its outcome has been written.
async fn wake(world: &World, sleeper: Dispatcher, id: MessageId) -> Message {
    let before = world.story(id).await.len();
    sleeper.wire.hold(None);
    parlance_testkit::eventually(SOON, async || {
        (world.story(id).await.len() > before).then_some(())
    })
    .await;
    sleeper.go_down().await;
    world.message(id).await
}

/// What a zombie changed that is not its to change.
fn changes(before: &Message, after: &Message) -> Vec<String> {
    let mut changes = Vec::new();
    if before.progress != after.progress {
        changes.push(format!("{:?} became {:?}", before.progress, after.progress));
    }
    if before.provider_message_id != after.provider_message_id {
        changes.push(format!(
            "its id {:?} became {:?}",
            before.provider_message_id, after.provider_message_id
        ));
    }
    if before.version != after.version {
        changes.push("it was written".to_owned());
    }
    changes
}

const ANSWERS: [Answer; 5] = [
    Answer::Accept,
    Answer::Refuse,
    Answer::Later(None),
    Answer::LostTaken,
    Answer::LostUntaken,
];

async fn fresh(world: World) -> World {
    // Two ids of one message, so that it can be seen whose is kept.
    let World { db, .. } = world;
    World::with(db, TestClock::standing(), false).await
}

on_both! {
    async fn after_the_other_has_ended(world: World) {
        let mut world = world;
        for answer in ANSWERS {
            world = fresh(world).await;
            let (sleeper, id) = sleeper(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            let before = world.until_status(id, MessageStatus::Sent).await;
            let lines = world.story(id).await.len();
            let after = wake(&world, sleeper, id).await;
            assert_eq!(changes(&before, &after), [""; 0], "{answer:?}");
            let story = world.story(id).await;
            let late = story.last().unwrap();
            assert_eq!((story.len(), late.kind, late.attempt, late.status), (lines + 1, DeliveryEventKind::Attempt, Some(1), None), "{answer:?}");
            assert!(late.detail.contains("taken over"), "{late:?}");
            assert_eq!(world.db.count("deliveries").await, 0);
            other.go_down().await;
        }
    }

    async fn while_the_other_is_under_way(world: World) {
        let mut world = world;
        for answer in ANSWERS {
            world = fresh(world).await;
            let (sleeper, id) = sleeper(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            other.wire.hold(Some(Step::Accepted));
            other.wire.until_held(1).await;
            let before = world.message(id).await;
            let after = wake(&world, sleeper, id).await;
            assert_eq!(changes(&before, &after), [""; 0], "{answer:?}");
            assert_eq!(world.db.count("deliveries WHERE state = 'claimed' AND attempt = 2").await, 1, "{answer:?}");
            other.wire.hold(None);
            let done = world.until_status(id, MessageStatus::Sent).await;
            assert_eq!(done.progress.attempt, 2);
            other.go_down().await;
            assert_eq!(world.db.count("deliveries").await, 0);
        }
    }

    /// The other has got a report before its own answer; what the zombie was told is still not news.
    async fn after_a_report_has_ended_it(world: World) {
        use parlance_domain::message::ReportStatus;
        let world = fresh(world).await;
        let (sleeper, id) = sleeper(&world, Answer::Accept).await;
        let other = world.dispatcher(pace()).await;
        other.wire.hold(Some(Step::Accepted));
        other.wire.until_held(1).await;
        crate::reports::report(&world, id, ReportStatus::Delivered).await;
        let before = world.message(id).await;
        let after = wake(&world, sleeper, id).await;
        assert_eq!(changes(&before, &after), [""; 0]);
        other.wire.hold(None);
        other.go_down().await;
        let done = world.message(id).await;
        assert_eq!((done.progress.status, done.progress.attempt), (MessageStatus::Delivered, 2));
        assert!(done.provider_message_id.is_some());
        assert!(done.progress.sent_at.is_some());
    }

    /// Guard off: a claim that does not count the attempt, so that the first worker's outcome fits the second's.
    async fn without_the_attempt_the_zombie_wins(world: World) {
        let mut world = world;
        for (answer, expected) in [(Answer::Refuse, MessageStatus::Failed), (Answer::LostTaken, MessageStatus::Uncertain)] {
            world = fresh(world).await;
            let (sleeper, id) = sleeper(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            other.wire.hold(Some(Step::Accepted));
            other.wire.until_held(1).await;
            let before = world.message(id).await;
            world.db.run("UPDATE deliveries SET attempt = 1").await;
            let after = wake(&world, sleeper, id).await;
            assert_ne!(changes(&before, &after), [""; 0]);
            assert_eq!(after.progress.status, expected);
            other.wire.hold(None);
            other.go_down().await;
        }
    }
}

/// A worker that slept between its claim and its call does not call: somebody else may have called already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_lease_is_over_calls_nobody() {
    let world = World::new(Db::postgres().await).await;
    let id = world.send(Outgoing::to(1)).await.id;
    let lock = world.db.client().await;
    lock.batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    // It claims, and cannot read what it has claimed.
    let _sleeper = world.dispatcher(pace()).await;
    parlance_testkit::eventually(SOON, async || {
        (world.db.count("deliveries WHERE state = 'claimed'").await == 1).then_some(())
    })
    .await;
    world.clock.advance(HOUR + SECOND);
    lock.batch_execute("COMMIT").await.unwrap();
    world.until_all_left().await;
    assert_eq!(world.far.calls(), 1);
    let message = world.message(id).await;
    assert_eq!(
        (message.progress.status, message.progress.attempt),
        (MessageStatus::Sent, 2)
    );
    assert_eq!(world.wrong_story(id).await, [""; 0]);
}
