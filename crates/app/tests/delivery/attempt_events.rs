//! Every attempt is told of once, whoever ends it: also one whose worker dies after a report has ended its job.

use parlance_app::messages::DeliveryEventKind;
use parlance_domain::message::ReportStatus;
use parlance_domain::{MessageId, MessageStatus};

use crate::reports::report;
use crate::support::{Answer, Dispatcher, HOUR, SECOND, Step, World, pace};

/// A dispatcher with as many messages in its hands, all of them with the provider and none of the outcomes written.
async fn under_way(world: &World, count: usize) -> Dispatcher {
    let dispatcher = world.mortal(pace()).await;
    dispatcher.wire.hold(Some(Step::Accepted));
    dispatcher.wire.until_held(count).await;
    dispatcher
}

/// The attempts that a message's story tells of, in its order.
async fn attempts(world: &World, id: MessageId) -> Vec<i32> {
    let story = world.story(id).await;
    let attempts = story
        .iter()
        .filter(|event| event.kind == DeliveryEventKind::Attempt);
    attempts.filter_map(|event| event.attempt).collect()
}

/// A successor finds nothing to do.
async fn nothing_is_left(world: &World) {
    let calls = world.far.calls();
    world.clock.advance(HOUR + SECOND);
    let successor = world.dispatcher(pace()).await;
    world.until_all_left().await;
    successor.go_down().await;
    assert_eq!(world.far.calls(), calls);
}

on_both! {
    async fn a_report_tells_of_the_attempt_that_it_ends(world: World) {
        let sent = world.send_to_each(0..8, |outgoing| outgoing).await;
        let dispatcher = under_way(&world, sent.len()).await;
        for &id in &sent {
            report(&world, id, ReportStatus::Delivered).await;
        }
        dispatcher.kill();
        nothing_is_left(&world).await;
        for id in sent {
            assert_eq!(world.status(id).await, MessageStatus::Delivered);
            assert_eq!(attempts(&world, id).await, [1]);
            assert_eq!(world.wrong_story(id).await, [""; 0]);
        }
    }

    /// No outcome comes after it that would tell of those before.
    async fn a_report_tells_of_the_attempts_whose_workers_were_lost(world: World) {
        let sent = world.send_to_each(0..8, |outgoing| outgoing).await;
        for _ in 0..2 {
            under_way(&world, sent.len()).await.kill();
            world.clock.advance(HOUR + SECOND);
        }
        let dispatcher = under_way(&world, sent.len()).await;
        for &id in &sent {
            report(&world, id, ReportStatus::Sent).await;
        }
        dispatcher.kill();
        nothing_is_left(&world).await;
        for id in sent {
            assert_eq!(attempts(&world, id).await, [1, 2, 3]);
        }
    }

    /// Whatever the provider said.
    async fn an_outcome_after_a_report_tells_it_no_second_time(world: World) {
        const ANSWERS: [Answer; 5] = [
            Answer::Accept, Answer::AcceptAs("the same"), Answer::Refuse, Answer::Later(None), Answer::LostTaken,
        ];
        world.far.answers(|text, _| ANSWERS[text.body.parse::<usize>().unwrap()]);
        let mut sent = Vec::new();
        for n in 0..ANSWERS.len() {
            sent.push(world.send(crate::support::Outgoing::to(n).body(n.to_string())).await.id);
        }
        let dispatcher = under_way(&world, sent.len()).await;
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
        nothing_is_left(&world).await;
    }

    /// Nobody has begun anything.
    async fn a_report_about_what_waits_tells_of_no_attempt(world: World) {
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        report(&world, id, ReportStatus::Sent).await;
        assert_eq!(attempts(&world, id).await, [0; 0]);
        nothing_is_left(&world).await;
    }

    /// What was written down is not told again.
    async fn a_report_about_what_waits_to_be_tried_again_tells_of_no_attempt(world: World) {
        world.far.answers(|_, _| Answer::Later(None));
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        let dispatcher = world.dispatcher(pace()).await;
        parlance_testkit::eventually(crate::support::SOON, async || {
            (world.db.count("deliveries WHERE state = 'waiting' AND attempt = 1").await == 1).then_some(())
        }).await;
        dispatcher.go_down().await;
        report(&world, id, ReportStatus::Delivered).await;
        assert_eq!(attempts(&world, id).await, [1]);
        nothing_is_left(&world).await;
    }
}
