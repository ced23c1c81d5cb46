//! What is past its time is dropped, as if somebody had deleted it.

use parlance_proto::v1::{self, EventType};
use parlance_testkit::eventually;
use parlance_tests::make::{self, from_them};
use parlance_tests::{Caller, Kind, SOON, Service};

const DAY: i64 = 86_400;

/// By the service's clock.
async fn now(t: &Caller) -> prost_types::Timestamp {
    let said = t.ok(make::chat("", "what time is it?")).await;
    t.ok(make::delete_conversation(&said.conversation_id)).await;
    said.created_at.unwrap()
}

async fn is_dropped(kind: Kind) {
    let first = Service::start(kind).await;
    let t = Caller::at(&first);
    let (old, mixed) = (make::phones(), make::phones());
    let now = now(&t).await;
    let came = |pair, days| {
        let seconds = now.seconds - days * DAY;
        let received_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
        v1::ReceiveMessageRequest {
            received_at,
            ..from_them(pair, "hi")
        }
    };
    let mut past = Vec::new();
    for days in [90, 60, 31] {
        past.push(t.ok(came(&old, days)).await);
    }
    past.push(t.ok(came(&mixed, 40)).await);
    let kept = t.ok(came(&mixed, 29)).await;
    let before = t.stats("").await;
    assert_eq!(
        (
            before.conversation_count,
            before.message_count,
            before.unread_count
        ),
        (2, 5, 5)
    );

    // The janitor looks around at each start.
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
    assert_eq!(t.message(&kept.id).await, kept);
    let place = t.conversation(&kept.conversation_id).await;
    assert_eq!((place.message_count, place.unread_count), (1, 1));
    assert_eq!(t.stats("").await, t.stats_by_reading("").await);

    let mut events = t.watch_from("0").await;
    let mut told = Vec::new();
    while told.len() < past.len() {
        let event = events.next().await.unwrap();
        if event.r#type() == EventType::MessageDeleted {
            told.push(event.message_id);
        }
    }
    let mut expected: Vec<_> = past.into_iter().map(|message| message.id).collect();
    told.sort();
    expected.sort();
    assert_eq!(told, expected, "each is told once");
}

#[tokio::test]
async fn is_dropped_sqlite() {
    is_dropped(Kind::Sqlite).await;
}

#[tokio::test]
async fn is_dropped_postgres() {
    is_dropped(Kind::Postgres).await;
}

/// The times of old count, not that of the import.
async fn is_dropped_after_an_import(kind: Kind) {
    let mut service =
        Service::start_with(kind, |builder| builder.env("RETENTION_DAYS", "30")).await;
    let t = Caller::at(&service);
    assert_eq!(
        t.imported(vec![make::old_chat("s", &["1", "2"])]).await,
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
async fn is_dropped_after_an_import_sqlite() {
    is_dropped_after_an_import(Kind::Sqlite).await;
}

#[tokio::test]
async fn is_dropped_after_an_import_postgres() {
    is_dropped_after_an_import(Kind::Postgres).await;
}
