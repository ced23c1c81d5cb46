//! Expiry: what never left expires, what may have left has failed.

use std::time::Duration;

use parlance_app::messages::DeliveryEventKind;
use parlance_app::senders::NewSender;
use parlance_domain::{Address, Channel, MessageStatus, SenderStatus};

use crate::support::world::OURS;
use crate::support::{Answer, HOUR, Outgoing, SECOND, SOON, World, pace};

on_both! {
    async fn what_was_never_handed_over_expires(world: World) {
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let in_time = world.send(Outgoing::to(2).until(world.now().plus(HOUR * 3))).await;
        world.clock.advance(HOUR);
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        assert_eq!(world.status(message.id).await, MessageStatus::Expired);
        assert_eq!(world.status(in_time.id).await, MessageStatus::Sent);
        assert_eq!(world.far.calls(), 1);
        let story = world.story(message.id).await;
        assert_eq!(story.len(), 1);
        assert_eq!((story[0].kind, story[0].status), (DeliveryEventKind::Expired, Some(MessageStatus::Expired)));
    }

    /// One that expires lets the next of its conversation go.
    async fn what_expires_frees_the_next(world: World) {
        world.send(Outgoing::to(1).body("1").until(world.now().plus(HOUR))).await;
        world.send(Outgoing::to(1).body("2")).await;
        world.clock.advance(HOUR);
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let bodies: Vec<String> = world.far.accepts().into_iter().map(|a| a.body).collect();
        assert_eq!(bodies, ["2"]);
    }

    async fn what_may_have_left_has_failed(world: World) {
        world.far.answers(|_, _| Answer::LostTaken);
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Uncertain).await;
        world.clock.advance(HOUR);
        let failed = world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(failed.progress.error.unwrap().code, "expired");
        assert_eq!(world.far.calls(), 1);
        // Its late receipt still counts.
        crate::reports::report(&world, message.id, parlance_domain::message::ReportStatus::Delivered).await;
        assert_eq!(world.status(message.id).await, MessageStatus::Delivered);
    }

    /// A wait before the next attempt ends when the message expires, not long after.
    async fn nobody_waits_longer_than_the_message_lives(world: World) {
        world.far.answers(|_, _| Answer::Later(Some(HOUR * 10)));
        let message = world.send(Outgoing::to(1).until(world.now().plus(HOUR))).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Sending).await;
        world.clock.advance(HOUR);
        parlance_testkit::eventually(SOON, async || (world.db.count("deliveries").await == 0).then_some(())).await;
        assert_eq!(world.status(message.id).await, MessageStatus::Failed);
        assert_eq!(world.far.calls(), 1);
    }

    async fn a_senders_default_counts_for_what_says_nothing(world: World) {
        let sender = NewSender {
            channel: Channel::Sms,
            address: Address::ours(Channel::Sms, OURS).unwrap(),
            provider: String::new(),
            credentials: String::new(),
            status: SenderStatus::Active,
            segments_per_second: 0,
            default_expiry: Some(Duration::from_mins(10)),
            reply_domain: String::new(),
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
