//! A worker is paused beyond its lease and continues after another has claimed the message: its outcome changes
//! nothing.

use parlance_app::delivery::Pace;
use parlance_app::messages::DeliveryEventKind;
use parlance_domain::{Message, MessageId, MessageStatus};

use crate::support::{
    Answer, Db, Dispatcher, HOUR, Outgoing, SECOND, SOON, Step, TestClock, World, pace,
};

/// Starts a worker that keeps a message beyond its lease; the provider's response is the given one.
async fn pause_worker(world: &World, answer: Answer) -> (Dispatcher, MessageId) {
    world
        .provider
        .answers(move |_, before| if before == 0 { answer } else { Answer::Accept });
    // One worker only; otherwise the dispatcher would claim the message from itself.
    let paused = world
        .dispatcher(Pace {
            workers: 1,
            ..pace()
        })
        .await;
    paused.wire.hold(Some(Step::RequestSent));
    let message = world.send(Outgoing::to(1)).await;
    paused.wire.until_held(1).await;
    world.clock.advance(HOUR + SECOND);
    (paused, message.id)
}

/// Resumes it, and returns once its outcome has been written.
async fn resume(world: &World, paused: Dispatcher, id: MessageId) -> Message {
    let before = world.delivery_events(id).await.len();
    paused.wire.hold(None);
    parlance_testkit::eventually(SOON, async || {
        (world.delivery_events(id).await.len() > before).then_some(())
    })
    .await;
    paused.go_down().await;
    world.message(id).await
}

/// Changes that the zombie must not make.
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
    // A provider that is not idempotent assigns two ids, so that the test shows which one is stored.
    let World { db, .. } = world;
    World::with(db, TestClock::standing(), false).await
}

on_both! {
    async fn after_the_successor_has_finished(world: World) {
        let mut world = world;
        for answer in ANSWERS {
            world = fresh(world).await;
            let (paused, id) = pause_worker(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            let before = world.until_status(id, MessageStatus::Sent).await;
            let count = world.delivery_events(id).await.len();
            let after = resume(&world, paused, id).await;
            assert_eq!(changes(&before, &after), [""; 0], "{answer:?}");
            let events = world.delivery_events(id).await;
            let late = events.last().unwrap();
            assert_eq!((events.len(), late.kind, late.attempt, late.status), (count + 1, DeliveryEventKind::Attempt, Some(1), None), "{answer:?}");
            assert!(late.detail.contains("taken over"), "{late:?}");
            assert_eq!(world.db.count("deliveries").await, 0);
            other.go_down().await;
        }
    }

    async fn during_the_successors_hand_over(world: World) {
        let mut world = world;
        for answer in ANSWERS {
            world = fresh(world).await;
            let (paused, id) = pause_worker(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            other.wire.hold(Some(Step::Accepted));
            other.wire.until_held(1).await;
            let before = world.message(id).await;
            let after = resume(&world, paused, id).await;
            assert_eq!(changes(&before, &after), [""; 0], "{answer:?}");
            assert_eq!(world.db.count("deliveries WHERE state = 'claimed' AND attempt = 2").await, 1, "{answer:?}");
            other.wire.hold(None);
            let done = world.until_status(id, MessageStatus::Sent).await;
            assert_eq!(done.progress.attempt, 2);
            other.go_down().await;
            assert_eq!(world.db.count("deliveries").await, 0);
        }
    }

    /// The other worker has received a report before its own response; the zombie's outcome is still stale.
    async fn after_a_report_has_ended_the_delivery(world: World) {
        use parlance_domain::message::ReportStatus;
        let world = fresh(world).await;
        let (paused, id) = pause_worker(&world, Answer::Accept).await;
        let other = world.dispatcher(pace()).await;
        other.wire.hold(Some(Step::Accepted));
        other.wire.until_held(1).await;
        crate::reports::report(&world, id, ReportStatus::Delivered).await;
        let before = world.message(id).await;
        let after = resume(&world, paused, id).await;
        assert_eq!(changes(&before, &after), [""; 0]);
        other.wire.hold(None);
        other.go_down().await;
        let done = world.message(id).await;
        assert_eq!((done.progress.status, done.progress.attempt), (MessageStatus::Delivered, 2));
        assert!(done.provider_message_id.is_some());
        assert!(done.progress.sent_at.is_some());
    }

    /// Guard off: a claim that does not increment the attempt, so that the first worker's outcome matches the second's
    /// attempt.
    async fn without_the_attempt_number_the_zombie_wins(world: World) {
        let mut world = world;
        for (answer, expected) in [(Answer::Refuse, MessageStatus::Failed), (Answer::LostTaken, MessageStatus::Uncertain)] {
            world = fresh(world).await;
            let (paused, id) = pause_worker(&world, answer).await;
            let other = world.dispatcher(pace()).await;
            other.wire.hold(Some(Step::Accepted));
            other.wire.until_held(1).await;
            let before = world.message(id).await;
            world.db.run("UPDATE deliveries SET attempt = 1").await;
            let after = resume(&world, paused, id).await;
            assert_ne!(changes(&before, &after), [""; 0]);
            assert_eq!(after.progress.status, expected);
            other.wire.hold(None);
            other.go_down().await;
        }
    }
}

/// A worker that was paused between claim and hand-over does not call the provider, because another may have done so
/// already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_an_expired_lease_does_not_call_the_provider() {
    let world = World::new(Db::postgres().await).await;
    let id = world.send(Outgoing::to(1)).await.id;
    let lock = world.db.client().await;
    lock.batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    // It claims the delivery but cannot read the message.
    let _sleeper = world.dispatcher(pace()).await;
    parlance_testkit::eventually(SOON, async || {
        (world.db.count("deliveries WHERE state = 'claimed'").await == 1).then_some(())
    })
    .await;
    world.clock.advance(HOUR + SECOND);
    lock.batch_execute("COMMIT").await.unwrap();
    world.until_all_left().await;
    assert_eq!(world.provider.calls(), 1);
    let message = world.message(id).await;
    assert_eq!(
        (message.progress.status, message.progress.attempt),
        (MessageStatus::Sent, 2)
    );
    assert_eq!(world.event_violations(id).await, [""; 0]);
}
