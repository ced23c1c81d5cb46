//! Cancellation and deletion concurrent with claims: exactly one wins.

use std::sync::Arc;

use parlance_app::Reason;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::{DeleteMessage, MessageRef};
use parlance_domain::{MessageId, MessageStatus};

use crate::support::{Dice, HOUR, Outgoing, SECOND, Step, World, pace, scale, seed};

/// Returns the messages that were both cancelled and handed over, or neither.
async fn inconsistent(world: &World, requests: &[(MessageId, bool)]) -> Vec<String> {
    let mut inconsistent = Vec::new();
    for &(id, canceled) in requests {
        let (status, accepted) = (world.status(id).await, world.provider.accepted(id));
        let expected = if canceled {
            (MessageStatus::Canceled, 0)
        } else {
            (MessageStatus::Sent, 1)
        };
        if (status, accepted) != expected {
            inconsistent.push(format!(
                "{id}: cancelled {canceled}, {status}, accepted {accepted} times"
            ));
        }
    }
    inconsistent
}

on_both! {
    async fn either_the_cancellation_or_the_claim_wins(world: World) {
        let mut dice = Dice(seed("cancel"));
        let world = Arc::new(world);
        let due = world.now().plus(HOUR);
        let mut sent = Vec::new();
        for customer in 0..80 * scale() {
            let outgoing = Outgoing::to(customer / 2).body("1");
            let outgoing = if customer % 4 < 2 { outgoing.at(due) } else { outgoing };
            sent.push(world.send(outgoing).await.id);
        }
        dice.shuffle(&mut sent);
        world.clock.advance(HOUR);
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(parlance_app::delivery::Pace { workers: 2, batch: 2, ..pace() }).await);
        }
        let mut requests = Vec::new();
        for id in sent {
            let answer = world.front.cancel_message(&world.owner, CancelMessage { id }).await;
            if let Err(error) = &answer {
                assert!(matches!(error.reason, Reason::MessageInFlight | Reason::IllegalStatus), "{error}");
            }
            requests.push((id, answer.is_ok()));
        }
        world.until_all_left().await;
        assert_eq!(inconsistent(&world, &requests).await, [""; 0]);
        let won = requests.iter().filter(|(_, canceled)| *canceled).count();
        eprintln!("{won} of {} were cancelled", requests.len());
    }

    /// Guard off: a cancellation that does not check whether the delivery is claimed.
    async fn without_the_guard_both_win(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::RequestSent));
        let id = world.send(Outgoing::to(1)).await.id;
        dispatcher.wire.until_held(1).await;
        let refused = world.front.cancel_message(&world.owner, CancelMessage { id }).await.unwrap_err();
        assert_eq!(refused.reason, Reason::MessageInFlight);
        world.db.run("DELETE FROM deliveries").await;
        world.db.run("UPDATE messages SET status = 'canceled'").await;
        dispatcher.wire.hold(None);
        dispatcher.go_down().await;
        assert_ne!(inconsistent(&world, &[(id, true)]).await, [""; 0]);
    }

    async fn a_deleted_message_is_not_handed_over(world: World) {
        let ids = world.send_to_each(0..6, |outgoing| outgoing).await;
        let scheduled = world.send(Outgoing::to(7).at(world.now().plus(HOUR))).await.id;
        for id in ids.iter().copied().take(3).chain([scheduled]) {
            world.front.delete_message(&world.owner, DeleteMessage { id, etag: None }).await.unwrap();
        }
        world.clock.advance(HOUR + SECOND);
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        dispatcher.wire.until_held(3).await;
        let refused = world.front.delete_message(&world.owner, DeleteMessage { id: ids[5], etag: None }).await.unwrap_err();
        assert_eq!(refused.reason, Reason::MessageInFlight);
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        assert_eq!(world.provider.calls(), 3);
        let gone = world.front.message(&world.owner, &MessageRef::Id(ids[0]), None).await.unwrap_err();
        assert_eq!(gone.reason, Reason::MessageNotFound);
    }

    async fn a_deleted_conversation_sends_nothing(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let first = world.send(Outgoing::to(1).body("1")).await;
        for number in 2..6 {
            world.send(Outgoing::to(1).body(number.to_string())).await;
        }
        world.send(Outgoing::to(1).body("6").at(world.now().plus(HOUR))).await;
        dispatcher.wire.until_held(1).await;
        world.front.delete_conversation(&world.owner, first.conversation_id, None).await.unwrap();
        assert_eq!(world.db.count("deliveries").await, 0);
        dispatcher.wire.hold(None);
        world.clock.advance(HOUR + SECOND);
        let other = world.send(Outgoing::to(2).body("1")).await;
        world.until_status(other.id, MessageStatus::Sent).await;
        dispatcher.go_down().await;
        assert_eq!(world.provider.accepts().len(), 2, "the hand-over in progress, and the other message");
    }
}
