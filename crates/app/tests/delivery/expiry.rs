//! Expiry: a message that was never handed over becomes EXPIRED, one that may have been handed over becomes FAILED.

use std::time::Duration;

use parlance_app::messages::DeliveryEventKind;
use parlance_app::senders::NewSender;
use parlance_domain::{Address, Channel, MessageStatus, SenderStatus};

use crate::support::world::OURS;
use crate::support::{Answer, HOUR, Outgoing, SECOND, SOON, World, pace};

on_both! {
    async fn a_message_never_handed_over_expires(world: World) {
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let in_time = world.send(Outgoing::to(2).until(world.now().plus(HOUR * 3))).await;
        world.clock.advance(HOUR);
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        assert_eq!(world.status(message.id).await, MessageStatus::Expired);
        assert_eq!(world.status(in_time.id).await, MessageStatus::Sent);
        assert_eq!(world.provider.calls(), 1);
        let events = world.delivery_events(message.id).await;
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].kind, events[0].status), (DeliveryEventKind::Expired, Some(MessageStatus::Expired)));
    }

    /// An expired message unblocks the next of its conversation.
    async fn an_expired_message_unblocks_the_next(world: World) {
        world.send(Outgoing::to(1).body("1").until(world.now().plus(HOUR))).await;
        world.send(Outgoing::to(1).body("2")).await;
        world.clock.advance(HOUR);
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let bodies: Vec<String> = world.provider.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["2"]);
    }

    async fn a_message_possibly_handed_over_fails(world: World) {
        world.provider.answers(|_, _| Answer::LostTaken);
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Uncertain).await;
        world.clock.advance(HOUR);
        let failed = world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(failed.progress.error.unwrap().code, "expired");
        assert_eq!(world.provider.calls(), 1);
        // A late receipt still counts.
        crate::reports::report(&world, message.id, parlance_domain::message::ReportStatus::Delivered).await;
        assert_eq!(world.status(message.id).await, MessageStatus::Delivered);
    }

    /// The wait for the next attempt ends when the message expires.
    async fn no_wait_outlasts_the_expiry(world: World) {
        world.provider.answers(|_, _| Answer::Later(Some(HOUR * 10)));
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Sending).await;
        world.clock.advance(HOUR);
        parlance_testkit::eventually(SOON, async || (world.db.count("deliveries").await == 0).then_some(())).await;
        assert_eq!(world.status(message.id).await, MessageStatus::Failed);
        assert_eq!(world.provider.calls(), 1);
    }

    async fn the_senders_default_applies_without_expires_at(world: World) {
        let sender = NewSender {
            channel: Channel::Sms,
            address: Address::ours(Channel::Sms, OURS).unwrap(),
            provider: String::new(),
            credentials: String::new(),
            status: SenderStatus::Active,
            segments_per_second: 0,
            default_expiry: Some(Duration::from_mins(10)),
            reply_domain: String::new(),
            messaging_service: String::new(),
        };
        world.front.create_sender(&world.owner, sender).await.unwrap();
        let plain = world.send(Outgoing::to(1)).await;
        let later = world.send(Outgoing::to(2).at(world.now().plus(HOUR))).await;
        let own = world.send(Outgoing::to(3).until(world.now().plus(HOUR))).await;
        let start = world.now();
        assert_eq!(plain.expires_at, Some(start.plus(SECOND * 600)));
        assert_eq!(later.expires_at, Some(start.plus(HOUR + SECOND * 600)));
        assert_eq!(own.expires_at, Some(start.plus(HOUR)));
        world.clock.advance(SECOND * 600);
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(plain.id, MessageStatus::Expired).await;
        world.until_status(own.id, MessageStatus::Sent).await;
        world.clock.advance(HOUR);
        world.until_status(later.id, MessageStatus::Expired).await;
    }
}
