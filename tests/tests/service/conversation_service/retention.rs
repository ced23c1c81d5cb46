//! `RETENTION_DAYS`: messages past their retention are deleted, as by a client.

use parlance_proto::v1::{self, EventType};
use parlance_testkit::eventually;
use parlance_tests::make::{self, inbound_sms};
use parlance_tests::{Caller, Kind, SOON, Service};

const DAY: i64 = 86_400;

/// The current time by the service's clock.
async fn now(t: &Caller) -> prost_types::Timestamp {
    let sent = t.ok(make::chat("", "what time is it?")).await;
    t.ok(make::delete_conversation(&sent.conversation_id)).await;
    sent.created_at.unwrap()
}

async fn expired_messages_are_deleted(kind: Kind) {
    let first = Service::start(kind).await;
    let t = Caller::at(&first);
    let (expired, mixed) = (make::phones(), make::phones());
    let now = now(&t).await;
    let received = |pair, days| {
        let seconds = now.seconds - days * DAY;
        let received_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
        v1::ReceiveMessageRequest {
            received_at,
            ..inbound_sms(pair, "hi")
        }
    };
    let mut past = Vec::new();
    for days in [90, 60, 31] {
        past.push(t.ok(received(&expired, days)).await);
    }
    past.push(t.ok(received(&mixed, 40)).await);
    let retained = t.ok(received(&mixed, 29)).await;
    let before = t.stats("").await;
    assert_eq!(
        (
            before.conversation_count,
            before.message_count,
            before.unread_count
        ),
        (2, 5, 5)
    );

    // Retention runs at each start.
    first.kill9();
    let url = first.database_url();
    let service = Service::over(url, |builder| builder.env("RETENTION_DAYS", "30")).await;
    let t = Caller::as_owner(&service, t.owner());
    eventually(SOON, async || {
        (t.stats("").await.message_count == 1).then_some(())
    })
    .await;
    for message in &past {
        assert_eq!(
            t.refused(make::get_message(&message.id)).await.code,
            tonic::Code::NotFound
        );
    }
    eventually(SOON, async || {
        (t.stats("").await.conversation_count == 1).then_some(())
    })
    .await;
    let gone = t
        .refused(make::get_conversation(&past[0].conversation_id))
        .await;
    assert_eq!(gone.code, tonic::Code::NotFound);
    assert_eq!(t.message(&retained.id).await, retained);
    let conversation = t.conversation(&retained.conversation_id).await;
    assert_eq!(
        (conversation.message_count, conversation.unread_count),
        (1, 1)
    );
    assert_eq!(t.stats("").await, t.stats_by_reading("").await);

    let mut events = t.watch_from("0").await;
    let mut deleted = Vec::new();
    while deleted.len() < past.len() {
        let event = events.next().await.unwrap();
        if event.r#type() == EventType::MessageDeleted {
            deleted.push(event.message_id);
        }
    }
    let mut expected: Vec<_> = past.into_iter().map(|message| message.id).collect();
    deleted.sort();
    expected.sort();
    assert_eq!(deleted, expected, "one event for each");
}

#[tokio::test]
async fn expired_messages_are_deleted_sqlite() {
    expired_messages_are_deleted(Kind::Sqlite).await;
}

#[tokio::test]
async fn expired_messages_are_deleted_postgres() {
    expired_messages_are_deleted(Kind::Postgres).await;
}

/// The age of an imported message counts from its own time, not from the import.
async fn imported_messages_expire_by_their_own_time(kind: Kind) {
    let mut service =
        Service::start_with(kind, |builder| builder.env("RETENTION_DAYS", "30")).await;
    let t = Caller::at(&service);
    assert_eq!(
        t.imported(vec![make::imported_chat("s", &["1", "2"])])
            .await,
        (1, 2, 0)
    );
    service.kill9();
    service.start_again().await;
    let t = Caller::as_owner(&service, t.owner());
    eventually(SOON, async || {
        (t.stats("").await == v1::Stats::default()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn imported_messages_expire_by_their_own_time_sqlite() {
    imported_messages_expire_by_their_own_time(Kind::Sqlite).await;
}

#[tokio::test]
async fn imported_messages_expire_by_their_own_time_postgres() {
    imported_messages_expire_by_their_own_time(Kind::Postgres).await;
}
