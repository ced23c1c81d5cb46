//! A message that cannot be written or read does not delay the others of its batch.

use parlance_domain::MessageStatus;
use parlance_storage::feed::FeedProgress;

use crate::support::{Answer, Kind, Outgoing, SOON, Step, World, pace};

on_both! {
    /// A provider that assigns one id to two messages.
    async fn a_duplicate_provider_id_does_not_fail_the_batch(world: World) {
        world.provider.answers(|text, _| {
            let same = text.to.ends_with('2') || text.to.ends_with('5');
            if same { Answer::AcceptAs("the same") } else { Answer::Accept }
        });
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let sent = world.send_to_each(0..10, |outgoing| outgoing).await;
        dispatcher.wire.until_held(10).await;
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(world.provider.calls(), 10);
        let mut with_it = 0;
        for &id in &sent {
            let message = world.message(id).await;
            match message.provider_message_id.as_deref() {
                Some("the same") => with_it += 1,
                Some(own) => assert_eq!(own, format!("fake-{id}")),
                None => {
                    let events = world.delivery_events(id).await;
                    assert!(events.last().unwrap().detail.contains("the same"), "{events:#?}");
                }
            }
        }
        assert_eq!(with_it, 1);
    }

    /// An id that cannot be stored. The messages are accepted, and not handed over again.
    async fn an_invalid_provider_id_does_not_fail_the_batch(world: World) {
        let too_long: &'static str = "x".repeat(256).leak();
        world.provider.answers(move |text, _| match text.body.as_str() {
            "empty" => Answer::AcceptAs(""),
            "nul" => Answer::AcceptAs("a\0b"),
            "long" => Answer::AcceptAs(too_long),
            _ => Answer::Accept,
        });
        let dispatcher = world.dispatcher(pace()).await;
        dispatcher.wire.hold(Some(Step::Accepted));
        let mut sent = Vec::new();
        for (customer, body) in ["empty", "nul", "long", "valid"].into_iter().enumerate() {
            sent.push(world.send(Outgoing::to(customer).body(body)).await.id);
        }
        dispatcher.wire.until_held(sent.len()).await;
        dispatcher.wire.hold(None);
        world.until_all_left().await;
        let violations = world.violations(&sent).await;
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(world.provider.calls(), sent.len());
        let (valid, invalid) = sent.split_last().unwrap();
        assert_eq!(world.message(*valid).await.provider_message_id, Some(format!("fake-{valid}")));
        for &id in invalid {
            assert_eq!(world.message(id).await.provider_message_id, None);
            let events = world.delivery_events(id).await;
            assert!(events.last().unwrap().detail.ends_with("no valid id"), "{events:#?}");
        }
    }

    /// The outcomes of an attempt that lost its lease and of its successor, written in one batch.
    async fn only_the_current_attempt_can_finish_a_delivery(world: World) {
        let id = world.send(Outgoing::to(1)).await.id;
        let database = world.front.database();
        database.settle_identity(FeedProgress::default()).await.unwrap();
        for attempt in 1..=2 {
            let now = world.now();
            let claimed = database.claim_deliveries(now, now.plus(SOON), 10).await.unwrap();
            assert_eq!(claimed.claims[0].attempt, attempt);
            world.clock.advance(crate::support::HOUR);
        }
        let mut tx = database.begin(&world.owner, world.now()).await.unwrap();
        let finished = tx.finish_deliveries(&[(id, 1), (id, 2)]).await.unwrap();
        assert_eq!(Vec::from_iter(finished), [(id, 2)]);
        tx.rollback().await.unwrap();
    }

    async fn an_unreadable_row_does_not_delay_others(world: World) {
        unreadable(world, false).await;
    }

    async fn an_unreadable_scheduled_row_does_not_delay_others(world: World) {
        unreadable(world, true).await;
    }
}

/// A row with a value that the service never writes.
async fn unreadable(world: World, scheduled: bool) {
    let due = world.now().plus(crate::support::SECOND);
    let sent = world
        .send_to_each(0..10, |outgoing| {
            if scheduled {
                outgoing.at(due)
            } else {
                outgoing
            }
        })
        .await;
    let (bad, good) = (sent[4], [&sent[..4], &sent[5..]].concat());
    let json = if world.db.kind == Kind::Sqlite {
        "'{\"x\": 1}'"
    } else {
        "'{\"x\": 1}'::jsonb"
    };
    world
        .db
        .run(&format!(
            "UPDATE messages SET cc_addresses = {json} WHERE id = {}",
            world.db.id(bad)
        ))
        .await;
    world.clock.advance(crate::support::SECOND);
    let dispatcher = world.dispatcher(pace()).await;
    parlance_testkit::eventually(SOON, async || {
        (world.db.count("deliveries").await == 1).then_some(())
    })
    .await;
    let violations = world.violations(&good).await;
    assert!(violations.is_empty(), "{violations:#?}");
    let good = if world.db.kind == Kind::Sqlite {
        "'[]'"
    } else {
        "'[]'::jsonb"
    };
    world
        .db
        .run(&format!("UPDATE messages SET cc_addresses = {good}"))
        .await;
    world.clock.advance(crate::support::HOUR);
    let sent = world.until_status(bad, MessageStatus::Sent).await;
    assert_eq!(sent.progress.attempt, 1, "no attempt was lost");
    dispatcher.go_down().await;
}
