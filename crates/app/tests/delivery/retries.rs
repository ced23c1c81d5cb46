//! Failed attempts are retried later, according to the schedule, a limited number of times.

use std::time::Duration;

use parlance_app::delivery::Pace;
use parlance_domain::{MessageId, MessageStatus};

use crate::support::{Answer, HOUR, Outgoing, SECOND, SOON, World, pace};

/// Due times of the deliveries, relative to now.
async fn dues(world: &World) -> Vec<i64> {
    let micros = match world.db.kind {
        crate::support::Kind::Sqlite => "due_at",
        crate::support::Kind::Postgres => "CAST(extract(epoch FROM due_at) * 1000000 AS bigint)",
    };
    let sql = format!(
        "SELECT CAST({micros} AS text) AS v FROM deliveries WHERE state = 'waiting' ORDER BY due_at"
    );
    let due = world.db.texts(&sql).await;
    due.iter()
        .map(|due| due.parse::<i64>().unwrap() - world.now().as_micros())
        .collect()
}

async fn until_waiting(world: &World, count: usize, calls: usize) {
    parlance_testkit::eventually(SOON, async || {
        // Read first: a delivery also waits before its claim, which a call in between would hide.
        let called = world.provider.calls();
        let waiting = world.db.count("deliveries WHERE state = 'waiting'").await;
        (called == calls && waiting == count).then_some(())
    })
    .await;
}

async fn error_of(world: &World, id: MessageId) -> String {
    world.message(id).await.progress.error.unwrap().code
}

on_both! {
    /// Full jitter: the delay is between zero and twice the previous maximum, so that deliveries that failed together
    /// are retried apart.
    async fn are_spread_by_jitter(world: World) {
        const COUNT: usize = 60;
        world.provider.answers(|_, _| Answer::Later(None));
        let sent = world.send_to_each(0..COUNT, |outgoing| outgoing).await;
        let _dispatcher = world.dispatcher(pace()).await;
        for attempt in 1..=5 {
            until_waiting(&world, COUNT, COUNT * attempt).await;
            let dues = dues(&world).await;
            let longest = 1_000_000 << (attempt - 1);
            assert!(dues.iter().all(|due| (0..longest).contains(due)), "attempt {attempt}: {dues:?}");
            assert!(dues[0] < longest / 4 && dues[COUNT - 1] > longest / 4 * 3, "attempt {attempt}: {dues:?}");
            world.clock.advance(Duration::from_micros(u64::try_from(longest).unwrap()));
        }
        until_waiting(&world, COUNT, COUNT * 6).await;
        for id in sent {
            let message = world.message(id).await;
            assert_eq!((message.progress.status, message.progress.attempt), (MessageStatus::Sending, 6));
            assert_eq!(world.event_violations(id).await, [""; 0]);
        }
    }

    async fn honour_the_providers_delay(world: World) {
        world.provider.answers(|_, before| if before == 0 { Answer::Later(Some(HOUR)) } else { Answer::Accept });
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        until_waiting(&world, 1, 1).await;
        let delay = i64::try_from(HOUR.as_micros()).unwrap();
        assert_eq!(dues(&world).await, [delay]);
        world.clock.advance(HOUR.checked_sub(Duration::from_micros(1)).unwrap());
        // The delivery of another message shows that the dispatcher has polled.
        let other = world.send(Outgoing::to(2)).await;
        parlance_testkit::eventually(SOON, async || (world.provider.calls() == 2).then_some(())).await;
        assert_eq!(world.provider.accepted(message.id), 0);
        world.clock.advance(HOUR);
        world.until_all_left().await;
        assert_eq!((world.provider.accepted(message.id), world.provider.accepted(other.id)), (1, 1));
    }

    async fn after_a_lost_response_wait_for_a_report_first(world: World) {
        world.provider.answers(|_, _| Answer::LostUntaken);
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        until_waiting(&world, 1, 1).await;
        let due = dues(&world).await[0];
        assert!((5_000_000..6_000_000).contains(&due), "{due}");
        assert_eq!(world.status(message.id).await, MessageStatus::Uncertain);
    }

    async fn end_with_the_last_error(world: World) {
        world.provider.answers(|text, _| if text.body == "later" { Answer::Later(None) } else { Answer::LostUntaken });
        let later = world.send(Outgoing::to(1).body("later")).await.id;
        let lost = world.send(Outgoing::to(2).body("lost")).await.id;
        let _dispatcher = world.dispatcher(Pace { max_attempts: 4, ..pace() }).await;
        parlance_testkit::eventually(SOON, async || {
            world.clock.advance(SECOND * 10);
            (world.db.count("deliveries").await == 0).then_some(())
        }).await;
        assert_eq!(world.provider.calls(), 8);
        for (id, code) in [(later, "throttled"), (lost, "timeout")] {
            let message = world.message(id).await;
            assert_eq!((message.progress.status, message.progress.attempt), (MessageStatus::Failed, 4));
            assert_eq!(error_of(&world, id).await, code);
            assert_eq!(world.event_violations(id).await, [""; 0]);
        }
    }

    async fn do_not_follow_a_refusal(world: World) {
        world.provider.answers(|_, _| Answer::Refuse);
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(error_of(&world, message.id).await, "refused");
        assert_eq!((world.provider.calls(), world.db.count("deliveries").await), (1, 0));
    }

    async fn do_not_follow_a_lost_response_with_at_most_once(world: World) {
        world.provider.answers(|text, before| match (text.body.as_str(), before) {
            ("later", 0) => Answer::Later(None),
            ("later", _) => Answer::Accept,
            _ => Answer::LostTaken,
        });
        let lost = world.send(Outgoing::to(1).at_most_once()).await.id;
        let later = world.send(Outgoing::to(2).body("later").at_most_once()).await.id;
        let _dispatcher = world.dispatcher(pace()).await;
        parlance_testkit::eventually(SOON, async || {
            world.clock.advance(SECOND);
            (world.db.count("deliveries").await == 0).then_some(())
        }).await;
        assert_eq!(world.status(lost).await, MessageStatus::Uncertain);
        assert_eq!(world.status(later).await, MessageStatus::Sent);
        assert_eq!((world.provider.accepted(lost), world.provider.accepted(later)), (1, 1));
    }
}
