//! A dispatcher that is told to go down finishes what is under way and leaves the rest to others.

use parlance_app::delivery::Pace;
use parlance_domain::MessageStatus;

use crate::support::{SOON, Step, World, pace};

on_both! {
    async fn leaves_no_claimed_job_behind(world: World) {
        let sent = world.send_to_each(0..30, |outgoing| outgoing).await;
        let dispatcher = world.dispatcher(Pace { workers: 8, batch: 8, ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        dispatcher.wire.until_held(8).await;
        dispatcher.app.go_down();
        dispatcher.wire.hold(None);
        dispatcher.go_down().await;
        let left = world.db.count("deliveries").await;
        assert_eq!(world.db.count("deliveries WHERE state = 'claimed'").await, 0);
        assert_eq!((world.far.calls(), left), (8, 22));
        let _successor = world.dispatcher(pace()).await;
        world.until_all_left().await;
        let wrong = world.wrongs(&sent).await;
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(world.far.calls(), 30, "nothing waited for a lease");
    }

    /// Guard off: it is killed instead.
    async fn unless_it_is_killed(world: World) {
        world.send_to_each(0..30, |outgoing| outgoing).await;
        let dispatcher = world.mortal(Pace { workers: 8, batch: 8, ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        dispatcher.wire.until_held(8).await;
        dispatcher.kill();
        assert_eq!(world.db.count("deliveries WHERE state = 'claimed'").await, 8);
    }

    /// What takes long is shown to be on its way, and what takes too long counts as lost.
    async fn shows_what_takes_long(world: World) {
        let dispatcher = world.dispatcher(Pace { provider_timeout: std::time::Duration::from_secs(10), ..pace() }).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let id = world.send(crate::support::Outgoing::to(1)).await.id;
        let sending = world.until_status(id, MessageStatus::Sending).await;
        assert_eq!(sending.progress.attempt, 1);
        assert_eq!(world.story(id).await.len(), 0, "nothing has come of it yet");
        let lost = world.until_status(id, MessageStatus::Uncertain).await;
        assert_eq!(lost.progress.attempt, 1);
        assert_eq!((world.far.calls(), world.story(id).await.len()), (1, 1));
    }

    /// It goes though it has nothing to do and its next job is far away.
    async fn at_once_if_nothing_is_under_way(world: World) {
        let idle = world.dispatcher(Pace { poll: crate::support::HOUR, ..pace() }).await;
        // It has looked, and waits.
        parlance_testkit::eventually(SOON, async || (world.db.count("deliveries").await == 0).then_some(())).await;
        idle.go_down().await;
    }
}
