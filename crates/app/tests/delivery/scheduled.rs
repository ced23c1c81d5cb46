//! Messages that wait for their send time or for their sender.

use parlance_app::messages::MessageEdit;
use parlance_app::senders::{NewSender, SenderEdit};
use parlance_app::{Clock as _, Reason};
use parlance_domain::{Address, Channel, MessageId, MessageStatus, SenderStatus, Timestamp};

use crate::support::world::OURS;
use crate::support::{Dice, HOUR, Outgoing, SECOND, SOON, Step, World, pace, seed};

fn edit(id: MessageId) -> MessageEdit {
    MessageEdit {
        id,
        etag: None,
        metadata: None,
        body: None,
        send_at: None,
        expires_at: None,
    }
}

/// Returns the number of hand-overs before their send time.
fn too_early(world: &World, due: &[(MessageId, Timestamp)]) -> usize {
    let accepts = world.provider.accepts();
    let early = accepts.iter().filter(|accept| {
        due.iter()
            .any(|(id, at)| *id == accept.message && accept.at < *at)
    });
    early.count()
}

async fn sender(world: &World, status: SenderStatus) -> parlance_domain::Sender {
    let sender = NewSender {
        channel: Channel::Sms,
        address: Address::ours(Channel::Sms, OURS).unwrap(),
        provider: String::new(),
        credentials: String::new(),
        status,
        segments_per_second: 0,
        default_expiry: None,
        reply_domain: String::new(),
        messaging_service: String::new(),
    };
    world
        .front
        .create_sender(&world.owner, sender)
        .await
        .unwrap()
}

async fn set_status(world: &World, id: parlance_domain::SenderId, status: SenderStatus) {
    let edit = SenderEdit {
        id,
        etag: None,
        provider: None,
        credentials: None,
        status: Some(status),
        segments_per_second: None,
        default_expiry: None,
        reply_domain: None,
        messaging_service: None,
    };
    world.front.edit_sender(&world.owner, edit).await.unwrap();
}

on_both! {
    async fn are_sent_at_their_time(world: World) {
        let mut dice = Dice(seed("scheduled"));
        let start = world.now();
        let mut due = Vec::new();
        for customer in 0..40 {
            let at = start.plus(SECOND * u32::try_from(1 + dice.below(600)).unwrap());
            due.push((world.send(Outgoing::to(customer).at(at)).await.id, at));
        }
        let mut dispatchers = Vec::new();
        for _ in 0..3 {
            dispatchers.push(world.dispatcher(pace()).await);
        }
        for _ in 0..10 {
            world.clock.advance(SECOND * 60);
            let now = world.now();
            let expected = due.iter().filter(|(_, at)| *at <= now).count();
            parlance_testkit::eventually(SOON, async || (world.provider.accepts().len() >= expected).then_some(())).await;
            assert_eq!(world.provider.accepts().len(), expected);
        }
        world.until_all_left().await;
        assert_eq!(too_early(&world, &due), 0);
        // Guard off: a delivery that ignores its send time.
        let at = world.now().plus(HOUR);
        let ignored = world.send(Outgoing::to(99).at(at)).await.id;
        let other = world.send(Outgoing::to(98)).await.id;
        world.until_status(other, MessageStatus::Sent).await;
        let now = format!("UPDATE deliveries SET due_at = (SELECT created_at FROM messages WHERE id = {})", world.db.id(other));
        world.db.run(&now).await;
        world.until_status(ignored, MessageStatus::Sent).await;
        assert_eq!(too_early(&world, &[(ignored, at)]), 1);
    }

    async fn can_be_rescheduled_until_they_are_handed_over(world: World) {
        let start = world.now();
        let earlier = world.send(Outgoing::to(1).at(start.plus(HOUR * 2))).await.id;
        let later = world.send(Outgoing::to(2).at(start.plus(HOUR))).await.id;
        let now = world.send(Outgoing::to(3).at(start.plus(HOUR * 2))).await.id;
        let edits = [
            MessageEdit { send_at: Some(Some(start.plus(HOUR))), ..edit(earlier) },
            MessageEdit { send_at: Some(Some(start.plus(HOUR * 2))), body: Some("new".to_owned()), ..edit(later) },
            MessageEdit { send_at: Some(None), ..edit(now) },
        ];
        for edit in edits {
            world.front.edit_message(&world.owner, edit).await.unwrap();
        }
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(now, MessageStatus::Sent).await;
        world.clock.advance(HOUR + SECOND);
        world.until_status(earlier, MessageStatus::Sent).await;
        assert_eq!(world.status(later).await, MessageStatus::Scheduled);
        world.clock.advance(HOUR);
        world.until_status(later, MessageStatus::Sent).await;
        let order: Vec<_> = world.provider.accepts().into_iter().map(|a| (a.message, a.body)).collect();
        let hello = "hello".to_owned();
        assert_eq!(order, [(now, hello.clone()), (earlier, hello), (later, "new".to_owned())]);
    }

    /// A message that is being handed over cannot be edited.
    async fn cannot_be_edited_during_the_hand_over(world: World) {
        let message = world.send(Outgoing::to(1).at(world.now().plus(HOUR))).await;
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        world.clock.advance(HOUR);
        dispatcher.wire.until_held(1).await;
        let edits = [
            MessageEdit { body: Some("too late".to_owned()), ..edit(message.id) },
            MessageEdit { send_at: Some(Some(world.now().plus(HOUR))), ..edit(message.id) },
            MessageEdit { expires_at: Some(Some(world.now().plus(HOUR))), ..edit(message.id) },
        ];
        for edit in edits {
            let refused = world.front.edit_message(&world.owner, edit.clone()).await.unwrap_err();
            assert_eq!(refused.reason, Reason::MessageInFlight, "{edit:?}");
        }
        dispatcher.wire.hold(None);
        let sent = world.until_status(message.id, MessageStatus::Sent).await;
        assert_eq!(sent.body, world.provider.accepts()[0].body);
    }

    async fn wait_for_a_paused_sender(world: World) {
        let paused = sender(&world, SenderStatus::Paused).await;
        let _dispatcher = world.dispatcher(pace()).await;
        let sent = world.send_to_each(0..5, |outgoing| outgoing).await;
        // While no sender may send, there is no next due time; otherwise the dispatcher would poll continuously.
        assert_eq!(world.front.database().next_delivery_due().await.unwrap(), None);
        assert!(world.provider.accepts().is_empty());
        set_status(&world, paused.id, SenderStatus::Active).await;
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
        set_status(&world, paused.id, SenderStatus::Paused).await;
        let later = world.send(Outgoing::to(9).at(world.clock.now().plus(HOUR))).await;
        world.clock.advance(HOUR * 2);
        // Guard off: a delivery that ignores its sender's status would have left as these did.
        assert_eq!(world.front.database().next_delivery_due().await.unwrap(), None);
        assert_eq!(world.status(later.id).await, MessageStatus::Scheduled);
        set_status(&world, paused.id, SenderStatus::Active).await;
        world.until_status(later.id, MessageStatus::Sent).await;
    }
}
