//! Every attempt is recorded exactly once, whichever component ends it; also if its worker is killed after a report has
//! ended the delivery.

use parlance_app::messages::DeliveryEventKind;
use parlance_domain::message::ReportStatus;
use parlance_domain::{MessageId, MessageStatus};

use crate::reports::report;
use crate::support::{Answer, Dispatcher, HOUR, SECOND, Step, World, pace};

/// Starts a dispatcher in which this many messages are with the provider and no outcome is written.
async fn in_hand_over(world: &World, count: usize) -> Dispatcher {
    let dispatcher = world.killable_dispatcher(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    dispatcher.wire.until_held(count).await;
    dispatcher
}

/// Returns the attempts among a message's events, in order.
async fn attempts(world: &World, id: MessageId) -> Vec<i32> {
    let events = world.delivery_events(id).await;
    let attempts = events
        .iter()
        .filter(|event| event.kind == DeliveryEventKind::Attempt);
    attempts.filter_map(|event| event.attempt).collect()
}

/// Checks that a successor has nothing to do.
async fn check_nothing_left(world: &World) {
    let calls = world.provider.calls();
    world.clock.advance(HOUR + SECOND);
    let successor = world.dispatcher(pace()).await;
    world.until_all_left().await;
    successor.go_down().await;
    assert_eq!(world.provider.calls(), calls);
}

on_both! {
    async fn a_report_records_the_attempt_that_it_ends(world: World) {
        let sent = world.send_to_each(0..8, |outgoing| outgoing).await;
        let dispatcher = in_hand_over(&world, sent.len()).await;
        for &id in &sent {
            report(&world, id, ReportStatus::Delivered).await;
        }
        dispatcher.kill();
        check_nothing_left(&world).await;
        for id in sent {
            assert_eq!(world.status(id).await, MessageStatus::Delivered);
            assert_eq!(attempts(&world, id).await, [1]);
            assert_eq!(world.event_violations(id).await, [""; 0]);
        }
    }

    /// There is no later outcome that would record the earlier attempts.
    async fn a_report_records_the_attempts_of_lost_workers(world: World) {
        let sent = world.send_to_each(0..8, |outgoing| outgoing).await;
        for _ in 0..2 {
            in_hand_over(&world, sent.len()).await.kill();
            world.clock.advance(HOUR + SECOND);
        }
        let dispatcher = in_hand_over(&world, sent.len()).await;
        for &id in &sent {
            report(&world, id, ReportStatus::Sent).await;
        }
        dispatcher.kill();
        check_nothing_left(&world).await;
        for id in sent {
            assert_eq!(attempts(&world, id).await, [1, 2, 3]);
        }
    }

    /// For every response of the provider.
    async fn an_outcome_after_a_report_is_not_recorded_twice(world: World) {
        const ANSWERS: [Answer; 5] = [
            Answer::Accept, Answer::AcceptAs("the same"), Answer::Refuse, Answer::Later(None), Answer::LostTaken,
        ];
        world.provider.answers(|text, _| ANSWERS[text.body.parse::<usize>().unwrap()]);
        let mut sent = Vec::new();
        for n in 0..ANSWERS.len() {
            sent.push(world.send(crate::support::Outgoing::to(n).body(n.to_string())).await.id);
        }
        let dispatcher = in_hand_over(&world, sent.len()).await;
        for &id in &sent {
            report(&world, id, ReportStatus::Delivered).await;
        }
        dispatcher.wire.hold(None);
        dispatcher.go_down().await;
        for (id, answer) in sent.into_iter().zip(ANSWERS) {
            let message = world.message(id).await;
            assert_eq!((message.progress.status, message.progress.attempt), (MessageStatus::Delivered, 1), "{answer:?}");
            assert_eq!(attempts(&world, id).await, [1], "{answer:?}");
            let named = matches!(answer, Answer::Accept | Answer::AcceptAs(_));
            assert_eq!(message.provider_message_id.is_some(), named, "{answer:?}");
        }
        check_nothing_left(&world).await;
    }

    /// No attempt has started.
    async fn a_report_about_a_waiting_message_records_no_attempt(world: World) {
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        report(&world, id, ReportStatus::Sent).await;
        assert_eq!(attempts(&world, id).await, [0; 0]);
        check_nothing_left(&world).await;
    }

    /// A recorded attempt is not recorded again.
    async fn a_report_before_a_retry_records_no_attempt(world: World) {
        world.provider.answers(|_, _| Answer::Later(None));
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        let dispatcher = world.dispatcher(pace()).await;
        parlance_testkit::eventually(crate::support::SOON, async || {
            (world.db.count("deliveries WHERE state = 'waiting' AND attempt = 1").await == 1).then_some(())
        }).await;
        dispatcher.go_down().await;
        report(&world, id, ReportStatus::Delivered).await;
        assert_eq!(attempts(&world, id).await, [1]);
        check_nothing_left(&world).await;
    }
}
