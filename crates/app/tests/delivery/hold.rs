//! Messages that are held, by an operator or after the database was restored.

use std::sync::Arc;

use parlance_app::delivery::CancelMessage;
use parlance_domain::MessageStatus;

use crate::support::{HOUR, Outgoing, SOON, World, pace};

async fn held(world: &World) -> i64 {
    let queues = world.front.queue_status().await.unwrap();
    queues
        .iter()
        .filter(|queue| queue.status == "held")
        .map(|queue| queue.depth)
        .sum()
}

on_both! {
    async fn held_messages_are_sent_when_released(world: World) {
        let sent = world.send_to_each(0..3, |outgoing| outgoing).await;
        let later = world.now().plus(HOUR);
        let scheduled = world.send(Outgoing::to(3).at(later)).await.id;
        let expiring = world.send(Outgoing::to(4).until(later)).await.id;
        let canceled = world.send(Outgoing::to(5)).await.id;
        assert_eq!(world.front.hold_delivery().await.unwrap(), 6);
        let dispatcher = world.dispatcher(pace()).await;
        let watch = tokio::spawn(Arc::clone(&dispatcher.app).run_restore_watch());

        // Sent later, one of them to the same customer.
        let (same, other) = (world.send(Outgoing::to(0)).await.id, world.send(Outgoing::to(9)).await.id);
        world.until_status(same, MessageStatus::Sent).await;
        world.until_status(other, MessageStatus::Sent).await;
        world.front.cancel_message(&world.owner, CancelMessage { id: canceled }).await.unwrap();
        world.clock.advance(HOUR + HOUR);
        dispatcher.until_tried_again().await;
        assert_eq!((world.provider.calls(), held(&world).await), (2, 5));
        assert_eq!(world.status(scheduled).await, MessageStatus::Scheduled);

        assert_eq!(world.front.release_hold().await.unwrap(), 5);
        for id in sent.into_iter().chain([scheduled]) {
            world.until_status(id, MessageStatus::Sent).await;
        }
        world.until_status(expiring, MessageStatus::Expired).await;
        assert_eq!(world.status(canceled).await, MessageStatus::Canceled);
        world.until_all_left().await;
        assert_eq!((world.provider.calls(), held(&world).await, world.stranded().await), (6, 0, 0));
        dispatcher.app.go_down();
        tokio::time::timeout(SOON, watch).await.unwrap().unwrap();
    }

    /// A dispatcher starts on a copy of a database with waiting messages, which may have been sent already.
    async fn a_dispatcher_holds_waiting_messages_of_a_restored_database(world: World) {
        let old = world.send(Outgoing::to(1)).await.id;
        world.db.run("UPDATE installation SET database = 'another', server = 'another'").await;
        let held_here = world.db.settings.hold_after_restore;
        let dispatcher = world.dispatcher(pace()).await;
        let waits = i64::from(held_here);
        parlance_testkit::eventually(SOON, async || {
            let settled = world.db.count("installation WHERE database <> 'another'").await == 1;
            (settled && held(&world).await == waits).then_some(())
        })
        .await;
        let new = world.send(Outgoing::to(2)).await.id;
        world.until_status(new, MessageStatus::Sent).await;
        dispatcher.until_tried_again().await;
        if held_here {
            assert_eq!((world.status(old).await, held(&world).await), (MessageStatus::Pending, 1));
        } else {
            world.until_status(old, MessageStatus::Sent).await;
        }
    }
}
