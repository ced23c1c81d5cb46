//! When an attempt fails: again later, by the schedule, not for ever.

use std::time::Duration;

use parlance_app::delivery::Pace;
use parlance_domain::{MessageId, MessageStatus};

use crate::support::{Answer, HOUR, Outgoing, SECOND, SOON, World, pace};

/// When the jobs are due, from now.
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
        let waiting = world.db.count("deliveries WHERE state = 'waiting'").await;
        (world.far.calls() == calls && waiting == count).then_some(())
    })
    .await;
}

async fn error_of(world: &World, id: MessageId) -> String {
    world.message(id).await.progress.error.unwrap().code
}

on_both! {
    /// Full jitter: anywhere between at once and twice as long as the last time, so that what failed together comes back apart.
    async fn come_back_apart(world: World) {
        const COUNT: usize = 60;
        world.far.answers(|_, _| Answer::Later(None));
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
            assert_eq!(world.wrong_story(id).await, [""; 0]);
        }
    }

    async fn honour_what_the_provider_asks(world: World) {
        world.far.answers(|_, before| if before == 0 { Answer::Later(Some(HOUR)) } else { Answer::Accept });
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        until_waiting(&world, 1, 1).await;
        let asked = i64::try_from(HOUR.as_micros()).unwrap();
        assert_eq!(dues(&world).await, [asked]);
        world.clock.advance(HOUR.checked_sub(Duration::from_micros(1)).unwrap());
        // Somebody else's way shows that the dispatcher has looked.
        let other = world.send(Outgoing::to(2)).await;
        parlance_testkit::eventually(SOON, async || (world.far.calls() == 2).then_some(())).await;
        assert_eq!(world.far.accepted(message.id), 0);
        world.clock.advance(HOUR);
        world.until_all_left().await;
        assert_eq!((world.far.accepted(message.id), world.far.accepted(other.id)), (1, 1));
    }

    async fn after_a_lost_answer_wait_for_a_report_first(world: World) {
        world.far.answers(|_, _| Answer::LostUntaken);
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        until_waiting(&world, 1, 1).await;
        let due = dues(&world).await[0];
        assert!((5_000_000..6_000_000).contains(&due), "{due}");
        assert_eq!(world.status(message.id).await, MessageStatus::Uncertain);
    }

    async fn end_with_the_last_error(world: World) {
        world.far.answers(|text, _| if text.body == "later" { Answer::Later(None) } else { Answer::LostUntaken });
        let later = world.send(Outgoing::to(1).body("later")).await.id;
        let lost = world.send(Outgoing::to(2).body("lost")).await.id;
        let _dispatcher = world.dispatcher(Pace { max_attempts: 4, ..pace() }).await;
        parlance_testkit::eventually(SOON, async || {
            world.clock.advance(SECOND * 10);
            (world.db.count("deliveries").await == 0).then_some(())
        }).await;
        assert_eq!(world.far.calls(), 8);
        for (id, code) in [(later, "throttled"), (lost, "timeout")] {
            let message = world.message(id).await;
            assert_eq!((message.progress.status, message.progress.attempt), (MessageStatus::Failed, 4));
            assert_eq!(error_of(&world, id).await, code);
            assert_eq!(world.wrong_story(id).await, [""; 0]);
        }
    }

    async fn of_a_refusal_there_are_none(world: World) {
        world.far.answers(|_, _| Answer::Refuse);
        let message = world.send(Outgoing::to(1)).await;
        let _dispatcher = world.dispatcher(pace()).await;
        world.until_status(message.id, MessageStatus::Failed).await;
        assert_eq!(error_of(&world, message.id).await, "refused");
        assert_eq!((world.far.calls(), world.db.count("deliveries").await), (1, 0));
    }

    async fn under_at_most_once_a_lost_answer_has_none(world: World) {
        world.far.answers(|text, before| match (text.body.as_str(), before) {
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
        assert_eq!((world.far.accepted(lost), world.far.accepted(later)), (1, 1));
    }
}
