//! A dispatcher that shuts down completes its hand-overs and leaves the rest to others.

use parlance_app::delivery::Pace;
use parlance_domain::MessageStatus;

use crate::support::{SOON, Step, World, pace};

on_both! {
    async fn leaves_no_claimed_delivery(world: World) {
        let sent = world.send_to_each(0..30, |outgoing| outgoing).await;
        let dispatcher = world.dispatcher(Pace { workers: 8, batch: 8, ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        dispatcher.wire.until_held(8).await;
        dispatcher.app.go_down();
        dispatcher.wire.hold(None);
        dispatcher.go_down().await;
        let left = world.db.count("deliveries").await;
        assert_eq!(world.db.count("deliveries WHERE state = 'claimed'").await, 0);
        assert_eq!((world.provider.calls(), left), (8, 22));
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(world.provider.calls(), 30, "no delivery waited for a lease to expire");
    }

    /// Guard off: it is killed instead.
    async fn a_killed_dispatcher_leaves_claims(world: World) {
        world.send_to_each(0..30, |outgoing| outgoing).await;
        let dispatcher = world.killable_dispatcher(Pace { workers: 8, batch: 8, ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        dispatcher.wire.until_held(8).await;
        dispatcher.kill();
        assert_eq!(world.db.count("deliveries WHERE state = 'claimed'").await, 8);
    }

    /// A hand-over that takes long is shown as SENDING, and one that exceeds the time-out as UNCERTAIN.
    async fn long_hand_overs_are_visible(world: World) {
        let dispatcher = world.dispatcher(Pace { provider_timeout: std::time::Duration::from_secs(10), ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        let sending = world.until_status(id, MessageStatus::Sending).await;
        assert_eq!(sending.progress.attempt, 1);
        assert_eq!(world.delivery_events(id).await.len(), 0, "there is no outcome yet");
        let lost = world.until_status(id, MessageStatus::Uncertain).await;
        assert_eq!(lost.progress.attempt, 1);
        assert_eq!((world.provider.calls(), world.delivery_events(id).await.len()), (1, 1));
    }

    /// It shuts down although it is idle and its next delivery is due much later.
    async fn an_idle_dispatcher_shuts_down_at_once(world: World) {
        let idle = world.dispatcher(Pace { poll: crate::support::HOUR, ..pace() }).await;
        // It has polled once and waits.
        parlance_testkit::eventually(SOON, async || (world.db.count("deliveries").await == 0).then_some(())).await;
        idle.go_down().await;
    }
}
